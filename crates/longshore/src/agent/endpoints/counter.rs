//! The thread that the local endpoints have to themselves: whoever floods them takes its time, and neither the
//! engine's nor that of the sockets to the control plane; and while they work hard, nobody waits for a busy worker.

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{Endpoints, serve_introspection, serve_metrics, serve_tasks};
use crate::agent::ports::Listeners;

/// Serves all of `listeners` until `shutdown`. What it gives back is done when all answers are.
///
/// # Errors
/// The machine has no thread, or the listeners cannot be handed over.
pub(crate) fn open(
    listeners: Listeners,
    endpoints: Arc<Endpoints>,
    shutdown: CancellationToken,
) -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let Listeners { introspection, tasks, metrics } = listeners;
    let (introspection, tasks) = (introspection.into_std()?, tasks.into_std()?);
    let metrics = metrics.map(tokio::net::TcpListener::into_std).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build()?;
    let (done, is_done) = oneshot::channel();
    std::thread::Builder::new().name("endpoints".to_owned()).spawn(move || {
        let ended = runtime.block_on(serve(introspection, tasks, metrics, endpoints, shutdown));
        if let Err(error) = ended {
            tracing::error!(%error, "The local endpoints cannot be served");
        }
        let _ = done.send(());
    })?;
    Ok(is_done.map(|_| ()))
}

async fn serve(
    introspection: TcpListener,
    tasks: TcpListener,
    metrics: Option<TcpListener>,
    endpoints: Arc<Endpoints>,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let adopt = tokio::net::TcpListener::from_std;
    let introspection = serve_introspection(adopt(introspection)?, Arc::clone(&endpoints), shutdown.clone());
    let tasks = serve_tasks(adopt(tasks)?, Arc::clone(&endpoints), shutdown.clone());
    let metrics = metrics.map(adopt).transpose()?;
    let metrics = async {
        if let Some(listener) = metrics {
            serve_metrics(listener, endpoints, shutdown).await;
        }
    };
    tokio::join!(introspection, tasks, metrics);
    Ok(())
}
