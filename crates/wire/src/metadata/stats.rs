//! A container's statistics as the endpoints show them (spec 30 §3.10): Docker's document, in v4 with rates.

use serde::Serialize;

use crate::docker::Stats;

/// Statistics of one container.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StatsDocument<'a> {
    #[serde(flatten)]
    pub stats: &'a Stats,
    /// v4 only, and only from the second sample on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_rate_stats: Option<NetworkRates>,
}

/// Bytes per second over all interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct NetworkRates {
    pub rx_bytes_per_sec: f32,
    pub tx_bytes_per_sec: f32,
}
