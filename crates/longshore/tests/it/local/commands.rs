//! `ps`, `describe`, `logs`, `stop`, and what a restart of `longshore local` leaves of them.

use std::time::Duration;

use anyhow::{Context, Result};
use lab::agent::Signal;
use serde_json::{Value, json};

use crate::support::{Home, Local};

const LIMIT: Duration = Duration::from_secs(60);

/// Starts a task that goes on, and waits until it runs. Gives its id.
fn detached(home: &Home, local: &Local, family: &str) -> Result<String> {
    let file = home.definition(family, "echo said; exec sleep 600", json!({ "stopTimeout": 2 }))?;
    let ended = home.longshore(&["run", "--detach", &file])?;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let arn = ended.stdout.trim().to_owned();
    let id = arn.rsplit('/').next().context("no id")?.to_owned();
    lab::wait_for("the task to run", LIMIT, || {
        Ok((local.get(&format!("/longshore/v1/tasks/{id}"))?["lastStatus"] == "RUNNING").then_some(()))
    })?;
    Ok(id)
}

#[test]
fn a_task_seen_from_all_sides() -> Result<()> {
    let home = Home::new()?;
    let local = home.local()?;
    let id = detached(&home, &local, "seen")?;
    let short = &id[..8];

    let ps = home.longshore(&["ps"])?;
    assert!(ps.code == Some(0) && ps.stdout.contains(short) && ps.stdout.contains("RUNNING"), "{ps:#?}");
    let ps = home.longshore(&["ps", "--json"])?;
    let listed: Value = serde_json::from_str(&ps.stdout)?;
    assert!(listed.to_string().contains(&id), "{listed}");

    let described = home.longshore(&["describe", short])?;
    assert_eq!(described.code, Some(0), "{described:#?}");
    for wanted in [id.as_str(), "RUNNING", "main", "started"] {
        assert!(described.stdout.contains(wanted), "{wanted} is missing:\n{}", described.stdout);
    }
    let described: Value = serde_json::from_str(&home.longshore(&["describe", "seen", "--json"])?.stdout)?;
    let history: Vec<&Value> = described["history"].as_array().into_iter().flatten().collect();
    assert!(history.len() >= 4, "{described}");

    let logs = lab::wait_for("the container's line", LIMIT, || {
        let logs = home.longshore(&["logs", short])?;
        Ok(logs.stdout.contains("said").then_some(logs))
    })?;
    assert_eq!(logs.code, Some(0), "{logs:#?}");

    let stopped = home.longshore(&["stop", short, "--reason", "enough"])?;
    assert_eq!(stopped.code, Some(0), "{stopped:#?}");
    let report = local.get(&format!("/longshore/v1/tasks/{id}"))?;
    assert_eq!((&report["lastStatus"], &report["reason"]), (&json!("STOPPED"), &json!("enough")), "{report}");
    assert!(!home.longshore(&["ps"])?.stdout.contains(short));
    assert!(home.longshore(&["ps", "--all"])?.stdout.contains(short));
    Ok(())
}

/// Killed or asked to end, `local` leaves tasks alone and takes them up again.
#[test]
fn tasks_outlive_local() -> Result<()> {
    let home = Home::new()?;
    let mut local = home.local()?;
    let id = detached(&home, &local, "survivor")?;
    let containers = home.containers()?;
    for (signal, code) in [(Signal::Kill, None), (Signal::Term, Some(0)), (Signal::Int, Some(0))] {
        assert_eq!(local.stop(signal)?, code);
        assert_eq!(home.engine.inspect(&containers[0])?["State"]["Running"], true);
        local = home.local()?;
        let report = local.get(&format!("/longshore/v1/tasks/{id}"))?;
        assert_eq!(report["lastStatus"], "RUNNING", "{report}");
        assert_eq!(home.containers()?, containers);
    }
    assert_eq!(home.longshore(&["stop", &id])?.code, Some(0));
    Ok(())
}

#[test]
fn local_can_take_its_tasks_along() -> Result<()> {
    let home = Home::new()?;
    let mut command = home.command(&["local", "--port", "0", "--stop-tasks"]);
    let child = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::inherit()).spawn()?;
    let file = home.definition("along", "exec sleep 600", json!({ "stopTimeout": 2 }))?;
    lab::wait_for("local to answer", LIMIT, || Ok((home.longshore(&["ps"])?.code == Some(0)).then_some(())))?;
    assert_eq!(home.longshore(&["run", "--detach", &file])?.code, Some(0));
    let id = lab::wait_for("the container", LIMIT, || {
        // Docker lists a container a moment before it can be inspected.
        let id = home.containers()?.pop();
        let is_running = |id: &String| home.engine.inspect(id).is_ok_and(|one| one["State"]["Running"] == true);
        Ok(id.filter(is_running))
    })?;
    lab::agent::send(&child, Signal::Term)?;
    assert_eq!(child.wait_with_output()?.status.code(), Some(0));
    assert_eq!(home.engine.inspect(&id)?["State"]["Running"], false);
    Ok(())
}
