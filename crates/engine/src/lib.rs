//! The agent's mind: a value. Events go in, effects come out; no clock, no socket, no lock, no thread,
//! no secret. See `ARCHITECTURE.md` for the loop that drives it.

pub mod attempts;
pub mod backoff;
pub mod config;
pub mod container;
pub mod core;
pub mod create_request;
pub mod effect;
pub mod engine;
pub mod event;
pub mod fact;
mod flow;
pub mod image;
mod inbound;
pub mod ledger;
pub mod migrate;
pub mod outbox;
pub mod ports;
pub mod register;
mod restore;
pub mod rng;
mod rows;
pub mod session;
pub mod slots;
pub mod status;
pub mod step;
mod stored_time;
pub mod task;
pub mod telemetry;
pub mod text;
pub mod time;

pub use config::EngineConfig;
pub use effect::{Effect, EffectId};
pub use engine::{Engine, InstanceView};
pub use event::{Event, Failure, FailureKind, Outcome};
pub use step::{Row, Rows, Step, StoredRow};
pub use time::{Mono, Now};
