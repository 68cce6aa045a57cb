//! Tasks: what is known of each, and how they end.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wire::ecs::{self, EpochSeconds};

use crate::credentials::Role;
use crate::error::Fault;
use crate::event::{Note, Step};
use crate::placement::Share;
use crate::rows::Table;
use crate::telemetry::Remark;
use crate::{Plane, RETENTION_MS, STOPPED_TASKS_MAX, arn};

/// What the plane wants of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Desired {
    Running,
    Stopped,
}

impl Desired {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Stopped => "STOPPED",
        }
    }
}

/// How far a task or container is. Ordered: nothing ever goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Status {
    Pending,
    Running,
    Stopped,
}

impl Status {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Stopped => "STOPPED",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Pending, Self::Running, Self::Stopped].into_iter().find(|status| status.name() == name)
    }
}

/// A task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) cluster: String,
    pub(crate) instance: String,
    pub(crate) family: String,
    pub(crate) desired: Desired,
    pub(crate) last: Status,
    /// What the agent has acknowledged to know. Below `desired` while a payload is owed.
    pub(crate) acknowledged: Option<Desired>,
    pub(crate) share: Share,
    /// Containers whose health is checked, and those that are essential.
    pub(crate) health_checked: Vec<String>,
    pub(crate) essential: Vec<String>,
    pub(crate) protected_until: Option<EpochSeconds>,
    /// Roles whose credentials it is given.
    #[serde(default)]
    pub(crate) roles: Vec<Role>,
    #[serde(default)]
    pub(crate) remarks: Vec<Remark>,
    /// The task as its agent is told it, complete but for `desiredStatus`.
    pub(crate) payload: Value,
    /// The description that the API gives. Its statuses follow `desired` and `last`.
    pub(crate) shape: ecs::Task,
}

impl Task {
    pub(crate) fn is_stopped(&self) -> bool {
        self.last == Status::Stopped
    }

    pub(crate) fn is_running(&self) -> bool {
        self.last == Status::Running
    }

    pub(crate) fn is_owed(&self) -> bool {
        !self.is_stopped() && self.acknowledged.is_none_or(|known| known < self.desired)
    }

    pub(crate) fn forgotten_at(&self) -> Option<i64> {
        let since = self.shape.stopped_at.filter(|_| self.is_stopped())?;
        Some(since.as_millis() + RETENTION_MS)
    }

    pub(crate) fn want(&mut self, desired: Desired) {
        self.desired = desired;
        desired.name().clone_into(&mut self.shape.desired_status);
        self.shape.version += 1;
    }

    /// Goes on to a status; never back. Returns whether that changed anything.
    pub(crate) fn reach(&mut self, status: Status) -> bool {
        if status <= self.last {
            return false;
        }
        self.last = status;
        status.name().clone_into(&mut self.shape.last_status);
        self.shape.version += 1;
        true
    }

    /// The task's health follows from its essential containers that have a health check.
    pub(crate) fn refresh_health(&mut self) {
        let mut checked = self
            .shape
            .containers
            .iter()
            .filter(|c| self.essential.contains(&c.name) && self.health_checked.contains(&c.name))
            .map(|c| c.health_status.as_deref().unwrap_or("UNKNOWN"))
            .peekable();
        let health = match checked.peek() {
            None => "UNKNOWN",
            Some(_) => checked.fold("HEALTHY", |health, next| match (health, next) {
                ("UNHEALTHY", _) | (_, "UNHEALTHY") => "UNHEALTHY",
                ("UNKNOWN", _) | (_, "UNKNOWN") => "UNKNOWN",
                _ => "HEALTHY",
            }),
        };
        self.shape.health_status = Some(health.to_owned());
    }
}

impl Plane {
    pub(crate) fn stop_task(
        &mut self,
        now: EpochSeconds,
        request: &ecs::StopTaskRequest,
    ) -> Result<ecs::TaskResponse, Fault> {
        let cluster = self.active_cluster(request.cluster.as_deref())?;
        if request.task.is_empty() {
            return Err(Fault::parameter("taskId cannot be empty"));
        }
        let arn = self.task_named(&cluster, &request.task);
        let Some(task) = self.tasks.get_mut(&arn) else {
            return Err(Fault::parameter("The referenced task was not found."));
        };
        if task.desired == Desired::Running {
            task.want(Desired::Stopped);
            let reason = request.reason.clone().filter(|reason| !reason.is_empty());
            task.shape.stopped_reason = Some(reason.unwrap_or_else(|| "Task stopped by user".to_owned()));
            task.shape.stop_code = Some("UserInitiated".to_owned());
            task.shape.stopping_at = Some(now);
            self.owed.entry(task.instance.clone()).or_default().insert(arn.clone());
            self.touch(Table::Task, &arn);
        }
        let task = self.described_task(&arn, true).unwrap_or_default();
        Ok(ecs::TaskResponse { task })
    }

    /// The task is stopped, whether or not an agent ever said so.
    pub(crate) fn stop_now(&mut self, now: EpochSeconds, arn: &str, step: &mut Step) {
        let Some(task) = self.tasks.get_mut(arn) else { return };
        if !task.reach(Status::Stopped) {
            return;
        }
        if task.desired == Desired::Running {
            task.want(Desired::Stopped);
        }
        task.shape.stopping_at.get_or_insert(now);
        task.shape.stopped_at = Some(now);
        for container in &mut task.shape.containers {
            Status::Stopped.name().clone_into(&mut container.last_status);
        }
        step.notes.push(Note::TaskChanged {
            task: arn.to_owned(),
            status: Status::Stopped.name(),
            reason: task.shape.stopped_reason.clone().unwrap_or_default(),
        });
        for index in [&mut self.live, &mut self.owed] {
            if let Some(tasks) = index.get_mut(&task.instance) {
                tasks.remove(arn);
                if tasks.is_empty() {
                    index.remove(&task.instance);
                }
            }
        }
        self.end_leases(arn, step);
        self.telemetry.forget_task(arn);
        self.touch(Table::Task, arn);
        self.expire_later(now, Table::Task, arn);
        let stopped = self.expiries.iter().filter(|(_, table, _)| *table == Table::Task);
        if stopped.clone().count() > STOPPED_TASKS_MAX
            && let Some(oldest) = stopped.min().cloned()
        {
            self.expiries.remove(&oldest);
            self.forget_task(&oldest.2);
        }
    }

    /// The task's instance is gone for good.
    pub(crate) fn abandon_task(&mut self, now: EpochSeconds, arn: &str, step: &mut Step) {
        if let Some(task) = self.tasks.get_mut(arn) {
            task.shape.stop_code.get_or_insert_with(|| "TerminationNotice".to_owned());
            task.shape
                .stopped_reason
                .get_or_insert_with(|| "Container instance deregistration forced by user.".to_owned());
        }
        self.stop_now(now, arn, step);
    }

    pub(crate) fn forget_task(&mut self, arn: &str) {
        self.tasks.remove(arn);
        self.drop_tags(arn);
        self.touch(Table::Task, arn);
    }

    /// The full ARN that a caller's ARN or id names in a cluster.
    pub(crate) fn task_named(&self, cluster: &str, named: &str) -> String {
        if named.starts_with("arn:") {
            return named.to_owned();
        }
        self.settings.task_arn(cluster, arn::id(named))
    }

    pub(crate) fn described_task(&self, arn: &str, tags: bool) -> Option<ecs::Task> {
        let task = self.tasks.get(arn)?;
        let mut shape = task.shape.clone();
        if shape.connectivity.is_some() && !task.is_stopped() && !self.is_connected(&task.instance) {
            shape.connectivity = Some("DISCONNECTED".to_owned());
        }
        if tags {
            shape.tags = self.tags_of(arn);
        }
        Some(shape)
    }
}
