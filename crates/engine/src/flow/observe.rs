//! What is seen of containers beside our own calls: the Engine's events, its lists, and what a restart finds
//! (spec 20 §3.8–3.9, §9.4).

use std::time::Duration;

use wire::docker::{self, ContainerSummary};

use super::Cx;
use super::launch::INSPECT;
use super::stop::vanished;
use crate::container::{Doubt, Facts, InspectedStatus, Observation, Stage};
use crate::core::{Route, Timer};
use crate::effect::Effect;
use crate::engine::watch::OVERLAP;
use crate::event::{ContainerAction, FailureKind, Outcome};
use crate::fact::Fact;
use crate::status::ContainerStatus;
use crate::task::Task;
use crate::time::Mono;

/// How soon containers are compared after an inspection failed.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

impl Task {
    pub(crate) fn apply_docker_event(&mut self, cx: &mut Cx<'_>, index: usize, action: ContainerAction) {
        if self.state.is_being_removed {
            return;
        }
        match action {
            ContainerAction::Create | ContainerAction::Oom => {}
            ContainerAction::Start | ContainerAction::Restart => {
                match self.containers[index].work.as_ref().map(|work| work.stage) {
                    // It may be an old event that is told again, so it is looked at before anything is done.
                    None => self.observe(cx, index, None, false),
                    Some(Stage::StopInspect(_)) => self.containers[index].seen_start = true,
                    Some(_) => {}
                }
            }
            ContainerAction::Die { exit_code } => self.see_exit(cx, index, exit_code),
            ContainerAction::Destroy => self.see_exit(cx, index, None),
            ContainerAction::Healthy | ContainerAction::Unhealthy => {
                if self.containers[index].definition.has_health_check && !self.containers[index].is_stopped() {
                    self.observe(cx, index, None, false);
                }
            }
        }
    }

    fn see_exit(&mut self, cx: &mut Cx<'_>, index: usize, exit_code: Option<i64>) {
        let container = &mut self.containers[index];
        if container.is_stopped() {
            return;
        }
        match container.work.as_ref().map(|w| w.stage) {
            // A stop is followed by an inspection of its own, which will see it; there is no more reason to wait for it.
            Some(Stage::Stop(effect)) => cx.core.hasten(effect, cx.step, cx.now),
            Some(Stage::StopInspect(_) | Stage::StopPing(_) | Stage::StopPause { .. }) => {}
            Some(_) => container.seen_end = Some(exit_code.or(container.seen_end.flatten())),
            None => self.observe(cx, index, exit_code, true),
        }
    }

    /// A transition ended with a container that runs: an end that was seen meanwhile is looked at now.
    pub(crate) fn look_at_seen_end(&mut self, cx: &mut Cx<'_>, index: usize) {
        if let Some(exit_code) = self.containers[index].seen_end.take() {
            // It may be the end of an earlier run, so only what is found now counts.
            self.observe(cx, index, exit_code, false);
        }
    }

    /// Looks at a container; one look at a time, and once more if something was seen meanwhile.
    pub(crate) fn observe(&mut self, cx: &mut Cx<'_>, index: usize, exit_code: Option<i64>, is_exit: bool) {
        let route = Route::Observation(self.id().clone(), index);
        let container = &mut self.containers[index];
        if let Some(observation) = &mut container.observation {
            observation.again = true;
            observation.is_exit |= is_exit;
            observation.exit_code = exit_code.or(observation.exit_code);
            return;
        }
        let Some(id) = container.handle().map(str::to_owned) else { return };
        let effect = cx.core.ask(cx.step, route, Effect::InspectContainer { id, deadline: INSPECT });
        self.containers[index].observation =
            Some(Observation { effect, exit_code, is_exit, is_certain: false, again: false });
    }

    pub(crate) fn apply_observation(&mut self, cx: &mut Cx<'_>, index: usize, outcome: Outcome) {
        let Some(observation) = self.containers[index].observation.take() else { return };
        if self.state.is_being_removed {
            return;
        }
        if observation.again {
            self.observe(cx, index, observation.exit_code, observation.is_exit);
            if let Some(next) = &mut self.containers[index].observation {
                next.is_certain = observation.is_certain;
            }
            return;
        }
        if !matches!(outcome, Outcome::Failed(_)) {
            self.containers[index].doubt = None;
        }
        match outcome {
            Outcome::Inspected(inspect) => self.apply_inspection(cx, index, &inspect),
            // Gone, or not to be seen although it is listed as ended: what was heard must do.
            Outcome::Failed(failure) if failure.kind == FailureKind::NotFound || observation.is_certain => {
                if self.containers[index].is_stopped() || !self.containers[index].state.known.is_running() {
                    return;
                }
                if self.containers[index].work.is_some() {
                    self.containers[index].seen_end = Some(observation.exit_code);
                    return;
                }
                let is_heard = observation.is_exit || observation.is_certain;
                let error = (!is_heard).then(vanished);
                if error.is_some() {
                    self.note_on(cx, index, Fact::Vanished);
                }
                if let Some(code) = observation.exit_code {
                    self.containers[index].change().exit_code = Some(code);
                }
                self.apply_exit(cx, index, &Facts { status: InspectedStatus::Stopped, error, exit_code: None });
            }
            // Not to be seen just now, and an event alone proves nothing: it may be an old one that was told twice,
            // and a task that is called stopped while it runs is worse than one that is called stopped late. The
            // next list decides.
            Outcome::Failed(_) => {
                let container = &mut self.containers[index];
                if observation.is_exit && container.work.is_some() {
                    container.seen_end = Some(observation.exit_code.or(container.seen_end.flatten()));
                }
                let before = container.doubt;
                // Lists may be late with each end that is heard.
                let since = before.filter(|_| !observation.is_exit).map_or(cx.now.mono, |doubt| doubt.since);
                let exit_code = observation.exit_code.or(before.and_then(|doubt| doubt.exit_code));
                container.doubt = Some(Doubt { since, exit_code });
                cx.core.set_no_later(Timer::List, cx.now.mono + LOOK_AGAIN);
            }
            _ => {}
        }
    }

    fn apply_inspection(&mut self, cx: &mut Cx<'_>, index: usize, inspect: &docker::ContainerInspect) {
        let before = self.containers[index].health.status;
        if self.containers[index].is_stopped() {
            if inspect.state.running {
                self.stop_revenant(cx, index);
            }
            return;
        }
        let facts = self.take_inspection(cx, index, inspect);
        let health = &self.containers[index].health;
        if health.status != before {
            let (health, output) = (health.status, health.output.clone());
            self.note_on(cx, index, Fact::HealthChanged { health, output });
        }
        if self.containers[index].work.is_some() {
            if facts.status == InspectedStatus::Stopped {
                self.containers[index].seen_end = Some(facts.exit_code);
            }
            return;
        }
        match facts.status {
            InspectedStatus::Running => {
                if self.containers[index].advance(ContainerStatus::Running) {
                    self.note_on(cx, index, Fact::Started);
                }
                self.refresh_metadata(cx, index);
            }
            InspectedStatus::Stopped if self.containers[index].state.known >= ContainerStatus::Created => {
                self.apply_exit(cx, index, &facts);
            }
            InspectedStatus::Stopped | InspectedStatus::Created => {}
        }
    }

    /// Takes over what an inspection says. The image that it names is held from then on: where the image could not be
    /// looked at after its pull, this is the first that is heard of it, and it is looked at now.
    pub(crate) fn take_inspection(
        &mut self,
        cx: &mut Cx<'_>,
        index: usize,
        inspect: &docker::ContainerInspect,
    ) -> Facts {
        let container = &mut self.containers[index];
        let facts = container.apply_metadata(inspect, cx.now);
        if let Some(image) = &container.state.image_id
            && !cx.core.images.hold_again(image, &self.definition.id, container.name())
            && !container.definition.kind.is_internal()
        {
            let route = Route::ContainerImage(self.definition.id.clone(), index);
            cx.core.ask(cx.step, route, Effect::InspectImage { image: image.to_string() });
        }
        facts
    }

    /// Compares with what the Engine lists, as it was asked to at some moment: looks at those that differ.
    pub(crate) fn compare(&mut self, cx: &mut Cx<'_>, index: usize, listed: Option<&ContainerSummary>, asked_at: Mono) {
        if self.state.is_being_removed || self.containers[index].work.is_some() {
            return;
        }
        let container = &self.containers[index];
        let runs = listed.is_some_and(|c| c.state == docker::ContainerStatus::Running);
        if container.is_stopped() {
            // A list may be older than what is known.
            if runs && !self.state.has_stopped_revenant {
                self.observe(cx, index, None, false);
            }
            return;
        }
        let differs = container.state.known.is_running() && (!runs || container.definition.has_health_check);
        let doubt = container.doubt.filter(|doubt| doubt.since < asked_at);
        if let (Some(doubt), true) = (container.doubt, runs) {
            // Before that the list may be late with an end.
            let settled = doubt.since + OVERLAP;
            if asked_at >= settled {
                self.containers[index].doubt = None;
            } else {
                cx.core.set_no_later(Timer::List, settled);
            }
        }
        if differs {
            self.observe(cx, index, doubt.and_then(|doubt| doubt.exit_code), false);
            // Invariant: a start clears the doubt, so nothing began to run between what was heard and this list.
            if let (Some(_), false, Some(observation)) = (doubt, runs, &mut self.containers[index].observation) {
                observation.is_certain = true;
            }
        }
    }

    /// After a restart: is what the store says still so? The list answers for most containers at once.
    pub(crate) fn compare_restored(&mut self, cx: &mut Cx<'_>, index: usize, listed: Option<&ContainerSummary>) {
        let container = &self.containers[index];
        let runs = listed.is_some_and(|c| c.state == docker::ContainerStatus::Running);
        if runs && container.state.known.is_running() && container.state.docker_id.is_some() {
            self.containers[index].work = None;
            // What was taken over from the reference does not say where the container is reached.
            let container = &self.containers[index];
            if container.definition.has_health_check || container.state.created_at.is_none() {
                self.observe(cx, index, None, false);
            }
            self.refresh_metadata(cx, index);
            self.look_at_seen_end(cx, index);
            return;
        }
        self.verify(cx, index);
    }

    /// Looks whether a restored container is there, and how it is.
    pub(crate) fn verify(&mut self, cx: &mut Cx<'_>, index: usize) {
        let Some(id) = self.containers[index].handle().map(str::to_owned) else {
            self.containers[index].work = None;
            return;
        };
        let route = Route::Container(self.id().clone(), index);
        let effect = cx.core.ask(cx.step, route, Effect::InspectContainer { id, deadline: INSPECT });
        self.containers[index].go_on(Stage::Verify(effect));
    }

    pub(crate) fn apply_verify(&mut self, cx: &mut Cx<'_>, index: usize, outcome: Outcome) {
        match outcome {
            Outcome::Inspected(inspect) => {
                let had_id = self.containers[index].state.docker_id.is_some();
                self.containers[index].work = None;
                let facts = self.take_inspection(cx, index, &inspect);
                if let Some(id) = self.containers[index].state.docker_id.clone() {
                    cx.core.containers_by_id.insert(id, (self.id().clone(), index));
                }
                let status = ContainerStatus::from(facts.status);
                if !had_id {
                    self.note_on(cx, index, Fact::Adopted { status });
                }
                match facts.status {
                    InspectedStatus::Stopped => {
                        if let Some(error) = facts.error.clone() {
                            self.containers[index].change().error = Some(error);
                        }
                        let is_first_news = self.containers[index].state.known < ContainerStatus::Running;
                        if is_first_news && facts.error.is_none() {
                            // It was started and ended while nobody looked.
                            self.containers[index].advance(ContainerStatus::Running);
                            self.update_and_tell(cx);
                        }
                        self.apply_exit(cx, index, &facts);
                    }
                    InspectedStatus::Running | InspectedStatus::Created => {
                        self.containers[index].advance(status);
                        self.refresh_metadata(cx, index);
                        self.look_at_seen_end(cx, index);
                    }
                }
            }
            Outcome::Failed(failure) if failure.kind == FailureKind::NotFound => {
                self.containers[index].work = None;
                if self.containers[index].state.docker_id.is_some() && !self.containers[index].is_stopped() {
                    self.note_on(cx, index, Fact::Vanished);
                    self.containers[index].change().error = Some(vanished());
                    self.containers[index].advance(ContainerStatus::Stopped);
                }
            }
            Outcome::Failed(_) => {
                // No answer says nothing about the container (the reference would call it vanished).
                let until = cx.now.mono + Duration::from_secs(2);
                self.containers[index].go_on(Stage::VerifyPause { until });
                cx.core.set_no_later(Timer::Task(self.id().clone()), until);
            }
            _ => self.containers[index].work = None,
        }
    }
}

#[cfg(test)]
mod tests;
