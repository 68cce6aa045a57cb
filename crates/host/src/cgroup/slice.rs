//! Slices of systemd, which owns the tree where Docker uses the systemd driver (spec 20 §11.4).
//!
//! A slice and its limits are asked of systemd. Making the folder and writing the limits by hand is no way: systemd
//! makes the slice its own when the first container starts in it, and puts its idea of the limits over what was
//! written. Under cgroup v1, where the reference takes cgroupfs for granted, the same works with older property names.

mod bus;
mod message;

use std::path::{Path, PathBuf};

pub(super) use bus::Socket;
use bus::Systemd;
pub use bus::SystemdError;
use message::{Body, Property, Value};

use super::{CgroupError, CgroupVersion, Cpu, Limits, remove_tree};

/// Quotas are whole percents of a processor, rounded up (spec 20 §11.4).
const QUOTA_STEP: u64 = 10_000;

/// Where `a-b.slice` is below the root of a hierarchy: each dash is a level (spec 20 §11.4).
pub(super) fn path(name: &str) -> PathBuf {
    let stem = name.strip_suffix(".slice").unwrap_or(name);
    let ends = stem.match_indices('-').map(|(at, _)| at).chain([stem.len()]);
    ends.map(|end| format!("{}.slice", &stem[..end])).collect()
}

fn folder(mount: &Path, version: CgroupVersion, name: &str) -> PathBuf {
    match version {
        // systemd's own tree has every unit; those of controllers only have units with limits.
        CgroupVersion::V1 => mount.join("systemd").join(path(name)),
        CgroupVersion::V2 => mount.join(path(name)),
    }
}

/// Whether systemd answers.
pub(super) fn reach(sockets: &[Socket]) -> Result<(), CgroupError> {
    Systemd::connect(sockets)?;
    Ok(())
}

/// Makes a slice with limits. One that is there keeps its limits with `keeps_limits`, else they are set.
pub(super) fn create(
    sockets: &[Socket],
    (mount, version): (&Path, CgroupVersion),
    name: &str,
    limits: &Limits,
    keeps_limits: bool,
) -> Result<(), CgroupError> {
    if keeps_limits && folder(mount, version, name).is_dir() {
        return Ok(());
    }
    let mut systemd = Systemd::connect(sockets)?;
    let mut body = Body::default();
    body.text(name);
    body.text("replace");
    body.properties(&unit(name, limits, version));
    body.no_units();
    match systemd.job("StartTransientUnit", "ssa(sv)a(sa(sv))", body, name) {
        Err(error) if error.is("UnitExists") && keeps_limits => Ok(()),
        Err(error) if error.is("UnitExists") => {
            let mut body = Body::default();
            body.text(name);
            // Until the next boot, as the slice itself.
            body.bool(true);
            body.properties(&properties(limits, version));
            systemd.manager("SetUnitProperties", "sba(sv)", body)?;
            Ok(())
        }
        done => Ok(done?),
    }
}

/// Stops a slice, and with it what should still be in it.
pub(super) fn remove(
    sockets: &[Socket],
    (mount, version): (&Path, CgroupVersion),
    name: &str,
) -> Result<(), CgroupError> {
    let folder = folder(mount, version, name);
    let stopped = Systemd::connect(sockets).and_then(|mut systemd| {
        let mut body = Body::default();
        body.text(name);
        body.text("replace");
        systemd.job("StopUnit", "ss", body, name)
    });
    match stopped {
        Err(error) if !error.is("NoSuchUnit") && folder.is_dir() => {
            // Where systemd is gone nobody minds.
            remove_tree(&folder).map_err(|_| CgroupError::Systemd(error))
        }
        // A folder without a unit is nobody's.
        Err(_) => remove_tree(&folder),
        Ok(()) => Ok(()),
    }
}

/// The whole slice, as the reference describes it.
fn unit(name: &str, limits: &Limits, version: CgroupVersion) -> Vec<Property> {
    let io = match version {
        CgroupVersion::V1 => "BlockIOAccounting",
        CgroupVersion::V2 => "IOAccounting",
    };
    let mut all = vec![
        ("Description", Value::Text(format!("cgroup {name}"))),
        ("DefaultDependencies", Value::Bool(false)),
        ("MemoryAccounting", Value::Bool(true)),
        ("CPUAccounting", Value::Bool(true)),
        (io, Value::Bool(true)),
        ("Wants", Value::Texts(vec!["system.slice".to_owned()])),
    ];
    all.extend(properties(limits, version));
    all
}

/// What can also be set on a slice that is there.
fn properties(limits: &Limits, version: CgroupVersion) -> Vec<Property> {
    let is_v1 = version == CgroupVersion::V1;
    let mut all = vec![match limits.cpu {
        Cpu::Shares(shares) if is_v1 => ("CPUShares", Value::U64(shares)),
        Cpu::Shares(shares) => ("CPUWeight", Value::U64(Cpu::weight(shares))),
        Cpu::Quota { quota, period } => ("CPUQuotaPerSecUSec", Value::U64(quota_per_second(quota, period))),
    }];
    if let Some(bytes) = limits.memory_bytes {
        all.push((if is_v1 { "MemoryLimit" } else { "MemoryMax" }, Value::U64(bytes)));
    }
    if let Some(pids) = limits.pids {
        all.push(("TasksAccounting", Value::Bool(true)));
        all.push(("TasksMax", Value::U64(pids.into())));
    }
    all
}

fn quota_per_second(quota: u64, period: u64) -> u64 {
    (quota.saturating_mul(1_000_000) / period.max(1)).div_ceil(QUOTA_STEP).saturating_mul(QUOTA_STEP)
}

#[cfg(test)]
mod tests;
