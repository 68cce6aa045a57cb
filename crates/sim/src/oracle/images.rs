//! Rules about images: what is in use stays, and what is not goes in the end.

use std::time::Duration;

use engine::config::PullBehavior;
use engine::image::FullName;
use engine::status::{ContainerStatus, TaskStatus};
use engine::task::Task;
use engine::{Effect, Outcome};

use super::Oracle;
use crate::world::World;

/// How long a question about images may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(3600);

impl Oracle {
    /// A question is about to be asked; its number.
    pub(crate) fn asked(&mut self, life: u64, now: Duration) -> u64 {
        let number = self.image_questions.len() as u64 + 1;
        self.image_questions.insert(number, (life, now));
        number
    }

    /// An image was found or fetched: whoever asked relies on it from now on.
    pub(crate) fn found_image(&mut self, effect: &Effect, outcome: &Outcome, now: Duration) {
        match (effect, outcome) {
            (Effect::Pull { image, .. }, Outcome::Done) => self.found.insert(FullName::of(image.as_str()), now),
            (Effect::InspectImage { image }, Outcome::Image(_)) => self.found.insert(FullName::of(image), now),
            _ => None,
        };
    }
}

fn alive(world: &World) -> impl Iterator<Item = &Task> {
    let tasks = world.engine.iter().flat_map(|engine| engine.tasks().values());
    tasks.map(AsRef::as_ref).filter(|task| task.state.known < TaskStatus::Stopped)
}

/// Nothing goes that a task needs: as the agent knows things when it asks.
pub(super) fn check_effect(world: &World, effect: &Effect) -> Result<(), String> {
    match effect {
        Effect::RemoveImage { image, .. } => {
            let id = world.daemon.images.id(image);
            let name = FullName::of(image);
            for task in alive(world) {
                for container in task.containers.iter().filter(|c| !c.is_stopped()) {
                    let has_it =
                        container.state.image_id.as_ref().is_some_and(|its| Some(its.as_str()) == id.as_deref());
                    if has_it || FullName::of(container.definition.image.as_str()) == name {
                        return Err(format!("{image} is removed, and {container} of {} needs it", task.id()));
                    }
                }
            }
            if world.config.image_cleanup.exclusions.iter().any(|excluded| FullName::of(excluded) == name) {
                return Err(format!("{image} is removed, and it is excluded"));
            }
        }
        Effect::RemoveContainer { id, .. } => {
            let tasks = world.engine.iter().flat_map(|engine| engine.tasks().values());
            for task in tasks.filter(|task| !task.state.is_being_removed) {
                let is_its = |handle: Option<&str>| handle == Some(id.as_str());
                if let Some(container) = task.containers.iter().find(|c| {
                    is_its(c.state.docker_id.as_ref().map(|id| id.as_str())) || is_its(c.state.docker_name.as_deref())
                }) {
                    return Err(format!("{container} of {} is removed, and its task is not", task.id()));
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// Names and images are gone: nobody was told that they are there and has yet to use them, nor will be told so because
/// they were found since their removal went out.
pub(crate) fn check_gone(world: &World, gone: &[String], went_out: Option<Duration>) -> Result<(), String> {
    if gone.is_empty() {
        return Ok(());
    }
    for task in alive(world) {
        for container in &task.containers {
            let state = &container.state;
            let name = FullName::of(container.definition.image.as_str());
            let is_overtaken = went_out.zip(world.oracle.found.get(&name)).is_some_and(|(out, found)| *found > out);
            if is_overtaken
                && state.docker_id.is_none()
                && state.desired != ContainerStatus::Stopped
                && gone.iter().any(|gone| FullName::of(gone) == name)
            {
                return Err(format!("{gone:?} went after {container} of {} had found it", task.id()));
            }
            if state.known != ContainerStatus::Pulled || state.desired == ContainerStatus::Stopped {
                continue;
            }
            let has_it = state.image_id.as_ref().is_some_and(|id| gone.iter().any(|gone| gone == id.as_str()));
            if has_it || gone.iter().any(|gone| !gone.starts_with("sha256:") && FullName::of(gone) == name) {
                return Err(format!("{gone:?} went, and {container} of {} is about to use it", task.id()));
            }
        }
    }
    Ok(())
}

/// An image that should go and is still here; `None` where none is, or none is to go.
pub(crate) fn images_left(world: &World) -> Option<String> {
    let settings = &world.config.image_cleanup;
    let never = settings.is_disabled || world.config.pulls.behavior == PullBehavior::PreferCached;
    if never || world.oracle.has_gone_back {
        return None;
    }
    let engine = world.engine.as_ref()?;
    let is_excluded = |name: &String| settings.exclusions.iter().any(|e| FullName::of(e) == FullName::of(name));
    let is_used = |id: &str| !world.daemon.users(Some(id)).is_empty();
    let record = engine
        .core()
        .images
        .records
        .values()
        .find(|record| !is_used(record.id.as_str()) && !record.names.iter().any(is_excluded));
    if let Some(record) = record {
        return Some(format!("image {} with {:?} is never removed", record.id, record.names));
    }
    settings.untracked?;
    let image = world.daemon.images.local.values().find(|image| {
        !is_used(&image.id)
            && !image.tags.iter().any(is_excluded)
            && !engine.core().images.records.contains_key(&image.id.as_str().into())
    });
    image.map(|image| format!("image {} with {:?} of nobody is never removed", image.id, image.tags))
}

/// What the agent pulled is either gone or known.
pub(super) fn at_end(world: &World) -> Result<(), String> {
    let Some(engine) = &world.engine else { return Ok(()) };
    for (number, (life, asked)) in &world.oracle.image_questions {
        let is_due = world.now.saturating_sub(*asked) > ANSWERED_WITHIN;
        if is_due && world.lives == life + 1 && !world.oracle.image_answers.contains(number) {
            return Err(format!("question {number} about images was never answered"));
        }
    }
    if !world.is_without_faults {
        return Ok(());
    }
    for id in &world.daemon.images.pulled {
        let Some(image) = world.daemon.images.local.get(id) else { continue };
        let is_named = image.tags.iter().any(|tag| world.daemon.images.named_by_hand.contains(tag));
        let is_known = engine.core().images.records.contains_key(&id.as_str().into());
        if !is_known && !is_named && world.daemon.users(Some(id)).is_empty() {
            return Err(format!("image {id} with {:?} was pulled and is forgotten", image.tags));
        }
    }
    Ok(())
}
