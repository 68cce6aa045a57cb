//! The file that describes a container to itself (spec 30 §6). Members that are unset are left out.

use serde::Serialize;

use super::task::Network;
use crate::ids::TaskArn;

/// The file's name, in the agent's directory and in the container's.
pub const METADATA_FILE_NAME: &str = "ecs-container-metadata.json";

/// Where a task's files are below `metadata` in the data directory: what follows the first `/` of the ARN's resource,
/// so two levels for long ARNs. Empty for what is no task's ARN.
#[must_use]
pub fn metadata_directory(task: &TaskArn) -> String {
    let resource = task.as_str().splitn(6, ':').nth(5).unwrap_or_default();
    plain(resource.split_once('/').map_or("", |(_, part)| part))
}

/// The same for one of its containers.
#[must_use]
pub fn container_metadata_directory(task: &TaskArn, container: &str) -> String {
    format!("{}/{}", metadata_directory(task), plain(container))
}

/// Names are the control plane's, but must not lead out of the directory.
fn plain(path: &str) -> String {
    let parts = path.split('/').filter(|part| !matches!(*part, "" | "." | ".."));
    parts.collect::<Vec<_>>().join("/")
}

/// `ecs-container-metadata.json`. Without `metadata_file_status` it is the version from before the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct MetadataFile {
    /// As configured, hence unset where nothing is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    #[serde(rename = "ContainerInstanceARN", skip_serializing_if = "String::is_empty")]
    pub container_instance_arn: String,
    #[serde(rename = "TaskARN", skip_serializing_if = "String::is_empty")]
    pub task_arn: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub task_definition_family: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub task_definition_revision: String,
    #[serde(rename = "ContainerID", skip_serializing_if = "String::is_empty")]
    pub container_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub container_name: String,
    /// With a leading slash.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub docker_container_name: String,
    #[serde(rename = "ImageID", skip_serializing_if = "String::is_empty")]
    pub image_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub image_name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub port_mappings: Vec<FilePortMapping>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Network>,
    /// `READY` once the container runs; readers wait for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata_file_status: Option<&'static str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub availability_zone: String,
    #[serde(rename = "HostPrivateIPv4Address", skip_serializing_if = "String::is_empty")]
    pub host_private_ipv4_address: String,
    #[serde(rename = "HostPublicIPv4Address", skip_serializing_if = "String::is_empty")]
    pub host_public_ipv4_address: String,
    #[serde(rename = "HostIPv6Address", skip_serializing_if = "String::is_empty")]
    pub host_ipv6_address: String,
}

/// A bound port. All members are always there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct FilePortMapping {
    pub container_port: u16,
    /// Never filled, always printed.
    pub container_port_range: String,
    pub host_port: u16,
    pub bind_ip: String,
    pub protocol: &'static str,
}
