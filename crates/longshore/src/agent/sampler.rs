//! Statistics of all running containers, read from the kernel by one task once a second. Docker is asked only
//! about containers whose files are not to be had (a remote or rootless Engine), and then less often.
//!
//! Serves two readers: the metadata endpoints, which show the last sample in Docker's shape, and telemetry, which
//! takes what is queued as sets of minimum, maximum and sum (spec 30 §8).

mod queue;
mod restarts;
mod track;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use engine::Event;
use engine::container::Container;
use engine::status::ContainerStatus;
use engine::task::Task;
use host::stats::{Reader, Roots, Scratch, SystemClock, SystemCpu};
use jiff::Timestamp;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use wire::docker::Stats;
use wire::ids::DockerId;
use wire::metadata::{NetworkRates, StatsDocument};

pub(crate) use queue::{ContainerSets, FloatSet, IntegerSet, NetworkSets};

use super::published::Published;
use queue::Scale;
use track::Track;

/// How often the kernel is asked.
pub(crate) const PERIOD: Duration = Duration::from_secs(1);

/// How many periods pass between two questions to Docker about one container.
const DOCKER_EVERY: u64 = 5;

/// How often is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    kernel: Duration,
    /// In units of the above.
    docker: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { kernel: PERIOD, docker: DOCKER_EVERY }
    }
}

impl Pace {
    /// As an operator wants it who has set `ECS_POLL_METRICS`.
    pub(crate) const fn polled(interval: Duration) -> Self {
        Self { kernel: interval, docker: 1 }
    }
}

/// What a round found.
struct Round {
    /// Containers that only Docker can tell about.
    unreadable: Vec<(DockerId, Arc<Mutex<Track>>)>,
    /// What is to be kept of containers that were started again.
    restarted: Vec<Event>,
}

/// Questions to Docker at one time.
const DOCKER_AT_ONCE: usize = 4;

/// What is known of all containers. Clones share it.
#[derive(Clone)]
pub(crate) struct Samples(Arc<Inner>);

struct Inner {
    /// `ECS_DISABLE_METRICS`: nothing is tracked.
    is_off: bool,
    roots: Roots,
    scale: Scale,
    tracks: Mutex<BTreeMap<DockerId, Arc<Mutex<Track>>>>,
    system: Mutex<System>,
}

/// The machine's clock and what it said last.
struct System {
    clock: Option<SystemClock>,
    last: SystemCpu,
}

/// A container's last sample as the endpoints show it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    pub stats: Stats,
    /// From the second sample on, where there is a network.
    pub rates: Option<NetworkRates>,
    /// Without and with rates; kept for who asks again.
    texts: [OnceLock<Bytes>; 2],
}

impl Sample {
    fn new(stats: Stats, rates: Option<NetworkRates>) -> Self {
        Self { stats, rates, texts: Default::default() }
    }

    /// Memory in use as `docker stats` shows it: cached files that can be dropped do not count.
    pub(crate) fn memory_in_use(&self) -> u64 {
        let memory = &self.stats.memory_stats;
        let cached = memory.stats.get("total_inactive_file").or_else(|| memory.stats.get("inactive_file"));
        memory.usage - cached.copied().filter(|cached| *cached < memory.usage).unwrap_or(0)
    }

    /// Bytes that were `read` from or written (`write`) to all devices.
    pub(crate) fn block_bytes(&self, operation: &str) -> u64 {
        restarts::block_bytes(&self.stats, operation)
    }

    /// The document; `None` if it cannot be written.
    pub(crate) fn text(&self, with_rates: bool) -> Option<Bytes> {
        let kept = &self.texts[usize::from(with_rates)];
        if let Some(text) = kept.get() {
            return Some(text.clone());
        }
        let network_rate_stats = self.rates.filter(|_| with_rates);
        let text = wire::metadata::to_vec(&StatsDocument { stats: &self.stats, network_rate_stats }).ok()?;
        Some(kept.get_or_init(|| text.into()).clone())
    }
}

/// What there is to show of a container.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Sampled {
    /// It does not run, or nothing is tracked.
    Untracked,
    /// It runs, but nothing was read yet.
    NotYet,
    Some(Arc<Sample>),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Samples {
    /// Nothing tracked yet. `is_off` is `ECS_DISABLE_METRICS`.
    pub(crate) fn new(is_off: bool) -> Self {
        Self::with_roots(is_off, Roots::detect())
    }

    fn with_roots(is_off: bool, roots: Roots) -> Self {
        let clock = SystemClock::open(&roots.proc).ok();
        let scale = Scale {
            cpus: host::facts::logical_cpus().into(),
            machine_memory: host::facts::total_memory().unwrap_or(0),
        };
        let system = Mutex::new(System { clock, last: SystemCpu::default() });
        Self(Arc::new(Inner { is_off, roots, scale, tracks: Mutex::default(), system }))
    }

    /// The last sample. A running container that was not seen yet is read at once.
    pub(crate) fn of(&self, task: &Task, container: &Container) -> Sampled {
        let Some(id) = self.tracked_id(container) else { return Sampled::Untracked };
        let track = self.track(id, container);
        let mut track = lock(&track);
        if track.is_empty() {
            let system = self.read_system();
            track.read(
                &self.0.roots,
                parent_of(task),
                &mut Scratch::default(),
                system,
                &self.0.scale,
                Timestamp::now(),
            );
        }
        track.sample(&self.0.scale).map_or(Sampled::NotYet, Sampled::Some)
    }

    /// What was queued since the last call of [`Samples::mark_sent`], by Docker id; a container without CPU and memory
    /// figures is left out (spec 30 §8.7).
    pub(crate) fn sets(&self) -> BTreeMap<DockerId, ContainerSets> {
        let tracks = lock(&self.0.tracks).clone();
        tracks.into_iter().filter_map(|(id, track)| Some((id, lock(&track).queue.sets()?))).collect()
    }

    /// Whether no container is watched.
    pub(crate) fn is_idle(&self) -> bool {
        lock(&self.0.tracks).is_empty()
    }

    /// What is queued was put into a message; it stays as the base of the next difference.
    pub(crate) fn mark_sent(&self) {
        for track in lock(&self.0.tracks).values() {
            lock(track).queue.mark_sent();
        }
    }

    fn tracked_id<'c>(&self, container: &'c Container) -> Option<&'c DockerId> {
        let is_running = container.state.known.is_running();
        container.state.docker_id.as_ref().filter(|_| is_running && !self.0.is_off)
    }

    fn track(&self, id: &DockerId, container: &Container) -> Arc<Mutex<Track>> {
        let mut tracks = lock(&self.0.tracks);
        let track = tracks.entry(id.clone()).or_insert_with(|| Arc::new(Mutex::new(Track::new(id, container))));
        Arc::clone(track)
    }

    fn read_system(&self) -> SystemCpu {
        let mut system = lock(&self.0.system);
        if let Some(read) = system.clock.as_mut().and_then(|clock| clock.read().ok()) {
            system.last = read;
        }
        system.last
    }

    /// One round over all running containers.
    fn round(&self, tasks: &[Arc<Task>], now: Timestamp) -> Round {
        let containers = tasks.iter().flat_map(|task| task.containers.iter().map(move |container| (task, container)));
        let running: Vec<(&DockerId, &Task, &Container)> = containers
            .filter_map(|(task, container)| Some((self.tracked_id(container)?, task.as_ref(), container)))
            .collect();
        let ids: BTreeSet<&DockerId> = running.iter().map(|(id, ..)| *id).collect();
        let mut round = Round { unreadable: Vec::new(), restarted: Vec::new() };
        lock(&self.0.tracks).retain(|id, _| ids.contains(id));
        if running.is_empty() {
            return round;
        }
        let system = self.read_system();
        let mut scratch = Scratch::default();
        for (id, task, container) in running {
            let track = self.track(id, container);
            let mut locked = lock(&track);
            if let Some(stats) = locked.follow_restarts(container) {
                let (task, container) = (task.id().clone(), container.name().to_owned());
                round.restarted.push(Event::UsedBefore { task, container, stats });
            }
            if !locked.read(&self.0.roots, parent_of(task), &mut scratch, system, &self.0.scale, now) {
                round.unreadable.push((id.clone(), Arc::clone(&track)));
            }
        }
        round
    }
}

/// Samples until `shutdown`.
pub(crate) async fn run(
    samples: Samples,
    published: Published,
    docker: docker::Engine,
    pace: Pace,
    shutdown: CancellationToken,
) {
    if samples.0.is_off {
        return;
    }
    let mut ticks = tokio::time::interval(pace.kernel);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for round in 0_u64.. {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let Round { unreadable, restarted } = samples.round(&published.tasks(), Timestamp::now());
        for event in restarted {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = published.desk().tell(event) => {}
            }
        }
        if round % pace.docker == 0 && !unreadable.is_empty() {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = ask_docker(&samples, &docker, unreadable) => {}
            }
        }
    }
}

/// For containers whose files are elsewhere than expected: where they are, or else the figures themselves.
async fn ask_docker(samples: &Samples, docker: &docker::Engine, unreadable: Vec<(DockerId, Arc<Mutex<Track>>)>) {
    use futures_util::StreamExt;
    let questions = unreadable.into_iter().map(|(id, track)| async move {
        if lock(&track).wants_place() {
            let pid = docker.inspect(id.as_str()).await.ok().and_then(|found| u32::try_from(found.state.pid).ok());
            let has_own_network = lock(&track).has_own_network();
            let reader = pid
                .filter(|pid| *pid > 0)
                .and_then(|pid| Reader::of_process(&samples.0.roots, pid, has_own_network).ok());
            if let Some(reader) = reader {
                lock(&track).use_reader(reader);
                return;
            }
        }
        match docker.stats(id.as_str(), true).await {
            Ok(text) => {
                if let Ok(stats) = serde_json::from_slice::<Stats>(&text) {
                    lock(&track).take_stats(stats, &samples.0.scale, Timestamp::now());
                }
            }
            Err(error) => tracing::debug!(container = %id, %error, "No statistics"),
        }
    });
    futures_util::stream::iter(questions).buffer_unordered(DOCKER_AT_ONCE).collect::<Vec<()>>().await;
}

/// The cgroup that holds the task's containers.
fn parent_of(task: &Task) -> Option<&str> {
    task.definition.cgroup.as_ref().map(|cgroup| cgroup.parent.as_str())
}

/// Whether the container has a network whose counters are its own (spec 30 §3.10: none in host mode).
fn has_own_network(container: &Container) -> bool {
    let mode = container.state.network.mode.as_str();
    mode != "host" && !mode.starts_with("container:") && container.state.known != ContainerStatus::Stopped
}
