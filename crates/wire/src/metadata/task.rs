//! Task and container documents (spec 30 §3.2–§3.4). One type serves all versions: members that a version does
//! not have are left unset, and the two members whose place differs are there twice.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

/// A task. Order of members as in the reference.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TaskDocument {
    pub cluster: String,
    #[serde(rename = "TaskARN")]
    pub task_arn: String,
    pub family: String,
    pub revision: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub desired_status: String,
    pub known_status: String,
    /// v2 and v3.
    #[serde(rename = "Containers", skip_serializing_if = "Vec::is_empty")]
    pub containers_early: Vec<ContainerDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<TaskLimits>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_stopped_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_stopped_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub availability_zone: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub task_tags: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub container_instance_tags: BTreeMap<String, String>,
    /// v4 from here on.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub launch_type: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<TagError>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<ContainerDocument>,
    #[serde(rename = "VPCID", skip_serializing_if = "String::is_empty")]
    pub vpc_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub service_name: String,
    /// Always there in v4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault_injection_enabled: Option<bool>,
    #[serde(rename = "AvailabilityZoneID", skip_serializing_if = "String::is_empty")]
    pub availability_zone_id: String,
}

/// A task's own limits; a member that is zero is left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TaskLimits {
    /// vCPU.
    #[serde(rename = "CPU", skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f64>,
    /// MiB.
    #[serde(rename = "Memory", skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
}

/// Tags that could not be had (spec 30 §3.7).
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TagError {
    /// `ContainerInstanceTags` or `TaskTags`.
    pub error_field: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error_message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    #[serde(rename = "ResourceARN", skip_serializing_if = "String::is_empty")]
    pub resource_arn: String,
}

/// A container. Order of members as in the reference.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerDocument {
    /// Empty until created.
    pub docker_id: String,
    pub name: String,
    /// Without a leading slash.
    pub docker_name: String,
    pub image: String,
    #[serde(rename = "ImageID")]
    pub image_id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    pub desired_status: String,
    pub known_status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    pub limits: ContainerLimits,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// Of the first start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    #[serde(rename = "Type")]
    pub kind: &'static str,
    /// v2 and v3.
    #[serde(rename = "Networks", skip_serializing_if = "Vec::is_empty")]
    pub networks_early: Vec<Network>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<MountedVolume>,
    /// v4 from here on.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub log_driver: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub log_options: BTreeMap<String, String>,
    #[serde(rename = "ContainerARN", skip_serializing_if = "String::is_empty")]
    pub container_arn: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Network>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_count: Option<u64>,
}

/// Both members are always there.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ContainerLimits {
    /// CPU units, at least 2.
    #[serde(rename = "CPU")]
    pub cpu: f64,
    /// MiB.
    #[serde(rename = "Memory")]
    pub memory: u64,
}

/// A port that is bound. Zeros are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Port {
    #[serde(skip_serializing_if = "is_zero")]
    pub container_port: u16,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub protocol: &'static str,
    #[serde(skip_serializing_if = "is_zero")]
    pub host_port: u16,
    /// v4 only.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub host_ip: String,
}

// serde hands over a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(port: &u16) -> bool {
    *port == 0
}

/// Where a container is reached outside `awsvpc`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Network {
    #[serde(rename = "NetworkMode", skip_serializing_if = "String::is_empty")]
    pub network_mode: String,
    /// One element, even where it is empty.
    #[serde(rename = "IPv4Addresses", skip_serializing_if = "Vec::is_empty")]
    pub ipv4_addresses: Vec<String>,
    #[serde(rename = "IPv6Addresses", skip_serializing_if = "Vec::is_empty")]
    pub ipv6_addresses: Vec<String>,
}

/// What the container's own check says. All members may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<&'static str>,
    /// RFC 3339, in the process's own zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub output: String,
}

/// One mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct MountedVolume {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub docker_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub destination: String,
}

/// Names of associations; `null` for none (spec 30 §3.9).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AssociationList {
    pub associations: Option<Vec<String>>,
}
