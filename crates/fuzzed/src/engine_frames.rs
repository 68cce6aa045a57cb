//! The engine, joined to a control plane that says anything: what becomes of frames after they are read.

use std::collections::BTreeMap;
use std::time::Duration;

use engine::effect::{Connection, Socket};
use engine::{Effect, EffectId, Engine, EngineConfig, Event, Failure, FailureKind, Mono, Now, Outcome, StoredRow};
use jiff::Timestamp;
use wire::ecs::{ContainerInstance, DiscoverPollEndpointResponse};

/// More events than this are no better story.
const LONGEST: usize = 64;

/// One frame per line; a line `.` lets time pass to the next deadline, a line `!` fails all that is under way.
/// Whatever was said, the rows that were written restore to the same tasks.
pub fn engine_frames(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut agent = Agent::joined();
    for line in text.lines().take(LONGEST) {
        match line {
            "." => agent.wait(),
            "!" => agent.fail(),
            frame => agent.hear(frame),
        }
    }
    let stored = agent.rows.into_iter().map(|((table, key), value)| StoredRow { table, key, value }).collect();
    let restored = Engine::new(EngineConfig::default(), 8, stored);
    let names = |engine: &Engine| engine.tasks().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&restored), names(&agent.engine));
}

struct Agent {
    engine: Engine,
    now: Duration,
    rows: BTreeMap<(String, String), String>,
    under_way: Vec<EffectId>,
    acs: Option<Connection>,
}

impl Agent {
    fn joined() -> Self {
        let engine = Engine::new(EngineConfig::default(), 7, Vec::new());
        let mut agent = Self { engine, now: Duration::ZERO, rows: BTreeMap::new(), under_way: Vec::new(), acs: None };
        agent.handle(Event::Start);
        for _ in 0..8 {
            if agent.acs.is_some() {
                return agent;
            }
            agent.wait();
        }
        unreachable!("a helpful world lets the agent in")
    }

    fn handle(&mut self, event: Event) {
        let wall = Timestamp::UNIX_EPOCH.saturating_add(self.now).expect("a duration without years");
        let step = self.engine.handle(Now { mono: Mono(self.now), wall }, event);
        for row in step.writes.iter() {
            let key = (row.table.to_owned(), row.key.to_owned());
            match row.value {
                Some(value) => drop(self.rows.insert(key, value.to_owned())),
                None => drop(self.rows.remove(&key)),
            }
        }
        for (id, effect) in step.effects {
            self.start(id, &effect);
        }
    }

    /// Lets the agent in, and leaves all else unanswered.
    fn start(&mut self, id: EffectId, effect: &Effect) {
        let outcome = match effect {
            Effect::FollowEvents { .. } => return self.handle(Event::EventsOpened),
            Effect::ListContainers { .. } => Outcome::Listed(Vec::new()),
            Effect::RegisterInstance { request, .. } => Outcome::Registered(Box::new(ContainerInstance {
                container_instance_arn: "arn:aws:ecs:us-west-2:1:container-instance/default/i".to_owned(),
                attributes: request.attributes.clone().unwrap_or_default(),
                ..ContainerInstance::default()
            })),
            Effect::DiscoverPollEndpoint { .. } => Outcome::Discovered(DiscoverPollEndpointResponse {
                endpoint: Some("https://acs".to_owned()),
                telemetry_endpoint: Some("https://tcs".to_owned()),
                ..DiscoverPollEndpointResponse::default()
            }),
            Effect::OpenSocket { connection, .. } => {
                if connection.socket == Socket::Acs {
                    self.acs = Some(*connection);
                }
                Outcome::Opened
            }
            Effect::SendFrame { .. } => Outcome::Done,
            _ => return self.under_way.push(id),
        };
        self.handle(Event::Done { id, outcome });
    }

    fn hear(&mut self, frame: &str) {
        let (Some(connection), Ok(message)) = (self.acs, wire::acs::inbound(frame)) else { return };
        self.handle(Event::Message { connection, message: Box::new(message) });
    }

    fn wait(&mut self) {
        if let Some(deadline) = self.engine.deadline() {
            self.now = self.now.max(deadline.0);
            self.handle(Event::Tick);
        }
    }

    fn fail(&mut self) {
        for id in std::mem::take(&mut self.under_way) {
            let failure = Failure::new(FailureKind::Other, "no");
            self.handle(Event::Done { id, outcome: Outcome::Failed(failure) });
        }
    }
}
