//! The telemetry service's messages (spec 10 §5). Each goes out as a signed frame; the signature is not known here.

use serde::{Deserialize, Serialize};

use crate::ecs::EpochSeconds;

/// What an agent publishes, as the envelope names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "message")]
pub enum Publish {
    #[serde(rename = "PublishMetricsRequest")]
    Metrics(PublishMetrics),
    #[serde(rename = "PublishHealthRequest")]
    Health(PublishHealth),
    #[serde(rename = "PublishInstanceStatusRequest")]
    InstanceStatus(PublishInstanceStatus),
}

/// Whether a frame on the telemetry socket is one of the four that count as activity (spec 10 §2.4).
#[must_use]
pub fn is_activity(frame: &str) -> bool {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Kind {
        #[serde(rename = "type")]
        kind: String,
    }
    let kind: Kind = crate::gojson::from_str(frame).unwrap_or_default();
    matches!(
        kind.kind.as_str(),
        "HeartbeatMessage" | "AckPublishMetric" | "AckPublishHealth" | "AckPublishInstanceStatus"
    )
}

/// One page of a round of metrics (spec 10 §5.4).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PublishMetrics {
    pub metadata: MetricsMetadata,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub task_metrics: Vec<TaskMetric>,
    pub timestamp: EpochSeconds,
}

/// Whose metrics, and which page.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MetricsMetadata {
    pub cluster: String,
    pub container_instance: String,
    /// Nothing is watched.
    pub idle: bool,
    /// Shared by all pages of a round.
    pub message_id: String,
    /// The last page.
    pub fin: bool,
}

/// What is measured of a task.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TaskMetric {
    pub task_arn: String,
    pub task_definition_family: String,
    pub task_definition_version: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub container_metrics: Vec<ContainerMetric>,
}

/// What is measured of a container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerMetric {
    pub container_name: String,
    /// Percent of the whole host.
    pub cpu_stats_set: StatsSet,
    /// MiB.
    pub memory_stats_set: StatsSet,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_stats_set: Option<StorageStatsSet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_stats_set: Option<NetworkStatsSet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_stats_set: Option<RestartStatsSet>,
}

/// Some samples of a number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StatsSet {
    pub max: f64,
    pub min: f64,
    pub sample_count: u64,
    pub sum: f64,
}

/// Some samples of a counter; what 63 bits cannot hold goes into the overflow members.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LongStatsSet {
    pub max: i64,
    pub min: i64,
    pub overflow_max: i64,
    pub overflow_min: i64,
    pub overflow_sum: i64,
    pub sample_count: u64,
    pub sum: i64,
}

impl LongStatsSet {
    /// Splits each number at 2⁶³−1 (spec 10 §5.4).
    pub fn new(max: u128, min: u128, sum: u128, sample_count: u64) -> Self {
        const MOST: u128 = i64::MAX as u128;
        let split = |value: u128| match i64::try_from(value) {
            Ok(value) => (value, 0),
            Err(_) => (i64::MAX, i64::try_from(value % MOST).unwrap_or(0)),
        };
        let ((max, overflow_max), (min, overflow_min), (sum, overflow_sum)) = (split(max), split(min), split(sum));
        Self { max, min, overflow_max, overflow_min, overflow_sum, sample_count, sum }
    }
}

/// Cumulative block I/O.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StorageStatsSet {
    pub read_size_bytes: LongStatsSet,
    pub write_size_bytes: LongStatsSet,
}

/// Cumulative network counters, and rates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkStatsSet {
    pub rx_bytes: LongStatsSet,
    pub rx_dropped: LongStatsSet,
    pub rx_errors: LongStatsSet,
    pub rx_packets: LongStatsSet,
    pub tx_bytes: LongStatsSet,
    pub tx_dropped: LongStatsSet,
    pub tx_errors: LongStatsSet,
    pub tx_packets: LongStatsSet,
    pub rx_bytes_per_second: StatsSet,
    pub tx_bytes_per_second: StatsSet,
}

/// Restarts since the last round.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RestartStatsSet {
    pub restart_count: u64,
}

/// One page of a round of health (spec 10 §5.5).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PublishHealth {
    pub metadata: HealthMetadata,
    pub tasks: Vec<TaskHealth>,
    pub timestamp: EpochSeconds,
}

/// Whose health, and which page.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HealthMetadata {
    pub cluster: String,
    pub container_instance: String,
    pub fin: bool,
    pub message_id: String,
}

/// A task's containers that have a health check.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TaskHealth {
    pub task_arn: String,
    pub task_definition_family: String,
    pub task_definition_version: String,
    pub containers: Vec<ContainerHealth>,
}

/// What a container's own check says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerHealth {
    pub container_name: String,
    /// `HEALTHY`, `UNHEALTHY` or `UNKNOWN`.
    pub health_status: String,
    pub status_since: EpochSeconds,
}

/// How the instance itself is (spec 10 §5.6).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PublishInstanceStatus {
    pub metadata: InstanceStatusMetadata,
    pub statuses: Vec<InstanceStatus>,
    pub timestamp: EpochSeconds,
}

/// Whose status.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InstanceStatusMetadata {
    pub cluster: String,
    pub container_instance: String,
    pub request_id: String,
}

/// One check of the instance.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InstanceStatus {
    #[serde(rename = "type")]
    pub kind: String,
    /// `INITIALIZING`, `OK`, `IMPAIRED` or `INSUFFICIENT_DATA`.
    pub status: String,
    pub last_status_change: EpochSeconds,
    pub last_updated: EpochSeconds,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_beyond_63_bits_overflow() {
        let set = LongStatsSet::new(u128::from(u64::MAX), 5, 7, 2);
        assert_eq!((set.max, set.overflow_max), (i64::MAX, 1));
        assert_eq!((set.min, set.overflow_min, set.sum, set.overflow_sum), (5, 0, 7, 0));
    }

    #[test]
    fn an_idle_round_is_metadata_and_time_alone() {
        let publish = Publish::Metrics(PublishMetrics {
            metadata: MetricsMetadata { idle: true, fin: true, ..MetricsMetadata::default() },
            timestamp: EpochSeconds::from_millis(1_746_802_078_031),
            ..PublishMetrics::default()
        });
        assert_eq!(
            serde_json::to_string(&publish).unwrap_or_default(),
            r#"{"type":"PublishMetricsRequest","message":{"metadata":{"cluster":"","containerInstance":"","idle":true,"messageId":"","fin":true},"timestamp":1746802078.031}}"#
        );
    }
}
