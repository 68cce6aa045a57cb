//! The statuses of tasks and containers: totally ordered, compared everywhere (spec 20 §1.1–1.2).

use std::fmt;

use serde::{Deserialize, Serialize};

/// How far a container is, or should get.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ContainerStatus {
    #[default]
    None,
    /// The image's digest is resolved, or need not be.
    ManifestPulled,
    Pulled,
    Created,
    Running,
    /// Running with its network set up: the steady state of pause containers that hold a network.
    ResourcesProvisioned,
    Stopped,
}

impl ContainerStatus {
    pub const fn is_running(self) -> bool {
        matches!(self, Self::Running | Self::ResourcesProvisioned)
    }

    /// The word that the control plane knows.
    pub const fn reported(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Stopped => "STOPPED",
            Self::None | Self::ManifestPulled | Self::Pulled | Self::Created | Self::ResourcesProvisioned => "PENDING",
        }
    }
}

impl fmt::Display for ContainerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "NONE",
            Self::ManifestPulled => "MANIFEST_PULLED",
            Self::Pulled => "PULLED",
            Self::Created => "CREATED",
            Self::Running => "RUNNING",
            Self::ResourcesProvisioned => "RESOURCES_PROVISIONED",
            Self::Stopped => "STOPPED",
        })
    }
}

/// How far a task is, or should get.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TaskStatus {
    #[default]
    None,
    ManifestPulled,
    Created,
    Running,
    Stopped,
}

impl TaskStatus {
    /// Reads the control plane's word (spec 10 §3.4). `None` for a word that spoils the task.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "" | "NONE" | "UNKNOWN" => Self::None,
            "MANIFEST_PULLED" => Self::ManifestPulled,
            "CREATED" => Self::Created,
            "RUNNING" => Self::Running,
            "STOPPED" | "DEAD" => Self::Stopped,
            _ => return None,
        })
    }

    /// The word that the control plane knows.
    pub const fn reported(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Stopped => "STOPPED",
            Self::None | Self::ManifestPulled | Self::Created => "PENDING",
        }
    }

    /// What a container whose known status is `known` makes of its task (spec 20 §1.2).
    pub fn from_container(known: ContainerStatus, steady: ContainerStatus) -> Self {
        match known {
            known if known == steady => Self::Running,
            ContainerStatus::ManifestPulled | ContainerStatus::Pulled => Self::ManifestPulled,
            ContainerStatus::Created | ContainerStatus::Running => Self::Created,
            ContainerStatus::Stopped => Self::Stopped,
            ContainerStatus::None | ContainerStatus::ResourcesProvisioned => Self::None,
        }
    }

    /// What a task that should be at this status wants of a container.
    pub const fn for_container(self, steady: ContainerStatus) -> ContainerStatus {
        match self {
            Self::Created => ContainerStatus::Created,
            Self::Running => steady,
            Self::Stopped => ContainerStatus::Stopped,
            Self::None | Self::ManifestPulled => ContainerStatus::None,
        }
    }
}

impl fmt::Display for TaskStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "NONE",
            Self::ManifestPulled => "MANIFEST_PULLED",
            Self::Created => "CREATED",
            Self::Running => "RUNNING",
            Self::Stopped => "STOPPED",
        })
    }
}

/// What a container's own health check says (spec 20 §10.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum HealthStatus {
    #[default]
    Unknown,
    Healthy,
    Unhealthy,
}

impl fmt::Display for HealthStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "UNKNOWN",
            Self::Healthy => "HEALTHY",
            Self::Unhealthy => "UNHEALTHY",
        })
    }
}
