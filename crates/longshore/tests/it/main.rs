//! The built binary against a real Docker Engine: `cargo xtask test` brings what these tests need.
//!
//! Every test has a folder, names and ports of its own, removes what it made, and waits for conditions, not for time.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod agent;
mod clients;
mod docs;
mod local;
mod support;
