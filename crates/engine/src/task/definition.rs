//! What a payload asks of a task, parsed once.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wire::acs::Association;
use wire::ids::{CredentialsId, TaskArn, TaskId};

use crate::container::Definition;
use crate::rows::is_default;
use crate::task::cgroup::CgroupDefinition;
use crate::task::volume::VolumeDefinition;

/// A task's network mode (spec 10 §3.4).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkMode {
    #[default]
    Bridge,
    Host,
    None,
    Awsvpc,
    /// A word that is kept as received and only warned about.
    Other(String),
}

impl From<&str> for NetworkMode {
    fn from(word: &str) -> Self {
        match word {
            "" | "bridge" => Self::Bridge,
            "host" => Self::Host,
            "none" => Self::None,
            "awsvpc" => Self::Awsvpc,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl std::fmt::Display for NetworkMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bridge => "bridge",
            Self::Host => "host",
            Self::None => "none",
            Self::Awsvpc => "awsvpc",
            Self::Other(word) => word,
        })
    }
}

/// A task as the payload defines it; fixed from admission on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskDefinition {
    pub arn: TaskArn,
    pub id: TaskId,
    pub family: String,
    pub version: String,
    #[serde(skip_serializing_if = "is_default")]
    pub service_name: String,
    #[serde(skip_serializing_if = "is_default")]
    pub group: String,
    #[serde(skip_serializing_if = "is_default")]
    pub launch_type: String,
    #[serde(skip_serializing_if = "is_default")]
    pub network_mode: NetworkMode,
    /// `host`, `task` or empty.
    #[serde(skip_serializing_if = "is_default")]
    pub pid_mode: String,
    /// `host`, `task`, `none` or empty.
    #[serde(skip_serializing_if = "is_default")]
    pub ipc_mode: String,
    /// vCPU; 0 for no limit.
    #[serde(skip_serializing_if = "is_default")]
    pub cpu: f64,
    /// MiB; 0 for no limit.
    #[serde(skip_serializing_if = "is_default")]
    pub memory_mib: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub containers: Vec<Arc<Definition>>,
    #[serde(skip_serializing_if = "is_default")]
    pub volumes: Vec<VolumeDefinition>,
    /// Limits of the task as a whole; `None` where those are switched off.
    #[serde(skip_serializing_if = "is_default")]
    pub cgroup: Option<CgroupDefinition>,
    #[serde(skip_serializing_if = "is_default")]
    pub associations: Vec<Association>,
    #[serde(skip_serializing_if = "is_default")]
    pub task_credentials: Option<CredentialsId>,
    #[serde(skip_serializing_if = "is_default")]
    pub execution_credentials: Option<CredentialsId>,
    #[serde(skip_serializing_if = "is_default")]
    pub has_fault_injection: bool,
}
