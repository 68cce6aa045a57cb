//! What an agent is tested and measured with: a scripted control plane on loopback, the agent as a child process,
//! and a bare client of the Docker Engine to see what the agent really did.
//!
//! Nothing here knows the agent's own code, so nothing here can share its mistakes: the control plane reads and
//! writes plain JSON, and the Docker client is forty lines on a socket. It is threads and blocking calls throughout,
//! which is what lets a test read from top to bottom.

pub mod agent;
pub mod daemon;
pub mod engine;
pub mod imds;
pub mod payload;
pub mod plane;
pub mod proof;
pub mod story;
pub mod watch;

mod bench;
mod ids;

pub use agent::Agent;
pub use bench::{Bench, Setup};
pub use daemon::{Daemon, Network};
pub use engine::Engine;
pub use ids::hex;
pub use imds::Imds;
pub use plane::Plane;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Asks `look` until it has an answer. The pause grows from 5 to 50 ms.
///
/// # Errors
/// There was none within `limit`; the message names `what`.
pub fn wait_for<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let end = Instant::now() + limit;
    let mut pause = Duration::from_millis(5);
    loop {
        if let Some(answer) = look()? {
            return Ok(answer);
        }
        if Instant::now() >= end {
            bail!("waited {} s for {what}", limit.as_secs());
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// Set where every test has to be made, as in CI: then one that would be left out fails.
pub const COMPLETE: &str = "LONGSHORE_TEST_COMPLETE";

/// Says that a test is left out, for want of what it needs.
///
/// # Errors
/// None may be left out: [`COMPLETE`] is set.
pub fn leave_out(needs: &str) -> Result<()> {
    if std::env::var_os(COMPLETE).is_some() {
        bail!("this test needs {needs}, and with {COMPLETE} none may be left out");
    }
    eprintln!("skipped: this test needs {needs}");
    Ok(())
}

/// Whether a program is installed. The system folders count even where the user's path lacks them.
#[must_use]
pub fn has(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    let folders = path.split(':').chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"]);
    folders.into_iter().any(|folder| Path::new(folder).join(program).is_file())
}

/// A TCP port that nobody listens on at this moment.
///
/// # Errors
/// The system has none.
pub fn free_port() -> std::io::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
