//! The machine below: store files, `/proc`, cgroups, disks. Linux calls live here and nowhere above.

pub mod store;
