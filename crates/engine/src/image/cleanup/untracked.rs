//! Removal of containers and images that are not of this agent (spec 20 §6.3).

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use wire::docker::{ContainerInspect, ContainerStatus, ContainerSummary, ImageSummary};
use wire::ids::{DockerId, ImageId};

use super::cycle::{Cycle, Phase, Strangers};
use super::keep::{Wanted, is_excluded, is_older};
use super::report::CollectionEntry;
use super::tracked::{REMOVE, is_gone, is_no_name};
use super::{Removing, Subject};
use crate::config::UntrackedCleanup;
use crate::effect::Effect;
use crate::engine::Engine;
use crate::event::Outcome;
use crate::fact::Level;
use crate::image::name::repository;
use crate::step::Step;
use crate::time::Now;

const INSPECT: Duration = Duration::from_secs(30);
const REMOVE_CONTAINER: Duration = Duration::from_secs(300);

/// A container that may be nobody's.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    id: String,
    /// Without slashes.
    names: Vec<String>,
    image_id: String,
}

/// A container on its turn, with what is still to come.
pub(super) type Turn = (VecDeque<Candidate>, Strangers, Candidate);

/// An image that no task of ours ever used.
#[derive(Debug, Clone)]
pub(super) struct StrangeImage {
    id: String,
    /// Still to be removed: names, or its id.
    names: VecDeque<String>,
    digests: Vec<String>,
    tags: Vec<String>,
    entry: CollectionEntry,
    has_removed: bool,
    error: Option<String>,
}

impl Engine {
    pub(super) fn listed_containers(&mut self, now: Now, cycle: &mut Cycle, outcome: Outcome) -> Phase {
        let (Outcome::Listed(containers), Some(settings)) = (&outcome, self.core.config.image_cleanup.untracked) else {
            cycle.collection.error = Some(error_of(&outcome));
            return Phase::End;
        };
        let cleanup = &mut self.core.images.cleanup;
        cleanup.troubles.retain(|subject, _| match subject {
            Subject::Container(id) => containers.iter().any(|container| container.id == *id),
            Subject::Image(_) => true,
        });
        let mut strangers = Strangers::default();
        for container in containers {
            *strangers.users.entry(container.image_id.clone()).or_default() += 1;
        }
        let leniency = cycle.leniency();
        let queue = containers
            .iter()
            .filter(|container| may_have_ended(container, settings, now))
            .filter(|container| {
                leniency.ignores_troubles
                    || self.core.images.cleanup.trouble(&Subject::Container(container.id.clone()), now.mono).is_none()
            })
            .map(Candidate::from)
            .collect();
        Phase::NextContainer(queue, strangers)
    }

    pub(super) fn next_container(
        &mut self,
        cycle: &Cycle,
        mut queue: VecDeque<Candidate>,
        strangers: Strangers,
        step: &mut Step,
    ) -> Phase {
        let quota = self.core.config.image_cleanup.untracked.map_or(0, |settings| settings.containers_per_cycle);
        // Only what was asked for by hand goes on without a limit.
        let has_quota = cycle.leniency().ignores_troubles || strangers.removed < quota;
        while has_quota && let Some(candidate) = queue.pop_front() {
            if self.is_ours(&candidate) {
                continue;
            }
            self.ask_in_cycle(step, Effect::InspectContainer { id: candidate.id.clone(), deadline: INSPECT });
            return Phase::InspectContainer(queue, strangers, candidate);
        }
        if self.is_quota_used(cycle) {
            return Phase::End;
        }
        self.list_images(step, strangers)
    }

    /// Whether a task has this container, or is about to: its name is known before its id is.
    fn is_ours(&self, candidate: &Candidate) -> bool {
        if self.core.containers_by_id.contains_key(&DockerId::from(candidate.id.as_str())) {
            return true;
        }
        self.tasks.values().flat_map(|task| &task.containers).any(|container| {
            let has_id = container.state.docker_id.as_ref().is_some_and(|id| id.as_str() == candidate.id);
            let has_name = container.state.docker_name.as_ref().is_some_and(|name| candidate.names.contains(name));
            has_id || has_name
        })
    }

    pub(super) fn inspected_container(
        &mut self,
        now: Now,
        cycle: &mut Cycle,
        (queue, mut strangers, candidate): Turn,
        outcome: &Outcome,
        step: &mut Step,
    ) -> Phase {
        let Outcome::Inspected(inspect) = outcome else { return Phase::NextContainer(queue, strangers) };
        let age = self.core.config.image_cleanup.untracked.map_or(Duration::MAX, |s| s.container_minimum_age);
        if !has_ended(inspect, age, now) || self.is_ours(&candidate) {
            return Phase::NextContainer(queue, strangers);
        }
        if cycle.options.is_dry_run {
            strangers.count_removal(&candidate.image_id);
            cycle.collection.removed.push(CollectionEntry::container(&candidate.id, candidate.names));
            return Phase::NextContainer(queue, strangers);
        }
        let effect = Effect::RemoveContainer { id: candidate.id.clone(), deadline: REMOVE_CONTAINER };
        self.ask_in_cycle(step, effect);
        Phase::RemoveContainer(queue, strangers, candidate)
    }

    pub(super) fn removed_container(
        &mut self,
        cycle: &mut Cycle,
        (queue, mut strangers, candidate): Turn,
        outcome: &Outcome,
        step: &mut Step,
    ) -> Phase {
        let subject = Subject::Container(candidate.id.clone());
        let mut entry = CollectionEntry::container(&candidate.id, candidate.names);
        let interval = self.core.config.image_cleanup.interval;
        let cleanup = &mut self.core.images.cleanup;
        match outcome {
            Outcome::Failed(failure) if failure.kind != crate::event::FailureKind::NotFound => {
                let trouble = cleanup.stumble(subject, &failure.text, cycle.began, interval);
                let level = if trouble.failures == 1 { Level::Warn } else { Level::Debug };
                let text = format!("container {entry} could not be removed: {}", failure.text);
                step.agent(level, "container_kept", text);
                entry.error = Some(failure.text.clone());
                cycle.collection.failed.push(entry);
            }
            Outcome::Failed(_) => {}
            _ => {
                cleanup.forgive(&subject);
                strangers.count_removal(&candidate.image_id);
                step.agent(Level::Info, "container_removed", format!("removed container {entry}, which is of no task"));
                cycle.collection.removed.push(entry);
            }
        }
        Phase::NextContainer(queue, strangers)
    }

    pub(super) fn listed_images(
        &mut self,
        now: Now,
        cycle: &mut Cycle,
        strangers: &Strangers,
        outcome: Outcome,
    ) -> Phase {
        let (Outcome::Images(list), Some(settings)) = (&outcome, self.core.config.image_cleanup.untracked) else {
            cycle.collection.error = Some(error_of(&outcome));
            return Phase::End;
        };
        let images = &mut self.core.images;
        let records = &images.records;
        images.cleanup.troubles.retain(|subject, _| match subject {
            Subject::Image(id) => records.contains_key(id) || list.iter().any(|image| image.id == id.as_str()),
            Subject::Container(_) => true,
        });
        let leniency = cycle.leniency();
        let mut chosen: Vec<&ImageSummary> = list
            .iter()
            .filter(|image| strangers.users.get(&image.id).is_none_or(|users| *users == 0))
            // The age is since the build, as the reference has it.
            .filter(|image| {
                image
                    .created
                    .is_some_and(|built| leniency.ignores_age || is_older(built, settings.image_minimum_age, now))
            })
            .filter(|image| !image.repo_tags.iter().any(|tag| is_excluded(tag, &self.core.config.image_cleanup)))
            .filter(|image| {
                let subject = Subject::Image(image.id.as_str().into());
                leniency.ignores_troubles || self.core.images.cleanup.trouble(&subject, now.mono).is_none()
            })
            .collect();
        chosen.sort_by(|a, b| (a.size, &a.id).cmp(&(b.size, &b.id)));
        Phase::NextImage(chosen.into_iter().map(StrangeImage::from).collect())
    }

    pub(super) fn next_image(
        &mut self,
        cycle: &mut Cycle,
        mut queue: VecDeque<StrangeImage>,
        step: &mut Step,
    ) -> Phase {
        while let Some(mut image) = queue.pop_front() {
            if image.names.is_empty() || self.is_quota_used(cycle) || self.is_needed(&image) {
                self.end_strange(cycle, image, step);
                continue;
            }
            if cycle.options.is_dry_run {
                cycle.collection.removed.push(image.entry);
                continue;
            }
            let Some(name) = image.names.pop_front() else { continue };
            if name == image.id {
                return self.remove_strange(queue, image, name, step);
            }
            self.ask_in_cycle(step, Effect::InspectImage { image: name.clone() });
            return Phase::LookAtImage(queue, image, name);
        }
        Phase::End
    }

    /// Removals take up to minutes, and somebody may have given the name to another image since the list was made.
    pub(super) fn looked_at_image(
        &mut self,
        mut queue: VecDeque<StrangeImage>,
        mut image: StrangeImage,
        name: String,
        outcome: &Outcome,
        step: &mut Step,
    ) -> Phase {
        match outcome {
            Outcome::Image(inspect) if inspect.id == image.id && !self.is_needed(&image) => {
                return self.remove_strange(queue, image, name, step);
            }
            Outcome::Image(_) => {}
            Outcome::Failed(failure) if is_gone(failure) => {}
            other => {
                image.error.get_or_insert_with(|| error_of(other));
            }
        }
        queue.push_front(image);
        Phase::NextImage(queue)
    }

    fn remove_strange(
        &mut self,
        queue: VecDeque<StrangeImage>,
        image: StrangeImage,
        name: String,
        step: &mut Step,
    ) -> Phase {
        self.core.images.cleanup.removing = Some(Removing::new(image.tags.iter().chain([&name]), &image.digests));
        self.ask_in_cycle(step, Effect::RemoveImage { image: name, deadline: REMOVE });
        Phase::RemoveImage(queue, image)
    }

    /// Whether a task used it by now, or is about to.
    fn is_needed(&self, image: &StrangeImage) -> bool {
        let images = &self.core.images;
        let wanted = Wanted::new(&self.tasks, images);
        images.records.contains_key(&ImageId::from(image.id.as_str()))
            || image.tags.iter().any(|tag| wanted.has_name(tag))
            || wanted.has_digest_of(&image.digests)
            || wanted.is_fetching(&image.digests)
    }

    pub(super) fn removed_image(
        &mut self,
        cycle: &mut Cycle,
        mut queue: VecDeque<StrangeImage>,
        mut image: StrangeImage,
        outcome: &Outcome,
        step: &mut Step,
    ) -> Phase {
        match outcome {
            Outcome::Failed(failure) if is_gone(failure) => {}
            Outcome::Failed(failure) => {
                image.error.get_or_insert_with(|| failure.text.clone());
            }
            _ => {
                image.has_removed = true;
                cycle.removals += 1;
            }
        }
        let is_over = image.names.is_empty();
        queue.push_front(image);
        if is_over { self.after_removal(cycle, Phase::NextImage(queue), step) } else { Phase::NextImage(queue) }
    }

    fn end_strange(&mut self, cycle: &mut Cycle, mut image: StrangeImage, step: &mut Step) {
        let subject = Subject::Image(image.id.as_str().into());
        let interval = self.core.config.image_cleanup.interval;
        let cleanup = &mut self.core.images.cleanup;
        if let Some(error) = image.error {
            let trouble = cleanup.stumble(subject, &error, cycle.began, interval);
            let level = if trouble.failures == 1 { Level::Warn } else { Level::Debug };
            step.agent(level, "image_kept", format!("image {} could not be removed: {error}", image.entry));
            image.entry.error = Some(error);
            cycle.collection.failed.push(image.entry);
        } else if image.has_removed {
            cleanup.forgive(&subject);
            step.agent(Level::Info, "image_removed", format!("removed image {}, which no task used", image.entry));
            cycle.collection.removed.push(image.entry);
        }
    }
}

impl From<&ContainerSummary> for Candidate {
    fn from(container: &ContainerSummary) -> Self {
        let names = container.names.iter().map(|name| name.trim_start_matches('/').to_owned()).collect();
        Self { id: container.id.clone(), names, image_id: container.image_id.clone() }
    }
}

impl From<&ImageSummary> for StrangeImage {
    /// By id where one repository knows it by one tag at most, else by each name: the Engine refuses an id to which
    /// several repositories refer.
    fn from(image: &ImageSummary) -> Self {
        let named = |names: &[String]| -> Vec<String> { names.iter().filter(|n| !is_no_name(n)).cloned().collect() };
        let (tags, digests) = (named(&image.repo_tags), named(&image.repo_digests));
        let tagged: BTreeSet<String> = tags.iter().map(|tag| repository(tag)).collect();
        let untagged: Vec<&String> = digests.iter().filter(|name| !tagged.contains(&repository(name))).collect();
        let repositories: BTreeSet<String> = tags.iter().chain(&digests).map(|name| repository(name)).collect();
        let names = if tags.len() <= 1 && repositories.len() <= 1 {
            VecDeque::from([image.id.clone()])
        } else {
            untagged.into_iter().chain(&tags).cloned().collect()
        };
        let entry = CollectionEntry::image(&image.id.as_str().into(), tags.clone(), image.size);
        Self { id: image.id.clone(), names, digests, tags, entry, has_removed: false, error: None }
    }
}

/// Whether a look is worth while: it does not run, and was created long enough ago to have ended long enough ago.
fn may_have_ended(container: &ContainerSummary, settings: UntrackedCleanup, now: Now) -> bool {
    let is_up = matches!(
        container.state,
        ContainerStatus::Running | ContainerStatus::Paused | ContainerStatus::Restarting | ContainerStatus::Removing
    );
    !is_up && container.created.is_none_or(|created| is_older(created, settings.container_minimum_age, now))
}

/// Whether it ended long enough ago. One that never ran counts from its creation: the reference removes it at once,
/// and so takes it from whoever is just about to start it.
fn has_ended(inspect: &ContainerInspect, age: Duration, now: Now) -> bool {
    let state = &inspect.state;
    let is_down = match state.status {
        ContainerStatus::Exited | ContainerStatus::Dead | ContainerStatus::Created => true,
        ContainerStatus::Running
        | ContainerStatus::Paused
        | ContainerStatus::Restarting
        | ContainerStatus::Removing => false,
        _ => !state.running && !state.paused && !state.restarting,
    };
    is_down && state.finished_at.or(inspect.created).is_none_or(|since| is_older(since, age, now))
}

fn error_of(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Failed(failure) => failure.text.clone(),
        other => format!("unexpected answer {other:?}"),
    }
}
