#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! Both servers over real sockets, answering from made-up views.

mod agent_api;
mod credentials;
mod floods;
mod introspection;
mod metadata;
mod metadata_file;
pub(in crate::agent) mod world;
