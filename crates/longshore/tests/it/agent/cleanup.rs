//! Containers and images that are no longer needed, or no longer new (spec 20 §3, §6).

use std::cell::RefCell;
use std::time::Duration;

use anyhow::Result;
use lab::{Engine, hex};
use serde_json::{Value, json};

use crate::support::{bench, setting};

/// Docker's auth configuration of nobody: `{}`.
const NOBODY: &str = "e30=";

#[test]
fn cleanup() -> Result<()> {
    let bench = bench(&[("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION", "3s")])?;
    let task = bench.run(&[bench.shell("main", "exit 0", json!({}))])?;
    bench.until(&task, "STOPPED")?;
    assert_eq!(bench.containers(&task)?.len(), 1);
    lab::wait_for("the container to be removed", Duration::from_secs(20), || {
        Ok(bench.containers(&task)?.is_empty().then_some(()))
    })
}

#[test]
fn pull_behavior_default() -> Result<()> {
    assert_eq!(stamps_seen("default")?, (1, 2));
    Ok(())
}

#[test]
fn pull_behavior_prefer_cached() -> Result<()> {
    assert_eq!(stamps_seen("prefer-cached")?, (1, 1));
    Ok(())
}

/// Runs a tag that moves in the registry between two tasks; gives what each of them saw.
fn stamps_seen(behavior: &str) -> Result<(i64, i64)> {
    let bench = bench(&[("ECS_IMAGE_PULL_BEHAVIOR", behavior)])?;
    let repository = format!("{}/moving-{}", setting("LONGSHORE_TEST_REGISTRY"), hex(8));
    let tag = format!("{repository}:v");
    let images = RefCell::new(Vec::new());
    let run = || -> Result<i64> {
        let task = bench.run(&[bench.shell("main", "exit $STAMP", json!({ "image": tag }))])?;
        bench.until(&task, "STOPPED")?;
        let container = bench.inspect(&task, "main")?;
        images.borrow_mut().extend(container["Image"].as_str().map(str::to_owned));
        Ok(container["State"]["ExitCode"].as_i64().unwrap_or(-1))
    };
    push(&bench.engine, &repository, 1)?;
    let first = run()?;
    // The registry's tag moves on, this machine's stays.
    let keep = format!("keep-{}", hex(8));
    bench.engine.tag(&tag, &keep, "v")?;
    push(&bench.engine, &repository, 2)?;
    bench.engine.tag(&format!("{keep}:v"), &repository, "v")?;
    bench.engine.untag(&format!("{keep}:v"))?;
    let second = run()?;
    bench.engine.untag(&tag)?;
    for image in images.take() {
        bench.engine.untag(&image)?;
    }
    Ok((first, second))
}

/// Makes an image with a stamp in its environment, and leaves it in the registry only.
fn push(engine: &Engine, repository: &str, stamp: u8) -> Result<()> {
    let local = setting("LONGSHORE_TEST_IMAGE");
    let created = engine.call("POST", "/containers/create", &json!({ "Image": local, "Cmd": ["true"] }))?;
    let id = created["Id"].as_str().unwrap_or("").to_owned();
    let change = lab::engine::encode(&format!("ENV STAMP={stamp}"));
    let path = format!("/commit?container={id}&repo={}&tag=v&changes={change}", lab::engine::encode(repository));
    let committed = engine.call("POST", &path, &Value::Null);
    engine.remove(&id)?;
    committed?;
    let pushed = engine.push(repository, "v", NOBODY);
    engine.untag(&format!("{repository}:v"))?;
    pushed
}
