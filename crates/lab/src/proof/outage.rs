//! The Engine itself is killed, stopped and started again under running tasks.

use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;

use super::{all_stopped, arn, finish, reached, sleepers};
use crate::agent::Signal;
use crate::{Bench, Daemon, wait_for};

/// With `--live-restore`: containers live on while the Engine is away, and so do their tasks; tasks that come meanwhile
/// are not lost. The bench needs [`super::SETTINGS`].
///
/// # Errors
/// A task is lost, doubled, ended too early or left.
pub fn outlive_daemon(bench: &Bench, daemon: &mut Daemon, count: usize) -> Result<()> {
    let tasks = sleepers(bench, count);
    bench.plane.payload(&tasks)?;
    reached(bench, &tasks, "RUNNING")?;
    daemon.stop(Signal::Kill)?;
    // These come while nobody can run them.
    let late = sleepers(bench, 2);
    bench.plane.payload(&late)?;
    daemon.restart()?;
    let settled = settled(bench, &late)?;
    let stories = bench.plane.stories();
    for task in &tasks {
        let story = stories.get(arn(task)).map(Vec::as_slice).unwrap_or_default();
        if story.iter().any(|change| change["status"] == "STOPPED") {
            bail!("{} ended, though its container lives on:\n{}", arn(task), crate::story::render_all(story));
        }
    }
    let running = running(bench)?;
    if running != count + settled {
        bail!("{running} containers run, not {count} and {settled}");
    }
    finish(bench, &[tasks, late].concat())
}

/// Without it: containers end with the Engine, and the end of every task is told. Tasks under way when the Engine is
/// killed end one way or another. The bench needs [`super::SETTINGS`].
///
/// # Errors
/// A task is lost, doubled or left.
pub fn end_with_daemon(bench: &Bench, daemon: &mut Daemon, count: usize) -> Result<()> {
    let tasks = sleepers(bench, count);
    bench.plane.payload(&tasks)?;
    reached(bench, &tasks, "RUNNING")?;
    daemon.stop(Signal::Term)?;
    daemon.restart()?;
    all_stopped(bench, &tasks)?;

    let torn = sleepers(bench, count);
    bench.plane.payload(&torn)?;
    // Amid the launches: some containers run, others do not exist yet.
    reached(bench, &torn[..1], "RUNNING")?;
    daemon.stop(Signal::Kill)?;
    daemon.restart()?;
    settled(bench, &torn)?;
    finish(bench, &torn)
}

/// Waits until each of them runs or has ended; gives how many run.
fn settled(bench: &Bench, tasks: &[Value]) -> Result<usize> {
    let settled = wait_for("the tasks to run or to end", Duration::from_secs(120), || {
        let stories = bench.plane.stories();
        let status = |task: &Value| {
            let last = stories.get(arn(task)).and_then(|story| story.last());
            last.and_then(|change| change["status"].as_str()).unwrap_or("").to_owned()
        };
        let statuses: Vec<String> = tasks.iter().map(status).collect();
        let is_settled = statuses.iter().all(|status| matches!(status.as_str(), "RUNNING" | "STOPPED"));
        Ok(is_settled.then(|| statuses.iter().filter(|status| *status == "RUNNING").count()))
    });
    bench.with_log(settled)
}

fn running(bench: &Bench) -> Result<usize> {
    let mut running = 0;
    for id in bench.all_containers()? {
        running += usize::from(bench.engine.inspect(&id)?["State"]["Running"] == true);
    }
    Ok(running)
}
