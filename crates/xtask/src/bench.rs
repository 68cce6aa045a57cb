//! The agent beside the same containers through the bare Engine API, in one table.
//!
//! The floor is what the machine can do at all: create and start, at the best of several concurrencies, by a client
//! that keeps no books. The agent is the release binary, joined to a scripted control plane.

mod floor;
mod table;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use lab::{Bench, Setup, wait_for};
use serde_json::{Value, json};

use crate::process::say;
use crate::{demo, image, install};
use table::Row;

/// Tasks in the one large payload.
const MANY: usize = 40;

/// Runs whose median is taken.
const STARTS: usize = 5;
const LAUNCHES: usize = 10;

/// Larger than anything that is measured here.
const LIMIT: Duration = Duration::from_secs(300);

pub(crate) fn run() -> Result<()> {
    let engine = install::engine()?;
    image::ensure(&engine)?;
    let binary = demo::release_binary()?;
    let binary = binary.to_str().context("the target folder's name is not Unicode")?;
    let image = format!("{}:latest", image::REPOSITORY);
    let setup = Setup {
        command: &[binary, "agent"],
        environment: &[
            ("ECS_IMAGE_PULL_BEHAVIOR", "prefer-cached"),
            ("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION", "2s"),
            ("ECS_CONTAINER_STOP_TIMEOUT", "2s"),
        ],
        image: &image,
    };
    let mut rows = Vec::new();

    say("measuring: start");
    rows.push(Row::new("process start → ACS connected", "235–320 ms").at_most(0.060, starts(&setup)?));

    let mut bench = Bench::start(&setup)?;
    say("measuring: idle memory");
    rows.push(Row::new("memory, idle", "42 MiB").mebibytes_at_most(15.0, settled_memory(&bench)?));

    say("measuring: one task at a time");
    rows.push(Row::new("cached image: payload → RUNNING submitted", "").seconds(launches(&bench)?));

    let bursts = bursts(&mut bench, &engine, &image)?;
    drop(bench);
    let Bursts { agent, cpu, restart, floor, concurrency } = bursts;
    rows.push(Row::new(&format!("{MANY} tasks in one payload → all RUNNING"), "").seconds(agent));
    rows.push(Row::new(&format!("  the bare Engine API, {concurrency} at a time"), "").seconds(floor));
    let ratio = agent.as_secs_f64() / floor.as_secs_f64();
    rows.push(Row::new("  the agent over the bare API", "1.05–1.14 ×").ratio_at_most(1.03, ratio));
    rows.push(Row::new(&format!("agent CPU for those {MANY}"), "0.38 s").at_most(0.15, cpu));
    rows.push(Row::new(&format!("restart with {MANY} tasks → ACS connected"), "1.6–1.9 s").at_most(0.3, restart));
    table::print(&engine, &rows)
}

fn starts(setup: &Setup<'_>) -> Result<Duration> {
    let mut taken = Vec::new();
    for _ in 0..STARTS {
        let mut bench = Bench::prepare(setup)?;
        bench.agent.start()?;
        taken.push(bench.agent.ready(&bench.plane, LIMIT)?);
        bench.agent.stop(lab::agent::Signal::Term)?;
    }
    Ok(median(taken))
}

/// What many tasks at once cost, by the agent and without it.
struct Bursts {
    agent: Duration,
    cpu: Duration,
    restart: Duration,
    floor: Duration,
    concurrency: usize,
}

/// Agent and bare API by turns, so that a machine that is slow for a while is slow for both; of each the best counts.
/// The agent does not run while the bare API is measured.
fn bursts(bench: &mut Bench, engine: &lab::Engine, image: &str) -> Result<Bursts> {
    let (mut agents, mut cpus, mut restarts, mut floors) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for concurrency in floor::CONCURRENCIES {
        say(&format!("measuring: {MANY} tasks in one payload; the bare API, {concurrency} at a time"));
        drained(bench)?;
        let tasks: Vec<Value> = (0..MANY).map(|_| one(bench)).collect();
        let before = bench.agent.cpu()?;
        agents.push(all(bench, &tasks, "RUNNING")?);
        cpus.push(bench.agent.cpu()?.saturating_sub(before));

        bench.agent.stop(lab::agent::Signal::Kill)?;
        bench.agent.start()?;
        restarts.push(bench.agent.ready(&bench.plane, LIMIT)?);
        let stops: Vec<Value> = tasks.iter().map(lab::payload::stopped).collect();
        all(bench, &stops, "STOPPED")?;
        drained(bench)?;

        bench.agent.stop(lab::agent::Signal::Term)?;
        floors.push((floor::measure(engine, image, MANY, concurrency)?, concurrency));
        bench.agent.start()?;
        bench.agent.ready(&bench.plane, LIMIT)?;
    }
    let agent = agents.into_iter().min().context("nothing was measured")?;
    let (floor, concurrency) = floors.into_iter().min().context("nothing was measured")?;
    Ok(Bursts { agent, cpu: median(cpus), restart: median(restarts), floor, concurrency })
}

/// Memory five seconds after the start, when all that starts has started.
fn settled_memory(bench: &Bench) -> Result<f64> {
    let end = bench.agent.started() + Duration::from_secs(5);
    wait_for("the agent to settle", Duration::from_secs(10), || Ok((Instant::now() >= end).then_some(())))?;
    bench.agent.resident_mib()
}

fn launches(bench: &Bench) -> Result<Duration> {
    let mut taken = Vec::new();
    for _ in 0..LAUNCHES {
        let task = one(bench);
        taken.push(all(bench, std::slice::from_ref(&task), "RUNNING")?);
        all(bench, &[lab::payload::stopped(&task)], "STOPPED")?;
    }
    Ok(median(taken))
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

/// Waits until the agent has removed what it stopped, so that removals are not measured with what follows.
fn drained(bench: &Bench) -> Result<()> {
    let label = format!("com.amazonaws.ecs.cluster={}", bench.plane.cluster());
    wait_for("the stopped containers to be removed", LIMIT, || {
        Ok(bench.engine.labelled(&label)?.is_empty().then_some(()))
    })
}

fn one(bench: &Bench) -> Value {
    let members = json!({ "cpu": 2, "memory": 16, "config": lab::payload::fast_stop() });
    bench.task(&[bench.container("main", members)], json!({ "family": "bench" }))
}

fn median(mut taken: Vec<Duration>) -> Duration {
    taken.sort();
    taken.get(taken.len() / 2).copied().unwrap_or_default()
}
