//! The stop of many tasks by one payload, beside the bare Engine API.

use anyhow::Result;
use lab::agent::Signal;

use super::{Ground, Row, beside_bare, connect, drained, floor, many, stop_all};
use crate::process::say;

const MANY: usize = 120;

/// By turns, as launches are measured.
pub(super) fn rows(ground: &Ground<'_>) -> Result<Vec<Row>> {
    // The bare API removes nothing meanwhile either.
    let mut bench = ground.bench(&[("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION", "20s")])?;
    let (mut agents, mut floors) = (Vec::new(), Vec::new());
    for concurrency in floor::CONCURRENCIES {
        say(&format!("measuring: the stop of {MANY} tasks; the bare API, {concurrency} at a time"));
        let (tasks, _) = many(&bench, MANY)?;
        agents.push(stop_all(&bench, &tasks)?);
        drained(&bench)?;
        bench.agent.stop(Signal::Term)?;
        floors.push((floor::measure(&ground.engine, &ground.image, MANY, concurrency)?.stop, concurrency));
        connect(&mut bench)?;
    }
    beside_bare(&format!("stop of {MANY} tasks by one payload → all STOPPED"), agents, floors, (1.1, "1.27 ×"))
}
