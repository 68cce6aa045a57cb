//! How far a container is: everything that must survive the process.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use wire::docker::Stats;
use wire::ids::{Digest, DockerId, ImageId};

use crate::effect::Protocol;
use crate::rows::is_default;
use crate::status::{ContainerStatus, HealthStatus};
use crate::stored_time;

/// The stored state of a container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    pub desired: ContainerStatus,
    pub known: ContainerStatus,
    /// The last status that the control plane acknowledged.
    #[serde(skip_serializing_if = "is_default")]
    pub sent: ContainerStatus,
    /// The last status put into a report, delivered or not.
    #[serde(skip_serializing_if = "is_default")]
    pub told: ContainerStatus,
    /// Invariant: written before the create call that uses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docker_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docker_id: Option<DockerId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_id: Option<ImageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_digest: Option<Digest>,
    /// Whether the image sets AWS_REGION or AWS_DEFAULT_REGION itself.
    #[serde(skip_serializing_if = "is_default")]
    pub has_image_region: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    /// The first error on its way; becomes the reported reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<NamedError>,
    /// Host ports that the agent chose, in the order of the mappings that wanted one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chosen_ports: Vec<ChosenPorts>,
    /// What the Engine bound.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bindings: Vec<PortBinding>,
    #[serde(with = "stored_time::option", skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// The first start; restarts keep it.
    #[serde(with = "stored_time::option", skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[serde(with = "stored_time::option", skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "RestartTracker::is_unused")]
    pub restarts: RestartTracker,
    #[serde(skip_serializing_if = "Network::is_empty")]
    pub network: Network,
    /// What is mounted, as the Engine says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// The file that describes the container to itself; `None` where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata_file: Option<MetadataFile>,
    /// With a restart policy: the last statistics before the last restart, which later ones are added to
    /// (spec 30 §8.5). Kept for those who sample; nothing here reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_before: Option<Box<Stats>>,
}

/// A container's metadata file (spec 30 §6).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MetadataFile {
    /// Names its directory in the container. Invariant: drawn before the create, and the same ever after.
    pub token: String,
    /// After how many restarts it was last written as ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_at_restart: Option<u64>,
}

/// One mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Mount {
    /// Of the volume; empty for binds.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    pub source: String,
    pub destination: String,
}

/// An error under the name that users know it by (spec 20 §3.6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedError {
    pub name: String,
    pub text: String,
}

impl NamedError {
    pub fn new(name: &str, text: impl Into<String>) -> Self {
        Self { name: name.to_owned(), text: text.into() }
    }
}

impl std::fmt::Display for NamedError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = if self.name.is_empty() { "UnknownError" } else { &self.name };
        write!(f, "{name}: {}", self.text)
    }
}

/// A run of host ports chosen for one mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChosenPorts {
    /// Which mapping of the definition.
    pub mapping: usize,
    pub first: u16,
    pub count: u16,
}

/// One port as the Engine bound it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortBinding {
    pub container_port: u16,
    pub protocol: Protocol,
    pub bind_ip: String,
    pub host_port: u16,
}

/// How often the agent started it again, and when last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RestartTracker {
    pub count: u64,
    #[serde(with = "stored_time::option", skip_serializing_if = "Option::is_none")]
    pub last_at: Option<Timestamp>,
}

impl RestartTracker {
    fn is_unused(&self) -> bool {
        self.count == 0
    }
}

/// Where the container is reached, as its last inspection said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    pub mode: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ipv4: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ipv6: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mac: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub gateway: String,
    /// By the network's name; empty where there is none, as in a network shared with a neighbour.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attached: BTreeMap<String, Attachment>,
}

/// Where the container is reached in one network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attachment {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ipv4: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ipv6: String,
}

impl Network {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What the container's own check says; never stored, since inspection brings it back.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Health {
    pub status: HealthStatus,
    pub since: Option<Timestamp>,
    /// At most 1024 bytes of the last probe's output.
    pub output: String,
    pub exit_code: Option<i64>,
}
