//! What others see of the way in: `/v1/health`, and people at a terminal.

use jiff::Timestamp;
use serde::Serialize;

/// The state of the packet rules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WayInView {
    /// `own`, `watch` or `off`.
    pub mode: &'static str,
    /// Whether containers reach the task server; absent while that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_place: Option<bool>,
    /// Whether instance metadata is blocked; absent where that is not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imds_blocked: Option<bool>,
    /// What is missing, for people.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// Name and version of the tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<Timestamp>,
    /// How often rules were gone and had to be put back.
    pub repairs: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repaired_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What does not work and how to get it, in one line.
    #[serde(skip)]
    pub hint: Option<String>,
    /// Something is missing that was asked for, or was there.
    #[serde(skip)]
    pub is_lost: bool,
}
