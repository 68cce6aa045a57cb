//! Every external format, once: ids, ECS operations, ACS and TCS messages, metadata documents,
//! Docker bodies, Go-style JSON. Shapes only: no I/O, no decisions.

pub mod acs;
pub mod bbolt;
pub mod docker;
pub mod ecs;
pub mod gojson;
pub mod ids;
pub mod metadata;
pub mod rows;
pub mod secret;
pub mod task_server;
pub mod tcs;
