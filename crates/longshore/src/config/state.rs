//! What the agent keeps on disk (spec 40 §3.6).

use std::path::PathBuf;

use super::sources::Sources;

/// Files of the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    /// As this process sees it.
    pub data_dir: PathBuf,
    /// Parent of the data directory as the host sees it; sources of binds are built from it.
    pub host_data_dir: PathBuf,
    /// State survives a restart.
    pub checkpoint: bool,
    /// Every container gets a file that describes it.
    pub container_metadata_file: bool,
    /// Update messages are obeyed.
    pub updates_enabled: bool,
    pub update_dir: Option<PathBuf>,
    /// The configuration file that was looked for.
    pub config_file: PathBuf,
}

impl State {
    pub(super) fn read(from: &mut Sources<'_>) -> Self {
        let checkpoint_in_file = from.file_bool("Checkpoint");
        // A data directory turns checkpoints on only from the environment, and there more strongly than the file.
        let by_data_dir = from.env("ECS_DATADIR").map(|_| true);
        let checkpoint = from.env_bool("ECS_CHECKPOINT").or(by_data_dir).or(checkpoint_in_file);
        Self {
            data_dir: from.text("ECS_DATADIR", "DataDir").unwrap_or_else(|| "/data/".to_owned()).into(),
            host_data_dir: from
                .text("ECS_HOST_DATA_DIR", "DataDirOnHost")
                .unwrap_or_else(|| "/var/lib/ecs".to_owned())
                .into(),
            checkpoint: checkpoint.unwrap_or(false),
            container_metadata_file: from
                .boolean("ECS_ENABLE_CONTAINER_METADATA", "ContainerMetadataEnabled")
                .unwrap_or(false),
            updates_enabled: from.boolean("ECS_UPDATES_ENABLED", "UpdatesEnabled").unwrap_or(false),
            update_dir: from.text("ECS_UPDATE_DOWNLOAD_DIR", "UpdateDownloadDir").map(PathBuf::from),
            config_file: from.config_file().into(),
        }
    }
}
