//! The agent beside the same containers through the bare Engine API, in one table.
//!
//! The floor is what the machine can do at all: create and start, or stop, at the best of several concurrencies, by a
//! client that keeps no books. The agent is the release binary, joined to a scripted control plane.

mod burst;
mod core;
mod endpoint;
mod floor;
mod idle;
mod launch;
mod start;
mod stop;
mod table;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use lab::{Bench, Engine, Setup, wait_for};
use serde_json::{Value, json};

use crate::process::say;
use crate::{demo, image, install};
use table::Row;

/// What can be asked for by name, in the order of the table.
const PARTS: [&str; 7] = ["start", "burst", "launch", "stop", "idle", "endpoint", "engine"];

/// Larger than anything that is measured here.
const LIMIT: Duration = Duration::from_secs(300);

/// What every part works with.
struct Ground<'a> {
    engine: Engine,
    binary: &'a str,
    image: String,
}

/// Measures the parts that `words` name, or all of them; `--binary PATH` takes a binary that is built.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    let (given, parts) = match words {
        ["--binary", path, parts @ ..] => (Some(*path), parts),
        parts => (None, parts),
    };
    if let Some(unknown) = parts.iter().find(|part| !PARTS.contains(part)) {
        bail!("unknown: {unknown}; parts are {}", PARTS.join(", "));
    }
    let engine = install::engine()?;
    image::ensure(&engine)?;
    let binary = demo::binary(given)?;
    let ground = Ground { engine, binary: &binary, image: format!("{}:latest", image::REPOSITORY) };
    let mut rows = Vec::new();
    for part in PARTS.into_iter().filter(|part| parts.is_empty() || parts.contains(part)) {
        say(&format!("measuring: {part}"));
        rows.extend(match part {
            "start" => start::rows(&ground)?,
            "burst" => burst::rows(&ground)?,
            "launch" => launch::rows(&ground)?,
            "stop" => stop::rows(&ground)?,
            "idle" => idle::rows(&ground)?,
            "endpoint" => endpoint::rows(&ground)?,
            _ => core::rows()?,
        });
    }
    table::print(&ground.engine, &rows)
}

impl Ground<'_> {
    /// Does something with the settings that all parts share, and some more.
    fn with<T>(&self, more: &[(&str, &str)], then: impl FnOnce(&Setup<'_>) -> Result<T>) -> Result<T> {
        let mut environment = vec![
            ("ECS_IMAGE_PULL_BEHAVIOR", "prefer-cached"),
            ("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION", "2s"),
            ("ECS_CONTAINER_STOP_TIMEOUT", "2s"),
        ];
        environment.extend_from_slice(more);
        then(&Setup { command: &[self.binary, "agent"], environment: &environment, image: &self.image })
    }

    /// An agent that is connected.
    fn bench(&self, more: &[(&str, &str)]) -> Result<Bench> {
        self.with(more, Bench::start)
    }
}

/// Lets time pass: what is measured here is how things are when they have settled.
fn settle(time: Duration) -> Result<()> {
    let end = Instant::now() + time;
    wait_for("things to settle", time * 2, || Ok((Instant::now() >= end).then_some(())))
}

/// From the payload's sending to the last of the tasks' state changes.
fn all(bench: &Bench, tasks: &[Value], status: &str) -> Result<Duration> {
    let (_, sent) = bench.plane.payload(tasks)?;
    let mut last = sent;
    for task in tasks {
        let arn = task["arn"].as_str().unwrap_or("");
        let (_, at) = bench.plane.until(arn, status, LIMIT)?;
        last = last.max(at);
    }
    Ok(last - sent)
}

/// Starts so many tasks and waits until they run.
fn many(bench: &Bench, count: usize) -> Result<(Vec<Value>, Duration)> {
    let tasks: Vec<Value> = (0..count).map(|_| one(bench)).collect();
    let taken = if tasks.is_empty() { Duration::ZERO } else { all(bench, &tasks, "RUNNING")? };
    Ok((tasks, taken))
}

/// Stops tasks and waits until that is told.
fn stop_all(bench: &Bench, tasks: &[Value]) -> Result<Duration> {
    let stops: Vec<Value> = tasks.iter().map(lab::payload::stopped).collect();
    all(bench, &stops, "STOPPED")
}

/// The median of some launches, each stopped again.
fn launches(bench: &Bench, count: usize) -> Result<Duration> {
    let mut taken = Vec::new();
    for _ in 0..count {
        let (tasks, took) = many(bench, 1)?;
        taken.push(took);
        stop_all(bench, &tasks)?;
    }
    Ok(median(taken))
}

/// Starts the agent; gives how long it takes to be connected.
fn connect(bench: &mut Bench) -> Result<Duration> {
    bench.agent.start()?;
    bench.agent.ready(&bench.plane, LIMIT)
}

/// The best time of the agent beside the best of the bare API, which stand with their concurrency; then the one over
/// the other, with its target and what the reference needs.
fn beside_bare(
    what: &str,
    agents: Vec<Duration>,
    floors: Vec<(Duration, usize)>,
    (target, reference): (f64, &str),
) -> Result<Vec<Row>> {
    let agent = agents.into_iter().min().context("nothing was measured")?;
    let (floor, concurrency) = floors.into_iter().min().context("nothing was measured")?;
    let ratio = agent.as_secs_f64() / floor.as_secs_f64();
    Ok(vec![
        Row::new(what, "").seconds(agent),
        Row::new(&format!("  the bare Engine API, {concurrency} at a time"), "").seconds(floor),
        Row::new("  the agent over the bare API", reference).ratio_at_most(target, ratio),
    ])
}

/// Waits until the agent has removed what it stopped, so that removals are not measured with what follows.
fn drained(bench: &Bench) -> Result<()> {
    wait_for("the stopped containers to be removed", LIMIT, || Ok(bench.all_containers()?.is_empty().then_some(())))
}

fn one(bench: &Bench) -> Value {
    let members = json!({ "cpu": 2, "memory": 16, "config": lab::payload::fast_stop() });
    bench.task(&[bench.container("main", members)], json!({ "family": "bench" }))
}

fn median(mut taken: Vec<Duration>) -> Duration {
    taken.sort();
    taken.get(taken.len() / 2).copied().unwrap_or_default()
}
