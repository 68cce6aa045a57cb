//! A container's row.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{StatusWord, Time};
use crate::acs::{ContainerDependency, DockerConfig, MountPoint, RegistryAuthentication, RestartPolicy, VolumeFrom};
use crate::docker::Stats;
use crate::secret::Secret;

/// A container with what Docker calls it. The names are empty while it is not created yet.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerRow {
    pub docker_id: String,
    pub docker_name: String,
    pub container: Container,
}

/// A container: what was asked for and how far it is, in one object. The same shape lies within a task's row,
/// where it is older.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Container {
    pub name: String,
    #[serde(rename = "RuntimeID")]
    pub runtime_id: String,
    #[serde(rename = "taskARN")]
    pub task_arn: String,
    #[serde(rename = "dependsOn")]
    pub depends_on: Vec<ContainerDependency>,
    #[serde(rename = "V3EndpointID")]
    pub v3_endpoint_id: String,
    pub image: String,
    #[serde(rename = "ImageID")]
    pub image_id: String,
    pub image_digest: String,
    pub command: Option<Vec<String>>,
    pub entry_point: Option<Vec<String>>,
    /// CPU shares.
    pub cpu: i64,
    #[serde(rename = "GPUIDs")]
    pub gpu_ids: Vec<String>,
    /// MiB.
    pub memory: i64,
    pub links: Vec<String>,
    #[serde(rename = "firelensConfiguration")]
    pub firelens_configuration: Option<Value>,
    #[serde(rename = "volumesFrom")]
    pub volumes_from: Vec<VolumeFrom>,
    #[serde(rename = "mountPoints")]
    pub mount_points: Vec<MountPoint>,
    #[serde(rename = "portMappings")]
    pub port_mappings: Vec<PortMapping>,
    pub secrets: Vec<SecretReference>,
    pub essential: bool,
    /// With the variables that the agent injected, and once the container is created with its secrets.
    pub environment: Secret<BTreeMap<String, String>>,
    #[serde(rename = "environmentFiles")]
    pub environment_files: Vec<Value>,
    /// An object here, or as in a payload a text that holds one.
    pub overrides: Value,
    #[serde(rename = "dockerConfig")]
    pub docker_config: DockerConfig,
    #[serde(rename = "credentialSpecs")]
    pub credential_specs: Vec<String>,
    #[serde(rename = "registryAuthentication")]
    pub registry_authentication: Option<RegistryAuthentication>,
    #[serde(rename = "healthCheckType")]
    pub health_check_type: String,
    pub logs_auth_strategy: String,
    /// Seconds; 0 is none.
    pub start_timeout: i64,
    /// Seconds; 0 is the agent's default.
    pub stop_timeout: i64,
    #[serde(rename = "desiredStatus")]
    pub desired_status: StatusWord,
    pub known_status: StatusWord,
    pub sent_status: StatusWord,
    #[serde(rename = "IsInternal")]
    pub kind: ContainerType,
    pub applying_error: Option<ApplyingError>,
    pub known_exit_code: Option<i64>,
    pub known_port_bindings: Vec<PortMapping>,
    pub container_arn: String,
    #[serde(rename = "startedAt")]
    pub started_at: Time,
    /// Range of container ports to range of host ports, both `a-b`.
    pub container_port_range_map: BTreeMap<String, String>,
    #[serde(rename = "restartPolicy")]
    pub restart_policy: Option<RestartPolicy>,
    #[serde(rename = "restartTracker")]
    pub restart_tracker: Option<RestartTracker>,
    /// Whether its metadata file was written after its start.
    #[serde(rename = "metadataFileUpdated")]
    pub metadata_file_updated: bool,
    pub restart_aggregation_data_for_stats: Option<RestartAggregation>,
}

/// What kind of container; the member's name, `IsInternal`, is older than its values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ContainerType {
    #[default]
    Normal,
    EmptyHostVolume,
    CniPause,
    NamespacePause,
    ManagedDaemon,
    Other(String),
}

impl<'de> Deserialize<'de> for ContainerType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Value::deserialize(deserializer)? {
            Value::Null | Value::Bool(false) => Self::Normal,
            Value::Bool(true) => Self::EmptyHostVolume,
            Value::String(word) => match word.as_str() {
                "NORMAL" => Self::Normal,
                "EMPTY_HOST_VOLUME" => Self::EmptyHostVolume,
                "CNI_PAUSE" => Self::CniPause,
                "NAMESPACE_PAUSE" => Self::NamespacePause,
                "MANAGED_DAEMON" => Self::ManagedDaemon,
                _ => Self::Other(word),
            },
            other => Self::Other(other.to_string()),
        })
    }
}

/// A port as asked for, or as bound.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PortMapping {
    pub container_port: i64,
    pub container_port_range: String,
    pub host_port: i64,
    pub bind_ip: String,
    pub protocol: String,
}

/// A secret that the container wants, without its value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SecretReference {
    pub name: String,
    /// `LOG_DRIVER` for an option of the log driver rather than a variable.
    pub target: String,
}

/// Why a transition failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ApplyingError {
    pub error: String,
    pub name: String,
}

/// What a container had used before it was last started again (spec 30 §8.5).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RestartAggregation {
    /// Unset where it never was.
    pub last_restart_detected_at: Time,
    pub last_stat_before_last_restart: Stats,
}

/// How often a container was started again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RestartTracker {
    pub restart_count: u64,
    pub last_restart_at: Time,
}
