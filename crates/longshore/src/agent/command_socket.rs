//! The socket in the data directory on which commands such as `longshore images` ask the agent. It is its owner's alone.

use std::fs::Permissions;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use axum::Router;
use tokio::net::{UnixListener, UnixSocket};
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// Its name within the data directory.
pub(crate) const NAME: &str = "longshore.sock";

/// Commands that may wait to be heard.
const BACKLOG: u32 = 64;

/// Takes the socket away when it is dropped.
struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        // One that stays behind is known to be dead by whoever tries it.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Answers until `shutdown`. An agent that cannot be asked works all the same.
pub(super) async fn serve(path: PathBuf, answers: Router, shutdown: CancellationToken) {
    let listener = match open(&path) {
        Ok(listener) => listener,
        Err(error) => {
            warn!(socket = %path.display(), %error, "commands cannot ask this agent");
            return;
        }
    };
    let _place = Place(path);
    let server = axum::serve(listener, answers).with_graceful_shutdown(shutdown.cancelled_owned());
    if let Err(error) = server.await {
        warn!(%error, "commands can no longer ask this agent");
    }
}

fn open(path: &Path) -> std::io::Result<UnixListener> {
    // An agent that was killed left its own; no other lives on this data directory.
    if std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket()) {
        std::fs::remove_file(path)?;
    }
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    // In time: nobody is let in before it listens.
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use axum::routing::get;

    use super::*;

    #[tokio::test]
    async fn it_is_the_owners_and_goes_with_the_agent() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(NAME);
        // As a killed agent leaves it.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let listener = open(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(listener);
        let shutdown = CancellationToken::new();
        let router = Router::new().route("/", get(|| async { "here" }));
        let serving = tokio::spawn(serve(path.clone(), router, shutdown.clone()));
        while tokio::net::UnixStream::connect(&path).await.is_err() {
            tokio::task::yield_now().await;
        }
        shutdown.cancel();
        tokio::time::timeout(std::time::Duration::from_secs(10), serving).await.unwrap().unwrap();
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_file_of_somebody_else_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(NAME);
        std::fs::write(&path, "mine").unwrap();
        assert!(open(&path).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }
}
