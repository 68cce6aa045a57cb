//! From an image to a running container: host ports, create, start, and the look at it (spec 20 §3.5).

use std::time::Duration;

use super::Cx;
use crate::container::{ChosenPorts, Facts, InspectedStatus, NamedError, Stage};
use crate::core::Route;
use crate::create_request::{create_request, docker_name};
use crate::effect::Effect;
use crate::event::{Failure, FailureKind, Outcome};
use crate::fact::Fact;
use crate::ports::{Found, Search};
use crate::slots::Turn;
use crate::status::ContainerStatus;
use crate::task::Task;
use crate::text;

/// An inspection's deadline (spec 20 §7.4).
pub(crate) const INSPECT: Duration = Duration::from_secs(30);

impl Task {
    /// The first mapping whose host ports are still to be chosen.
    fn mapping_without_ports(&self, index: usize) -> Option<usize> {
        let container = &self.containers[index];
        (0..container.definition.ports.len()).find(|mapping| {
            container.definition.ports[*mapping].to_choose() > 0
                && !container.state.chosen_ports.iter().any(|chosen| chosen.mapping == *mapping)
        })
    }

    /// Begins the create, or the choice of ports that it needs first; true when it is not even asked for, since
    /// the request cannot be made.
    pub(crate) fn begin_create(&mut self, cx: &mut Cx<'_>, index: usize) -> bool {
        if let Some(mapping) = self.mapping_without_ports(index) {
            let ports = &self.containers[index].definition.ports[mapping];
            cx.core.ports.want(Search {
                task: self.id().clone(),
                container: index,
                mapping,
                protocol: ports.protocol,
                count: ports.to_choose(),
            });
            self.containers[index].begin(Stage::Ports { mapping }, cx.now);
            cx.core.search_ports(cx.step);
            return false;
        }
        if self.containers[index].state.docker_name.is_none() {
            let definition = &self.definition;
            let name =
                docker_name(&definition.family, &definition.version, self.containers[index].name(), &mut cx.core.rng);
            // Written before the call, so that a crash in between leaves no container without an owner.
            self.containers[index].change().docker_name = Some(name);
        }
        if self.begin_metadata(cx, index) {
            return false;
        }
        self.ask_create(cx, index)
    }

    /// Sends the create request; true when it cannot be made.
    pub(super) fn ask_create(&mut self, cx: &mut Cx<'_>, index: usize) -> bool {
        let request = match create_request(self, &self.containers[index], &cx.core.config) {
            Ok(request) => request,
            Err(error) => {
                self.note_on(cx, index, Fact::Failed { error: error.to_string() });
                self.containers[index].keep_error(error);
                self.containers[index].want(ContainerStatus::Stopped);
                return true;
            }
        };
        let name = self.containers[index].state.docker_name.clone().unwrap_or_default();
        self.note_on(cx, index, Fact::Creating { docker_name: name.clone() });
        let effect = Effect::CreateContainer {
            name,
            body: Box::new(request.body),
            api_version: request.api_version,
            deadline: cx.core.config.timeouts.create,
        };
        let route = Route::Container(self.id().clone(), index);
        let effect = cx.core.ask_in_turn(cx.step, cx.now, Turn::Launch, route, effect);
        self.containers[index].begin(Stage::Create(effect), cx.now);
        self.containers[index].tell_turn(cx.core);
        false
    }

    /// Host ports were found for a mapping, or not.
    pub(crate) fn apply_ports(&mut self, cx: &mut Cx<'_>, found: Result<(Search, u16), (Search, String)>) {
        let search = match &found {
            Ok((search, _)) | Err((search, _)) => search.clone(),
        };
        let container = &mut self.containers[search.container];
        let Some(Stage::Ports { mapping }) = container.work.as_ref().map(|w| w.stage) else { return };
        if mapping != search.mapping {
            return;
        }
        container.work = None;
        match found {
            Ok((search, first)) => {
                container.change().chosen_ports.push(ChosenPorts { mapping, first, count: search.count });
            }
            Err((_, text)) => {
                let error = NamedError::new("HostConfigError", format!("error retrieving docker port map: {text}"));
                self.note_on(cx, search.container, Fact::Failed { error: error.to_string() });
                let container = &mut self.containers[search.container];
                container.keep_error(error);
                container.want(ContainerStatus::Stopped);
            }
        }
    }

    pub(crate) fn apply_create(&mut self, cx: &mut Cx<'_>, index: usize, outcome: Outcome) {
        match outcome {
            Outcome::Created(id) => {
                cx.core.containers_by_id.insert(id.clone(), (self.id().clone(), index));
                let container = &mut self.containers[index];
                container.work = None;
                container.change().docker_id = Some(id);
                container.advance(ContainerStatus::Created);
                self.note_on(cx, index, Fact::Created);
            }
            // A container of our own name: made by a call whose answer was lost.
            Outcome::Failed(failure) if failure.kind == FailureKind::Conflict => {
                let id = self.containers[index].state.docker_name.clone().unwrap_or_default();
                let route = Route::Container(self.id().clone(), index);
                let effect = cx.core.ask(cx.step, route, Effect::InspectContainer { id, deadline: INSPECT });
                self.containers[index].go_on(Stage::Verify(effect));
            }
            Outcome::Failed(failure) => {
                let timeout = cx.core.config.timeouts.create;
                self.containers[index].work = None;
                let error = named(&failure, "CannotCreateContainerError", "created", timeout);
                self.note_on(cx, index, Fact::Failed { error: error.to_string() });
                let container = &mut self.containers[index];
                container.keep_error(error);
                container.want(ContainerStatus::Stopped);
            }
            _ => self.containers[index].work = None,
        }
    }

    pub(crate) fn begin_start(&mut self, cx: &mut Cx<'_>, index: usize) {
        let Some(id) = self.containers[index].handle().map(str::to_owned) else { return };
        let effect = Effect::StartContainer {
            id,
            api_version: self.containers[index].definition.docker.version.clone(),
            deadline: cx.core.config.timeouts.start,
        };
        let route = Route::Container(self.id().clone(), index);
        let effect = cx.core.ask_in_turn(cx.step, cx.now, Turn::Launch, route, effect);
        self.containers[index].doubt = None;
        self.containers[index].begin(Stage::Start(effect), cx.now);
        self.containers[index].tell_turn(cx.core);
    }

    pub(crate) fn apply_start(&mut self, cx: &mut Cx<'_>, index: usize, outcome: Outcome) {
        match outcome {
            Outcome::Failed(failure) => {
                let timeout = cx.core.config.timeouts.start;
                // Such a failure does not say whether it runs: it must be stopped for certain.
                let may_run = matches!(failure.kind, FailureKind::Timeout | FailureKind::Panicked)
                    || failure.text.trim_end().ends_with("EOF");
                let error = named(&failure, "CannotStartContainerError", "started", timeout);
                self.fail_start(cx, index, error, may_run);
            }
            _ => {
                let id = self.containers[index].handle().unwrap_or_default().to_owned();
                let route = Route::Container(self.id().clone(), index);
                let effect = cx.core.ask(cx.step, route, Effect::InspectContainer { id, deadline: INSPECT });
                self.containers[index].go_on(Stage::StartInspect(effect));
            }
        }
    }

    pub(crate) fn apply_start_inspect(&mut self, cx: &mut Cx<'_>, index: usize, outcome: Outcome) {
        match outcome {
            Outcome::Inspected(inspect) => {
                self.containers[index].work = None;
                let facts = self.take_inspection(cx, index, &inspect);
                if let Some(error) = facts.error.clone()
                    && facts.status != InspectedStatus::Running
                    && self.containers[index].state.restarts.count == 0
                {
                    self.fail_start(cx, index, error, false);
                    return;
                }
                self.containers[index].advance(ContainerStatus::Running);
                self.note_on(cx, index, Fact::Started);
                if facts.status == InspectedStatus::Stopped {
                    // It ran and ended before anyone looked: both are told, in order.
                    self.update_and_tell(cx);
                    self.apply_exit(cx, index, &facts);
                } else {
                    self.refresh_metadata(cx, index);
                    self.look_at_seen_end(cx, index);
                }
            }
            Outcome::Failed(failure) => {
                let error = named(&failure, "CannotInspectContainerError", "inspecting", INSPECT);
                self.fail_start(cx, index, error, true);
            }
            _ => self.containers[index].work = None,
        }
    }

    fn fail_start(&mut self, cx: &mut Cx<'_>, index: usize, error: NamedError, may_run: bool) {
        self.note_on(cx, index, Fact::StartFailed { error: error.to_string() });
        let container = &mut self.containers[index];
        container.work = None;
        container.keep_error(error);
        if container.state.restarts.count > 0 && container.state.known.is_running() && !may_run {
            // A restart by policy failed: the exit that led to it stands.
            container.advance(ContainerStatus::Stopped);
            return;
        }
        container.want(ContainerStatus::Stopped);
        if may_run {
            self.begin_stop(cx, index);
        }
    }

    /// The container is seen to have ended: it is restarted by its policy, or it is stopped.
    pub(crate) fn apply_exit(&mut self, cx: &mut Cx<'_>, index: usize, facts: &Facts) {
        if self.containers[index].is_stopped() {
            return;
        }
        if facts.error.as_ref().is_some_and(|e| e.name == "OutOfMemoryError") {
            self.note_on(cx, index, Fact::OutOfMemory);
        }
        if self.containers[index].definition.restart_policy.is_some() {
            match self.restart_verdict(index, cx.now.wall) {
                Ok(()) => return self.begin_restart(cx, index),
                Err(why) => self.note_on(cx, index, Fact::NotRestarted { why }),
            }
        }
        let container = &mut self.containers[index];
        container.advance(ContainerStatus::Stopped);
        container.waiting = None;
        if let Some(error) = facts.error.clone() {
            container.keep_error(error);
        }
        let (exit_code, error) = (container.state.exit_code, container.state.error.as_ref().map(ToString::to_string));
        self.note_on(cx, index, Fact::Exited { exit_code, error });
    }

    /// Whether the container's own policy starts it again (spec 20 §10.2); `Err` says why not.
    fn restart_verdict(&self, index: usize, now: jiff::Timestamp) -> Result<(), String> {
        let container = &self.containers[index];
        let Some(policy) = &container.definition.restart_policy else {
            return Err("restart policy is not enabled".to_owned());
        };
        if container.state.desired == ContainerStatus::Stopped {
            return Err("container's desired status is stopped".to_owned());
        }
        let Some(code) = container.state.exit_code else { return Err("exit code is nil".to_owned()) };
        if policy.ignored_exit_codes.contains(&code) {
            return Err(format!("exit code {code} should be ignored"));
        }
        let since = container.state.restarts.last_at.or(container.state.started_at);
        let ran = since.map(|since| Duration::try_from(now.duration_since(since)).unwrap_or_default());
        if ran.is_some_and(|ran| ran < policy.attempt_period) {
            return Err("attempt reset period has not elapsed".to_owned());
        }
        Ok(())
    }

    fn begin_restart(&mut self, cx: &mut Cx<'_>, index: usize) {
        let state = self.containers[index].change();
        state.restarts.count += 1;
        state.restarts.last_at = Some(cx.now.wall);
        let (count, exit_code) = (state.restarts.count, state.exit_code);
        self.note_on(cx, index, Fact::Restarting { count, exit_code });
        self.begin_start(cx, index);
    }
}

impl crate::core::Core {
    /// Sends the next search for ports, if none is out.
    pub(crate) fn search_ports(&mut self, step: &mut crate::step::Step) {
        if let Some(effect) = self.ports.next_search() {
            self.ask(step, Route::Ports, effect);
        }
    }

    /// The answer to a search.
    pub(crate) fn apply_search(
        &mut self,
        step: &mut crate::step::Step,
        outcome: &Outcome,
    ) -> Option<Result<(Search, u16), (Search, String)>> {
        let first = match outcome {
            Outcome::PortsFound(first) => Some(*first),
            _ => None,
        };
        match self.ports.answered(first)? {
            Found::Ports { search, first } => Some(Ok((search, first))),
            Found::None { search, text } => Some(Err((search, text))),
            Found::Again(effect) => {
                self.ask(step, Route::Ports, effect);
                None
            }
        }
    }
}

/// A failure under the name that users know, or as a time-out.
pub(crate) fn named(failure: &Failure, name: &str, what: &str, deadline: Duration) -> NamedError {
    if failure.kind == FailureKind::Timeout {
        NamedError::new("DockerTimeoutError", text::timed_out(what, deadline))
    } else {
        NamedError::new(name, failure.text.clone())
    }
}
