//! The kernel's tables, as text. Counters that cannot be are cut to what a `u64` holds: a container's file systems may
//! be of any making, and a wrong number must not end the agent.

use std::collections::BTreeMap;

use wire::docker::{BlkioEntry, CpuUsage, NetworkStats, ThrottlingData};

/// cgroup v1 and `/proc/stat` count in hundredths of a second.
const TICK: u64 = 10_000_000;

/// `cpuacct.usage_percpu` and `cpuacct.stat` of cgroup v1.
#[must_use]
pub fn processor_v1(per_cpu: &str, modes: &str) -> CpuUsage {
    let percpu_usage: Vec<u64> = per_cpu.split_ascii_whitespace().filter_map(|value| value.parse().ok()).collect();
    let total_usage = percpu_usage.iter().fold(0, |sum: u64, value| sum.saturating_add(*value));
    let mut usage = CpuUsage { total_usage, percpu_usage, ..CpuUsage::default() };
    for (name, ticks) in pairs(modes) {
        match name {
            "user" => usage.usage_in_usermode = ticks.saturating_mul(TICK),
            "system" => usage.usage_in_kernelmode = ticks.saturating_mul(TICK),
            _ => {}
        }
    }
    usage
}

/// `cpu.stat` of cgroup v2.
#[must_use]
pub fn processor_v2(text: &str) -> CpuUsage {
    let mut usage = CpuUsage::default();
    for (name, microseconds) in pairs(text) {
        let nanoseconds = microseconds.saturating_mul(1000);
        match name {
            "usage_usec" => usage.total_usage = nanoseconds,
            "user_usec" => usage.usage_in_usermode = nanoseconds,
            "system_usec" => usage.usage_in_kernelmode = nanoseconds,
            _ => {}
        }
    }
    usage
}

/// The throttling lines of `cpu.stat`, of either version.
#[must_use]
pub fn throttling(text: &str) -> ThrottlingData {
    let mut throttling = ThrottlingData::default();
    for (name, value) in pairs(text) {
        match name {
            "nr_periods" => throttling.periods = value,
            "nr_throttled" => throttling.throttled_periods = value,
            "throttled_time" => throttling.throttled_time = value,
            "throttled_usec" => throttling.throttled_time = value.saturating_mul(1000),
            _ => {}
        }
    }
    throttling
}

/// Bytes read and written, over all devices.
pub fn block_totals<'t>(lines: impl Iterator<Item = (u64, u64, &'t str, u64)>) -> (u64, u64) {
    lines.fold((0, 0), |(read, written): (u64, u64), (_, _, operation, bytes)| {
        if operation.eq_ignore_ascii_case("read") {
            (read.saturating_add(bytes), written)
        } else if operation.eq_ignore_ascii_case("write") {
            (read, written.saturating_add(bytes))
        } else {
            (read, written)
        }
    })
}

/// Nanoseconds that all processors of `/proc/stat` have spent, idle time included, and how many there are.
#[must_use]
pub fn machine(text: &str) -> (u64, u64) {
    // user, nice, system, idle, iowait, irq, softirq
    const COLUMNS: usize = 7;
    let (mut usage, mut online) = (0, 0);
    for line in text.lines().take_while(|line| line.starts_with("cpu")) {
        match line.strip_prefix("cpu ") {
            Some(columns) => {
                let ticks =
                    columns.split_ascii_whitespace().take(COLUMNS).filter_map(|ticks| ticks.parse::<u64>().ok());
                usage = ticks.fold(0, u64::saturating_add).saturating_mul(TICK);
            }
            None => online += 1,
        }
    }
    (usage, online)
}

/// `name value` lines.
pub fn pairs(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.lines().filter_map(|line| {
        let (name, value) = line.split_once(' ')?;
        Some((name, value.trim().parse().ok()?))
    })
}

/// The value of a `name value` line; 0 where there is none.
pub fn value(text: &str, wanted: &str) -> u64 {
    pairs(text).find(|(name, _)| *name == wanted).map_or(0, |(_, value)| value)
}

/// Interfaces that are in every namespace and are nobody's network: loopback and the kernel's tunnel templates.
const NOT_NETWORK: [&str; 10] =
    ["lo", "tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "sit0", "ip6tnl0", "ip6gre0"];

/// `/proc/<pid>/net/dev`.
pub fn interfaces(text: &str) -> BTreeMap<String, NetworkStats> {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines
        .map(|(name, values)| (name.trim(), values))
        .filter(|(name, _)| !NOT_NETWORK.contains(name))
        .filter_map(|(name, values)| {
            let mut values = values.split_ascii_whitespace().map(|value| value.parse().unwrap_or(0));
            let mut next = || values.next();
            let stats = NetworkStats {
                rx_bytes: next()?,
                rx_packets: next()?,
                rx_errors: next()?,
                rx_dropped: next()?,
                ..NetworkStats::default()
            };
            // fifo, frame, compressed, multicast
            let _ = (next()?, next()?, next()?, next()?);
            let stats = NetworkStats {
                tx_bytes: next()?,
                tx_packets: next()?,
                tx_errors: next()?,
                tx_dropped: next()?,
                ..stats
            };
            Some((name.to_owned(), stats))
        })
        .collect()
}

/// `8:0 Read 4096` lines of cgroup v1; the total over all devices is left out.
pub fn block_v1(text: &str) -> impl Iterator<Item = (u64, u64, &str, u64)> {
    text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (major, minor) = device(words.next()?)?;
        Some((major, minor, words.next()?, words.next()?.parse().ok()?))
    })
}

/// `8:0 rbytes=4096 wbytes=0 …` lines of cgroup v2: bytes read and written by device.
pub fn block_v2(text: &str) -> impl Iterator<Item = (u64, u64, &'static str, u64)> {
    text.lines()
        .filter_map(|line| {
            let (name, counters) = line.split_once(' ')?;
            let (major, minor) = device(name)?;
            let value = |wanted: &str| {
                let mut counters = counters.split_ascii_whitespace().filter_map(|counter| counter.split_once('='));
                counters.find(|(name, _)| *name == wanted)?.1.parse().ok()
            };
            Some([(major, minor, "read", value("rbytes")?), (major, minor, "write", value("wbytes")?)])
        })
        .flatten()
}

fn device(text: &str) -> Option<(u64, u64)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// As Docker lists them.
pub fn entries<'t>(lines: impl Iterator<Item = (u64, u64, &'t str, u64)>) -> Vec<BlkioEntry> {
    lines.map(|(major, minor, op, value)| BlkioEntry { major, minor, op: op.to_owned(), value }).collect()
}

/// What Docker shows of `memory.stat` of cgroup v2.
const MEMORY_V2: [&str; 31] = [
    "active_anon",
    "active_file",
    "anon",
    "anon_thp",
    "file",
    "file_dirty",
    "file_mapped",
    "file_writeback",
    "inactive_anon",
    "inactive_file",
    "kernel_stack",
    "pgactivate",
    "pgdeactivate",
    "pgfault",
    "pglazyfree",
    "pglazyfreed",
    "pgmajfault",
    "pgrefill",
    "pgscan",
    "pgsteal",
    "shmem",
    "slab",
    "slab_reclaimable",
    "slab_unreclaimable",
    "sock",
    "thp_collapse_alloc",
    "thp_fault_alloc",
    "unevictable",
    "workingset_activate",
    "workingset_nodereclaim",
    "workingset_refault",
];

/// `memory.stat` of cgroup v2. Newer kernels tell refaults of anonymous and file pages apart; Docker's names are the old ones.
#[must_use]
pub fn memory_v2(stat: &str) -> BTreeMap<String, u64> {
    let mut shown: BTreeMap<String, u64> = MEMORY_V2.iter().map(|name| ((*name).to_owned(), 0)).collect();
    for (name, value) in pairs(stat) {
        let name = match name {
            "workingset_refault_file" => "workingset_refault",
            "workingset_activate_file" => "workingset_activate",
            name => name,
        };
        if let Some(slot) = shown.get_mut(name) {
            *slot = value;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guest_time_is_not_counted_twice() {
        let text = "cpu  1 2 3 4 5 6 7 100 200 300\ncpu0 1 2 3 4\ncpu1 0 0 0 0\nintr 5\n";
        assert_eq!(machine(text), (280_000_000, 2));
    }

    #[test]
    fn counters_that_cannot_be_are_cut() {
        let most = u64::MAX.to_string();
        assert_eq!(processor_v1(&format!("{most} 1"), &format!("user {most}\n")).total_usage, u64::MAX);
        assert_eq!(processor_v2(&format!("usage_usec {most}\n")).total_usage, u64::MAX);
        assert_eq!(throttling(&format!("throttled_usec {most}\n")).throttled_time, u64::MAX);
        assert_eq!(machine(&format!("cpu {most} {most}\n")), (u64::MAX, 0));
        let lines = format!("8:0 Read {most}\n8:1 Read 1\n8:1 Write 2\n8:1 Sync 9\n");
        assert_eq!(block_totals(block_v1(&lines)), (u64::MAX, 2));
    }
}
