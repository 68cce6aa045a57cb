//! What it costs that nothing happens.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Ground, Row, floor, many, settle, stop_all};
use crate::process::say;

/// How many containers idle; the most that the agent's and the Engine's CPU may be, in percent of one core, and the
/// agent's memory in MiB; and what the reference needs of each.
const CASES: [Case; 2] = [
    Case { count: 40, agent: 0.4, engine: 0.3, memory: 20.0, reference: ["0.92 %", "6.7–8.1 %", "57 MiB"] },
    Case { count: 120, agent: 1.0, engine: 0.5, memory: 25.0, reference: ["1.98 %", "15.6 %", "73 MiB"] },
];

struct Case {
    count: usize,
    agent: f64,
    engine: f64,
    memory: f64,
    reference: [&'static str; 3],
}

/// Until launches are forgotten, and until there is enough to count.
const SETTLE: Duration = Duration::from_secs(30);
const MEASURE: Duration = Duration::from_secs(90);

pub(super) fn rows(ground: &Ground<'_>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for case in CASES {
        let count = case.count;
        say(&format!("measuring: {count} idle containers without any agent"));
        let alone = floor::while_running(&ground.engine, &ground.image, count, || {
            settle(SETTLE)?;
            percent(engine_cpu()?, engine_cpu)
        })?;
        say(&format!("measuring: {count} idle containers with the agent"));
        let bench = ground.bench(&[])?;
        let (tasks, _) = many(&bench, count)?;
        settle(SETTLE)?;
        let agent_before = bench.agent.cpu()?;
        let begun = Instant::now();
        let engine = percent(engine_cpu()?, engine_cpu)?;
        let agent = share(bench.agent.cpu()?.saturating_sub(agent_before), begun.elapsed());
        let memory = bench.agent.resident_mib()?;
        stop_all(&bench, &tasks)?;
        let [one, two, three] = case.reference;
        rows.push(Row::new(&format!("{count} idle containers: agent CPU"), one).percent_at_most(case.agent, agent));
        rows.push(
            Row::new(&format!("  dockerd and containerd, above {alone:.2} % without agent"), two)
                .percent_at_most(case.engine, engine - alone),
        );
        rows.push(Row::new("  memory of the agent", three).mebibytes_at_most(case.memory, memory));
    }
    Ok(rows)
}

/// Percent of one core that a counter of CPU time grows by.
fn percent(before: Duration, now: impl Fn() -> Result<Duration>) -> Result<f64> {
    let begun = Instant::now();
    settle(MEASURE)?;
    Ok(share(now()?.saturating_sub(before), begun.elapsed()))
}

fn share(cpu: Duration, time: Duration) -> f64 {
    100.0 * cpu.as_secs_f64() / time.as_secs_f64()
}

/// CPU time so far of all processes that are the Engine's.
fn engine_cpu() -> Result<Duration> {
    let mut all = Duration::ZERO;
    for entry in std::fs::read_dir("/proc")?.filter_map(Result::ok) {
        let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        if matches!(name.trim(), "dockerd" | "containerd") {
            all += lab::agent::cpu_of(&entry.path()).unwrap_or_default();
        }
    }
    Ok(all)
}
