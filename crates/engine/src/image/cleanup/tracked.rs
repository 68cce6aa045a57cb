//! Removal of images that tasks used, name by name, those first that were used longest ago (spec 20 §6.2).

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use wire::docker::ImageInspect;
use wire::ids::ImageId;

use super::cycle::{Cycle, Phase};
use super::keep::{Wanted, keep};
use super::report::CollectionEntry;
use super::{Removing, Subject};
use crate::effect::Effect;
use crate::engine::Engine;
use crate::event::{Failure, FailureKind, Outcome};
use crate::fact::Level;
use crate::image::name::repository;
use crate::step::Step;
use crate::time::Now;

/// A removal's deadline (spec 20 §6.2).
pub(super) const REMOVE: Duration = Duration::from_secs(180);

/// One image on its way out.
#[derive(Debug, Clone)]
pub(super) struct Job {
    id: ImageId,
    /// Still to be removed; for an image without a name its id, or its digests.
    names: VecDeque<String>,
    /// Whether the image had no name, so that its record goes when all is done.
    is_nameless: bool,
    /// Digests as names, once they were looked at and need no further look.
    digests: Option<Vec<String>>,
    entry: CollectionEntry,
    /// Whether the Engine removed anything, rather than having it no more.
    has_removed: bool,
    error: Option<String>,
}

impl Engine {
    /// The tracked image whose turn it is; without one, on to those of others.
    pub(super) fn choose_tracked(&mut self, now: Now, cycle: &mut Cycle, step: &mut Step) -> Phase {
        if self.is_quota_used(cycle) {
            return self.after_tracked(step);
        }
        let wanted = Wanted::new(&self.tasks, &self.core.images);
        let settings = &self.core.config.image_cleanup;
        let images = &self.core.images;
        let chosen = images
            .records
            .values()
            .filter(|record| !cycle.tried.contains(&record.id))
            .filter(|record| keep(record, &wanted, settings, &images.cleanup, cycle.leniency(), now).is_none())
            .min_by_key(|record| (record.last_used_at, &record.id));
        let Some(record) = chosen else { return self.after_tracked(step) };
        let entry = CollectionEntry::image(&record.id, record.names.iter().cloned().collect(), record.size);
        let is_nameless = record.names.is_empty();
        let names =
            if is_nameless { VecDeque::from([record.id.to_string()]) } else { record.names.iter().cloned().collect() };
        let job =
            Job { id: record.id.clone(), names, is_nameless, digests: None, entry, has_removed: false, error: None };
        cycle.tried.insert(job.id.clone());
        if cycle.options.is_dry_run {
            cycle.collection.removed.push(job.entry);
            return Phase::ChooseTracked;
        }
        Phase::NextName(job)
    }

    /// Looks at the next name, or ends with the image.
    pub(super) fn next_name(&mut self, now: Now, cycle: &mut Cycle, mut job: Job, step: &mut Step) -> Phase {
        let Some(name) = job.names.pop_front() else { return self.end_job(cycle, job, step) };
        if self.is_needed_after_all(now, cycle, &job) {
            return Phase::ChooseTracked;
        }
        if job.digests.is_some() && job.is_nameless {
            return self.remove_name(job, name, step);
        }
        self.ask_in_cycle(step, Effect::InspectImage { image: name.clone() });
        Phase::LookAtName(job, name)
    }

    /// Whether a task came for it since it was chosen; also true where nothing is known of it any more.
    fn is_needed_after_all(&self, now: Now, cycle: &Cycle, job: &Job) -> bool {
        let images = &self.core.images;
        let Some(record) = images.records.get(&job.id) else { return true };
        let wanted = Wanted::new(&self.tasks, images);
        let digests = job.digests.as_deref().unwrap_or_default();
        wanted.has_digest_of(digests)
            || keep(record, &wanted, &self.core.config.image_cleanup, &images.cleanup, cycle.leniency(), now).is_some()
    }

    /// What the Engine has under a name.
    pub(super) fn looked_at_name(
        &mut self,
        now: Now,
        cycle: &mut Cycle,
        mut job: Job,
        name: String,
        outcome: Outcome,
        step: &mut Step,
    ) -> Phase {
        let inspect = match outcome {
            Outcome::Image(inspect) => inspect,
            Outcome::Failed(failure) if is_gone(&failure) => {
                self.lose_name(&mut job, &name);
                return Phase::NextName(job);
            }
            Outcome::Failed(failure) => {
                job.error.get_or_insert(failure.text);
                return Phase::NextName(job);
            }
            other => {
                job.error.get_or_insert(format!("unexpected answer {other:?}"));
                return Phase::NextName(job);
            }
        };
        if inspect.id != job.id.as_str() {
            // Somebody gave the name to another image, which is none of ours.
            self.lose_name(&mut job, &name);
            return Phase::NextName(job);
        }
        if job.entry.bytes == 0 {
            job.entry.bytes = u64::try_from(inspect.size).unwrap_or(0);
        }
        let is_first_look = job.digests.replace(inspect.repo_digests.clone()).is_none();
        if self.is_needed_after_all(now, cycle, &job) {
            return Phase::ChooseTracked;
        }
        if job.is_nameless {
            return self.remove_nameless(job, &inspect, step);
        }
        if is_first_look && let Some(record) = self.core.images.records.get(&job.id) {
            // Digests of names that moved away would keep the image. They go before the last name, which the record
            // is known by.
            let kept = |digest: &str| {
                let of = repository(digest);
                inspect.repo_tags.iter().any(|tag| repository(tag) == of)
                    || !record.moved_names.iter().any(|name| repository(name) == of)
            };
            let orphans: Vec<String> = inspect.repo_digests.iter().filter(|name| !kept(name)).cloned().collect();
            if !orphans.is_empty() {
                job.names.push_front(name);
                for orphan in orphans {
                    job.names.push_front(orphan);
                }
                return Phase::NextName(job);
            }
        }
        self.remove_name(job, name, step)
    }

    /// An image whose names were all given to others. The Engine refuses its id where digests of several repositories
    /// refer to it, so those go one by one.
    fn remove_nameless(&mut self, mut job: Job, inspect: &ImageInspect, step: &mut Step) -> Phase {
        if inspect.repo_tags.iter().any(|tag| !is_no_name(tag)) {
            // It got a name that is not ours: from now on it is somebody else's image.
            self.core.images.forget(&job.id);
            return Phase::NextName(job);
        }
        let repositories: BTreeSet<String> = inspect.repo_digests.iter().map(|name| repository(name)).collect();
        if repositories.len() > 1 {
            job.names = inspect.repo_digests.iter().filter(|name| !is_no_name(name)).cloned().collect();
            return Phase::NextName(job);
        }
        let id = job.id.to_string();
        self.remove_name(job, id, step)
    }

    fn remove_name(&mut self, job: Job, name: String, step: &mut Step) -> Phase {
        let digests = job.digests.as_deref().unwrap_or_default();
        self.core.images.cleanup.removing = Some(Removing::new([&name], digests));
        self.ask_in_cycle(step, Effect::RemoveImage { image: name.clone(), deadline: REMOVE });
        Phase::RemoveName(job, name)
    }

    pub(super) fn removed_name(&mut self, mut job: Job, name: String, outcome: &Outcome) -> Phase {
        match outcome {
            Outcome::Failed(failure) if !is_gone(failure) => {
                job.error.get_or_insert_with(|| failure.text.clone());
            }
            _ => {
                job.has_removed = true;
                self.drop_name(&job, &name);
            }
        }
        Phase::NextName(job)
    }

    /// A name went without our doing. Without its last one the image may still be there, and is looked for by its id.
    fn lose_name(&mut self, job: &mut Job, name: &str) {
        let is_last = job.names.is_empty() && !job.is_nameless;
        if let Some(record) = self.core.images.records.get_mut(&job.id).filter(|_| is_last) {
            record.names.remove(name);
            if record.names.is_empty() {
                record.moved_names.insert(name.to_owned());
                self.core.images.changed.insert(job.id.clone());
                job.is_nameless = true;
                job.digests = None;
                job.names.push_back(job.id.to_string());
                return;
            }
        }
        self.drop_name(job, name);
    }

    /// A name is gone; with its last one the image is forgotten.
    fn drop_name(&mut self, job: &Job, name: &str) {
        let images = &mut self.core.images;
        let Some(record) = images.records.get_mut(&job.id) else { return };
        record.names.remove(name);
        // What could not be removed stays known, if need be without a name.
        let is_over = job.names.is_empty() && job.error.is_none() && record.names.is_empty();
        images.changed.insert(job.id.clone());
        if is_over && record.holders.is_empty() {
            images.forget(&job.id);
        }
    }

    fn end_job(&mut self, cycle: &mut Cycle, mut job: Job, step: &mut Step) -> Phase {
        let subject = Subject::Image(job.id.clone());
        let interval = self.core.config.image_cleanup.interval;
        let cleanup = &mut self.core.images.cleanup;
        let Some(error) = job.error else {
            cleanup.forgive(&subject);
            if !job.has_removed {
                return Phase::ChooseTracked;
            }
            cycle.removals += 1;
            step.agent(Level::Info, "image_removed", format!("removed image {}", job.entry));
            cycle.collection.removed.push(job.entry);
            return self.after_removal(cycle, Phase::ChooseTracked, step);
        };
        let trouble = cleanup.stumble(subject, &error, cycle.began, interval);
        // That somebody else uses it is everyday life; it is told once.
        let level = if trouble.failures == 1 { Level::Warn } else { Level::Debug };
        step.agent(level, "image_kept", format!("image {} could not be removed: {error}", job.entry));
        job.entry.error = Some(error);
        cycle.collection.failed.push(job.entry);
        Phase::ChooseTracked
    }
}

impl crate::image::Images {
    fn forget(&mut self, id: &ImageId) {
        if self.records.remove(id).is_some() {
            self.changed.insert(id.clone());
        }
    }
}

/// Whether what was to go is gone already.
pub(super) fn is_gone(failure: &Failure) -> bool {
    failure.kind == FailureKind::NotFound || failure.text.to_ascii_lowercase().contains("no such image")
}

/// Old daemons list these for images without a tag or digest.
pub(super) fn is_no_name(name: &str) -> bool {
    name.starts_with("<none>")
}
