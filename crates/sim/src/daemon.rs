//! A simulated container engine: containers, volumes and what is bound, with Docker's rules and texts.
//! It knows nothing of time but what it is told, and nothing of faults: the world adds those.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use engine::event::{ContainerAction, DockerEvent};
use engine::{Effect, Failure, FailureKind, Outcome};
use jiff::Timestamp;
use serde_json::Value;
use wire::docker::{self, ContainerInspect, ContainerSummary};
use wire::ids::DockerId;

use crate::dice::Dice;
use crate::host::is_of_host;
use crate::images::{Images, Removal, User};
use crate::workload::Behavior;

/// Which container of which task: its labels.
pub(crate) type Owner = (String, String);

/// One container.
#[derive(Debug, Clone)]
pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) owner: Owner,
    pub(crate) image: String,
    pub(crate) status: Status,
    /// Counts starts, so that news of an earlier run are known as such.
    pub(crate) run: u64,
    pub(crate) created_at: Timestamp,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Option<Timestamp>,
    pub(crate) exit_code: i64,
    pub(crate) is_oom: bool,
    pub(crate) error: String,
    /// Its removal failed half-way: it can only be removed.
    pub(crate) is_dead: bool,
    pub(crate) health: Option<docker::HealthStatus>,
    /// (protocol, host port, container port).
    pub(crate) ports: Vec<(String, u16, u16)>,
    pub(crate) volumes: BTreeSet<String>,
    pub(crate) cgroup: Option<String>,
    /// Whose process namespace it lives in.
    pub(crate) pid_of: Option<String>,
    /// World time of the last change of `status`.
    pub(crate) since: Duration,
    /// Until then lists show it running although it ended: Docker puts an end into its lists only after it has
    /// told of it and has cleaned up.
    pub(crate) listed_running_until: Duration,
}

/// How a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Created,
    Running,
    Exited,
}

/// Something that will come of a call, later.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Later {
    Exit { id: String, run: u64, code: i64, is_oom: bool },
    Health { id: String, run: u64, is_healthy: bool },
}

/// What a call did.
#[derive(Debug)]
pub(crate) struct Performed {
    pub(crate) outcome: Outcome,
    /// How long the daemon works on it beyond the usual.
    pub(crate) takes: Duration,
    pub(crate) events: Vec<DockerEvent>,
    pub(crate) later: Vec<(Duration, Later)>,
    /// The owner, when a container was started for the first time.
    pub(crate) first_start: Option<Owner>,
    /// Names and ids of images that are no more.
    pub(crate) gone: Vec<String>,
}

impl From<Outcome> for Performed {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            takes: Duration::ZERO,
            events: Vec::new(),
            later: Vec::new(),
            first_start: None,
            gone: Vec::new(),
        }
    }
}

/// Now, for the daemon: world time and the host's wall clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) at: Duration,
    pub(crate) wall: Timestamp,
}

/// The container engine.
#[derive(Debug, Default)]
pub(crate) struct Daemon {
    pub(crate) containers: BTreeMap<String, Container>,
    /// Name → whether the world made it, rather than a task.
    pub(crate) volumes: BTreeMap<String, bool>,
    pub(crate) images: Images,
    pub(crate) is_down: bool,
    /// Rules that the agent broke.
    pub(crate) offences: Vec<String>,
    /// The last events, with the host's time.
    recent: VecDeque<(Timestamp, DockerEvent)>,
}

fn fail(kind: FailureKind, text: impl std::fmt::Display) -> Performed {
    Outcome::Failed(Failure::new(kind, format!("Error response from daemon: {text}"))).into()
}

pub(crate) fn is_docker(effect: &Effect) -> bool {
    !is_of_host(effect)
        && !matches!(
            effect,
            Effect::RegisterInstance { .. }
                | Effect::CreateCluster { .. }
                | Effect::DiscoverPollEndpoint { .. }
                | Effect::SubmitTask { .. }
                | Effect::OpenSocket { .. }
                | Effect::SendFrame { .. }
                | Effect::CloseSocket { .. }
                | Effect::ForgetCredentials { .. }
                | Effect::FindHostPorts { .. }
                | Effect::Exit { .. }
        )
}

/// How many events Docker keeps.
const REMEMBERED: usize = 256;

fn event(id: &str, action: ContainerAction) -> DockerEvent {
    DockerEvent { id: DockerId::from(id), action }
}

impl Daemon {
    pub(crate) fn new() -> Self {
        let mut daemon = Self { images: Images::new(), ..Self::default() };
        daemon.volumes.insert("shared0".into(), true);
        daemon
    }

    pub(crate) fn unreachable() -> Outcome {
        let text = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?";
        Outcome::Failed(Failure::new(FailureKind::Unreachable, text))
    }

    fn find(&self, handle: &str) -> Option<String> {
        if self.containers.contains_key(handle) {
            return Some(handle.to_owned());
        }
        self.containers.values().find(|c| c.name == handle).map(|c| c.id.clone())
    }

    /// Carries out a call.
    pub(crate) fn perform(
        &mut self,
        effect: &Effect,
        now: Moment,
        dice: &mut Dice,
        behaviors: &BTreeMap<Owner, Behavior>,
    ) -> Performed {
        if self.is_down {
            return Self::unreachable().into();
        }
        match effect {
            Effect::Ping { .. } => Outcome::Done.into(),
            Effect::ListContainers { .. } => {
                let ours = self.containers.values().filter(|c| !c.is_strange());
                Outcome::Listed(ours.map(|c| summary(c, now.at)).collect()).into()
            }
            Effect::ListAllContainers { .. } => {
                Outcome::Listed(self.containers.values().map(|c| summary(c, now.at)).collect()).into()
            }
            Effect::ListImages { .. } => self.images.list().into(),
            Effect::MeasureDisk { .. } => self.images.disk().into(),
            Effect::LoadPauseImage { .. } => {
                self.images.load_pause();
                Outcome::Done.into()
            }
            Effect::ResolveDigest { image, .. } => self.images.resolve(image).into(),
            Effect::InspectImage { image } => self.images.inspect(image).into(),
            Effect::Pull { image, .. } => self.images.pull(image).into(),
            Effect::TagImage { source, target, .. } => self.images.tag(source, target).into(),
            Effect::RemoveImage { image, .. } => {
                let users = self.users(self.images.id(image).as_deref());
                let Removal { outcome, gone } = self.images.remove(image, &users);
                Performed { gone, ..outcome.into() }
            }
            Effect::CreateVolume { name, driver, .. } => {
                if driver == "broken" {
                    return fail(FailureKind::NotFound, "error looking up volume plugin broken: plugin not found");
                }
                self.volumes.entry(name.clone()).or_insert(false);
                volume().into()
            }
            Effect::InspectVolume { name, .. } => match self.volumes.contains_key(name) {
                true => volume().into(),
                false => fail(FailureKind::NotFound, format!("get {name}: no such volume")),
            },
            Effect::RemoveVolume { name, .. } => {
                if self.containers.values().any(|c| c.volumes.contains(name)) {
                    return fail(FailureKind::Conflict, format!("remove {name}: volume is in use"));
                }
                match self.volumes.remove(name) {
                    Some(_) => Outcome::Done.into(),
                    None => fail(FailureKind::NotFound, format!("get {name}: no such volume")),
                }
            }
            Effect::CreateContainer { name, body, .. } => self.create(name, body, now, dice, behaviors),
            Effect::StartContainer { id, .. } => self.start(id, now, behaviors),
            Effect::StopContainer { id, seconds, .. } => self.stop(id, *seconds, behaviors),
            Effect::InspectContainer { id, .. } => match self.find(id).and_then(|id| self.containers.get(&id)) {
                Some(container) => Outcome::Inspected(Box::new(inspect(container))).into(),
                None => fail(FailureKind::NotFound, format!("No such container: {id}")),
            },
            Effect::RemoveContainer { id, .. } => {
                let Some(id) = self.find(id) else {
                    return fail(FailureKind::NotFound, format!("No such container: {id}"));
                };
                if self.containers[&id].status == Status::Running {
                    let text = format!(
                        "You cannot remove a running container {id}. Stop the container before attempting removal or force remove"
                    );
                    return fail(FailureKind::Conflict, text);
                }
                self.remove(&id)
            }
            _ => Outcome::Done.into(),
        }
    }

    fn create(
        &mut self,
        name: &str,
        body: &Value,
        now: Moment,
        dice: &mut Dice,
        behaviors: &BTreeMap<Owner, Behavior>,
    ) -> Performed {
        if self.containers.values().any(|c| c.name == name) {
            let text = format!("Conflict. The container name \"/{name}\" is already in use");
            return fail(FailureKind::Conflict, text);
        }
        let label = |key: &str| body["Labels"][key].as_str().unwrap_or_default().to_owned();
        let owner = (label("com.amazonaws.ecs.task-arn"), label("com.amazonaws.ecs.container-name"));
        let reference = body["Image"].as_str().unwrap_or_default();
        let Some(image) = self.images.id(reference) else {
            return fail(FailureKind::NotFound, format!("No such image: {reference}"));
        };
        let other = self.containers.values().find(|c| c.owner == owner).map(|c| c.name.clone());
        if let Some(other) = other {
            self.offences.push(format!("second container for {owner:?}: {name} beside {other}"));
        }
        let host = &body["HostConfig"];
        let mut ports = Vec::new();
        for (port, bound) in host["PortBindings"].as_object().into_iter().flatten() {
            let (port, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
            for binding in bound.as_array().into_iter().flatten() {
                let host_port = binding["HostPort"].as_str().and_then(|p| p.parse().ok()).unwrap_or_default();
                ports.push((protocol.to_owned(), host_port, port.parse().unwrap_or_default()));
            }
        }
        let mut volumes = BTreeSet::new();
        for bind in host["Binds"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let source = bind.split(':').next().unwrap_or_default();
            if !source.starts_with('/') {
                if !self.volumes.contains_key(source) {
                    self.offences.push(format!("container {name} mounts volume {source}, which was never made"));
                }
                self.volumes.entry(source.to_owned()).or_insert(false);
                volumes.insert(source.to_owned());
            }
        }
        for from in host["VolumesFrom"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            match self.find(from.trim_end_matches(":ro")).and_then(|id| self.containers.get(&id)) {
                Some(source) => volumes.extend(source.volumes.iter().cloned()),
                None => return fail(FailureKind::NotFound, format!("No such container: {from}")),
            }
        }
        let pid_of = host["PidMode"].as_str().and_then(|mode| mode.strip_prefix("container:")).map(str::to_owned);
        let has_check = body.get("Healthcheck").is_some_and(|check| !check.is_null());
        let id = dice.hex(64);
        let container = Container {
            id: id.clone(),
            name: name.to_owned(),
            health: (has_check && behaviors.contains_key(&owner)).then_some(docker::HealthStatus::Starting),
            owner,
            image,
            status: Status::Created,
            run: 0,
            created_at: now.wall,
            started_at: None,
            finished_at: None,
            exit_code: 0,
            is_oom: false,
            error: String::new(),
            is_dead: false,
            ports,
            volumes,
            cgroup: host["CgroupParent"].as_str().filter(|parent| !parent.is_empty()).map(str::to_owned),
            pid_of,
            since: now.at,
            listed_running_until: Duration::ZERO,
        };
        self.containers.insert(id.clone(), container);
        Performed {
            events: vec![event(&id, ContainerAction::Create)],
            ..Outcome::Created(DockerId::from(id.as_str())).into()
        }
    }

    fn start(&mut self, handle: &str, now: Moment, behaviors: &BTreeMap<Owner, Behavior>) -> Performed {
        let Some(id) = self.find(handle) else {
            return fail(FailureKind::NotFound, format!("No such container: {handle}"));
        };
        let container = &self.containers[&id];
        if container.status == Status::Running {
            return Outcome::Done.into();
        }
        if container.is_dead {
            return fail(FailureKind::Conflict, "container is marked for removal and cannot be started");
        }
        let taken = container.ports.iter().find_map(|(protocol, port, _)| {
            let holds = |other: &&Container| {
                other.status == Status::Running && other.ports.iter().any(|(p, h, _)| p == protocol && h == port)
            };
            self.containers.values().find(holds).map(|other| (*port, other.name.clone(), other.owner.0.clone()))
        });
        let orphan = container
            .pid_of
            .as_ref()
            .filter(|pid| self.containers.get(*pid).is_none_or(|c| c.status != Status::Running));
        let behavior = behaviors.get(&container.owner).cloned().unwrap_or_default();
        let error = if let Some((port, holder, task)) = taken {
            // Within one task it is the user's own mistake.
            if task != container.owner.0 {
                self.offences.push(format!("port {port} of {} is held by {holder}", container.name));
            }
            Some(format!("driver failed programming external connectivity: port {port} is already allocated"))
        } else if let Some(pid) = orphan {
            Some(format!("cannot join PID of a non running container: {pid}"))
        } else {
            behavior.start_error.clone()
        };
        let Some(container) = self.containers.get_mut(&id) else { return Outcome::Done.into() };
        if let Some(error) = error {
            container.error.clone_from(&error);
            container.exit_code = 128;
            return fail(FailureKind::Other, error);
        }
        let first_start = container.started_at.is_none().then(|| container.owner.clone());
        container.run += 1;
        container.status = Status::Running;
        container.since = now.at;
        container.started_at = Some(now.wall);
        container.error.clear();
        container.is_oom = false;
        if container.health.is_some() {
            container.health = Some(docker::HealthStatus::Starting);
        }
        let run = container.run;
        let mut later = Vec::new();
        if let Some((after, code)) = behavior.ends {
            later.push((after, Later::Exit { id: id.clone(), run, code, is_oom: behavior.is_oom }));
        }
        if container.health.is_some()
            && let Some(after) = behavior.healthy_after
        {
            later.push((after, Later::Health { id: id.clone(), run, is_healthy: true }));
        }
        Performed { events: vec![event(&id, ContainerAction::Start)], later, first_start, ..Outcome::Done.into() }
    }

    fn stop(&mut self, handle: &str, seconds: u64, behaviors: &BTreeMap<Owner, Behavior>) -> Performed {
        let Some(id) = self.find(handle) else {
            return fail(FailureKind::NotFound, format!("No such container: {handle}"));
        };
        let container = &self.containers[&id];
        if container.status != Status::Running {
            return Outcome::Done.into();
        }
        let grace = Duration::from_secs(seconds);
        // A pause container ends at TERM.
        let on_term = match behaviors.get(&container.owner) {
            Some(behavior) => behavior.on_term,
            None => Some((Duration::ZERO, 0)),
        };
        let (after, code) = on_term.filter(|(after, _)| *after < grace).unwrap_or((grace, 137));
        let exit = Later::Exit { id: id.clone(), run: container.run, code, is_oom: false };
        Performed { takes: after + Duration::from_millis(2), later: vec![(after, exit)], ..Outcome::Done.into() }
    }

    /// Containers that use an image, those that run first.
    pub(crate) fn users(&self, id: Option<&str>) -> Vec<User> {
        let mut users: Vec<User> = self
            .containers
            .values()
            .filter(|c| Some(c.image.as_str()) == id)
            .map(|c| User { container: c.name.clone(), runs: c.status == Status::Running })
            .collect();
        users.sort_by_key(|user| !user.runs);
        users
    }

    /// Somebody else runs a container of a local image.
    pub(crate) fn run_stranger(&mut self, image: &str, now: Moment, dice: &mut Dice) {
        let id = dice.hex(64);
        let container = Container {
            name: format!("stranger-{}", &id[..6]),
            owner: (String::new(), id.clone()),
            image: image.to_owned(),
            status: Status::Running,
            run: 1,
            created_at: now.wall,
            started_at: Some(now.wall),
            finished_at: None,
            exit_code: 0,
            is_oom: false,
            error: String::new(),
            is_dead: false,
            health: None,
            ports: Vec::new(),
            volumes: BTreeSet::new(),
            cgroup: None,
            pid_of: None,
            since: now.at,
            listed_running_until: Duration::ZERO,
            id: id.clone(),
        };
        self.containers.insert(id, container);
    }

    /// The machine is another one, made of an image of this one: nothing runs, and nothing is anybody's.
    pub(crate) fn become_another(&mut self, now: Moment) {
        for container in self.containers.values_mut() {
            if container.status == Status::Running {
                end(container, 137, false, now);
            }
            container.owner = (String::new(), container.id.clone());
            // Whoever starts it again has to do with its cgroup.
            container.cgroup = None;
        }
        self.volumes.values_mut().for_each(|is_strange| *is_strange = true);
    }

    /// Removes it, whatever it does.
    pub(crate) fn remove(&mut self, id: &str) -> Performed {
        let was_running = self.containers.remove(id).is_some_and(|c| c.status == Status::Running);
        let mut events = Vec::new();
        if was_running {
            events.push(event(id, ContainerAction::Die { exit_code: Some(137) }));
        }
        events.push(event(id, ContainerAction::Destroy));
        Performed { events, ..Outcome::Done.into() }
    }

    /// What was to come of an earlier call has come. Answers the events and what comes after it.
    pub(crate) fn happen(
        &mut self,
        later: &Later,
        now: Moment,
        behaviors: &BTreeMap<Owner, Behavior>,
    ) -> (Vec<DockerEvent>, Vec<(Duration, Later)>) {
        let (Later::Exit { id, run, .. } | Later::Health { id, run, .. }) = later;
        let Some(container) = self.containers.get_mut(id) else { return (Vec::new(), Vec::new()) };
        if container.run != *run || container.status != Status::Running {
            return (Vec::new(), Vec::new());
        }
        match later {
            Later::Exit { code, is_oom, .. } => {
                let code = if *is_oom { 137 } else { *code };
                (end(container, code, *is_oom, now), Vec::new())
            }
            Later::Health { is_healthy, .. } => {
                let (status, action) = match is_healthy {
                    true => (docker::HealthStatus::Healthy, ContainerAction::Healthy),
                    false => (docker::HealthStatus::Unhealthy, ContainerAction::Unhealthy),
                };
                container.health = Some(status);
                let next = behaviors.get(&container.owner).and_then(|b| b.flips_after);
                let later =
                    next.map(|after| (after, Later::Health { id: id.clone(), run: *run, is_healthy: !is_healthy }));
                (vec![event(id, action)], later.into_iter().collect())
            }
        }
    }

    /// A removal fails half-way: the container is dead and stays.
    pub(crate) fn remove_half(&mut self, handle: &str) {
        let container = self.find(handle).and_then(|id| self.containers.get_mut(&id));
        if let Some(container) = container.filter(|c| c.status != Status::Running) {
            container.is_dead = true;
        }
    }

    /// Somebody, or the daemon's own end, kills a container.
    pub(crate) fn kill(&mut self, id: &str, code: i64, now: Moment) -> Vec<DockerEvent> {
        match self.containers.get_mut(id) {
            Some(container) if container.status == Status::Running => end(container, code, false, now),
            _ => Vec::new(),
        }
    }

    /// Keeps events for those who ask later.
    pub(crate) fn remember(&mut self, events: &[DockerEvent], wall: Timestamp) {
        self.recent.extend(events.iter().map(|event| (wall, event.clone())));
        let surplus = self.recent.len().saturating_sub(REMEMBERED);
        self.recent.drain(..surplus);
    }

    /// What happened since then, as far as it is remembered.
    pub(crate) fn events_since(&self, since: Timestamp) -> Vec<DockerEvent> {
        self.recent.iter().filter(|(at, _)| *at >= since).map(|(_, event)| event.clone()).collect()
    }

    /// The process ends: what it had in memory is gone.
    pub(crate) fn go_down(&mut self) {
        self.is_down = true;
        self.recent.clear();
        self.containers.values_mut().for_each(|container| container.listed_running_until = Duration::ZERO);
    }

    /// Whether a port of the host is free.
    pub(crate) fn is_port_free(&self, protocol: &str, port: u16) -> bool {
        !self
            .containers
            .values()
            .any(|c| c.status == Status::Running && c.ports.iter().any(|(p, h, _)| p == protocol && *h == port))
    }
}

impl Container {
    /// Whether it is of no task.
    pub(crate) fn is_strange(&self) -> bool {
        self.owner.0.is_empty()
    }
}

fn end(container: &mut Container, code: i64, is_oom: bool, now: Moment) -> Vec<DockerEvent> {
    container.status = Status::Exited;
    container.since = now.at;
    container.listed_running_until = now.at + clean_up_time(container);
    container.finished_at = Some(now.wall);
    container.exit_code = code;
    container.is_oom = is_oom;
    if container.health.is_some() {
        container.health = Some(docker::HealthStatus::Unhealthy);
    }
    let mut events = Vec::new();
    if is_oom {
        events.push(event(&container.id, ContainerAction::Oom));
    }
    events.push(event(&container.id, ContainerAction::Die { exit_code: Some(code) }));
    events
}

fn volume() -> Outcome {
    Outcome::Volume { labels: BTreeMap::new(), options: BTreeMap::new(), driver: "local".into() }
}

fn word(status: Status, is_dead: bool) -> docker::ContainerStatus {
    match status {
        _ if is_dead => docker::ContainerStatus::Dead,
        Status::Created => docker::ContainerStatus::Created,
        Status::Running => docker::ContainerStatus::Running,
        Status::Exited => docker::ContainerStatus::Exited,
    }
}

/// How long the daemon cleans up after a container: mostly a moment, now and then seconds.
fn clean_up_time(container: &Container) -> Duration {
    let some = container.id.bytes().fold(container.run, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    Duration::from_millis(if some.is_multiple_of(16) { some / 16 % 6000 } else { some / 16 % 400 })
}

fn summary(container: &Container, at: Duration) -> ContainerSummary {
    let is_late = container.status == Status::Exited && at < container.listed_running_until;
    let status = if is_late { Status::Running } else { container.status };
    ContainerSummary {
        id: container.id.clone(),
        names: vec![format!("/{}", container.name)],
        image_id: container.image.clone(),
        created: Some(container.created_at),
        state: word(status, container.is_dead),
        ..ContainerSummary::default()
    }
}

fn inspect(container: &Container) -> ContainerInspect {
    let is_running = container.status == Status::Running;
    let mut ports: BTreeMap<String, Vec<docker::PortBinding>> = BTreeMap::new();
    if is_running {
        for (protocol, host, port) in &container.ports {
            let binding = docker::PortBinding { host_ip: "0.0.0.0".into(), host_port: host.to_string() };
            ports.entry(format!("{port}/{protocol}")).or_default().push(binding);
        }
    }
    ContainerInspect {
        id: container.id.clone(),
        name: format!("/{}", container.name),
        created: Some(container.created_at),
        image: container.image.clone(),
        state: docker::ContainerState {
            status: word(container.status, container.is_dead),
            running: is_running,
            oom_killed: container.is_oom,
            exit_code: container.exit_code,
            error: container.error.clone(),
            started_at: container.started_at,
            finished_at: container.finished_at,
            health: container.health.clone().map(|status| docker::Health { status, ..docker::Health::default() }),
            ..docker::ContainerState::default()
        },
        network_settings: docker::NetworkSettings { ports, ..docker::NetworkSettings::default() },
        ..ContainerInspect::default()
    }
}
