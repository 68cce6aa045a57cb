//! The engine's core alone, without any shell around it.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Row;
use crate::process::{cargo, shown};

pub(super) fn rows() -> Result<Vec<Row>> {
    let mut command = cargo();
    command.args(["run", "--release", "--locked", "--quiet", "--package", "sim", "--example", "core"]);
    let done = command.output().context("running cargo")?;
    if !done.status.success() {
        bail!("{} failed:\n{}", shown(&command), String::from_utf8_lossy(&done.stderr));
    }
    let said: Value = serde_json::from_slice(&done.stdout).context("reading what the core's bench says")?;
    let number = |name: &str| said[name].as_f64().with_context(|| format!("no {name}"));
    let tasks = number("tasks")?;
    Ok(vec![
        Row::new(&format!("engine core alone, {tasks} tasks: events a second"), "")
            .at_least(200_000.0, number("eventsPerSecond")?),
        Row::new("  memory of a running task", "").kibibytes(number("kibPerTask")?),
    ])
}
