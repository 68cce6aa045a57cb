//! What a payload asks of a container, parsed once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wire::acs::{DockerConfig, RegistryAuthentication};
use wire::ids::ImageRef;

use crate::effect::Protocol;
use crate::rows::is_default;

/// What kind of container (spec 20 §1.5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    #[default]
    Normal,
    /// Holds the task's pid or ipc namespace.
    NamespacePause,
}

impl Kind {
    /// Internal containers are neither reported nor counted (spec 20 §1.5).
    pub const fn is_internal(self) -> bool {
        matches!(self, Self::NamespacePause)
    }
}

/// One container as the payload defines it; fixed from admission on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Definition {
    /// Shared, since all that is told of the container bears it.
    pub name: Arc<str>,
    #[serde(skip_serializing_if = "is_default")]
    pub kind: Kind,
    #[serde(skip_serializing_if = "is_default")]
    pub arn: String,
    pub image: ImageRef,
    #[serde(skip_serializing_if = "is_default")]
    pub command: Option<Vec<String>>,
    #[serde(skip_serializing_if = "is_default")]
    pub entry_point: Option<Vec<String>>,
    /// The user's variables with the agent's own on top (spec 20 §4.6).
    #[serde(skip_serializing_if = "is_default")]
    pub environment: BTreeMap<String, String>,
    /// CPU shares as asked for, before clamping.
    #[serde(skip_serializing_if = "is_default")]
    pub cpu: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub memory_mib: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub is_essential: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub links: Vec<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub ports: Vec<PortMapping>,
    #[serde(skip_serializing_if = "is_default")]
    pub mounts: Vec<MountPoint>,
    #[serde(skip_serializing_if = "is_default")]
    pub volumes_from: Vec<VolumeFrom>,
    /// Explicit conditions first, then those that links and shared volumes imply.
    #[serde(skip_serializing_if = "is_default")]
    pub depends_on: Vec<Dependency>,
    #[serde(skip_serializing_if = "is_default")]
    pub start_timeout: Option<Duration>,
    #[serde(skip_serializing_if = "is_default")]
    pub stop_timeout: Option<Duration>,
    #[serde(skip_serializing_if = "is_default")]
    pub docker: DockerConfig,
    /// Whether its health is reported and can be waited for.
    #[serde(skip_serializing_if = "is_default")]
    pub has_health_check: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub registry: Option<RegistryAuthentication>,
    /// Whether its log driver signs with the execution role.
    #[serde(skip_serializing_if = "is_default")]
    pub logs_with_execution_role: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub restart_policy: Option<RestartPolicy>,
    /// Names the container at the metadata endpoints.
    #[serde(skip_serializing_if = "is_default")]
    pub endpoint_id: String,
}

/// A port or a range of ports of the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContainerPorts {
    One(u16),
    /// Both ends included.
    Range(u16, u16),
}

/// Ports of the container and where they should appear on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortMapping {
    pub container: ContainerPorts,
    /// 0: the agent chooses.
    pub host_port: u16,
    pub protocol: Protocol,
}

impl PortMapping {
    /// How many host ports the agent must choose; 0 where the task fixed it.
    pub const fn to_choose(&self) -> u16 {
        match self.container {
            ContainerPorts::One(_) if self.host_port > 0 => 0,
            ContainerPorts::One(_) => 1,
            ContainerPorts::Range(first, last) => last.saturating_sub(first).saturating_add(1),
        }
    }
}

/// Where a volume of the task appears.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountPoint {
    pub source_volume: String,
    pub container_path: String,
    pub is_read_only: bool,
}

/// All volumes of a neighbour.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeFrom {
    pub source_container: String,
    pub is_read_only: bool,
}

/// A neighbour, and what must be true of it first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    pub container: String,
    pub condition: DependencyCondition,
}

/// Conditions of an ordering dependency (spec 20 §2.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DependencyCondition {
    /// Created or further; implied by shared volumes.
    Create,
    Start,
    Complete,
    Success,
    Healthy,
    /// A word that nothing fulfils.
    Other(String),
}

impl From<&str> for DependencyCondition {
    fn from(word: &str) -> Self {
        match word {
            "CREATE" => Self::Create,
            "START" => Self::Start,
            "COMPLETE" => Self::Complete,
            "SUCCESS" => Self::Success,
            "HEALTHY" => Self::Healthy,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl std::fmt::Display for DependencyCondition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Create => "CREATE",
            Self::Start => "START",
            Self::Complete => "COMPLETE",
            Self::Success => "SUCCESS",
            Self::Healthy => "HEALTHY",
            Self::Other(word) => word,
        })
    }
}

/// When the agent starts an exited container again (spec 20 §10.2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartPolicy {
    pub ignored_exit_codes: Vec<i64>,
    pub attempt_period: Duration,
}
