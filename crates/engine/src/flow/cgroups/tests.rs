//! A task with a cgroup, from its arrival to its removal, and over a restart of the agent.
#![allow(clippy::unwrap_used)]
use expect_test::expect;
use serde_json::{Value, json};

use super::*;
use crate::config::{CgroupNaming, EngineConfig, TaskLimits};
use crate::flow::testing::{Bench, failed, image};

fn config() -> EngineConfig {
    let mut config = EngineConfig::default();
    config.host.is_pause_image_loaded = true;
    config.task_limits =
        Some(TaskLimits { naming: CgroupNaming::Path, cpu_period: Duration::from_millis(100), pids: Some(100) });
    config
}

fn bench(members: Value) -> Bench {
    Bench::new(members, &config())
}

#[test]
fn nothing_is_pulled_before_the_cgroup_is_there() {
    let mut bench = bench(json!({}));
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
    let mut bench = bench(json!({"pidMode": "task"}));
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
    let mut bench = bench(json!({"pidMode": "task"}));
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
    let mut bench = bench(json!({}));
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
    let mut bench = bench(json!({}));
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
    let mut bench = bench(json!({}));
    bench.answer("make", Outcome::Done);
    bench.fetch();
    bench.launch();
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
    let mut bench = bench(json!({})).restart();
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
