//! A task as a payload carries it (spec 10 §3.4–3.6).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Container;
use crate::secret::Secret;

/// One task of a payload.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Task {
    pub arn: String,
    pub desired_status: String,
    pub family: String,
    pub version: String,
    pub service_name: String,
    pub group: String,
    pub launch_type: String,
    pub containers: Vec<Option<Container>>,
    pub volumes: Vec<Option<Volume>>,
    /// vCPU.
    pub cpu: f64,
    /// MiB.
    pub memory: i64,
    pub network_mode: String,
    pub pid_mode: String,
    pub ipc_mode: String,
    pub associations: Vec<Association>,
    pub elastic_network_interfaces: Vec<serde_json::Value>,
    pub proxy_configuration: Option<ProxyConfiguration>,
    #[serde(skip_serializing)]
    pub role_credentials: Option<RoleCredentials>,
    #[serde(skip_serializing)]
    pub execution_role_credentials: Option<RoleCredentials>,
    pub attachments: Vec<Option<Attachment>>,
    pub enable_fault_injection: bool,
}

/// A role's credentials (spec 10 §6.1). Never written anywhere.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RoleCredentials {
    pub credentials_id: String,
    pub role_arn: String,
    pub access_key_id: String,
    pub secret_access_key: Secret<String>,
    pub session_token: Secret<String>,
    /// Opaque: echoed byte for byte in the acknowledgement.
    pub expiration: String,
}

/// A volume of a task (spec 10 §3.5).
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Volume {
    pub name: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<HostVolume>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docker_volume_configuration: Option<DockerVolume>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub efs_volume_configuration: Option<EfsVolume>,
}

/// A directory of the host, or with an empty path a volume that lives as long as the task.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HostVolume {
    pub source_path: String,
}

/// A volume that the Engine manages.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DockerVolume {
    pub scope: String,
    pub autoprovision: bool,
    pub driver: String,
    pub driver_opts: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
}

/// A file system of Amazon EFS.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EfsVolume {
    pub file_system_id: String,
    pub root_directory: String,
    pub transit_encryption: String,
    pub transit_encryption_port: i64,
    pub authorization_config: Option<EfsAuthorization>,
}

/// How an EFS mount is authorised.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EfsAuthorization {
    pub access_point_id: String,
    pub iam: String,
}

/// A device or service bound to containers by name.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Association {
    pub containers: Vec<String>,
    pub content: Option<AssociationContent>,
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
}

/// What an association says, and how it is encoded.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AssociationContent {
    pub encoding: String,
    pub value: String,
}

/// App Mesh's proxy (spec 10 §3.4).
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProxyConfiguration {
    #[serde(rename = "type")]
    pub kind: String,
    pub container_name: String,
    pub properties: BTreeMap<String, String>,
}

/// Something attached to the task, described by properties (spec 10 §3.6).
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Attachment {
    pub attachment_arn: String,
    pub attachment_type: String,
    pub attachment_properties: Vec<Option<Property>>,
}

/// A name and its value.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Property {
    pub name: String,
    pub value: String,
}
