//! Counters that go on over restarts (spec 30 §8.5): what a container used before it was started again is added.

use std::collections::BTreeMap;

use host::stats::Reading;
use wire::docker::{BlkioEntry, CpuStats, NetworkStats};

use super::track::Snapshot;

/// What was used by the earlier lives of a container.
#[derive(Debug, Clone, Default)]
pub(super) struct Earlier {
    cpu: CpuStats,
    block_read: u64,
    block_written: u64,
    network: BTreeMap<String, NetworkStats>,
}

impl From<&Snapshot> for Earlier {
    fn from(snapshot: &Snapshot) -> Self {
        Self {
            cpu: snapshot.cpu.clone(),
            block_read: snapshot.reading.block_read,
            block_written: snapshot.reading.block_written,
            network: snapshot.reading.network.clone().unwrap_or_default(),
        }
    }
}

impl Earlier {
    pub(super) fn add_to(&self, cpu: &mut CpuStats, reading: &mut Reading) {
        let (usage, earlier) = (&mut cpu.cpu_usage, &self.cpu.cpu_usage);
        usage.total_usage += earlier.total_usage;
        usage.usage_in_kernelmode += earlier.usage_in_kernelmode;
        usage.usage_in_usermode += earlier.usage_in_usermode;
        if usage.percpu_usage.len() < earlier.percpu_usage.len() {
            usage.percpu_usage.resize(earlier.percpu_usage.len(), 0);
        }
        for (now, before) in usage.percpu_usage.iter_mut().zip(&earlier.percpu_usage) {
            *now += before;
        }
        let (throttling, earlier) = (&mut cpu.throttling_data, &self.cpu.throttling_data);
        throttling.periods += earlier.periods;
        throttling.throttled_periods += earlier.throttled_periods;
        throttling.throttled_time += earlier.throttled_time;
        reading.block_read += self.block_read;
        reading.block_written += self.block_written;
        for (name, now) in reading.network.iter_mut().flatten() {
            let Some(before) = self.network.get(name) else { continue };
            now.rx_bytes += before.rx_bytes;
            now.rx_packets += before.rx_packets;
            now.rx_errors += before.rx_errors;
            now.rx_dropped += before.rx_dropped;
            now.tx_bytes += before.tx_bytes;
            now.tx_packets += before.tx_packets;
            now.tx_errors += before.tx_errors;
            now.tx_dropped += before.tx_dropped;
        }
    }
}

/// The devices' figures with what was read and written before; that is put on the first device, since which it was
/// is not kept.
pub(super) fn with_earlier_blocks(earlier: &Earlier, mut entries: Vec<BlkioEntry>) -> Vec<BlkioEntry> {
    for (operation, bytes) in [("read", earlier.block_read), ("write", earlier.block_written)] {
        if let Some(entry) = entries.iter_mut().find(|entry| entry.op.eq_ignore_ascii_case(operation)) {
            entry.value += bytes;
        }
    }
    entries
}
