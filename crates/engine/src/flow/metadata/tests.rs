//! A container's metadata file, from before its create to the task's removal, and over a restart of the agent.
#![allow(clippy::unwrap_used)]
use expect_test::expect;
use serde_json::{Value, json};

use super::*;
use crate::config::MetadataFiles;
use crate::event::FailureKind;
use crate::flow::testing::{Bench, failed, running};
use crate::status::ContainerStatus;
use crate::{EngineConfig, Event};

fn config() -> EngineConfig {
    let mut config = EngineConfig::default();
    config.host.is_pause_image_loaded = true;
    let host_directory = "/var/lib/ecs//data/metadata".to_owned();
    config.metadata_files = Some(MetadataFiles { host_directory, is_relabelled: false });
    config
}

/// Up to the point where the first file is asked for.
fn pulled(container: Value) -> Bench {
    let mut web = json!({"name": "web", "image": "r/web", "essential": true});
    web.as_object_mut().unwrap().extend(container.as_object().unwrap().clone());
    let mut bench = Bench::new(json!({"containers": [web]}), &config());
    bench.fetch();
    bench
}

/// Up to the point where its container runs and the file that says so is asked for.
fn up(container: Value) -> Bench {
    let mut bench = pulled(container);
    bench.answer("write web Initial", Outcome::Done);
    bench.launch();
    bench
}

/// The request that is out.
fn request(bench: &Bench) -> Value {
    let body = bench.open.iter().find_map(|(_, _, effect)| match effect {
        Effect::CreateContainer { body, .. } => Some((**body).clone()),
        _ => None,
    });
    body.unwrap_or_else(|| panic!("no create is out"))
}

fn file(bench: &Bench) -> Option<&MetadataFile> {
    bench.task().containers[0].state.metadata_file.as_ref()
}

#[test]
fn it_is_written_before_the_create_and_after_the_start() {
    let mut bench = pulled(json!({"dockerConfig": {"hostConfig": r#"{"Binds":["/x:/y"]}"#}}));
    bench.check(expect![[r#"
        write web Initial
        MANIFEST_PULLED -> RUNNING"#]]);
    let token = file(&bench).unwrap().token.clone();
    assert!(bench.rows.values().any(|row| row.contains(&token)), "the name is stored before it is used");
    bench.answer("write web Initial", Outcome::Done);
    let body = request(&bench);
    let bind = format!("/var/lib/ecs//data/metadata/lab/0f/web:/opt/ecs/metadata/{token}");
    assert_eq!(body["HostConfig"]["Binds"], json!(["/x:/y", bind]));
    let variable = format!("ECS_CONTAINER_METADATA_FILE=/opt/ecs/metadata/{token}/ecs-container-metadata.json");
    assert_eq!(body["Env"].as_array().unwrap().last().unwrap(), &variable);
    bench.launch();
    bench.check(expect![[r#"
        create web in null
        start
        inspect
        write web Ready
        RUNNING -> RUNNING"#]]);
    bench.answer("write web Ready", Outcome::Done);
    assert_eq!(file(&bench).unwrap().ready_at_restart, Some(0));
}

#[test]
fn a_container_without_it_runs_all_the_same() {
    let mut bench = pulled(json!({}));
    bench.answer("write web Initial", failed(FailureKind::Other));
    let body = request(&bench);
    assert_eq!(body["HostConfig"]["Binds"], json!([]));
    assert!(!body["Env"].to_string().contains("METADATA_FILE"));
    bench.launch();
    bench.check(expect![[r#"
        write web Initial
        create web in null
        start
        inspect
        RUNNING -> RUNNING"#]]);
}

#[test]
fn an_agent_that_ended_in_between_uses_the_same_directory() {
    let bench = pulled(json!({}));
    let token = file(&bench).unwrap().token.clone();
    let mut bench = bench.restart();
    bench.handle(Event::EventsOpened);
    // Was it created? The name was written.
    bench.answer("list", Outcome::Listed(Vec::new()));
    bench.answer("inspect", failed(FailureKind::NotFound));
    bench.check(expect![[r#"
        list
        inspect
        write web Initial
        MANIFEST_PULLED -> RUNNING"#]]);
    bench.answer("write web Initial", Outcome::Done);
    assert!(request(&bench)["HostConfig"]["Binds"].to_string().contains(&token));
}

#[test]
fn an_agent_that_ended_before_it_said_ready_says_so_later() {
    let listed = || {
        let listed = json!([{"Id": "c1", "State": "running"}]);
        Outcome::Listed(serde_json::from_value(listed).unwrap())
    };
    let mut bench = up(json!({})).restart();
    bench.handle(Event::EventsOpened);
    bench.asked.clear();
    bench.answer("list", listed());
    bench.check(expect![[r#"
        inspect
        write web Ready
        RUNNING -> RUNNING"#]]);
    bench.answer("write web Ready", Outcome::Done);
    let mut bench = bench.restart();
    bench.handle(Event::EventsOpened);
    bench.asked.clear();
    bench.answer("list", listed());
    bench.check(expect![[r#"
        inspect
        RUNNING -> RUNNING"#]]);
}

#[test]
fn each_start_by_a_restart_policy_writes_it_again() {
    let mut bench = up(json!({"restartPolicy": {"enabled": true, "restartAttemptPeriod": 60}}));
    bench.answer("write web Ready", Outcome::Done);
    bench.asked.clear();
    bench.pass(100);
    let ended = || {
        let state = json!({"Running": false, "Status": "exited", "ExitCode": 3, "StartedAt": "2026-01-01T00:00:00Z",
            "FinishedAt": "2026-01-01T00:01:30Z"});
        Outcome::Inspected(Box::new(serde_json::from_value(json!({"Id": "c1", "State": state})).unwrap()))
    };
    bench.touch(|task, cx| task.observe(cx, 0, None, false));
    bench.answer("inspect", ended());
    bench.answer("start", Outcome::Done);
    bench.answer("inspect", running());
    bench.check(expect![[r#"
        inspect
        start
        inspect
        write web Ready
        RUNNING -> RUNNING"#]]);
    // It ends once more while the file is being written.
    bench.pass(100);
    bench.touch(|task, cx| task.observe(cx, 0, None, false));
    bench.answer("inspect", ended());
    bench.answer("start", Outcome::Done);
    bench.answer("inspect", running());
    bench.answer("write web Ready", Outcome::Done);
    bench.check(expect![[r#"
        inspect
        start
        inspect
        write web Ready
        RUNNING -> RUNNING"#]]);
    bench.answer("write web Ready", Outcome::Done);
    assert_eq!(file(&bench).unwrap().ready_at_restart, Some(2));
}

#[test]
fn files_go_after_the_containers() {
    let mut bench = up(json!({}));
    bench.touch(|task, cx| {
        task.containers[0].advance(ContainerStatus::Stopped);
        task.settle(cx);
    });
    bench.asked.clear();
    bench.clean_up();
    bench.answer("remove container", Outcome::Done);
    bench.check(expect![[r#"
        remove container
        STOPPED -> STOPPED"#]]);
    // What is still being written would be left behind.
    bench.answer("write web Ready", failed(FailureKind::Timeout));
    bench.check(expect![[r#"
        remove metadata
        STOPPED -> STOPPED"#]]);
    bench.answer("remove metadata", failed(FailureKind::Other));
    bench.check(expect!["gone"]);
}

#[test]
fn a_task_that_stops_first_creates_nothing() {
    let mut bench = pulled(json!({}));
    bench.touch(|task, cx| {
        task.stop(None);
        task.settle(cx);
    });
    bench.answer("write web Initial", Outcome::Done);
    bench.check(expect![[r#"
        write web Initial
        STOPPED -> STOPPED"#]]);
}
