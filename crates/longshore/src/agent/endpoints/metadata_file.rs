//! The file that describes a container to itself (spec 30 §6): its text, its place, and how it is written so that
//! nobody reads half of it.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use engine::container::Container;
use engine::task::Task;
use wire::ids::TaskArn;
use wire::metadata::{FilePortMapping, MetadataFile, to_vec_indented};

use super::documents::{Form, networks, protocol};

/// The file's name, in the agent's directory and in the container's.
pub(crate) const FILE_NAME: &str = "ecs-container-metadata.json";

/// The instance, as the file tells of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Host {
    /// As configured; empty where nothing is, even though the agent then registers into `default`.
    pub cluster: String,
    pub instance: String,
    /// Also where task metadata hides it.
    pub availability_zone: String,
    pub private_ipv4: String,
    pub public_ipv4: String,
}

/// Whether the container runs yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Before it is created, so that the directory can be mounted.
    Initial,
    /// After each start.
    Ready,
}

/// The container's directory below the data directory, as the agent sees it.
pub(crate) fn directory(data_dir: &Path, task: &TaskArn, container: &str) -> PathBuf {
    task_directory(data_dir, task).join(container)
}

/// The task's directory, which goes with the task's clean-up. Two levels for long ARNs.
pub(crate) fn task_directory(data_dir: &Path, task: &TaskArn) -> PathBuf {
    let resource = task.as_str().splitn(6, ':').nth(5).unwrap_or_default();
    let part = resource.split_once('/').map_or(resource, |(_, part)| part);
    // An ARN is the control plane's, but must not lead out of the directory.
    let parts = part.split('/').filter(|part| !matches!(*part, "" | "." | ".."));
    parts.fold(data_dir.join("metadata"), |path, part| path.join(part))
}

/// The document.
pub(crate) fn document(task: &Task, container: &Container, host: &Host, stage: Stage) -> MetadataFile {
    let definition = &task.definition;
    let initial = MetadataFile {
        cluster: host.cluster.clone(),
        container_instance_arn: host.instance.clone(),
        task_arn: definition.arn.to_string(),
        task_definition_family: definition.family.clone(),
        task_definition_revision: definition.version.clone(),
        container_name: container.definition.name.clone(),
        availability_zone: host.availability_zone.clone(),
        host_private_ipv4_address: host.private_ipv4.clone(),
        host_public_ipv4_address: host.public_ipv4.clone(),
        ..MetadataFile::default()
    };
    if stage == Stage::Initial {
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

/// Writes the container's file whole, and returns its directory.
///
/// # Errors
/// The directory cannot be made or the file not be written.
pub(crate) fn write(
    data_dir: &Path,
    task: &Task,
    container: &Container,
    host: &Host,
    stage: Stage,
) -> io::Result<PathBuf> {
    let directory = directory(data_dir, task.arn(), container.name());
    DirBuilder::new().recursive(true).mode(0o777).create(&directory)?;
    let text = to_vec_indented(&document(task, container, host, stage)).map_err(io::Error::other)?;
    let temporary = directory.join(format!("temp_metadata_file{}", std::process::id()));
    let mut file = fs::File::create(&temporary)?;
    let outcome = file
        .write_all(&text)
        .and_then(|()| file.set_permissions(Permissions::from_mode(0o644)))
        .and_then(|()| fs::rename(&temporary, directory.join(FILE_NAME)));
    if let Err(error) = outcome {
        // The error says more than what is left.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    Ok(directory)
}

/// Removes the task's files; none is as good.
///
/// # Errors
/// They cannot be removed.
pub(crate) fn remove(data_dir: &Path, task: &TaskArn) -> io::Result<()> {
    let directory = task_directory(data_dir, task);
    if directory == data_dir.join("metadata") {
        return Ok(());
    }
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What a container is created with so that it sees its file. `token` is a fresh UUID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// For `HostConfig.Binds`.
    pub bind: String,
    /// For the environment, after all else.
    pub variable: String,
}

/// The bind and the variable (spec 30 §6). `host_data_dir` is the parent of the data directory as the host sees it.
pub(crate) fn mount(host_data_dir: &Path, directory: &Path, token: &str, has_selinux: bool) -> Mount {
    let label = if has_selinux { ":Z" } else { "" };
    Mount {
        bind: format!("{}/{}:/opt/ecs/metadata/{token}{label}", host_data_dir.display(), directory.display()),
        variable: format!("ECS_CONTAINER_METADATA_FILE=/opt/ecs/metadata/{token}/{FILE_NAME}"),
    }
}
