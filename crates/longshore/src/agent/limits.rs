//! Whether tasks can be limited as a whole on this machine (spec 20 §11.1): the operator's wish, the hierarchy, and
//! how Docker names groups have to agree.

use std::path::Path;

use engine::config::{CgroupNaming, TaskLimits};
use engine::task::{CgroupLimits, CpuLimit};
use engine::{Failure, FailureKind, Outcome};
use host::cgroup::{CgroupVersion, Cgroups, Cpu, Limits};
use tokio::task::spawn_blocking;
use tracing::warn;

use super::{ExitReport, Lookup};
use crate::config::Config;

/// The API version in which a container's parent group came.
const NEEDED_API: &str = "1.22";

/// The limits that tasks get; `None` where the operator does not want them, or did not ask for them and they cannot
/// be had.
///
/// # Errors
/// The operator asked for them and they cannot be had.
pub(super) async fn task_limits(
    config: &Config,
    cgroups: &Cgroups,
    driver: &str,
    api_versions: &[String],
) -> Result<Option<TaskLimits>, ExitReport> {
    let capacity = &config.capacity;
    if capacity.task_limits == Some(false) {
        return Ok(None);
    }
    let has_api = api_versions.iter().any(|version| version == NEEDED_API);
    let naming = match naming(cgroups.version(), driver) {
        Ok(naming) if has_api => prepare(cgroups, naming).await.map(|()| naming),
        Ok(_) => Err(format!("the container engine does not speak API version {NEEDED_API}")),
        Err(why) => Err(why),
    };
    match naming {
        Ok(naming) => Ok(Some(TaskLimits { naming, cpu_period: capacity.cpu_period, pids: capacity.task_pids_limit })),
        Err(why) if capacity.task_limits == Some(true) => {
            let code = if has_api { 5 } else { 1 };
            let why = format!("ECS_ENABLE_TASK_CPU_MEM_LIMIT is true, and tasks cannot be limited: {why}");
            Err(ExitReport::new(code, why))
        }
        Err(why) => {
            warn!(
                reason = why.as_str(),
                "cpu and memory of tasks are not enforced: their cgroups cannot be made. \
                 Set ECS_ENABLE_TASK_CPU_MEM_LIMIT to false to hear no more of it"
            );
            Ok(None)
        }
    }
}

/// How Docker wants groups to be named. The reference takes cgroupfs on v1 and systemd on v2 for granted, which is also
/// what a daemon is taken to do that does not say.
fn naming(version: CgroupVersion, driver: &str) -> Result<CgroupNaming, String> {
    match (version, driver) {
        (_, "cgroupfs") | (CgroupVersion::V1, "") => Ok(CgroupNaming::Path),
        (_, "systemd") | (CgroupVersion::V2, "") => Ok(CgroupNaming::Slice),
        (_, other) => Err(format!("the container engine's cgroup driver is {other:?}")),
    }
}

async fn prepare(cgroups: &Cgroups, naming: CgroupNaming) -> Result<(), String> {
    let cgroups = cgroups.clone();
    let prepared = spawn_blocking(move || match naming {
        CgroupNaming::Path => cgroups.prepare(),
        CgroupNaming::Slice => cgroups.prepare_slices(),
    });
    match prepared.await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// Groups of tasks below the operator's mount point, or on the system bus that the operator names.
pub(super) fn cgroups(mount: &Path, lookup: &Lookup) -> Cgroups {
    Cgroups::at(mount, lookup("DBUS_SYSTEM_BUS_ADDRESS").as_deref())
}

/// Makes a task's group.
pub(super) async fn create(cgroups: &Cgroups, parent: String, limits: CgroupLimits, keeps_limits: bool) -> Outcome {
    let cgroups = cgroups.clone();
    let limits = Limits {
        cpu: match limits.cpu {
            CpuLimit::Shares(shares) => Cpu::Shares(shares),
            CpuLimit::Quota { quota, period } => Cpu::Quota { quota, period },
        },
        memory_bytes: limits.memory_bytes,
        pids: limits.pids,
    };
    outcome(spawn_blocking(move || cgroups.create(&parent, &limits, keeps_limits)).await)
}

/// Removes a task's group.
pub(super) async fn remove(cgroups: &Cgroups, parent: String) -> Outcome {
    let cgroups = cgroups.clone();
    outcome(spawn_blocking(move || cgroups.remove(&parent)).await)
}

fn outcome(result: Result<Result<(), host::cgroup::CgroupError>, tokio::task::JoinError>) -> Outcome {
    match result {
        Ok(Ok(())) => Outcome::Done,
        Ok(Err(error)) => Outcome::Failed(Failure::new(FailureKind::Other, error.to_string())),
        Err(error) => Outcome::Failed(Failure::new(FailureKind::Panicked, error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_follow_hierarchy_and_driver() {
        use CgroupVersion::{V1, V2};
        assert_eq!(naming(V1, "cgroupfs"), Ok(CgroupNaming::Path));
        assert_eq!(naming(V1, ""), Ok(CgroupNaming::Path));
        assert_eq!(naming(V2, "cgroupfs"), Ok(CgroupNaming::Path));
        assert_eq!(naming(V2, "systemd"), Ok(CgroupNaming::Slice));
        assert_eq!(naming(V2, ""), Ok(CgroupNaming::Slice));
        assert_eq!(naming(V1, "systemd"), Ok(CgroupNaming::Slice));
        assert!(naming(V2, "none").is_err(), "a daemon without root");
    }
}
