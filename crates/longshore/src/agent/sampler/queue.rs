//! Samples waiting to be told, and the sets that telemetry makes of them (spec 30 §8.3, §8.4).

use std::collections::VecDeque;

use jiff::Timestamp;
use wire::docker::NetworkStats;
use wire::metadata::NetworkRates;

use super::track::Snapshot;

/// Twenty seconds' worth, four times over.
const CAPACITY: usize = 80;

/// What figures are relative to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    /// Processors that this process may use, not those that are there.
    pub cpus: u64,
    /// Bytes.
    pub machine_memory: u64,
}

/// One sample, reduced.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    at: Timestamp,
    /// Nanoseconds over all processors.
    cpu: u64,
    memory_mib: u32,
    block_read: u64,
    block_written: u64,
    network: Option<NetworkStats>,
    restarts: Option<u64>,
    /// Of all processors; `None` in the first entry.
    cpu_percent: Option<f32>,
    rates: Option<NetworkRates>,
    is_sent: bool,
}

impl Entry {
    pub(super) fn of(snapshot: &Snapshot, restarts: Option<u64>) -> Self {
        let reading = &snapshot.reading;
        let reclaimable = if reading.reclaimable < reading.memory { reading.reclaimable } else { 0 };
        let total = reading.network.as_ref().map(|interfaces| {
            interfaces.values().fold(NetworkStats::default(), |sum, one| NetworkStats {
                rx_bytes: sum.rx_bytes + one.rx_bytes,
                rx_packets: sum.rx_packets + one.rx_packets,
                rx_errors: sum.rx_errors + one.rx_errors,
                rx_dropped: sum.rx_dropped + one.rx_dropped,
                tx_bytes: sum.tx_bytes + one.tx_bytes,
                tx_packets: sum.tx_packets + one.tx_packets,
                tx_errors: sum.tx_errors + one.tx_errors,
                tx_dropped: sum.tx_dropped + one.tx_dropped,
                ..NetworkStats::default()
            })
        });
        let has_interfaces = reading.network.as_ref().is_some_and(|interfaces| !interfaces.is_empty());
        Self {
            at: snapshot.at,
            cpu: snapshot.cpu.cpu_usage.total_usage,
            memory_mib: u32::try_from((reading.memory - reclaimable) >> 20).unwrap_or(u32::MAX),
            block_read: reading.block_read,
            block_written: reading.block_written,
            network: total.filter(|_| has_interfaces),
            restarts,
            cpu_percent: None,
            rates: None,
            is_sent: false,
        }
    }
}

/// Entries, oldest first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    entries: VecDeque<Entry>,
}

/// Minimum, maximum, sum and count of floats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct FloatSet {
    pub min: f64,
    pub max: f64,
    pub sum: f64,
    pub count: u64,
}

/// The same of counters; 128 bits, because sums can be larger than the wire's 63 bits, where the rest goes into
/// overflow members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IntegerSet {
    pub min: u128,
    pub max: u128,
    pub sum: u128,
    pub count: u64,
}

/// Cumulative bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StorageSets {
    pub read: IntegerSet,
    pub written: IntegerSet,
}

/// Cumulative counters and rates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct NetworkSets {
    pub rx_bytes: IntegerSet,
    pub rx_dropped: IntegerSet,
    pub rx_errors: IntegerSet,
    pub rx_packets: IntegerSet,
    pub tx_bytes: IntegerSet,
    pub tx_dropped: IntegerSet,
    pub tx_errors: IntegerSet,
    pub tx_packets: IntegerSet,
    pub rx_bytes_per_second: FloatSet,
    pub tx_bytes_per_second: FloatSet,
}

/// What telemetry tells of a container.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ContainerSets {
    /// Percent of all processors.
    pub cpu: FloatSet,
    /// MiB.
    pub memory: FloatSet,
    pub storage: StorageSets,
    /// Where the container has a network of its own.
    pub network: Option<NetworkSets>,
    /// With an enabled restart policy: since the last sets.
    pub restarts: Option<u64>,
}

impl Queue {
    pub(super) fn push(&mut self, mut entry: Entry, cpus: u64) {
        if let Some(last) = self.entries.back() {
            let passed = entry.at.duration_since(last.at).as_nanos();
            if passed <= 0 {
                entry.cpu_percent = last.cpu_percent;
                entry.rates = last.rates;
            } else {
                fill(&mut entry, last, passed, cpus.max(1));
            }
        }
        if self.entries.len() == CAPACITY {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    /// Of the newest sample.
    pub(super) fn rates(&self) -> Option<NetworkRates> {
        self.entries.back()?.rates
    }

    /// What is sent is not needed any more, but for the newest: the next differences begin there.
    pub(super) fn mark_sent(&mut self) {
        self.entries.drain(..self.entries.len().saturating_sub(1));
        self.entries.iter_mut().for_each(|entry| entry.is_sent = true);
    }

    /// Over what is not sent; `None` without two samples or without a figure for CPU.
    pub(super) fn sets(&self) -> Option<ContainerSets> {
        if self.entries.len() < 2 {
            return None;
        }
        let unsent = || self.entries.iter().filter(|entry| !entry.is_sent);
        let counters = |of: fn(&Entry) -> u64| integers(unsent().map(of));
        Some(ContainerSets {
            cpu: floats(unsent().filter_map(|entry| entry.cpu_percent).map(f64::from))?,
            memory: floats(unsent().map(|entry| f64::from(entry.memory_mib)))?,
            storage: StorageSets {
                read: counters(|entry| entry.block_read)?,
                written: counters(|entry| entry.block_written)?,
            },
            network: self.network_sets(),
            restarts: self.restarts(),
        })
    }

    fn network_sets(&self) -> Option<NetworkSets> {
        let unsent = || self.entries.iter().filter(|entry| !entry.is_sent);
        if unsent().all(|entry| entry.network.is_none()) {
            return None;
        }
        let counters =
            |of: fn(&NetworkStats) -> u64| integers(unsent().map(|entry| entry.network.as_ref().map_or(0, of)));
        let rates = |of: fn(&NetworkRates) -> f32| {
            floats(unsent().filter_map(|entry| match (&entry.network, &entry.rates) {
                (None, _) => Some(0.0),
                (Some(_), rates) => rates.as_ref().map(of).map(f64::from),
            }))
        };
        Some(NetworkSets {
            rx_bytes: counters(|n| n.rx_bytes)?,
            rx_dropped: counters(|n| n.rx_dropped)?,
            rx_errors: counters(|n| n.rx_errors)?,
            rx_packets: counters(|n| n.rx_packets)?,
            tx_bytes: counters(|n| n.tx_bytes)?,
            tx_dropped: counters(|n| n.tx_dropped)?,
            tx_errors: counters(|n| n.tx_errors)?,
            tx_packets: counters(|n| n.tx_packets)?,
            rx_bytes_per_second: rates(|r| r.rx_bytes_per_sec)?,
            tx_bytes_per_second: rates(|r| r.tx_bytes_per_sec)?,
        })
    }

    /// The base is the entry before the first unsent one, so that a restart on the border counts (spec 30 trap 46).
    fn restarts(&self) -> Option<u64> {
        let newest = self.entries.back()?.restarts?;
        let first = self.entries.iter().position(|entry| !entry.is_sent && entry.restarts.is_some())?;
        let base = self.entries.get(first.saturating_sub(1))?.restarts?;
        newest.checked_sub(base)
    }
}

/// Rates since the last entry, in 32-bit floats like the reference's. A counter that went backwards has none.
fn fill(entry: &mut Entry, last: &Entry, passed: i128, cpus: u64) {
    #![allow(clippy::cast_precision_loss)]
    let passed = passed as f32;
    let used = (entry.cpu / cpus).checked_sub(last.cpu / cpus);
    entry.cpu_percent = used.map(|used| 100.0 * used as f32 / passed);
    if let (Some(now), Some(before)) = (&entry.network, &last.network) {
        let rate = |now: u64, before: u64| now.checked_sub(before).map(|bytes| 1e9 * bytes as f32 / passed);
        let rates = rate(now.rx_bytes, before.rx_bytes).zip(rate(now.tx_bytes, before.tx_bytes));
        entry.rates =
            rates.map(|(rx_bytes_per_sec, tx_bytes_per_sec)| NetworkRates { rx_bytes_per_sec, tx_bytes_per_sec });
    }
}

fn floats(values: impl Iterator<Item = f64>) -> Option<FloatSet> {
    values.fold(None, |set, value| {
        Some(set.map_or(FloatSet { min: value, max: value, sum: value, count: 1 }, |set: FloatSet| FloatSet {
            min: set.min.min(value),
            max: set.max.max(value),
            sum: set.sum + value,
            count: set.count + 1,
        }))
    })
}

fn integers(values: impl Iterator<Item = u64>) -> Option<IntegerSet> {
    values.map(u128::from).fold(None, |set, value| {
        Some(set.map_or(IntegerSet { min: value, max: value, sum: value, count: 1 }, |set: IntegerSet| IntegerSet {
            min: set.min.min(value),
            max: set.max.max(value),
            sum: set.sum + value,
            count: set.count + 1,
        }))
    })
}
