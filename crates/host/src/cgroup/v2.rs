//! The unified hierarchy with the cgroupfs driver: the tree is ours to write. The reference agent needs systemd here.

use std::path::Path;

use super::{CgroupError, Cpu, Limits, make, read, write};

/// Without these there are no limits to speak of.
const NEEDED: [&str; 2] = ["cpu", "memory"];
/// These are wanted too, as far as they are there.
const WANTED: [&str; 3] = ["cpuset", "io", "pids"];

pub(super) fn prepare(mount: &Path, root: &str) -> Result<(), CgroupError> {
    enable(mount)?;
    let dir = mount.join(root);
    make(&dir)?;
    enable(&dir)
}

pub(super) fn create(mount: &Path, group: &Path, limits: &Limits, keeps_limits: bool) -> Result<(), CgroupError> {
    let mut is_new = false;
    let mut dir = mount.to_owned();
    for part in group {
        enable(&dir)?;
        dir.push(part);
        is_new = make(&dir)?;
    }
    if is_new || !keeps_limits {
        limit(&dir, limits)?;
    }
    enable(&dir)
}

/// Lets groups below this one have limits of their own.
pub(super) fn enable(dir: &Path) -> Result<(), CgroupError> {
    let available = read(dir, "cgroup.controllers")?;
    let has = |name: &&str| available.split_whitespace().any(|available| available == *name);
    if let Some(controller) = NEEDED.into_iter().find(|name| !has(name)) {
        return Err(CgroupError::NoController { controller, mount: dir.to_owned() });
    }
    let enabled = read(dir, "cgroup.subtree_control")?;
    let is_enabled = |name: &&str| enabled.split_whitespace().any(|enabled| enabled == *name);
    let needed = NEEDED.into_iter().chain(WANTED.into_iter().filter(has));
    let missing: Vec<_> = needed.filter(|name| !is_enabled(name)).map(|name| format!("+{name}")).collect();
    if missing.is_empty() { Ok(()) } else { write(dir, "cgroup.subtree_control", &missing.join(" ")) }
}

fn limit(dir: &Path, limits: &Limits) -> Result<(), CgroupError> {
    match limits.cpu {
        Cpu::Shares(shares) => write(dir, "cpu.weight", &Cpu::weight(shares).to_string())?,
        Cpu::Quota { quota, period } => write(dir, "cpu.max", &format!("{quota} {period}"))?,
    }
    if let Some(bytes) = limits.memory_bytes {
        write(dir, "memory.max", &bytes.to_string())?;
    }
    if let Some(pids) = limits.pids {
        write(dir, "pids.max", &pids.to_string())?;
    }
    Ok(())
}
