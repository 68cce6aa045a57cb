//! Cgroup v1: one tree per controller, the same group in each of them (spec 20 §11.3).

use std::path::{Path, PathBuf};

use super::{CgroupError, Cpu, Limits, failed, make, read, remove_tree, write};

/// Controllers that a task has a group in, as far as they are mounted; `systemd` is the named tree without one.
const CONTROLLERS: [&str; 14] = [
    "freezer",
    "pids",
    "net_cls",
    "net_prio",
    "perf_event",
    "cpuset",
    "cpu",
    "cpuacct",
    "memory",
    "blkio",
    "rdma",
    "devices",
    "hugetlb",
    "systemd",
];
/// A tree of v2 beside those of v1, on hybrid machines. Docker makes its containers' groups there too, and ours above them.
const UNIFIED: &str = "unified";
/// Without these there are no limits to speak of.
const NEEDED: [&str; 2] = ["cpu", "memory"];

/// The root of each controller's tree. Two names may lead to one tree, as with `cpu` and `cpuacct`.
fn trees(mount: &Path) -> Vec<(&'static str, PathBuf)> {
    let tree = |name: &'static str| (name, mount.join(name));
    CONTROLLERS.into_iter().map(tree).filter(|(_, dir)| dir.join("cgroup.procs").exists()).collect()
}

/// Whether what is needed is mounted.
pub(super) fn check(mount: &Path) -> Result<(), CgroupError> {
    let trees = trees(mount);
    match NEEDED.into_iter().find(|name| trees.iter().all(|(tree, _)| tree != name)) {
        Some(controller) => Err(CgroupError::NoController { controller, mount: mount.to_owned() }),
        None => Ok(()),
    }
}

pub(super) fn prepare(mount: &Path, root: &str) -> Result<(), CgroupError> {
    check(mount)?;
    for (controller, tree) in trees(mount) {
        make_in(controller, &tree, &tree.join(root))?;
    }
    Ok(())
}

pub(super) fn create(mount: &Path, group: &Path, limits: &Limits, keeps_limits: bool) -> Result<(), CgroupError> {
    for (controller, tree) in trees(mount) {
        let dir = tree.join(group);
        let mut is_new = false;
        let mut parent = tree;
        for part in group {
            let dir = parent.join(part);
            is_new = make_in(controller, &parent, &dir)?;
            parent = dir;
        }
        if is_new || !keeps_limits {
            limit(controller, &dir, limits)?;
        }
        if controller == "memory" {
            inherit(&dir)?;
        }
    }
    Ok(())
}

/// Makes one group in one tree; whether it was missing.
fn make_in(controller: &str, parent: &Path, dir: &Path) -> Result<bool, CgroupError> {
    let is_new = make(dir)?;
    if controller == "cpuset" {
        // Nothing can be in a group without processors and memory nodes, and a new one has none.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let own = std::fs::read_to_string(dir.join(file)).unwrap_or_default();
            if own.trim().is_empty() {
                write(dir, file, read(parent, file)?.trim())?;
            }
        }
    }
    Ok(is_new)
}

fn limit(controller: &str, dir: &Path, limits: &Limits) -> Result<(), CgroupError> {
    match (controller, limits) {
        ("cpu", Limits { cpu: Cpu::Shares(shares), .. }) => write(dir, "cpu.shares", &shares.to_string()),
        ("cpu", Limits { cpu: Cpu::Quota { quota, period }, .. }) => {
            write(dir, "cpu.cfs_period_us", &period.to_string())?;
            write(dir, "cpu.cfs_quota_us", &quota.to_string())
        }
        ("memory", Limits { memory_bytes: Some(bytes), .. }) => write(dir, "memory.limit_in_bytes", &bytes.to_string()),
        ("pids", Limits { pids: Some(pids), .. }) => write(dir, "pids.max", &pids.to_string()),
        _ => Ok(()),
    }
}

/// What containers use counts for the task. Newer kernels know no other way, and some no such file.
fn inherit(dir: &Path) -> Result<(), CgroupError> {
    const FILE: &str = "memory.use_hierarchy";
    let path = dir.join(FILE);
    match std::fs::read_to_string(&path) {
        Ok(value) if value.trim() == "1" => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Ok(_) => write(dir, FILE, "1"),
        Err(error) => Err(failed("cannot read", &path)(error)),
    }
}

pub(super) fn remove(mount: &Path, group: &Path) -> Result<(), CgroupError> {
    // One tree that keeps its group does not save the others from being tidied.
    let trees = trees(mount).into_iter().map(|(_, tree)| tree).chain([mount.join(UNIFIED)]);
    let results: Vec<_> = trees.map(|tree| remove_tree(&tree.join(group))).collect();
    results.into_iter().collect()
}
