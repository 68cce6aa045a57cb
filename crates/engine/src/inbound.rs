//! What the control plane asks for, and the acknowledgements that it gets (spec 10 §3).

use wire::acs::{self, Inbound, Outbound, TaskIdentifier};
use wire::ids::{CredentialsId, TaskArn};

use crate::effect::{Connection, Effect};
use crate::engine::Engine;
use crate::fact::{Fact, Level};
use crate::flow::Cx;
use crate::status::TaskStatus;
use crate::step::Step;
use crate::task::{Rejection, Task, TaskDefinition, admit};
use crate::text;
use crate::time::Now;

impl Engine {
    pub(crate) fn apply_message(&mut self, now: Now, connection: Connection, message: Inbound, step: &mut Step) {
        match message {
            Inbound::Heartbeat(beat) => {
                self.answer(step, connection, &Outbound::HeartbeatAck { message_id: beat.message_id });
            }
            Inbound::Payload(payload) => self.apply_payload(now, connection, payload, step),
            Inbound::Credentials(refresh) => self.apply_credentials(connection, refresh, step),
            Inbound::TaskManifest(manifest) => self.apply_manifest(connection, manifest, step),
            Inbound::TaskStopVerificationAck(ack) => self.apply_stop_verification(now, ack, step),
            Inbound::StageUpdate(update) | Inbound::PerformUpdate(update) => {
                if !update.message_id.is_empty() {
                    let nack = Outbound::Nack {
                        cluster: update.cluster_arn,
                        container_instance: update.container_instance_arn,
                        message_id: update.message_id,
                        reason: "Updates are disabled".to_owned(),
                    };
                    self.answer(step, connection, &nack);
                }
            }
            Inbound::AttachTaskNetworkInterfaces(_)
            | Inbound::AttachInstanceNetworkInterfaces(_)
            | Inbound::ConfirmAttachment(_) => {
                step.agent(Level::Warn, "attachment_ignored", "an attachment was announced; this agent takes none yet");
            }
            Inbound::Notice { kind, message } => {
                step.agent(Level::Warn, "notice", format!("the control plane says {kind}: {message}"));
            }
        }
    }

    fn answer(&mut self, step: &mut Step, connection: Connection, message: &Outbound) {
        let is_promise = match message {
            Outbound::Ack { .. } | Outbound::CredentialsAck { .. } | Outbound::TaskStopVerification { .. } => true,
            Outbound::HeartbeatAck { .. } | Outbound::Nack { .. } => false,
        };
        let effect = Effect::SendFrame { connection, text: acs::outbound(message), is_promise };
        self.core.ask(step, crate::core::Route::Nobody, effect);
    }

    fn apply_payload(&mut self, now: Now, connection: Connection, payload: acs::Payload, step: &mut Step) {
        if payload.cluster_arn.is_empty() || payload.container_instance_arn.is_empty() || payload.message_id.is_empty()
        {
            step.agent(Level::Warn, "payload_invalid", "a payload without cluster, instance or message id was dropped");
            return;
        }
        let mut is_whole = true;
        let mut stops = Vec::new();
        let mut starts = Vec::new();
        for task in payload.tasks {
            let Some(task) = task else {
                step.agent(Level::Error, "task_missing", format!("payload {} has an empty task", payload.message_id));
                is_whole = false;
                continue;
            };
            // Within one payload stops come first: they free what the starts may need (spec 10 §3.3).
            if TaskStatus::parse(&task.desired_status) == Some(TaskStatus::Stopped) {
                stops.push(task)
            } else {
                starts.push(task)
            }
        }
        let mut acknowledgements = Vec::new();
        for task in stops.into_iter().chain(starts) {
            match self.accept(now, task, step) {
                Ok(acks) => acknowledgements.extend(acks),
                Err(()) => is_whole = false,
            }
        }
        if let Some(number) = payload.seq_num
            && number > self.latest_sequence
        {
            self.latest_sequence = number;
        }
        if !is_whole {
            let text = format!("payload {} was not taken whole and is not acknowledged", payload.message_id);
            step.agent(Level::Error, "payload_incomplete", text);
            return;
        }
        let ack = Outbound::Ack {
            cluster: payload.cluster_arn,
            container_instance: payload.container_instance_arn,
            message_id: payload.message_id.clone(),
        };
        self.answer(step, connection, &ack);
        for (credentials_id, expiration) in acknowledgements {
            let message_id = payload.message_id.clone();
            self.answer(step, connection, &Outbound::CredentialsAck { credentials_id, expiration, message_id });
        }
    }

    /// Takes one task of a payload; the credentials to acknowledge, or `Err` when it cannot be read.
    fn accept(&mut self, now: Now, task: acs::Task, step: &mut Step) -> Result<Vec<(String, String)>, ()> {
        let arn = TaskArn::from(task.arn.as_str());
        let refuse = |engine: &mut Self, cause: &str, step: &mut Step| {
            if arn.is_empty() {
                step.agent(Level::Error, "task_unreadable", format!("a task without an ARN was dropped: {cause}"));
            } else {
                engine.refuse(now, &arn, &task.family, &task.version, text::unreadable_task(cause), step);
            }
            Err(())
        };
        let Some(desired) = TaskStatus::parse(&task.desired_status) else {
            return refuse(self, &format!("unrecognized task status {:?}", task.desired_status), step);
        };
        let mut acks = Vec::new();
        let mut held = Vec::new();
        for credentials in [&task.role_credentials, &task.execution_role_credentials].into_iter().flatten() {
            if credentials.credentials_id.is_empty() {
                return refuse(self, "credentials without an id", step);
            }
            acks.push((credentials.credentials_id.clone(), credentials.expiration.clone()));
            held.push(CredentialsId::from(credentials.credentials_id.as_str()));
        }
        let id = arn.task_id();
        if self.tasks.contains_key(&id) {
            self.core.credentials.extend(held);
            let is_refusal = self.tasks.get(&id).is_some_and(|t| t.containers.is_empty());
            if desired == TaskStatus::Stopped {
                self.stop_task(now, &arn, "the control plane", step);
            } else {
                self.touch(now, &id, step, Task::settle);
            }
            return if is_refusal && desired != TaskStatus::Stopped { Err(()) } else { Ok(acks) };
        }
        match admit(task.clone(), &self.core.config, &mut self.core.rng) {
            Ok(definition) => {
                self.core.credentials.extend(held);
                self.insert(now, definition, desired, step);
                Ok(acks)
            }
            Err(Rejection::Impossible { reason }) => {
                self.refuse(now, &arn, &task.family, &task.version, reason, step);
                Ok(acks)
            }
            Err(Rejection::Unreadable(cause)) => refuse(self, &cause, step),
        }
    }

    fn insert(&mut self, now: Now, definition: TaskDefinition, desired: TaskStatus, step: &mut Step) {
        let id = definition.id.clone();
        let mut task = Task::new(definition, now.wall);
        task.state.desired = desired;
        self.tasks.insert(id.clone(), std::sync::Arc::new(task));
        self.touch(now, &id, step, |task, cx| {
            task.note(cx, Fact::Accepted);
            task.settle(cx);
        });
    }

    /// A task that cannot run is told STOPPED with its reason, and kept until that arrived.
    fn refuse(&mut self, now: Now, arn: &TaskArn, family: &str, version: &str, reason: String, step: &mut Step) {
        let definition = TaskDefinition {
            arn: arn.clone(),
            id: arn.task_id(),
            family: family.to_owned(),
            version: version.to_owned(),
            ..TaskDefinition::default()
        };
        let id = definition.id.clone();
        if self.tasks.contains_key(&id) {
            return;
        }
        let mut task = Task::new(definition, now.wall);
        task.state.desired = TaskStatus::Stopped;
        task.state.known = TaskStatus::Stopped;
        task.state.known_since = Some(now.wall);
        task.state.reason = Some(reason.clone());
        self.tasks.insert(id.clone(), std::sync::Arc::new(task));
        self.touch(now, &id, step, |task: &mut Task, cx: &mut Cx<'_>| {
            task.note(cx, Fact::Refused { reason });
            task.settle(cx);
        });
    }

    /// The desired status STOPPED arrived for a task that is known.
    fn stop_task(&mut self, now: Now, arn: &TaskArn, by: &'static str, step: &mut Step) {
        let id = arn.task_id();
        self.touch(now, &id, step, |task, cx| {
            if task.state.desired < TaskStatus::Stopped {
                task.note(cx, Fact::StopRequested { by });
                task.stop(None);
                task.leave_line(cx);
            }
            task.settle(cx);
        });
    }

    fn apply_credentials(&mut self, connection: Connection, refresh: acs::CredentialsRefresh, step: &mut Step) {
        let Some(credentials) = refresh.role_credentials else {
            step.agent(Level::Warn, "credentials_invalid", "a credentials message without credentials was dropped");
            return;
        };
        let is_role = matches!(refresh.role_type.as_str(), "TaskApplication" | "TaskExecution");
        if refresh.message_id.is_empty()
            || refresh.task_arn.is_empty()
            || credentials.credentials_id.is_empty()
            || !is_role
        {
            step.agent(Level::Warn, "credentials_invalid", "an incomplete credentials message was dropped");
            return;
        }
        let id = CredentialsId::from(credentials.credentials_id.as_str());
        self.core.credentials.insert(id.clone());
        let task = TaskArn::from(refresh.task_arn.as_str()).task_id();
        let Some(known) = self.tasks.get_mut(&task) else {
            let text = format!("credentials {} are for task {task}, which is not here", id.redacted());
            step.agent(Level::Warn, "credentials_unknown_task", text);
            return;
        };
        let is_execution = refresh.role_type == "TaskExecution";
        let known_id =
            if is_execution { &known.definition.execution_credentials } else { &known.definition.task_credentials };
        if known_id.as_ref() != Some(&id) {
            let task = std::sync::Arc::make_mut(known);
            let definition = std::sync::Arc::make_mut(&mut task.definition);
            if is_execution {
                definition.execution_credentials = Some(id)
            } else {
                definition.task_credentials = Some(id)
            }
            task.is_stored = false;
        }
        let ack = Outbound::CredentialsAck {
            credentials_id: credentials.credentials_id,
            expiration: credentials.expiration,
            message_id: refresh.message_id,
        };
        self.answer(step, connection, &ack);
        self.resettle.insert(task);
    }

    /// All tasks that should be here: those that run and are not among them are asked about (spec 10 §3.9).
    fn apply_manifest(&mut self, connection: Connection, manifest: acs::TaskManifest, step: &mut Step) {
        let timeline = manifest.timeline.unwrap_or(0);
        if timeline <= self.latest_sequence {
            step.agent(Level::Debug, "manifest_stale", format!("task manifest {timeline} is stale and was dropped"));
            return;
        }
        self.manifest_id = Some(manifest.message_id.clone());
        self.latest_sequence = timeline;
        if self.core.config.is_checkpointed {
            step.write(crate::rows::META, crate::rows::META_MANIFEST, Some(&timeline.to_string()));
        }
        let running: std::collections::BTreeSet<&str> = manifest
            .tasks
            .iter()
            .flatten()
            .filter(|t| t.desired_status == "RUNNING")
            .map(|t| t.task_arn.as_str())
            .collect();
        let stop_candidates: Vec<TaskIdentifier> = self
            .tasks
            .values()
            .filter(|task| task.state.desired == TaskStatus::Running && !running.contains(task.arn().as_str()))
            .map(|task| TaskIdentifier {
                desired_status: "STOPPED".to_owned(),
                task_arn: task.arn().to_string(),
                task_cluster_arn: manifest.cluster_arn.clone(),
            })
            .collect();
        let ack = Outbound::Ack {
            cluster: manifest.cluster_arn,
            container_instance: manifest.container_instance_arn,
            message_id: manifest.message_id.clone(),
        };
        self.answer(step, connection, &ack);
        if !stop_candidates.is_empty() {
            let message_id = manifest.message_id;
            self.answer(step, connection, &Outbound::TaskStopVerification { message_id, stop_candidates });
        }
    }

    fn apply_stop_verification(&mut self, now: Now, ack: acs::TaskStopVerificationAck, step: &mut Step) {
        if ack.message_id.is_empty() || self.manifest_id.as_deref() != Some(ack.message_id.as_str()) {
            return;
        }
        self.manifest_id = None;
        for task in ack.stop_tasks.into_iter().flatten() {
            let arn = TaskArn::from(task.task_arn);
            if self.tasks.contains_key(&arn.task_id()) {
                self.stop_task(now, &arn, "the control plane, which does not know the task", step);
            }
        }
    }
}

impl Task {
    /// A task that is to stop leaves the line for resources.
    fn leave_line(&mut self, cx: &mut Cx<'_>) {
        let id = self.id().clone();
        if cx.core.ledger.is_waiting(&id) {
            cx.core.ledger.release(&id);
            cx.core.set(crate::core::Timer::Ledger, cx.now.mono);
        }
    }
}
