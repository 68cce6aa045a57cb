//! What the introspection server tells (spec 30 §5).

use jiff::Timestamp;
use serde::Serialize;

use super::task::{MountedVolume, Port};

/// `/v1/metadata`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AgentMetadata {
    pub cluster: String,
    /// `null` until registered.
    pub container_instance_arn: Option<String>,
    pub version: String,
}

/// The answer to every unknown path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AvailableCommands {
    pub available_commands: Vec<&'static str>,
}

/// `/v1/tasks` without a query.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct IntrospectedTasks {
    pub tasks: Vec<IntrospectedTask>,
}

/// A task, in the control plane's words. The default is the answer where nothing is found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct IntrospectedTask {
    pub arn: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub desired_status: &'static str,
    pub known_status: &'static str,
    pub family: String,
    pub version: String,
    /// Why it has no share of the host yet, only while it waits for one; the reference does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// `null` in errors only.
    pub containers: Option<Vec<IntrospectedContainer>>,
}

/// A container of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct IntrospectedContainer {
    pub docker_id: String,
    pub docker_name: String,
    pub name: String,
    pub image: String,
    #[serde(rename = "ImageID")]
    pub image_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<MountedVolume>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_count: Option<u64>,
}
