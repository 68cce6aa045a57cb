//! What all tasks share: chance, timers, the answers that are awaited, slots, the host's ledger, images.

use std::collections::{BTreeMap, BTreeSet};

use wire::ids::{CredentialsId, DockerId, TaskId};

use crate::config::EngineConfig;
use crate::effect::{Effect, EffectId};
use crate::fact::{Fact, Level, Note};
use crate::image::{FetchKey, Images};
use crate::ledger::Ledger;
use crate::outbox::Outbox;
use crate::ports::PortChooser;
use crate::rng::Rng;
use crate::slots::{Slots, Turn};
use crate::step::{Key, Step};
use crate::time::{Mono, Now};

/// Who gets an effect's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    Container(TaskId, usize),
    /// An inspection beside the container's transition.
    Observation(TaskId, usize),
    Volume(TaskId, usize),
    Cgroup(TaskId),
    /// A metadata file, beside the container's transition.
    Metadata(TaskId, usize),
    MetadataRemoval(TaskId),
    Resolution(FetchKey),
    Pull(FetchKey),
    /// A look at the image of a container that is here.
    ContainerImage(TaskId, usize),
    Ports,
    Report(TaskId),
    List,
    FollowEvents,
    ImageCleanup,
    DiskCheck,
    Register,
    CreateCluster,
    Discover,
    Open(crate::effect::Connection),
    /// Nobody waits for it.
    Nobody,
}

/// What a moment in time is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// Look at the task again.
    Task(TaskId),
    /// Its report may be tried again.
    Report(TaskId),
    Cleanup(TaskId),
    Resolution(FetchKey),
    Pull(FetchKey),
    /// The next cycle of image clean-up.
    ImageCleanup,
    /// Is the disk too full?
    DiskCheck,
    /// Serve those who wait for their share, since patience ran out.
    Ledger,
    /// Tell of containers that changed while their tasks did not.
    Flush,
    /// Compare with what the Engine lists.
    Poll,
    FollowEvents,
    List,
    Registration,
    Sessions,
    /// Stops have waited long enough for a slot.
    Stops,
    /// An effect in line need not wait any longer for a slot that is held for long.
    Lease(Turn),
}

/// What all tasks share.
#[derive(Debug)]
pub struct Core {
    pub config: EngineConfig,
    pub rng: Rng,
    pub ledger: Ledger,
    pub images: Images,
    pub outbox: Outbox,
    pub ports: PortChooser,
    /// Credentials that the vault holds.
    pub credentials: BTreeSet<CredentialsId>,
    pub launches: Slots,
    pub stops: Slots,
    pub removals: Slots,
    /// Containers whose effects got their turn in this step.
    pub(crate) turns: Vec<(TaskId, usize)>,
    pub containers_by_id: BTreeMap<DockerId, (TaskId, usize)>,
    next_effect: u64,
    routes: BTreeMap<EffectId, Route>,
    timers: BTreeMap<Timer, Mono>,
    due: BTreeSet<(Mono, Timer)>,
}

impl Core {
    pub fn new(config: EngineConfig, seed: u64) -> Self {
        let registration = &config.registration;
        let ledger = Ledger::new(
            u64::from(config.host.logical_cpus) * 1024,
            config.host.memory_mib.saturating_sub(registration.reserved_memory_mib),
            registration.reserved_ports.iter().copied(),
            registration.reserved_ports_udp.iter().copied(),
            config.host.gpu_ids.iter().cloned(),
        );
        Self {
            rng: Rng::new(seed),
            ledger,
            images: Images::default(),
            outbox: Outbox::default(),
            ports: PortChooser::new(config.dynamic_host_ports),
            credentials: BTreeSet::new(),
            launches: Slots::new(config.parallel_launches),
            stops: Slots::new(config.parallel_stops),
            removals: Slots::new(config.parallel_launches),
            turns: Vec::new(),
            containers_by_id: BTreeMap::new(),
            next_effect: 1,
            routes: BTreeMap::new(),
            timers: BTreeMap::new(),
            due: BTreeSet::new(),
            config,
        }
    }

    /// Asks for an effect; its answer goes to `route`.
    pub fn ask(&mut self, step: &mut Step, route: Route, effect: Effect) -> EffectId {
        let id = self.expect(route);
        step.effects.push((id, effect));
        id
    }

    pub(crate) fn expect(&mut self, route: Route) -> EffectId {
        let id = EffectId(self.next_effect);
        self.next_effect += 1;
        self.routes.insert(id, route);
        id
    }

    pub(crate) fn route(&self, id: EffectId) -> Option<&Route> {
        self.routes.get(&id)
    }

    pub(crate) fn forget_route(&mut self, id: EffectId) {
        self.routes.remove(&id);
    }

    /// Whose answer this is; `None` for one that was answered before.
    pub fn answered(&mut self, id: EffectId, step: &mut Step, now: Now) -> Option<Route> {
        self.slot_is_free(id, step, now);
        self.routes.remove(&id)
    }

    /// Effects that are out or in line, for the simulator's "nothing waits for what is not pending".
    pub fn is_awaited(&self, id: EffectId) -> bool {
        self.routes.contains_key(&id)
    }

    /// Sets or moves a timer.
    pub fn set(&mut self, timer: Timer, at: Mono) {
        if let Some(before) = self.timers.insert(timer.clone(), at) {
            if before == at {
                return;
            }
            self.due.remove(&(before, timer.clone()));
        }
        self.due.insert((at, timer));
    }

    /// Sets a timer, or keeps it where it would fire earlier.
    pub fn set_no_later(&mut self, timer: Timer, at: Mono) {
        if self.timers.get(&timer).is_none_or(|before| at < *before) {
            self.set(timer, at);
        }
    }

    pub fn clear(&mut self, timer: &Timer) {
        if let Some(at) = self.timers.remove(timer) {
            self.due.remove(&(at, timer.clone()));
        }
    }

    pub fn has_timer(&self, timer: &Timer) -> bool {
        self.timers.contains_key(timer)
    }

    pub fn deadline(&self) -> Option<Mono> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The next timer that is due, taken off.
    pub fn next_due(&mut self, now: Mono) -> Option<Timer> {
        let (at, _) = self.due.first()?;
        if *at > now {
            return None;
        }
        let (_, timer) = self.due.pop_first()?;
        self.timers.remove(&timer);
        Some(timer)
    }

    /// Forgets all that waits for a task.
    pub fn forget_task(&mut self, task: &TaskId) {
        for timer in [Timer::Task(task.clone()), Timer::Report(task.clone()), Timer::Cleanup(task.clone())] {
            self.clear(&timer);
        }
        self.containers_by_id.retain(|_, (owner, _)| owner != task);
        self.outbox.forget(task);
        self.ledger.release(task);
    }
}

impl Step {
    pub(crate) fn note(&mut self, fact: Fact) {
        self.notes.push(Note { task: None, container: None, fact });
    }

    pub(crate) fn agent(&mut self, level: Level, word: &'static str, text: impl Into<String>) {
        self.note(Fact::Agent { level, word, text: text.into() });
    }

    pub(crate) fn write<'a>(&mut self, table: &'static str, key: impl Into<Key<'a>>, value: Option<&str>) {
        self.writes.push(table, key, value);
    }
}
