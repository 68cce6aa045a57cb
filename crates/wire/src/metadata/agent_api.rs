//! Answers of the agent API: task protection and network faults (spec 30 §4).

use jiff::Timestamp;
use serde::Serialize;

/// The answer to a task protection request; the unset members are left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ProtectionAnswer {
    /// With `error` only, and only if the service answered; then even if empty.
    #[serde(rename = "requestID", skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protection: Option<Protection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<ProtectionFailure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<AgentApiError>,
}

/// Whether the task is protected. Unset members are `null`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Protection {
    pub expiration_date: Option<Timestamp>,
    pub protection_enabled: bool,
    pub task_arn: Option<String>,
}

/// Why the service refused. Unset members are `null`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ProtectionFailure {
    pub arn: Option<String>,
    pub detail: Option<String>,
    pub reason: Option<String>,
}

/// Why there is no answer of the service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AgentApiError {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub arn: String,
    pub code: String,
    pub message: String,
}

/// The answer to a fault injection request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct FaultAnswer {
    /// `running`, `stopped` or `not-running`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<&'static str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error: String,
}
