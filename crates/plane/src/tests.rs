//! The plane under a script: API calls and an agent's frames go in, answers and frames come out.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod agents;
mod credentials;
mod errors;
mod placing;
mod tasks;
mod telemetry;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{Channel, Event, Fault, Outgoing, Plane, SessionId, Settings, Step};

const START: i64 = 1_750_000_000_000;

/// A plane, its clock and its stored rows.
struct Lab {
    plane: Plane,
    now: i64,
    rows: BTreeMap<(String, String), String>,
    sent: Vec<(SessionId, Value)>,
    sessions: u64,
}

impl Lab {
    fn new() -> Self {
        let plane = Plane::new(Settings::local("http://127.0.0.1:1", 7));
        Self { plane, now: START, rows: BTreeMap::new(), sent: Vec::new(), sessions: 0 }
    }

    /// A plane with the cluster `default` and the definition `web:1`.
    fn ready() -> Self {
        let mut lab = Self::new();
        lab.ok("CreateCluster", json!({}));
        lab.ok("RegisterTaskDefinition", web());
        lab
    }

    fn handle(&mut self, event: Event) -> Step {
        let mut step = self.plane.handle(jiff::Timestamp::from_millisecond(self.now).unwrap(), event);
        for row in step.writes.drain(..) {
            let key = (row.table.to_owned(), row.key);
            match row.value {
                Some(value) => drop(self.rows.insert(key, value)),
                None => drop(self.rows.remove(&key)),
            }
        }
        for outgoing in &step.sends {
            match outgoing {
                Outgoing::Message { session, envelope } => {
                    let telemetry = envelope["type"].as_str().is_some_and(|kind| kind.starts_with("AckPublish"));
                    let read = wire::acs::inbound(&envelope.to_string());
                    assert!(telemetry || read.is_ok(), "an agent cannot read {envelope}: {read:?}");
                    self.sent.push((*session, envelope.clone()));
                }
                Outgoing::Close { session } => self.sent.push((*session, json!({"type": "close"}))),
            }
        }
        step
    }

    fn call(&mut self, operation: &str, body: Value) -> Result<Value, Fault> {
        self.handle(Event::Call { operation: operation.to_owned(), body }).reply.unwrap()
    }

    fn ok(&mut self, operation: &str, body: Value) -> Value {
        self.call(operation, body).unwrap()
    }

    fn later(&mut self, seconds: i64) {
        self.now += seconds * 1000;
        self.handle(Event::Tick);
    }

    /// Registers an instance of 2048 CPU units and 1000 MiB and returns its ARN.
    fn instance(&mut self, extra: &[(&str, Option<&str>)]) -> String {
        let mut attributes = vec![json!({"name": "com.amazonaws.ecs.capability.docker-remote-api.1.18"})];
        attributes.extend(extra.iter().map(|(name, value)| json!({"name": name, "value": value})));
        let answer = self.ok(
            "RegisterContainerInstance",
            json!({"attributes": attributes, "totalResources": [
                {"name": "CPU", "type": "INTEGER", "integerValue": 2048},
                {"name": "MEMORY", "type": "INTEGER", "integerValue": 1000},
                {"name": "PORTS", "type": "STRINGSET", "stringSetValue": ["22"]},
                {"name": "PORTS_UDP", "type": "STRINGSET", "stringSetValue": []}]}),
        );
        answer["containerInstance"]["containerInstanceArn"].as_str().unwrap().to_owned()
    }

    fn connect(&mut self, channel: Channel, instance: &str) -> Result<SessionId, Fault> {
        self.sessions += 1;
        let session = SessionId(self.sessions);
        let query = ["containerInstanceArn", "containerInstance"]
            .into_iter()
            .map(|name| (name.to_owned(), instance.to_owned()))
            .collect();
        self.handle(Event::Connected { session, channel, query }).reply.unwrap().map(|_| session)
    }

    /// An instance with a connected agent.
    fn agent(&mut self) -> (String, SessionId) {
        let instance = self.instance(&[]);
        let session = self.connect(Channel::Acs, &instance).unwrap();
        self.sent.clear();
        (instance, session)
    }

    fn say(&mut self, session: SessionId, kind: &str, message: &Value) {
        let text = json!({"type": kind, "message": message}).to_string();
        self.handle(Event::Message { session, text });
    }

    /// Takes the messages of a type sent since the last time.
    fn received(&mut self, kind: &str) -> Vec<Value> {
        let (taken, left) = self.sent.drain(..).partition(|(_, envelope)| envelope["type"] == kind);
        self.sent = left;
        taken.into_iter().map(|(_, envelope): (SessionId, Value)| envelope["message"].clone()).collect()
    }

    fn run(&mut self) -> String {
        let answer = self.ok("RunTask", json!({"taskDefinition": "web"}));
        answer["tasks"][0]["taskArn"].as_str().expect("a placed task").to_owned()
    }

    fn report(&mut self, task: &str, status: &str, container: Value) {
        let mut container = container;
        container["containerName"] = json!("app");
        container["status"] = json!(status);
        self.ok(
            "SubmitTaskStateChange",
            json!({"task": task, "status": status, "reason": "", "containers": [container]}),
        );
    }

    fn task(&mut self, task: &str) -> Value {
        self.ok("DescribeTasks", json!({"tasks": [task]}))["tasks"][0].clone()
    }

    /// A new plane from this one's rows, as after a restart: nobody is connected.
    fn restart(&mut self) {
        let mut plane = Plane::new(Settings::local("http://127.0.0.1:1", 8));
        let rows = self.rows.iter().map(|((table, key), value)| (table.clone(), key.clone(), value.clone()));
        plane.restore(rows).unwrap();
        self.plane = plane;
        self.sent.clear();
    }
}

fn web() -> Value {
    json!({"family": "web", "containerDefinitions": [
        {"name": "app", "image": "busybox", "cpu": 256, "memory": 128,
         "portMappings": [{"containerPort": 80, "hostPort": 8080}]}]})
}
