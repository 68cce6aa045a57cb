//! How fast the engine's core is by itself, and how much memory a running task takes: the whole lives of 10,000 tasks,
//! each effect answered at once. Prints JSON; `cargo xtask bench engine` shows it.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use engine::event::{ContainerAction, DockerEvent};
use engine::{Effect, Engine, EngineConfig, Event, Mono, Now, Outcome, Step};
use jiff::Timestamp;
use wire::acs::{self, Inbound};
use wire::docker::{ContainerInspect, ContainerState, ImageInspect};
use wire::ids::DockerId;

const TASKS: usize = 10_000;
const CLUSTER: &str = "arn:aws:ecs:us-west-2:111122223333:cluster/lab";
const INSTANCE: &str = "arn:aws:ecs:us-west-2:111122223333:container-instance/lab/0123";

/// As many events as the agent takes into one step when they are there.
const BATCH: usize = 128;

/// A world in which all goes well and takes no time.
struct World {
    engine: Engine,
    events: VecDeque<Event>,
    /// Whether a container runs; those that were never started are not listed.
    containers: BTreeMap<String, bool>,
    acs: Option<engine::effect::Connection>,
    told: BTreeMap<&'static str, usize>,
    handled: usize,
    busy: Duration,
    now: Duration,
    message: i64,
    /// Room for the next step, which the agent keeps too.
    step: Step,
}

impl World {
    fn new() -> Self {
        let mut config = EngineConfig { cluster: "lab".into(), ..EngineConfig::default() };
        config.host.logical_cpus = 1024;
        config.host.memory_mib = 1 << 30;
        config.parallel_launches = 4;
        config.image_cleanup.is_disabled = true;
        let engine = Engine::new(config, 1, Vec::new());
        Self {
            engine,
            events: VecDeque::from([Event::Start]),
            containers: BTreeMap::new(),
            acs: None,
            told: BTreeMap::new(),
            handled: 0,
            busy: Duration::ZERO,
            now: Duration::from_secs(1),
            message: 0,
            step: Step::default(),
        }
    }

    /// Handles events until so many tasks have been told to have this status.
    fn until(&mut self, status: &'static str, count: usize) -> Result<(), String> {
        while self.told.get(status).copied().unwrap_or(0) < count {
            if self.events.is_empty() {
                let Mono(at) = self.engine.deadline().ok_or("nothing is to come")?;
                self.now = self.now.max(at);
                if self.now > Duration::from_secs(7200) {
                    return Err(format!("no progress: {:?} of {count} {status}", self.told));
                }
                self.events.push_back(Event::Tick);
            }
            self.handle();
        }
        Ok(())
    }

    /// One step of the agent's driver: what is there, up to a limit, shares a step.
    fn handle(&mut self) {
        let batch: Vec<Event> = self.events.drain(..self.events.len().min(BATCH)).collect();
        self.handled += batch.len();
        let begun = Instant::now();
        let mut step = std::mem::take(&mut self.step);
        for event in batch {
            self.now += Duration::from_micros(5);
            let wall = Timestamp::UNIX_EPOCH.saturating_add(self.now).unwrap_or_default();
            self.engine.take(Now { mono: Mono(self.now), wall }, event, &mut step);
        }
        self.engine.close(&mut step);
        self.busy += begun.elapsed();
        for (id, effect) in step.effects.drain(..) {
            let (outcome, then) = self.answer(effect);
            self.events.extend(outcome.map(|outcome| Event::Done { id, outcome }));
            self.events.extend(then);
        }
        step.clear();
        self.step = step;
    }

    /// An effect's answer, and what follows it.
    fn answer(&mut self, effect: Effect) -> (Option<Outcome>, Option<Event>) {
        let docker = |id: &str, action| Some(Event::Docker(DockerEvent { id: DockerId::from(id), action }));
        let outcome = match effect {
            Effect::FollowEvents { .. } => return (None, Some(Event::EventsOpened)),
            Effect::ListContainers { .. } | Effect::ListAllContainers { .. } => Outcome::Listed(Vec::new()),
            Effect::RegisterInstance { request, .. } => Outcome::Registered(Box::new(wire::ecs::ContainerInstance {
                container_instance_arn: INSTANCE.into(),
                attributes: request.attributes.clone().unwrap_or_default(),
                ..Default::default()
            })),
            Effect::DiscoverPollEndpoint { .. } => Outcome::Discovered(wire::ecs::DiscoverPollEndpointResponse {
                endpoint: Some("https://acs.test".into()),
                telemetry_endpoint: Some("https://tcs.test".into()),
                ..Default::default()
            }),
            Effect::CreateCluster { .. } => Outcome::ClusterCreated { name: "lab".into() },
            Effect::OpenSocket { connection, .. } => {
                if connection.socket == engine::effect::Socket::Acs {
                    self.acs = Some(connection);
                }
                Outcome::Opened
            }
            Effect::ResolveDigest { .. } => Outcome::Resolved(None),
            Effect::InspectImage { image } => Outcome::Image(Box::new(ImageInspect {
                id: format!("sha256:{}", "1".repeat(64)),
                repo_tags: vec![image],
                size: 1000,
                ..ImageInspect::default()
            })),
            Effect::CreateContainer { .. } => {
                let id = format!("{:064x}", self.containers.len());
                self.containers.insert(id.clone(), false);
                let then = docker(&id, ContainerAction::Create);
                return (Some(Outcome::Created(DockerId::from(id.as_str()))), then);
            }
            Effect::StartContainer { id, .. } => {
                self.containers.insert(id.clone(), true);
                return (Some(Outcome::Done), docker(&id, ContainerAction::Start));
            }
            Effect::StopContainer { id, .. } => {
                self.containers.insert(id.clone(), false);
                return (Some(Outcome::Done), docker(&id, ContainerAction::Die { exit_code: Some(137) }));
            }
            Effect::InspectContainer { id, .. } => {
                let running = self.containers.get(&id).copied().unwrap_or(false);
                let wall = Timestamp::UNIX_EPOCH.saturating_add(self.now).ok();
                Outcome::Inspected(Box::new(ContainerInspect {
                    id,
                    image: format!("sha256:{}", "1".repeat(64)),
                    state: ContainerState {
                        status: if running { "running" } else { "exited" }.into(),
                        running,
                        exit_code: if running { 0 } else { 137 },
                        started_at: wall,
                        finished_at: wall.filter(|_| !running),
                        ..ContainerState::default()
                    },
                    ..ContainerInspect::default()
                }))
            }
            Effect::SubmitTask { request, .. } => {
                let status = match request.status.as_deref() {
                    Some("RUNNING") => "RUNNING",
                    Some("STOPPED") => "STOPPED",
                    _ => "PENDING",
                };
                *self.told.entry(status).or_default() += 1;
                Outcome::Done
            }
            Effect::Exit { .. } => return (None, None),
            _ => Outcome::Done,
        };
        (Some(outcome), None)
    }

    /// Wants all tasks to have this status.
    fn order(&mut self, status: &str) -> Result<(), String> {
        let connection = self.acs.ok_or("no connection")?;
        for first in (0..TASKS).step_by(10) {
            self.message += 1;
            let tasks = (first..TASKS.min(first + 10)).map(|number| Some(task(number, status))).collect();
            let message = Box::new(Inbound::Payload(acs::Payload {
                cluster_arn: CLUSTER.into(),
                container_instance_arn: INSTANCE.into(),
                message_id: format!("m{}", self.message),
                seq_num: Some(self.message),
                tasks,
                ..acs::Payload::default()
            }));
            self.events.push_back(Event::Message { connection, message });
        }
        Ok(())
    }
}

fn task(number: usize, status: &str) -> acs::Task {
    let container = acs::Container {
        name: "main".into(),
        image: "registry.test/app:1".into(),
        essential: true,
        cpu: 10,
        memory: 32,
        ..acs::Container::default()
    };
    acs::Task {
        arn: format!("arn:aws:ecs:us-west-2:111122223333:task/lab/{number:032x}"),
        desired_status: status.into(),
        family: "fam".into(),
        version: "1".into(),
        launch_type: "EC2".into(),
        network_mode: "bridge".into(),
        containers: vec![Some(container)],
        ..acs::Task::default()
    }
}

/// Memory of this process in KiB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("");
    line.trim().trim_end_matches("kB").trim().parse().unwrap_or(0.0)
}

fn run() -> Result<(), String> {
    let mut world = World::new();
    while world.acs.is_none() {
        if world.events.is_empty() {
            world.events.push_back(Event::Tick);
        }
        world.now += Duration::from_millis(1);
        world.handle();
    }
    let before = resident();
    world.order("RUNNING")?;
    world.until("RUNNING", TASKS)?;
    // Payloads and answers are no part of it; what holds them now is empty.
    world.events.shrink_to_fit();
    let each = (resident() - before) / TASKS as f64;
    world.order("STOPPED")?;
    world.until("STOPPED", TASKS)?;
    let rate = world.handled as f64 / world.busy.as_secs_f64();
    println!(
        "{{\"tasks\":{TASKS},\"events\":{},\"eventsPerSecond\":{rate:.0},\"kibPerTask\":{each:.2}}}",
        world.handled
    );
    Ok(())
}

fn main() -> std::process::ExitCode {
    match run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            std::process::ExitCode::FAILURE
        }
    }
}
