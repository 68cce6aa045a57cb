//! Every parser that reads what a container, the control plane, the Docker daemon or the kernel sends, as a function
//! of bytes: it must not panic, hang or eat memory, and where it also writes, what it wrote must read back the same.
//!
//! Two callers share these functions: `cargo xtask fuzz` (libFuzzer, the targets in `fuzz/`) and the test in `tests/`
//! (the committed corpora and some mutations of them, on stable).

#![allow(clippy::expect_used, clippy::missing_panics_doc)]

mod acs;
mod agent_db;
mod answers;
mod docker_answers;
mod engine_frames;
mod kernel;
mod plane_calls;
mod registry_auth;
mod task_definition;
mod task_server;
mod texts;

pub use acs::acs;
pub use agent_db::{agent_db, agent_rows};
pub use answers::answers;
pub use docker_answers::docker_answers;
pub use engine_frames::engine_frames;
pub use kernel::kernel;
pub use plane_calls::plane_calls;
pub use registry_auth::registry_auth;
pub use task_definition::task_definition;
pub use task_server::task_server;
pub use texts::texts;

/// A function that may be given anything.
pub type Target = fn(&[u8]);

/// All of them, by the names of their fuzz targets and corpora.
pub const TARGETS: &[(&str, Target)] = &[
    ("acs", acs),
    ("agent_db", agent_db),
    ("agent_rows", agent_rows),
    ("answers", answers),
    ("docker_answers", docker_answers),
    ("engine_frames", engine_frames),
    ("kernel", kernel),
    ("plane_calls", plane_calls),
    ("registry_auth", registry_auth),
    ("task_definition", task_definition),
    ("task_server", task_server),
    ("texts", texts),
];

/// The first line chooses, the rest is read: `kind\ntext`.
fn chosen(data: &[u8]) -> Option<(&str, &str)> {
    std::str::from_utf8(data).ok()?.split_once('\n')
}
