//! The volumes of a payload's task, read (spec 10 §3.5, spec 20 §4.5).

use wire::acs;

use super::Trouble;
use crate::create_request::volume_name;
use crate::rng::Rng;
use crate::task::volume::{HostSource, VolumeDefinition, VolumeKind};

/// Reads all volumes. What cannot be read is told before what cannot be had.
pub(super) fn read(task: &acs::Task, rng: &mut Rng) -> Result<Vec<VolumeDefinition>, Trouble> {
    let mut all = Vec::new();
    let mut refused = None;
    for volume in &task.volumes {
        match read_one(task, volume.as_ref(), rng) {
            Ok(volume) => all.push(volume),
            Err(unreadable @ Trouble::Unreadable(_)) => return Err(unreadable),
            Err(other) => refused = refused.or(Some(other)),
        }
    }
    refused.map_or(Ok(all), Err)
}

fn read_one(task: &acs::Task, volume: Option<&acs::Volume>, rng: &mut Rng) -> Result<VolumeDefinition, Trouble> {
    let unreadable = |cause: &str| Trouble::Unreadable(cause.to_owned());
    let volume = volume.ok_or_else(|| unreadable("a volume is null"))?;
    if volume.name.is_empty() {
        return Err(unreadable("invalid Volume; must include a name"));
    }
    let name = &volume.name;
    let refused =
        |what: &str| Err(Trouble::Impossible(format!("volume {name} needs {what}, which this agent does not support")));
    if let Some(what) = attached(task, name) {
        return refused(what);
    }
    let empty = || unreadable("invalid volume: empty volume configuration");
    let kind = match volume.kind.as_deref() {
        None | Some("host") => {
            let path = volume.host.as_ref().ok_or_else(empty)?.source_path.clone();
            if path.is_empty() && is_mounted(task, name) {
                local(volume_name(&task.family, &task.version, name, rng))
            } else {
                VolumeKind::Host(HostSource { path })
            }
        }
        Some("docker") => docker(task, name, volume.docker_volume_configuration.as_ref().ok_or_else(empty)?, rng)?,
        Some("efs") => {
            volume.efs_volume_configuration.as_ref().ok_or_else(empty)?;
            return refused("Amazon EFS");
        }
        Some("amazonebs") => return refused("Amazon EBS"),
        Some("s3files") => return refused("S3 Files"),
        Some("fsxWindowsFileServer") => {
            return Err(Trouble::Impossible(
                "task with FSx for Windows File Server volumes is only supported on Windows container instance"
                    .to_owned(),
            ));
        }
        Some(other) => return Err(Trouble::Unreadable(format!("unrecognized volume type: {other:?}"))),
    };
    Ok(VolumeDefinition { name: name.clone(), kind })
}

/// What is attached to the task under a volume's name, which then has no configuration of its own.
fn attached(task: &acs::Task, volume: &str) -> Option<&'static str> {
    let names = |attachment: &acs::Attachment| {
        attachment.attachment_properties.iter().flatten().any(|p| p.name == "volumeName" && p.value == volume)
    };
    task.attachments.iter().flatten().find(|a| names(a)).and_then(|a| match a.attachment_type.as_str() {
        "amazonebs" => Some("Amazon EBS"),
        "s3files" => Some("S3 Files"),
        _ => None,
    })
}

/// Only what some container mounts is made.
fn is_mounted(task: &acs::Task, volume: &str) -> bool {
    task.containers.iter().flatten().flat_map(|c| &c.mount_points).any(|mount| mount.source_volume == volume)
}

/// A host volume without a path: the Engine's own, for as long as the task lives.
fn local(docker_name: String) -> VolumeKind {
    VolumeKind::Docker {
        docker_name,
        is_shared: false,
        is_autoprovisioned: false,
        driver: "local".to_owned(),
        options: Default::default(),
        labels: Default::default(),
    }
}

fn docker(task: &acs::Task, name: &str, volume: &acs::DockerVolume, rng: &mut Rng) -> Result<VolumeKind, Trouble> {
    let is_shared = volume.scope != "task";
    if !is_shared && volume.autoprovision {
        return Err(Trouble::Impossible(format!("volume [{name}] : task scoped volume could not be autoprovisioned")));
    }
    Ok(VolumeKind::Docker {
        // A shared volume is the one that others mean too.
        docker_name: if is_shared { name.to_owned() } else { volume_name(&task.family, &task.version, name, rng) },
        is_shared,
        is_autoprovisioned: volume.autoprovision,
        driver: volume.driver.clone(),
        options: volume.driver_opts.clone(),
        labels: volume.labels.clone(),
    })
}
