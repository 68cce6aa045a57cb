//! What is asked about images from outside, and what is answered: the body of `/longshore/v1/images` and
//! `/longshore/v1/gc`.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use wire::ids::{ImageId, TaskId};

use super::keep::{Keep, Leniency, Wanted, keep};
use crate::engine::Engine;
use crate::time::{Mono, Now};

/// What somebody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageRequest {
    Describe,
    /// A cycle now, even where none begin by themselves, and without a limit on its number.
    Collect(Options),
}

/// How a cycle that was asked for goes about it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Only tell what would go.
    pub is_dry_run: bool,
    /// Minimum ages of images do not count.
    pub ignores_age: bool,
}

/// The answer.
#[derive(Debug, Clone, PartialEq)]
pub enum ImageAnswer {
    Described(Box<ImagesReport>),
    Collected(Box<Collection>),
}

/// All tracked images.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ImagesReport {
    /// Those that go first come first.
    pub images: Vec<ImageReport>,
    /// Why images do not go by themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub off: Option<String>,
    /// The next cycle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cycle: Option<Timestamp>,
    pub is_cycle_running: bool,
    pub images_per_cycle: u64,
    /// Percent, where thresholds are set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_used_percent: Option<u8>,
    /// The last cycle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Collection>,
}

/// One tracked image.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ImageReport {
    pub id: String,
    pub names: Vec<String>,
    pub bytes: u64,
    pub pulled_at: Option<Timestamp>,
    /// When the last task that used it was removed; before that, when it was first used.
    pub last_used_at: Option<Timestamp>,
    pub holders: Vec<Holder>,
    /// Whether a cycle that was asked for now would remove it.
    pub may_go: bool,
    /// When it goes, if nothing comes in between; absent where something must happen first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goes_at: Option<Timestamp>,
    /// Why it is still here, for people.
    pub why: String,
}

/// A container that holds an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Holder {
    pub task: TaskId,
    pub container: String,
}

/// What a cycle removed, or would remove.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Collection {
    pub is_dry_run: bool,
    /// When it began.
    pub at: Timestamp,
    pub removed: Vec<CollectionEntry>,
    pub failed: Vec<CollectionEntry>,
    /// Sizes of the removed images, which may share layers with others that stay.
    pub bytes: u64,
    /// Why it ended early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One thing that was removed, or could not be.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CollectionEntry {
    /// `image` or `container`.
    pub kind: String,
    pub id: String,
    pub names: Vec<String>,
    pub bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl CollectionEntry {
    pub(super) fn image(id: &ImageId, names: Vec<String>, size: i64) -> Self {
        let bytes = u64::try_from(size).unwrap_or(0);
        Self { kind: "image".to_owned(), id: id.to_string(), names, bytes, error: None }
    }

    pub(super) fn container(id: &str, names: Vec<String>) -> Self {
        Self { kind: "container".to_owned(), id: id.to_owned(), names, ..Self::default() }
    }
}

impl std::fmt::Display for CollectionEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let id = self.id.strip_prefix("sha256:").unwrap_or(&self.id);
        let id = id.get(..12).unwrap_or(id);
        if self.names.is_empty() { f.write_str(id) } else { write!(f, "{id} ({})", self.names.join(", ")) }
    }
}

impl Collection {
    pub(super) fn count(&mut self) {
        self.bytes = self.removed.iter().map(|entry| entry.bytes).sum();
    }
}

impl std::fmt::Display for Collection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = |kind: &str| self.removed.iter().filter(|entry| entry.kind == kind).count();
        write!(f, "{} images and {} containers removed, ", count("image"), count("container"))?;
        write!(f, "{} could not be, {} MB", self.failed.len(), self.bytes / 1_000_000)
    }
}

impl Engine {
    pub(super) fn images_report(&self, now: Now) -> ImagesReport {
        let images = &self.core.images;
        let settings = &self.core.config.image_cleanup;
        let wanted = Wanted::new(&self.tasks, images);
        let off = self.image_cleanup_off();
        let next_at = images.cleanup.next_at.filter(|_| off.is_none());
        let wall = |at: Mono| now.wall.saturating_add(at - now.mono).ok();
        let by_hand = Leniency { ignores_age: false, ignores_troubles: true };
        let mut records: Vec<_> = images.records.values().collect();
        records.sort_by_key(|record| (record.last_used_at, &record.id));
        let mut in_line = 0;
        let mut reports: Vec<ImageReport> = records
            .into_iter()
            .map(|record| {
                let reason = keep(record, &wanted, settings, &images.cleanup, Leniency::default(), now);
                let waits = match &reason {
                    None => Some(Duration::ZERO),
                    // At that moment it is not older yet.
                    Some(Keep::Young { until }) => Duration::try_from(until.duration_since(now.wall))
                        .ok()
                        .map(|left| left + Duration::from_nanos(1)),
                    Some(Keep::Troubled { until, .. }) => Some(*until),
                    Some(Keep::Held | Keep::Wanted { .. } | Keep::Excluded { .. }) => None,
                };
                let goes_at = next_at.zip(waits).map(|(next, waits)| {
                    let cycles_of_others = in_line / settings.images_per_cycle.max(1);
                    in_line += 1;
                    let first = next_cycle(next, now.mono + waits, settings.interval);
                    let turns = u32::try_from(cycles_of_others).unwrap_or(u32::MAX);
                    first.max(next + settings.interval.saturating_mul(turns))
                });
                let may_go = keep(record, &wanted, settings, &images.cleanup, by_hand, now).is_none();
                let why = match (&reason, off) {
                    (Some(reason), _) => reason.describe(record, settings),
                    (None, Some(off)) => off.to_owned(),
                    (None, None) => "waits for its cycle".to_owned(),
                };
                ImageReport {
                    id: record.id.to_string(),
                    names: record.names.iter().cloned().collect(),
                    bytes: u64::try_from(record.size).unwrap_or(0),
                    pulled_at: Some(record.pulled_at),
                    last_used_at: Some(record.last_used_at),
                    holders: record
                        .holders
                        .iter()
                        .map(|(task, container)| Holder { task: task.clone(), container: container.clone() })
                        .collect(),
                    may_go,
                    goes_at: goes_at.and_then(wall),
                    why,
                }
            })
            .collect();
        reports.sort_by_key(|report| (report.goes_at.is_none(), report.goes_at));
        ImagesReport {
            images: reports,
            off: off.map(str::to_owned),
            next_cycle: next_at.and_then(wall),
            is_cycle_running: images.cleanup.is_running(),
            images_per_cycle: settings.images_per_cycle,
            disk_used_percent: images.cleanup.disk_used,
            last: images.cleanup.last.clone(),
        }
    }
}

/// The first cycle at or after a moment.
fn next_cycle(next: Mono, at: Mono, interval: Duration) -> Mono {
    if at <= next || interval.is_zero() {
        return next;
    }
    let more = (at - next).as_nanos().div_ceil(interval.as_nanos());
    next + interval.saturating_mul(u32::try_from(more).unwrap_or(u32::MAX))
}
