//! What keeps an image where it is. Reads only; this is the table of the documentation.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use wire::gojson::render_duration;
use wire::ids::TaskId;

use super::{Cleanup, FullName, Subject};
use crate::config::ImageCleanup;
use crate::engine::Tasks;
use crate::image::name::{digest_of, repository};
use crate::image::{ImageRecord, Images};
use crate::status::TaskStatus;
use crate::time::Now;

/// Names, repositories and digests that tasks need or are fetching. A container needs its image from the task's
/// acceptance until it stops; after that the record's holders keep it until the task is removed.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    names: BTreeSet<FullName>,
    repositories: BTreeSet<String>,
    digests: BTreeSet<String>,
}

impl Wanted {
    pub(super) fn new(tasks: &Tasks, images: &Images) -> Self {
        let mut wanted = Self::default();
        let alive = tasks.values().filter(|task| task.state.known < TaskStatus::Stopped);
        for container in alive.flat_map(|task| &task.containers).filter(|container| !container.is_stopped()) {
            wanted.names.insert(FullName::of(container.definition.image.as_str()));
            // One that waits for its turn has not looked at its image yet, and may name it by digest.
            wanted.digests.extend(container.definition.image.digest().map(|digest| digest.to_string()));
            wanted.digests.extend(container.state.image_digest.as_ref().map(ToString::to_string));
        }
        for key in images.pulls.keys().chain(images.resolutions.keys()) {
            wanted.names.insert(FullName::of(key.image.as_str()));
            wanted.repositories.insert(key.image.normalized_repository());
            wanted.digests.extend(key.digest.as_ref().map(ToString::to_string));
        }
        wanted
    }

    pub(super) fn has_name(&self, name: &str) -> bool {
        self.names.contains(&FullName::of(name))
    }

    /// Whether one of these `name@sha256:…` is what a task asked for, whatever its repository.
    pub(super) fn has_digest_of(&self, digests: &[String]) -> bool {
        digests.iter().filter_map(|name| digest_of(name)).any(|digest| self.digests.contains(digest))
    }

    /// Whether these may be the first traces of an image whose pull is under way: it has no tag yet.
    pub(super) fn is_fetching(&self, digests: &[String]) -> bool {
        digests.iter().any(|name| self.repositories.contains(&repository(name)))
    }
}

/// Why an image stays, the strongest reason first.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Keep {
    Held,
    Wanted { name: String },
    Excluded { name: String },
    Young { until: Timestamp },
    Troubled { until: Duration, failures: u32, error: String },
}

/// Which reasons do not count.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Leniency {
    pub ignores_age: bool,
    pub ignores_troubles: bool,
}

/// Why a tracked image stays; `None` for one that may go.
pub(super) fn keep(
    record: &ImageRecord,
    wanted: &Wanted,
    settings: &ImageCleanup,
    cleanup: &Cleanup,
    leniency: Leniency,
    now: Now,
) -> Option<Keep> {
    if !record.holders.is_empty() {
        return Some(Keep::Held);
    }
    if let Some(name) = record.names.iter().find(|name| wanted.has_name(name)) {
        return Some(Keep::Wanted { name: name.clone() });
    }
    if let Some(name) = record.names.iter().find(|name| is_excluded(name, settings)) {
        return Some(Keep::Excluded { name: name.clone() });
    }
    if !leniency.ignores_age && !is_older(record.pulled_at, settings.minimum_age, now) {
        let until = record.pulled_at.saturating_add(settings.minimum_age).unwrap_or(Timestamp::MAX);
        return Some(Keep::Young { until });
    }
    if !leniency.ignores_troubles
        && let Some(trouble) = cleanup.trouble(&Subject::Image(record.id.clone()), now.mono)
    {
        let until = trouble.until - now.mono;
        return Some(Keep::Troubled { until, failures: trouble.failures, error: trouble.error.clone() });
    }
    None
}

/// Whether an exclusion names it. The reference compares letter by letter; other spellings of the same name, and blanks
/// around the commas of the variable, keep it too.
pub(super) fn is_excluded(name: &str, settings: &ImageCleanup) -> bool {
    let full = FullName::of(name);
    settings.exclusions.iter().any(|excluded| !excluded.trim().is_empty() && FullName::of(excluded) == full)
}

/// Whether it is strictly longer ago (spec 20 §6.2).
pub(super) fn is_older(since: Timestamp, age: Duration, now: Now) -> bool {
    Duration::try_from(now.wall.duration_since(since)).is_ok_and(|passed| passed > age)
}

impl Keep {
    /// For people.
    pub(super) fn describe(&self, record: &ImageRecord, settings: &ImageCleanup) -> String {
        match self {
            Self::Held => {
                let tasks: BTreeSet<&TaskId> = record.holders.iter().map(|(task, _)| task).collect();
                match tasks.len() {
                    1 => "held by a task".to_owned(),
                    count => format!("held by {count} tasks"),
                }
            }
            Self::Wanted { name } => format!("a task is about to use {name}"),
            Self::Excluded { name } => format!("{name} is excluded from clean-up"),
            Self::Young { .. } => format!("younger than {}", render_duration(settings.minimum_age)),
            Self::Troubled { failures, error, .. } => match failures {
                1 => format!("could not be removed: {error}"),
                times => format!("could not be removed {times} times: {error}"),
            },
        }
    }
}
