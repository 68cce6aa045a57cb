//! What the agent tells those on its own machine: task metadata v2, v3 and v4, credentials, task protection,
//! introspection, the metadata file (spec 30). Shapes and their text; who may ask for what is decided elsewhere.
//!
//! Every document is written by [`to_vec`], in the manner of Go's encoder, because clients were built against it.

mod agent_api;
mod credentials;
mod encode;
mod file;
mod introspection;
mod stats;
mod task;

pub use agent_api::{AgentApiError, FaultAnswer, Protection, ProtectionAnswer, ProtectionFailure};
pub use credentials::{CredentialsDocument, CredentialsFault};
pub use encode::{to_vec, to_vec_indented};
pub use file::{FilePortMapping, METADATA_FILE_NAME, MetadataFile, container_metadata_directory, metadata_directory};
pub use introspection::{AgentMetadata, AvailableCommands, IntrospectedContainer, IntrospectedTask, IntrospectedTasks};
pub use stats::{NetworkRates, StatsDocument};
pub use task::{
    AssociationList, ContainerDocument, ContainerLimits, Health, MountedVolume, Network, Port, TagError, TaskDocument,
    TaskLimits,
};

#[cfg(test)]
mod tests;
