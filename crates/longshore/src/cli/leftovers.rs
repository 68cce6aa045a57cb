//! Clears up after runs that were killed, as they would have done: containers, volumes, directory. What is theirs is
//! what they wrote down before they made it.

use docker::{Engine, Filters, Kind, ListContainers};

use super::temporary::Abandoned;
use super::text;
use crate::local::docker_endpoint;
use crate::local::home::Home;

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
            for volume in task.own_volumes {
                cleared.volumes += is_gone(docker.remove_volume(&volume, false).await)?;
            }
        }
    }
    run.remove()?;
    cleared.runs += 1;
    Ok(())
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
