//! A task of the reference agent, as ours.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use wire::ids::{CredentialsId, TaskArn};
use wire::rows::{self, ContainerRow, ContainerType, Metadata, StatusWord};

use super::{MigrateError, cgroup, container, volume};
use crate::status::{ContainerStatus, TaskStatus};
use crate::task::{Moment, NetworkMode, Task, TaskDefinition, TaskState, VolumeState, shared};
use crate::text;

/// The task's containers in order, each as its own row has it; the copy within the task is older, and stands in
/// where there is no such row.
pub(super) fn containers(
    task: &rows::Task,
    key: &str,
    all: &BTreeMap<String, ContainerRow>,
    used: &mut BTreeSet<String>,
) -> Vec<ContainerRow> {
    let mut rows = Vec::new();
    for copy in &task.containers {
        let key = format!("{key}-{}", copy.name);
        match all.get(&key) {
            Some(row) => rows.push(row.clone()),
            None => rows.push(ContainerRow { container: copy.clone(), ..ContainerRow::default() }),
        }
        used.insert(key);
    }
    rows
}

/// Whether the agent started it for its own purposes: the control plane does not know it (spec 20 §1.5).
pub(super) fn is_agents_own(task: &rows::Task) -> bool {
    task.is_internal || task.arn.starts_with("arn:::::/")
}

pub(super) fn migrate(
    row: &rows::Task,
    key: &str,
    containers: &[ContainerRow],
    metadata: &Metadata,
    now: Timestamp,
    cautions: &mut Vec<String>,
) -> Result<Task, MigrateError> {
    if row.arn.is_empty() {
        return Err(MigrateError::NoArn { key: key.to_owned() });
    }
    let arn = TaskArn::from(row.arn.as_str());
    let read = containers.iter().map(|c| container::migrate(row, c)).collect::<Result<Vec<_>, _>>()?;
    let (definitions, states): (Vec<_>, Vec<_>) = read.into_iter().unzip();
    let volumes: Vec<_> = row.volumes.iter().map(volume::definition).collect();
    let is_any_created = states.iter().any(|state| state.known >= ContainerStatus::Created);
    let volume_states: Vec<VolumeState> = volumes.iter().map(|v| volume::state(row, v, is_any_created)).collect();
    let (cgroup, cgroup_state) = cgroup::migrate(row);
    let state = TaskState { accepted_at: row.pull_started_at.0, cgroup: cgroup_state, ..task_state(row)? };
    let definition = TaskDefinition {
        id: arn.task_id(),
        arn,
        family: row.family.clone(),
        version: row.version.clone(),
        service_name: row.service_name.clone(),
        group: row.group.clone(),
        launch_type: row.launch_type.clone(),
        network_mode: NetworkMode::from(row.network_mode.as_str()),
        pid_mode: row.pid_mode.clone(),
        ipc_mode: row.ipc_mode.clone(),
        cpu: row.cpu.max(0.0),
        memory_mib: u64::try_from(row.memory).unwrap_or_default(),
        containers: shared(definitions),
        volumes,
        cgroup,
        associations: row.associations.clone(),
        task_credentials: credentials(&row.credentials_id),
        execution_credentials: credentials(&row.execution_credentials_id),
        has_fault_injection: row.enable_fault_injection,
    };
    let mut task = Task::new(definition, now);
    task.state = state;
    for (container, state) in task.containers.iter_mut().zip(states) {
        container.state = state;
    }
    for (volume, state) in task.volumes.iter_mut().zip(volume_states) {
        volume.state = state;
    }
    let detail = match metadata.agent_version.as_str() {
        "" => "from the Amazon ECS agent".to_owned(),
        version => format!("from the Amazon ECS agent {version}"),
    };
    task.history.push(Arc::new(Moment { at: now, container: None, what: "moved_in".into(), detail }));
    consider(&mut task, row, containers, cautions);
    Ok(task)
}

fn task_state(row: &rows::Task) -> Result<TaskState, MigrateError> {
    let status = |whose: &str, word: &StatusWord| {
        TaskStatus::parse(word.as_str()).ok_or_else(|| MigrateError::Status {
            task: row.arn.clone(),
            whose: whose.to_owned(),
            word: word.as_str().to_owned(),
        })
    };
    let sent = status("its sent", &row.sent_status)?;
    Ok(TaskState {
        desired: status("its desired", &row.desired_status)?,
        known: status("its known", &row.known_status)?,
        sent,
        // What was not acknowledged is told again, as the reference does after a restart.
        told: sent,
        known_since: row.known_time.0,
        pull_started_at: row.pull_started_at.0,
        pull_stopped_at: row.pull_stopped_at.0,
        execution_stopped_at: row.execution_stopped_at.0,
        ..TaskState::default()
    })
}

fn credentials(id: &str) -> Option<CredentialsId> {
    (!id.is_empty()).then(|| CredentialsId::from(id))
}

/// What cannot be managed: a task that is up goes on, one that would still have to be set up is stopped.
fn consider(task: &mut Task, row: &rows::Task, containers: &[ContainerRow], cautions: &mut Vec<String>) {
    if task.state.known == TaskStatus::Stopped {
        return;
    }
    let arn = &row.arn;
    if task.state.desired != TaskStatus::Stopped
        && let Some(need) = unmet_need(task, row, containers)
    {
        let reason = format!("the task was not up yet when its agent was replaced by one that does not support {need}");
        cautions.push(format!("task {arn} is stopped: {reason}"));
        task.state.reason = Some(text::terminal_reason(&reason));
        task.state.desired = TaskStatus::Stopped;
        return;
    }
    if let Some(network) = foreign_network(row, containers) {
        cautions.push(format!(
            "task {arn} uses {network}: it is watched, reported and stopped, but its network is not torn down by this agent"
        ));
    }
    if row.volumes.iter().any(|v| v.kind == "amazonebs") {
        cautions.push(format!("task {arn} has an Amazon EBS volume, which is not unmounted by this agent"));
    }
}

/// What a container that does not exist yet needs and cannot get here.
fn unmet_need(task: &Task, row: &rows::Task, containers: &[ContainerRow]) -> Option<&'static str> {
    let is_below = |status: ContainerStatus| task.containers.iter().any(|c| c.state.known < status);
    if is_below(ContainerStatus::Running)
        && let Some(network) = foreign_network(row, containers)
    {
        return Some(network);
    }
    let missing =
        task.containers.iter().zip(containers).filter(|(ours, _)| ours.state.known < ContainerStatus::Created);
    missing.map(|(_, theirs)| &theirs.container).find_map(|c| {
        let host = c.docker_config.host_config.as_deref().unwrap_or_default();
        let uses_asm = c.registry_authentication.as_ref().is_some_and(|registry| registry.kind == "asm");
        let mounts_unknown = c
            .mount_points
            .iter()
            .any(|mount| row.volumes.iter().any(|v| v.name == mount.source_volume && !volume::is_supported(v)));
        [
            (!c.secrets.is_empty(), "secrets"),
            (!c.environment_files.is_empty(), "environment files"),
            (c.firelens_configuration.is_some() || host.contains("awsfirelens"), "FireLens"),
            (!c.credential_specs.is_empty(), "credential specs"),
            (!c.gpu_ids.is_empty(), "GPUs"),
            (uses_asm, "registry credentials from Secrets Manager"),
            (mounts_unknown, "volumes of this type"),
        ]
        .into_iter()
        .find_map(|(is_needed, what)| is_needed.then_some(what))
    })
}

/// A network that the reference agent set up with plugins.
fn foreign_network(row: &rows::Task, containers: &[ContainerRow]) -> Option<&'static str> {
    let has_pause = containers.iter().any(|c| c.container.kind == ContainerType::CniPause);
    match row.network_mode.as_str() {
        "awsvpc" => Some("network mode awsvpc"),
        _ if has_pause => Some("Service Connect"),
        _ => None,
    }
}
