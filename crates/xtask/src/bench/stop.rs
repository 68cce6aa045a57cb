//! The stop of many tasks by one payload, beside the bare Engine API.

use anyhow::{Context, Result};
use lab::agent::Signal;

use super::{Ground, LIMIT, Row, drained, floor, many, stop_all};
use crate::process::say;

const MANY: usize = 120;

/// By turns, as launches are measured.
pub(super) fn rows(ground: &Ground<'_>) -> Result<Vec<Row>> {
    let mut bench = ground.bench(&[])?;
    let (mut agents, mut floors) = (Vec::new(), Vec::new());
    for concurrency in floor::CONCURRENCIES {
        say(&format!("measuring: the stop of {MANY} tasks; the bare API, {concurrency} at a time"));
        let (tasks, _) = many(&bench, MANY)?;
        agents.push(stop_all(&bench, &tasks)?);
        drained(&bench)?;
        bench.agent.stop(Signal::Term)?;
        floors.push((floor::measure(&ground.engine, &ground.image, MANY, concurrency)?.stop, concurrency));
        bench.agent.start()?;
        bench.agent.ready(&bench.plane, LIMIT)?;
    }
    let agent = agents.into_iter().min().context("nothing was measured")?;
    let (floor, concurrency) = floors.into_iter().min().context("nothing was measured")?;
    let ratio = agent.as_secs_f64() / floor.as_secs_f64();
    Ok(vec![
        Row::new(&format!("stop of {MANY} tasks by one payload → all STOPPED"), "").seconds(agent),
        Row::new(&format!("  the bare Engine API, {concurrency} at a time"), "").seconds(floor),
        Row::new("  the agent over the bare API", "1.27 ×").ratio_at_most(1.1, ratio),
    ])
}
