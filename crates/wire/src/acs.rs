//! The agent communication service's messages (spec 10 §2.5, §3): the envelope, what the agent hears
//! and what it answers. Every member is optional on the wire; what is required is the engine's matter.

mod container;
mod envelope;
mod task;

pub use container::{
    Container, ContainerDependency, DockerConfig, EcrAuthData, EnvironmentFile, FirelensConfiguration, ManagedAgent,
    MountPoint, PortMapping, RegistryAuthentication, RestartPolicy, SecretReference, VolumeFrom,
};
pub use envelope::{Undecodable, inbound, outbound};
pub use task::{
    Association, AssociationContent, Attachment, DockerVolume, EfsAuthorization, EfsVolume, HostVolume, Property,
    ProxyConfiguration, RoleCredentials, Task, Volume,
};

use serde::{Deserialize, Serialize};

/// What the control plane may say to an agent (spec 10 §3.2).
#[derive(Debug, Clone, PartialEq)]
pub enum Inbound {
    Payload(Payload),
    Heartbeat(Heartbeat),
    Credentials(CredentialsRefresh),
    TaskManifest(TaskManifest),
    TaskStopVerificationAck(TaskStopVerificationAck),
    AttachTaskNetworkInterfaces(AttachNetworkInterfaces),
    AttachInstanceNetworkInterfaces(AttachNetworkInterfaces),
    ConfirmAttachment(ConfirmAttachment),
    StageUpdate(Update),
    PerformUpdate(Update),
    /// A recognised message that has no handler: it counts as activity and is only logged.
    Notice {
        kind: String,
        message: String,
    },
}

impl Inbound {
    /// The message's type on the wire, for logs.
    pub fn kind(&self) -> &str {
        match self {
            Self::Payload(_) => "PayloadMessage",
            Self::Heartbeat(_) => "HeartbeatMessage",
            Self::Credentials(_) => "IAMRoleCredentialsMessage",
            Self::TaskManifest(_) => "TaskManifestMessage",
            Self::TaskStopVerificationAck(_) => "TaskStopVerificationAck",
            Self::AttachTaskNetworkInterfaces(_) => "AttachTaskNetworkInterfacesMessage",
            Self::AttachInstanceNetworkInterfaces(_) => "AttachInstanceNetworkInterfacesMessage",
            Self::ConfirmAttachment(_) => "ConfirmAttachmentMessage",
            Self::StageUpdate(_) => "StageUpdateMessage",
            Self::PerformUpdate(_) => "PerformUpdateMessage",
            Self::Notice { kind, .. } => kind,
        }
    }
}

/// Tasks to start or stop (spec 10 §3.3).
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Payload {
    pub cluster_arn: String,
    pub container_instance_arn: String,
    pub message_id: String,
    pub seq_num: Option<i64>,
    pub generated_at: Option<i64>,
    pub timeline: Option<i64>,
    /// An entry may be `null`, which spoils the payload but none of its neighbours.
    pub tasks: Vec<Option<Task>>,
}

/// A sign of life that must be answered (spec 10 §3.10).
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Heartbeat {
    pub message_id: String,
    pub healthy: Option<bool>,
}

/// Fresh credentials for a task's role (spec 10 §6.2).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CredentialsRefresh {
    pub message_id: String,
    pub task_arn: String,
    pub task_cluster_arn: String,
    pub role_type: String,
    pub role_credentials: Option<RoleCredentials>,
}

/// All tasks that should be here (spec 10 §3.9).
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TaskManifest {
    pub cluster_arn: String,
    pub container_instance_arn: String,
    pub message_id: String,
    pub generated_at: Option<i64>,
    pub timeline: Option<i64>,
    pub tasks: Vec<Option<TaskIdentifier>>,
}

/// A task as manifests and stop verification name it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TaskIdentifier {
    pub desired_status: String,
    pub task_arn: String,
    pub task_cluster_arn: String,
}

/// The candidates that really are to be stopped (spec 10 §3.9).
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TaskStopVerificationAck {
    pub message_id: String,
    pub generated_at: Option<i64>,
    pub stop_tasks: Vec<Option<TaskIdentifier>>,
}

/// Network interfaces that are about to appear (spec 10 §3.7).
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AttachNetworkInterfaces {
    pub cluster_arn: String,
    pub container_instance_arn: String,
    pub message_id: String,
    pub task_arn: String,
    pub task_cluster_arn: String,
    pub wait_timeout_ms: Option<i64>,
    pub elastic_network_interfaces: Vec<serde_json::Value>,
}

/// A volume or other resource that is about to appear (spec 10 §3.8).
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConfirmAttachment {
    pub cluster_arn: String,
    pub container_instance_arn: String,
    pub message_id: String,
    pub task_arn: String,
    pub task_cluster_arn: String,
    pub wait_timeout_ms: Option<i64>,
    pub attachment: Option<Attachment>,
}

/// A new agent version to stage or to switch to (spec 10 §3.13).
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Update {
    pub cluster_arn: String,
    pub container_instance_arn: String,
    pub message_id: String,
    pub update_info: Option<UpdateInfo>,
}

/// Where the new version is and what its checksum is.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UpdateInfo {
    pub location: String,
    pub signature: String,
}

/// What an agent may say (spec 10 §3.1). Unset members are omitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "message")]
pub enum Outbound {
    #[serde(rename = "AckRequest", rename_all = "camelCase")]
    Ack { cluster: String, container_instance: String, message_id: String },
    #[serde(rename = "NackRequest", rename_all = "camelCase")]
    Nack { cluster: String, container_instance: String, message_id: String, reason: String },
    #[serde(rename = "HeartbeatAckRequest", rename_all = "camelCase")]
    HeartbeatAck { message_id: String },
    #[serde(rename = "IAMRoleCredentialsAckRequest", rename_all = "camelCase")]
    CredentialsAck { credentials_id: String, expiration: String, message_id: String },
    #[serde(rename = "TaskStopVerificationMessage", rename_all = "camelCase")]
    TaskStopVerification { message_id: String, stop_candidates: Vec<TaskIdentifier> },
}

#[cfg(test)]
mod tests;
