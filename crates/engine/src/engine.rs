//! The engine: events in, effects out.

pub(crate) mod watch;

use std::collections::BTreeSet;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use indexmap::IndexMap;
use wire::ids::{ContainerInstanceArn, TaskId};

use crate::config::EngineConfig;
use crate::container::Stage;
use crate::core::{Core, Route, Timer};
use crate::effect::{Connection, Effect, EffectId, Socket};
use crate::event::{Event, Failure, FailureKind, Outcome};
use crate::fact::Level;
use crate::flow::{Cx, Deliveries, Fetched};
use crate::ledger::Totals;
use crate::register::{RegisterContext, RegisterWant, Registered, Registering};
use crate::restore::{Foreign, Restored, foreign, restore};
use crate::rows::{self, RowText};
use crate::session::{OPEN_DEADLINE, SessionContext, SessionNote, SessionWant, Sessions};
use crate::status::TaskStatus;
use crate::step::{Step, StoredRow};
use crate::task::Task;
use crate::time::{Mono, Now};
use watch::Watch;

/// All tasks; found by hash, since each event looks for one, and in an order that depends on nothing but the events.
pub type Tasks = IndexMap<TaskId, Arc<Task>, BuildHasherDefault<DefaultHasher>>;

/// All that the agent knows.
#[derive(Debug)]
pub struct Engine {
    pub(crate) core: Core,
    pub(crate) tasks: Tasks,
    /// The highest sequence number of payloads and manifests (spec 10 trap 9).
    pub(crate) latest_sequence: i64,
    /// The manifest whose stop verification is awaited.
    pub(crate) manifest_id: Option<String>,
    /// Tasks that a message touched in passing and that must be looked at before the step ends.
    pub(crate) resettle: BTreeSet<TaskId>,
    registering: Registering,
    sessions: Sessions,
    instance: Option<ContainerInstanceArn>,
    availability_zone: String,
    saved_cluster: Option<String>,
    is_known_agent: bool,
    complaints: Vec<String>,
    /// What the store held of another machine, until it is deleted.
    foreign: Option<Foreign>,
    watch: Watch,
    has_restored: bool,
    is_ending: bool,
    /// Tasks of which nothing was left when they were last touched.
    over: Vec<TaskId>,
    /// Tasks that changed since rows were written last, in the order in which they did; each says so itself.
    changed: Vec<TaskId>,
    row_text: RowText,
}

/// The agent as a whole, for those who look from outside.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceView {
    pub instance: Option<ContainerInstanceArn>,
    pub cluster: String,
    pub availability_zone: String,
    pub acs_connected_since: Option<Mono>,
    pub tcs_connected_since: Option<Mono>,
    pub resources: Totals,
    pub reports_in_flight: usize,
    pub reports_waiting: usize,
}

impl Engine {
    /// An engine with what the store held; the next event is [`Event::Start`].
    pub fn new(config: EngineConfig, seed: u64, stored: Vec<StoredRow>) -> Self {
        let is_checkpointed = config.is_checkpointed;
        let foreign = foreign(&stored, config.host.ec2_instance_id.as_deref());
        let stored = if foreign.is_some() { Vec::new() } else { stored };
        let mut core = Core::new(config, seed);
        let Restored { tasks, instance, cluster, availability_zone, is_known_agent, manifest, complaints } =
            restore(stored, &mut core);
        let token = core.rng.uuid();
        Self {
            has_restored: !tasks.is_empty(),
            tasks: tasks.into_iter().map(|(id, task)| (id, Arc::new(task))).collect(),
            // Spec 10 §1.8, 5.
            latest_sequence: if is_checkpointed && foreign.is_none() { manifest.unwrap_or(0) } else { -1 },
            manifest_id: None,
            resettle: BTreeSet::new(),
            registering: Registering::new(instance, token),
            sessions: Sessions::new(),
            instance: None,
            availability_zone,
            saved_cluster: cluster,
            is_known_agent,
            complaints,
            foreign,
            watch: Watch::new(),
            is_ending: false,
            over: Vec::new(),
            changed: Vec::new(),
            row_text: RowText::default(),
            core,
        }
    }

    /// Takes one fact; answers what to write down, what to tell, and what to do, in that order.
    pub fn handle(&mut self, now: Now, event: Event) -> Step {
        let mut step = Step::default();
        self.take(now, event, &mut step);
        self.close(&mut step);
        step
    }

    /// Takes one of several facts that share a step. Nothing of the step may be done before [`Self::close`].
    pub fn take(&mut self, now: Now, event: Event, step: &mut Step) {
        if self.is_ending {
            return;
        }
        match event {
            Event::Start => self.start(now, step),
            Event::Tick => self.tick(now, step),
            Event::Done { id, outcome } => self.apply_answer(now, id, outcome, step),
            Event::EventsOpened => self.apply_stream_opened(now, step),
            Event::Docker(event) => self.apply_docker(now, &event, step),
            Event::Message { connection, message } => {
                if self.sessions.is_current(connection) {
                    self.with_sessions(now, step, |sessions, now, cx| sessions.on_activity(now, connection, cx));
                    self.apply_message(now, connection, *message, step);
                }
            }
            Event::Activity { connection } => {
                self.with_sessions(now, step, |sessions, now, cx| sessions.on_activity(now, connection, cx));
            }
            Event::Closed { connection, how } => {
                self.with_sessions(now, step, |sessions, now, cx| sessions.on_closed(now, connection, &how, cx));
            }
            Event::CredentialsStored { id } => {
                self.core.credentials.insert(id);
                self.resettle.extend(self.tasks.keys().cloned());
            }
            Event::UsedBefore { task, container, stats } => self.touch(now, &task, step, |task, _| {
                if let Some(container) = task.containers.iter_mut().find(|c| *c.name() == container) {
                    container.change().used_before = Some(stats);
                }
            }),
            Event::Images { request, ask } => self.apply_image_request(now, request, ask, step),
            Event::Terminate => self.terminate(now, step),
        }
        self.finish(now, step);
    }

    /// Ends a step: what changed since the last one is written and published, once however often it changed.
    pub fn close(&mut self, step: &mut Step) {
        let mut changed = std::mem::take(&mut self.changed);
        for id in changed.drain(..) {
            let Some(task) = self.tasks.get_mut(&id).filter(|task| task.is_changed) else { continue };
            rows::write_task(Arc::make_mut(task), &mut self.row_text, step);
            step.views.push((id, Some(Arc::clone(task))));
        }
        self.changed = changed;
        rows::write_images(&mut self.core.images, &mut self.row_text, step);
        if !self.core.config.is_checkpointed {
            step.writes.clear();
        }
    }

    /// The next moment at which [`Event::Tick`] is due.
    pub fn deadline(&self) -> Option<Mono> {
        self.core.deadline()
    }

    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    pub fn config(&self) -> &EngineConfig {
        &self.core.config
    }

    /// What the engine shares among tasks, for tests and diagnosis.
    pub fn core(&self) -> &Core {
        &self.core
    }

    pub fn instance_view(&self) -> InstanceView {
        InstanceView {
            instance: self.instance.clone(),
            cluster: self.core.config.cluster.clone(),
            availability_zone: self.availability_zone.clone(),
            acs_connected_since: self.sessions.connected_since(Socket::Acs),
            tcs_connected_since: self.sessions.connected_since(Socket::Tcs),
            resources: self.core.ledger.totals(),
            reports_in_flight: self.core.outbox.in_flight(),
            reports_waiting: self.core.outbox.waiting(),
        }
    }

    fn start(&mut self, now: Now, step: &mut Step) {
        for complaint in std::mem::take(&mut self.complaints) {
            step.agent(Level::Error, "row_unreadable", complaint);
        }
        if let Some(foreign) = self.foreign.take() {
            step.agent(Level::Warn, "state_discarded", foreign.why);
            step.writes.append(&foreign.deletions);
        }
        let configured =
            if self.core.config.cluster.is_empty() { "default" } else { self.core.config.cluster.as_str() };
        if let Some(saved) = self.saved_cluster.as_deref()
            && saved != configured
        {
            let why = format!(
                "Data mismatch; saved cluster '{saved}' does not match configured cluster '{configured}'. Perhaps you want to delete the configured checkpoint file?"
            );
            self.exit(step, 5, why);
            return;
        }
        if !self.is_known_agent && self.core.config.is_checkpointed {
            step.write(rows::META, rows::META_MANIFEST, Some("0"));
        }
        self.follow(now, step);
        self.with_registering(now, step, |registering, now, cx| registering.start(now, cx));
        self.poll_later(now);
        self.start_image_cleanup(now);
        let restored: Vec<TaskId> = self.tasks.keys().cloned().collect();
        for id in restored {
            self.touch(now, &id, step, |task, cx| {
                if task.state.known < TaskStatus::Stopped {
                    task.note(cx, crate::fact::Fact::Restored);
                }
                if task.state.is_being_removed {
                    task.begin_cleanup(cx);
                } else {
                    task.settle(cx);
                }
            });
        }
    }

    fn terminate(&mut self, now: Now, step: &mut Step) {
        self.with_sessions(now, step, |sessions, _, cx| sessions.shutdown(cx));
        self.exit(step, 0, "asked to end; tasks go on running".to_owned());
    }

    fn exit(&mut self, step: &mut Step, code: i32, why: String) {
        let level = if code == 0 { Level::Info } else { Level::Error };
        step.agent(level, "exit", why.clone());
        self.core.ask(step, Route::Nobody, Effect::Exit { code, why });
        self.is_ending = true;
    }

    fn tick(&mut self, now: Now, step: &mut Step) {
        while let Some(timer) = self.core.next_due(now.mono) {
            match timer {
                Timer::Task(id) => self.touch(now, &id, step, |task, cx| {
                    if task.state.is_being_removed {
                        task.resume_removal(cx);
                    } else {
                        task.resume_pauses(cx);
                        task.settle(cx);
                    }
                }),
                Timer::Report(id) => {
                    self.core.outbox.resume(&id);
                }
                Timer::Cleanup(id) => self.touch(now, &id, step, Task::begin_cleanup),
                Timer::Resolution(key) => self.core.retry_resolution(step, now, &key),
                Timer::Pull(key) => self.core.retry_pull(step, now, &key),
                Timer::ImageCleanup => self.image_cleanup_due(now, step),
                Timer::DiskCheck => self.disk_check_due(step),
                Timer::Ledger => self.serve_ledger(now, step),
                Timer::Flush => self.flush(now, step),
                Timer::Poll => {
                    self.poll_later(now);
                    self.list(now, step);
                }
                Timer::FollowEvents => self.follow(now, step),
                Timer::List => self.list(now, step),
                Timer::Registration => {
                    self.with_registering(now, step, |registering, now, cx| registering.on_tick(now, cx));
                }
                Timer::Sessions => self.with_sessions(now, step, |sessions, now, cx| sessions.on_tick(now, cx)),
                Timer::Stops => self.core.let_stops_go(step, now),
                Timer::Lease(turn) => self.core.leases_due(step, now, turn),
            }
        }
    }

    fn apply_answer(&mut self, now: Now, id: EffectId, outcome: Outcome, step: &mut Step) {
        let Some(route) = self.core.answered(id, step, now) else { return };
        match route {
            Route::Container(task, index) => {
                self.touch(now, &task, step, |task, cx| {
                    if index < task.containers.len() {
                        task.apply_container_answer(cx, index, id, outcome);
                        task.settle(cx);
                    }
                });
            }
            Route::Observation(task, index) => self.touch(now, &task, step, |task, cx| {
                if index < task.containers.len() {
                    task.apply_observation(cx, index, outcome);
                    task.settle(cx);
                }
            }),
            Route::Volume(task, index) => self.touch(now, &task, step, |task, cx| {
                task.apply_volume(cx, index, outcome);
                task.settle(cx);
            }),
            Route::Cgroup(task) => self.touch(now, &task, step, |task, cx| {
                task.apply_cgroup(cx, id, outcome);
                task.settle(cx);
            }),
            Route::Metadata(task, index) => self.touch(now, &task, step, |task, cx| {
                if index < task.containers.len() {
                    task.apply_metadata_ready(cx, index, outcome);
                }
            }),
            Route::MetadataRemoval(task) => self.touch(now, &task, step, |task, cx| {
                task.apply_metadata_removed(cx, outcome);
            }),
            Route::Resolution(key) => {
                let deliveries = self.core.apply_resolution(step, now, &key, outcome);
                self.deliver(now, deliveries, step);
            }
            Route::Pull(key) => {
                let deliveries = self.core.apply_pull(step, now, &key, outcome);
                self.deliver(now, deliveries, step);
            }
            Route::ContainerImage(task, index) => self.touch(now, &task, step, |task, cx| {
                if index < task.containers.len() {
                    task.apply_container_image(cx, index, &outcome);
                }
            }),
            Route::Ports => {
                if let Some(found) = self.core.apply_search(step, &outcome) {
                    let task = match &found {
                        Ok((search, _)) | Err((search, _)) => search.task.clone(),
                    };
                    if self.tasks.get(&task).is_none_or(|task| task.state.known == TaskStatus::Stopped) {
                        self.core.ports.release(&task);
                    }
                    self.touch(now, &task, step, |task, cx| {
                        task.apply_ports(cx, found);
                        task.settle(cx);
                    });
                }
                self.core.search_ports(step);
            }
            Route::Report(task) => self.touch(now, &task, step, |task, cx| task.apply_reported(cx, outcome)),
            Route::List => self.apply_list(now, outcome, step),
            Route::FollowEvents => self.apply_stream_ended(now, outcome, step),
            Route::ImageCleanup => self.apply_image_cleanup(now, outcome, step),
            Route::DiskCheck => self.apply_disk_check(now, outcome, step),
            Route::Register => {
                let result = match outcome {
                    Outcome::Registered(instance) => Ok(*instance),
                    other => Err(failure_of(other)),
                };
                self.with_registering(now, step, |registering, now, cx| registering.on_answer(now, result, cx));
            }
            Route::CreateCluster => {
                let result = match outcome {
                    Outcome::ClusterCreated { name } => Ok(name),
                    other => Err(failure_of(other)),
                };
                self.with_registering(now, step, |registering, now, cx| {
                    registering.on_cluster_created(now, result, cx)
                });
            }
            Route::Discover => {
                let result = match outcome {
                    Outcome::Discovered(endpoints) => Ok(endpoints),
                    other => Err(failure_of(other)),
                };
                self.with_sessions(now, step, |sessions, now, cx| sessions.on_discovered(now, result, cx));
            }
            Route::Open(connection) => match outcome {
                Outcome::Failed(failure) => self.with_sessions(now, step, |sessions, now, cx| {
                    sessions.on_refused(now, connection, &failure, cx);
                }),
                _ => self.with_sessions(now, step, |sessions, now, cx| sessions.on_opened(now, connection, cx)),
            },
            Route::Nobody => {}
        }
    }

    fn deliver(&mut self, now: Now, deliveries: Deliveries, step: &mut Step) {
        for (waiters, fetched) in deliveries {
            for (task, index) in waiters {
                self.touch(now, &task, step, |task, cx| {
                    if index >= task.containers.len() {
                        return;
                    }
                    match &fetched {
                        Fetched::Resolved(result) => task.apply_resolved(cx, index, result),
                        Fetched::Pulled(result) => task.apply_pulled(cx, index, result),
                        Fetched::Stumbled { error, attempt, retry_in } => {
                            task.apply_stumble(cx, index, error, *attempt, *retry_in);
                            return;
                        }
                        Fetched::PullBegan => {
                            task.apply_pull_began(cx, index);
                            return;
                        }
                    }
                    task.settle(cx);
                });
            }
        }
    }

    fn serve_ledger(&mut self, now: Now, step: &mut Step) {
        for id in self.core.ledger.serve(now.mono) {
            self.touch(now, &id, step, Task::settle);
        }
        let waiting: Vec<TaskId> = self.tasks.keys().filter(|id| self.core.ledger.is_waiting(id)).cloned().collect();
        for id in waiting {
            // Their reason may be another one now.
            self.touch(now, &id, step, Task::settle);
        }
    }

    fn flush(&mut self, now: Now, step: &mut Step) {
        let with_news: Vec<TaskId> = self
            .tasks
            .iter()
            .filter(|(_, task)| {
                task.state.known < TaskStatus::Stopped
                    && task.containers.iter().any(|c| c.reportable().is_some_and(|s| s > c.state.told))
            })
            .map(|(id, _)| id.clone())
            .collect();
        for id in with_news {
            self.touch(now, &id, step, |task, cx| {
                task.tell_changes();
                task.offer_reports(cx);
            });
        }
    }

    /// Lets `act` change one task; what changed is written and published when the step ends.
    pub(crate) fn touch(&mut self, now: Now, id: &TaskId, step: &mut Step, act: impl FnOnce(&mut Task, &mut Cx<'_>)) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        let task = Arc::make_mut(task);
        act(task, &mut Cx { core: &mut self.core, step, now });
        if task.is_removed() {
            self.over.push(id.clone());
        } else {
            list(&mut self.changed, task);
        }
    }

    fn with_registering(
        &mut self,
        now: Now,
        step: &mut Step,
        act: impl FnOnce(&mut Registering, Now, &mut RegisterContext<'_>),
    ) {
        let mut wants = Vec::new();
        let Core { config, rng, .. } = &mut self.core;
        act(&mut self.registering, now, &mut RegisterContext { config, rng, wants: &mut wants });
        for want in wants {
            match want {
                RegisterWant::Register(request) => {
                    let effect = Effect::RegisterInstance { request, deadline: crate::attempts::CALL_DEADLINE };
                    self.core.ask(step, Route::Register, effect);
                }
                RegisterWant::CreateCluster(request) => {
                    let effect = Effect::CreateCluster { request, deadline: crate::attempts::CALL_DEADLINE };
                    self.core.ask(step, Route::CreateCluster, effect);
                }
                RegisterWant::Done(registered) => self.registered(now, registered, step),
                RegisterWant::Exit { code, why } => self.exit(step, code, why),
                RegisterWant::Told(note) => step.agent(Level::Warn, "registration", note.to_string()),
            }
        }
        match self.registering.deadline() {
            Some(at) => self.core.set(Timer::Registration, at),
            None => self.core.clear(&Timer::Registration),
        }
    }

    fn registered(&mut self, now: Now, registered: Registered, step: &mut Step) {
        let Registered { instance_arn, availability_zone, cluster } = registered;
        step.agent(Level::Info, "registered", format!("registered as container instance {instance_arn}"));
        self.core.config.cluster = cluster;
        if self.core.config.is_checkpointed {
            step.write(rows::META, rows::META_INSTANCE, Some(instance_arn.as_str()));
            step.write(rows::META, rows::META_CLUSTER, Some(&self.core.config.cluster));
            step.write(rows::META, rows::META_ZONE, Some(&availability_zone));
            step.write(rows::META, rows::META_VERSION, Some(&self.core.config.agent.version));
            // Where it cannot be told now, the one that was saved holds.
            if let Some(id) = self.core.config.host.ec2_instance_id.as_ref().filter(|id| !id.is_empty()) {
                step.write(rows::META, rows::META_EC2_INSTANCE, Some(id));
            }
        }
        self.instance = Some(instance_arn);
        self.availability_zone = availability_zone;
        self.with_sessions(now, step, |sessions, now, cx| sessions.start(now, cx));
    }

    fn with_sessions(
        &mut self,
        now: Now,
        step: &mut Step,
        act: impl FnOnce(&mut Sessions, Now, &mut SessionContext<'_>),
    ) {
        let Some(instance_arn) = self.instance.clone() else { return };
        let mut wants = Vec::new();
        let Core { config, rng, .. } = &mut self.core;
        let mut cx = SessionContext { instance_arn: &instance_arn, config, rng, wants: &mut wants };
        act(&mut self.sessions, now, &mut cx);
        for want in wants {
            match want {
                SessionWant::Discover { request, deadline } => {
                    self.core.ask(step, Route::Discover, Effect::DiscoverPollEndpoint { request, deadline });
                }
                SessionWant::Open { connection, url } => {
                    let effect = Effect::OpenSocket { connection, url, deadline: OPEN_DEADLINE };
                    self.core.ask(step, Route::Open(connection), effect);
                }
                SessionWant::Close { connection, farewell } => {
                    self.core.ask(step, Route::Nobody, Effect::CloseSocket { connection, farewell });
                }
                SessionWant::Told(note) => {
                    let level = match note {
                        SessionNote::NotConnected { .. }
                        | SessionNote::InactiveInstance { .. }
                        | SessionNote::Silent { .. }
                        | SessionNote::DiscoveryFailed { .. } => Level::Warn,
                        SessionNote::Connected { .. }
                        | SessionNote::Lost { .. }
                        | SessionNote::NextAttempt { .. }
                        | SessionNote::LifetimeOver { .. } => Level::Info,
                    };
                    step.agent(level, "session", note.to_string());
                }
            }
        }
        match self.sessions.deadline() {
            Some(at) => self.core.set(Timer::Sessions, at),
            None => self.core.clear(&Timer::Sessions),
        }
    }

    /// What every event ends with: shared queues are served, and what is over is removed.
    fn finish(&mut self, now: Now, step: &mut Step) {
        while let Some(id) = self.resettle.pop_first() {
            self.touch(now, &id, step, Task::settle);
        }
        let began = self.core.serve_pulls(step, now);
        self.deliver(now, began, step);
        self.send_reports(step);
        self.end_waits();
        while let Some(id) = self.over.pop() {
            if self.tasks.get(&id).is_some_and(|task| task.is_removed()) {
                self.remove(now, &id, step);
            } else {
                self.touch(now, &id, step, |_, _| ());
            }
        }
    }

    /// Containers that got their turn say no more that they wait for it.
    fn end_waits(&mut self) {
        let mut turns = std::mem::take(&mut self.core.turns);
        for (id, index) in turns.drain(..) {
            let Some(task) = self.tasks.get_mut(&id) else { continue };
            let container = task.containers.get(index);
            if container.is_some_and(|container| container.work.is_some() && container.waiting.is_some()) {
                let task = Arc::make_mut(task);
                task.containers[index].tell_turn(&self.core);
                list(&mut self.changed, task);
            }
        }
        self.core.turns = turns;
    }

    fn remove(&mut self, now: Now, id: &TaskId, step: &mut Step) {
        let Some(task) = self.tasks.swap_remove(id) else { return };
        rows::delete_task(&task, step);
        if let Some(credentials) = &task.definition.execution_credentials
            && self.core.credentials.remove(credentials)
        {
            self.core.ask(step, Route::Nobody, Effect::ForgetCredentials { id: credentials.clone() });
        }
        self.core.images.let_go(id, now.wall);
        self.core.ports.release(id);
        self.core.forget_task(id);
        let fact = crate::fact::Fact::Removed;
        step.notes.push(crate::fact::Note { task: Some(id.clone()), container: None, fact });
        step.views.push((id.clone(), None));
    }

    fn send_reports(&mut self, step: &mut Step) {
        if self.instance.is_none() {
            return;
        }
        let slots = self.core.parallel_submissions();
        while let Some(id) = self.core.outbox.next_ready(slots) {
            let Some(request) = self.tasks.get(&id).and_then(|task| task.front_request(&self.core.config)) else {
                continue;
            };
            let effect = Effect::SubmitTask { request: Box::new(request), deadline: crate::attempts::CALL_DEADLINE };
            let effect = self.core.ask(step, Route::Report(id.clone()), effect);
            self.core.outbox.sent(id, effect);
        }
    }

    /// Whether tasks were taken up from the store, for the driver's first log line.
    pub const fn has_restored(&self) -> bool {
        self.has_restored
    }

    /// The ACS connection that is open.
    pub fn acs_connection(&self) -> Option<Connection> {
        self.sessions.acs_connection()
    }
}

impl Task {
    /// An answer for the transition that a container is in. A late one, for a transition that was given up, is
    /// looked at where it may have left something behind.
    fn apply_container_answer(&mut self, cx: &mut Cx<'_>, index: usize, id: EffectId, outcome: Outcome) {
        match self.containers[index].work.as_ref().map(|w| w.stage) {
            Some(Stage::Metadata(effect)) if effect == id => self.apply_metadata_written(cx, index, outcome),
            Some(Stage::Create(effect)) if effect == id => self.apply_create(cx, index, outcome),
            Some(Stage::Load(effect)) if effect == id => self.apply_loaded(cx, index, outcome),
            Some(Stage::Start(effect)) if effect == id => self.apply_start(cx, index, outcome),
            Some(Stage::StartInspect(effect)) if effect == id => self.apply_start_inspect(cx, index, outcome),
            Some(Stage::Stop(effect)) if effect == id => self.apply_stop(cx, index, outcome),
            Some(Stage::StopInspect(effect)) if effect == id => self.apply_stop_inspect(cx, index, outcome),
            Some(Stage::StopPing(effect)) if effect == id => self.apply_stop_ping(cx, index, &outcome),
            Some(Stage::Verify(effect)) if effect == id => self.apply_verify(cx, index, outcome),
            Some(Stage::Remove(effect)) if effect == id => self.apply_removed(cx, index, outcome),
            _ => {
                if let Outcome::Created(docker_id) = outcome {
                    // Removal will find it by this id, or already looks for it by name.
                    self.containers[index].change().docker_id = Some(docker_id);
                }
            }
        }
    }
}

/// The failure that an outcome is; an answer of the wrong kind counts as one.
fn failure_of(outcome: Outcome) -> Failure {
    match outcome {
        Outcome::Failed(failure) => failure,
        other => Failure::new(FailureKind::Other, format!("unexpected answer {other:?}")),
    }
}

/// Lists a task among those that changed, once in a step.
fn list(changed: &mut Vec<TaskId>, task: &mut Task) {
    if !task.is_changed {
        task.is_changed = true;
        changed.push(task.definition.id.clone());
    }
}

#[cfg(test)]
mod tests;
