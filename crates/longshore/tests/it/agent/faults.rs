//! What must survive: the agent's death, the control plane's errors.

use std::time::Duration;

use anyhow::Result;
use lab::agent::Signal;
use lab::payload::fast_stop;
use serde_json::json;

use crate::support::bench;

const READY: Duration = Duration::from_secs(60);

#[test]
fn agent_killed_and_restarted() -> Result<()> {
    let mut bench = bench(&[])?;
    let task = bench.run(&[bench.container("main", json!({ "config": fast_stop() }))])?;
    bench.until(&task, "RUNNING")?;
    let containers = bench.containers(&task)?;
    bench.agent.stop(Signal::Kill)?;
    bench.agent.start()?;
    bench.agent.ready(&bench.plane, READY)?;
    assert_eq!(bench.containers(&task)?, containers);
    let registrations = bench.plane.calls("RegisterContainerInstance");
    assert_eq!(
        registrations.last().map(|body| &body["containerInstanceArn"]),
        Some(&json!(bench.plane.instance_arn()))
    );
    bench.stop_and_wait(&task)?;
    let mut statuses = bench.statuses(&task);
    statuses.dedup();
    assert_eq!(statuses, ["PENDING", "RUNNING", "STOPPED"]);
    Ok(())
}

#[test]
fn task_exits_while_agent_down() -> Result<()> {
    let mut bench = bench(&[])?;
    let task = bench.run(&[bench.shell("main", "while ! test -e /tmp/end; do sleep 0.1; done; exit 8", json!({}))])?;
    bench.until(&task, "RUNNING")?;
    bench.agent.stop(Signal::Kill)?;
    let id = bench.containers(&task)?.remove(0);
    let exec =
        bench.engine.call("POST", &format!("/containers/{id}/exec"), &json!({ "Cmd": ["touch", "/tmp/end"] }))?;
    let exec = exec["Id"].as_str().unwrap_or("").to_owned();
    bench.engine.call("POST", &format!("/exec/{exec}/start"), &json!({ "Detach": true }))?;
    lab::wait_for("the container's end", Duration::from_secs(20), || {
        Ok((bench.engine.inspect(&id)?["State"]["Running"] == false).then_some(()))
    })?;
    bench.agent.start()?;
    bench.agent.ready(&bench.plane, READY)?;
    bench.until(&task, "STOPPED")?;
    assert!(bench.outcome(&task).contains("main STOPPED exit=8 digest id"), "{}", bench.outcome(&task));
    Ok(())
}

/// Kills the agent at ever later moments of a launch: nothing may be lost, nothing doubled.
#[test]
fn agent_killed_in_the_middle() -> Result<()> {
    let mut bench = bench(&[])?;
    for delay in [0, 20, 60, 120, 200, 350] {
        let containers = [
            bench.shell("first", "exit 0", json!({ "essential": false })),
            bench.container(
                "main",
                json!({ "config": fast_stop(), "dependsOn": [{ "containerName": "first", "condition": "SUCCESS" }] }),
            ),
        ];
        let task = bench.task(&containers, json!({}));
        let (message, _) = bench.plane.payload(std::slice::from_ref(&task))?;
        // Not before the agent has it: a control plane repeats what was not acknowledged.
        bench.plane.acknowledged("AckRequest", &message, READY)?;
        // The moment is the subject here, not a wait for a condition.
        std::thread::sleep(Duration::from_millis(delay));
        bench.agent.stop(Signal::Kill)?;
        bench.agent.start()?;
        bench.agent.ready(&bench.plane, READY)?;
        bench.until(&task, "RUNNING")?;
        assert_eq!(bench.containers(&task)?.len(), 2, "killed after {delay} ms");
        bench.stop_and_wait(&task)?;
        let mut statuses = bench.statuses(&task);
        statuses.dedup();
        assert_eq!(statuses, ["PENDING", "RUNNING", "STOPPED"], "killed after {delay} ms");
    }
    Ok(())
}

#[test]
fn sigterm_leaves_tasks_running() -> Result<()> {
    let mut bench = bench(&[])?;
    let task = bench.run(&[bench.container("main", json!({ "config": fast_stop() }))])?;
    bench.until(&task, "RUNNING")?;
    let status = bench.agent.stop(Signal::Term)?;
    assert_eq!(status.code(), Some(0));
    assert_eq!(bench.inspect(&task, "main")?["State"]["Running"], true);
    bench.agent.start()?;
    bench.agent.ready(&bench.plane, READY)?;
    bench.stop_and_wait(&task)?;
    Ok(())
}

/// Better than the reference, which can send RUNNING after STOPPED when the API fails.
#[test]
fn failing_api_keeps_the_story_in_order() -> Result<()> {
    let bench = bench(&[])?;
    bench.plane.fail("SubmitTaskStateChange", 3, 500, "ServerException");
    let task = bench.run(&[bench.shell("main", "exit 6", json!({}))])?;
    lab::wait_for("the whole story", Duration::from_secs(60), || {
        // The injected failures are in the story too: the same change comes again until it is taken.
        Ok((bench.statuses(&task).len() >= 4 && bench.outcome(&task).starts_with("STOPPED")).then_some(()))
    })?;
    let rank = |status: &String| ["PENDING", "RUNNING", "STOPPED"].iter().position(|one| one == status);
    let ranks: Vec<_> = bench.statuses(&task).iter().map(rank).collect();
    assert!(ranks.is_sorted(), "{:?}", bench.statuses(&task));
    assert!(bench.outcome(&task).contains("main STOPPED exit=6"), "{}", bench.outcome(&task));
    Ok(())
}
