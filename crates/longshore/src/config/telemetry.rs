//! What is measured and told (spec 40 §3.3, §3.6).

use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;

use super::sources::Sources;
use super::values::or_at_once;

/// Metrics, health and the agent's own statistics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Telemetry {
    pub metrics_disabled: bool,
    /// Container health is neither advertised nor reported.
    pub health_disabled: bool,
    /// Statistics are polled rather than streamed.
    pub polling: bool,
    pub poll_interval: Duration,
    /// Profiling on the introspection port, and a log of the agent's own statistics.
    pub runtime_stats: bool,
    pub runtime_stats_log: PathBuf,
    /// Metrics of the agent on port 51680.
    pub prometheus: bool,
}

impl Telemetry {
    pub(super) fn read(from: &mut Sources<'_>) -> Self {
        // Overwritten after the merge in the reference, so only its type counts.
        let _ = from.file_plain_bool("PrometheusMetricsEnabled");
        Self {
            metrics_disabled: from.boolean("ECS_DISABLE_METRICS", "DisableMetrics").unwrap_or(false),
            health_disabled: from
                .boolean("ECS_DISABLE_DOCKER_HEALTH_CHECK", "DisableDockerHealthCheck")
                .unwrap_or(false),
            polling: from.boolean("ECS_POLL_METRICS", "PollMetrics").unwrap_or(false),
            poll_interval: or_at_once(
                from.duration("ECS_POLLING_METRICS_WAIT_DURATION", "PollingMetricsWaitDuration")
                    .unwrap_or(SignedDuration::from_secs(10)),
            ),
            runtime_stats: from.boolean("ECS_ENABLE_RUNTIME_STATS", "EnableRuntimeStats").unwrap_or(false),
            runtime_stats_log: from
                .file_text("RuntimeStatsLogFile")
                .unwrap_or_else(|| "/log/agent-runtime-stats.log".to_owned())
                .into(),
            prometheus: from.env_plain_bool("ECS_ENABLE_PROMETHEUS_METRICS", false),
        }
    }

    /// The check 10 of spec 40 §6; it binds only when polling is on.
    pub(super) fn clamp(&mut self, from: &mut Sources<'_>) {
        let (least, most) = (Duration::from_secs(5), Duration::from_secs(20));
        if !self.polling {
            return;
        }
        if self.poll_interval < least {
            from.warn("ECS_POLLING_METRICS_WAIT_DURATION is below 5s; using 5s".to_owned());
        } else if self.poll_interval > most {
            from.warn("ECS_POLLING_METRICS_WAIT_DURATION is above 20s; using 20s".to_owned());
        }
        self.poll_interval = self.poll_interval.clamp(least, most);
    }
}
