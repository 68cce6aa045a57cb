//! From nothing to connected, and what that takes.

use std::time::Duration;

use anyhow::Result;
use lab::Bench;

use super::{Ground, Row, connect, launches, median, settle};

/// Starts whose median is taken.
const STARTS: usize = 5;
const LAUNCHES: usize = 10;

pub(super) fn rows(ground: &Ground<'_>) -> Result<Vec<Row>> {
    let mut taken = Vec::new();
    for _ in 0..STARTS {
        let mut bench = ground.with(&[], Bench::prepare)?;
        taken.push(connect(&mut bench)?);
        bench.agent.stop(lab::agent::Signal::Term)?;
    }
    let bench = ground.bench(&[])?;
    // All that starts has started by then.
    settle(Duration::from_secs(5))?;
    let memory = bench.agent.resident_mib()?;
    let launch = launches(&bench, LAUNCHES)?;
    Ok(vec![
        Row::new("process start → ACS connected", "235–320 ms").at_most(0.060, median(taken)),
        Row::new("memory, idle", "42 MiB").mebibytes_at_most(15.0, memory),
        Row::new("cached image: payload → RUNNING submitted", "").seconds(launch),
    ])
}
