//! What agents report of their tasks (spec 10 §4), applied so that nothing goes back.

use serde_json::{Value, json};
use wire::ecs::{self, EpochSeconds};
use wire::tcs::ContainerHealth;

use crate::Plane;
use crate::error::Fault;
use crate::event::{Note, Step};
use crate::rows::Table;
use crate::task::{Desired, Status, Task};

/// The stop reason of a task that ended because one of its essential containers did.
const ESSENTIAL_EXITED: &str = "Essential container in task exited";

fn acknowledgment() -> Value {
    json!({"acknowledgment": "ACK"})
}

impl Plane {
    /// A report about an unknown task is acknowledged too: the agent could do nothing about a refusal, and
    /// would keep the task's remains for days (spec 10 §4.7).
    pub(crate) fn submit_task_state_change(
        &mut self,
        now: EpochSeconds,
        request: ecs::SubmitTaskStateChangeRequest,
        step: &mut Step,
    ) -> Result<Value, Fault> {
        let arn = request.task.clone().unwrap_or_default();
        if arn.is_empty() {
            return Err(Fault::parameter("The task must be named."));
        }
        let Some(task) = self.tasks.get_mut(&arn) else {
            step.notes.push(Note::TaskUnknown { task: arn });
            return Ok(acknowledgment());
        };
        if task.is_stopped() {
            return Ok(acknowledgment());
        }
        if task.shape.connectivity.is_none() {
            task.shape.connectivity = Some("CONNECTED".to_owned());
            task.shape.connectivity_at = Some(now);
        }
        for change in request.containers.iter().flatten() {
            apply_container(task, change);
        }
        for agent in request.managed_agents.iter().flatten() {
            apply_managed_agent(task, now, agent);
        }
        for attachment in request.attachments.iter().flatten() {
            apply_attachment(task, attachment);
        }
        task.shape.pull_started_at = task.shape.pull_started_at.or(request.pull_started_at);
        task.shape.pull_stopped_at = request.pull_stopped_at.or(task.shape.pull_stopped_at);
        task.shape.execution_stopped_at = task.shape.execution_stopped_at.or(request.execution_stopped_at);
        task.refresh_health();
        let reason = request.reason.unwrap_or_default();
        match request.status.as_deref().and_then(Status::parse) {
            Some(Status::Running) => {
                if task.reach(Status::Running) {
                    task.shape.started_at = Some(now);
                    step.notes.push(Note::TaskChanged { task: arn.clone(), status: "RUNNING", reason });
                }
            }
            Some(Status::Stopped) => {
                explain_stop(task, &reason);
                task.shape.execution_stopped_at.get_or_insert(now);
                self.stop_now(now, &arn, step);
            }
            Some(Status::Pending) | None => {}
        }
        self.touch(Table::Task, &arn);
        Ok(acknowledgment())
    }

    pub(crate) fn submit_container_state_change(&mut self, request: ecs::SubmitContainerStateChangeRequest) -> Value {
        let arn = request.task.unwrap_or_default();
        if let Some(task) = self.tasks.get_mut(&arn)
            && !task.is_stopped()
        {
            apply_container(
                task,
                &ecs::ContainerStateChange {
                    container_name: request.container_name,
                    runtime_id: request.runtime_id,
                    exit_code: request.exit_code,
                    network_bindings: request.network_bindings,
                    reason: request.reason,
                    status: request.status,
                    image_digest: None,
                },
            );
            self.touch(Table::Task, &arn);
        }
        acknowledgment()
    }

    pub(crate) fn submit_attachment_state_changes(
        &mut self,
        request: &ecs::SubmitAttachmentStateChangesRequest,
    ) -> Value {
        for change in &request.attachments {
            let holder = self
                .tasks
                .iter()
                .find(|(_, task)| task.shape.attachments.iter().any(|a| attachment_is(a, &change.attachment_arn)))
                .map(|(arn, _)| arn.clone());
            if let Some(arn) = holder {
                if let Some(task) = self.tasks.get_mut(&arn) {
                    apply_attachment(task, change);
                }
                self.touch(Table::Task, &arn);
            }
        }
        acknowledgment()
    }

    /// Health of a live task's containers, as telemetry reports it.
    pub(crate) fn apply_health(&mut self, arn: &str, containers: &[ContainerHealth]) {
        let Some(task) = self.tasks.get_mut(arn) else { return };
        let before = task.shape.clone();
        for told in containers {
            if !matches!(told.health_status.as_str(), "HEALTHY" | "UNHEALTHY" | "UNKNOWN") {
                continue;
            }
            if let Some(container) = task.shape.containers.iter_mut().find(|c| c.name == told.container_name) {
                container.health_status = Some(told.health_status.clone());
            }
        }
        task.refresh_health();
        if task.shape != before {
            task.shape.version += 1;
            self.touch(Table::Task, arn);
        }
    }
}

fn apply_container(task: &mut Task, change: &ecs::ContainerStateChange) {
    let name = change.container_name.as_deref().unwrap_or("");
    let Some(container) = task.shape.containers.iter_mut().find(|c| c.name == name) else { return };
    let known = Status::parse(&container.last_status).unwrap_or(Status::Pending);
    let reported = change.status.as_deref().and_then(Status::parse).unwrap_or(known);
    // A container with a restart policy runs again after it stopped; within a live task that is news, not a step back.
    if reported < known && !(known == Status::Stopped && reported == Status::Running && change.runtime_id.is_some()) {
        return;
    }
    reported.name().clone_into(&mut container.last_status);
    let set = |field: &mut Option<String>, value: &Option<String>| {
        if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
            *field = Some(value.clone());
        }
    };
    set(&mut container.runtime_id, &change.runtime_id);
    set(&mut container.image_digest, &change.image_digest);
    set(&mut container.reason, &change.reason);
    container.exit_code = change.exit_code.or(container.exit_code);
    if let Some(bindings) = &change.network_bindings {
        container.network_bindings.clone_from(bindings);
    }
    task.shape.version += 1;
}

fn apply_managed_agent(task: &mut Task, now: EpochSeconds, change: &ecs::ManagedAgentStateChange) {
    let Some(container) = task.shape.containers.iter_mut().find(|c| c.name == change.container_name) else {
        return;
    };
    let agents = container.managed_agents.get_or_insert_default();
    let index = agents.iter().position(|agent| agent.name == change.managed_agent_name).unwrap_or_else(|| {
        agents.push(ecs::ManagedAgent { name: change.managed_agent_name.clone(), ..Default::default() });
        agents.len() - 1
    });
    if let Some(agent) = agents.get_mut(index) {
        agent.last_status = match change.status.as_str() {
            "CREATED" => "PENDING".to_owned(),
            other => other.to_owned(),
        };
        agent.reason = change.reason.clone().filter(|reason| !reason.is_empty());
        if change.status == "RUNNING" {
            agent.last_started_at = Some(now);
        }
    }
}

fn apply_attachment(task: &mut Task, change: &ecs::AttachmentStateChange) {
    if let Some(attachment) = task.shape.attachments.iter_mut().find(|a| attachment_is(a, &change.attachment_arn)) {
        attachment.status = Some(change.status.clone());
    }
}

fn attachment_is(attachment: &ecs::Attachment, arn: &str) -> bool {
    attachment.id.as_deref().is_some_and(|id| arn == id || arn.ends_with(&format!("/{id}")))
}

/// Words why a task stopped, unless that was said before. Agents send no reason for a normal end.
fn explain_stop(task: &mut Task, reason: &str) {
    if task.desired == Desired::Stopped && task.shape.stop_code.is_some() {
        return;
    }
    let essential = |container: &&ecs::Container| task.essential.contains(&container.name);
    let ran = task.shape.started_at.is_some()
        || task.shape.containers.iter().filter(essential).any(|c| c.exit_code.is_some() && c.runtime_id.is_some());
    let (code, words) = if ran {
        (
            "EssentialContainerExited",
            Some(reason.to_owned()).filter(|r| !r.is_empty()).unwrap_or_else(|| ESSENTIAL_EXITED.into()),
        )
    } else {
        let because = task.shape.containers.iter().filter(essential).find_map(|c| c.reason.clone());
        let words = Some(reason.to_owned()).filter(|reason| !reason.is_empty()).or(because);
        ("TaskFailedToStart", words.unwrap_or_else(|| "Task failed to start".to_owned()))
    };
    task.shape.stop_code = Some(code.to_owned());
    task.shape.stopped_reason = Some(words);
}
