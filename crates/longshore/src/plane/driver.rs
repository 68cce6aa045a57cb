//! The one task that owns the plane: takes events, commits what they change, then answers and sends.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use host::store::{StoreThread, Write};
use plane::telemetry::Report;
use plane::{Channel, Event, Fault, Note, Outgoing, Plane, Refused, Row, SessionId, Step, Wish};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::roles::Roles;

/// Events that may wait before their senders do.
const INBOX: usize = 1024;

/// Events that share a commit.
const BATCH: usize = 64;

/// Frames that may wait for a slow agent before it is cut off.
const OUTBOX: usize = 1024;

/// The longest sleep: the wall clock may be set while we sleep by it.
const SLEEP_MAX: Duration = Duration::from_secs(30);

/// What the driver sends to a session's socket. Without `Debug`: texts may have credentials in them.
pub(super) enum Frame {
    Text(String),
    Close,
}

/// What the driver works with beside the store.
pub(crate) struct Surroundings {
    pub roles: Roles,
    /// Hears each note after what it tells of was written.
    pub listener: Box<dyn Fn(&Note) + Send>,
}

impl Surroundings {
    /// No credentials for anybody, and nobody who listens.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self { roles: Roles::none(), listener: Box::new(|_| {}) }
    }
}

type Reply = oneshot::Sender<Result<Value, Fault>>;

/// An event on its way to the driver.
struct Parcel {
    event: Event,
    reply: Option<Reply>,
    /// Where a new session's frames go.
    outbox: Option<mpsc::Sender<Frame>>,
}

/// A way to the driver. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    inbox: mpsc::Sender<Parcel>,
    sessions: Arc<AtomicU64>,
}

fn gone() -> Fault {
    Fault::server("The control plane is shutting down.")
}

impl Handle {
    /// Makes an API call.
    ///
    /// # Errors
    /// What the API answers, or a `ServerException` when the plane is shutting down.
    pub(crate) async fn call(&self, operation: &str, body: Value) -> Result<Value, Fault> {
        let event = Event::Call { operation: operation.to_owned(), body };
        self.ask(event, None).await
    }

    /// What is known beside the API's answers: of one task (ARN or id), or of all live ones.
    ///
    /// # Errors
    /// The plane is shutting down.
    pub(crate) async fn look(&self, task: Option<&str>) -> Result<Report, Fault> {
        let report = self.ask(Event::Look { task: task.map(str::to_owned) }, None).await?;
        serde_json::from_value(report).map_err(|error| Fault::server(error.to_string()))
    }

    /// Asks for a session for an agent; its frames come out of the receiver.
    pub(super) async fn connect(
        &self,
        channel: Channel,
        query: BTreeMap<String, String>,
    ) -> Result<(SessionId, mpsc::Receiver<Frame>), Fault> {
        let session = SessionId(self.sessions.fetch_add(1, Ordering::Relaxed));
        let (outbox, frames) = mpsc::channel(OUTBOX);
        match self.ask(Event::Connected { session, channel, query }, Some(outbox)).await {
            Ok(_) => Ok((session, frames)),
            Err(fault) => {
                // The plane may have accepted what the store then failed to remember.
                self.tell(Event::Closed { session }).await;
                Err(fault)
            }
        }
    }

    /// Tells the driver something that has no answer.
    pub(super) async fn tell(&self, event: Event) {
        // Without a driver there is nobody left to whom it matters.
        let _ = self.inbox.send(Parcel { event, reply: None, outbox: None }).await;
    }

    async fn ask(&self, event: Event, outbox: Option<mpsc::Sender<Frame>>) -> Result<Value, Fault> {
        let (reply, answer) = oneshot::channel();
        let parcel = Parcel { event, reply: Some(reply), outbox };
        self.inbox.send(parcel).await.map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

pub(super) fn start(
    plane: Plane,
    store: Option<StoreThread>,
    surroundings: Surroundings,
    shutdown: CancellationToken,
) -> (Handle, JoinHandle<()>) {
    let (inbox, parcels) = mpsc::channel(INBOX);
    let Surroundings { roles, listener } = surroundings;
    let driver = Driver {
        plane,
        store,
        outboxes: BTreeMap::new(),
        unwritten: Vec::new(),
        roles: Arc::new(roles),
        listener,
        inbox: inbox.downgrade(),
    };
    let task = tokio::spawn(driver.run(parcels, shutdown));
    (Handle { inbox, sessions: Arc::new(AtomicU64::new(1)) }, task)
}

struct Driver {
    plane: Plane,
    store: Option<StoreThread>,
    outboxes: BTreeMap<SessionId, mpsc::Sender<Frame>>,
    /// Rows of steps whose commit failed; they go ahead of the next commit's.
    unwritten: Vec<Write>,
    roles: Arc<Roles>,
    listener: Box<dyn Fn(&Note) + Send>,
    /// For answers to wishes. Weak: the driver ends when nobody else can reach it.
    inbox: mpsc::WeakSender<Parcel>,
}

impl Driver {
    async fn run(mut self, mut parcels: mpsc::Receiver<Parcel>, shutdown: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let sleep = self.until_deadline();
            tokio::select! {
                () = shutdown.cancelled() => break,
                count = parcels.recv_many(&mut batch, BATCH) => if count == 0 { break },
                () = tokio::time::sleep(sleep) => {
                    batch.push(Parcel { event: Event::Tick, reply: None, outbox: None });
                }
            }
            self.take(&mut batch).await;
        }
        if let Some(store) = &self.store {
            store.close().await;
        }
    }

    fn until_deadline(&self) -> Duration {
        let Some(deadline) = self.plane.deadline() else { return SLEEP_MAX };
        let left = deadline.duration_since(jiff::Timestamp::now());
        Duration::try_from(left).unwrap_or(Duration::ZERO).min(SLEEP_MAX)
    }

    async fn take(&mut self, batch: &mut Vec<Parcel>) {
        let mut steps: Vec<(Step, Option<Reply>)> = Vec::with_capacity(batch.len());
        for Parcel { event, reply, outbox } in batch.drain(..) {
            match (&event, outbox) {
                (Event::Connected { session, .. }, Some(outbox)) => {
                    self.outboxes.insert(*session, outbox);
                }
                (Event::Closed { session }, _) => drop(self.outboxes.remove(session)),
                _ => {}
            }
            let session = match &event {
                Event::Connected { session, .. } => Some(*session),
                _ => None,
            };
            let step = self.plane.handle(jiff::Timestamp::now(), event);
            if let (Some(session), Some(Err(_))) = (session, &step.reply) {
                self.outboxes.remove(&session);
            }
            steps.push((step, reply));
        }
        let committed = self.commit(&mut steps).await;
        for (step, reply) in steps {
            for note in &step.notes {
                log(note);
                (self.listener)(note);
            }
            step.wishes.into_iter().for_each(|wish| self.grant(wish));
            if let (Some(reply), Some(answer)) = (reply, step.reply) {
                let answer = match &committed {
                    Ok(()) => answer,
                    Err(text) => answer.and_then(|_| Err(Fault::server(text.clone()))),
                };
                // A caller that went away needs no answer.
                let _ = reply.send(answer);
            }
            // What could not be remembered is not said: payloads are due again later.
            if committed.is_ok() {
                step.sends.into_iter().for_each(|sent| self.send(sent));
            }
        }
    }

    async fn commit(&mut self, steps: &mut [(Step, Option<Reply>)]) -> Result<(), String> {
        let Some(store) = &self.store else { return Ok(()) };
        let rows = steps.iter_mut().flat_map(|(step, _)| step.writes.drain(..)).map(write);
        self.unwritten.extend(rows);
        if self.unwritten.is_empty() {
            return Ok(());
        }
        match store.commit(self.unwritten.clone()).await {
            Ok(()) => {
                self.unwritten.clear();
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "the control plane cannot write its store");
                Err(format!("The control plane cannot write its store: {error}"))
            }
        }
    }

    /// Carries out a wish; whether the step was written does not matter to it.
    fn grant(&self, wish: Wish) {
        match wish {
            Wish::Forget { credentials_id } => self.roles.forget(&credentials_id),
            Wish::Obtain { task, kind, role_arn, credentials_id } => {
                let (roles, inbox) = (Arc::clone(&self.roles), self.inbox.clone());
                tokio::spawn(async move {
                    let asked = roles.obtain(&task, kind, &role_arn, credentials_id);
                    // Exactly one answer, whatever happens.
                    let outcome = AssertUnwindSafe(asked).catch_unwind().await.unwrap_or_else(|_| {
                        Err(Refused { reason: "internal error; please report it".to_owned(), is_final: true })
                    });
                    if let Some(inbox) = inbox.upgrade() {
                        let event = Event::Credentials { task, kind, outcome };
                        // Without a driver there is nobody left to whom it matters.
                        let _ = inbox.send(Parcel { event, reply: None, outbox: None }).await;
                    }
                });
            }
        }
    }

    fn send(&mut self, outgoing: Outgoing) {
        let (session, frame) = match outgoing {
            Outgoing::Message { session, mut envelope } => {
                if !self.roles.fill(&mut envelope) {
                    // Its task has ended meanwhile; a message without values would be worse than none.
                    tracing::debug!("a message names credentials that are not held, and is not sent");
                    return;
                }
                (session, Frame::Text(envelope.to_string()))
            }
            Outgoing::Close { session } => (session, Frame::Close),
        };
        let Some(outbox) = self.outboxes.get(&session) else { return };
        let closing = matches!(frame, Frame::Close);
        if outbox.try_send(frame).is_err() || closing {
            // Without an outbox the socket task ends, and says so with `Event::Closed`.
            self.outboxes.remove(&session);
        }
    }
}

fn write(row: Row) -> Write {
    Write { table: row.table.to_owned(), key: row.key, value: row.value }
}

fn log(note: &Note) {
    match note {
        Note::AgentSilent { .. } | Note::SessionRefused { .. } | Note::TaskRemark { is_trouble: true, .. } => {
            tracing::warn!("{note}");
        }
        Note::TaskUnknown { .. } | Note::MessageNotUnderstood { .. } => tracing::debug!("{note}"),
        _ => tracing::info!("{note}"),
    }
}
