#![allow(clippy::unwrap_used)]
//! Made-up hierarchies of both versions, and this machine's own.

use std::fs;
use std::path::Path;

use super::*;

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

const NET: &str = "Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       9       9    0    0    0     0          0         0        9       9    0    0    0     0       0          0
  eth0:     200       2    1    3    0     0          0         0      400       4    5    6    0     0       0          0
 tunl0:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0
";

fn roots(directory: &Path, version: CgroupVersion) -> Roots {
    Roots { cgroup: directory.join("cgroup"), proc: directory.join("proc"), version }
}

#[test]
fn a_container_of_v1_is_found_by_id_and_by_process() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for (path, text) in [
        ("cgroup/memory/docker/c1/cgroup.procs", "77\n"),
        ("cgroup/cpuacct/docker/c1/cpuacct.usage_percpu", "100 200 \n"),
        ("cgroup/cpuacct/docker/c1/cpuacct.stat", "user 2\nsystem 1\n"),
        ("cgroup/cpu/docker/c1/cpu.stat", "nr_periods 3\nnr_throttled 2\nthrottled_time 1\nnr_bursts 0\n"),
        ("cgroup/memory/docker/c1/memory.usage_in_bytes", "5000\n"),
        ("cgroup/memory/docker/c1/memory.max_usage_in_bytes", "6000\n"),
        ("cgroup/memory/docker/c1/memory.failcnt", "0\n"),
        ("cgroup/memory/docker/c1/memory.limit_in_bytes", "8000\n"),
        (
            "cgroup/memory/docker/c1/memory.stat",
            "cache 10\nrss 20\nshmem 5\nwriteback 1\ntotal_cache 11\ntotal_swap 3\n",
        ),
        (
            "cgroup/blkio/docker/c1/blkio.throttle.io_service_bytes",
            "8:0 Read 4096\n8:0 Write 1\n8:0 Total 4097\nTotal 4097\n",
        ),
        ("cgroup/pids/docker/c1/pids.current", "4\n"),
        ("cgroup/pids/docker/c1/pids.max", "max\n"),
        ("proc/77/net/dev", NET),
        ("proc/77/cgroup", "3:cpu,cpuacct:/docker/c1\n2:memory:/docker/c1\n1:blkio:/docker/c1\n0::/docker/c1\n"),
    ] {
        write(root, path, text);
    }
    let roots = roots(root, CgroupVersion::V1);
    let reader = Reader::of_container(&roots, "c1", None, true).unwrap();
    let reading = reader.read(&mut Scratch::default()).unwrap();
    assert_eq!(reading.cpu.total_usage, 300);
    assert_eq!(reading.cpu.percpu_usage, [100, 200]);
    assert_eq!((reading.cpu.usage_in_usermode, reading.cpu.usage_in_kernelmode), (20_000_000, 10_000_000));
    assert_eq!((reading.memory, reading.reclaimable), (5000, 10));
    assert_eq!((reading.block_read, reading.block_written), (4096, 1));
    let network = reading.network.unwrap();
    assert_eq!(network.keys().collect::<Vec<_>>(), ["eth0"]);
    assert_eq!((network["eth0"].rx_dropped, network["eth0"].tx_bytes, network["eth0"].tx_dropped), (3, 400, 6));

    let detail = reader.detail().unwrap();
    assert_eq!((detail.memory_peak, detail.memory_limit), (6000, Some(8000)));
    assert_eq!((detail.pids, detail.pids_limit), (4, 0));
    assert_eq!(detail.throttling.throttled_periods, 2);
    let names: Vec<_> = detail.memory_stats.keys().map(String::as_str).collect();
    assert_eq!(names, ["cache", "rss", "total_cache", "writeback"]);
    assert_eq!(detail.block_bytes.len(), 3);
    assert_eq!(detail.block_operations, Some(vec![]));

    let by_process = Reader::of_process(&roots, 77, false).unwrap().read(&mut Scratch::default()).unwrap();
    assert_eq!((by_process.cpu, by_process.network), (reading.cpu, None));
    assert!(Reader::of_container(&roots, "c2", None, true).is_err());
}

#[test]
fn a_container_of_v2_is_found_below_a_slice() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let base = "cgroup/system.slice/docker-c1.scope";
    for (file, text) in [
        ("cgroup.procs", "77\n78\n"),
        ("cpu.stat", "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 1\nnr_throttled 1\nthrottled_usec 2\n"),
        ("memory.current", "5000\n"),
        ("memory.max", "max\n"),
        (
            "memory.stat",
            "anon 1\nfile 2\ninactive_file 30\nworkingset_refault_anon 7\nworkingset_refault_file 8\nzswap 9\n",
        ),
        ("memory.events", "low 0\noom 2\noom_kill 1\n"),
        ("io.stat", "259:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n7:0 \n"),
        ("pids.current", "2\n"),
        ("pids.max", "100\n"),
    ] {
        write(root, &format!("{base}/{file}"), text);
    }
    write(root, "proc/77/net/dev", NET);
    let reader = Reader::of_container(&roots(root, CgroupVersion::V2), "c1", None, true).unwrap();
    let reading = reader.read(&mut Scratch::default()).unwrap();
    assert_eq!((reading.cpu.total_usage, reading.cpu.usage_in_kernelmode), (30_000, 10_000));
    assert_eq!((reading.memory, reading.reclaimable), (5000, 30));
    assert_eq!((reading.block_read, reading.block_written), (4096, 8192));
    let detail = reader.detail().unwrap();
    assert_eq!((detail.memory_limit, detail.memory_failures, detail.pids_limit), (None, 2, 100));
    assert_eq!((detail.memory_stats["workingset_refault"], detail.memory_stats.get("zswap")), (8, None));
    assert_eq!(detail.memory_stats.len(), 31);
    assert_eq!(detail.throttling.throttled_time, 2000);
    let entries: Vec<_> = detail.block_bytes.iter().map(|e| (e.op.as_str(), e.value)).collect();
    assert_eq!(entries, [("read", 4096), ("write", 8192)]);
    assert_eq!(detail.block_operations, None);
}

#[test]
fn this_machine_has_a_clock() {
    let mut clock = SystemClock::open(&Roots::detect().proc).unwrap();
    let cpu = clock.read().unwrap();
    assert!(cpu.online >= 1 && cpu.usage > 0);
}

#[test]
fn a_container_of_a_task_is_found_below_the_cgroup_of_its_task() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let roots = roots(root, CgroupVersion::V2);
    for (parent, base) in [
        ("/ecs/0123", "cgroup/ecs/0123/c1"),
        ("ecstasks-0123.slice", "cgroup/ecstasks.slice/ecstasks-0123.slice/docker-c1.scope"),
    ] {
        assert!(Reader::of_container(&roots, "c1", Some(parent), false).is_err());
        for file in ["cgroup.procs", "cpu.stat", "memory.current", "memory.stat"] {
            write(root, &format!("{base}/{file}"), "77\n");
        }
        let reader = Reader::of_container(&roots, "c1", Some(parent), false).unwrap();
        assert_eq!(reader.read(&mut Scratch::default()).unwrap().memory, 77);
    }
    assert!(Reader::of_container(&roots, "c1", Some("/../0123"), false).is_err());
}

#[test]
fn long_files_are_read_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("long");
    fs::write(&path, "0123456789".repeat(10_000)).unwrap();
    let mut buffer = vec![0; 16];
    assert_eq!(Source::open(&path).unwrap().read(&mut buffer).unwrap().len(), 100_000);
}
