//! The embedded control plane's mind: what clusters, task definitions, container instances and tasks
//! there are, what each API call answers, and what each connected agent is told.
//!
//! [`Plane::handle`] takes an event and returns what must be written, sent and answered. There is no
//! I/O here, no clock and no secret; the shell commits [`Step::writes`] before it replies or sends.

mod api;
mod arn;
mod attributes;
mod cluster;
mod credentials;
mod dice;
mod error;
mod event;
mod instance;
mod launch;
mod listing;
mod page;
mod payload;
mod placement;
mod protection;
mod query;
mod requirements;
mod rows;
mod session;
mod state_change;
mod tags;
mod task;
mod task_definition;
pub mod telemetry;
mod validate;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use wire::ecs::EpochSeconds;

pub use credentials::RoleKind;
pub use error::Fault;
pub use event::{Channel, Event, Granted, Note, Outgoing, Refused, SessionId, Step, Wish};
pub use rows::{RestoreError, Row};
pub use validate::{Problem, ProblemKind, validate_task_definition};

use cluster::Cluster;
use credentials::Lease;
use dice::Dice;
use instance::Instance;
use launch::RunToken;
use rows::Table;
use session::Session;
use task::Task;
use task_definition::Definition;
use telemetry::Telemetry;

/// How long a stopped task, an inactive instance or an inactive cluster stays visible.
const RETENTION_MS: i64 = 60 * 60 * 1000;

/// Stopped tasks beyond this number are dropped early, the oldest first.
const STOPPED_TASKS_MAX: usize = 5_000;

/// What the plane is told once, at construction.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub partition: String,
    pub region: String,
    /// Twelve digits.
    pub account: String,
    /// Seed of ids and random placement.
    pub seed: u64,
    /// Where agents find ACS: the base to which they append `ws` (spec 10 §2.2).
    pub acs_endpoint: String,
    /// Where agents find TCS, likewise.
    pub telemetry_endpoint: String,
    pub service_connect_endpoint: String,
    /// Whether the shell obtains role credentials: see [`Wish`]. While it does not, payloads must not
    /// make an agent wait for them.
    pub delivers_credentials: bool,
}

impl Settings {
    /// Settings of a plane whose endpoints all live under `base`, such as `http://127.0.0.1:51700`.
    #[must_use]
    pub fn local(base: &str, seed: u64) -> Self {
        Self {
            partition: "aws".into(),
            region: "us-west-2".into(),
            account: "000000000000".into(),
            seed,
            acs_endpoint: format!("{base}/acs/"),
            telemetry_endpoint: format!("{base}/tcs/"),
            service_connect_endpoint: format!("{base}/sc/"),
            delivers_credentials: false,
        }
    }
}

/// The control plane's state.
#[derive(Debug)]
pub struct Plane {
    settings: Settings,
    dice: Dice,
    clusters: BTreeMap<String, Cluster>,
    /// The highest revision that a family ever had. Revisions are never given twice.
    families: BTreeMap<String, i64>,
    definitions: BTreeMap<(String, i64), Definition>,
    instances: BTreeMap<String, Instance>,
    tasks: BTreeMap<String, Task>,
    tags: BTreeMap<String, BTreeMap<String, String>>,
    tokens: BTreeMap<String, RunToken>,
    /// Raised for every payload and manifest; agents compare both with one counter (spec 10 §10, 9).
    sequence: i64,

    sessions: BTreeMap<SessionId, Session>,
    /// Credentials of live tasks, by task and role.
    leases: BTreeMap<(String, RoleKind), Lease>,
    telemetry: Telemetry,
    /// Instance → its tasks that are not stopped. Derived from `tasks`.
    live: BTreeMap<String, BTreeSet<String>>,
    /// Instance → its tasks whose desired status the agent has not acknowledged. Derived.
    owed: BTreeMap<String, BTreeSet<String>>,
    /// When something is forgotten. Derived.
    expiries: BTreeSet<(i64, Table, String)>,
    /// What the present step changed.
    dirty: BTreeSet<(Table, String)>,
}

impl Plane {
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            dice: Dice::new(settings.seed),
            settings,
            clusters: BTreeMap::new(),
            families: BTreeMap::new(),
            definitions: BTreeMap::new(),
            instances: BTreeMap::new(),
            tasks: BTreeMap::new(),
            tags: BTreeMap::new(),
            tokens: BTreeMap::new(),
            sequence: 0,
            sessions: BTreeMap::new(),
            leases: BTreeMap::new(),
            telemetry: Telemetry::default(),
            live: BTreeMap::new(),
            owed: BTreeMap::new(),
            expiries: BTreeSet::new(),
            dirty: BTreeSet::new(),
        }
    }

    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes one event. For [`Event::Call`], [`Event::Look`] and [`Event::Connected`] the step has a reply.
    pub fn handle(&mut self, now: jiff::Timestamp, event: Event) -> Step {
        let now = EpochSeconds::from(now);
        let mut step = Step::default();
        match event {
            Event::Call { operation, body } => {
                step.reply = Some(self.call(now, &operation, body, &mut step));
            }
            Event::Connected { session, channel, query } => {
                step.reply = Some(self.connected(now, session, channel, &query, &mut step));
            }
            Event::Message { session, text } => self.message(now, session, &text, &mut step),
            Event::Closed { session } => self.closed(session, &mut step),
            Event::Credentials { task, kind, outcome } => {
                self.credentials_answered(now, &task, kind, outcome, &mut step);
            }
            Event::Look { task } => {
                step.reply = Some(api::answer(Ok(self.look(task.as_deref()))));
            }
            Event::Tick => {}
        }
        self.expire(now);
        self.tend_credentials(now, &mut step);
        self.deliver(now, &mut step);
        step.writes = self.flush();
        step
    }

    /// When [`Event::Tick`] is due; `None` while nothing waits for time.
    #[must_use]
    pub fn deadline(&self) -> Option<jiff::Timestamp> {
        let forgetting = self.expiries.first().map(|(at, ..)| *at);
        let sessions = self.sessions.values().map(Session::deadline);
        let at = sessions.chain(forgetting).chain(self.credentials_deadline()).min()?;
        jiff::Timestamp::from_millisecond(at).ok()
    }

    /// Forgets what is past its time.
    fn expire(&mut self, now: EpochSeconds) {
        while let Some((at, table, key)) = self.expiries.first().cloned() {
            if at > now.as_millis() {
                break;
            }
            self.expiries.pop_first();
            match table {
                Table::Task => self.forget_task(&key),
                Table::Token => {
                    self.tokens.remove(&key);
                    self.touch(Table::Token, &key);
                }
                Table::Instance => self.forget_instance(&key),
                Table::Cluster => self.forget_cluster(&key),
                Table::Family | Table::Definition | Table::Tags | Table::Meta => {}
            }
        }
    }

    fn expire_later(&mut self, now: EpochSeconds, table: Table, key: &str) {
        self.expiries.insert((now.as_millis() + RETENTION_MS, table, key.to_owned()));
    }

    /// The next number for a payload or manifest: above all before it, also those of an earlier store.
    fn next_sequence(&mut self, now: EpochSeconds) -> i64 {
        self.sequence = (self.sequence + 1).max(now.as_millis());
        self.touch(Table::Meta, rows::SEQUENCE);
        self.sequence
    }
}
