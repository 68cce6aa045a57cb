//! The file that describes a container to itself (spec 30 §6): its text, its place, and how it is written so that
//! nobody reads half of it.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use engine::container::Container;
use engine::effect::MetadataStage;
use engine::task::Task;
use wire::ids::TaskArn;
use wire::metadata::{
    FilePortMapping, METADATA_FILE_NAME, MetadataFile, container_metadata_directory, metadata_directory,
    to_vec_indented,
};

use super::documents::{Form, networks, protocol};

/// The instance, as the file tells of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Host {
    /// As configured; empty where nothing is, even though the agent then registers into `default`.
    pub cluster: String,
    pub instance: String,
    /// Also where task metadata hides it.
    pub availability_zone: String,
    pub addresses: Addresses,
}

/// Where the instance is reached; empty where unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Addresses {
    pub private_ipv4: String,
    pub public_ipv4: String,
    /// Only where there is no other.
    pub ipv6: String,
}

/// The container's directory below the data directory, as the agent sees it.
pub(crate) fn directory(data_dir: &Path, task: &TaskArn, container: &str) -> PathBuf {
    data_dir.join("metadata").join(container_metadata_directory(task, container))
}

/// The document.
pub(crate) fn document(task: &Task, container: &Container, host: &Host, stage: MetadataStage) -> MetadataFile {
    let definition = &task.definition;
    let initial = MetadataFile {
        cluster: host.cluster.clone(),
        container_instance_arn: host.instance.clone(),
        task_arn: definition.arn.to_string(),
        task_definition_family: definition.family.clone(),
        task_definition_revision: definition.version.clone(),
        container_name: container.definition.name.to_string(),
        availability_zone: host.availability_zone.clone(),
        host_private_ipv4_address: host.addresses.private_ipv4.clone(),
        host_public_ipv4_address: host.addresses.public_ipv4.clone(),
        host_ipv6_address: host.addresses.ipv6.clone(),
        ..MetadataFile::default()
    };
    if stage == MetadataStage::Initial {
        return initial;
    }
    let state = &container.state;
    let bindings = state.bindings.iter();
    MetadataFile {
        container_id: state.docker_id.as_ref().map(ToString::to_string).unwrap_or_default(),
        docker_container_name: state.docker_name.as_ref().map(|name| format!("/{name}")).unwrap_or_default(),
        image_id: state.image_id.as_ref().map(ToString::to_string).unwrap_or_default(),
        image_name: container.definition.image.to_string(),
        port_mappings: bindings
            .map(|binding| FilePortMapping {
                container_port: binding.container_port,
                container_port_range: String::new(),
                host_port: binding.host_port,
                bind_ip: binding.bind_ip.clone(),
                protocol: protocol(binding.protocol),
            })
            .collect(),
        networks: networks(task, container, Form::V4),
        metadata_file_status: Some("READY"),
        ..initial
    }
}

/// Writes the container's file whole.
///
/// # Errors
/// The directory cannot be made or the file not be written.
pub(crate) fn write(
    data_dir: &Path,
    task: &Task,
    container: &Container,
    host: &Host,
    stage: MetadataStage,
) -> io::Result<()> {
    let directory = directory(data_dir, task.arn(), container.name());
    DirBuilder::new().recursive(true).mode(0o777).create(&directory)?;
    let text = to_vec_indented(&document(task, container, host, stage)).map_err(io::Error::other)?;
    let temporary = directory.join(format!("temp_metadata_file{}", std::process::id()));
    let mut file = fs::File::create(&temporary)?;
    let outcome = file
        .write_all(&text)
        .and_then(|()| file.set_permissions(Permissions::from_mode(0o644)))
        .and_then(|()| fs::rename(&temporary, directory.join(METADATA_FILE_NAME)));
    if outcome.is_err() {
        // The error says more than what is left.
        let _ = fs::remove_file(&temporary);
    }
    outcome
}

/// Removes the task's files; none is as good.
///
/// # Errors
/// They cannot be removed.
pub(crate) fn remove(data_dir: &Path, task: &TaskArn) -> io::Result<()> {
    let directory = metadata_directory(task);
    if directory.is_empty() {
        return Ok(());
    }
    match fs::remove_dir_all(data_dir.join("metadata").join(directory)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
