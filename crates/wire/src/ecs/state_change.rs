//! What the agent reports (spec 10 §4).

use super::EpochSeconds;
use serde::{Deserialize, Serialize};

shapes! {
    /// SubmitTaskStateChange: the request (spec 10 §4.4). The attachment form (§4.5) has `cluster`,
    /// `task` and `attachments` only.
    pub struct SubmitTaskStateChangeRequest {
        pub cluster: Option<String>,
        pub task: Option<String>,
        /// `RUNNING`, `STOPPED`, otherwise `PENDING`.
        pub status: Option<String>,
        /// Sent even when empty (except in the attachment form); at most 1024 bytes.
        pub reason: Option<String>,
        pub containers: Option<Vec<ContainerStateChange>>,
        pub attachments: Option<Vec<AttachmentStateChange>>,
        pub managed_agents: Option<Vec<ManagedAgentStateChange>>,
        pub pull_started_at: Option<EpochSeconds>,
        pub pull_stopped_at: Option<EpochSeconds>,
        pub execution_stopped_at: Option<EpochSeconds>,
    }

    /// One container inside a task's report.
    pub struct ContainerStateChange {
        pub container_name: Option<String>,
        /// At most 255 bytes.
        pub image_digest: Option<String>,
        /// The engine's id of the container; at most 255 bytes.
        pub runtime_id: Option<String>,
        pub exit_code: Option<i64>,
        /// Omitted or `[]` when there is none: spec 10 §4.4.
        pub network_bindings: Option<Vec<NetworkBinding>>,
        /// At most 1024 bytes.
        pub reason: Option<String>,
        pub status: Option<String>,
    }

    /// A published port, or a range of them.
    pub struct NetworkBinding {
        #[serde(rename = "bindIP")]
        pub bind_ip: Option<String>,
        pub container_port: Option<i64>,
        pub host_port: Option<i64>,
        /// `tcp` or `udp`.
        pub protocol: Option<String>,
        /// `a-b`.
        pub container_port_range: Option<String>,
        /// `a-b`.
        pub host_port_range: Option<String>,
    }

    /// A managed agent (ECS Exec) inside a task's report.
    pub struct ManagedAgentStateChange {
        pub container_name: String,
        pub managed_agent_name: String,
        /// `CREATED`, `RUNNING` or `STOPPED`, as they are.
        pub status: String,
        pub reason: Option<String>,
    }

    /// An attachment that arrived.
    pub struct AttachmentStateChange {
        pub attachment_arn: String,
        pub status: String,
    }

    /// SubmitContainerStateChange: the request. No current agent sends it.
    pub struct SubmitContainerStateChangeRequest {
        pub cluster: Option<String>,
        pub task: Option<String>,
        pub container_name: Option<String>,
        pub runtime_id: Option<String>,
        pub status: Option<String>,
        pub exit_code: Option<i64>,
        pub reason: Option<String>,
        pub network_bindings: Option<Vec<NetworkBinding>>,
    }

    /// SubmitAttachmentStateChanges: the request (spec 10 §4.6).
    pub struct SubmitAttachmentStateChangesRequest {
        pub cluster: Option<String>,
        pub attachments: Vec<AttachmentStateChange>,
    }

    /// The answer to all three.
    pub struct SubmitStateChangeResponse {
        pub acknowledgment: Option<String>,
    }
}
