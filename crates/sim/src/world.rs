//! The world: a heap of things to come, the engine under test, and the loop that drives it as the agent's
//! own driver does: handle, commit, start effects, answer each exactly once.

pub(crate) mod driver;
mod faults;
mod moves;
mod strangers;

use std::collections::BTreeMap;
use std::time::Duration;

use engine::effect::{Connection, Socket};
use engine::event::{Closing, DockerEvent};
use engine::{Effect, EffectId, Engine, EngineConfig, Event, Failure, FailureKind, Mono, Outcome};
use jiff::{SignedDuration, Timestamp};
use wire::acs::Inbound;

use crate::daemon::{Daemon, Later, Moment, Owner, is_docker};
use crate::dice::Dice;
use crate::host::{Host, is_of_host};
use crate::oracle::Oracle;
use crate::profile::{PROFILES, Profile};
use crate::service::Service;
use crate::store::Store;
use crate::trace::Trace;
use crate::workload::Behavior;
use crate::{Options, fate, setting};
use driver::Driver;

/// Something to come.
#[derive(Debug, Clone)]
pub(crate) enum Happening {
    /// For the agent, if it is still the same process.
    Tell {
        life: u64,
        event: Event,
    },
    /// An effect takes place; `reply` is how long its answer takes, if it has one.
    Apply {
        life: u64,
        id: EffectId,
        effect: Box<Effect>,
        reply: Option<Duration>,
        limit: Duration,
    },
    /// An effect's answer arrives.
    Answer {
        life: u64,
        id: EffectId,
        outcome: Outcome,
        is_docker: bool,
    },
    /// A part of an effect takes place whose answer says that it failed.
    Half {
        life: u64,
        effect: Box<Effect>,
    },
    Container(Later),
    /// The user wants the task with this number to run, or to stop.
    Order(usize),
    Stop(usize),
    /// The daemon begins to tell of events, a moment after it answered that it does.
    Subscribed {
        life: u64,
        id: EffectId,
        since: Timestamp,
    },
    Heartbeat,
    Manifest,
    Boot,
    DaemonDown,
    DaemonUp,
    RegistryDown,
    RegistryUp,
    Meddle,
    CutSocket,
    CutDeaf(Connection),
    JumpClock,
    /// A commit that took its time is done; rows that the disk did not take are tried again.
    Committed {
        life: u64,
    },
    RetryCommit {
        life: u64,
    },
    DiskFull,
    DiskFree,
    /// Somebody else on the machine does something with containers and images.
    Strangers,
    /// The agent is asked to end.
    Terminate,
    Check,
    Calm,
    StopAll,
}

/// Why a run ended before its time.
pub(crate) type Stop = String;

/// The world of one seed.
pub(crate) struct World {
    pub(crate) options: Options,
    /// The faults of now: none once it is calm.
    pub(crate) profile: Profile,
    pub(crate) is_without_faults: bool,
    pub(crate) now: Duration,
    heap: BTreeMap<(Duration, u64), Happening>,
    sequence: u64,
    pub(crate) daemon: Daemon,
    pub(crate) host: Host,
    pub(crate) driver: Driver,
    /// Counts the machines on which the agent's disk was found.
    machine: u64,
    pub(crate) service: Service,
    pub(crate) store: Store,
    pub(crate) engine: Option<Engine>,
    pub(crate) config: EngineConfig,
    life: u64,
    pub(crate) life_began: Duration,
    skew: SignedDuration,
    pub(crate) in_flight: BTreeMap<EffectId, &'static str>,
    stream: Option<EffectId>,
    stream_last: Duration,
    message_last: Duration,
    pub(crate) behaviors: BTreeMap<Owner, Behavior>,
    pub(crate) trace: Trace,
    pub(crate) oracle: Oracle,
    pub(crate) faults: Dice,
    crashes: Dice,
    ids: Dice,
    /// For faults that came later, so that they change no world in which they do not happen.
    more: Dice,
    /// How many tasks may still come whose image is just being removed.
    races: u32,
    pub(crate) crash_points: u64,
    pub(crate) is_calm: bool,
    pub(crate) calm_at: Duration,
    pub(crate) steps: u64,
    pub(crate) effects: u64,
    pub(crate) lives: u64,
}

/// Two in the morning of some day.
const EPOCH: i64 = 1_750_000_000;
/// How long the calm lasts before everything is told to stop.
const CALM: Duration = Duration::from_secs(15 * 60);
/// How long everything may take to stop, and then to be removed.
const STOPPED_WITHIN: Duration = Duration::from_secs(3600);
const REMOVED_WITHIN: Duration = Duration::from_secs(3 * 3600);

impl World {
    pub(crate) fn new(seed: u64, profile: Profile, options: Options) -> Self {
        let mut dice = Dice::new(seed ^ 0x5EED);
        let config = setting::config(&mut dice);
        let span = dice.seconds(120, 900);
        let orders = crate::workload::orders(&mut dice, span);
        let behaviors = orders
            .iter()
            .flat_map(|o| o.behaviors.iter().map(|(name, b)| ((o.arn.clone(), name.clone()), b.clone())))
            .collect();
        let mut world = Self {
            profile,
            is_without_faults: profile.name == "calm" && options.crash_point.is_none(),
            now: Duration::ZERO,
            heap: BTreeMap::new(),
            sequence: 0,
            daemon: Daemon::new(),
            host: Host::default(),
            driver: Driver::default(),
            machine: 0,
            service: Service::new(orders),
            store: Store::default(),
            engine: None,
            config,
            life: 0,
            life_began: Duration::ZERO,
            skew: SignedDuration::ZERO,
            in_flight: BTreeMap::new(),
            stream: None,
            stream_last: Duration::ZERO,
            message_last: Duration::ZERO,
            behaviors,
            trace: Trace::new(options.keeps_trace),
            oracle: Oracle::new(seed.is_multiple_of(8) || options.checks_rows),
            faults: Dice::new(dice.number()),
            crashes: Dice::new(dice.number()),
            ids: Dice::new(dice.number()),
            more: Dice::new(dice.number()),
            races: if profile.slow > 0.0 { 2 } else { 0 },
            crash_points: 0,
            is_calm: false,
            calm_at: span + Duration::from_secs(60),
            steps: 0,
            effects: 0,
            lives: 0,
            options,
        };
        world.plan(span);
        world
    }

    fn plan(&mut self, span: Duration) {
        for number in 0..self.service.orders.len() {
            let (at, stop_at) = (self.service.orders[number].at, self.service.orders[number].stop_at);
            self.put(at, Happening::Order(number));
            if let Some(at) = stop_at.filter(|at| *at < self.calm_at) {
                self.put(at, Happening::Stop(number));
            }
        }
        let seconds = span.as_secs();
        let some = |world: &mut Self, count: u64, what: Happening| {
            for _ in 0..count {
                let at = world.faults.seconds(2, seconds);
                world.put(at, what.clone());
            }
        };
        let profile = self.profile;
        some(self, profile.daemon_restarts, Happening::DaemonDown);
        some(self, profile.registry_outages, Happening::RegistryDown);
        some(self, profile.meddling, Happening::Meddle);
        some(self, profile.socket_cuts, Happening::CutSocket);
        some(self, profile.clock_jumps, Happening::JumpClock);
        some(self, profile.disk_outages, Happening::DiskFull);
        let others = self.faults.between(0, 6);
        some(self, others, Happening::Strangers);
        some(self, 2, Happening::Manifest);
        some(self, u64::from(profile.crash > 0.0), Happening::Terminate);
        self.put(Duration::ZERO, Happening::Boot);
        self.put(Duration::from_secs(30), Happening::Check);
        self.put(Duration::from_secs(40), Happening::Heartbeat);
        self.put(self.calm_at, Happening::Calm);
        self.put(self.calm_at + CALM, Happening::StopAll);
    }

    pub(crate) fn put(&mut self, at: Duration, what: Happening) {
        self.sequence += 1;
        self.heap.insert((at.max(self.now), self.sequence), what);
    }

    pub(crate) fn wall(&self) -> Timestamp {
        let epoch = Timestamp::from_second(EPOCH).unwrap_or_default();
        let now = SignedDuration::try_from(self.now).unwrap_or_default();
        epoch.checked_add(now).and_then(|t| t.checked_add(self.skew)).unwrap_or(epoch)
    }

    pub(crate) fn moment(&self) -> Moment {
        Moment { at: self.now, wall: self.wall() }
    }

    pub(crate) fn note(&mut self, text: impl FnOnce() -> String) {
        self.trace.line(self.now, text);
    }

    /// Runs until everything is over, or something is wrong.
    pub(crate) fn run(&mut self) -> Result<(), Stop> {
        loop {
            let engine = self.engine.as_ref().filter(|_| !self.driver.is_committing());
            let deadline = engine.and_then(Engine::deadline).map(|Mono(at)| (self.life_began + at).max(self.now));
            let next = self.heap.first_key_value().map(|((at, _), _)| *at);
            match (deadline, next) {
                (Some(tick), next) if next.is_none_or(|next| tick < next) => {
                    self.now = tick;
                    self.tell(Event::Tick)?;
                }
                (_, Some(_)) => {
                    let Some(((at, _), what)) = self.heap.pop_first() else { return Err("empty heap".into()) };
                    self.now = at;
                    self.happen(what)?;
                }
                _ => return Err("nothing is to come".into()),
            }
            if self.now > self.calm_at + CALM && self.is_over() {
                return crate::oracle::at_end(self);
            }
            if self.now > self.calm_at + CALM + REMOVED_WITHIN {
                return Err(crate::oracle::not_at_rest(self));
            }
        }
    }

    fn is_over(&self) -> bool {
        let Some(engine) = &self.engine else { return false };
        engine.tasks().is_empty()
            && self.driver.is_at_rest()
            && self.service.is_at_rest()
            && crate::oracle::images_left(self).is_none()
            && self.in_flight.values().all(|name| *name == "FollowEvents")
            && !self
                .heap
                .values()
                .any(|what| matches!(what, Happening::Apply { .. } | Happening::Container(Later::Exit { .. })))
    }

    fn happen(&mut self, what: Happening) -> Result<(), Stop> {
        match what {
            Happening::Tell { life, event } => {
                if life == self.life {
                    self.tell(event)?;
                }
            }
            Happening::Answer { life, id, outcome, .. } => {
                if life == self.life && self.in_flight.contains_key(&id) {
                    if self.stream == Some(id) {
                        self.stream = None;
                    }
                    self.tell(Event::Done { id, outcome })?;
                }
            }
            Happening::Apply { life, id, effect, reply, limit } => {
                let (outcome, takes) = self.apply(life, id, &effect, limit)?;
                if let (Some(outcome), Some(reply)) = (outcome, reply)
                    && life == self.life
                {
                    let is_docker = is_docker(&effect);
                    let at = self.now + takes + reply;
                    let (at, outcome) = if at > limit { (limit, fate::timeout()) } else { (at, outcome) };
                    self.put(at, Happening::Answer { life, id, outcome, is_docker });
                }
            }
            Happening::Half { life, effect } => self.apply_half(life, &effect)?,
            Happening::Container(later) => {
                let (events, next) = self.daemon.happen(&later, self.moment(), &self.behaviors);
                self.oracle.saw(&later, &self.daemon, self.now);
                self.emit(events);
                self.later(next);
            }
            Happening::Order(number) if self.service.is_asked(number) => {}
            Happening::Order(number) => {
                let mut tasks = vec![(number, false)];
                while let Some(next) = self.next_in_batch(number + tasks.len()) {
                    tasks.push((next, false));
                }
                self.note(|| format!("user    runs tasks {number} to {}", number + tasks.len() - 1));
                // Now and then the end of an earlier task travels with it.
                if number > 0 && self.faults.chance(0.2) {
                    tasks.push((number - 1, true));
                }
                self.service.ask(tasks);
                self.send_payloads();
            }
            Happening::Stop(number) => {
                self.note(|| format!("user    stops task {number}"));
                self.service.ask(vec![(number, true)]);
                self.send_payloads();
            }
            Happening::Subscribed { life, id, since } => {
                if life == self.life {
                    self.subscribe(life, id, since);
                }
            }
            Happening::Heartbeat => self.heartbeat(),
            Happening::Manifest => {
                if self.service.acs.is_some() {
                    let manifest = self.service.task_manifest();
                    self.send(vec![manifest]);
                }
            }
            Happening::Boot => self.boot()?,
            Happening::DaemonDown => self.daemon_down(),
            Happening::DaemonUp => {
                self.note(|| "fault   container engine is up".into());
                self.daemon.is_down = false;
            }
            Happening::RegistryDown => {
                self.note(|| "fault   registry is down".into());
                self.daemon.images.is_registry_down = true;
                let at = self.now + self.faults.seconds(1, 60);
                self.put(at, Happening::RegistryUp);
            }
            Happening::RegistryUp => self.daemon.images.is_registry_down = false,
            Happening::Meddle => self.meddle(),
            Happening::CutSocket => self.cut_socket(),
            Happening::CutDeaf(connection) => {
                if self.service.acs == Some(connection) {
                    self.service.acs = None;
                    self.cut(connection);
                }
            }
            Happening::JumpClock => {
                let jump = self.faults.seconds(1, 7200);
                let jump = SignedDuration::try_from(jump).unwrap_or_default();
                let jump = if self.faults.chance(0.5) { jump } else { -jump };
                self.oracle.has_gone_back |= jump.is_negative();
                self.note(|| format!("fault   wall clock jumps by {jump:?}"));
                self.skew += jump;
            }
            Happening::Committed { life } => self.committed(life)?,
            Happening::RetryCommit { life } => self.retry_commit(life)?,
            Happening::DiskFull => {
                self.note(|| "fault   the disk is full".into());
                self.driver.is_disk_full = !self.is_calm;
                let at = self.now + self.faults.seconds(1, 90);
                self.put(at, Happening::DiskFree);
            }
            Happening::DiskFree => self.driver.is_disk_full = false,
            Happening::Strangers => self.someone_acts()?,
            Happening::Terminate => self.tell(Event::Terminate)?,
            Happening::Check => {
                crate::oracle::compare_with_truth(self)?;
                if self.now > self.calm_at + CALM + STOPPED_WITHIN && !self.service.is_at_rest() {
                    return Err(crate::oracle::not_at_rest(self));
                }
                self.put(self.now + Duration::from_secs(30), Happening::Check);
            }
            Happening::Calm => {
                self.note(|| "world   faults end".into());
                self.is_calm = true;
                self.profile = PROFILES[0];
                self.daemon.is_down = false;
                self.daemon.images.is_registry_down = false;
                self.driver.is_disk_full = false;
            }
            Happening::StopAll => {
                self.note(|| "user    stops everything".into());
                for number in 0..self.service.orders.len() {
                    let order = &self.service.orders[number];
                    if !crate::oracle::stops_by_itself(self, order)? && !self.service.is_stopped(&order.arn) {
                        self.service.ask(vec![(number, true)]);
                    }
                }
                self.send_payloads();
            }
        }
        self.oracle.blame(&mut self.daemon, &mut self.service)
    }

    fn start(&mut self, id: EffectId, effect: Effect) {
        let mut fate = fate::fate(&effect, &self.profile, &mut self.faults);
        let again = fate::again(&effect, &self.profile, &mut self.more, &mut fate);
        if let Effect::RemoveImage { image, .. } = &effect
            // Of one whose answer is lost nobody could tell when it is over.
            && fate.reply.is_some()
            && self.is_wanted_again(image)
        {
            // Layers take their time to go.
            fate.applies = fate.applies.map(|_| self.more.millis(500, 10_000));
        }
        let life = self.life;
        let limit = self.now + fate.deadline;
        if let Some((after, outcome)) = fate.instead {
            let is_docker = is_docker(&effect);
            self.trace.line(self.now, || format!("fault   {} will be answered {outcome:?}", id.0));
            self.put(self.now + after, Happening::Answer { life, id, outcome, is_docker });
        }
        if let Some(after) = fate.half {
            self.put(self.now + after, Happening::Half { life, effect: Box::new(effect.clone()) });
        }
        if let Some(after) = fate.applies {
            let mut at = self.now + after;
            if let Some(again) = again.filter(|_| at <= limit) {
                self.trace.line(self.now, || format!("fault   {} will be made twice", id.0));
                self.put(at, Happening::Apply { life, id, effect: Box::new(effect.clone()), reply: None, limit });
                at += again;
            }
            let mut reply = fate.reply;
            if at > limit && reply.is_some() {
                reply = None;
                let is_docker = is_docker(&effect);
                self.put(limit, Happening::Answer { life, id, outcome: fate::timeout(), is_docker });
            }
            if at > limit && matches!(effect, Effect::Pull { .. }) {
                // Docker ends a pull whose client has gone.
                return;
            }
            self.put(at, Happening::Apply { life, id, effect: Box::new(effect), reply, limit });
        }
    }

    /// An effect takes place; `None` for one whose answer comes another way.
    fn apply(
        &mut self,
        life: u64,
        id: EffectId,
        effect: &Effect,
        limit: Duration,
    ) -> Result<(Option<Outcome>, Duration), Stop> {
        let is_current = life == self.life;
        let outcome = match effect {
            Effect::FollowEvents { since } => {
                if self.daemon.is_down || !is_current {
                    return Ok((Some(Daemon::unreachable()), Duration::ZERO));
                }
                self.stream_last = self.now + Duration::from_millis(1);
                self.put(self.stream_last, Happening::Tell { life, event: Event::EventsOpened });
                let at = self.now + self.faults.millis(0, 20);
                self.put(at, Happening::Subscribed { life, id, since: *since });
                return Ok((None, Duration::ZERO));
            }
            Effect::RegisterInstance { request, .. } => Outcome::Registered(Box::new(wire::ecs::ContainerInstance {
                container_instance_arn: self.service.register(request),
                attributes: request.attributes.clone().unwrap_or_default(),
                ..Default::default()
            })),
            Effect::CreateCluster { .. } => Outcome::ClusterCreated { name: crate::workload::CLUSTER.into() },
            Effect::DiscoverPollEndpoint { .. } => Outcome::Discovered(wire::ecs::DiscoverPollEndpointResponse {
                endpoint: Some("https://acs.test".into()),
                telemetry_endpoint: Some("https://tcs.test".into()),
                ..Default::default()
            }),
            Effect::SubmitTask { request, .. } => {
                self.service.submit(request);
                Outcome::Done
            }
            Effect::OpenSocket { connection, url, .. } => {
                if is_current {
                    self.open_socket(*connection, url);
                }
                Outcome::Opened
            }
            Effect::SendFrame { connection, text, .. } => {
                if is_current && self.is_deaf(*connection) {
                    Outcome::Done
                } else if !is_current || self.service.acs == Some(*connection) {
                    let answers = self.service.hear(text);
                    self.send(answers);
                    Outcome::Done
                } else {
                    Outcome::Failed(Failure::new(FailureKind::Unreachable, "connection is closed"))
                }
            }
            Effect::CloseSocket { connection, farewell } => {
                let slot = match connection.socket {
                    Socket::Acs => &mut self.service.acs,
                    Socket::Tcs => &mut self.service.tcs,
                };
                if *slot == Some(*connection) {
                    *slot = None;
                    if farewell.is_some() {
                        let how = Closing::Valid { text: "bye".into() };
                        let event = Event::Closed { connection: *connection, how };
                        self.put(self.now + Duration::from_millis(20), Happening::Tell { life, event });
                    }
                }
                Outcome::Done
            }
            Effect::FindHostPorts { protocol, count, from, to } => {
                self.find_ports(&protocol.to_string(), *count, *from, *to)
            }
            Effect::ForgetCredentials { .. } | Effect::Exit { .. } => Outcome::Done,
            effect if is_of_host(effect) => self.host.perform(effect, &self.daemon),
            _ => {
                let offences = self.daemon.offences.len();
                let done = self.daemon.perform(effect, self.moment(), &mut self.ids, &self.behaviors);
                let is_given_up = is_current && !self.in_flight.contains_key(&id);
                if is_given_up && matches!(effect, Effect::StartContainer { .. }) {
                    // Its task has stopped, and the port is another's: Docker refuses it, as it does here.
                    self.daemon.offences.truncate(offences);
                }
                if let Some(owner) = &done.first_start {
                    crate::oracle::check_start(self, owner)?;
                }
                self.oracle.performed(effect, &done, &self.daemon, self.now);
                // What takes place after its answer was given up says nothing to anybody.
                if is_current && !is_given_up {
                    self.oracle.found_image(effect, &done.outcome, self.now);
                }
                self.host.follow(&self.daemon);
                if is_current {
                    // After its limit the agent may believe that it is over.
                    let went_out = match effect {
                        Effect::RemoveImage { deadline, .. } if self.now <= limit => Some(limit - *deadline),
                        _ => None,
                    };
                    crate::oracle::check_gone(self, &done.gone, went_out)?;
                }
                self.emit(done.events);
                self.later(done.later);
                return Ok((Some(done.outcome), done.takes));
            }
        };
        Ok((Some(outcome), Duration::ZERO))
    }

    fn find_ports(&self, protocol: &str, count: u16, from: u16, to: u16) -> Outcome {
        let mut run = 0;
        for port in from..=to {
            run = if self.daemon.is_port_free(protocol, port) { run + 1 } else { 0 };
            if run == count {
                return Outcome::PortsFound(port + 1 - count);
            }
        }
        Outcome::Failed(Failure::new(FailureKind::NotFound, "no free ports"))
    }

    fn later(&mut self, later: Vec<(Duration, Later)>) {
        for (after, what) in later {
            self.put(self.now + after, Happening::Container(what));
        }
    }

    fn subscribe(&mut self, life: u64, id: EffectId, since: Timestamp) {
        if self.daemon.is_down {
            let outcome = Outcome::Failed(Failure::new(FailureKind::Other, "unexpected EOF"));
            self.put(self.now, Happening::Answer { life, id, outcome, is_docker: true });
            return;
        }
        self.stream = Some(id);
        for event in self.daemon.events_since(since) {
            self.deliver(event);
        }
    }

    /// The container engine tells who follows its events.
    fn emit(&mut self, events: Vec<DockerEvent>) {
        self.daemon.remember(&events, self.wall());
        for event in events {
            self.trace.line(self.now, || crate::show::docker(&event));
            if self.stream.is_some() {
                self.deliver(event);
            }
        }
    }

    fn deliver(&mut self, event: DockerEvent) {
        let profile = self.profile;
        if self.faults.chance(profile.drop_event) {
            self.note(|| "fault   the event is lost".into());
            return;
        }
        let is_late = self.faults.chance(profile.late_event);
        let mut at = self.now + if is_late { self.faults.millis(10, 10_000) } else { self.faults.millis(0, 20) };
        if !is_late {
            at = at.max(self.stream_last);
            self.stream_last = at;
        }
        let life = self.life;
        if self.faults.chance(profile.double_event) {
            let again = at + self.faults.millis(0, 3000);
            self.put(again, Happening::Tell { life, event: Event::Docker(event.clone()) });
        }
        self.put(at, Happening::Tell { life, event: Event::Docker(event) });
    }

    fn open_socket(&mut self, connection: Connection, url: &str) {
        match connection.socket {
            Socket::Acs => {
                self.service.acs = Some(connection);
                self.message_last = self.now + Duration::from_millis(300);
                if url.contains("sendCredentials=true") {
                    let credentials = self.service.credentials();
                    self.send(credentials);
                }
                self.send_payloads();
            }
            Socket::Tcs => self.service.tcs = Some(connection),
        }
    }

    fn send_payloads(&mut self) {
        if self.service.acs.is_some() {
            if self.more.chance(self.profile.batch) {
                self.service.split_payloads();
            }
            let payloads = self.service.payloads();
            self.send(payloads);
        }
    }

    fn send(&mut self, messages: Vec<Inbound>) {
        let Some(connection) = self.service.acs.filter(|acs| self.service.deaf != Some(*acs)) else { return };
        for message in messages {
            let times = if self.faults.chance(self.profile.double_message) { 2 } else { 1 };
            for _ in 0..times {
                self.message_last = self.message_last.max(self.now) + self.faults.millis(1, 60);
                let event = Event::Message { connection, message: Box::new(message.clone()) };
                self.put(self.message_last, Happening::Tell { life: self.life, event });
            }
        }
    }

    fn heartbeat(&mut self) {
        if self.service.acs.is_some() {
            let beat = self.service.heartbeat();
            self.send(vec![beat]);
            self.send_payloads();
        }
        if let Some(connection) = self.service.tcs {
            self.put(self.now, Happening::Tell { life: self.life, event: Event::Activity { connection } });
        }
        let at = self.now + self.faults.seconds(45, 58);
        self.put(at, Happening::Heartbeat);
    }
}
