//! The engine's core alone, without any shell around it.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Row;
use crate::process::{cargo, shown};

/// The machine's other guests take from the cache and so halve the rate of a single run; they never add to it.
const RUNS: usize = 9;

pub(super) fn rows() -> Result<Vec<Row>> {
    let runs = (0..RUNS).map(|_| run()).collect::<Result<Vec<Value>>>()?;
    let most = |name: &str| {
        let figures = runs.iter().map(|said| said[name].as_f64().with_context(|| format!("no {name}")));
        figures.collect::<Result<Vec<f64>>>().map(|figures| figures.into_iter().fold(0.0, f64::max))
    };
    let tasks = most("tasks")?;
    Ok(vec![
        Row::new(&format!("engine core alone, {tasks} tasks: events a second, best of {RUNS} runs"), "")
            .at_least(200_000.0, most("eventsPerSecond")?),
        Row::new("  memory of a running task", "").kibibytes(most("kibPerTask")?),
    ])
}

fn run() -> Result<Value> {
    let mut command = cargo();
    command.args(["run", "--release", "--locked", "--quiet", "--package", "sim", "--example", "core"]);
    let done = command.output().context("running cargo")?;
    if !done.status.success() {
        bail!("{} failed:\n{}", shown(&command), String::from_utf8_lossy(&done.stderr));
    }
    serde_json::from_slice(&done.stdout).context("reading what the core's bench says")
}
