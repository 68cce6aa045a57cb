//! The task server under load.

use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Ground, Row, many, stop_all};
use crate::install;

const SECONDS: &str = "10s";

pub(super) fn rows(ground: &Ground<'_>) -> Result<Vec<Row>> {
    install::packages(&[("wrk", "wrk")])?;
    let bench = ground.bench(&[("ECS_TASK_METADATA_RPS_LIMIT", "10000000,10000000")])?;
    let (tasks, _) = many(&bench, 1)?;
    let task = tasks.first().context("no task")?;
    let container = bench.inspect(task, "main")?;
    let variables = container["Config"]["Env"].as_array().into_iter().flatten().filter_map(|pair| pair.as_str());
    let uri = variables
        .filter_map(|pair| pair.strip_prefix("ECS_CONTAINER_METADATA_URI_V4="))
        .find_map(|uri| uri.strip_prefix("http://169.254.170.2"))
        .context("the container has no ECS_CONTAINER_METADATA_URI_V4")?
        .to_owned();
    let before = bench.agent.cpu()?;
    let done = Command::new("wrk")
        .args(["-t1", "-c16", "-d", SECONDS, "--latency"])
        .arg(format!("http://127.0.0.1:51679{uri}/task"))
        .output()
        .context("running wrk")?;
    let used = bench.agent.cpu()?.saturating_sub(before);
    stop_all(&bench, &tasks)?;
    let said = String::from_utf8_lossy(&done.stdout);
    let load = read(&said).with_context(|| format!("wrk says:\n{said}"))?;
    if load.failed > 0 {
        bail!("{} answers were no success; wrk says:\n{said}", load.failed);
    }
    let each = 1000.0 * used.as_secs_f64() / load.requests;
    Ok(vec![
        Row::new("v4 /task, wrk -t1 -c16: requests a second", "20,400").at_least(60_000.0, load.rate),
        Row::new("  99 of 100 within", "8.2 ms").milliseconds_at_most(1.5, load.p99),
        Row::new("  agent CPU for each", "0.068 ms").milliseconds_at_most(0.02, each),
    ])
}

/// What wrk counted; times in milliseconds.
#[derive(Debug, Default, PartialEq)]
struct Load {
    rate: f64,
    p99: f64,
    requests: f64,
    failed: u64,
}

fn read(said: &str) -> Option<Load> {
    let mut load = Load::default();
    for line in said.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words[..] {
            ["99%", time] => load.p99 = milliseconds(time)?,
            ["Requests/sec:", rate] => load.rate = rate.parse().ok()?,
            [count, "requests", "in", ..] => load.requests = count.parse().ok()?,
            ["Non-2xx", .., count] => load.failed = count.parse().ok()?,
            _ => {}
        }
    }
    (load.rate > 0.0 && load.requests > 0.0 && load.p99 > 0.0).then_some(load)
}

fn milliseconds(time: &str) -> Option<f64> {
    let units = [("us", 0.001), ("ms", 1.0), ("s", 1000.0)];
    units.into_iter().find_map(|(unit, factor)| Some(time.strip_suffix(unit)?.parse::<f64>().ok()? * factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrk_is_read() {
        let said = "  Thread Stats   Avg      Stdev     Max   +/- Stdev\n     50%  213.00us\n     99%    1.21ms\n  \
                    271202 requests in 10.00s, 412.51MB read\nRequests/sec:  27119.93\nTransfer/sec:     41.25MB\n";
        assert_eq!(read(said), Some(Load { rate: 27119.93, p99: 1.21, requests: 271_202.0, failed: 0 }));
        let failed = format!("{said}  Non-2xx or 3xx responses: 12\n");
        assert_eq!(read(&failed).map(|load| load.failed), Some(12));
        assert_eq!(read("unable to connect"), None);
    }
}
