//! Clears up after runs that were killed, as they would have done: containers, volumes, cgroups, directory. What is theirs is
//! what they wrote down before they made it.

use std::path::Path;

use docker::{Engine, Filters, Kind, ListContainers};
use host::cgroup::Cgroups;

use super::temporary::Abandoned;
use super::text;
use crate::local::docker_endpoint;
use crate::local::home::{Home, LeftTask};

/// What was cleared.
#[derive(Debug, Default)]
struct Cleared {
    runs: usize,
    containers: usize,
    volumes: usize,
}

/// Clears what killed runs of this user left on this Docker Engine, and says so. What cannot be cleared is left to the
/// next who tries. Cancel-safe.
pub(super) async fn clear() {
    let endpoint = docker_endpoint();
    let mut cleared = Cleared::default();
    for run in Abandoned::find(&std::env::temp_dir()) {
        if run.note.docker != endpoint {
            continue;
        }
        let path = run.path().display().to_string();
        if let Err(error) = clear_one(run, &mut cleared).await {
            eprintln!("longshore: cannot clear what a killed run left in {path}: {error:#}");
        }
    }
    if cleared.runs > 0 {
        eprintln!("longshore: {}", told(&cleared));
    }
}

async fn clear_one(run: Abandoned, cleared: &mut Cleared) -> anyhow::Result<()> {
    if !run.note.is_kept {
        let docker = Engine::connect(&run.note.docker)?;
        for task in Home::at(run.path().to_owned()).left_tasks()? {
            let label = format!("com.amazonaws.ecs.task-arn={}", task.arn);
            let list = ListContainers { all: true, filters: Filters::new().with("label", label) };
            for container in docker.containers(&list).await? {
                cleared.containers += is_gone(docker.remove(&container.id, true, true).await)?;
            }
            for volume in &task.own_volumes {
                cleared.volumes += is_gone(docker.remove_volume(volume, false).await)?;
            }
            remove_cgroup(&task)?;
        }
    }
    run.remove()?;
    cleared.runs += 1;
    Ok(())
}

/// Removes the cgroups of a run's tasks, whose containers are gone: with the agent ends who would have done it.
pub(super) fn clear_cgroups(run: &Path) -> anyhow::Result<()> {
    Home::at(run.to_owned()).left_tasks()?.iter().try_for_each(remove_cgroup)
}

fn remove_cgroup(task: &LeftTask) -> anyhow::Result<()> {
    let Some(parent) = &task.cgroup else { return Ok(()) };
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let mount = variable("ECS_CGROUP_PATH").unwrap_or_else(|| "/sys/fs/cgroup".to_owned());
    let bus = variable("DBUS_SYSTEM_BUS_ADDRESS");
    Ok(Cgroups::at(Path::new(&mount), bus.as_deref()).remove(parent)?)
}

/// One if it was removed, none if it was gone before.
fn is_gone(removed: Result<(), docker::Error>) -> Result<usize, docker::Error> {
    match removed {
        Ok(()) => Ok(1),
        Err(error) if error.kind() == Kind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

fn told(cleared: &Cleared) -> String {
    let parts = [(cleared.containers, "container"), (cleared.volumes, "volume"), (cleared.runs, "folder")];
    let parts: Vec<_> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, noun)| text::count(*n, noun)).collect();
    format!("cleared what {} left: {}", text::count(cleared.runs, "killed run"), parts.join(", "))
}
