//! Container instances: registration, discovery, attributes, state (spec 10 §1.7, §2.1).

use super::{EpochSeconds, Failure, Tag};
use serde::{Deserialize, Serialize};

shapes! {
    /// A capability or property of a container instance; some have a name only.
    pub struct Attribute {
        pub name: String,
        pub value: Option<String>,
        pub target_type: Option<String>,
        pub target_id: Option<String>,
    }

    /// An amount of something that tasks take from an instance (spec 10 §1.7.2).
    pub struct Resource {
        pub name: String,
        /// `INTEGER`, `STRINGSET`; also known: `DOUBLE`, `LONG`.
        #[serde(rename = "type")]
        pub kind: String,
        pub double_value: Option<f64>,
        pub long_value: Option<i64>,
        /// CPU units or MiB. The agent omits it when it is 0.
        pub integer_value: Option<i64>,
        /// Ports as decimal text; `[]` is sent.
        pub string_set_value: Option<Vec<String>>,
    }

    /// A device that is no `Resource`: GPUs.
    pub struct PlatformDevice {
        pub id: String,
        #[serde(rename = "type")]
        pub kind: String,
    }

    /// What runs on the instance.
    pub struct VersionInfo {
        pub agent_version: Option<String>,
        pub agent_hash: Option<String>,
        pub docker_version: Option<String>,
    }

    /// RegisterContainerInstance: the request (spec 10 §1.7.1).
    pub struct RegisterContainerInstanceRequest {
        pub cluster: Option<String>,
        /// Set on re-registration only.
        pub container_instance_arn: Option<String>,
        /// Always sent by the agent, `""` when there is none.
        pub instance_identity_document: Option<String>,
        /// Always sent by the agent, `""` when there is none.
        pub instance_identity_document_signature: Option<String>,
        pub total_resources: Option<Vec<Resource>>,
        pub attributes: Option<Vec<Attribute>>,
        pub tags: Option<Vec<Tag>>,
        /// Absent without GPU support, `[]` when the host has none.
        pub platform_devices: Option<Vec<PlatformDevice>>,
        /// The same for every retry of one registration.
        pub client_token: Option<String>,
        /// Not sent by the reference agent.
        pub version_info: Option<VersionInfo>,
    }

    /// RegisterContainerInstance and DeregisterContainerInstance: the answer.
    pub struct ContainerInstanceResponse {
        pub container_instance: ContainerInstance,
    }

    /// A container instance as the API describes it.
    pub struct ContainerInstance {
        pub container_instance_arn: String,
        pub ec2_instance_id: Option<String>,
        pub capacity_provider_name: Option<String>,
        pub version: i64,
        pub version_info: VersionInfo,
        pub remaining_resources: Vec<Resource>,
        pub registered_resources: Vec<Resource>,
        /// `ACTIVE`, `DRAINING`, `INACTIVE`.
        pub status: String,
        pub status_reason: Option<String>,
        pub agent_connected: bool,
        pub running_tasks_count: i64,
        pub pending_tasks_count: i64,
        pub attributes: Vec<Attribute>,
        pub registered_at: Option<EpochSeconds>,
        pub attachments: Vec<serde_json::Value>,
        pub tags: Vec<Tag>,
        pub health_status: Option<ContainerInstanceHealthStatus>,
    }

    /// The instance's own health, when it was asked for.
    pub struct ContainerInstanceHealthStatus {
        pub overall_status: String,
        pub details: Vec<InstanceHealthCheckResult>,
    }

    /// One health check of an instance.
    pub struct InstanceHealthCheckResult {
        #[serde(rename = "type")]
        pub kind: String,
        pub status: String,
        pub last_updated: Option<EpochSeconds>,
        pub last_status_change: Option<EpochSeconds>,
    }

    /// DiscoverPollEndpoint: the request (spec 10 §2.1).
    pub struct DiscoverPollEndpointRequest {
        pub container_instance: Option<String>,
        pub cluster: Option<String>,
        /// Sent as `""`.
        pub zone_id: Option<String>,
    }

    /// DiscoverPollEndpoint: the answer.
    pub struct DiscoverPollEndpointResponse {
        pub endpoint: Option<String>,
        pub telemetry_endpoint: Option<String>,
        pub service_connect_endpoint: Option<String>,
        pub system_logs_endpoint: Option<String>,
    }

    /// UpdateContainerInstancesState: the request.
    pub struct UpdateContainerInstancesStateRequest {
        pub cluster: Option<String>,
        pub container_instances: Vec<String>,
        /// `ACTIVE` or `DRAINING`.
        pub status: String,
    }

    /// UpdateContainerInstancesState and DescribeContainerInstances: the answer.
    pub struct ContainerInstancesResponse {
        pub container_instances: Vec<ContainerInstance>,
        pub failures: Vec<Failure>,
    }

    /// DescribeContainerInstances: the request.
    pub struct DescribeContainerInstancesRequest {
        pub cluster: Option<String>,
        pub container_instances: Vec<String>,
        pub include: Option<Vec<String>>,
    }

    /// ListContainerInstances: the request.
    pub struct ListContainerInstancesRequest {
        pub cluster: Option<String>,
        /// An expression of the cluster query language.
        pub filter: Option<String>,
        pub next_token: Option<String>,
        pub max_results: Option<i64>,
        pub status: Option<String>,
    }

    /// DeregisterContainerInstance: the request.
    pub struct DeregisterContainerInstanceRequest {
        pub cluster: Option<String>,
        pub container_instance: String,
        pub force: Option<bool>,
    }

    /// PutAttributes and DeleteAttributes: request and answer have the same list.
    pub struct AttributesRequest {
        pub cluster: Option<String>,
        pub attributes: Vec<Attribute>,
    }

    /// ListAttributes: the request.
    pub struct ListAttributesRequest {
        pub cluster: Option<String>,
        pub target_type: Option<String>,
        pub attribute_name: Option<String>,
        pub attribute_value: Option<String>,
        pub next_token: Option<String>,
        pub max_results: Option<i64>,
    }
}
