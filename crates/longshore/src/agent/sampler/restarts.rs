//! Counters that go on over restarts (spec 30 §8.5): what a container used before it was started again is added. The
//! last statistics before a restart are that sum already, so one document holds all earlier lives.

use host::stats::Reading;
use wire::docker::{BlkioEntry, BlkioStats, CpuStats, Stats};

/// What of the last statistics is needed after the next start, to be kept.
pub(super) fn kept(last: &Stats) -> Stats {
    let mut kept = Stats { precpu_stats: CpuStats::default(), ..last.clone() };
    // Not a sum over lives, and most of the text.
    kept.memory_stats.stats.clear();
    kept
}

/// Adds to what is read every time.
pub(super) fn add_to_reading(earlier: &Stats, cpu: &mut CpuStats, reading: &mut Reading) {
    let add = |now: &mut u64, before: u64| *now = now.saturating_add(before);
    let (usage, before) = (&mut cpu.cpu_usage, &earlier.cpu_stats.cpu_usage);
    add(&mut usage.total_usage, before.total_usage);
    add(&mut usage.usage_in_kernelmode, before.usage_in_kernelmode);
    add(&mut usage.usage_in_usermode, before.usage_in_usermode);
    if usage.percpu_usage.len() < before.percpu_usage.len() {
        usage.percpu_usage.resize(before.percpu_usage.len(), 0);
    }
    for (now, before) in usage.percpu_usage.iter_mut().zip(&before.percpu_usage) {
        add(now, *before);
    }
    let (throttling, before) = (&mut cpu.throttling_data, &earlier.cpu_stats.throttling_data);
    add(&mut throttling.periods, before.periods);
    add(&mut throttling.throttled_periods, before.throttled_periods);
    add(&mut throttling.throttled_time, before.throttled_time);
    add(&mut reading.block_read, block_bytes(earlier, "read"));
    add(&mut reading.block_written, block_bytes(earlier, "write"));
    for (name, now) in reading.network.iter_mut().flatten() {
        let Some(before) = earlier.networks.get(name) else { continue };
        add(&mut now.rx_bytes, before.rx_bytes);
        add(&mut now.rx_packets, before.rx_packets);
        add(&mut now.rx_errors, before.rx_errors);
        add(&mut now.rx_dropped, before.rx_dropped);
        add(&mut now.tx_bytes, before.tx_bytes);
        add(&mut now.tx_packets, before.tx_packets);
        add(&mut now.tx_errors, before.tx_errors);
        add(&mut now.tx_dropped, before.tx_dropped);
    }
}

/// Adds to what is read only when somebody asks.
pub(super) fn add_to_rest(earlier: &Stats, stats: &mut Stats) {
    let (memory, before) = (&mut stats.memory_stats, &earlier.memory_stats);
    memory.failcnt = memory.failcnt.saturating_add(before.failcnt);
    memory.max_usage = memory.max_usage.max(before.max_usage);
    let (now, before) = (std::mem::take(&mut stats.blkio_stats), &earlier.blkio_stats);
    stats.blkio_stats = BlkioStats {
        io_service_bytes_recursive: merged(&before.io_service_bytes_recursive, now.io_service_bytes_recursive),
        io_serviced_recursive: merged(&before.io_serviced_recursive, now.io_serviced_recursive),
        // What waits now, not a count.
        io_queue_recursive: now.io_queue_recursive,
        io_service_time_recursive: merged(&before.io_service_time_recursive, now.io_service_time_recursive),
        io_wait_time_recursive: merged(&before.io_wait_time_recursive, now.io_wait_time_recursive),
        io_merged_recursive: merged(&before.io_merged_recursive, now.io_merged_recursive),
        io_time_recursive: merged(&before.io_time_recursive, now.io_time_recursive),
        sectors_recursive: merged(&before.sectors_recursive, now.sectors_recursive),
    };
}

/// Bytes read or written on all devices.
pub(super) fn block_bytes(stats: &Stats, operation: &str) -> u64 {
    let all = stats.blkio_stats.io_service_bytes_recursive.iter().flatten();
    all.filter(|entry| entry.op.eq_ignore_ascii_case(operation)).map(|entry| entry.value).sum()
}

/// By device and operation, the earlier ones first.
fn merged(earlier: &Option<Vec<BlkioEntry>>, now: Option<Vec<BlkioEntry>>) -> Option<Vec<BlkioEntry>> {
    let Some(earlier) = earlier else { return now };
    let mut all = earlier.clone();
    for entry in now.into_iter().flatten() {
        let same = |other: &&mut BlkioEntry| {
            (other.major, other.minor) == (entry.major, entry.minor) && other.op.eq_ignore_ascii_case(&entry.op)
        };
        match all.iter_mut().find(same) {
            Some(before) => before.value = before.value.saturating_add(entry.value),
            None => all.push(entry),
        }
    }
    Some(all)
}
