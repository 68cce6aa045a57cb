//! A task with a cgroup, from its arrival to its removal, and over a restart of the agent.
#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;
use std::sync::Arc;

use expect_test::{Expect, expect};
use serde_json::{Value, json};
use wire::docker::{ContainerInspect, ImageInspect};
use wire::gojson;
use wire::ids::TaskId;

use super::*;
use crate::config::{CgroupNaming, EngineConfig, TaskLimits};
use crate::event::Failure;
use crate::rng::Rng;
use crate::step::{Step, StoredRow};
use crate::task::admit;
use crate::time::{Mono, Now};
use crate::{Engine, Event};

const ARN: &str = "arn:aws:ecs:us-west-2:123456789012:task/lab/0f";

fn config() -> EngineConfig {
    let mut config = EngineConfig::default();
    config.host.is_pause_image_loaded = true;
    config.task_limits =
        Some(TaskLimits { naming: CgroupNaming::Path, cpu_period: Duration::from_millis(100), pids: Some(100) });
    config
}

/// An engine with one task, its store, and what it waits for.
struct Bench {
    engine: Engine,
    now: Now,
    rows: BTreeMap<(String, String), String>,
    /// What is asked and not answered yet, by the words of the transcript.
    open: Vec<(String, EffectId, Effect)>,
    /// What was asked since the last look.
    asked: Vec<String>,
}

impl Bench {
    /// The task has one container, `web`, and these members.
    fn new(members: Value) -> Self {
        let mut task = json!({"arn": ARN, "family": "fam", "version": "7", "cpu": 0.5, "memory": 64,
            "containers": [{"name": "web", "image": "r/web", "essential": true}]});
        task.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let mut bench = Self::empty(vec![]);
        let definition = admit(gojson::from_value(task).unwrap(), &config(), &mut Rng::new(1)).unwrap();
        let mut task = Task::new(definition, bench.now.wall);
        task.change().desired = TaskStatus::Running;
        bench.engine.tasks.insert("0f".into(), Arc::new(task));
        bench.touch(Task::settle);
        bench
    }

    fn empty(stored: Vec<StoredRow>) -> Self {
        Self {
            engine: Engine::new(config(), 1, stored),
            now: Now { mono: Mono(Duration::from_secs(1)), wall: "2026-01-01T00:00:00Z".parse().unwrap() },
            rows: BTreeMap::new(),
            open: Vec::new(),
            asked: Vec::new(),
        }
    }

    /// The agent ends, whatever was under way, and a new one takes over its store.
    fn restart(self) -> Self {
        let row = |((table, key), value): ((String, String), String)| StoredRow { table, key, value };
        let mut next = Self::empty(self.rows.clone().into_iter().map(row).collect());
        next.rows = self.rows;
        next.handle(Event::Start);
        next
    }

    fn touch(&mut self, act: impl FnOnce(&mut Task, &mut Cx<'_>)) {
        let mut step = Step::default();
        self.engine.touch(self.now, &"0f".into(), &mut step, act);
        self.take(step);
        // Writes and publishes what changed.
        self.handle(Event::Tick);
    }

    fn handle(&mut self, event: Event) {
        let step = self.engine.handle(self.now, event);
        self.take(step);
    }

    fn take(&mut self, step: Step) {
        for row in step.writes {
            let key = (row.table.to_owned(), row.key);
            match row.value {
                Some(value) => self.rows.insert(key, value),
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
                Effect::LoadPauseImage { .. } => "load pause image".to_owned(),
                Effect::ResolveDigest { image, .. } => format!("resolve {image}"),
                Effect::Pull { image, .. } => format!("pull {image}"),
                Effect::CreateContainer { name, body, .. } => {
                    format!("create {} in {}", name.split('-').nth(3).unwrap(), body["HostConfig"]["CgroupParent"])
                }
                Effect::StartContainer { .. } => "start".to_owned(),
                Effect::StopContainer { .. } => "stop".to_owned(),
                Effect::RemoveContainer { .. } => "remove container".to_owned(),
                Effect::InspectContainer { .. } => "inspect".to_owned(),
                Effect::InspectImage { .. } => "inspect image".to_owned(),
                _ => continue,
            };
            self.asked.push(words.clone());
            self.open.push((words, id, effect));
        }
    }

    /// Answers the first thing that is open and begins with these words.
    fn answer(&mut self, words: &str, outcome: Outcome) {
        let found = self.open.iter().position(|(open, ..)| open.starts_with(words));
        let index = found.unwrap_or_else(|| panic!("nobody asked to {words}: {:?}", self.open));
        let (_, id, _) = self.open.remove(index);
        self.handle(Event::Done { id, outcome });
    }

    fn pass(&mut self, seconds: u64) {
        self.now.mono = self.now.mono + Duration::from_secs(seconds);
        self.now.wall = self.now.wall.checked_add(jiff::SignedDuration::from_secs(seconds.cast_signed())).unwrap();
        self.handle(Event::Tick);
    }

    fn task(&self) -> &Task {
        &self.engine.tasks[&TaskId::from("0f")]
    }

    /// What was asked since the last look, and how the task stands.
    #[track_caller]
    fn check(&mut self, expected: Expect) {
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
    fn clean_up(&mut self) {
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

fn failed(kind: FailureKind) -> Outcome {
    Outcome::Failed(Failure::new(kind, "no"))
}

fn image() -> Outcome {
    Outcome::Image(Box::new(ImageInspect { id: "sha256:1".into(), ..ImageInspect::default() }))
}

fn running() -> Outcome {
    let inspect =
        json!({"Id": "c1", "State": {"Running": true, "Status": "running", "StartedAt": "2026-01-01T00:00:00Z"}});
    Outcome::Inspected(Box::new(serde_json::from_value::<ContainerInspect>(inspect).unwrap()))
}

#[test]
fn nothing_is_pulled_before_the_cgroup_is_there() {
    let mut bench = Bench::new(json!({}));
    bench.check(expect![[r#"
        make /ecs/0f: 50000 of 100000 µs, 67108864 bytes, 100 pids
        resolve r/web
        NONE -> RUNNING"#]]);
    bench.answer("resolve", Outcome::Resolved(None));
    bench.check(expect!["MANIFEST_PULLED -> RUNNING"]);
    bench.answer("make", Outcome::Done);
    bench.check(expect![[r#"
        pull r/web:latest
        MANIFEST_PULLED -> RUNNING"#]]);
    bench.answer("pull", Outcome::Done);
    bench.answer("inspect image", image());
    bench.check(expect![[r#"
        inspect image
        create web in "/ecs/0f"
        MANIFEST_PULLED -> RUNNING"#]]);
}

#[test]
fn pause_containers_wait_for_it_too() {
    let mut bench = Bench::new(json!({"pidMode": "task"}));
    bench.answer("resolve", Outcome::Resolved(None));
    bench.check(expect![[r#"
        make /ecs/0f: 50000 of 100000 µs, 67108864 bytes, 100 pids
        resolve r/web
        MANIFEST_PULLED -> RUNNING"#]]);
    bench.answer("make", Outcome::Done);
    bench.check(expect![[r#"
        load pause image
        MANIFEST_PULLED -> RUNNING"#]]);
    bench.answer("load", Outcome::Done);
    bench.check(expect![[r#"
        create internalecspausenamespace in "/ecs/0f"
        MANIFEST_PULLED -> RUNNING"#]]);
}

#[test]
fn a_pause_image_that_is_not_taken_stops_the_task() {
    let mut bench = Bench::new(json!({"pidMode": "task"}));
    bench.answer("make", Outcome::Done);
    bench.answer("load", failed(FailureKind::Other));
    bench.check(expect![[r#"
        make /ecs/0f: 50000 of 100000 µs, 67108864 bytes, 100 pids
        resolve r/web
        load pause image
        STOPPED -> STOPPED: PauseImageError: Agent could not load the image for shared namespaces: no"#]]);
}

#[test]
fn a_task_without_its_cgroup_stops() {
    let mut bench = Bench::new(json!({}));
    bench.answer("make", failed(FailureKind::Other));
    bench.check(expect![[r#"
        make /ecs/0f: 50000 of 100000 µs, 67108864 bytes, 100 pids
        resolve r/web
        STOPPED -> STOPPED: CgroupError: Agent could not create task's platform resources"#]]);
    // Part of it may be there.
    bench.clean_up();
    bench.answer("remove /ecs", Outcome::Done);
    bench.check(expect![[r#"
        remove /ecs/0f
        gone"#]]);
}

#[test]
fn a_task_that_stops_first_does_not_wait_for_it() {
    let mut bench = Bench::new(json!({}));
    bench.touch(|task, cx| {
        task.stop(None);
        task.settle(cx);
    });
    bench.check(expect![[r#"
        make /ecs/0f: 50000 of 100000 µs, 67108864 bytes, 100 pids
        resolve r/web
        STOPPED -> STOPPED"#]]);
    bench.clean_up();
    bench.check(expect!["STOPPED -> STOPPED"]);
    bench.answer("make", Outcome::Done);
    bench.check(expect![[r#"
        remove /ecs/0f
        STOPPED -> STOPPED"#]]);
    bench.answer("remove /ecs", Outcome::Done);
    bench.check(expect!["gone"]);
}

/// Up to the point where its container runs.
fn up() -> Bench {
    let mut bench = Bench::new(json!({}));
    bench.answer("make", Outcome::Done);
    bench.answer("resolve", Outcome::Resolved(None));
    bench.answer("pull", Outcome::Done);
    bench.answer("inspect image", image());
    bench.answer("create web", Outcome::Created("c1".into()));
    bench.answer("start", Outcome::Done);
    bench.answer("inspect", running());
    bench.asked.clear();
    bench
}

#[test]
fn a_restarted_agent_makes_it_again_where_it_is_missing() {
    let mut bench = up().restart();
    bench.check(expect![[r#"
        make /ecs/0f if missing: 50000 of 100000 µs, 67108864 bytes, 100 pids
        RUNNING -> RUNNING"#]]);
    // What runs goes on without.
    bench.answer("make", failed(FailureKind::Other));
    bench.check(expect!["RUNNING -> RUNNING"]);
    assert!(!bench.task().lacks_cgroup());
}

#[test]
fn an_agent_that_ended_while_it_was_made_sets_the_limits() {
    let mut bench = Bench::new(json!({})).restart();
    bench.check(expect![[r#"
        make /ecs/0f: 50000 of 100000 µs, 67108864 bytes, 100 pids
        resolve r/web
        NONE -> RUNNING"#]]);
}

#[test]
fn it_goes_after_the_containers_and_is_tried_again() {
    let mut bench = up();
    bench.touch(|task, cx| {
        task.containers[0].advance(crate::status::ContainerStatus::Stopped);
        task.settle(cx);
    });
    bench.clean_up();
    bench.check(expect![[r#"
        remove container
        STOPPED -> STOPPED"#]]);
    bench.answer("remove container", Outcome::Done);
    bench.check(expect![[r#"
        remove /ecs/0f
        STOPPED -> STOPPED"#]]);
    bench.answer("remove /ecs", failed(FailureKind::Other));
    bench.check(expect!["STOPPED -> STOPPED"]);
    bench.pass(2);
    bench.check(expect![[r#"
        remove /ecs/0f
        STOPPED -> STOPPED"#]]);
    let mut bench = bench.restart();
    bench.check(expect![[r#"
        remove container
        STOPPED -> STOPPED"#]]);
    bench.answer("remove container", failed(FailureKind::NotFound));
    bench.answer("remove /ecs", Outcome::Done);
    bench.check(expect![[r#"
        remove /ecs/0f
        gone"#]]);
}
