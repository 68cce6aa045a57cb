//! What must hold of an agent whatever happens to it: no task lost, doubled or left behind, and every story only goes
//! forward. Short forms are tests, long ones `cargo xtask soak`.

mod churn;
mod crowd;
mod outage;

pub use churn::{Churned, churn};
pub use crowd::{burst, memory};
pub use outage::{end_with_daemon, outlive_daemon};

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::{Bench, payload, wait_for};

/// What a bench needs so that nothing is left behind soon after its tasks have stopped.
pub const SETTINGS: [(&str, &str); 2] =
    [("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION", "2s"), ("ECS_CONTAINER_STOP_TIMEOUT", "2s")];

/// For many tasks at once, on a slow machine.
const LIMIT: Duration = Duration::from_secs(180);

/// Waits for the end of every task and checks their stories.
fn all_stopped(bench: &Bench, tasks: &[Value]) -> Result<()> {
    reached(bench, tasks, "STOPPED")?;
    let stories = bench.plane.stories();
    for task in tasks {
        let story = stories.get(arn(task)).map(Vec::as_slice).unwrap_or_default();
        if let Some(wrong) = wrong_with(story) {
            bail!("the story of {} {wrong}:\n{}", arn(task), crate::story::render_all(story));
        }
    }
    Ok(())
}

/// Waits until each of the tasks has once had this status.
fn reached(bench: &Bench, tasks: &[Value], status: &str) -> Result<()> {
    for task in tasks {
        bench.with_log(bench.plane.until(arn(task), status, LIMIT))?;
    }
    Ok(())
}

/// Waits until Docker has nothing of these tasks any more, and the agent neither.
fn nothing_left(bench: &Bench) -> Result<()> {
    let left = wait_for("what has stopped to be removed", LIMIT, || {
        let containers = bench.all_containers()?.len();
        let tasks = bench.agent.introspect("/v1/tasks")?["Tasks"].as_array().map_or(0, Vec::len);
        Ok((containers + tasks == 0).then_some(()))
    });
    bench.with_log(left)
}

/// So many tasks that run until they are told to stop.
fn sleepers(bench: &Bench, count: usize) -> Vec<Value> {
    let members = || json!({ "cpu": 2, "memory": 16, "config": payload::fast_stop() });
    (0..count).map(|_| bench.task(&[bench.container("main", members())], json!({ "family": "proof" }))).collect()
}

/// Stops tasks and waits until all is told and nothing left.
fn finish(bench: &Bench, tasks: &[Value]) -> Result<()> {
    let stops: Vec<Value> = tasks.iter().map(payload::stopped).collect();
    bench.plane.payload(&stops)?;
    all_stopped(bench, tasks)?;
    nothing_left(bench)
}

/// What is wrong with a story that should be complete.
fn wrong_with(story: &[Value]) -> Option<String> {
    let mut containers: BTreeMap<&str, u8> = BTreeMap::new();
    let mut last = 0;
    for change in story {
        let now = rank(&change["status"]);
        if now < last {
            return Some(format!("goes back to {}", change["status"]));
        }
        last = now;
        for container in change["containers"].as_array().into_iter().flatten() {
            let name = container["containerName"].as_str().unwrap_or("");
            let now = rank(&container["status"]);
            let had = containers.insert(name, now);
            if had.is_some_and(|had| had > now) {
                return Some(format!("takes {name} back to {}", container["status"]));
            }
        }
    }
    if last != STOPPED {
        return Some("does not end".to_owned());
    }
    containers.iter().find(|(_, rank)| **rank != STOPPED).map(|(name, _)| format!("does not tell the end of {name}"))
}

const STOPPED: u8 = 3;

fn rank(status: &Value) -> u8 {
    match status.as_str() {
        Some("STOPPED") => STOPPED,
        Some("RUNNING") => 2,
        Some("PENDING") => 1,
        _ => 0,
    }
}

fn arn(task: &Value) -> &str {
    task["arn"].as_str().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_story_that_goes_back_or_does_not_end_is_wrong() {
        let change = |status: &str, main: &str| json!({ "status": status, "containers": [{ "containerName": "main", "status": main }] });
        let told = |changes: &[(&str, &str)]| {
            let story: Vec<Value> = changes.iter().map(|(status, main)| change(status, main)).collect();
            wrong_with(&story).unwrap_or_default()
        };
        assert_eq!(told(&[("PENDING", "PENDING"), ("RUNNING", "RUNNING"), ("STOPPED", "STOPPED")]), "");
        assert_eq!(told(&[("RUNNING", "RUNNING"), ("RUNNING", "RUNNING"), ("STOPPED", "STOPPED")]), "", "told again");
        assert_eq!(told(&[("RUNNING", "RUNNING")]), "does not end");
        assert_eq!(told(&[("STOPPED", "STOPPED"), ("RUNNING", "STOPPED")]), "goes back to \"RUNNING\"");
        assert_eq!(told(&[("RUNNING", "STOPPED"), ("STOPPED", "RUNNING")]), "takes main back to \"RUNNING\"");
        assert_eq!(told(&[("STOPPED", "RUNNING")]), "does not tell the end of main");
    }
}
