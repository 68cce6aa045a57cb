//! A task as the commands see it: what the control plane says of it and what the agent knows, as one document. It is
//! the body of `/longshore/v1/tasks`, so that programs see what `describe` sees.

use std::time::{Duration, Instant};

use engine::container::{Container, Kind};
use engine::status::TaskStatus;
use engine::task::{Task, VolumeKind};
use engine::time::Mono;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use wire::ecs;

use crate::agent::published::{LayerProgress, Published};

/// One task.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TaskReport {
    pub arn: String,
    pub id: String,
    pub family: String,
    pub revision: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub network_mode: String,
    /// The control plane's words: PENDING, RUNNING, STOPPED.
    pub last_status: String,
    pub desired_status: String,
    /// The agent's own word; empty where it does not know the task, or not any more.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub agent_status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What of the host it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// State changes that the control plane has not acknowledged.
    #[serde(skip_serializing_if = "is_zero")]
    pub reports_waiting: usize,
    pub containers: Vec<ContainerReport>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<VolumeReport>,
    /// Only where one task was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<MomentReport>,
}

/// One container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ContainerReport {
    pub name: String,
    pub image: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_digest: Option<String>,
    pub is_essential: bool,
    /// Made by the agent for itself.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_internal: bool,
    /// The agent's word where it knows the container, else the control plane's.
    pub status: String,
    pub desired_status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docker_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docker_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "is_none_yet")]
    pub restarts: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortReport>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ipv4: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// What is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doing: Option<Doing>,
    /// Why it does not move.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull: Option<PullReport>,
}

/// What a container's health check says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct HealthReport {
    pub status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub output: String,
}

/// A port as it is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PortReport {
    pub bind_ip: String,
    pub host_port: u16,
    pub container_port: u16,
    pub protocol: String,
}

/// A step under way.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Doing {
    pub what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    pub attempt: u32,
}

/// How far a pull is, in bytes, by layer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PullReport {
    pub layers: Vec<LayerReport>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LayerReport {
    pub id: String,
    pub status: String,
    pub current: u64,
    pub total: u64,
}

/// A volume of the task.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct VolumeReport {
    pub name: String,
    /// A path of the host, or the Engine's name for it.
    pub source: String,
    /// Made by the agent for this task, and gone with it.
    pub is_own: bool,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct MomentReport {
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    pub what: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

impl LayerReport {
    /// Bytes that were loaded. A layer that is being unpacked counts from zero once more.
    pub(crate) fn loaded(&self) -> u64 {
        match self.status.as_str() {
            "Downloading" => self.current.min(self.total),
            "Verifying Checksum" | "Download complete" | "Extracting" | "Pull complete" | "Already exists" => {
                self.total
            }
            _ => 0,
        }
    }
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

fn is_none_yet(count: &u64) -> bool {
    *count == 0
}

impl TaskReport {
    /// Family and revision.
    pub(crate) fn name(&self) -> String {
        if self.revision.is_empty() { self.family.clone() } else { format!("{}:{}", self.family, self.revision) }
    }

    /// Whether it is over for all who know it.
    pub(crate) fn is_stopped(&self) -> bool {
        self.last_status == "STOPPED"
    }

    /// Whether the agent says that it is over; the control plane may not know yet.
    pub(crate) fn has_ended(&self) -> bool {
        self.is_stopped() || self.agent_status == "STOPPED"
    }

    /// The containers that the definition names.
    pub(crate) fn own_containers(&self) -> impl Iterator<Item = &ContainerReport> {
        self.containers.iter().filter(|container| !container.is_internal)
    }
}

/// Level and word of a remark of the control plane.
pub(super) const fn remark_words(is_trouble: bool) -> (&'static str, &'static str) {
    if is_trouble { ("warn", "no_credentials") } else { ("info", "credentials") }
}

/// Puts what the control plane remarked into a task's history, in order of time.
pub(super) fn add_remarks(report: &mut TaskReport, remarks: &[plane::telemetry::Remark]) {
    report.history.extend(remarks.iter().filter_map(|remark| {
        Some(MomentReport {
            at: timestamp(Some(remark.at))?,
            container: None,
            what: remark_words(remark.is_trouble).1.to_owned(),
            detail: remark.text.clone(),
        })
    }));
    report.history.sort_by_key(|moment| moment.at);
}

/// What reports are made from, beside the tasks.
pub(super) struct Context<'a> {
    pub published: &'a Published,
    /// When the agent's own clock began.
    pub began: Instant,
    pub with_history: bool,
}

/// Joins what both say of one task; at least one of them knows it.
pub(super) fn join(context: &Context<'_>, told: Option<&ecs::Task>, seen: Option<&Task>) -> TaskReport {
    let mut report = told.map(from_plane).unwrap_or_default();
    let Some(task) = seen else { return report };
    let definition = &task.definition;
    report.arn = definition.arn.to_string();
    report.id = definition.id.to_string();
    report.family.clone_from(&definition.family);
    report.revision.clone_from(&definition.version);
    report.network_mode = definition.network_mode.to_string();
    report.agent_status = task.state.known.to_string();
    if told.is_none() {
        report.last_status = task.state.known.reported().to_owned();
        report.desired_status =
            if task.state.desired == TaskStatus::Stopped { "STOPPED" } else { "RUNNING" }.to_owned();
    }
    report.created_at = report.created_at.or(task.state.accepted_at);
    report.reason = report.reason.or_else(|| task.state.reason.clone());
    report.waits_for = task.waits_for().map(str::to_owned);
    report.reports_waiting = task.state.reports.len();
    report.containers = task.containers.iter().map(|container| container_report(context, container)).collect();
    report.volumes = task
        .volumes
        .iter()
        .map(|volume| VolumeReport {
            name: volume.definition.name.clone(),
            source: volume.source().to_owned(),
            is_own: matches!(volume.definition.kind, VolumeKind::Docker { is_shared: false, .. }),
        })
        .collect();
    if context.with_history {
        report.history = task
            .history
            .iter()
            .map(|moment| MomentReport {
                at: moment.at,
                container: moment.container.as_deref().map(str::to_owned),
                what: moment.what.clone().into_owned(),
                detail: moment.detail.clone(),
            })
            .collect();
    }
    report
}

pub(super) fn timestamp(at: Option<ecs::EpochSeconds>) -> Option<Timestamp> {
    Timestamp::from_millisecond(at?.as_millis()).ok()
}

fn from_plane(task: &ecs::Task) -> TaskReport {
    let definition = task.task_definition_arn.rsplit('/').next().unwrap_or_default();
    let (family, revision) = definition.split_once(':').unwrap_or((definition, ""));
    TaskReport {
        arn: task.task_arn.clone(),
        id: task.task_arn.rsplit('/').next().unwrap_or_default().to_owned(),
        family: family.to_owned(),
        revision: revision.to_owned(),
        group: task.group.clone(),
        last_status: task.last_status.clone(),
        desired_status: task.desired_status.clone(),
        created_at: timestamp(task.created_at),
        started_at: timestamp(task.started_at),
        stopped_at: timestamp(task.stopped_at),
        stop_code: task.stop_code.clone(),
        reason: task.stopped_reason.clone(),
        containers: task.containers.iter().map(container_from_plane).collect(),
        ..TaskReport::default()
    }
}

fn container_from_plane(container: &ecs::Container) -> ContainerReport {
    let port = |number: Option<i64>| number.and_then(|number| u16::try_from(number).ok()).unwrap_or_default();
    ContainerReport {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        image_digest: container.image_digest.clone(),
        status: container.last_status.clone(),
        docker_id: container.runtime_id.clone(),
        exit_code: container.exit_code,
        reason: container.reason.clone(),
        health: container
            .health_status
            .as_ref()
            .filter(|status| *status != "UNKNOWN")
            .map(|status| HealthReport { status: status.clone(), ..HealthReport::default() }),
        ports: container
            .network_bindings
            .iter()
            .map(|binding| PortReport {
                bind_ip: binding.bind_ip.clone().unwrap_or_default(),
                host_port: port(binding.host_port),
                container_port: port(binding.container_port),
                protocol: binding.protocol.clone().unwrap_or_default(),
            })
            .collect(),
        ..ContainerReport::default()
    }
}

fn container_report(context: &Context<'_>, container: &Container) -> ContainerReport {
    let (definition, state) = (&container.definition, &container.state);
    let since = |at: Mono| {
        let ago = context.began.elapsed().saturating_sub(at.0);
        // Milliseconds suffice, and keep the same moment the same in two reports.
        let ago = Duration::from_millis(u64::try_from(ago.as_millis()).unwrap_or_default());
        Timestamp::now().checked_sub(ago).ok()
    };
    // Beside work it waits for its turn: nothing is done yet.
    let under_way = container.work.as_ref().filter(|_| container.waiting.is_none());
    let doing = under_way.map(|work| Doing {
        what: work.stage.label().to_owned(),
        since: since(work.since),
        attempt: work.attempt,
    });
    let pull = context.published.pull_for(container).map(|pull| {
        let layer = |(id, layer): (&String, &LayerProgress)| LayerReport {
            id: id.clone(),
            status: layer.status.clone(),
            current: layer.current,
            total: layer.total,
        };
        PullReport { layers: pull.layers.iter().map(layer).collect() }
    });
    let health = (definition.has_health_check && state.known.is_running()).then(|| HealthReport {
        status: container.health.status.to_string(),
        since: container.health.since,
        output: container.health.output.clone(),
    });
    ContainerReport {
        name: definition.name.to_string(),
        image: definition.image.to_string(),
        image_digest: state.image_digest.as_ref().map(ToString::to_string),
        is_essential: definition.is_essential,
        is_internal: definition.kind != Kind::Normal,
        status: state.known.to_string(),
        desired_status: state.desired.to_string(),
        health,
        docker_id: state.docker_id.as_ref().map(ToString::to_string),
        docker_name: state.docker_name.clone(),
        exit_code: state.exit_code,
        reason: state.error.as_ref().map(ToString::to_string),
        restarts: state.restarts.count,
        ports: state
            .bindings
            .iter()
            .map(|binding| PortReport {
                bind_ip: binding.bind_ip.clone(),
                host_port: binding.host_port,
                container_port: binding.container_port,
                protocol: binding.protocol.to_string(),
            })
            .collect(),
        ipv4: state.network.ipv4.clone(),
        created_at: state.created_at,
        started_at: state.started_at,
        finished_at: state.finished_at,
        doing,
        waiting: container.waiting.clone(),
        pull,
    }
}
