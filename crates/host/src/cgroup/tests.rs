//! The files that are written, in a folder that stands for the mount, and once in the real tree.
#![allow(clippy::unwrap_used)]
use std::fs;

use tempfile::TempDir;

use super::*;

const QUOTA: Limits =
    Limits { cpu: Cpu::Quota { quota: 25_000, period: 100_000 }, memory_bytes: Some(256 << 20), pids: Some(50) };
const SHARES: Limits = Limits { cpu: Cpu::Shares(516), memory_bytes: None, pids: None };

#[test]
fn other_file_systems_are_not_v2() {
    assert_eq!(cgroup_version(Path::new("/proc")), CgroupVersion::V1);
    assert_eq!(cgroup_version(Path::new("/no/such/mount")), CgroupVersion::V1);
}

#[test]
fn the_machine_agrees_with_its_controllers_file() {
    let mount = Path::new("/sys/fs/cgroup");
    let unified = mount.join("cgroup.controllers").exists();
    assert_eq!(cgroup_version(mount) == CgroupVersion::V2, unified);
}

/// Trees of these controllers, with the files that their roots have.
fn v1(controllers: &[&str]) -> (TempDir, Cgroups) {
    let mount = tempfile::tempdir().unwrap();
    for controller in controllers {
        let tree = mount.path().join(controller);
        fs::create_dir(&tree).unwrap();
        fs::write(tree.join("cgroup.procs"), "").unwrap();
        if *controller == "cpuset" {
            fs::write(tree.join("cpuset.cpus"), "0-1\n").unwrap();
            fs::write(tree.join("cpuset.mems"), "0\n").unwrap();
        }
    }
    let cgroups = Cgroups { mount: mount.path().to_owned(), version: CgroupVersion::V1, systemd: vec![] };
    (mount, cgroups)
}

fn v2(controllers: &str) -> (TempDir, Cgroups) {
    let mount = tempfile::tempdir().unwrap();
    for dir in ["", "ecs", "ecs/0f"] {
        let dir = mount.path().join(dir);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("cgroup.controllers"), controllers).unwrap();
        fs::write(dir.join("cgroup.subtree_control"), "").unwrap();
    }
    let cgroups = Cgroups { mount: mount.path().to_owned(), version: CgroupVersion::V2, systemd: vec![] };
    (mount, cgroups)
}

/// Every file below a folder that says something, but what was there before.
fn written(mount: &Path) -> String {
    fn walk(dir: &Path, mount: &Path, lines: &mut Vec<String>) {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                lines.push(format!("{}/", entry.path().strip_prefix(mount).unwrap().display()));
                walk(&entry.path(), mount, lines);
            } else if dir.parent() != Some(mount) {
                let value = fs::read_to_string(entry.path()).unwrap();
                lines.push(format!("{} = {value}", entry.path().strip_prefix(mount).unwrap().display()));
            }
        }
    }
    let mut lines = Vec::new();
    walk(mount, mount, &mut lines);
    lines.sort();
    lines.join("\n")
}

#[test]
fn v1_has_a_group_in_every_tree() {
    let (mount, cgroups) = v1(&["cpu", "cpuset", "memory", "pids", "systemd", "unheard-of"]);
    // A tree that is not mounted.
    fs::create_dir(mount.path().join("blkio")).unwrap();
    cgroups.prepare().unwrap();
    cgroups.create("/ecs/0f", &QUOTA, false).unwrap();
    assert_eq!(
        written(mount.path()),
        "blkio/
cpu/
cpu/ecs/
cpu/ecs/0f/
cpu/ecs/0f/cpu.cfs_period_us = 100000
cpu/ecs/0f/cpu.cfs_quota_us = 25000
cpuset/
cpuset/ecs/
cpuset/ecs/0f/
cpuset/ecs/0f/cpuset.cpus = 0-1
cpuset/ecs/0f/cpuset.mems = 0
cpuset/ecs/cpuset.cpus = 0-1
cpuset/ecs/cpuset.mems = 0
memory/
memory/ecs/
memory/ecs/0f/
memory/ecs/0f/memory.limit_in_bytes = 268435456
pids/
pids/ecs/
pids/ecs/0f/
pids/ecs/0f/pids.max = 50
systemd/
systemd/ecs/
systemd/ecs/0f/
unheard-of/"
    );
}

#[test]
fn v1_shares() {
    let (mount, cgroups) = v1(&["cpu", "memory"]);
    cgroups.create("/ecs/0f", &SHARES, false).unwrap();
    assert_eq!(
        written(mount.path()),
        "cpu/\ncpu/ecs/\ncpu/ecs/0f/\ncpu/ecs/0f/cpu.shares = 516\nmemory/\nmemory/ecs/\nmemory/ecs/0f/"
    );
}

#[test]
fn v1_needs_cpu_and_memory() {
    let (_mount, cgroups) = v1(&["cpu", "pids"]);
    assert!(matches!(cgroups.prepare(), Err(CgroupError::NoController { controller: "memory", .. })));
}

#[test]
fn limits_that_somebody_changed_are_kept_after_a_restart() {
    let (mount, cgroups) = v1(&["cpu", "memory"]);
    cgroups.create("/ecs/0f", &QUOTA, false).unwrap();
    let file = mount.path().join("memory/ecs/0f/memory.limit_in_bytes");
    fs::write(&file, "1").unwrap();
    cgroups.create("/ecs/0f", &QUOTA, true).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "1");
    // A group that another process made before its limits were set gets them.
    cgroups.create("/ecs/0f", &QUOTA, false).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "268435456");
    // One that is gone is made again, with its limits.
    fs::remove_dir_all(mount.path().join("memory/ecs")).unwrap();
    cgroups.create("/ecs/0f", &QUOTA, true).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "268435456");
}

#[test]
fn v2_enables_controllers_on_the_way_down() {
    let (mount, cgroups) = v2("cpuset cpu io memory pids rdma");
    cgroups.prepare().unwrap();
    cgroups.create("/ecs/0f", &QUOTA, false).unwrap();
    let read = |file: &str| fs::read_to_string(mount.path().join(file)).unwrap();
    for dir in [".", "ecs", "ecs/0f"] {
        assert_eq!(read(&format!("{dir}/cgroup.subtree_control")), "+cpu +memory +cpuset +io +pids", "{dir}");
    }
    assert_eq!(read("ecs/0f/cpu.max"), "25000 100000");
    assert_eq!(read("ecs/0f/memory.max"), "268435456");
    assert_eq!(read("ecs/0f/pids.max"), "50");
    assert!(!mount.path().join("ecs/0f/cpu.weight").exists());
    fs::write(mount.path().join("cgroup.subtree_control"), "cpuset cpu io memory pids").unwrap();
    cgroups.create("/ecs/0f", &SHARES, false).unwrap();
    assert_eq!(read("cgroup.subtree_control"), "cpuset cpu io memory pids", "not written when there is nothing to add");
    assert_eq!(read("ecs/0f/cpu.weight"), "20");
}

#[test]
fn v2_needs_cpu_and_memory() {
    let (_mount, cgroups) = v2("cpu pids");
    assert!(matches!(cgroups.prepare(), Err(CgroupError::NoController { controller: "memory", .. })));
}

#[test]
fn weights_span_the_range() {
    assert_eq!([2, 1024, 262_144].map(Cpu::weight), [1, 39, 10_000]);
}

#[test]
fn names_do_not_lead_out_of_the_tree() {
    let (mount, cgroups) = v1(&["cpu", "memory"]);
    for name in ["/ecs", "/ecs/..", "/ecs/../x", "/ecs/a/b", "ecs/a", "", "/", ".slice", "a/b.slice"] {
        assert!(matches!(cgroups.create(name, &SHARES, false), Err(CgroupError::Name(_))), "{name}");
        assert!(matches!(cgroups.remove(name), Err(CgroupError::Name(_))), "{name}");
    }
    assert_eq!(written(mount.path()), "cpu/\nmemory/");
}

#[test]
fn what_is_gone_is_removed() {
    let (_mount, cgroups) = v1(&["cpu", "memory"]);
    cgroups.remove("/ecs/0f").unwrap();
}

#[test]
fn what_docker_made_beside_v1_is_removed() {
    let (mount, cgroups) = v1(&["cpu", "memory"]);
    cgroups.prepare().unwrap();
    for tree in ["cpu", "memory", "unified"] {
        fs::create_dir_all(mount.path().join(tree).join("ecs/0f")).unwrap();
    }
    cgroups.remove("/ecs/0f").unwrap();
    assert_eq!(written(mount.path()), "cpu/\ncpu/ecs/\nmemory/\nmemory/ecs/\nunified/\nunified/ecs/");
}

#[test]
fn groups_below_go_first() {
    let mount = tempfile::tempdir().unwrap();
    fs::create_dir_all(mount.path().join("ecs/0f/container/init")).unwrap();
    remove_tree(&mount.path().join("ecs/0f")).unwrap();
    assert!(mount.path().join("ecs").exists() && !mount.path().join("ecs/0f").exists());
}

/// Where the tree can be written, as in a system test run by root.
#[test]
fn the_kernel_takes_it() {
    let cgroups = Cgroups::at(Path::new("/sys/fs/cgroup"), None);
    if let Err(error) = cgroups.prepare() {
        eprintln!("skipped: {error}");
        return;
    }
    let parent = format!("/ecs/longshore-test-{}", std::process::id());
    let memory = match cgroups.version() {
        CgroupVersion::V1 => format!("/sys/fs/cgroup/memory{parent}/memory.limit_in_bytes"),
        CgroupVersion::V2 => format!("/sys/fs/cgroup{parent}/memory.max"),
    };
    cgroups.create(&parent, &QUOTA, false).unwrap();
    let limit = fs::read_to_string(&memory);
    cgroups.create(&parent, &SHARES, true).unwrap();
    fs::create_dir(Path::new(&memory).parent().unwrap().join("below")).unwrap();
    cgroups.remove(&parent).unwrap();
    assert_eq!(limit.unwrap().trim(), "268435456");
    assert!(!Path::new(&memory).exists());
}
