//! What is known of each image, by its id (spec 20 §6.1).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use wire::ids::{ImageId, TaskId};

use super::cleanup::Cleanup;
use super::fetch::{FetchKey, ImageFacts, Pull, Resolution};
use crate::stored_time;

/// One image as the agent knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageRecord {
    pub id: ImageId,
    /// Every name under which tasks used it.
    pub names: BTreeSet<String>,
    /// Names that were given to other images since; their digests may still refer to this one.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub moved_names: BTreeSet<String>,
    #[serde(with = "stored_time")]
    pub pulled_at: Timestamp,
    #[serde(with = "stored_time")]
    pub last_used_at: Timestamp,
    pub is_pull_complete: bool,
    #[serde(default)]
    pub size: i64,
    /// Whether it sets a region variable itself.
    #[serde(default)]
    pub has_region: bool,
    /// Containers that hold it, by task and name; known again after a restart from their rows.
    #[serde(skip)]
    pub holders: BTreeSet<(TaskId, String)>,
}

/// All images, and what is being fetched.
#[derive(Debug, Clone, Default)]
pub struct Images {
    pub records: BTreeMap<ImageId, ImageRecord>,
    pub resolutions: BTreeMap<FetchKey, Resolution>,
    pub pulls: BTreeMap<FetchKey, Pull>,
    pub cleanup: Cleanup,
    pub(crate) changed: BTreeSet<ImageId>,
}

impl Images {
    /// Whether a pull under exactly this name succeeded before (spec 20 §5.1, `once`).
    pub fn was_pulled(&self, name: &str) -> bool {
        self.records.values().any(|record| record.is_pull_complete && record.names.contains(name))
    }

    /// A container uses an image under a name.
    pub(crate) fn hold(
        &mut self,
        facts: &ImageFacts,
        name: &str,
        task: &TaskId,
        container: &str,
        is_pulled: bool,
        now: Timestamp,
    ) {
        self.remember(facts, name, is_pulled, now);
        if let Some(record) = self.records.get_mut(&facts.id) {
            record.holders.insert((task.clone(), container.to_owned()));
        }
    }

    /// An image is here under a name, whether or not anybody still waits for it: one that was pulled for a task that
    /// stopped meanwhile would otherwise stay for ever.
    pub(crate) fn remember(&mut self, facts: &ImageFacts, name: &str, is_pulled: bool, now: Timestamp) {
        for (id, record) in &mut self.records {
            // A tag that moved belongs to its new image only.
            if *id != facts.id && record.names.remove(name) {
                record.moved_names.insert(name.to_owned());
                self.changed.insert(id.clone());
            }
        }
        let record = self.record(facts, now);
        let is_news = record.names.insert(name.to_owned()) || (is_pulled && !record.is_pull_complete);
        record.is_pull_complete |= is_pulled;
        if is_news {
            self.changed.insert(facts.id.clone());
        }
    }

    /// An image is here without the name under which a container came to it.
    pub(crate) fn remember_nameless(&mut self, facts: &ImageFacts, moved_name: &str, now: Timestamp) {
        self.record(facts, now).moved_names.insert(moved_name.to_owned());
        self.changed.insert(facts.id.clone());
    }

    fn record(&mut self, facts: &ImageFacts, now: Timestamp) -> &mut ImageRecord {
        self.records.entry(facts.id.clone()).or_insert_with(|| ImageRecord {
            id: facts.id.clone(),
            names: BTreeSet::new(),
            moved_names: BTreeSet::new(),
            pulled_at: now,
            last_used_at: now,
            is_pull_complete: false,
            size: facts.size,
            has_region: facts.has_region,
            holders: BTreeSet::new(),
        })
    }

    /// A container that is there holds its image; false where that is not known.
    pub(crate) fn hold_again(&mut self, id: &ImageId, task: &TaskId, container: &str) -> bool {
        let Some(record) = self.records.get_mut(id) else { return false };
        record.holders.insert((task.clone(), container.to_owned()));
        true
    }

    /// A task is gone.
    pub(crate) fn let_go(&mut self, task: &TaskId, now: Timestamp) {
        for (id, record) in &mut self.records {
            let before = record.holders.len();
            record.holders.retain(|(holder, _)| holder != task);
            if record.holders.len() < before {
                record.last_used_at = now;
                self.changed.insert(id.clone());
            }
        }
    }
}
