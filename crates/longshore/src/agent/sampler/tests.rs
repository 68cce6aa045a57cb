#![allow(clippy::unwrap_used)]
//! Sets and rates from samples that are made up.

use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use wire::docker::{BlkioEntry, BlkioStats, CpuStats, CpuUsage, NetworkStats, Stats};

use super::queue::{Entry, Queue, Scale};
use super::restarts::{add_to_reading, add_to_rest, kept};
use super::track::{Snapshot, Track};
use super::{Sampled, Samples};
use crate::agent::endpoints::tests::world::{DOCKER_ID, task};
use engine::task::CgroupDefinition;
use host::cgroup::CgroupVersion;
use host::stats::{Reading, Roots, Scratch, SystemCpu};

/// After so many seconds: so much CPU time, memory and traffic.
fn snapshot(second: i64, cpu_milliseconds: u64, memory_mib: u64, rx: u64) -> Snapshot {
    let network = NetworkStats { rx_bytes: rx, ..NetworkStats::default() };
    Snapshot {
        at: Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second),
        cpu: CpuStats {
            cpu_usage: CpuUsage { total_usage: cpu_milliseconds * 1_000_000, ..CpuUsage::default() },
            ..CpuStats::default()
        },
        reading: Reading {
            memory: (memory_mib << 20) + 5,
            reclaimable: 1 << 20,
            block_read: 4096,
            network: Some([("eth0".to_owned(), network)].into()),
            ..Reading::default()
        },
        told: None,
    }
}

fn queue(samples: &[(i64, u64, u64, u64)]) -> Queue {
    let mut queue = Queue::default();
    for (second, cpu, memory, rx) in samples {
        queue.push(Entry::of(&snapshot(*second, *cpu, *memory, *rx), None), 2);
    }
    queue
}

#[test]
fn figures_are_relative_to_all_processors_and_to_the_time_passed() {
    let queue = queue(&[(0, 0, 11, 0), (1, 1000, 11, 100), (3, 1000, 21, 300)]);
    let sets = queue.sets().unwrap();
    assert_eq!((sets.cpu.min, sets.cpu.max, sets.cpu.sum, sets.cpu.count), (0.0, 50.0, 50.0, 2));
    assert_eq!((sets.memory.min, sets.memory.max, sets.memory.count), (10.0, 20.0, 3));
    assert_eq!((sets.storage.read.sum, sets.storage.written.max), (3 * 4096, 0));
    let network = sets.network.unwrap();
    assert_eq!((network.rx_bytes.max, network.rx_bytes.count), (300, 3), "counters are not differences");
    assert_eq!((network.rx_bytes_per_second.max, network.rx_bytes_per_second.count), (100.0, 2));
    assert!((queue.rates().unwrap().rx_bytes_per_sec - 100.0).abs() < 0.01);
    assert_eq!(sets.restarts, None);
}

#[test]
fn what_is_sent_is_only_a_base() {
    let mut queue = queue(&[(0, 0, 5, 0)]);
    assert!(queue.sets().is_none(), "one sample is none");
    queue.push(Entry::of(&snapshot(1, 500, 5, 0), None), 2);
    assert_eq!(queue.sets().unwrap().cpu.count, 1);
    queue.mark_sent();
    assert!(queue.sets().is_none());
    queue.push(Entry::of(&snapshot(2, 1500, 5, 0), None), 2);
    let sets = queue.sets().unwrap();
    assert_eq!((sets.cpu.count, sets.cpu.max), (1, 50.0));
}

#[test]
fn the_same_moment_twice_repeats_its_figures_and_a_counter_that_falls_has_none() {
    let repeated = queue(&[(0, 0, 5, 0), (1, 1000, 5, 50), (1, 1000, 5, 50)]);
    assert_eq!(repeated.sets().unwrap().cpu.sum, 100.0);
    let fallen = queue(&[(0, 5000, 5, 90), (1, 1000, 5, 50)]);
    assert!(fallen.sets().is_none() && fallen.rates().is_none());
}

#[test]
fn old_samples_make_room() {
    let samples: Vec<_> = (0..200).map(|n| (n, 0, 5, 0)).collect();
    assert_eq!(queue(&samples).sets().unwrap().memory.count, 80);
}

#[test]
fn restarts_on_the_border_count() {
    let mut queue = Queue::default();
    for (second, restarts) in [(0, 0), (1, 1)] {
        queue.push(Entry::of(&snapshot(second, 0, 5, 0), Some(restarts)), 2);
    }
    assert_eq!(queue.sets().unwrap().restarts, Some(1));
    queue.mark_sent();
    for (second, restarts) in [(2, 3), (3, 3)] {
        queue.push(Entry::of(&snapshot(second, 0, 5, 0), Some(restarts)), 2);
    }
    assert_eq!(queue.sets().unwrap().restarts, Some(2));
}

#[test]
fn counters_go_on_over_a_restart() {
    let block = |value| {
        let entry = |op: &str, value| BlkioEntry { major: 8, minor: 0, op: op.into(), value };
        BlkioStats {
            io_service_bytes_recursive: Some(vec![entry("read", value), entry("write", 1)]),
            io_queue_recursive: Some(vec![entry("read", value)]),
            ..BlkioStats::default()
        }
    };
    let before = snapshot(0, 700, 5, 900);
    let mut before = Stats {
        cpu_stats: before.cpu,
        networks: before.reading.network.unwrap(),
        blkio_stats: block(4096),
        ..Stats::default()
    };
    (before.memory_stats.failcnt, before.memory_stats.max_usage) = (3, 9000);
    before.memory_stats.stats.insert("cache".into(), 1);
    before.cpu_stats.throttling_data.periods = 2;
    let before = kept(&before);
    let mut after = snapshot(1, 100, 5, 50);
    add_to_reading(&before, &mut after.cpu, &mut after.reading);
    assert_eq!(after.cpu.cpu_usage.total_usage, 800_000_000);
    assert_eq!(after.cpu.throttling_data.periods, 2);
    assert_eq!(after.reading.network.unwrap()["eth0"].rx_bytes, 950);
    assert_eq!((after.reading.block_read, after.reading.memory >> 20), (8192, 5));
    let mut stats = Stats { blkio_stats: block(10), ..Stats::default() };
    (stats.memory_stats.failcnt, stats.memory_stats.max_usage) = (1, 7000);
    stats.blkio_stats.io_service_bytes_recursive.as_mut().unwrap()[0].minor = 1;
    add_to_rest(&before, &mut stats);
    assert_eq!((stats.memory_stats.failcnt, stats.memory_stats.max_usage), (4, 9000));
    let list: Vec<_> = stats.blkio_stats.io_service_bytes_recursive.unwrap();
    let list: Vec<_> = list.iter().map(|e| (e.minor, e.op.as_str(), e.value)).collect();
    assert_eq!(list, [(0, "read", 4096), (0, "write", 2), (1, "read", 10)], "earlier ones first");
    assert_eq!(stats.blkio_stats.io_queue_recursive.unwrap()[0].value, 10, "what waits is no count");
    assert!(stats.memory_stats.stats.is_empty());
}

fn roots(directory: &Path) -> Roots {
    Roots { cgroup: directory.join("cgroup"), proc: directory.join("proc"), version: CgroupVersion::V2 }
}

/// The files of a container.
fn container_in(group: &Path) {
    std::fs::create_dir_all(group).unwrap();
    for file in ["cgroup.procs", "cpu.stat", "memory.current", "memory.stat", "io.stat"] {
        std::fs::write(group.join(file), "77\n").unwrap();
    }
}

#[test]
fn a_container_that_just_started_is_read_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let roots = roots(directory.path());
    let task = task(serde_json::json!({}), serde_json::json!({}), serde_json::json!({"network": {"mode": "host"}}));
    let mut task = (*task).clone();
    let cgroup = CgroupDefinition { parent: "/ecs/0123".into(), ..CgroupDefinition::default() };
    Arc::make_mut(&mut task.definition).cgroup = Some(cgroup);
    container_in(&roots.cgroup.join("ecs/0123").join(DOCKER_ID));
    let sampled = Samples::with_roots(false, roots).of(&task, task.container("main").unwrap());
    assert!(matches!(sampled, Sampled::Some(sample) if sample.stats.memory_stats.usage == 77));
}

#[test]
fn docker_is_not_asked_about_a_container_that_just_ended() {
    let directory = tempfile::tempdir().unwrap();
    let roots = roots(directory.path());
    let group = roots.cgroup.join(format!("system.slice/docker-{DOCKER_ID}.scope"));
    let appear = || container_in(&group);
    let task = task(serde_json::json!({}), serde_json::json!({}), serde_json::json!({"network": {"mode": "host"}}));
    let container = task.container("main").unwrap();
    let id = container.state.docker_id.clone().unwrap();
    let mut track = Track::new(&id, container);
    let scale = Scale { cpus: 2, machine_memory: 1 << 30 };
    let mut read = || {
        let system = SystemCpu::default();
        track.read(&roots, None, &mut Scratch::default(), system, &scale, Timestamp::UNIX_EPOCH)
    };
    assert!(!read(), "never seen: only Docker can tell where it is");
    appear();
    assert!(read());
    // An open file of a cgroup that is gone has nothing to read.
    std::fs::write(group.join("memory.current"), "").unwrap();
    std::fs::remove_dir_all(&group).unwrap();
    assert!((0..11).all(|_| read()), "it ends, and Docker will say so");
    assert!(!read(), "it goes on elsewhere");
    appear();
    assert!(read());
}
