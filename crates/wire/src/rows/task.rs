//! A task's row.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Container, StatusWord, Time};
use crate::acs::Association;
use crate::gojson;

/// A task: what was asked for and how far it is, in one object.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Task {
    pub arn: String,
    pub family: String,
    pub version: String,
    pub service_name: String,
    pub group: String,
    /// In payload order, internal ones last. Their own rows are newer.
    pub containers: Vec<Container>,
    #[serde(rename = "associations")]
    pub associations: Vec<Association>,
    /// By kind of resource; each a list.
    #[serde(rename = "resources")]
    pub resources: BTreeMap<String, Value>,
    #[serde(rename = "volumes")]
    pub volumes: Vec<Volume>,
    /// vCPU; 0 for no limit.
    pub cpu: f64,
    /// MiB; 0 for no limit.
    pub memory: i64,
    pub desired_status: StatusWord,
    pub known_status: StatusWord,
    pub known_time: Time,
    pub pull_started_at: Time,
    pub pull_stopped_at: Time,
    pub execution_stopped_at: Time,
    pub sent_status: StatusWord,
    #[serde(rename = "executionCredentialsID")]
    pub execution_credentials_id: String,
    #[serde(rename = "credentialsID")]
    pub credentials_id: String,
    /// An object in old rows, else a list.
    #[serde(rename = "ENI")]
    pub eni: Value,
    pub pid_mode: String,
    pub ipc_mode: String,
    pub launch_type: String,
    pub network_mode: String,
    pub is_internal: bool,
    #[serde(rename = "enableFaultInjection")]
    pub enable_fault_injection: bool,
}

/// A volume; the member of its type holds what the agent made of it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Volume {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub host: Option<HostVolume>,
    pub docker_volume_configuration: Option<DockerVolume>,
    /// By now the Docker volume that it became (spec 50 §11.1).
    pub efs_volume_configuration: Option<DockerVolume>,
    #[serde(rename = "s3filesVolumeConfiguration")]
    pub s3_files_volume_configuration: Option<DockerVolume>,
}

/// A directory of the host, or a volume that the agent made because none was named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HostVolume {
    pub source_path: String,
    /// The name of a Docker volume, in spite of its own.
    pub host_path: String,
}

/// A volume that Docker manages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DockerVolume {
    pub scope: String,
    pub autoprovision: bool,
    pub driver: String,
    pub driver_opts: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    pub docker_volume_name: String,
}

/// How far a Docker volume is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DockerVolumeResource {
    /// The task's name for it.
    pub name: String,
    pub docker_volume_configuration: DockerVolume,
    pub known_status: StatusWord,
}

/// The task's own cgroup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CgroupResource {
    /// A path from the root of each hierarchy, or a systemd slice.
    pub cgroup_root: String,
    pub known_status: StatusWord,
    pub resource_spec: ResourceSpec,
}

/// Limits, as OCI runtimes take them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ResourceSpec {
    pub cpu: CpuSpec,
    pub memory: LimitSpec,
    pub pids: LimitSpec,
}

/// Shares, or microseconds of CPU time in each period. 0 where it is not set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct CpuSpec {
    pub shares: u64,
    pub quota: i64,
    pub period: u64,
}

/// Bytes, or a number of processes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct LimitSpec {
    pub limit: Option<i64>,
}

impl Task {
    /// Whether the task has a resource of a kind.
    pub fn has_resource(&self, kind: &str) -> bool {
        self.resources.get(kind).and_then(Value::as_array).is_some_and(|list| !list.is_empty())
    }

    /// The Docker volumes that were made for the task, one for each mount point: several may be the same one.
    pub fn docker_volumes(&self) -> Vec<DockerVolumeResource> {
        let list = self.resources.get("dockerVolume").and_then(Value::as_array);
        list.into_iter().flatten().filter_map(|one| gojson::from_value(one.clone()).ok()).collect()
    }

    /// The cgroup that the task's containers share.
    pub fn cgroup(&self) -> Option<CgroupResource> {
        gojson::from_value(self.resources.get("cgroup")?.get(0)?.clone()).ok()
    }
}
