//! What containers use: now, by the agent's own sampler where it is our agent's container, and lately, by what
//! telemetry told the control plane. It is the body of `/longshore/v1/stats`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use plane::telemetry::{self, Interval, Report, Span};
use serde::{Deserialize, Serialize};
use wire::docker::Stats;
use wire::ids::TaskId;

use super::report::{TaskReport, timestamp};
use crate::agent::published::Published;
use crate::agent::sampler::{Sample, Sampled};

/// All tasks that have not stopped.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct StatsReport {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    pub tasks: Vec<TaskStats>,
}

/// One task.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TaskStats {
    pub arn: String,
    pub id: String,
    /// Family and revision.
    pub name: String,
    pub last_status: String,
    pub containers: Vec<ContainerStats>,
}

/// One container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ContainerStats {
    pub name: String,
    pub status: String,
    /// Only with a health check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<String>,
    pub restarts: u64,
    /// Absent while nothing was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<Figures>,
    /// Absent until the first round of telemetry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lately: Option<History>,
}

/// Who measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Origin {
    /// Our agent, within the last second.
    #[default]
    Agent,
    /// The last round that an agent published; its figures are averages of 20 seconds.
    Telemetry,
}

/// Figures of one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Figures {
    pub by: Origin,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Percent of one processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<f64>,
    /// Bytes, without what can be reclaimed.
    pub memory: u64,
    /// Bytes; the machine's memory where there is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<u64>,
    /// Bytes since the container began; absent without a network of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<u64>,
    /// Bytes a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receive_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_rate: Option<f64>,
    /// Bytes since the container began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_read: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_written: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<u64>,
}

/// The kept rounds in short.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct History {
    pub rounds: usize,
    /// When the first and the last of them came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Percent of one processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<Range>,
    /// Bytes, in whole MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Range>,
    /// Bytes a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receive_rate: Option<Range>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_rate: Option<Range>,
}

/// Over all samples of all kept rounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Range {
    pub min: f64,
    pub avg: f64,
    pub max: f64,
}

impl TaskStats {
    /// Of all its containers, as far as they are known.
    pub(crate) fn cpu_percent(&self) -> f64 {
        self.containers.iter().filter_map(|container| container.now.as_ref()?.cpu_percent).sum()
    }
}

/// Joins what is known of tasks that have not stopped.
pub(super) fn report(tasks: &[TaskReport], known: &Report, published: &Published) -> StatsReport {
    let told: BTreeMap<&str, &telemetry::TaskReport> =
        known.tasks.iter().map(|task| (task.arn.as_str(), task)).collect();
    let alive = tasks.iter().filter(|task| !task.is_stopped());
    let tasks = alive.map(|task| {
        let told = told.get(task.arn.as_str()).copied();
        let cores = told.and_then(|told| known.instances.iter().find(|instance| instance.arn == told.instance));
        let cores = cores.map_or(1.0, |instance| instance.cores);
        TaskStats {
            arn: task.arn.clone(),
            id: task.id.clone(),
            name: task.name(),
            last_status: task.last_status.clone(),
            containers: containers(task, told, cores, published),
        }
    });
    StatsReport { at: Some(Timestamp::now()), tasks: tasks.collect() }
}

fn containers(
    task: &TaskReport,
    told: Option<&telemetry::TaskReport>,
    cores: f64,
    published: &Published,
) -> Vec<ContainerStats> {
    let seen = published.task(&TaskId::from(task.id.as_str()));
    let sampled = |name: &str| {
        let task = seen.as_ref()?;
        match published.samples()?.of(task, task.container(name)?) {
            Sampled::Some(sample) => Some(sample),
            Sampled::NotYet | Sampled::Untracked => None,
        }
    };
    let own = task.own_containers().map(|container| {
        let told = told.and_then(|told| told.containers.iter().find(|told| told.name == container.name));
        let intervals = told.map(|told| &told.intervals);
        let now = match sampled(&container.name) {
            Some(sample) => Some(figures(&sample)),
            None if seen.is_some() => None,
            None => intervals.and_then(|intervals| intervals.back()).map(|last| last_told(last, cores)),
        };
        let health = container.health.as_ref().map(|health| health.status.clone());
        ContainerStats {
            name: container.name.clone(),
            status: container.status.clone(),
            health: health.or_else(|| told.and_then(|told| Some(told.health.as_ref()?.status.clone()))),
            restarts: container.restarts.max(told.map_or(0, |told| told.restarts)),
            now,
            lately: intervals.filter(|intervals| !intervals.is_empty()).map(|all| history(all, cores)),
        }
    });
    own.collect()
}

/// A sample in the words of `docker stats`.
fn figures(sample: &Sample) -> Figures {
    let stats = &sample.stats;
    let has_network = !stats.networks.is_empty();
    let sum = |of: fn(&wire::docker::NetworkStats) -> u64| has_network.then(|| stats.networks.values().map(of).sum());
    Figures {
        by: Origin::Agent,
        at: stats.read,
        cpu_percent: cpu_percent(stats),
        memory: sample.memory_in_use(),
        memory_limit: Some(stats.memory_stats.limit).filter(|limit| *limit > 0),
        received: sum(|one| one.rx_bytes),
        sent: sum(|one| one.tx_bytes),
        receive_rate: sample.rates.map(|rates| rates.rx_bytes_per_sec.into()),
        send_rate: sample.rates.map(|rates| rates.tx_bytes_per_sec.into()),
        block_read: Some(sample.block_bytes("read")),
        block_written: Some(sample.block_bytes("write")),
        pids: Some(stats.pids_stats.current).filter(|count| *count > 0),
    }
}

/// Between the last two samples; `None` before there are two.
fn cpu_percent(stats: &Stats) -> Option<f64> {
    let span = stats.read?.duration_since(stats.preread?).as_nanos();
    let used = stats.cpu_stats.cpu_usage.total_usage.checked_sub(stats.precpu_stats.cpu_usage.total_usage)?;
    (span > 0).then(|| used as f64 * 100.0 / span as f64)
}

/// The averages of the last round, for a container that is not ours to sample.
fn last_told(last: &Interval, cores: f64) -> Figures {
    Figures {
        by: Origin::Telemetry,
        at: timestamp(Some(last.at)),
        cpu_percent: last.cpu.average().map(|percent| percent * cores),
        memory: mebibytes(last.memory.average().unwrap_or(0.0)) as u64,
        memory_limit: None,
        received: last.received,
        sent: last.sent,
        receive_rate: last.receive_rate.as_ref().and_then(Span::average),
        send_rate: last.send_rate.as_ref().and_then(Span::average),
        block_read: last.block_read,
        block_written: last.block_written,
        pids: None,
    }
}

fn mebibytes(count: f64) -> f64 {
    count * 1_048_576.0
}

fn history<'a>(intervals: impl IntoIterator<Item = &'a Interval> + Clone, cores: f64) -> History {
    let all = || intervals.clone().into_iter();
    let range = |of: &dyn Fn(&Interval) -> Option<Span>, scale: &dyn Fn(f64) -> f64| {
        let whole = all().filter_map(of).fold(Span::default(), Span::with);
        let avg = scale(whole.average()?);
        Some(Range { min: scale(whole.min), avg, max: scale(whole.max) })
    };
    History {
        rounds: all().count(),
        from: timestamp(all().next().map(|first| first.at)),
        until: timestamp(all().last().map(|last| last.at)),
        cpu_percent: range(&|one| Some(one.cpu), &|percent| percent * cores),
        memory: range(&|one| Some(one.memory), &mebibytes),
        receive_rate: range(&|one| one.receive_rate, &|rate| rate),
        send_rate: range(&|one| one.send_rate, &|rate| rate),
    }
}

#[cfg(test)]
mod tests {
    use wire::ecs::EpochSeconds;

    use super::*;

    #[test]
    fn history_is_over_all_samples_in_percent_of_one_processor() {
        let interval = |second: i64, min: f64, max: f64, count: u64| Interval {
            at: EpochSeconds::from_millis(second * 1000),
            cpu: Span { min, max, sum: (min + max) / 2.0 * count as f64, count },
            memory: Span { min: 1.0, max: 3.0, sum: 2.0 * count as f64, count },
            ..Interval::default()
        };
        let rounds = [interval(1, 1.0, 3.0, 30), interval(21, 10.0, 10.0, 10), interval(41, 0.0, 0.0, 0)];
        let history = history(&rounds, 4.0);
        assert_eq!((history.rounds, history.until.map(|at| at.as_second())), (3, Some(41)));
        assert_eq!(history.cpu_percent, Some(Range { min: 4.0, avg: 16.0, max: 40.0 }));
        assert_eq!(history.memory.map(|range| range.avg), Some(2_097_152.0));
        assert_eq!(history.receive_rate, None);
        let last = last_told(&rounds[1], 4.0);
        assert_eq!((last.cpu_percent, last.memory, last.by), (Some(40.0), 2 << 20, Origin::Telemetry));
    }

    #[test]
    fn processor_time_is_of_the_time_between_two_samples() {
        let mut stats = Stats::default();
        stats.cpu_stats.cpu_usage.total_usage = 3_000_000_000;
        stats.precpu_stats.cpu_usage.total_usage = 1_500_000_000;
        assert_eq!(cpu_percent(&stats), None);
        stats.preread = Timestamp::from_second(10).ok();
        stats.read = Timestamp::from_second(11).ok();
        assert_eq!(cpu_percent(&stats), Some(150.0));
        stats.precpu_stats.cpu_usage.total_usage = 9_000_000_000;
        assert_eq!(cpu_percent(&stats), None, "a counter that fell is no use");
    }
}
