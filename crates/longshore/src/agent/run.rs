//! The loop that drives the engine: take a fact, remember, tell, act.

use std::time::{Duration, Instant};

use engine::fact::Level;
use engine::{Effect, EffectId, Engine, Event, Mono, Now, Row, Step};
use host::store::{StoreThread, Write};
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::{ExitReport, FAREWELL, Outside, perform};

/// Facts that may wait; who has more to tell waits itself.
const INBOX: usize = 1024;
/// Facts that may share one commit.
const BATCH: usize = 128;
/// How long commits are tried again before the agent goes on without.
const COMMIT_PATIENCE: Duration = Duration::from_secs(2);

/// Drives the engine until it asks to end.
pub(super) async fn drive(
    mut engine: Engine,
    outside: Outside,
    store: Option<StoreThread>,
    shutdown: CancellationToken,
    began: Instant,
) -> ExitReport {
    let (inbox, mut facts) = mpsc::channel(INBOX);
    let performer = perform::Performer::new(outside, inbox.clone());
    let published = performer.published().clone();
    published.desk().open(inbox);
    let mut ledger = Ledger { store, owed: Vec::new(), has_complained: false };
    let now = || Now { mono: Mono(began.elapsed()), wall: Timestamp::now() };
    let mut next = Some(Event::Start);
    let mut is_ending = false;
    loop {
        let event = match next.take() {
            Some(event) => event,
            None => {
                let due = engine.deadline().map(|at| tokio::time::Instant::from_std(began + at.0));
                tokio::select! {
                    biased;
                    () = shutdown.cancelled(), if !is_ending => {
                        is_ending = true;
                        Event::Terminate
                    }
                    fact = facts.recv() => fact.unwrap_or(Event::Terminate),
                    () = sleep_until(due) => Event::Tick,
                }
            }
        };
        let mut step = engine.handle(now(), event);
        for _ in 0..BATCH {
            let Ok(event) = facts.try_recv() else { break };
            join(&mut step, engine.handle(now(), event));
        }
        ledger.commit(std::mem::take(&mut step.writes)).await;
        for note in &step.notes {
            log(note);
            published.tell(Timestamp::now(), note);
        }
        published.set_tasks(step.views);
        published.set_instance(engine.instance_view());
        published.desk().answer(step.answers);
        if let Some(report) = act(&performer, step.effects) {
            published.desk().close();
            let _ = tokio::time::timeout(FAREWELL, ledger.close()).await;
            return report;
        }
    }
}

/// Starts effects; the report when one of them ends the process.
fn act(performer: &perform::Performer, effects: Vec<(EffectId, Effect)>) -> Option<ExitReport> {
    let mut exit = None;
    for (id, effect) in effects {
        match effect {
            Effect::Exit { code, why } => exit = Some(ExitReport { code, why }),
            effect => performer.start(id, effect),
        }
    }
    exit
}

fn join(step: &mut Step, more: Step) {
    step.writes.extend(more.writes);
    step.notes.extend(more.notes);
    step.effects.extend(more.effects);
    step.views.extend(more.views);
    step.answers.extend(more.answers);
}

async fn sleep_until(due: Option<tokio::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// The store, and what it still has to take.
struct Ledger {
    store: Option<StoreThread>,
    owed: Vec<Write>,
    has_complained: bool,
}

impl Ledger {
    /// Makes rows durable before anything leaves. A store that fails for long (a full disk) does not stop the
    /// tasks: the agent goes on, says so, and hands the rows in later.
    async fn commit(&mut self, rows: Vec<Row>) {
        let Some(store) = &self.store else { return };
        if rows.is_empty() && self.owed.is_empty() {
            return;
        }
        let rows = rows.into_iter().map(|row| Write { table: row.table.to_owned(), key: row.key, value: row.value });
        self.owed.extend(rows);
        let began = Instant::now();
        loop {
            match store.commit(self.owed.clone()).await {
                Ok(()) => {
                    self.owed.clear();
                    if std::mem::take(&mut self.has_complained) {
                        info!("state is written again");
                    }
                    return;
                }
                Err(failure) => {
                    if !self.has_complained {
                        error!(critical = true, error = %failure, "state cannot be written; free some disk space");
                        self.has_complained = true;
                    }
                    if began.elapsed() > COMMIT_PATIENCE {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
    }

    async fn close(&mut self) {
        if let Some(store) = &self.store {
            if !self.owed.is_empty() {
                let _ = store.commit(std::mem::take(&mut self.owed)).await;
            }
            store.close().await;
        }
    }
}

fn log(note: &engine::fact::Note) {
    let task = note.task.as_ref().map(wire::ids::TaskId::as_str);
    let container = note.container.as_deref();
    let text = &note.fact;
    macro_rules! line {
        ($level:ident) => {
            match (task, container) {
                (Some(task), Some(container)) => $level!(task, container, "{text}"),
                (Some(task), None) => $level!(task, "{text}"),
                _ => $level!("{text}"),
            }
        };
    }
    match note.fact.level() {
        Level::Debug => line!(debug),
        Level::Info => line!(info),
        Level::Warn => line!(warn),
        Level::Error => line!(error),
    }
}
