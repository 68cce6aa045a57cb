//! The store on a thread of its own. Commits that wait while one is being made durable share the next
//! transaction, so a burst costs a few disk syncs instead of one each.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::{Store, StoreError, Write};

/// Commits that may wait before callers do.
const QUEUE: usize = 1024;
/// Commits that share one transaction at most, so that the first does not wait for an endless burst.
const GROUP: usize = 256;

/// Why a commit did not happen.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// The transaction failed; nothing of this commit is in the store. Shared by all commits of the transaction.
    #[error(transparent)]
    Failed(Arc<StoreError>),
    #[error("the store is closed")]
    Closed,
}

enum Job {
    Commit { writes: Vec<Write>, reply: oneshot::Sender<Result<(), CommitError>> },
    Close { reply: oneshot::Sender<()> },
}

/// A handle to the thread. Clones share it; the store is closed by [`StoreThread::close`] or after the last one.
#[derive(Debug, Clone)]
pub struct StoreThread {
    jobs: mpsc::Sender<Job>,
}

impl StoreThread {
    /// Moves `store` to a new thread.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn start(store: Store) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        std::thread::Builder::new().name("store".to_owned()).spawn(move || serve(store, queue))?;
        Ok(Self { jobs })
    }

    /// Makes `writes` durable, or none of them. Commits take effect in the order in which they are first polled.
    /// Dropping the future does not recall a commit that was queued.
    ///
    /// # Errors
    /// The transaction failed, or the store is closed.
    pub async fn commit(&self, writes: Vec<Write>) -> Result<(), CommitError> {
        if writes.is_empty() {
            return Ok(());
        }
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Job::Commit { writes, reply }).await.map_err(|_| CommitError::Closed)?;
        answer.await.unwrap_or(Err(CommitError::Closed))
    }

    /// Commits what is queued, closes the file, gives up its lock, and returns when all that is done.
    pub async fn close(&self) {
        let (reply, answer) = oneshot::channel();
        if self.jobs.send(Job::Close { reply }).await.is_ok() {
            // A thread that is gone already has nothing left to close.
            let _ = answer.await;
        }
    }
}

fn serve(mut store: Store, mut queue: mpsc::Receiver<Job>) {
    let mut jobs = Vec::with_capacity(GROUP);
    while queue.blocking_recv_many(&mut jobs, GROUP) > 0 {
        let mut closers = Vec::new();
        let mut commits = Vec::with_capacity(jobs.len());
        for job in jobs.drain(..) {
            match job {
                Job::Commit { writes, reply } => commits.push((writes, reply)),
                Job::Close { reply } => closers.push(reply),
            }
        }
        let outcome = store
            .commit_batches(commits.iter().map(|(writes, _)| writes.as_slice()))
            .map_err(|error| CommitError::Failed(Arc::new(error)));
        for (_, reply) in commits {
            // The caller may have given up waiting; the commit stands.
            let _ = reply.send(outcome.clone());
        }
        if !closers.is_empty() {
            queue.close();
            drop(store);
            for reply in closers {
                let _ = reply.send(());
            }
            return;
        }
    }
}
