//! Stopping a container: as often as it takes, and never believed without a look (spec 20 §3.5 d).

use std::time::Duration;

use super::Cx;
use super::launch::{INSPECT, named};
use crate::backoff::Backoff;
use crate::container::next::stop_times;
use crate::container::{Facts, InspectedStatus, NamedError, Stage};
use crate::core::{Route, Timer};
use crate::effect::Effect;
use crate::event::{FailureKind, Outcome};
use crate::fact::Fact;
use crate::slots::Turn;
use crate::status::ContainerStatus;
use crate::task::Task;
use crate::text;

const ATTEMPTS: u32 = 5;
const PING: Duration = Duration::from_secs(5);

impl Task {
    pub(crate) fn begin_stop(&mut self, cx: &mut Cx<'_>, index: usize) {
        let (grace, _) = stop_times(&self.containers[index], &cx.core.config);
        self.note_on(cx, index, Fact::Stopping { grace });
        self.containers[index].begin(Stage::StopPause { until: cx.now.mono }, cx.now);
        self.stop_attempt(cx, index);
    }

    fn stop_attempt(&mut self, cx: &mut Cx<'_>, index: usize) {
        let container = &self.containers[index];
        let Some(id) = container.handle().map(str::to_owned) else {
            self.containers[index].work = None;
            self.containers[index].advance(ContainerStatus::Stopped);
            return;
        };
        let (grace, deadline) = stop_times(container, &cx.core.config);
        let effect = Effect::StopContainer { id, seconds: grace.as_secs(), deadline };
        let route = Route::Container(self.id().clone(), index);
        let effect = cx.core.ask_in_turn(cx.step, cx.now, Turn::Stop, route, effect);
        self.containers[index].go_on(Stage::Stop(effect));
        self.containers[index].tell_turn(cx.core);
    }

    pub(crate) fn apply_stop(&mut self, cx: &mut Cx<'_>, index: usize, outcome: Outcome) {
        match outcome {
            Outcome::Failed(failure) if failure.kind != FailureKind::NotFound => {
                let (_, deadline) = stop_times(&self.containers[index], &cx.core.config);
                let error = named(&failure, "CannotStopContainerError", "stopped", deadline);
                self.stop_failed(cx, index, error);
            }
            _ => self.look_after_stop(cx, index),
        }
    }

    fn look_after_stop(&mut self, cx: &mut Cx<'_>, index: usize) {
        let id = self.containers[index].handle().unwrap_or_default().to_owned();
        let route = Route::Container(self.id().clone(), index);
        let effect = cx.core.ask(cx.step, route, Effect::InspectContainer { id, deadline: INSPECT });
        self.containers[index].seen_start = false;
        self.containers[index].go_on(Stage::StopInspect(effect));
    }

    pub(crate) fn apply_stop_inspect(&mut self, cx: &mut Cx<'_>, index: usize, outcome: Outcome) {
        match outcome {
            Outcome::Inspected(inspect) => {
                let facts = self.take_inspection(cx, index, &inspect);
                if facts.status == InspectedStatus::Running {
                    let error = NamedError::new("CannotStopContainerError", "container is still running");
                    self.stop_failed(cx, index, error);
                } else if self.containers[index].seen_start {
                    // A start that was given up may take place after the stop, and after it was looked at.
                    self.look_after_stop(cx, index);
                } else {
                    self.containers[index].work = None;
                    self.ended(cx, index, &facts);
                }
            }
            Outcome::Failed(failure) if failure.kind == FailureKind::NotFound => {
                self.containers[index].work = None;
                let id = self.containers[index].handle().unwrap_or_default().to_owned();
                let text = format!("NoSuchContainerError: Container not found: {id}");
                let error = Some(NamedError::new("CannotStopContainerError", text));
                self.ended(cx, index, &Facts { status: InspectedStatus::Stopped, error, exit_code: None });
            }
            Outcome::Failed(failure) => {
                let error = named(&failure, "CannotInspectContainerError", "inspecting", INSPECT);
                self.stop_failed(cx, index, error);
            }
            _ => self.containers[index].work = None,
        }
    }

    fn ended(&mut self, cx: &mut Cx<'_>, index: usize, facts: &Facts) {
        self.containers[index].want(ContainerStatus::Stopped);
        self.apply_exit(cx, index, facts);
    }

    fn stop_failed(&mut self, cx: &mut Cx<'_>, index: usize, error: NamedError) {
        let attempt = self.containers[index].work.as_ref().map_or(1, |w| w.attempt);
        self.note_on(cx, index, Fact::StopFailed { error: error.to_string(), attempt });
        if attempt < ATTEMPTS {
            return self.pause_stop(cx, index, attempt);
        }
        self.containers[index].stop_error = Some(error);
        let route = Route::Container(self.id().clone(), index);
        let effect = cx.core.ask(cx.step, route, Effect::Ping { deadline: PING });
        self.containers[index].go_on(Stage::StopPing(effect));
    }

    /// Tries again after 1 s × 1.3ⁿ, at most 5 s (spec 20 §3.5).
    fn pause_stop(&mut self, cx: &mut Cx<'_>, index: usize, attempt: u32) {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5), 1.3, 0.2);
        let mut pause = Duration::ZERO;
        for _ in 0..attempt.min(10) {
            pause = backoff.next(&mut cx.core.rng);
        }
        let until = cx.now.mono + pause;
        if let Some(work) = &mut self.containers[index].work {
            work.attempt += 1;
            work.stage = Stage::StopPause { until };
        }
        cx.core.set_no_later(Timer::Task(self.id().clone()), until);
    }

    /// The Engine is there, so the stop counts as done, as in the reference; or it is not, and the stop goes on.
    pub(crate) fn apply_stop_ping(&mut self, cx: &mut Cx<'_>, index: usize, outcome: &Outcome) {
        if let Outcome::Failed(_) = outcome {
            return self.pause_stop(cx, index, ATTEMPTS);
        }
        let error = self.containers[index].stop_error.take();
        self.containers[index].work = None;
        self.ended(cx, index, &Facts { status: InspectedStatus::Stopped, error, exit_code: None });
    }

    /// Moments that containers of this task wait for.
    pub(crate) fn resume_pauses(&mut self, cx: &mut Cx<'_>) {
        for index in 0..self.containers.len() {
            let until = match self.containers[index].work.as_ref().map(|w| w.stage) {
                Some(Stage::StopPause { until } | Stage::VerifyPause { until }) => until,
                _ => continue,
            };
            if until > cx.now.mono {
                cx.core.set_no_later(Timer::Task(self.id().clone()), until);
                continue;
            }
            match self.containers[index].work.as_ref().map(|w| w.stage) {
                Some(Stage::StopPause { .. }) => self.stop_attempt(cx, index),
                Some(Stage::VerifyPause { .. }) => self.verify(cx, index),
                _ => {}
            }
        }
    }

    /// A container that was stopped runs again: stopped once more per task, later ignored (spec 20 §3.8).
    pub(crate) fn stop_revenant(&mut self, cx: &mut Cx<'_>, index: usize) {
        if self.state.has_stopped_revenant || self.state.is_being_removed {
            return;
        }
        let Some(id) = self.containers[index].handle().map(str::to_owned) else { return };
        self.change().has_stopped_revenant = true;
        self.note_on(cx, index, Fact::CameBack);
        let (grace, deadline) = stop_times(&self.containers[index], &cx.core.config);
        let effect = Effect::StopContainer { id, seconds: grace.as_secs(), deadline };
        cx.core.ask(cx.step, Route::Nobody, effect);
    }
}

/// What users see of a container that is not there any more.
pub(crate) fn vanished() -> NamedError {
    NamedError::new("ContainerVanishedError", text::VANISHED)
}
