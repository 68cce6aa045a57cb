//! Many tasks by one payload, beside the bare Engine API.

use anyhow::Result;
use lab::agent::Signal;

use super::{Ground, Row, beside_bare, connect, drained, floor, many, median, stop_all};
use crate::process::say;

const MANY: usize = 40;

/// Agent and bare API by turns, so that a machine that is slow for a while is slow for both; of each the best counts.
/// The agent does not run while the bare API is measured.
pub(super) fn rows(ground: &Ground<'_>) -> Result<Vec<Row>> {
    let mut bench = ground.bench(&[])?;
    let (mut agents, mut cpus, mut restarts, mut floors) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for concurrency in floor::CONCURRENCIES {
        say(&format!("measuring: {MANY} tasks in one payload; the bare API, {concurrency} at a time"));
        drained(&bench)?;
        let before = bench.agent.cpu()?;
        let (tasks, taken) = many(&bench, MANY)?;
        agents.push(taken);
        cpus.push(bench.agent.cpu()?.saturating_sub(before));

        bench.agent.stop(Signal::Kill)?;
        restarts.push(connect(&mut bench)?);
        stop_all(&bench, &tasks)?;
        drained(&bench)?;

        bench.agent.stop(Signal::Term)?;
        let floor = floor::measure(&ground.engine, &ground.image, MANY, concurrency)?;
        floors.push((floor.launch, concurrency));
        connect(&mut bench)?;
    }
    let what = format!("{MANY} tasks in one payload → all RUNNING");
    let mut rows = beside_bare(&what, agents, floors, (1.03, "1.05–1.14 ×"))?;
    rows.extend([
        Row::new(&format!("agent CPU for those {MANY}"), "0.38 s").at_most(0.15, median(cpus)),
        Row::new(&format!("restart with {MANY} tasks → ACS connected"), "1.6–1.9 s").at_most(0.3, median(restarts)),
    ]);
    Ok(rows)
}
