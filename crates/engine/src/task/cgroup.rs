//! A task's cgroup: the limits that all its containers share (spec 20 §11).
//!
//! Knows the rules by which limits follow from a task's size, and the name by which Docker puts containers below
//! it. How a limit is written into files is the host's business.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use wire::ids::TaskId;

use crate::config::{CgroupNaming, TaskLimits};
use crate::container::{Definition, Kind};
use crate::effect::EffectId;

/// Docker raises nothing below 2 shares, and takes none above this (spec 20 §11.2).
const SHARES: (u64, u64) = (2, 262_144);
const MIB: u64 = 1 << 20;
/// The kernel refuses a quota below a millisecond, whatever the period.
const LEAST_QUOTA: u64 = 1000;

/// The cgroup of a task, fixed at its admission: a task keeps it when the operator's setting changes afterwards.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CgroupDefinition {
    /// Docker's `CgroupParent`: a path from the root of each hierarchy, or the name of a systemd slice.
    pub parent: String,
    pub limits: CgroupLimits,
}

/// What all containers of a task may use together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CgroupLimits {
    pub cpu: CpuLimit,
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u32>,
}

/// A share, or a hard limit: never both (spec 20 trap 55).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CpuLimit {
    /// In the unit of cgroup v1, 1024 to a CPU.
    Shares(u64),
    /// Microseconds of CPU time in each period.
    Quota { quota: u64, period: u64 },
}

impl Default for CpuLimit {
    fn default() -> Self {
        Self::Shares(SHARES.0)
    }
}

/// How far a task's cgroup is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CgroupState {
    #[default]
    None,
    Created,
    Removed,
}

/// What is under way for a task's cgroup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CgroupWork {
    #[default]
    None,
    Create(EffectId),
    Remove {
        effect: EffectId,
        /// Counting from 1.
        attempt: u32,
    },
    /// The removal is tried again at the task's next moment.
    RemovePause {
        until: crate::time::Mono,
        attempt: u32,
    },
}

/// A task's cgroup as this run of the agent sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cgroup {
    pub work: CgroupWork,
    /// Whether it was made, or found, since the agent started: what the store says may be gone.
    pub is_seen: bool,
}

/// The cgroup of a task of this size; the cause where its size cannot be.
pub(super) fn define(
    task: &TaskId,
    cpu: f64,
    memory_mib: u64,
    containers: &[Definition],
    limits: &TaskLimits,
) -> Result<CgroupDefinition, String> {
    let beyond = containers.iter().map(|c| c.memory_mib).find(|own| memory_mib > 0 && *own > memory_mib);
    if let Some(own) = beyond {
        return Err(format!(
            "cgroup resource: unable to build resource spec for task: task memory spec builder: container memory limit({own}) greater than task memory limit({memory_mib})"
        ));
    }
    let parent = match limits.naming {
        CgroupNaming::Path => format!("/ecs/{task}"),
        CgroupNaming::Slice => format!("ecstasks-{task}.slice"),
    };
    let limits = CgroupLimits {
        cpu: if cpu > 0.0 { quota(cpu, limits.cpu_period) } else { shares(containers) },
        memory_bytes: (memory_mib > 0).then(|| memory_mib.saturating_mul(MIB).min(i64::MAX.unsigned_abs())),
        pids: limits.pids,
    };
    Ok(CgroupDefinition { parent, limits })
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a period has at most 100,000 µs; the quotient is rounded down as the reference does, and saturates"
)]
fn quota(cpu: f64, period: Duration) -> CpuLimit {
    let period = u64::try_from(period.as_micros()).unwrap_or(u64::MAX);
    let quota = ((cpu * period as f64) as u64).clamp(LEAST_QUOTA, i64::MAX.unsigned_abs());
    CpuLimit::Quota { quota, period }
}

fn shares(containers: &[Definition]) -> CpuLimit {
    let payload = containers.iter().filter(|c| c.kind == Kind::Normal);
    let sum = payload.fold(0_u64, |sum, c| sum.saturating_add(c.cpu.max(SHARES.0)));
    CpuLimit::Shares(sum.clamp(SHARES.0, SHARES.1))
}

#[cfg(test)]
mod tests;
