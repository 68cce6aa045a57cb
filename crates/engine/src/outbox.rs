//! What the control plane must be told of a task: reports in the order in which things happened, each
//! sent until it is acknowledged, the next not before (spec 10 §4). They are stored with the task, so
//! neither a failing API nor a crash loses or reorders a task's story.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use wire::ecs::{ContainerStateChange, EpochSeconds, NetworkBinding, SubmitTaskStateChangeRequest, unless_empty};
use wire::ids::TaskId;

use crate::backoff::Backoff;
use crate::config::EngineConfig;
use crate::container::{Container, ContainerPorts, NamedError, PortBinding};
use crate::effect::EffectId;
use crate::event::{Failure, FailureKind};
use crate::rng::Rng;
use crate::status::{ContainerStatus, TaskStatus};
use crate::stored_time;
use crate::task::Task;
use crate::text;

/// One thing to tell, as it was when it happened.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    pub status: TaskStatus,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    #[serde(with = "stored_time::option", skip_serializing_if = "Option::is_none")]
    pub pull_started_at: Option<Timestamp>,
    #[serde(with = "stored_time::option", skip_serializing_if = "Option::is_none")]
    pub pull_stopped_at: Option<Timestamp>,
    #[serde(with = "stored_time::option", skip_serializing_if = "Option::is_none")]
    pub execution_stopped_at: Option<Timestamp>,
    pub containers: Vec<ContainerReport>,
}

/// What a report says of one container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerReport {
    pub name: String,
    pub status: ContainerStatus,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub runtime_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub digest: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bindings: Vec<Binding>,
}

/// Where a port of the container is reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Binding {
    One(PortBinding),
    Range { container: (u16, u16), host: (u16, u16), protocol: crate::effect::Protocol, bind_ip: String },
}

/// More bindings than this of a container with a port range cannot be reported (spec 10 §4.4).
const MOST_RANGE_BINDINGS: usize = 100;

impl Task {
    /// Queues a report of the task's own status where one is due (spec 10 §4.2).
    pub(crate) fn tell_status(&mut self) -> bool {
        let known = self.state.known;
        let is_due = known > self.state.told
            && match known {
                TaskStatus::Running | TaskStatus::Stopped => true,
                TaskStatus::ManifestPulled => self.containers.iter().any(Container::has_resolved_digest),
                TaskStatus::None | TaskStatus::Created => false,
            };
        if is_due {
            self.queue_report();
        }
        is_due
    }

    /// Queues a report for containers that changed while the task did not; never for a stopped task.
    pub(crate) fn tell_changes(&mut self) -> bool {
        let is_due = self.state.known < TaskStatus::Stopped && self.containers.iter().any(has_news);
        if is_due {
            self.queue_report();
        }
        is_due
    }

    /// Queues a report of a failed pull while the status that it carries is not acknowledged (spec 20 §5.3, 7).
    pub(crate) fn tell_pull_failure(&mut self, error: &NamedError) {
        let is_reportable = self.state.known == TaskStatus::ManifestPulled
            && self.state.sent < self.state.known
            && self.containers.iter().any(Container::has_resolved_digest);
        if is_reportable {
            self.queue_report();
            if let Some(report) = self.state.reports.back_mut() {
                report.reason = error.to_string();
            }
        }
    }

    fn queue_report(&mut self) {
        let mut containers = Vec::with_capacity(self.containers.len());
        for container in &mut self.containers {
            if !has_news(container) {
                continue;
            }
            let Some(status) = container.reportable() else { continue };
            containers.push(ContainerReport {
                name: container.name().to_owned(),
                status,
                runtime_id: container.state.docker_id.as_ref().map(|id| id.as_str().to_owned()).unwrap_or_default(),
                exit_code: container.state.exit_code,
                reason: container.state.error.as_ref().map(ToString::to_string).unwrap_or_default(),
                digest: container.state.image_digest.as_ref().map(|d| d.as_str().to_owned()).unwrap_or_default(),
                bindings: bindings(container),
            });
            container.change().told = status;
        }
        let known = self.state.known;
        let reason = match known {
            TaskStatus::Stopped => self.state.reason.clone().unwrap_or_default(),
            _ => String::new(),
        };
        let report = Report {
            status: known,
            reason,
            pull_started_at: self.state.pull_started_at,
            pull_stopped_at: self.state.pull_stopped_at,
            execution_stopped_at: self.state.execution_stopped_at,
            containers,
        };
        let state = self.change();
        state.told = state.told.max(known);
        // Mostly one waits, and gets acknowledged before the next.
        state.reports.reserve_exact(1);
        state.reports.push_back(report);
    }

    /// The front report as the API takes it.
    pub(crate) fn front_request(&self, config: &EngineConfig) -> Option<SubmitTaskStateChangeRequest> {
        self.state.reports.front().map(|report| request(self, report, config))
    }

    /// The front report arrived.
    pub(crate) fn acknowledge(&mut self) -> Option<TaskStatus> {
        let report = self.state.reports.pop_front()?;
        for told in &report.containers {
            if let Some(container) = self.containers.iter_mut().find(|c| c.name() == told.name)
                && told.status > container.state.sent
            {
                container.change().sent = told.status;
            }
        }
        let state = self.change();
        state.sent = state.sent.max(report.status);
        Some(report.status)
    }
}

fn has_news(container: &Container) -> bool {
    container.reportable().is_some_and(|status| status > container.state.told)
}

fn bindings(container: &Container) -> Vec<Binding> {
    let mut all = Vec::new();
    let mut in_ranges: Vec<&PortBinding> = Vec::new();
    for mapping in &container.definition.ports {
        if let ContainerPorts::Range(first, last) = mapping.container {
            let members: Vec<_> = container
                .state
                .bindings
                .iter()
                .filter(|b| b.protocol == mapping.protocol && (first..=last).contains(&b.container_port))
                .collect();
            for start in members.iter().filter(|b| b.container_port == first) {
                all.push(Binding::Range {
                    container: (first, last),
                    host: (start.host_port, start.host_port.saturating_add(last - first)),
                    protocol: mapping.protocol,
                    bind_ip: start.bind_ip.clone(),
                });
            }
            in_ranges.extend(members);
        }
    }
    all.extend(container.state.bindings.iter().filter(|b| !in_ranges.contains(b)).cloned().map(Binding::One));
    if !in_ranges.is_empty() {
        all.truncate(MOST_RANGE_BINDINGS);
    }
    all
}

fn request(task: &Task, report: &Report, config: &EngineConfig) -> SubmitTaskStateChangeRequest {
    let some = |text: &str, limit: usize| (!text.is_empty()).then(|| text::cut(text, limit).to_owned());
    let when = |at: Option<Timestamp>| at.map(|at| EpochSeconds::from_millis(at.as_millisecond()));
    let containers = report
        .containers
        .iter()
        .map(|c| ContainerStateChange {
            container_name: Some(c.name.clone()),
            status: Some(c.status.reported().to_owned()),
            runtime_id: some(&c.runtime_id, 255),
            exit_code: c.exit_code,
            reason: some(&c.reason, 1024),
            image_digest: some(&c.digest, 255),
            network_bindings: network_bindings(&c.bindings, config),
        })
        .collect();
    SubmitTaskStateChangeRequest {
        cluster: Some(config.cluster.clone()),
        task: Some(task.arn().as_str().to_owned()),
        status: Some(report.status.reported().to_owned()),
        reason: Some(text::cut(&report.reason, 1024).to_owned()),
        pull_started_at: when(report.pull_started_at),
        pull_stopped_at: when(report.pull_stopped_at),
        execution_stopped_at: when(report.execution_stopped_at),
        containers: unless_empty(containers),
        ..SubmitTaskStateChangeRequest::default()
    }
}

/// Left out when a filter is active and nothing remains, else a list, even an empty one (spec 10 §4.4).
fn network_bindings(bindings: &[Binding], config: &EngineConfig) -> Option<Vec<NetworkBinding>> {
    let is_kept = |ip: &str| !(config.is_ipv6_binding_excluded && ip == "::");
    let list: Vec<_> = bindings
        .iter()
        .filter_map(|binding| match binding {
            Binding::One(b) => is_kept(&b.bind_ip).then(|| NetworkBinding {
                bind_ip: Some(b.bind_ip.clone()),
                container_port: Some(b.container_port.into()),
                host_port: Some(b.host_port.into()),
                protocol: Some(b.protocol.to_string()),
                ..NetworkBinding::default()
            }),
            Binding::Range { container, host, protocol, bind_ip } => is_kept(bind_ip).then(|| NetworkBinding {
                bind_ip: Some(bind_ip.clone()),
                container_port_range: Some(format!("{}-{}", container.0, container.1)),
                host_port_range: Some(format!("{}-{}", host.0, host.1)),
                protocol: Some(protocol.to_string()),
                ..NetworkBinding::default()
            }),
        })
        .collect();
    if config.is_ipv6_binding_excluded { unless_empty(list) } else { Some(list) }
}

/// Which reports are on their way.
#[derive(Debug, Clone, Default)]
pub struct Outbox {
    in_flight: BTreeMap<TaskId, EffectId>,
    /// Tasks with something to send and no slot yet, in turn.
    ready: VecDeque<TaskId>,
    /// The same, to find one among thousands.
    is_ready: BTreeSet<TaskId>,
    failing: BTreeMap<TaskId, Trouble>,
}

#[derive(Debug, Clone)]
struct Trouble {
    attempt: u32,
    backoff: Backoff,
}

/// What to do about a report that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Retry(Duration),
    /// The control plane will never take it (spec 10 §4.7).
    Drop,
}

impl Outbox {
    /// How many submissions are on their way.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// How many tasks wait for a slot or a retry.
    pub fn waiting(&self) -> usize {
        self.ready.len() + self.failing.len()
    }

    /// A task has something to send.
    pub(crate) fn offer(&mut self, task: &TaskId) {
        let is_busy = self.in_flight.contains_key(task) || self.failing.get(task).is_some_and(|t| t.attempt > 0);
        if !is_busy {
            self.line_up(task);
        }
    }

    /// A task's pause is over: its report may go again.
    pub(crate) fn resume(&mut self, task: &TaskId) {
        if !self.in_flight.contains_key(task) {
            self.line_up(task);
        }
    }

    fn line_up(&mut self, task: &TaskId) {
        if self.is_ready.insert(task.clone()) {
            self.ready.push_back(task.clone());
        }
    }

    /// The next task that may send, while there is a slot.
    pub(crate) fn next_ready(&mut self, slots: usize) -> Option<TaskId> {
        if self.in_flight.len() >= slots {
            return None;
        }
        let task = self.ready.pop_front()?;
        self.is_ready.remove(&task);
        Some(task)
    }

    pub(crate) fn sent(&mut self, task: TaskId, effect: EffectId) {
        self.in_flight.insert(task, effect);
    }

    pub(crate) fn arrived(&mut self, task: &TaskId) {
        self.in_flight.remove(task);
        self.failing.remove(task);
    }

    pub(crate) fn failed(&mut self, task: &TaskId, failure: &Failure, rng: &mut Rng) -> Verdict {
        self.in_flight.remove(task);
        if failure.code == "InvalidParameterException" {
            self.failing.remove(task);
            return Verdict::Drop;
        }
        let trouble = self.failing.entry(task.clone()).or_insert_with(|| Trouble {
            attempt: 0,
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(30), 1.3, 0.2),
        });
        trouble.attempt += 1;
        let is_passing = matches!(
            failure.kind,
            FailureKind::Throttled | FailureKind::Unreachable | FailureKind::Timeout | FailureKind::Other
        );
        // Passing faults are retried soon at first, as the reference's own client does (spec 10 §1.6).
        let pause = if is_passing && trouble.attempt <= 5 {
            Duration::from_millis((30 + rng.below(30)) << trouble.attempt)
        } else {
            trouble.backoff.next(rng)
        };
        Verdict::Retry(pause)
    }

    pub(crate) fn forget(&mut self, task: &TaskId) {
        self.in_flight.remove(task);
        self.failing.remove(task);
        if self.is_ready.remove(task) {
            self.ready.retain(|id| id != task);
        }
    }
}
