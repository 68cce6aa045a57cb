//! Tasks: running, stopping, describing, protecting.

use super::{
    EnvironmentFile, EphemeralStorage, EpochSeconds, Failure, InferenceAccelerator, KeyValuePair, NetworkBinding,
    ResourceRequirement, Tag,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

shapes! {
    /// A task as the API describes it.
    pub struct Task {
        pub attachments: Vec<Attachment>,
        pub attributes: Vec<super::Attribute>,
        pub availability_zone: Option<String>,
        pub capacity_provider_name: Option<String>,
        pub cluster_arn: String,
        pub connectivity: Option<String>,
        pub connectivity_at: Option<EpochSeconds>,
        pub container_instance_arn: Option<String>,
        pub containers: Vec<Container>,
        /// CPU units as text.
        pub cpu: Option<String>,
        pub created_at: Option<EpochSeconds>,
        /// `RUNNING` or `STOPPED`.
        pub desired_status: String,
        pub enable_execute_command: bool,
        pub execution_stopped_at: Option<EpochSeconds>,
        pub group: Option<String>,
        pub health_status: Option<String>,
        pub last_status: String,
        /// `EC2`, `EXTERNAL` or `FARGATE`.
        pub launch_type: Option<String>,
        /// MiB as text.
        pub memory: Option<String>,
        pub overrides: TaskOverride,
        pub pull_started_at: Option<EpochSeconds>,
        pub pull_stopped_at: Option<EpochSeconds>,
        pub started_at: Option<EpochSeconds>,
        pub started_by: Option<String>,
        pub stop_code: Option<String>,
        pub stopped_at: Option<EpochSeconds>,
        pub stopped_reason: Option<String>,
        pub stopping_at: Option<EpochSeconds>,
        pub tags: Vec<Tag>,
        pub task_arn: String,
        pub task_definition_arn: String,
        /// Raised by every change of the task.
        pub version: i64,
    }

    /// Something attached to a task, such as a network interface.
    pub struct Attachment {
        pub id: Option<String>,
        #[serde(rename = "type")]
        pub kind: Option<String>,
        pub status: Option<String>,
        pub details: Vec<KeyValuePair>,
    }

    /// A container of a task.
    pub struct Container {
        pub container_arn: String,
        pub task_arn: String,
        pub name: String,
        pub image: Option<String>,
        pub image_digest: Option<String>,
        pub runtime_id: Option<String>,
        pub last_status: String,
        pub exit_code: Option<i64>,
        pub reason: Option<String>,
        pub network_bindings: Vec<NetworkBinding>,
        pub network_interfaces: Vec<Value>,
        pub health_status: Option<String>,
        pub managed_agents: Option<Vec<ManagedAgent>>,
        pub cpu: Option<String>,
        pub memory: Option<String>,
        pub memory_reservation: Option<String>,
        pub gpu_ids: Option<Vec<String>>,
    }

    /// A managed agent (ECS Exec) of a container.
    pub struct ManagedAgent {
        pub last_started_at: Option<EpochSeconds>,
        pub name: String,
        pub reason: Option<String>,
        pub last_status: String,
    }

    /// What a run changes of its definition.
    pub struct TaskOverride {
        pub container_overrides: Vec<ContainerOverride>,
        pub cpu: Option<String>,
        pub inference_accelerator_overrides: Vec<InferenceAccelerator>,
        pub execution_role_arn: Option<String>,
        pub memory: Option<String>,
        pub task_role_arn: Option<String>,
        pub ephemeral_storage: Option<EphemeralStorage>,
    }

    /// What a run changes of one container of its definition.
    pub struct ContainerOverride {
        pub name: Option<String>,
        pub command: Option<Vec<String>>,
        pub environment: Option<Vec<KeyValuePair>>,
        pub environment_files: Option<Vec<EnvironmentFile>>,
        pub cpu: Option<i64>,
        /// MiB.
        pub memory: Option<i64>,
        /// MiB.
        pub memory_reservation: Option<i64>,
        pub resource_requirements: Option<Vec<ResourceRequirement>>,
    }

    /// Where a task may run.
    pub struct PlacementConstraint {
        /// `distinctInstance` or `memberOf`.
        #[serde(rename = "type")]
        pub kind: String,
        pub expression: Option<String>,
    }

    /// Which of the fitting instances is taken.
    pub struct PlacementStrategy {
        /// `random`, `spread` or `binpack`.
        #[serde(rename = "type")]
        pub kind: String,
        pub field: Option<String>,
    }

    /// RunTask: the request.
    pub struct RunTaskRequest {
        pub capacity_provider_strategy: Option<Vec<Value>>,
        pub cluster: Option<String>,
        pub count: Option<i64>,
        pub enable_execute_command: Option<bool>,
        pub group: Option<String>,
        pub launch_type: Option<String>,
        pub network_configuration: Option<Value>,
        pub overrides: Option<TaskOverride>,
        pub placement_constraints: Option<Vec<PlacementConstraint>>,
        pub placement_strategy: Option<Vec<PlacementStrategy>>,
        pub propagate_tags: Option<String>,
        pub started_by: Option<String>,
        pub tags: Option<Vec<Tag>>,
        pub task_definition: String,
        pub client_token: Option<String>,
    }

    /// StartTask: the request.
    pub struct StartTaskRequest {
        pub cluster: Option<String>,
        pub container_instances: Vec<String>,
        pub enable_execute_command: Option<bool>,
        pub group: Option<String>,
        pub network_configuration: Option<Value>,
        pub overrides: Option<TaskOverride>,
        pub propagate_tags: Option<String>,
        pub started_by: Option<String>,
        pub tags: Option<Vec<Tag>>,
        pub task_definition: String,
    }

    /// RunTask, StartTask and DescribeTasks: the answer.
    pub struct TasksResponse {
        pub tasks: Vec<Task>,
        pub failures: Vec<Failure>,
    }

    /// StopTask: the request.
    pub struct StopTaskRequest {
        pub cluster: Option<String>,
        pub task: String,
        pub reason: Option<String>,
    }

    /// StopTask: the answer.
    pub struct TaskResponse {
        pub task: Task,
    }

    /// DescribeTasks: the request.
    pub struct DescribeTasksRequest {
        pub cluster: Option<String>,
        pub tasks: Vec<String>,
        pub include: Option<Vec<String>>,
    }

    /// ListTasks: the request.
    pub struct ListTasksRequest {
        pub cluster: Option<String>,
        pub container_instance: Option<String>,
        pub family: Option<String>,
        pub next_token: Option<String>,
        pub max_results: Option<i64>,
        pub started_by: Option<String>,
        pub service_name: Option<String>,
        pub desired_status: Option<String>,
        pub launch_type: Option<String>,
    }

    /// GetTaskProtection: the request (spec 10 §8.1).
    pub struct GetTaskProtectionRequest {
        pub cluster: Option<String>,
        pub tasks: Option<Vec<String>>,
    }

    /// UpdateTaskProtection: the request (spec 10 §8.1).
    pub struct UpdateTaskProtectionRequest {
        pub cluster: Option<String>,
        pub tasks: Vec<String>,
        pub protection_enabled: bool,
        pub expires_in_minutes: Option<i64>,
    }

    /// GetTaskProtection and UpdateTaskProtection: the answer.
    pub struct TaskProtectionResponse {
        pub protected_tasks: Vec<ProtectedTask>,
        pub failures: Vec<Failure>,
    }

    /// Whether a task is protected against scale-in.
    pub struct ProtectedTask {
        pub task_arn: Option<String>,
        pub protection_enabled: bool,
        pub expiration_date: Option<EpochSeconds>,
    }
}
