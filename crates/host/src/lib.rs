//! The machine below: store files, `/proc`, cgroups, disks. Linux calls live here and nowhere above.

pub mod cgroup;
pub mod disk;
pub mod facts;
pub mod listeners;
pub mod netfilter;
pub mod process;
pub mod stats;
pub mod store;
