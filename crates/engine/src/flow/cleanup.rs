//! Removal of stopped tasks: containers, volumes, rows, once they were reported and their time is over (spec 20 §8).

use std::time::Duration;

use super::{Cx, volumes};
use crate::container::Stage;
use crate::container::next::stop_times;
use crate::core::{Route, Timer};
use crate::effect::Effect;
use crate::event::{FailureKind, Outcome};
use crate::fact::Fact;
use crate::slots::Turn;
use crate::status::TaskStatus;
use crate::task::{CgroupWork, MetadataRemoval, Task, VolumeKind, VolumeState};
use crate::time::Mono;

const REMOVE_CONTAINER: Duration = Duration::from_secs(300);
const REMOVE_VOLUME: Duration = Duration::from_secs(300);
/// Attempts at one removal, which with their pauses are more than an hour and a half.
const ATTEMPTS: u32 = 25;
const MOST_PAUSE: Duration = Duration::from_secs(300);
/// After this long an unreported task is removed all the same (spec 20 §8).
const MOST_PATIENCE: Duration = Duration::from_secs(72 * 3600);

impl Task {
    /// Sets the timer for the task's removal, if it is not set.
    pub(crate) fn plan_cleanup(&mut self, cx: &mut Cx<'_>) {
        let timer = Timer::Cleanup(self.id().clone());
        if cx.core.has_timer(&timer) || self.state.is_being_removed {
            return;
        }
        let since = self.state.known_since.unwrap_or(cx.now.wall);
        let passed = Duration::try_from(cx.now.wall.duration_since(since)).unwrap_or_default();
        let timeouts = &cx.core.config.timeouts;
        // A task that was refused has nothing to look at afterwards.
        let wait = if self.containers.is_empty() { Duration::ZERO } else { timeouts.cleanup_wait };
        let jitter = cx.core.rng.within(timeouts.cleanup_jitter);
        cx.core.set(timer, cx.now.mono + (wait + jitter).saturating_sub(passed));
    }

    /// The wait is over: removal begins once the control plane knows of the stop.
    pub(crate) fn begin_cleanup(&mut self, cx: &mut Cx<'_>) {
        if self.state.known != TaskStatus::Stopped {
            return;
        }
        let since = self.state.known_since.unwrap_or(cx.now.wall);
        let stopped_for = Duration::try_from(cx.now.wall.duration_since(since)).unwrap_or_default();
        let is_told = self.state.sent == TaskStatus::Stopped || self.state.reports.is_empty();
        if !is_told && stopped_for < MOST_PATIENCE {
            cx.core.set(Timer::Cleanup(self.id().clone()), cx.now.mono + Duration::from_secs(30));
            return;
        }
        self.change().is_being_removed = true;
        for index in 0..self.containers.len() {
            self.containers[index].observation = None;
            if self.containers[index].handle().is_some() {
                self.containers[index].begin(Stage::StopPause { until: cx.now.mono }, cx.now);
                self.remove_attempt(cx, index);
            } else {
                self.containers[index].work = None;
            }
        }
        self.go_on_removing(cx);
    }

    fn remove_attempt(&mut self, cx: &mut Cx<'_>, index: usize) {
        let id = self.containers[index].handle().unwrap_or_default().to_owned();
        let route = Route::Container(self.id().clone(), index);
        let effect = Effect::RemoveContainer { id, deadline: REMOVE_CONTAINER };
        let effect = cx.core.ask_in_turn(cx.step, cx.now, Turn::Remove, route, effect);
        self.containers[index].go_on(Stage::Remove(effect));
        self.containers[index].tell_turn(cx.core);
    }

    pub(crate) fn apply_removed(&mut self, cx: &mut Cx<'_>, index: usize, outcome: Outcome) {
        if let Outcome::Failed(failure) = outcome
            && failure.kind != FailureKind::NotFound
        {
            let attempt = self.containers[index].work.as_ref().map_or(ATTEMPTS, |w| w.attempt);
            self.note_on(cx, index, Fact::RemovalFailed { error: failure.text });
            if attempt < ATTEMPTS {
                if failure.kind == FailureKind::Conflict {
                    // It runs, though it was stopped or should never have run.
                    self.stop_leftover(cx, index);
                }
                let until = cx.now.mono + pause_after(attempt);
                if let Some(work) = &mut self.containers[index].work {
                    work.attempt += 1;
                    work.stage = Stage::StopPause { until };
                }
                cx.core.set_no_later(Timer::Task(self.id().clone()), until);
                return;
            }
        }
        self.containers[index].work = None;
        self.go_on_removing(cx);
    }

    /// Stops what is to be removed; the next attempt at the removal shows whether that helped.
    fn stop_leftover(&mut self, cx: &mut Cx<'_>, index: usize) {
        let Some(id) = self.containers[index].handle().map(str::to_owned) else { return };
        let (grace, deadline) = stop_times(&self.containers[index], &cx.core.config);
        let effect = Effect::StopContainer { id, seconds: grace.as_secs(), deadline };
        cx.core.ask(cx.step, Route::Nobody, effect);
    }

    /// A pause between two attempts at a removal is over.
    pub(crate) fn resume_removal(&mut self, cx: &mut Cx<'_>) {
        self.resume_cgroup_removal(cx);
        for index in 0..self.containers.len() {
            let Some(Stage::StopPause { until }) = self.containers[index].work.as_ref().map(|w| w.stage) else {
                continue;
            };
            if until <= cx.now.mono {
                self.remove_attempt(cx, index);
            } else {
                cx.core.set_no_later(Timer::Task(self.id().clone()), until);
            }
        }
        self.go_on_removing(cx);
    }

    /// Containers first, then what they used: their metadata files, volumes and the cgroup.
    pub(super) fn go_on_removing(&mut self, cx: &mut Cx<'_>) {
        if self.containers.iter().any(|c| c.work.is_some() || c.metadata_write.is_some()) {
            return;
        }
        self.remove_metadata(cx);
        for index in 0..self.volumes.len() {
            let volume = &self.volumes[index];
            // Also one that was never seen: the answer to its making may have been lost.
            if volume.work.is_some() || volume.state == VolumeState::Removed {
                continue;
            }
            let VolumeKind::Docker { docker_name, is_shared: false, .. } = &volume.definition.kind else { continue };
            if let Some(until) = volume.removal.pause_until
                && until > cx.now.mono
            {
                cx.core.set_no_later(Timer::Task(self.id().clone()), until);
                continue;
            }
            let effect = Effect::RemoveVolume { name: docker_name.clone(), deadline: REMOVE_VOLUME };
            let effect = cx.core.ask(cx.step, Route::Volume(self.id().clone(), index), effect);
            let volume = &mut self.volumes[index];
            volume.work = Some(effect);
            volume.removal.attempt += 1;
            volume.removal.pause_until = None;
        }
        self.remove_cgroup(cx, 1);
    }

    pub(crate) fn apply_volume_removed(&mut self, cx: &mut Cx<'_>, index: usize, outcome: Outcome) {
        let attempt = self.volumes[index].removal.attempt;
        if attempt == 0 {
            // The late answer to its making.
            return self.go_on_removing(cx);
        }
        let again_at = match outcome {
            Outcome::Failed(failure) if failure.kind == FailureKind::NotFound => {
                // The making for an earlier process lasts no longer than for this one.
                let volume = &self.volumes[index];
                let may_come = volume.may_be_in_the_making && volume.state == VolumeState::None;
                Some(Mono(volumes::DEADLINE)).filter(|until| may_come && cx.now.mono < *until)
            }
            Outcome::Failed(failure) => {
                self.note(cx, Fact::RemovalFailed { error: failure.text });
                (attempt < ATTEMPTS).then(|| cx.now.mono + pause_after(attempt))
            }
            _ => None,
        };
        if again_at.is_some() {
            self.volumes[index].removal.pause_until = again_at;
            return self.go_on_removing(cx);
        }
        self.volumes[index].state = VolumeState::Removed;
        self.is_dirty = true;
    }

    /// Whether nothing of the task is left but its rows.
    pub(crate) fn is_removed(&self) -> bool {
        self.state.is_being_removed
            && self.containers.iter().all(|c| c.work.is_none() && c.metadata_write.is_none())
            && self.metadata_removal != MetadataRemoval::Asked
            && self.volumes.iter().all(|v| v.work.is_none() && v.removal.pause_until.is_none())
            && self.cgroup.work == CgroupWork::None
    }
}

fn pause_after(attempt: u32) -> Duration {
    Duration::from_secs(1 << attempt.min(10)).min(MOST_PAUSE)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use expect_test::expect;
    use serde_json::json;

    use crate::config::EngineConfig;
    use crate::event::Outcome;
    use crate::flow::testing::{Bench, image};
    use crate::status::{ContainerStatus, TaskStatus};

    /// A task of two containers, in an engine that does one thing at a time.
    fn bench() -> Bench {
        let container = |name: &str| json!({"name": name, "image": format!("r/{name}"), "essential": true});
        let mut config = EngineConfig { parallel_launches: 1, ..EngineConfig::default() };
        config.pulls.parallel = 1;
        Bench::new(json!({"containers": [container("web"), container("side")]}), &config)
    }

    /// The same, when both have stopped.
    fn stopped() -> Bench {
        let mut bench = bench();
        bench.touch(|task, _| {
            task.change().desired = TaskStatus::Stopped;
            task.change().known = TaskStatus::Stopped;
            for container in &mut task.containers {
                container.work = None;
                container.change().docker_id = Some(container.name().into());
                container.change().known = ContainerStatus::Stopped;
            }
        });
        bench.asked.clear();
        bench
    }

    fn waiting(bench: &Bench) -> BTreeMap<&str, &str> {
        bench.task().containers.iter().filter_map(|c| Some((c.name(), c.waiting.as_deref()?))).collect()
    }

    #[test]
    fn removals_take_turns() {
        let mut bench = stopped();
        bench.clean_up();
        bench.check(expect![[r#"
            remove container
            STOPPED -> STOPPED"#]]);
        assert_eq!(waiting(&bench), [("side", "waits for its turn to be removed: 1 at a time")].into());
        bench.answer("remove container", Outcome::Done);
        assert!(waiting(&bench).is_empty());
        bench.answer("remove container", Outcome::Done);
        bench.check(expect![[r#"
            remove container
            gone"#]]);
    }

    #[test]
    fn a_stuck_removal_holds_up_no_other_for_long() {
        let mut bench = stopped();
        bench.clean_up();
        bench.asked.clear();
        bench.pass(5);
        assert_eq!(bench.asked, ["remove container"]);
    }

    #[test]
    fn a_container_says_that_it_waits_for_its_turn() {
        let mut bench = bench();
        bench.answer("resolve r/web", Outcome::Resolved(None));
        bench.answer("resolve r/side", Outcome::Resolved(None));
        assert_eq!(waiting(&bench), [("side", "waits for its turn to be pulled: 1 at a time")].into());
        bench.answer("pull", Outcome::Done);
        bench.answer("inspect image", image());
        assert!(waiting(&bench).is_empty());
        bench.answer("pull", Outcome::Done);
        bench.answer("inspect image", image());
        assert_eq!(waiting(&bench), [("side", "waits for its turn to be created: 1 at a time")].into());
        bench.answer("create web", Outcome::Created("c1".into()));
        assert_eq!(waiting(&bench), [("web", "waits for its turn to be started: 1 at a time")].into());
        bench.answer("create side", Outcome::Created("c2".into()));
        assert_eq!(waiting(&bench), [("side", "waits for its turn to be started: 1 at a time")].into());
    }
}
