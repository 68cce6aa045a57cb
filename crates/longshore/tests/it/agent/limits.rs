//! Limits of tasks as a whole, and namespaces that their containers share (spec 20 §11, §4.5).

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use lab::payload::fast_stop;
use serde_json::{Value, json};

use crate::support::{bench, prepared};

const ON: (&str, &str) = ("ECS_ENABLE_TASK_CPU_MEM_LIMIT", "true");
const PAUSE: &str = "~internal~ecs~pause~namespace";

fn task_id(task: &Value) -> &str {
    task["arn"].as_str().and_then(|arn| arn.rsplit('/').next()).unwrap_or_default()
}

/// One file of a task's group, in the tree of a v1 controller or in the unified one.
fn limit(task: &Value, v1: &str, v2: &str) -> Result<String> {
    let id = task_id(task);
    let (controller, _) = v1.split_once('.').unwrap_or_default();
    let mount = Path::new("/sys/fs/cgroup");
    let slice = format!("ecstasks.slice/ecstasks-{id}.slice");
    let candidates = [
        mount.join(controller).join("ecs").join(id).join(v1),
        mount.join(controller).join(&slice).join(v1),
        mount.join("ecs").join(id).join(v2),
        mount.join(&slice).join(v2),
    ];
    let found = candidates.iter().find(|path| path.exists()).with_context(|| format!("no {v1} for {id}"))?;
    Ok(std::fs::read_to_string(found)?.trim().to_owned())
}

/// Waits until the task's group is removed.
fn gone(task: &Value) -> Result<()> {
    lab::wait_for("the task's group to go", Duration::from_secs(20), || {
        Ok(limit(task, "memory.limit_in_bytes", "memory.max").is_err().then_some(()))
    })
}

#[test]
fn containers_share_the_memory_of_their_task() -> Result<()> {
    let bench = bench(&[ON, ("ECS_TASK_PIDS_LIMIT", "100"), ("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION", "1s")])?;
    // Neither has a limit of its own.
    let side = bench.container("side", json!({ "memory": 0, "essential": false, "config": fast_stop() }));
    let hog = bench.shell("hog", "sleep 1; tail /dev/zero", json!({ "memory": 0 }));
    let task = bench.run_with(&[side, hog], json!({ "cpu": 0.5, "memory": 64 }))?;
    bench.until(&task, "RUNNING")?;
    assert_eq!(limit(&task, "memory.limit_in_bytes", "memory.max")?, "67108864");
    assert_eq!(limit(&task, "pids.max", "pids.max")?, "100");
    let stopped = bench.until(&task, "STOPPED")?;
    let containers = stopped["containers"].as_array().cloned().unwrap_or_default();
    let hog = containers.iter().find(|c| c["containerName"] == "hog").context("the hog is told of")?;
    assert_eq!(hog["reason"], "OutOfMemoryError: Container killed due to memory usage", "{stopped}");
    assert_eq!(hog["exitCode"], 137);
    gone(&task)
}

#[test]
fn a_group_survives_a_restart_of_the_agent() -> Result<()> {
    let mut bench = bench(&[ON, ("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION", "1s")])?;
    let container = bench.container("main", json!({ "config": fast_stop() }));
    let task = bench.run_with(&[container], json!({ "memory": 64 }))?;
    bench.until(&task, "RUNNING")?;
    bench.agent.stop(lab::agent::Signal::Kill)?;
    bench.agent.start()?;
    bench.agent.ready(&bench.plane, Duration::from_secs(20))?;
    assert_eq!(limit(&task, "memory.limit_in_bytes", "memory.max")?, "67108864");
    bench.stop_and_wait(&task)?;
    gone(&task)
}

#[test]
fn a_group_that_cannot_be_made_stops_the_task() -> Result<()> {
    // Folders that look like the trees of cgroup v1, until one is spoilt.
    let mount = tempfile::tempdir()?;
    for controller in ["cpu", "memory"] {
        std::fs::create_dir(mount.path().join(controller))?;
        std::fs::write(mount.path().join(controller).join("cgroup.procs"), "")?;
    }
    let path = mount.path().display().to_string();
    let bench = bench(&[ON, ("ECS_CGROUP_PATH", &path)])?;
    if bench.engine.get("/info")?["CgroupDriver"] == "systemd" {
        eprintln!("skipped: there systemd makes the groups");
        return Ok(());
    }
    std::fs::remove_dir(mount.path().join("memory/ecs"))?;
    std::fs::write(mount.path().join("memory/ecs"), "no folder")?;
    let task = bench.run_with(&[bench.container("main", json!({}))], json!({ "memory": 64 }))?;
    let stopped = bench.until(&task, "STOPPED")?;
    assert_eq!(stopped["reason"], "CgroupError: Agent could not create task's platform resources");
    assert!(bench.containers(&task)?.is_empty());
    Ok(())
}

#[test]
fn limits_that_cannot_be_had_end_an_agent_that_was_told_to_set_them() -> Result<()> {
    let mut bench = prepared(&[ON, ("ECS_CGROUP_PATH", "/nowhere")])?;
    bench.agent.start()?;
    let status = bench.agent.ended(Duration::from_secs(20))?;
    assert_eq!(status.code(), Some(5));
    Ok(())
}

#[test]
fn limits_that_cannot_be_had_are_let_go_where_nobody_asked() -> Result<()> {
    let bench = bench(&[("ECS_ENABLE_TASK_CPU_MEM_LIMIT", ""), ("ECS_CGROUP_PATH", "/nowhere")])?;
    let container = bench.container("main", json!({ "config": fast_stop() }));
    let task = bench.run_with(&[container], json!({ "memory": 64 }))?;
    bench.until(&task, "RUNNING")?;
    assert_eq!(bench.inspect(&task, "main")?["HostConfig"]["CgroupParent"], "");
    bench.stop_and_wait(&task)?;
    Ok(())
}

#[test]
fn containers_of_a_task_see_each_others_processes() -> Result<()> {
    let bench = bench(&[])?;
    let one = bench.shell("one", "sleep 4242", json!({ "config": fast_stop() }));
    let look = "until ps | grep -q '[s]leep 4242'; do sleep 0.1; done; touch /seen; sleep 600";
    let two = bench.shell("two", look, json!({ "config": fast_stop() }));
    let task = bench.run_with(&[one, two], json!({ "pidMode": "task" }))?;
    bench.until(&task, "RUNNING")?;
    let pause = bench.inspect(&task, PAUSE)?;
    for name in ["one", "two"] {
        let mode = bench.inspect(&task, name)?["HostConfig"]["PidMode"].clone();
        assert_eq!(mode, format!("container:{}", pause["Id"].as_str().unwrap_or_default()));
    }
    let id = bench.inspect(&task, "two")?["Id"].as_str().unwrap_or_default().to_owned();
    lab::wait_for("two to see one", Duration::from_secs(20), || {
        let changes = bench.engine.get(&format!("/containers/{id}/changes"))?;
        Ok(changes.as_array().is_some_and(|all| all.iter().any(|c| c["Path"] == "/seen")).then_some(()))
    })?;
    bench.stop_and_wait(&task)?;
    let ended = |name: &str| -> Result<Timestamp> {
        let container = bench.inspect(&task, name)?;
        container["State"]["FinishedAt"].as_str().unwrap_or_default().parse().context("a time")
    };
    let pause = lab::wait_for("the pause container to end", Duration::from_secs(40), || {
        let container = bench.inspect(&task, PAUSE)?;
        Ok((container["State"]["Running"] == false).then_some(()))
    })
    .and_then(|()| ended(PAUSE))?;
    assert!(ended("one")? < pause && ended("two")? < pause, "the holder of the namespace goes last");
    Ok(())
}
