//! The simulated control plane: what it wants of the agent, what it was told, and what it says on its sockets.
//! The rules of what it may be told are checked here, where it is told.

use std::collections::{BTreeMap, BTreeSet};

use engine::effect::Connection;
use wire::acs::{self, Inbound, Outbound};
use wire::ecs::{ContainerStateChange, RegisterContainerInstanceRequest, SubmitTaskStateChangeRequest};

use crate::workload::Order;

const INSTANCE: &str = "arn:aws:ecs:us-west-2:111122223333:container-instance/lab/";
const CLUSTER_ARN: &str = "arn:aws:ecs:us-west-2:111122223333:cluster/lab";

/// A task as the plane knows it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    /// Whether the agent acknowledged the payload that started it.
    pub(crate) is_accepted: bool,
    pub(crate) is_to_stop: bool,
    /// 0 nothing, 1 PENDING, 2 RUNNING, 3 STOPPED.
    pub(crate) rank: u8,
    pub(crate) containers: BTreeMap<String, (u8, Option<i64>)>,
    pub(crate) reason: String,
}

/// A payload that is not acknowledged yet.
#[derive(Debug, Clone)]
struct Pending {
    /// Number of the order, and whether it is to stop.
    tasks: Vec<(usize, bool)>,
}

/// The control plane.
#[derive(Debug, Default)]
pub(crate) struct Service {
    pub(crate) orders: Vec<Order>,
    pub(crate) told: BTreeMap<String, Told>,
    pending: BTreeMap<String, Pending>,
    pub(crate) acs: Option<Connection>,
    pub(crate) tcs: Option<Connection>,
    /// The connection over which nothing comes or goes any more, though nobody knows.
    pub(crate) deaf: Option<Connection>,
    sequence: i64,
    next_message: u64,
    manifest: Option<String>,
    pub(crate) reports: u64,
    /// Counts machines: each is another container instance.
    machine: u64,
    /// ARNs of tasks of machines that are no more.
    lost: BTreeSet<String>,
    pub(crate) offences: Vec<String>,
}

fn rank(status: Option<&str>) -> u8 {
    match status {
        Some("STOPPED") => 3,
        Some("RUNNING") => 2,
        _ => 1,
    }
}

impl Told {
    fn take(&mut self, container: &ContainerStateChange) -> Result<(), String> {
        let name = container.container_name.clone().unwrap_or_default();
        let new = rank(container.status.as_deref());
        let known = self.containers.entry(name.clone()).or_default();
        let before = known.0;
        *known = (new.max(before), container.exit_code.or(known.1));
        if new < before { Err(format!("container {name} went from {before} back to {new}")) } else { Ok(()) }
    }
}

impl Service {
    pub(crate) fn new(orders: Vec<Order>) -> Self {
        Self { orders, ..Self::default() }
    }

    fn instance(&self) -> String {
        format!("{INSTANCE}{}", self.machine)
    }

    /// A registration, or the renewal of one: the instance's ARN.
    pub(crate) fn register(&mut self, request: &RegisterContainerInstanceRequest) -> String {
        let instance = self.instance();
        if let Some(arn) = request.container_instance_arn.as_ref().filter(|arn| **arn != instance) {
            self.offences.push(format!("{arn} is renewed, but this is {instance}"));
        }
        instance
    }

    /// What ran on a machine that is no more is over.
    pub(crate) fn begin_anew(&mut self, machine: u64) {
        self.machine = machine;
        self.manifest = None;
        for (arn, told) in &mut self.told {
            if told.rank < 3 {
                told.rank = 3;
                self.lost.insert(arn.clone());
            }
        }
    }

    /// Whether a task was on a machine that is no more.
    pub(crate) fn is_lost(&self, arn: &str) -> bool {
        self.lost.contains(arn)
    }

    fn message_id(&mut self) -> String {
        self.next_message += 1;
        format!("m-{}", self.next_message)
    }

    /// Asks for tasks to start or stop. The payload is sent until it is acknowledged.
    pub(crate) fn ask(&mut self, tasks: Vec<(usize, bool)>) {
        for (number, is_stop) in &tasks {
            let arn = self.orders[*number].arn.clone();
            let told = self.told.entry(arn).or_default();
            told.is_to_stop |= is_stop;
        }
        let id = self.message_id();
        self.pending.insert(id, Pending { tasks });
    }

    /// Whether a task was asked for.
    pub(crate) fn is_asked(&self, number: usize) -> bool {
        self.told.contains_key(&self.orders[number].arn)
    }

    /// Of each payload that is not acknowledged only the first task stays in it; the others come in another one.
    pub(crate) fn split_payloads(&mut self) {
        let mut rests = Vec::new();
        for pending in self.pending.values_mut().filter(|pending| pending.tasks.len() > 1) {
            rests.push(pending.tasks.split_off(1));
        }
        for tasks in rests {
            let id = self.message_id();
            self.pending.insert(id, Pending { tasks });
        }
    }

    /// Whether all that was asked for has been reported as over.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.told.len() == self.orders.len() && self.told.values().all(|told| told.rank == 3)
    }

    pub(crate) fn is_stopped(&self, arn: &str) -> bool {
        self.told.get(arn).is_some_and(|told| told.rank == 3)
    }

    /// All payloads that still matter, to be sent now.
    pub(crate) fn payloads(&mut self) -> Vec<Inbound> {
        let Self { pending, told, orders, .. } = self;
        pending.retain(|_, p| {
            p.tasks.iter().any(|(number, _)| told.get(&orders[*number].arn).is_none_or(|told| told.rank < 3))
        });
        let pending: Vec<(String, Pending)> = pending.iter().map(|(id, p)| (id.clone(), p.clone())).collect();
        pending.into_iter().map(|(id, p)| self.payload(id, &p)).collect()
    }

    fn payload(&mut self, message_id: String, pending: &Pending) -> Inbound {
        self.sequence += 1;
        let tasks = pending
            .tasks
            .iter()
            // What is over is not asked for again: the agent may have forgotten it by now.
            .filter(|(number, _)| self.told.get(&self.orders[*number].arn).is_none_or(|told| told.rank < 3))
            .map(|(number, is_stop)| {
                let mut task = self.orders[*number].task.clone();
                let is_to_stop = self.told.get(&task.arn).is_some_and(|told| told.is_to_stop);
                if *is_stop || is_to_stop {
                    task.desired_status = "STOPPED".into();
                }
                Some(task)
            })
            .collect();
        Inbound::Payload(acs::Payload {
            cluster_arn: CLUSTER_ARN.into(),
            container_instance_arn: self.instance(),
            message_id,
            seq_num: Some(self.sequence),
            tasks,
            ..acs::Payload::default()
        })
    }

    pub(crate) fn heartbeat(&mut self) -> Inbound {
        Inbound::Heartbeat(acs::Heartbeat { message_id: self.message_id(), healthy: Some(true) })
    }

    /// Fresh credentials for all tasks, as after `sendCredentials=true`.
    pub(crate) fn credentials(&mut self) -> Vec<Inbound> {
        let mut all = Vec::new();
        for number in 0..self.orders.len() {
            let Order { arn, credentials, .. } = self.orders[number].clone();
            if self.told.get(&arn).is_none_or(|told| told.rank == 3 || !told.is_accepted) {
                continue;
            }
            for (id, role) in credentials {
                all.push(Inbound::Credentials(acs::CredentialsRefresh {
                    message_id: self.message_id(),
                    task_arn: arn.clone(),
                    role_type: role.to_owned(),
                    role_credentials: Some(acs::RoleCredentials { credentials_id: id, ..Default::default() }),
                    ..acs::CredentialsRefresh::default()
                }));
            }
        }
        all
    }

    /// All tasks that should be here.
    pub(crate) fn task_manifest(&mut self) -> Inbound {
        self.sequence += 1;
        let message_id = self.message_id();
        self.manifest = Some(message_id.clone());
        let tasks = self
            .told
            .iter()
            .filter(|(_, told)| told.rank < 3 && !told.is_to_stop)
            .map(|(arn, _)| {
                Some(acs::TaskIdentifier {
                    desired_status: "RUNNING".into(),
                    task_arn: arn.clone(),
                    task_cluster_arn: CLUSTER_ARN.into(),
                })
            })
            .collect();
        Inbound::TaskManifest(acs::TaskManifest {
            cluster_arn: CLUSTER_ARN.into(),
            container_instance_arn: self.instance(),
            message_id,
            timeline: Some(self.sequence),
            tasks,
            ..acs::TaskManifest::default()
        })
    }

    /// A frame from the agent; answers what follows on it. `rows` says whether a table has a key.
    pub(crate) fn hear(&mut self, text: &str) -> Vec<Inbound> {
        let Ok(message) = serde_json::from_str::<Outbound>(text) else {
            self.offences.push(format!("unreadable frame {text}"));
            return Vec::new();
        };
        match message {
            Outbound::Ack { message_id, .. } => {
                if let Some(pending) = self.pending.remove(&message_id) {
                    for (number, _) in pending.tasks {
                        self.told.entry(self.orders[number].arn.clone()).or_default().is_accepted = true;
                    }
                }
                Vec::new()
            }
            Outbound::TaskStopVerification { message_id, stop_candidates } => {
                if self.manifest.as_deref() != Some(message_id.as_str()) {
                    return Vec::new();
                }
                let stops = stop_candidates
                    .into_iter()
                    .filter(|task| self.told.get(&task.task_arn).is_none_or(|told| told.is_to_stop || told.rank == 3))
                    .map(Some)
                    .collect();
                vec![Inbound::TaskStopVerificationAck(acs::TaskStopVerificationAck {
                    message_id,
                    stop_tasks: stops,
                    ..acs::TaskStopVerificationAck::default()
                })]
            }
            Outbound::Nack { reason, .. } => {
                self.offences.push(format!("nack: {reason}"));
                Vec::new()
            }
            Outbound::HeartbeatAck { .. } | Outbound::CredentialsAck { .. } => Vec::new(),
        }
    }

    /// The tasks of a payload that is being acknowledged, and which of them are to stop.
    pub(crate) fn acknowledges(&self, text: &str) -> Vec<(String, bool)> {
        match serde_json::from_str::<Outbound>(text) {
            Ok(Outbound::Ack { message_id, .. }) => self
                .pending
                .get(&message_id)
                .map(|p| p.tasks.iter().map(|(n, is_stop)| (self.orders[*n].arn.clone(), *is_stop)).collect())
                .unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    /// Of a report of the agent only the first half of its containers is taken; it will be told that all failed.
    pub(crate) fn submit_half(&mut self, request: &SubmitTaskStateChangeRequest) {
        let arn = request.task.clone().unwrap_or_default();
        let Some(told) = self.told.get_mut(&arn).filter(|_| !self.lost.contains(&arn)) else { return };
        let containers: Vec<&ContainerStateChange> = request.containers.iter().flatten().collect();
        for container in &containers[..containers.len().div_ceil(2)] {
            if let Err(offence) = told.take(container) {
                self.offences.push(format!("{offence} of {arn}"));
            }
        }
    }

    /// A report of the agent.
    pub(crate) fn submit(&mut self, request: &SubmitTaskStateChangeRequest) {
        self.reports += 1;
        let arn = request.task.clone().unwrap_or_default();
        let Some(order) = self.orders.iter().find(|order| order.arn == arn) else {
            self.offences.push(format!("report of unknown task {arn}"));
            return;
        };
        if self.is_lost(&arn) {
            self.offences.push(format!("report of task {arn}, which was on another machine"));
            return;
        }
        let names: BTreeSet<String> = order.task.containers.iter().flatten().map(|c| c.name.clone()).collect();
        let told = self.told.entry(arn.clone()).or_default();
        let new = rank(request.status.as_deref());
        if new < told.rank {
            self.offences.push(format!("task {arn} went from {} back to {new}", told.rank));
        }
        told.rank = told.rank.max(new);
        if let Some(reason) = request.reason.as_ref().filter(|reason| !reason.is_empty()) {
            told.reason.clone_from(reason);
        }
        let containers = request.containers.iter().flatten();
        for container in containers {
            let name = container.container_name.clone().unwrap_or_default();
            if !names.contains(&name) {
                self.offences.push(format!("report of unknown container {name} of {arn}"));
                continue;
            }
            if let Err(offence) = told.take(container) {
                self.offences.push(format!("{offence} of {arn}"));
            }
        }
        let is_refusal = told.reason.contains("cannot be initialized")
            || told.reason.contains("Error loading task")
            || told.reason.contains("dependencies cannot be resolved");
        if told.rank == 3 && !is_refusal {
            for name in names {
                if told.containers.get(&name).is_none_or(|(rank, _)| *rank < 3) {
                    self.offences.push(format!("task {arn} is STOPPED and its container {name} was not reported so"));
                }
            }
        }
    }
}
