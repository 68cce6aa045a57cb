//! Statistics that the task server shows, over restarts of container and agent (spec 30 §8.5).

use std::time::Duration;

use anyhow::{Context, Result};
use lab::Bench;
use lab::agent::{Signal, get};
use lab::payload::fast_stop;
use serde_json::{Value, json};

use crate::support::{bench, environment};

/// The container's own statistics; `null` where there are none yet.
fn stats(bench: &Bench, task: &Value) -> Result<Value> {
    let container = bench.inspect(task, "main")?;
    let uri = environment(&container).remove("ECS_CONTAINER_METADATA_URI_V4").context("the endpoint")?;
    let path = uri.strip_prefix("http://169.254.170.2").context("its path")?;
    let (_, body) = get(51679, &format!("{path}/stats"))?;
    Ok(serde_json::from_str(&body).unwrap_or_default())
}

/// Nanoseconds of CPU time.
fn used(stats: &Value) -> u64 {
    stats["cpu_stats"]["cpu_usage"]["total_usage"].as_u64().unwrap_or(0)
}

#[test]
fn counters_go_on_over_restarts_of_container_and_agent() -> Result<()> {
    let mut bench = bench(&[])?;
    // Works for a second and more in its first life, and rests long enough for that to be sampled.
    let script = "test -e /again && exec sleep 600; touch /again; \
                  i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done; sleep 2.5; exit 1";
    let policy = json!({ "enabled": true, "restartAttemptPeriod": 0 });
    let main = bench.shell("main", script, json!({ "restartPolicy": policy, "config": fast_stop() }));
    let task = bench.run(&[main])?;
    bench.until(&task, "RUNNING")?;
    let restarted = |bench: &Bench| -> Result<Option<u64>> {
        let container = bench.inspect(&task, "main")?;
        let is_second_life = container["State"]["Running"] == true
            && container["State"]["FinishedAt"].as_str().is_some_and(|at| !at.starts_with("0001"));
        Ok(is_second_life.then(|| stats(bench, &task)).transpose()?.map(|stats| used(&stats)).filter(|used| *used > 0))
    };
    let sampled_at =
        |bench: &Bench| -> Result<Option<String>> { Ok(stats(bench, &task)?["read"].as_str().map(str::to_owned)) };
    // A second life alone uses next to nothing.
    let is_sum = |used: &u64| *used > 300_000_000;
    lab::wait_for("its second life", Duration::from_secs(60), || Ok(restarted(&bench)?.filter(is_sum)))?;
    let first = sampled_at(&bench)?;
    // What it used before is stored a moment after it is shown; by the next sample it is.
    lab::wait_for("another sample", Duration::from_secs(20), || {
        Ok(sampled_at(&bench)?.filter(|at| Some(at) != first.as_ref()))
    })?;
    let before = restarted(&bench)?.filter(is_sum).context("the sum")?;
    bench.agent.stop(Signal::Kill)?;
    bench.agent.start()?;
    bench.agent.ready(&bench.plane, Duration::from_secs(20))?;
    let after = lab::wait_for("statistics again", Duration::from_secs(20), || restarted(&bench))?;
    assert!(after >= before, "{after} ns after the agent's restart, {before} before");
    bench.stop_and_wait(&task).map(drop)
}
