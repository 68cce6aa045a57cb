//! Many tasks: at once, and one after the other.

use std::time::Instant;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::{all_stopped, arn, finish, nothing_left, reached, sleepers};
use crate::Bench;
use crate::watch::Watch;

/// Runs so many tasks by one payload, then stops them by another. Nothing may be doubled or left. The bench needs
/// [`super::SETTINGS`].
///
/// # Errors
/// Something of this does not hold.
pub fn burst(bench: &Bench, count: usize) -> Result<()> {
    let watch = Watch::start(&bench.engine, bench.plane.cluster())?;
    let tasks = sleepers(bench, count);
    bench.plane.payload(&tasks)?;
    reached(bench, &tasks, "RUNNING")?;
    finish(bench, &tasks)?;
    let counts = watch.counts();
    for task in &tasks {
        let counts = counts.get(&(arn(task).to_owned(), "main".to_owned())).copied().unwrap_or_default();
        if (counts.created, counts.started) != (1, 1) {
            bail!("{}: {counts:?}", arn(task));
        }
    }
    Ok(())
}

/// Runs so many short tasks, twenty at a time, and gives the agent's memory after every hundred, in MiB, with nothing
/// under way. Stops early at `until`. The bench needs [`super::SETTINGS`].
///
/// # Errors
/// A task is lost or left.
pub fn memory(bench: &Bench, count: usize, until: Option<Instant>) -> Result<Vec<(usize, f64)>> {
    let mut samples = Vec::new();
    let mut done = 0;
    while done < count && until.is_none_or(|until| Instant::now() < until) {
        for _ in 0..5 {
            let members = || json!({ "cpu": 2, "memory": 16 });
            let tasks: Vec<Value> = (0..20)
                .map(|_| bench.task(&[bench.shell("main", "exit 0", members())], json!({ "family": "many" })))
                .collect();
            bench.plane.payload(&tasks)?;
            all_stopped(bench, &tasks)?;
            done += tasks.len();
        }
        nothing_left(bench)?;
        samples.push((done, bench.agent.resident_mib()?));
        // What was heard is ours to keep, and would slow down every look at it.
        bench.plane.forget();
    }
    Ok(samples)
}
