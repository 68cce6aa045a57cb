//! One container: where its figures come from, its last two samples, and its queue.

use std::sync::Arc;

use engine::container::Container;
use host::stats::{Detail, Reader, Reading, Roots, Scratch, SystemCpu};
use jiff::Timestamp;
use wire::docker::{BlkioStats, CpuStats, MemoryStats, PidsStats, Stats};
use wire::ids::DockerId;

use super::queue::{Entry, Queue, Scale};
use super::restarts::{add_to_reading, add_to_rest, block_bytes, kept};
use super::{Sample, has_own_network};

/// So many looks after its files vanished Docker is asked, not before: they mostly are those of a container that ends, and
/// a Docker Engine that is busy with many ends has better things to do.
const QUIET_LOOKS: u32 = 10;

/// After this many looks in vain Docker is asked for the figures themselves.
const MOST_SEARCHES: u32 = 2;

pub(super) struct Track {
    id: DockerId,
    /// With a leading slash.
    name: String,
    source: Option<Reader>,
    has_own_network: bool,
    searches: u32,
    /// Looks still to come before Docker is asked.
    quiet: u32,
    last: Option<Snapshot>,
    previous: Option<Snapshot>,
    pub(super) queue: Queue,
    /// With an enabled restart policy: how often it was started again.
    restarts: Option<u64>,
    /// What it used before that.
    earlier: Option<Box<Stats>>,
    /// With a restart policy: the last whole sample, since the files are gone when a start shows that it is wanted.
    latest: Option<Arc<Sample>>,
    /// Made from `last`.
    shown: Option<Arc<Sample>>,
}

/// One sample.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub at: Timestamp,
    pub cpu: CpuStats,
    pub reading: Reading,
    /// The whole, where Docker told it.
    pub told: Option<Box<Stats>>,
}

impl Track {
    pub(super) fn new(id: &DockerId, container: &Container) -> Self {
        Self {
            id: id.clone(),
            name: container.state.docker_name.as_ref().map(|name| format!("/{name}")).unwrap_or_default(),
            source: None,
            has_own_network: has_own_network(container),
            searches: 0,
            quiet: 0,
            last: None,
            previous: None,
            queue: Queue::default(),
            restarts: container.definition.restart_policy.as_ref().map(|_| container.state.restarts.count),
            earlier: container.state.used_before.clone(),
            latest: None,
            shown: None,
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    pub(super) const fn has_own_network(&self) -> bool {
        self.has_own_network
    }

    /// Whether Docker may still tell where the files are.
    pub(super) const fn wants_place(&self) -> bool {
        self.searches < MOST_SEARCHES
    }

    pub(super) fn use_reader(&mut self, reader: Reader) {
        self.source = Some(reader);
    }

    /// A container that was started again begins at zero; what it used before is added from then on. Returns that
    /// when it is news.
    pub(super) fn follow_restarts(&mut self, container: &Container) -> Option<Box<Stats>> {
        self.has_own_network = has_own_network(container);
        if self.restarts? == container.state.restarts.count {
            return None;
        }
        self.restarts = Some(container.state.restarts.count);
        self.source = None;
        self.searches = 0;
        self.quiet = 0;
        // A life that nobody sampled adds nothing to those before it.
        let earlier = Box::new(kept(&self.latest.take()?.stats));
        self.earlier = Some(earlier.clone());
        Some(earlier)
    }

    /// Takes a sample from the kernel's files, `parent` being the task's cgroup; false when Docker is to be asked instead.
    pub(super) fn read(
        &mut self,
        roots: &Roots,
        parent: Option<&str>,
        scratch: &mut Scratch,
        system: SystemCpu,
        scale: &Scale,
        now: Timestamp,
    ) -> bool {
        let is_quiet = self.quiet > 0;
        self.quiet = self.quiet.saturating_sub(1);
        if self.source.is_none() && (is_quiet || self.wants_place()) {
            self.source = Reader::of_container(roots, self.id.as_str(), parent, self.has_own_network).ok();
            self.searches += u32::from(self.source.is_none() && !is_quiet);
        }
        let Some(source) = &self.source else { return is_quiet };
        let Ok(mut reading) = source.read(scratch) else {
            (self.source, self.searches) = (None, 0);
            self.quiet = QUIET_LOOKS;
            return true;
        };
        let mut cpu = CpuStats {
            cpu_usage: std::mem::take(&mut reading.cpu),
            system_cpu_usage: system.usage,
            online_cpus: system.online,
            ..CpuStats::default()
        };
        if let Some(earlier) = &self.earlier {
            add_to_reading(earlier, &mut cpu, &mut reading);
        }
        self.push(Snapshot { at: now, cpu, reading, told: None }, scale);
        true
    }

    /// Takes a sample that Docker told.
    pub(super) fn take_stats(&mut self, mut stats: Stats, scale: &Scale, now: Timestamp) {
        let memory = &stats.memory_stats;
        let reclaimable = memory.stats.get("inactive_file").or_else(|| memory.stats.get("cache"));
        let mut reading = Reading {
            memory: memory.usage,
            reclaimable: reclaimable.copied().unwrap_or(0),
            block_read: block_bytes(&stats, "read"),
            block_written: block_bytes(&stats, "write"),
            network: (!stats.networks.is_empty()).then(|| stats.networks.clone()),
            ..Reading::default()
        };
        let mut cpu = stats.cpu_stats.clone();
        if let Some(earlier) = &self.earlier {
            add_to_reading(earlier, &mut cpu, &mut reading);
            add_to_rest(earlier, &mut stats);
        }
        self.push(Snapshot { at: stats.read.unwrap_or(now), cpu, reading, told: Some(Box::new(stats)) }, scale);
    }

    fn push(&mut self, snapshot: Snapshot, scale: &Scale) {
        self.queue.push(Entry::of(&snapshot, self.restarts), scale.cpus);
        self.previous = self.last.replace(snapshot);
        self.shown = None;
        if self.restarts.is_some() {
            self.latest = self.sample(scale).or(self.latest.take());
        }
    }

    /// The last sample in Docker's shape. Made once for each sample, when somebody asks.
    pub(super) fn sample(&mut self, scale: &Scale) -> Option<Arc<Sample>> {
        if let Some(shown) = &self.shown {
            return Some(Arc::clone(shown));
        }
        let last = self.last.as_ref()?;
        let stats = match &last.told {
            Some(told) => Stats {
                cpu_stats: last.cpu.clone(),
                networks: last.reading.network.clone().unwrap_or_default(),
                ..told.as_ref().clone()
            },
            None => self.compose(last, scale)?,
        };
        let previous = self.previous.as_ref();
        let stats = Stats {
            read: Some(last.at),
            preread: previous.map(|snapshot| snapshot.at),
            precpu_stats: previous.map(|snapshot| snapshot.cpu.clone()).unwrap_or_default(),
            name: self.name.clone(),
            id: self.id.to_string(),
            ..stats
        };
        let sample = Arc::new(Sample::new(stats, self.queue.rates()));
        self.shown = Some(Arc::clone(&sample));
        Some(sample)
    }

    /// `None` when the container ended just now.
    fn compose(&self, last: &Snapshot, scale: &Scale) -> Option<Stats> {
        let Detail {
            throttling,
            memory,
            memory_peak,
            memory_failures,
            memory_limit,
            memory_stats,
            pids,
            pids_limit,
            block_bytes,
            block_operations,
        } = self.source.as_ref()?.detail().ok()?;
        let mut cpu_stats = last.cpu.clone();
        // An earlier life's is there already.
        let all = &mut cpu_stats.throttling_data;
        all.periods += throttling.periods;
        all.throttled_periods += throttling.throttled_periods;
        all.throttled_time += throttling.throttled_time;
        // v1 has a list for each kind of figure, though most stay empty; v2 has one.
        let of_v1 = |list: Option<Vec<_>>| block_operations.as_ref().map(|_| list.unwrap_or_default());
        let limit = memory_limit.unwrap_or(u64::MAX);
        let limit = if scale.machine_memory > 0 { limit.min(scale.machine_memory) } else { limit };
        let mut stats = Stats {
            pids_stats: PidsStats { current: pids, limit: pids_limit },
            blkio_stats: BlkioStats {
                io_service_bytes_recursive: Some(block_bytes),
                io_serviced_recursive: of_v1(block_operations.clone()),
                io_queue_recursive: of_v1(None),
                io_service_time_recursive: of_v1(None),
                io_wait_time_recursive: of_v1(None),
                io_merged_recursive: of_v1(None),
                io_time_recursive: of_v1(None),
                sectors_recursive: of_v1(None),
            },
            cpu_stats,
            memory_stats: MemoryStats {
                usage: memory,
                max_usage: memory_peak,
                stats: memory_stats,
                failcnt: memory_failures,
                limit,
                ..MemoryStats::default()
            },
            networks: last.reading.network.clone().unwrap_or_default(),
            ..Stats::default()
        };
        if let Some(earlier) = &self.earlier {
            add_to_rest(earlier, &mut stats);
        }
        Some(stats)
    }
}
