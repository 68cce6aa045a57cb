//! A task's cgroup: kept with its name, so that it is found again and removed with the task.

use wire::rows;

use crate::task::{CgroupDefinition, CgroupLimits, CgroupState, CpuLimit};

pub(super) fn migrate(task: &rows::Task) -> (Option<CgroupDefinition>, CgroupState) {
    let Some(row) = task.cgroup().filter(|row| !row.cgroup_root.is_empty()) else {
        return (None, CgroupState::None);
    };
    let state = match row.known_status.as_str() {
        "CREATED" | "1" => CgroupState::Created,
        "REMOVED" | "2" => CgroupState::Removed,
        _ => CgroupState::None,
    };
    let is_slice = !row.cgroup_root.starts_with('/') && !row.cgroup_root.ends_with(".slice");
    let parent = if is_slice { format!("{}.slice", row.cgroup_root) } else { row.cgroup_root };
    let spec = row.resource_spec;
    let cpu = match u64::try_from(spec.cpu.quota) {
        Ok(quota) if quota > 0 && spec.cpu.period > 0 => CpuLimit::Quota { quota, period: spec.cpu.period },
        _ if spec.cpu.shares > 0 => CpuLimit::Shares(spec.cpu.shares),
        _ => CpuLimit::default(),
    };
    let limits = CgroupLimits {
        cpu,
        memory_bytes: spec.memory.limit.and_then(|bytes| u64::try_from(bytes).ok()),
        pids: spec.pids.limit.and_then(|most| u32::try_from(most).ok()),
    };
    (Some(CgroupDefinition { parent, limits }), state)
}
