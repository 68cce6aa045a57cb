//! The rows in which the reference agent keeps its state (spec 20 §9.1): their shapes as its JSON has them.
//!
//! Read only, for moving in. Members that are not known are skipped, absent and `null` are alike, and words
//! stay words: what they mean for a task is the engine's matter.

mod container;
mod scalar;
mod task;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::bbolt::{BboltError, Database};
use crate::gojson;

pub use container::{
    ApplyingError, Container, ContainerRow, ContainerType, PortMapping, RestartTracker, SecretReference,
};
pub use scalar::{StatusWord, Time};
pub use task::{
    CgroupResource, CpuSpec, DockerVolume, DockerVolumeResource, HostVolume, LimitSpec, ResourceSpec, Task, Volume,
};

const CONTAINERS: &str = "containers";
const ENI_ATTACHMENTS: &str = "eniattachments";
const IMAGES: &str = "images";
const METADATA: &str = "metadata";
const RESOURCE_ATTACHMENTS: &str = "resattachments";
const TASKS: &str = "tasks";

/// Why a state is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowsError {
    #[error(transparent)]
    File(#[from] BboltError),
    /// A sound database with none of the agent's buckets in it.
    #[error("it is the bbolt database of some other program: it has none of the agent's buckets")]
    Foreign,
    #[error("row {key:?} of bucket {bucket} does not read: {cause}")]
    Row { bucket: &'static str, key: String, cause: String },
}

/// All that the reference agent remembers.
#[derive(Debug, Clone, Default)]
pub struct AgentState {
    pub metadata: Metadata,
    /// By task id.
    pub tasks: BTreeMap<String, Task>,
    /// By task id, `-` and container name.
    pub containers: BTreeMap<String, ContainerRow>,
    /// By image id.
    pub images: BTreeMap<String, Image>,
    /// Network interfaces that were attached, by attachment id.
    pub eni_attachments: BTreeMap<String, Value>,
    /// Other attachments, such as EBS volumes, by attachment id.
    pub resource_attachments: BTreeMap<String, Value>,
}

/// What registration yielded. Empty where it is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Empty also before the first registration.
    pub agent_version: String,
    pub availability_zone: String,
    pub cluster_name: String,
    pub container_instance_arn: String,
    pub ec2_instance_id: String,
    /// The latest task manifest that was taken; sequence numbers of payloads are never stored.
    pub task_manifest_seq_num: String,
}

/// An image that tasks used.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Image {
    pub image: ImageNames,
    pub pulled_at: Time,
    pub last_used_at: Time,
    pub pull_succeeded: bool,
    /// Names of variables that the image sets itself and the agent must not.
    pub managed_env_keys: BTreeMap<String, bool>,
}

/// An image's id and the references under which it was used.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageNames {
    #[serde(rename = "ImageID")]
    pub image_id: String,
    pub names: Vec<String>,
    /// Bytes.
    pub size: i64,
}

impl AgentState {
    /// Reads all rows.
    ///
    /// # Errors
    /// The tree of a bucket is damaged, the database is not the agent's, or a row is not of its shape.
    pub fn read(database: &Database<'_>) -> Result<Self, RowsError> {
        let buckets = database.buckets()?;
        let known = [CONTAINERS, ENI_ATTACHMENTS, IMAGES, METADATA, RESOURCE_ATTACHMENTS, TASKS];
        // With no bucket at all, the agent was stopped before it had made them.
        if !buckets.is_empty() && !buckets.iter().any(|bucket| known.iter().any(|name| name.as_bytes() == *bucket)) {
            return Err(RowsError::Foreign);
        }
        Ok(Self {
            metadata: metadata(&read(database, METADATA)?),
            tasks: read(database, TASKS)?,
            containers: read(database, CONTAINERS)?,
            images: read(database, IMAGES)?,
            eni_attachments: read(database, ENI_ATTACHMENTS)?,
            resource_attachments: read(database, RESOURCE_ATTACHMENTS)?,
        })
    }
}

fn read<T: DeserializeOwned>(database: &Database<'_>, bucket: &'static str) -> Result<BTreeMap<String, T>, RowsError> {
    let rows = database.rows(bucket)?.unwrap_or_default();
    rows.into_iter()
        .map(|(key, value)| {
            let key = String::from_utf8_lossy(key).into_owned();
            let read = std::str::from_utf8(value)
                .map_err(|error| error.to_string())
                .and_then(|text| gojson::from_str(text).map_err(|error| error.to_string()));
            match read {
                Ok(value) => Ok((key, value)),
                Err(cause) => Err(RowsError::Row { bucket, key, cause }),
            }
        })
        .collect()
}

fn metadata(rows: &BTreeMap<String, Value>) -> Metadata {
    let text = |key: &str| rows.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    Metadata {
        agent_version: text("agent-version"),
        availability_zone: text("availability-zone"),
        cluster_name: text("cluster-name"),
        container_instance_arn: text("container-instance-arn"),
        ec2_instance_id: text("ec2-instance-id"),
        task_manifest_seq_num: text("task-manifest-seq-num"),
    }
}

#[cfg(test)]
mod tests;
