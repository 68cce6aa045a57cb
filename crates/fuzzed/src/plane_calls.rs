//! The embedded control plane, called by anyone: operations, and frames of a connected agent.

use std::collections::BTreeMap;

use plane::{Channel, Event, Fault, Outgoing, Plane, SessionId, Settings, Step};
use serde_json::{Value, json};

const START: i64 = 1_750_000_000_000;

/// More calls than this are no better story.
const LONGEST: usize = 48;

/// One call per line, `Operation {body}`; `> frame` is said by the agent, `~ frame` on its telemetry session, and `.`
/// lets time pass to the next deadline. `$i`, `$t` and `$m` stand for the instance, the latest task and the latest
/// message's id. Every call has an answer, the agent can read whatever is sent to it, and the stored rows restore.
pub fn plane_calls(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut world = World::ready();
    for line in text.lines().take(LONGEST) {
        let line = world.filled(line);
        if line == "." {
            world.wait();
        } else if let Some(frame) = line.strip_prefix("> ") {
            world.handle(Event::Message { session: world.acs, text: frame.to_owned() });
        } else if let Some(frame) = line.strip_prefix("~ ") {
            world.handle(Event::Message { session: world.tcs, text: frame.to_owned() });
        } else if let Some((operation, body)) = line.split_once(' ')
            && let Ok(body) = serde_json::from_str(body)
        {
            let answer = world.call(operation, body).expect("a call has an answer");
            if let Ok(answer) = &answer
                && let Some(task) = answer.pointer("/tasks/0/taskArn").and_then(Value::as_str)
            {
                world.task = task.to_owned();
            }
        }
    }
    world.restores();
}

pub(crate) struct World {
    plane: Plane,
    now: i64,
    rows: BTreeMap<(String, String), String>,
    instance: String,
    task: String,
    message: String,
    acs: SessionId,
    tcs: SessionId,
    /// What the agent was sent.
    pub(crate) payloads: Vec<String>,
}

impl World {
    /// A cluster with one instance, its agent connected, and the task definition `web`.
    pub(crate) fn ready() -> Self {
        let mut world = Self {
            plane: Plane::new(Settings::local("http://127.0.0.1:1", 7)),
            now: START,
            rows: BTreeMap::new(),
            instance: String::new(),
            task: String::new(),
            message: String::new(),
            acs: SessionId(1),
            tcs: SessionId(2),
            payloads: Vec::new(),
        };
        world.ok("CreateCluster", json!({}));
        world.ok(
            "RegisterTaskDefinition",
            json!({"family": "web", "containerDefinitions": [
                {"name": "app", "image": "busybox", "memory": 32, "portMappings": [{"containerPort": 80}]}]}),
        );
        let registered = world.ok(
            "RegisterContainerInstance",
            json!({"attributes": [
                {"name": "com.amazonaws.ecs.capability.docker-remote-api.1.18"},
                {"name": "com.amazonaws.ecs.capability.docker-remote-api.1.24"},
                {"name": "ecs.capability.container-health-check"},
                {"name": "com.amazonaws.ecs.capability.task-iam-role"}],
            "totalResources": [
                {"name": "CPU", "type": "INTEGER", "integerValue": 2048},
                {"name": "MEMORY", "type": "INTEGER", "integerValue": 4000},
                {"name": "PORTS", "type": "STRINGSET", "stringSetValue": ["22"]},
                {"name": "PORTS_UDP", "type": "STRINGSET", "stringSetValue": []}]}),
        );
        let arn = &registered["containerInstance"]["containerInstanceArn"];
        arn.as_str().expect("an instance").clone_into(&mut world.instance);
        for (session, channel) in [(world.acs, Channel::Acs), (world.tcs, Channel::Tcs)] {
            let names = ["containerInstanceArn", "containerInstance"];
            let query = names.map(|name| (name.to_owned(), world.instance.clone())).into();
            let step = world.handle(Event::Connected { session, channel, query });
            step.reply.expect("an answer").expect("a session");
        }
        world
    }

    fn filled(&self, line: &str) -> String {
        line.replace("$i", &self.instance).replace("$t", &self.task).replace("$m", &self.message)
    }

    fn handle(&mut self, event: Event) -> Step {
        let now = jiff::Timestamp::from_millisecond(self.now).expect("a time of this world");
        let mut step = self.plane.handle(now, event);
        for row in step.writes.drain(..) {
            let key = (row.table.to_owned(), row.key);
            match row.value {
                Some(value) => drop(self.rows.insert(key, value)),
                None => drop(self.rows.remove(&key)),
            }
        }
        for outgoing in &step.sends {
            let Outgoing::Message { session, envelope } = outgoing else { continue };
            if *session == self.acs {
                let frame = envelope.to_string();
                wire::acs::inbound(&frame).expect("an agent can read it");
                if let Some(id) = envelope["message"]["messageId"].as_str() {
                    id.clone_into(&mut self.message);
                }
                self.payloads.push(frame);
            }
        }
        step
    }

    pub(crate) fn call(&mut self, operation: &str, body: Value) -> Option<Result<Value, Fault>> {
        self.handle(Event::Call { operation: operation.to_owned(), body }).reply
    }

    fn ok(&mut self, operation: &str, body: Value) -> Value {
        self.call(operation, body).expect("an answer").expect("a good one")
    }

    fn wait(&mut self) {
        if let Some(deadline) = self.plane.deadline() {
            self.now = self.now.max(deadline.as_millisecond());
            self.handle(Event::Tick);
        }
    }

    pub(crate) fn restores(&mut self) {
        let mut again = Plane::new(Settings::local("http://127.0.0.1:1", 8));
        let rows = self.rows.iter().map(|((table, key), value)| (table.clone(), key.clone(), value.clone()));
        again.restore(rows).expect("rows that read");
        let listed = |plane: &mut Plane, operation: &str| {
            let now = jiff::Timestamp::from_millisecond(START).expect("a time");
            plane.handle(now, Event::Call { operation: operation.to_owned(), body: json!({}) }).reply
        };
        for operation in ["ListTasks", "ListTaskDefinitions", "ListContainerInstances", "ListClusters"] {
            let (before, after) = (listed(&mut self.plane, operation), listed(&mut again, operation));
            assert_eq!(before.and_then(Result::ok), after.and_then(Result::ok), "{operation}");
        }
    }
}
