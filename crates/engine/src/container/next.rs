//! What a container wants next. Reads only; this is the table of the documentation (spec 20 §3.4).

use jiff::Timestamp;

use super::dependency::{self, Standing};
use super::{Container, Kind};
use crate::config::EngineConfig;
use crate::core::Core;
use crate::status::ContainerStatus;
use crate::task::{Task, VolumeKind, VolumeState};

/// What is to be done about a container that has no transition under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// It is where it should be.
    Rest,
    /// Something else must come first.
    Wait {
        why: String,
        until: Option<Timestamp>,
    },
    /// It will never be able to go on: a dependency failed.
    Fail(String),
    Resolve,
    Pull,
    Create,
    Start,
    Stop,
    /// It is stopped without asking the Engine, since it never ran.
    DeclareStopped,
}

/// Decides. `index` names the container within the task.
pub fn next(task: &Task, index: usize, core: &Core, now: Timestamp) -> Next {
    let container = &task.containers[index];
    let state = &container.state;
    if state.known >= state.desired {
        return Next::Rest;
    }
    if state.desired == ContainerStatus::Stopped {
        return next_down(task, container);
    }
    if let Some(why) = missing_credentials(task, container, core) {
        return Next::Wait { why, until: None };
    }
    match dependency::standing(task, container, now, core.config.pulls_dependents_upfront) {
        Standing::Satisfied => {}
        Standing::Waiting { why, decides_at } => return Next::Wait { why, until: decides_at },
        Standing::Failed(text) => return Next::Fail(text),
    }
    match state.known {
        ContainerStatus::None => Next::Resolve,
        ContainerStatus::ManifestPulled => match missing_for_pull(task, container) {
            Some(why) => Next::Wait { why, until: None },
            None => Next::Pull,
        },
        ContainerStatus::Pulled => Next::Create,
        ContainerStatus::Created => Next::Start,
        ContainerStatus::Running | ContainerStatus::ResourcesProvisioned | ContainerStatus::Stopped => Next::Rest,
    }
}

fn next_down(task: &Task, container: &Container) -> Next {
    if let Some(dependent) = dependency::dependent_still_up(task, container) {
        return Next::Wait { why: format!("stops after {}", dependent.name()), until: None };
    }
    // The holder of a namespace goes last: the others live in it.
    if container.definition.kind == Kind::NamespacePause
        && let Some(other) = task.containers.iter().find(|c| c.definition.kind == Kind::Normal && !c.is_stopped())
    {
        return Next::Wait { why: format!("stops after {}", other.name()), until: None };
    }
    if container.state.known.is_running() { Next::Stop } else { Next::DeclareStopped }
}

/// A pull that signs with the execution role waits for that role's credentials (spec 20 §2).
fn missing_credentials(task: &Task, container: &Container, core: &Core) -> Option<String> {
    if container.state.known >= ContainerStatus::Pulled {
        return None;
    }
    let ecr = container.definition.registry.as_ref()?.ecr_auth_data.as_ref()?;
    let id = task.definition.execution_credentials.as_ref()?;
    (ecr.use_execution_role && !core.credentials.contains(id))
        .then(|| "waits for the credentials of the execution role".to_owned())
}

fn missing_for_pull(task: &Task, container: &Container) -> Option<String> {
    // Pause containers too: the Engine would make the cgroup for one, and without limits (spec 20 trap 22).
    if task.lacks_cgroup() {
        return Some("waits for the task's cgroup".to_owned());
    }
    for mount in &container.definition.mounts {
        let volume = task.volumes.iter().find(|v| v.definition.name == mount.source_volume);
        if let Some(volume) = volume
            && matches!(volume.definition.kind, VolumeKind::Docker { .. })
            && volume.state < VolumeState::Created
        {
            return Some(format!("waits for volume {}", volume.definition.name));
        }
    }
    if container.definition.kind == Kind::Normal
        && let Some(pause) = task.containers.iter().find(|c| c.definition.kind == Kind::NamespacePause)
        && pause.state.known < ContainerStatus::Running
    {
        return Some(format!("waits until {} holds the task's namespaces", pause.name()));
    }
    None
}

/// How the task's registry access looks for one container.
pub fn registry_access(task: &Task, container: &Container) -> crate::effect::RegistryAccess {
    let authentication = container.definition.registry.clone();
    let uses_role =
        authentication.as_ref().and_then(|a| a.ecr_auth_data.as_ref()).is_some_and(|ecr| ecr.use_execution_role);
    crate::effect::RegistryAccess {
        authentication,
        execution_credentials: task.definition.execution_credentials.clone().filter(|_| uses_role),
    }
}

/// The Engine's grace between TERM and KILL, and the whole call's deadline (spec 20 §3.5).
pub fn stop_times(container: &Container, config: &EngineConfig) -> (std::time::Duration, std::time::Duration) {
    let grace = container.stop_timeout(config.timeouts.stop);
    (grace, grace + std::time::Duration::from_secs(120))
}
