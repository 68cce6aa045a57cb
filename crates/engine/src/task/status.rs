//! How a task's statuses follow from its containers' (spec 20 §1.6).

use jiff::Timestamp;

use super::Task;
use crate::status::{ContainerStatus, TaskStatus};

impl Task {
    /// Derives known and desired status anew. True when the known status changed.
    pub(crate) fn update_status(&mut self, now: Timestamp) -> bool {
        let has_changed = self.update_known(now);
        self.update_desired();
        has_changed
    }

    fn update_known(&mut self, now: Timestamp) -> bool {
        let essential_stop = self.containers.iter().any(|c| c.definition.is_essential && c.is_stopped());
        if essential_stop && self.state.execution_stopped_at.is_none() {
            let at = self
                .containers
                .iter()
                .filter(|c| c.definition.is_essential && c.is_stopped())
                .find_map(|c| c.state.finished_at)
                .unwrap_or(now);
            self.change().execution_stopped_at = Some(at);
        }
        let Some(lowest) = self.containers.iter().min_by_key(|c| c.state.known) else { return false };
        if lowest.state.known == lowest.steady() && essential_stop {
            return false;
        }
        let derived = self
            .containers
            .iter()
            .map(|c| TaskStatus::from_container(c.state.known, c.steady()))
            .min()
            .unwrap_or_default();
        if derived <= self.state.known {
            return false;
        }
        let state = self.change();
        state.known = derived;
        state.known_since = Some(now);
        true
    }

    fn update_desired(&mut self) {
        let must_stop = self
            .containers
            .iter()
            .any(|c| c.definition.is_essential && (c.is_stopped() || c.state.desired == ContainerStatus::Stopped));
        if must_stop && self.state.desired < TaskStatus::Stopped {
            self.change().desired = TaskStatus::Stopped;
        }
        let desired = self.state.desired;
        for container in &mut self.containers {
            let wanted = desired.for_container(container.steady());
            container.want(wanted);
        }
    }

    /// The task is to stop; the first reason stays.
    pub(crate) fn stop(&mut self, reason: Option<&str>) {
        if let Some(reason) = reason
            && self.state.reason.is_none()
        {
            self.change().reason = Some(crate::text::terminal_reason(reason));
        }
        if self.state.desired < TaskStatus::Stopped {
            self.change().desired = TaskStatus::Stopped;
        }
        self.update_desired();
    }
}
