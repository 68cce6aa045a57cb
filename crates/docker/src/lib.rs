//! A client of Docker's Engine API: one attempt per call, a deadline per call, lenient readings, and the daemon's
//! words kept as they are (spec 20 §7). It knows the wire; when to call, to retry or to give up is the engine's.
//!
//! ```no_run
//! # async fn example() -> Result<(), docker::Error> {
//! let engine = docker::Engine::connect("unix:///var/run/docker.sock")?;
//! let web = engine.inspect("web").await?;
//! engine.within(std::time::Duration::from_secs(40)).stop("web", 30).await?;
//! # Ok(()) }
//! ```

pub mod auth;
mod connection;
mod containers;
mod create;
pub mod deadlines;
mod endpoint;
mod engine;
mod error;
mod events;
mod exec;
mod filters;
mod images;
mod lines;
mod logs;
mod networks;
mod pull;
mod request;
mod stats;
mod system;
mod versions;
mod volumes;

pub use containers::{Change, ListContainers};
pub use engine::Engine;
pub use error::{Error, Kind};
pub use events::EventStream;
pub use exec::{ExecCreate, ExecInput, ExecStream};
pub use filters::Filters;
pub use images::ListImages;
pub use logs::{LogOptions, LogSource, LogStream};
pub use pull::{PullLimits, PullProgress, PullReport};
pub use stats::StatsStream;
pub use versions::ApiVersions;
