//! A container as a payload carries it (spec 10 §3.4).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One container of a task. `linuxParameters`, `privileged` and `networkInterfaceNames` are not read:
/// their equivalents arrive inside `dockerConfig`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    pub name: String,
    pub container_arn: String,
    pub image: String,
    pub command: Option<Vec<String>>,
    pub entry_point: Option<Vec<String>>,
    pub environment: BTreeMap<String, String>,
    pub environment_files: Vec<EnvironmentFile>,
    /// CPU shares.
    pub cpu: i64,
    /// MiB.
    pub memory: i64,
    pub essential: bool,
    pub links: Vec<String>,
    pub port_mappings: Vec<PortMapping>,
    pub mount_points: Vec<MountPoint>,
    pub volumes_from: Vec<VolumeFrom>,
    pub depends_on: Vec<ContainerDependency>,
    /// Seconds; 0 is none.
    pub start_timeout: i64,
    /// Seconds; 0 is the agent's default.
    pub stop_timeout: i64,
    /// JSON inside a string; only `command` is known.
    pub overrides: Option<String>,
    pub docker_config: Option<DockerConfig>,
    pub health_check_type: String,
    pub registry_authentication: Option<RegistryAuthentication>,
    pub logs_auth_strategy: String,
    pub secrets: Vec<SecretReference>,
    pub managed_agents: Vec<ManagedAgent>,
    pub firelens_configuration: Option<FirelensConfiguration>,
    pub restart_policy: Option<RestartPolicy>,
    pub credential_specs: Vec<String>,
}

/// Docker's own configuration, as JSON inside strings, and the API version to use.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DockerConfig {
    pub config: Option<String>,
    pub host_config: Option<String>,
    pub version: Option<String>,
}

/// A file of environment variables in S3.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvironmentFile {
    #[serde(rename = "type")]
    pub kind: String,
    pub value: String,
}

/// A container port, or a range of them, and where it appears on the host.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PortMapping {
    pub container_port: i64,
    pub host_port: i64,
    pub container_port_range: String,
    pub protocol: Option<String>,
}

/// Where a volume appears in the container.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MountPoint {
    pub source_volume: String,
    pub container_path: String,
    pub read_only: bool,
}

/// All volumes of another container.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeFrom {
    pub source_container: String,
    pub read_only: bool,
}

/// Another container of the task, and what must be true of it first.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerDependency {
    pub container_name: String,
    pub condition: String,
}

/// Where the registry's credentials come from.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RegistryAuthentication {
    #[serde(rename = "type")]
    pub kind: String,
    pub ecr_auth_data: Option<EcrAuthData>,
    pub asm_auth_data: Option<serde_json::Value>,
}

/// Which ECR registry, and whose credentials.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EcrAuthData {
    pub endpoint_override: String,
    pub region: String,
    pub registry_id: String,
    pub use_execution_role: bool,
}

/// A secret by reference.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SecretReference {
    pub name: String,
    pub value_from: String,
    pub region: String,
    pub provider: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub target: String,
    pub container_path: String,
}

/// An agent inside the container (ECS Exec).
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ManagedAgent {
    pub name: String,
    pub properties: BTreeMap<String, String>,
}

/// The log router's kind and options.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FirelensConfiguration {
    #[serde(rename = "type")]
    pub kind: String,
    pub options: BTreeMap<String, String>,
}

/// When an exited container is started again (spec 20 §10.2).
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RestartPolicy {
    pub enabled: bool,
    pub ignored_exit_codes: Vec<i64>,
    /// Seconds.
    pub restart_attempt_period: i64,
}
