//! What telemetry told lately (spec 10 §5): some rounds of figures for each container of a live task, its health, and
//! how the instances are. In memory only; agents tell it anew within a minute.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wire::ecs::{EpochSeconds, InstanceHealthCheckResult};
use wire::tcs::{ContainerMetric, LongStatsSet, PublishHealth, PublishMetrics, StatsSet};

use crate::Plane;
use crate::instance::Instance;

/// Rounds that are kept of each container: ten minutes at the production cadence.
const INTERVALS_MAX: usize = 30;

/// Containers that are kept of each task; a definition has ten at most, and the agent adds one.
const CONTAINERS_MAX: usize = 32;

/// Remarks that are kept of each task.
const REMARKS_MAX: usize = 20;

/// What the plane answers to [`crate::Event::Look`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Report {
    pub instances: Vec<InstanceReport>,
    pub tasks: Vec<TaskReport>,
}

/// What an instance told of itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InstanceReport {
    pub arn: String,
    /// Processors that it registered; may be broken where its agent reserves some.
    pub cores: f64,
    /// When metrics came last.
    pub told_at: Option<EpochSeconds>,
    pub health: Vec<InstanceHealthCheckResult>,
}

/// What telemetry told of a task, and what the plane itself has to say of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TaskReport {
    pub arn: String,
    pub instance: String,
    pub remarks: Vec<Remark>,
    pub containers: Vec<ContainerReport>,
}

/// Something about a task that no status says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Remark {
    pub at: EpochSeconds,
    pub text: String,
    /// Somebody should look at it.
    pub is_trouble: bool,
}

/// What telemetry told of a container, oldest interval first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerReport {
    pub name: String,
    /// Only with a health check.
    pub health: Option<Health>,
    /// Restarts since the agent began to tell.
    pub restarts: u64,
    pub intervals: VecDeque<Interval>,
}

/// What a container's health check said last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Health {
    pub status: String,
    pub since: EpochSeconds,
}

/// One round of a container, reduced to what is shown.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Interval {
    /// When it came.
    pub at: EpochSeconds,
    /// Percent of the whole machine.
    pub cpu: Span,
    /// MiB.
    pub memory: Span,
    /// Bytes since the container began.
    pub block_read: Option<u64>,
    pub block_written: Option<u64>,
    pub received: Option<u64>,
    pub sent: Option<u64>,
    /// Bytes a second.
    pub receive_rate: Option<Span>,
    pub send_rate: Option<Span>,
}

/// Some samples of a number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Span {
    pub min: f64,
    pub max: f64,
    pub sum: f64,
    pub count: u64,
}

impl Span {
    /// `None` without samples.
    #[must_use]
    pub fn average(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// The samples of both.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        match (self.count, other.count) {
            (0, _) => other,
            (_, 0) => self,
            (count, more) => Self {
                min: self.min.min(other.min),
                max: self.max.max(other.max),
                sum: self.sum + other.sum,
                count: count.saturating_add(more),
            },
        }
    }
}

impl From<StatsSet> for Span {
    fn from(set: StatsSet) -> Self {
        Self { min: set.min, max: set.max, sum: set.sum, count: set.sample_count }
    }
}

/// The largest value of a counter, which is its last one.
fn last(set: &LongStatsSet) -> u64 {
    let part = |value: i64| u64::try_from(value).unwrap_or(0);
    part(set.max).saturating_add(part(set.overflow_max))
}

impl Interval {
    fn of(metric: &ContainerMetric, at: EpochSeconds) -> Self {
        let (storage, network) = (metric.storage_stats_set.as_ref(), metric.network_stats_set.as_ref());
        Self {
            at,
            cpu: metric.cpu_stats_set.into(),
            memory: metric.memory_stats_set.into(),
            block_read: storage.map(|storage| last(&storage.read_size_bytes)),
            block_written: storage.map(|storage| last(&storage.write_size_bytes)),
            received: network.map(|network| last(&network.rx_bytes)),
            sent: network.map(|network| last(&network.tx_bytes)),
            receive_rate: network.map(|network| network.rx_bytes_per_second.into()),
            send_rate: network.map(|network| network.tx_bytes_per_second.into()),
        }
    }
}

/// What is kept, by instance and by task. Tasks leave when they stop.
#[derive(Debug, Default)]
pub(crate) struct Telemetry {
    told_at: BTreeMap<String, EpochSeconds>,
    tasks: BTreeMap<String, BTreeMap<String, ContainerReport>>,
}

impl Telemetry {
    fn container(&mut self, task: &str, name: &str) -> Option<&mut ContainerReport> {
        let containers = self.tasks.entry(task.to_owned()).or_default();
        if !containers.contains_key(name) && containers.len() >= CONTAINERS_MAX {
            return None;
        }
        let named = || ContainerReport { name: name.to_owned(), ..ContainerReport::default() };
        Some(containers.entry(name.to_owned()).or_insert_with(named))
    }

    pub(crate) fn forget_task(&mut self, task: &str) {
        self.tasks.remove(task);
    }

    pub(crate) fn forget_instance(&mut self, instance: &str) {
        self.told_at.remove(instance);
    }
}

impl Plane {
    /// Whether an instance may tell of a task: it is there, and alive.
    fn is_live_on(&self, instance: &str, task: &str) -> bool {
        self.tasks.get(task).is_some_and(|task| task.instance == instance && !task.is_stopped())
    }

    /// Takes one page of metrics; false when it is not of that shape.
    pub(crate) fn take_metrics(&mut self, now: EpochSeconds, instance: &str, message: &Value) -> bool {
        let Ok(page) = PublishMetrics::deserialize(message) else { return false };
        self.telemetry.told_at.insert(instance.to_owned(), now);
        for task in &page.task_metrics {
            if !self.is_live_on(instance, &task.task_arn) {
                continue;
            }
            for metric in &task.container_metrics {
                let Some(kept) = self.telemetry.container(&task.task_arn, &metric.container_name) else { continue };
                let restarts = metric.restart_stats_set.map_or(0, |set| set.restart_count);
                kept.restarts = kept.restarts.saturating_add(restarts);
                if kept.intervals.len() == INTERVALS_MAX {
                    kept.intervals.pop_front();
                }
                kept.intervals.push_back(Interval::of(metric, now));
            }
        }
        true
    }

    /// Takes one page of health, for the API's answers too; false when it is not of that shape.
    pub(crate) fn take_health(&mut self, instance: &str, message: &Value) -> bool {
        let Ok(page) = PublishHealth::deserialize(message) else { return false };
        for task in &page.tasks {
            if !self.is_live_on(instance, &task.task_arn) {
                continue;
            }
            self.apply_health(&task.task_arn, &task.containers);
            for container in &task.containers {
                if let Some(kept) = self.telemetry.container(&task.task_arn, &container.container_name) {
                    kept.health =
                        Some(Health { status: container.health_status.clone(), since: container.status_since });
                }
            }
        }
        true
    }

    /// Keeps a remark on a task; the oldest leave first.
    pub(crate) fn remark(&mut self, now: EpochSeconds, task: &str, text: String, is_trouble: bool) {
        let Some(found) = self.tasks.get_mut(task) else { return };
        if found.remarks.len() == REMARKS_MAX {
            found.remarks.remove(0);
        }
        found.remarks.push(Remark { at: now, text, is_trouble });
        self.touch(crate::rows::Table::Task, task);
    }

    /// What is known beside the API's answers: of one task, or of all live ones.
    pub(crate) fn look(&self, only: Option<&str>) -> Report {
        let instance = |(arn, instance): (&String, &Instance)| InstanceReport {
            arn: arn.clone(),
            cores: instance.amount("CPU") as f64 / 1024.0,
            told_at: self.telemetry.told_at.get(arn).copied(),
            health: instance.health.clone(),
        };
        let wanted = self.tasks.iter().filter(|(arn, task)| match only {
            Some(only) => *arn == only || crate::arn::id(arn) == only,
            None => !task.is_stopped(),
        });
        let tasks = wanted.map(|(arn, task)| TaskReport {
            arn: arn.clone(),
            instance: task.instance.clone(),
            remarks: task.remarks.clone(),
            containers: self.telemetry.tasks.get(arn).into_iter().flat_map(BTreeMap::values).cloned().collect(),
        });
        Report { tasks: tasks.collect(), instances: self.instances.iter().map(instance).collect() }
    }
}
