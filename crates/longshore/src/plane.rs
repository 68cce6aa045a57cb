//! The control plane as a server: one loopback port that speaks the ECS API to tools and agents, and the
//! agent protocol on websockets. What it all means is [`plane::Plane`]'s business.
//!
//! [`open`] starts the driver, the one task that owns the plane; [`serve`] puts a listener before it.

mod driver;
mod http;
pub(crate) mod roles;
mod socket;

#[cfg(test)]
mod tests;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::time::Duration;

use host::store::{Store, StoreThread, StoredRow};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) use driver::{Handle, Surroundings};

/// How long open requests may take to end after shutdown was asked for.
const DRAIN: Duration = Duration::from_secs(5);

/// Where the plane's rows are kept.
pub(crate) enum Storage {
    /// Nowhere: the plane starts empty and is forgotten.
    #[cfg(test)]
    Memory,
    /// In a file of their own.
    File { thread: StoreThread, rows: Vec<StoredRow>, set_aside: Option<PathBuf> },
}

impl Storage {
    /// Opens the plane's store.
    ///
    /// # Errors
    /// The file cannot be opened or read, or is in use.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let opened = Store::open(path, "plane")?;
        let rows = opened.store.load_all()?;
        let thread = StoreThread::start(opened.store)?;
        Ok(Self::File { thread, rows, set_aside: opened.set_aside })
    }
}

/// A seed that differs from run to run.
#[must_use]
pub(crate) fn random_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Restores the plane and starts its driver. The driver ends, with the store closed, after `shutdown`.
///
/// # Errors
/// The stored rows are not readable.
pub(crate) fn open(
    storage: Storage,
    settings: plane::Settings,
    surroundings: Surroundings,
    shutdown: CancellationToken,
) -> anyhow::Result<(Handle, JoinHandle<()>)> {
    let mut plane = plane::Plane::new(settings);
    let store = match storage {
        #[cfg(test)]
        Storage::Memory => None,
        Storage::File { thread, rows, set_aside } => {
            if let Some(aside) = set_aside {
                tracing::warn!(file = %aside.display(), "the control plane's store was damaged and set aside");
            }
            plane.restore(rows.into_iter().map(|row| (row.table, row.key, row.value)))?;
            Some(thread)
        }
    };
    Ok(driver::start(plane, store, surroundings, shutdown))
}

/// Serves the plane on `listener` until `shutdown`. The routes of `extra` are served beside ours, under the
/// same protection against browsers.
///
/// # Errors
/// The listener fails.
pub(crate) async fn serve(
    listener: TcpListener,
    handle: Handle,
    extra: axum::Router,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let router = http::router(handle, extra, shutdown.clone());
    let signal = shutdown.clone();
    let server = axum::serve(listener, router).with_graceful_shutdown(async move { signal.cancelled().await });
    let drained = async {
        shutdown.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        ended = server.into_future() => Ok(ended?),
        () = drained => Ok(()),
    }
}
