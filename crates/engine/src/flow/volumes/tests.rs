//! Volumes that are made, looked for, missing, and removed.
#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;

use expect_test::expect;
use serde_json::{Value, json};

use crate::config::EngineConfig;
use crate::event::{Failure, FailureKind, Outcome};
use crate::flow::testing::Bench;

/// A task with one volume, `v`, of this configuration.
fn bench(volume: Value, config: &EngineConfig) -> Bench {
    let volume = json!({"name": "v", "type": "docker", "dockerVolumeConfiguration": volume});
    Bench::new(json!({"volumes": [volume]}), config)
}

fn shared(is_autoprovisioned: bool) -> Value {
    json!({"scope": "shared", "autoprovision": is_autoprovisioned, "labels": {"b": "2", "a": "1"}})
}

fn docker_says(kind: FailureKind, text: &str) -> Outcome {
    Outcome::Failed(Failure::new(kind, text))
}

fn found(labels: &[(&str, &str)]) -> Outcome {
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Outcome::Volume { labels, options: BTreeMap::new(), driver: "local".into() }
}

#[test]
fn docker_s_own_words_are_the_reason() {
    let mut bench = bench(json!({"scope": "task"}), &EngineConfig::default());
    bench.answer("create volume", docker_says(FailureKind::Other, "create x: no space  left"));
    bench.check(expect![[r#"
        create volume
        resolve r/web
        STOPPED -> STOPPED: Create x: no space left"#]]);
}

#[test]
fn a_failure_without_words_gets_some() {
    let mut bench = bench(json!({"scope": "task"}), &EngineConfig::default());
    bench.answer("create volume", docker_says(FailureKind::Other, ""));
    bench.check(expect![[r#"
        create volume
        resolve r/web
        STOPPED -> STOPPED: VolumeError: Agent could not create task's volume resources"#]]);
}

#[test]
fn a_shared_volume_that_must_be_there_and_is_not_refuses_the_task() {
    let mut bench = bench(shared(false), &EngineConfig::default());
    bench.answer("inspect volume", docker_says(FailureKind::NotFound, "get v: no such volume"));
    bench.check(expect![[r#"
        inspect volume
        resolve r/web
        STOPPED -> STOPPED: resource cannot be initialized for task arn:aws:ecs:us-west-2:123456789012:task/lab/0f: initialize volume: volume detection failed, volume 'v' does not exist and autoprovision is set to false: get v: no such volume"#]]);
}

#[test]
fn an_inspection_that_is_not_answered_says_so() {
    let mut bench = bench(shared(true), &EngineConfig::default());
    bench.answer("inspect volume", docker_says(FailureKind::Timeout, "deadline"));
    bench.check(expect![[r#"
        inspect volume
        resolve r/web
        STOPPED -> STOPPED: resource cannot be initialized for task arn:aws:ecs:us-west-2:123456789012:task/lab/0f: Could not transition to inspecting volume; timed out after waiting 5m0s"#]]);
}

#[test]
fn a_shared_volume_that_cannot_be_looked_at_is_made_once() {
    let mut bench = bench(shared(true), &EngineConfig::default());
    bench.answer("inspect volume", docker_says(FailureKind::Other, "the plugin is confused"));
    bench.answer("create volume", docker_says(FailureKind::NotFound, "plugin not found"));
    bench.check(expect![[r#"
        inspect volume
        resolve r/web
        create volume
        STOPPED -> STOPPED: Plugin not found"#]]);
}

#[test]
fn labels_of_a_shared_volume_must_be_equal_where_the_operator_says_so() {
    let config = EngineConfig { matches_shared_volumes_fully: true, ..EngineConfig::default() };
    let mut other = bench(shared(true), &config);
    other.answer("inspect volume", found(&[("a", "1"), ("b", "3")]));
    other.check(expect![[r#"
        inspect volume
        resolve r/web
        STOPPED -> STOPPED: resource cannot be initialized for task arn:aws:ecs:us-west-2:123456789012:task/lab/0f: intialize volume: non-autoprovisioned volume does not match existing volume labels: existing: map[a:1 b:3], expected: map[a:1 b:2]"#]]);
    let mut must_be_there = bench(shared(false), &config);
    must_be_there.answer("inspect volume", found(&[]));
    must_be_there.check(expect![[r#"
        inspect volume
        resolve r/web
        NONE -> RUNNING"#]]);
}

/// A stopped task whose volume is being made.
fn stopped() -> Bench {
    let mut bench = bench(json!({"scope": "task"}), &EngineConfig::default());
    bench.touch(|task, cx| {
        task.stop(None);
        task.settle(cx);
    });
    bench.check(expect![[r#"
        create volume
        resolve r/web
        STOPPED -> STOPPED"#]]);
    bench
}

#[test]
fn one_that_is_still_being_made_is_removed_after_that() {
    let mut bench = stopped();
    bench.clean_up();
    bench.check(expect!["STOPPED -> STOPPED"]);
    bench.answer("create volume", docker_says(FailureKind::Timeout, "deadline"));
    bench.check(expect![[r#"
        remove volume
        STOPPED -> STOPPED"#]]);
    bench.answer("remove volume", Outcome::Done);
    bench.check(expect!["gone"]);
}

#[test]
fn one_that_could_not_be_made_is_not_waited_for() {
    let mut bench = stopped();
    bench.answer("create volume", docker_says(FailureKind::Other, "no"));
    bench.clean_up();
    bench.answer("remove volume", docker_says(FailureKind::NotFound, "no such volume"));
    bench.check(expect![[r#"
        remove volume
        gone"#]]);
}

#[test]
fn one_that_an_earlier_process_asked_for_may_come_yet() {
    let mut bench = stopped().restart();
    bench.clean_up();
    bench.answer("remove volume", docker_says(FailureKind::NotFound, "no such volume"));
    bench.check(expect![[r#"
        remove volume
        STOPPED -> STOPPED"#]]);
    bench.pass(298);
    bench.check(expect!["STOPPED -> STOPPED"]);
    bench.pass(1);
    bench.answer("remove volume", docker_says(FailureKind::NotFound, "no such volume"));
    bench.check(expect![[r#"
        remove volume
        gone"#]]);
}
