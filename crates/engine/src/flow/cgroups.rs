//! A task's cgroup: made before anything of the task is pulled, removed after its containers (spec 20 §11.5).

use std::time::Duration;

use super::Cx;
use crate::core::{Route, Timer};
use crate::effect::{Effect, EffectId};
use crate::event::{FailureKind, Outcome};
use crate::fact::Fact;
use crate::status::TaskStatus;
use crate::task::{CgroupState, CgroupWork, Task};
use crate::text;

/// systemd may take this long to make a slice (spec 20 §11.4); files take no time.
const DEADLINE: Duration = Duration::from_secs(30);
const REMOVE_ATTEMPTS: u32 = 5;

impl Task {
    /// Begins what the cgroup needs.
    pub(crate) fn settle_cgroup(&mut self, cx: &mut Cx<'_>) {
        let Some(definition) = &self.definition.cgroup else { return };
        let cgroup = &self.cgroup;
        if self.state.desired == TaskStatus::Stopped || cgroup.work != CgroupWork::None || cgroup.is_seen {
            return;
        }
        let effect = Effect::CreateCgroup {
            parent: definition.parent.clone(),
            limits: definition.limits,
            keeps_limits: self.state.cgroup == CgroupState::Created,
            deadline: DEADLINE,
        };
        let effect = cx.core.ask(cx.step, Route::Cgroup(self.id().clone()), effect);
        self.cgroup.work = CgroupWork::Create(effect);
    }

    /// Whether containers must wait for it.
    pub(crate) fn lacks_cgroup(&self) -> bool {
        self.definition.cgroup.is_some() && !self.cgroup.is_seen
    }

    pub(crate) fn apply_cgroup(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) {
        match self.cgroup.work {
            CgroupWork::Create(effect) if effect == id => self.apply_cgroup_created(cx, outcome),
            CgroupWork::Remove { effect, attempt } if effect == id => self.apply_cgroup_removed(cx, attempt, outcome),
            _ => {}
        }
    }

    fn apply_cgroup_created(&mut self, cx: &mut Cx<'_>, outcome: Outcome) {
        self.cgroup.work = CgroupWork::None;
        let was_created = self.state.cgroup == CgroupState::Created;
        if let Outcome::Failed(failure) = outcome {
            self.note(cx, Fact::CgroupFailed { error: failure.text });
            // After a restart of the agent it was only looked for: what runs below it goes on.
            if was_created {
                self.cgroup.is_seen = true;
            } else {
                self.stop(Some(text::CGROUP_FAILED));
            }
        } else {
            self.cgroup.is_seen = true;
            if !was_created {
                self.change().cgroup = CgroupState::Created;
                let parent = self.definition.cgroup.as_ref().map(|c| c.parent.clone()).unwrap_or_default();
                self.note(cx, Fact::CgroupCreated { parent });
            }
        }
        if self.state.is_being_removed {
            self.remove_cgroup(cx, 1);
        }
    }

    /// Removes the cgroup, also one that was never seen: the agent may have ended while it was made, and Docker
    /// makes what is missing.
    pub(crate) fn remove_cgroup(&mut self, cx: &mut Cx<'_>, attempt: u32) {
        let Some(definition) = &self.definition.cgroup else { return };
        if self.state.cgroup == CgroupState::Removed || self.cgroup.work != CgroupWork::None {
            return;
        }
        let effect = Effect::RemoveCgroup { parent: definition.parent.clone(), deadline: DEADLINE };
        let effect = cx.core.ask(cx.step, Route::Cgroup(self.id().clone()), effect);
        self.cgroup.work = CgroupWork::Remove { effect, attempt };
    }

    fn apply_cgroup_removed(&mut self, cx: &mut Cx<'_>, attempt: u32, outcome: Outcome) {
        if let Outcome::Failed(failure) = outcome
            && failure.kind != FailureKind::NotFound
        {
            self.note(cx, Fact::RemovalFailed { error: failure.text });
            if attempt < REMOVE_ATTEMPTS {
                let until = cx.now.mono + Duration::from_secs(1 << attempt);
                self.cgroup.work = CgroupWork::RemovePause { until, attempt };
                cx.core.set_no_later(Timer::Task(self.id().clone()), until);
                return;
            }
        }
        self.cgroup.work = CgroupWork::None;
        self.change().cgroup = CgroupState::Removed;
    }

    /// A pause between two attempts at the removal may be over.
    pub(crate) fn resume_cgroup_removal(&mut self, cx: &mut Cx<'_>) {
        let CgroupWork::RemovePause { until, attempt } = self.cgroup.work else { return };
        if until <= cx.now.mono {
            self.cgroup.work = CgroupWork::None;
            self.remove_cgroup(cx, attempt + 1);
        } else {
            cx.core.set_no_later(Timer::Task(self.id().clone()), until);
        }
    }
}

#[cfg(test)]
mod tests;
