//! The loop that drives the engine: take a fact, remember, tell, act.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use engine::fact::Level;
use engine::{Effect, EffectId, Engine, Event, Mono, Now, Rows, Step};
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
/// How soon rows that the store did not take are tried again.
const COMMIT_RETRY: Duration = Duration::from_secs(1);

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
    let metrics = performer.metrics().cloned();
    published.desk().open(inbox);
    let mut ledger = Ledger::new(store);
    let now = || Now { mono: Mono(began.elapsed()), wall: Timestamp::now() };
    let mut next = Some(Event::Start);
    let mut is_ending = false;
    let mut step = Step::default();
    loop {
        let event = match next.take() {
            Some(event) => Some(event),
            None => {
                let due = engine.deadline().map(|at| tokio::time::Instant::from_std(began + at.0));
                tokio::select! {
                    biased;
                    () = shutdown.cancelled(), if !is_ending => {
                        is_ending = true;
                        Some(Event::Terminate)
                    }
                    fact = facts.recv() => Some(fact.unwrap_or(Event::Terminate)),
                    () = sleep_until(due) => Some(Event::Tick),
                    () = sleep_until(ledger.retry_at) => None,
                }
            }
        };
        let more = std::iter::from_fn(|| facts.try_recv().ok());
        for event in event.into_iter().chain(more).take(BATCH) {
            engine.take(now(), event, &mut step);
        }
        // However much there is to hear, what is due is not put off.
        if engine.deadline().is_some_and(|at| at <= now().mono) {
            engine.take(now(), Event::Tick, &mut step);
        }
        engine.close(&mut step);
        ledger.commit(&step.writes).await;
        let effects = ledger.let_out(step.effects.drain(..));
        for note in &step.notes {
            log(note);
            published.tell(Timestamp::now(), note);
            if let Some(metrics) = &metrics {
                metrics.observe(now().mono, note);
            }
        }
        published.set_tasks(step.views.drain(..));
        let view = engine.instance_view();
        if let Some(metrics) = &metrics {
            metrics.observe_instance(&view);
        }
        published.set_instance(view);
        published.desk().answer(std::mem::take(&mut step.answers));
        if let Some(report) = act(&performer, effects) {
            published.desk().close();
            let _ = tokio::time::timeout(FAREWELL, ledger.close()).await;
            return report;
        }
        step.clear();
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

async fn sleep_until(due: Option<tokio::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// The store, what it still has to take, and what waits for that.
struct Ledger {
    store: Option<StoreThread>,
    /// The last value of each row that is not in the store yet.
    owed: BTreeMap<(&'static str, String), Option<String>>,
    held: Vec<(EffectId, Effect)>,
    /// When rows that could not be written are tried again.
    retry_at: Option<tokio::time::Instant>,
}

impl Ledger {
    fn new(store: Option<StoreThread>) -> Self {
        Self { store, owed: BTreeMap::new(), held: Vec::new(), retry_at: None }
    }

    /// Makes rows durable before anything leaves. A store that fails (a full disk) stops no task: see [`Self::let_out`].
    async fn commit(&mut self, rows: &Rows) {
        let Some(store) = &self.store else { return };
        if self.owed.is_empty() && rows.is_empty() {
            return;
        }
        let mut writes = self.writes();
        writes.extend(rows.iter().map(|row| write(row.table, row.key, row.value)));
        match store.commit(writes).await {
            Ok(()) => {
                self.owed.clear();
                if self.retry_at.take().is_some() {
                    info!("state is written again");
                }
            }
            Err(failure) => {
                let owed = rows.iter().map(|row| ((row.table, row.key.to_owned()), row.value.map(str::to_owned)));
                self.owed.extend(owed);
                let next = tokio::time::Instant::now() + COMMIT_RETRY;
                if self.retry_at.replace(next).is_none() {
                    error!(
                        critical = true,
                        error = %failure,
                        "state cannot be written, so no task is accepted and nothing new is made; free some disk space"
                    );
                }
            }
        }
    }

    fn writes(&self) -> Vec<Write> {
        self.owed.iter().map(|((table, key), value)| write(table, key, value.as_deref())).collect()
    }

    /// The effects that may start now. While rows are owed, what would be lost by a crash waits: what is made, what is
    /// reported, and what acknowledges; to look, to stop and to remove goes on.
    fn let_out(&mut self, effects: impl IntoIterator<Item = (EffectId, Effect)>) -> Vec<(EffectId, Effect)> {
        if self.owed.is_empty() {
            let mut all = std::mem::take(&mut self.held);
            all.extend(effects);
            return all;
        }
        let (held, free): (Vec<_>, Vec<_>) = effects.into_iter().partition(|(_, effect)| effect.needs_memory());
        self.held.extend(held);
        free
    }

    async fn close(&mut self) {
        let writes = self.writes();
        if let Some(store) = &self.store {
            if !writes.is_empty() {
                let _ = store.commit(writes).await;
            }
            store.close().await;
        }
    }
}

fn write(table: &str, key: &str, value: Option<&str>) -> Write {
    Write { table: table.to_owned(), key: key.to_owned(), value: value.map(str::to_owned) }
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

#[cfg(test)]
mod tests;
