//! After each fact: derive statuses, ask for resources, begin what can begin, tell what must be told.

use std::time::Duration;

use super::Cx;
use crate::container::next::{Next, next};
use crate::container::{ContainerPorts, Kind, NamedError, Stage};
use crate::core::Timer;
use crate::fact::Fact;
use crate::ledger::{PATIENCE, Request};
use crate::status::{ContainerStatus, TaskStatus};
use crate::task::{Admission, CgroupWork, Task};
use crate::text;

impl Task {
    /// Brings the task to rest: nothing more can be begun until another fact arrives.
    pub(crate) fn settle(&mut self, cx: &mut Cx<'_>) {
        if self.state.is_being_removed {
            return;
        }
        loop {
            self.update_and_tell(cx);
            if self.state.known == TaskStatus::Stopped {
                break;
            }
            if !self.is_admitted(cx) {
                break;
            }
            self.settle_cgroup(cx);
            let mut has_moved = self.settle_volumes(cx);
            for index in 0..self.containers.len() {
                has_moved |= self.settle_container(cx, index);
            }
            if !has_moved {
                break;
            }
        }
        if self.state.known != TaskStatus::Stopped && self.cannot_progress() {
            self.give_up(cx);
        }
        self.after_stop(cx);
        self.offer_reports(cx);
    }

    /// Derives the task's statuses and queues what is to be told of them.
    pub(crate) fn update_and_tell(&mut self, cx: &mut Cx<'_>) {
        if self.update_status(cx.now.wall) {
            let status = self.state.known;
            let reason = self.state.reason.clone().filter(|_| status == TaskStatus::Stopped).unwrap_or_default();
            self.note(cx, Fact::TaskReached { status, reason });
        }
        self.tell_status();
        if self.containers.iter().any(|c| c.reportable().is_some_and(|s| s > c.state.told))
            && !cx.core.has_timer(&Timer::Flush)
        {
            let pause = Duration::from_secs(10) + cx.core.rng.within(Duration::from_secs(20));
            cx.core.set(Timer::Flush, cx.now.mono + pause);
        }
    }

    /// Whether the task holds its share of the host; asks for it where not.
    fn is_admitted(&mut self, cx: &mut Cx<'_>) -> bool {
        if self.state.desired == TaskStatus::Stopped {
            // A task that is to stop needs nothing, and leaves the line if it stands in it.
            return true;
        }
        if self.admission == Admission::Granted {
            return true;
        }
        if self.definition.launch_type.eq_ignore_ascii_case("FARGATE") {
            self.admission = Admission::Granted;
            return true;
        }
        let id = self.id().clone();
        match cx.core.ledger.ask(&id, self.resource_request(), cx.now.mono) {
            Ok(()) => {
                let waited = match self.admission {
                    Admission::Waiting { since, .. } => cx.now.mono - since,
                    Admission::New | Admission::Granted => Duration::ZERO,
                };
                self.admission = Admission::Granted;
                if !waited.is_zero() {
                    self.note(cx, Fact::ResourcesGranted { waited });
                }
                true
            }
            Err(reason) => {
                let (since, is_news) = match &self.admission {
                    Admission::Waiting { since, reason: before } => (*since, *before != reason),
                    Admission::New | Admission::Granted => (cx.now.mono, true),
                };
                if is_news {
                    self.note(cx, Fact::WaitsForResources { reason: reason.clone() });
                }
                self.admission = Admission::Waiting { since, reason };
                cx.core.set_no_later(Timer::Ledger, since.max(cx.now.mono) + PATIENCE);
                false
            }
        }
    }

    /// What the task asks of the host (spec 20 §3.2).
    pub(crate) fn resource_request(&self) -> Request {
        let definition = &self.definition;
        let payload = || self.containers.iter().filter(|c| c.definition.kind == Kind::Normal).map(|c| &c.definition);
        let cpu = if definition.cpu > 0.0 { vcpu_units(definition.cpu) } else { payload().map(|c| c.cpu).sum() };
        let memory_mib = if definition.memory_mib > 0 {
            definition.memory_mib
        } else {
            payload().map(|c| memory_reservation_mib(c).unwrap_or(c.memory_mib)).sum()
        };
        let gpus = definition.associations.iter().filter(|a| a.kind == "gpu").map(|a| a.name.clone()).collect();
        let mut request = Request { cpu, memory_mib, gpus, ..Request::default() };
        for mapping in payload().flat_map(|c| &c.ports) {
            if mapping.host_port > 0 && matches!(mapping.container, ContainerPorts::One(_)) {
                match mapping.protocol {
                    crate::effect::Protocol::Tcp => request.ports_tcp.insert(mapping.host_port),
                    crate::effect::Protocol::Udp => request.ports_udp.insert(mapping.host_port),
                };
            }
        }
        request
    }

    /// Looks at one container; true when its status moved at once, so that others must be looked at again.
    fn settle_container(&mut self, cx: &mut Cx<'_>, index: usize) -> bool {
        if self.containers[index].work.is_some() && !self.drop_moot_work(cx, index) {
            return false;
        }
        match next(self, index, cx.core, cx.now.wall) {
            Next::Rest => {
                self.containers[index].waiting = None;
                false
            }
            Next::Wait { why, until } => {
                if let Some(until) = until {
                    let left = Duration::try_from(until.duration_since(cx.now.wall)).unwrap_or_default();
                    let at = cx.now.mono + left + Duration::from_millis(1);
                    cx.core.set_no_later(Timer::Task(self.id().clone()), at);
                }
                self.containers[index].waiting = Some(why);
                false
            }
            Next::Fail(text) => {
                self.note_on(cx, index, Fact::DependencyFailed { error: text.clone() });
                let container = &mut self.containers[index];
                container.keep_error(NamedError::new("CannotStartContainerError", text));
                let state = container.change();
                state.desired = ContainerStatus::Stopped;
                state.exit_code = Some(143);
                if !state.known.is_running() {
                    state.known = ContainerStatus::Stopped;
                }
                true
            }
            Next::DeclareStopped => {
                let container = &mut self.containers[index];
                container.advance(ContainerStatus::Stopped);
                container.waiting = None;
                let (exit_code, error) =
                    (container.state.exit_code, container.state.error.as_ref().map(ToString::to_string));
                self.note_on(cx, index, Fact::Exited { exit_code, error });
                true
            }
            Next::Resolve => self.begin_resolve(cx, index),
            Next::Pull => self.begin_pull(cx, index),
            Next::Create => self.begin_create(cx, index),
            Next::Start => {
                self.begin_start(cx, index);
                false
            }
            Next::Stop => {
                self.begin_stop(cx, index);
                false
            }
        }
    }

    /// A container that is to stop need not wait for its image, nor for a create that has not gone out
    /// (spec 20 §3.4). True when nothing is under way any more.
    fn drop_moot_work(&mut self, cx: &mut Cx<'_>, index: usize) -> bool {
        let container = &self.containers[index];
        if container.state.desired != ContainerStatus::Stopped {
            return false;
        }
        let is_moot = match container.work.as_ref().map(|work| work.stage) {
            Some(Stage::Resolve | Stage::Pull | Stage::Load(_) | Stage::Ports { .. } | Stage::Metadata(_)) => true,
            Some(Stage::Create(effect) | Stage::Start(effect)) => cx.core.recall(effect),
            Some(
                Stage::StartInspect(_)
                | Stage::Stop(_)
                | Stage::StopInspect(_)
                | Stage::StopPing(_)
                | Stage::StopPause { .. }
                | Stage::Verify(_)
                | Stage::VerifyPause { .. }
                | Stage::Remove(_),
            )
            | None => false,
        };
        if is_moot {
            let id = self.id().clone();
            if cx.core.images.leave(&id, index) && self.state.desired == TaskStatus::Stopped {
                let text = text::stopped_before_pull(self.arn().as_str());
                self.containers[index].keep_error(NamedError::new("TaskStoppedBeforePullBeginError", text));
            }
            self.containers[index].work = None;
        }
        is_moot
    }

    /// Nothing is under way, nothing can begin, and no fact is awaited: the way out of what should not happen.
    fn cannot_progress(&self) -> bool {
        self.state.desired == TaskStatus::Stopped
            && self.containers.iter().all(|c| c.work.is_none() && c.observation.is_none())
            && self.volumes.iter().all(|v| v.work.is_none())
            && self.cgroup.work == CgroupWork::None
    }

    fn give_up(&mut self, cx: &mut Cx<'_>) {
        self.stop(Some(text::NO_PROGRESS));
        let now = cx.now.wall;
        let state = self.change();
        state.known = TaskStatus::Stopped;
        state.known_since = Some(now);
        let reason = state.reason.clone().unwrap_or_default();
        self.note(cx, Fact::TaskReached { status: TaskStatus::Stopped, reason });
        self.tell_status();
    }

    /// What follows from being stopped: shares and credentials go back, removal is planned.
    fn after_stop(&mut self, cx: &mut Cx<'_>) {
        if self.state.known != TaskStatus::Stopped {
            return;
        }
        let id = self.id().clone();
        if cx.core.ledger.holds(&id) || cx.core.ledger.is_waiting(&id) {
            cx.core.ledger.release(&id);
            cx.core.set(Timer::Ledger, cx.now.mono);
        }
        cx.core.ports.release(&id);
        if let Some(credentials) = &self.definition.task_credentials
            && cx.core.credentials.remove(credentials)
        {
            let effect = crate::effect::Effect::ForgetCredentials { id: credentials.clone() };
            cx.core.ask(cx.step, crate::core::Route::Nobody, effect);
        }
        self.plan_cleanup(cx);
    }
}

/// vCPU as CPU units, rounded down as the reference does.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn vcpu_units(vcpu: f64) -> u64 {
    (vcpu * 1024.0) as u64
}

/// A soft limit in the container's Docker configuration counts instead of its memory.
fn memory_reservation_mib(definition: &crate::container::Definition) -> Option<u64> {
    #[derive(serde::Deserialize, Default)]
    #[serde(default)]
    struct Soft {
        #[serde(rename = "MemoryReservation")]
        bytes: u64,
    }
    let soft: Soft = wire::gojson::from_str(definition.docker.host_config.as_deref()?).ok()?;
    (soft.bytes >> 20 > 0).then_some(soft.bytes >> 20)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;
    use crate::task::TaskDefinition;

    #[test]
    fn a_task_asks_for_its_gpus() {
        let gpu = json!({"type": "gpu", "name": "GPU-1", "containers": ["web"]});
        let other = json!({"type": "elastic-inference", "name": "dev1", "containers": ["web"]});
        let associations = [gpu, other].map(|value| wire::gojson::from_value(value).unwrap()).into();
        let task = Task::new(TaskDefinition { associations, ..TaskDefinition::default() }, jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(task.resource_request(), Request { gpus: ["GPU-1".to_owned()].into(), ..Request::default() });
    }
}
