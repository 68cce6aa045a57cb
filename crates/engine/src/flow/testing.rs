//! One task in an engine that a test answers by hand, and the transcript of what it asks.
#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use expect_test::Expect;
use serde_json::{Value, json};
use wire::docker::{ContainerInspect, ImageInspect};
use wire::gojson;
use wire::ids::TaskId;

use super::Cx;
use crate::config::EngineConfig;
use crate::effect::{Effect, EffectId};
use crate::event::{Failure, FailureKind, Outcome};
use crate::rng::Rng;
use crate::status::TaskStatus;
use crate::step::{Step, StoredRow};
use crate::task::{Task, admit};
use crate::time::{Mono, Now};
use crate::{Engine, Event};

const ARN: &str = "arn:aws:ecs:us-west-2:123456789012:task/lab/";

/// An engine with one task, its store, and what it waits for.
pub(super) struct Bench {
    pub(super) engine: Engine,
    pub(super) now: Now,
    pub(super) rows: BTreeMap<(String, String), String>,
    /// What is asked and not answered yet, by the words of the transcript.
    pub(super) open: Vec<(String, EffectId, Effect)>,
    /// What was asked since the last look.
    pub(super) asked: Vec<String>,
}

impl Bench {
    /// The task has one container, `web`, and these members.
    pub(super) fn new(members: Value, config: &EngineConfig) -> Self {
        let mut bench = Self::empty(vec![], config);
        bench.add("0f", members);
        bench
    }

    /// One more task like that.
    pub(super) fn add(&mut self, id: &str, members: Value) {
        let arn = format!("{ARN}{id}");
        let mut task = json!({"arn": arn, "family": "fam", "version": "7", "cpu": 0.5, "memory": 64,
            "containers": [{"name": "web", "image": "r/web", "essential": true}]});
        task.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let definition = admit(gojson::from_value(task).unwrap(), self.engine.config(), &mut Rng::new(1)).unwrap();
        let mut task = Task::new(definition, self.now.wall);
        task.change().desired = TaskStatus::Running;
        self.engine.tasks.insert(id.into(), Arc::new(task));
        self.touch_task(id, Task::settle);
    }

    fn empty(stored: Vec<StoredRow>, config: &EngineConfig) -> Self {
        Self {
            engine: Engine::new(config.clone(), 1, stored),
            now: Now { mono: Mono(Duration::from_secs(1)), wall: "2026-01-01T00:00:00Z".parse().unwrap() },
            rows: BTreeMap::new(),
            open: Vec::new(),
            asked: Vec::new(),
        }
    }

    /// The agent ends, whatever was under way, and a new one takes over its store.
    pub(super) fn restart(self) -> Self {
        let config = self.engine.config().clone();
        let row = |((table, key), value): ((String, String), String)| StoredRow { table, key, value };
        let mut next = Self::empty(self.rows.clone().into_iter().map(row).collect(), &config);
        next.rows = self.rows;
        next.handle(Event::Start);
        next
    }

    pub(super) fn touch(&mut self, act: impl FnOnce(&mut Task, &mut Cx<'_>)) {
        self.touch_task("0f", act);
    }

    pub(super) fn touch_task(&mut self, id: &str, act: impl FnOnce(&mut Task, &mut Cx<'_>)) {
        let mut step = Step::default();
        self.engine.touch(self.now, &id.into(), &mut step, act);
        self.take(step);
        // Writes and publishes what changed.
        self.handle(Event::Tick);
    }

    pub(super) fn handle(&mut self, event: Event) {
        let step = self.engine.handle(self.now, event);
        self.take(step);
    }

    fn take(&mut self, step: Step) {
        for row in step.writes.iter() {
            let key = (row.table.to_owned(), row.key.to_owned());
            match row.value {
                Some(value) => self.rows.insert(key, value.to_owned()),
                None => self.rows.remove(&key),
            };
        }
        for (id, effect) in step.effects {
            let words = match &effect {
                Effect::CreateCgroup { parent, limits, keeps_limits, .. } => {
                    let keeping = if *keeps_limits { " if missing" } else { "" };
                    let CgroupWords(limits) = limits.into();
                    format!("make {parent}{keeping}: {limits}")
                }
                Effect::RemoveCgroup { parent, .. } => format!("remove {parent}"),
                Effect::WriteMetadata { container, stage, .. } => format!("write {container} {stage:?}"),
                Effect::RemoveMetadata { .. } => "remove metadata".to_owned(),
                Effect::LoadPauseImage { .. } => "load pause image".to_owned(),
                Effect::ResolveDigest { image, .. } => format!("resolve {image}"),
                Effect::Pull { image, .. } => format!("pull {image}"),
                Effect::TagImage { source, target, .. } => format!("tag {source} as {target}"),
                Effect::CreateContainer { name, body, .. } => {
                    format!("create {} in {}", name.split('-').nth(3).unwrap(), body["HostConfig"]["CgroupParent"])
                }
                Effect::StartContainer { .. } => "start".to_owned(),
                Effect::StopContainer { .. } => "stop".to_owned(),
                Effect::RemoveContainer { .. } => "remove container".to_owned(),
                Effect::CreateVolume { .. } => "create volume".to_owned(),
                Effect::RemoveVolume { .. } => "remove volume".to_owned(),
                Effect::InspectVolume { .. } => "inspect volume".to_owned(),
                Effect::InspectContainer { .. } => "inspect".to_owned(),
                Effect::ListContainers { .. } => "list".to_owned(),
                Effect::InspectImage { .. } => "inspect image".to_owned(),
                _ => continue,
            };
            self.asked.push(words.clone());
            self.open.push((words, id, effect));
        }
    }

    /// Up to the point where its container's image is here. What was asked for it is forgotten.
    pub(super) fn fetch(&mut self) {
        self.answer("resolve", Outcome::Resolved(None));
        self.answer("pull", Outcome::Done);
        self.asked.clear();
        self.answer("inspect image", image());
    }

    /// From its create to the point where its container runs.
    pub(super) fn launch(&mut self) {
        self.answer("create web", Outcome::Created("c1".into()));
        self.answer("start", Outcome::Done);
        self.answer("inspect", running());
    }

    /// Answers the first thing that is open and begins with these words.
    pub(super) fn answer(&mut self, words: &str, outcome: Outcome) {
        let found = self.open.iter().position(|(open, ..)| open.starts_with(words));
        let index = found.unwrap_or_else(|| panic!("nobody asked to {words}: {:?}", self.open));
        let (_, id, _) = self.open.remove(index);
        self.handle(Event::Done { id, outcome });
    }

    pub(super) fn pass(&mut self, seconds: u64) {
        self.now.mono = self.now.mono + Duration::from_secs(seconds);
        self.now.wall = self.now.wall.checked_add(jiff::SignedDuration::from_secs(seconds.cast_signed())).unwrap();
        self.handle(Event::Tick);
    }

    pub(super) fn task(&self) -> &Task {
        &self.engine.tasks[&TaskId::from("0f")]
    }

    /// What was asked since the last look, and how the task stands.
    #[track_caller]
    pub(super) fn check(&mut self, expected: Expect) {
        let mut lines = std::mem::take(&mut self.asked);
        if let Some(task) = self.engine.tasks.get(&TaskId::from("0f")) {
            let reason = task.state.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            lines.push(format!("{} -> {}{reason}", task.state.known, task.state.desired));
        } else {
            lines.push("gone".to_owned());
        }
        expected.assert_eq(&lines.join("\n"));
    }

    /// Lets the task be removed as if it had been reported.
    pub(super) fn clean_up(&mut self) {
        self.touch(|task, cx| {
            task.change().sent = TaskStatus::Stopped;
            task.begin_cleanup(cx);
        });
    }
}

struct CgroupWords(String);

impl From<&crate::task::CgroupLimits> for CgroupWords {
    fn from(limits: &crate::task::CgroupLimits) -> Self {
        let cpu = match limits.cpu {
            crate::task::CpuLimit::Shares(shares) => format!("{shares} shares"),
            crate::task::CpuLimit::Quota { quota, period } => format!("{quota} of {period} µs"),
        };
        let number = |value: Option<u64>| value.map_or("no limit".to_owned(), |value| value.to_string());
        Self(format!("{cpu}, {} bytes, {} pids", number(limits.memory_bytes), number(limits.pids.map(u64::from))))
    }
}

pub(super) fn failed(kind: FailureKind) -> Outcome {
    Outcome::Failed(Failure::new(kind, "no"))
}

pub(super) fn image() -> Outcome {
    Outcome::Image(Box::new(ImageInspect { id: "sha256:1".into(), ..ImageInspect::default() }))
}

pub(super) fn running() -> Outcome {
    let inspect =
        json!({"Id": "c1", "State": {"Running": true, "Status": "running", "StartedAt": "2026-01-01T00:00:00Z"}});
    Outcome::Inspected(Box::new(serde_json::from_value::<ContainerInspect>(inspect).unwrap()))
}
