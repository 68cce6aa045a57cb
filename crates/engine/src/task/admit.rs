//! Reads a payload's task once, at the border (spec 20 §1.7–1.8): what comes out can be run as it is, and
//! what cannot be run is refused here with a reason, not half way.
//!
//! Knows nothing of statuses and of tasks that are already here: a known ARN must not come this far, since
//! names and ids would be drawn anew (spec 20 trap 16).

mod container;
mod ordering;
mod support;
mod volume;

use wire::acs;
use wire::ids::{CredentialsId, ImageRef, TaskArn};

use super::cgroup::define as define_cgroup;
use super::{NetworkMode, TaskDefinition, shared};
use crate::config::EngineConfig;
use crate::container::{Definition, Kind};
use crate::rng::Rng;
use crate::text;

/// Where containers reach the agent (spec 20 §4.6).
const ENDPOINT: &str = "http://169.254.170.2";
/// Holds namespaces; loaded from a file, never pulled (spec 20 §1.5).
const PAUSE_IMAGE: &str = "amazon/amazon-ecs-pause:0.1.0";
const NAMESPACE_PAUSE: &str = "~internal~ecs~pause~namespace";

/// Why a task is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// It could not be read, which also keeps its payload from being acknowledged. The cause goes into
    /// [`text::unreadable_task`].
    Unreadable(String),
    /// It was read and cannot be run: the payload counts as handled, the task is STOPPED with this reason.
    Impossible { reason: String },
}

/// A rejection before it is put into words that name the task.
#[derive(Debug)]
enum Trouble {
    Unreadable(String),
    Impossible(String),
    Unresolvable,
}

impl Trouble {
    fn into_rejection(self, arn: &TaskArn) -> Rejection {
        match self {
            Self::Unreadable(cause) => Rejection::Unreadable(cause),
            Self::Impossible(cause) => {
                Rejection::Impossible { reason: text::resource_initialization(arn.as_str(), &cause) }
            }
            Self::Unresolvable => Rejection::Impossible { reason: text::unresolvable_dependencies(arn.as_str()) },
        }
    }
}

/// Reads a task that is not known yet, and draws the names and ids that it needs.
///
/// # Errors
/// [`Rejection`], by whether its payload may be acknowledged.
pub fn admit(task: acs::Task, config: &EngineConfig, rng: &mut Rng) -> Result<TaskDefinition, Rejection> {
    let arn = TaskArn::new(task.arn.clone());
    read(task, &arn, config, rng).map_err(|trouble| trouble.into_rejection(&arn))
}

fn read(task: acs::Task, arn: &TaskArn, config: &EngineConfig, rng: &mut Rng) -> Result<TaskDefinition, Trouble> {
    if arn.is_empty() {
        return Err(Trouble::Unreadable("task without an ARN".to_owned()));
    }
    if task.proxy_configuration.as_ref().is_some_and(|proxy| proxy.kind != "APPMESH") {
        return Err(Trouble::Unreadable("proxy configuration of a type other than APPMESH".to_owned()));
    }
    let task_credentials = credentials_id(task.role_credentials.as_ref(), "role")?;
    let execution_credentials = credentials_id(task.execution_role_credentials.as_ref(), "execution role")?;
    let containers = task.containers.iter().map(container::read).collect::<Result<Vec<_>, _>>();
    let volumes = volume::read(&task, rng);
    // What cannot be read comes before what cannot be run, whichever of the two was met first.
    let (mut containers, volumes) = match (containers, volumes) {
        (Ok(containers), Ok(volumes)) => (containers, volumes),
        (Err(unreadable @ Trouble::Unreadable(_)), _) | (_, Err(unreadable @ Trouble::Unreadable(_))) => {
            return Err(unreadable);
        }
        (Err(trouble), _) | (_, Err(trouble)) => return Err(trouble),
    };
    if let Some(need) = support::unsupported(&task) {
        return Err(Trouble::Impossible(need));
    }
    let cpu = task.cpu.max(0.0);
    let memory_mib = u64::try_from(task.memory).unwrap_or_default();
    let define = |limits| define_cgroup(&arn.task_id(), cpu, memory_mib, &containers, limits);
    let cgroup = config.task_limits.as_ref().map(define).transpose().map_err(Trouble::Impossible)?;
    ordering::check_names(&containers)?;
    ordering::add_implied(&mut containers)?;
    for container in &mut containers {
        container.endpoint_id = rng.uuid();
        add_environment(container, task_credentials.as_ref());
    }
    if task.pid_mode == "task" || task.ipc_mode == "task" {
        containers.push(namespace_pause(config)?);
    }
    ordering::check_resolvable(&containers)?;
    Ok(TaskDefinition {
        arn: arn.clone(),
        id: arn.task_id(),
        family: task.family,
        version: task.version,
        service_name: task.service_name,
        group: task.group,
        launch_type: task.launch_type,
        network_mode: NetworkMode::from(task.network_mode.as_str()),
        pid_mode: task.pid_mode,
        ipc_mode: task.ipc_mode,
        cpu,
        memory_mib,
        containers: shared(containers),
        volumes,
        cgroup,
        associations: task.associations,
        task_credentials,
        execution_credentials,
        has_fault_injection: task.enable_fault_injection,
    })
}

fn credentials_id(credentials: Option<&acs::RoleCredentials>, whose: &str) -> Result<Option<CredentialsId>, Trouble> {
    match credentials {
        Some(credentials) if credentials.credentials_id.is_empty() => {
            Err(Trouble::Unreadable(format!("{whose} credentials without an id")))
        }
        Some(credentials) => Ok(Some(CredentialsId::new(credentials.credentials_id.clone()))),
        None => Ok(None),
    }
}

/// The agent's own variables, which win over the user's (spec 20 §4.6).
fn add_environment(container: &mut Definition, credentials: Option<&CredentialsId>) {
    let id = &container.endpoint_id;
    let mut own = vec![
        ("ECS_CONTAINER_METADATA_URI", format!("{ENDPOINT}/v3/{id}")),
        ("ECS_CONTAINER_METADATA_URI_V4", format!("{ENDPOINT}/v4/{id}")),
        ("ECS_AGENT_URI", format!("{ENDPOINT}/api/{id}")),
    ];
    own.extend(credentials.map(|id| ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", format!("/v2/credentials/{id}"))));
    container.environment.extend(own.into_iter().map(|(name, value)| (name.to_owned(), value)));
}

/// Holds the namespaces that the task's containers share. It has no environment and no endpoint
/// (spec 20 trap 29).
fn namespace_pause(config: &EngineConfig) -> Result<Definition, Trouble> {
    if !config.host.is_pause_image_loaded {
        return Err(Trouble::Impossible(format!(
            "a shared process or IPC namespace needs the image {PAUSE_IMAGE}, which is not loaded"
        )));
    }
    Ok(Definition {
        name: NAMESPACE_PAUSE.into(),
        kind: Kind::NamespacePause,
        image: ImageRef::from(PAUSE_IMAGE),
        is_essential: true,
        ..Definition::default()
    })
}

#[cfg(test)]
mod tests;
