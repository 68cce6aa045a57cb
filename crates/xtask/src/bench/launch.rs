//! A launch and a restart beside tasks that run already.

use anyhow::Result;
use lab::agent::Signal;

use super::{Ground, Row, connect, launches, many, median, stop_all};

/// Tasks that run already.
const RUNNING: [usize; 3] = [0, 40, 120];
const LAUNCHES: usize = 11;
const RESTARTS: usize = 5;

/// More is not noise: the cost grows with what runs.
const GROWTH: f64 = 1.15;

pub(super) fn rows(ground: &Ground<'_>) -> Result<Vec<Row>> {
    let mut bench = ground.bench(&[])?;
    let mut rows = Vec::new();
    let mut running = Vec::new();
    let mut taken = Vec::new();
    for count in RUNNING {
        running.extend(many(&bench, count - running.len())?.0);
        let launch = launches(&bench, LAUNCHES)?;
        rows.push(Row::new(&format!("launch with {count} tasks running"), "").seconds(launch));
        taken.push(launch.as_secs_f64());
    }
    if let [first, .., last] = taken[..] {
        rows.push(Row::new("  the last over the first", "").ratio_at_most(GROWTH, last / first));
    }
    let mut restarts = Vec::new();
    for _ in 0..RESTARTS {
        bench.agent.stop(Signal::Kill)?;
        restarts.push(connect(&mut bench)?);
    }
    let count = running.len();
    rows.push(Row::new(&format!("restart with {count} tasks → ACS connected"), "5.2 s").at_most(0.6, median(restarts)));
    stop_all(&bench, &running)?;
    Ok(rows)
}
