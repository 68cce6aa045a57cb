//! Task definitions.

use std::collections::BTreeMap;

use super::{EpochSeconds, KeyValuePair, Tag};
use serde::{Deserialize, Serialize};

shapes! {
    /// A task definition as the API describes it.
    pub struct TaskDefinition {
        pub task_definition_arn: String,
        pub container_definitions: Vec<ContainerDefinition>,
        pub family: String,
        pub task_role_arn: Option<String>,
        pub execution_role_arn: Option<String>,
        pub network_mode: Option<String>,
        pub revision: i64,
        pub volumes: Vec<Volume>,
        /// `ACTIVE`, `INACTIVE` or `DELETE_IN_PROGRESS`.
        pub status: String,
        pub requires_attributes: Vec<super::Attribute>,
        pub placement_constraints: Vec<super::PlacementConstraint>,
        pub compatibilities: Vec<String>,
        pub runtime_platform: Option<RuntimePlatform>,
        pub requires_compatibilities: Option<Vec<String>>,
        /// CPU units as text.
        pub cpu: Option<String>,
        /// MiB as text.
        pub memory: Option<String>,
        pub inference_accelerators: Option<Vec<InferenceAccelerator>>,
        pub pid_mode: Option<String>,
        pub ipc_mode: Option<String>,
        pub proxy_configuration: Option<ProxyConfiguration>,
        pub registered_at: Option<EpochSeconds>,
        pub deregistered_at: Option<EpochSeconds>,
        pub delete_requested_at: Option<EpochSeconds>,
        pub registered_by: Option<String>,
        pub ephemeral_storage: Option<EphemeralStorage>,
        pub enable_fault_injection: Option<bool>,
    }

    /// RegisterTaskDefinition: the request.
    pub struct RegisterTaskDefinitionRequest {
        pub family: String,
        pub task_role_arn: Option<String>,
        pub execution_role_arn: Option<String>,
        pub network_mode: Option<String>,
        pub container_definitions: Vec<ContainerDefinition>,
        pub volumes: Vec<Volume>,
        pub placement_constraints: Vec<super::PlacementConstraint>,
        pub requires_compatibilities: Option<Vec<String>>,
        pub cpu: Option<String>,
        pub memory: Option<String>,
        pub tags: Option<Vec<Tag>>,
        pub pid_mode: Option<String>,
        pub ipc_mode: Option<String>,
        pub proxy_configuration: Option<ProxyConfiguration>,
        pub inference_accelerators: Option<Vec<InferenceAccelerator>>,
        pub ephemeral_storage: Option<EphemeralStorage>,
        pub runtime_platform: Option<RuntimePlatform>,
        pub enable_fault_injection: Option<bool>,
    }

    /// RegisterTaskDefinition, DescribeTaskDefinition, DeregisterTaskDefinition: the answer.
    pub struct TaskDefinitionResponse {
        pub task_definition: TaskDefinition,
        pub tags: Option<Vec<Tag>>,
    }

    /// DescribeTaskDefinition and DeregisterTaskDefinition: the request.
    pub struct TaskDefinitionRequest {
        pub task_definition: String,
        pub include: Option<Vec<String>>,
    }

    /// A container of a task definition.
    pub struct ContainerDefinition {
        pub name: String,
        pub image: String,
        pub repository_credentials: Option<RepositoryCredentials>,
        /// CPU units (1024 = one CPU).
        pub cpu: i64,
        /// Hard limit, MiB.
        pub memory: Option<i64>,
        /// Soft limit, MiB.
        pub memory_reservation: Option<i64>,
        pub links: Option<Vec<String>>,
        pub port_mappings: Vec<PortMapping>,
        /// Absent means true.
        pub essential: Option<bool>,
        pub restart_policy: Option<ContainerRestartPolicy>,
        pub entry_point: Option<Vec<String>>,
        pub command: Option<Vec<String>>,
        pub environment: Vec<KeyValuePair>,
        pub environment_files: Option<Vec<EnvironmentFile>>,
        pub mount_points: Vec<MountPoint>,
        pub volumes_from: Vec<VolumeFrom>,
        pub linux_parameters: Option<LinuxParameters>,
        pub secrets: Option<Vec<Secret>>,
        pub depends_on: Option<Vec<ContainerDependency>>,
        /// Seconds.
        pub start_timeout: Option<i64>,
        /// Seconds.
        pub stop_timeout: Option<i64>,
        pub version_consistency: Option<String>,
        pub hostname: Option<String>,
        pub user: Option<String>,
        pub working_directory: Option<String>,
        pub disable_networking: Option<bool>,
        pub privileged: Option<bool>,
        pub readonly_root_filesystem: Option<bool>,
        pub dns_servers: Option<Vec<String>>,
        pub dns_search_domains: Option<Vec<String>>,
        pub extra_hosts: Option<Vec<HostEntry>>,
        pub docker_security_options: Option<Vec<String>>,
        pub interactive: Option<bool>,
        pub pseudo_terminal: Option<bool>,
        pub docker_labels: Option<BTreeMap<String, String>>,
        pub ulimits: Option<Vec<Ulimit>>,
        pub log_configuration: Option<LogConfiguration>,
        pub health_check: Option<HealthCheck>,
        pub system_controls: Vec<SystemControl>,
        pub resource_requirements: Option<Vec<ResourceRequirement>>,
        pub firelens_configuration: Option<FirelensConfiguration>,
        pub credential_specs: Option<Vec<String>>,
    }

    /// A port of a container and where the host publishes it.
    pub struct PortMapping {
        pub container_port: Option<i64>,
        /// 0 or absent: any free port.
        pub host_port: Option<i64>,
        pub protocol: Option<String>,
        pub name: Option<String>,
        pub app_protocol: Option<String>,
        /// `a-b`.
        pub container_port_range: Option<String>,
    }

    /// How a container's health is probed. Times are seconds.
    pub struct HealthCheck {
        pub command: Vec<String>,
        pub interval: Option<i64>,
        pub timeout: Option<i64>,
        pub retries: Option<i64>,
        pub start_period: Option<i64>,
    }

    /// Linux-only settings of a container.
    pub struct LinuxParameters {
        pub capabilities: Option<KernelCapabilities>,
        pub devices: Option<Vec<Device>>,
        pub init_process_enabled: Option<bool>,
        /// MiB.
        pub shared_memory_size: Option<i64>,
        pub tmpfs: Option<Vec<Tmpfs>>,
        /// MiB; -1 for no limit.
        pub max_swap: Option<i64>,
        pub swappiness: Option<i64>,
    }

    /// Capabilities beyond, or less than, the engine's default.
    pub struct KernelCapabilities {
        pub add: Option<Vec<String>>,
        pub drop: Option<Vec<String>>,
    }

    /// A host device given to a container.
    pub struct Device {
        pub host_path: String,
        pub container_path: Option<String>,
        /// `read`, `write`, `mknod`; absent means all.
        pub permissions: Option<Vec<String>>,
    }

    /// A tmpfs mount. `size` is MiB.
    pub struct Tmpfs {
        pub container_path: String,
        pub size: i64,
        pub mount_options: Option<Vec<String>>,
    }

    /// Where a container's output goes.
    pub struct LogConfiguration {
        pub log_driver: String,
        pub options: Option<BTreeMap<String, String>>,
        pub secret_options: Option<Vec<Secret>>,
    }

    /// A volume of the task.
    pub struct Volume {
        pub name: String,
        pub host: Option<HostVolumeProperties>,
        pub docker_volume_configuration: Option<DockerVolumeConfiguration>,
        pub efs_volume_configuration: Option<EfsVolumeConfiguration>,
        #[serde(rename = "s3filesVolumeConfiguration")]
        pub s3files_volume_configuration: Option<serde_json::Value>,
        pub fsx_windows_file_server_volume_configuration: Option<serde_json::Value>,
        pub configured_at_launch: Option<bool>,
    }

    /// A path of the host; without one the engine provides the directory.
    pub struct HostVolumeProperties {
        pub source_path: Option<String>,
    }

    /// A volume of the engine.
    pub struct DockerVolumeConfiguration {
        /// `task` (the default) or `shared`.
        pub scope: Option<String>,
        pub autoprovision: Option<bool>,
        pub driver: Option<String>,
        pub driver_opts: Option<BTreeMap<String, String>>,
        pub labels: Option<BTreeMap<String, String>>,
    }

    /// A network file system.
    pub struct EfsVolumeConfiguration {
        pub file_system_id: String,
        pub root_directory: Option<String>,
        pub transit_encryption: Option<String>,
        pub transit_encryption_port: Option<i64>,
        pub authorization_config: Option<EfsAuthorizationConfig>,
    }

    /// How a network file system is entered.
    pub struct EfsAuthorizationConfig {
        pub access_point_id: Option<String>,
        pub iam: Option<String>,
    }

    /// A volume of the task inside a container.
    pub struct MountPoint {
        pub source_volume: Option<String>,
        pub container_path: Option<String>,
        pub read_only: Option<bool>,
    }

    /// Another container's mounts.
    pub struct VolumeFrom {
        pub source_container: Option<String>,
        pub read_only: Option<bool>,
    }

    /// A limit of the kernel.
    pub struct Ulimit {
        pub name: String,
        pub soft_limit: i64,
        pub hard_limit: i64,
    }

    /// A kernel parameter of a container.
    pub struct SystemControl {
        pub namespace: Option<String>,
        pub value: Option<String>,
    }

    /// What must have happened to another container first.
    pub struct ContainerDependency {
        pub container_name: String,
        /// `START`, `COMPLETE`, `SUCCESS` or `HEALTHY`.
        pub condition: String,
    }

    /// Whether a container is restarted on its own.
    pub struct ContainerRestartPolicy {
        pub enabled: bool,
        pub ignored_exit_codes: Option<Vec<i64>>,
        /// Seconds.
        pub restart_attempt_period: Option<i64>,
    }

    /// Where the credentials of a private registry are.
    pub struct RepositoryCredentials {
        pub credentials_parameter: String,
    }

    /// A container that routes the others' logs.
    pub struct FirelensConfiguration {
        #[serde(rename = "type")]
        pub kind: String,
        pub options: Option<BTreeMap<String, String>>,
    }

    /// A secret by reference; never its value.
    pub struct Secret {
        pub name: String,
        pub value_from: String,
    }

    /// A file of variables.
    pub struct EnvironmentFile {
        pub value: String,
        /// `s3`.
        #[serde(rename = "type")]
        pub kind: String,
    }

    /// A device or accelerator that a container needs.
    pub struct ResourceRequirement {
        pub value: String,
        /// `GPU` or `InferenceAccelerator`.
        #[serde(rename = "type")]
        pub kind: String,
    }

    /// A line of a container's hosts file.
    pub struct HostEntry {
        pub hostname: String,
        pub ip_address: String,
    }

    /// The kind of machine that a definition is for.
    pub struct RuntimePlatform {
        pub cpu_architecture: Option<String>,
        pub operating_system_family: Option<String>,
    }

    /// The storage of a task beyond its images.
    pub struct EphemeralStorage {
        #[serde(rename = "sizeInGiB")]
        pub size_in_gib: i64,
    }

    /// A proxy in front of a task's containers.
    pub struct ProxyConfiguration {
        #[serde(rename = "type")]
        pub kind: Option<String>,
        pub container_name: String,
        pub properties: Option<Vec<KeyValuePair>>,
    }

    /// An accelerator of a task.
    pub struct InferenceAccelerator {
        pub device_name: String,
        pub device_type: String,
    }
}
