//! A task's volumes.

use wire::rows;

use crate::status::TaskStatus;
use crate::task::volume::VolumeDefinition;
use crate::task::{HostSource, VolumeKind, VolumeState};

/// A volume with the name that Docker knows it by.
pub(super) fn definition(row: &rows::Volume) -> VolumeDefinition {
    let host = row.host.clone().unwrap_or_default();
    let kind = match (row.kind.as_str(), &row.docker_volume_configuration) {
        ("docker", Some(volume)) => docker(&row.name, volume, volume.scope != "task"),
        // A volume that the agent made because the task named no directory.
        ("" | "host", _) if !host.host_path.is_empty() => {
            let local = rows::DockerVolume { driver: "local".to_owned(), ..rows::DockerVolume::default() };
            docker(&row.name, &rows::DockerVolume { docker_volume_name: host.host_path, ..local }, false)
        }
        ("" | "host", _) => VolumeKind::Host(HostSource { path: host.source_path }),
        // The volume that Docker was given for a remote file system; removing it unmounts and deletes nothing there.
        _ => match row.efs_volume_configuration.as_ref().or(row.s3_files_volume_configuration.as_ref()) {
            Some(volume) if !volume.docker_volume_name.is_empty() => docker(&row.name, volume, false),
            _ => VolumeKind::Host(HostSource::default()),
        },
    };
    VolumeDefinition { name: row.name.clone(), kind }
}

/// Whether a container that mounts it could be made here.
pub(super) fn is_supported(row: &rows::Volume) -> bool {
    matches!(row.kind.as_str(), "" | "host" | "docker")
}

fn docker(name: &str, volume: &rows::DockerVolume, is_shared: bool) -> VolumeKind {
    let own = &volume.docker_volume_name;
    VolumeKind::Docker {
        docker_name: if own.is_empty() { name.to_owned() } else { own.clone() },
        is_shared,
        is_autoprovisioned: volume.autoprovision,
        driver: volume.driver.clone(),
        options: volume.driver_opts.clone(),
        labels: volume.labels.clone(),
    }
}

/// How far a volume is. One resource of several may stand for it, and the furthest counts; without any, a
/// container that exists proves that it is there.
pub(super) fn state(task: &rows::Task, volume: &VolumeDefinition, is_any_created: bool) -> VolumeState {
    if !volume.is_managed() {
        return VolumeState::None;
    }
    let known = task.docker_volumes().into_iter().filter(|resource| resource.name == volume.name);
    let furthest = known.map(|resource| match resource.known_status.as_str() {
        "CREATED" | "1" => VolumeState::Created,
        "REMOVED" | "2" => VolumeState::Removed,
        _ => VolumeState::None,
    });
    match furthest.max() {
        // A volume that still has to be removed was not, whatever a stopped task's row says of a neighbour.
        Some(VolumeState::Removed) if TaskStatus::parse(task.known_status.as_str()) != Some(TaskStatus::Stopped) => {
            VolumeState::Created
        }
        Some(state) => state,
        None if is_any_created => VolumeState::Created,
        None => VolumeState::None,
    }
}
