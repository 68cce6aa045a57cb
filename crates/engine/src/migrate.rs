//! Moving in: the reference agent's rows become ours (spec 20 §9), so that its tasks go on as if nothing
//! had happened.
//!
//! Knows both models and no file. Nothing is created, pulled or asked anew for what exists already: names,
//! ids, endpoint ids and variables are taken as they are. What this agent cannot manage is left running where
//! it runs, and stopped with a reason where it would still have to be set up; either way it is said.

mod cgroup;
mod container;
mod task;
mod volume;

use std::collections::BTreeSet;

use jiff::Timestamp;
use wire::rows::{AgentState, Image};

use crate::image::{ImageRecord, Images};
use crate::rows::{self, RowText};
use crate::step::{Step, StoredRow};

/// In the `meta` table: the transaction id of the state that was taken over. It is there so that this happens once.
const META_MOVED_IN: &str = "reference-txid";

/// What the store is to hold from now on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Migrated {
    /// To be committed all at once.
    pub rows: Vec<StoredRow>,
    pub tasks: usize,
    pub containers: usize,
    pub images: usize,
    /// What people should know, a line each.
    pub cautions: Vec<String>,
}

/// A state that reads but makes no sense. Nothing was taken over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MigrateError {
    #[error("task {key} has no ARN")]
    NoArn { key: String },
    #[error("task {task}: {whose} status is {word:?}, which is no status")]
    Status { task: String, whose: String, word: String },
}

/// Makes our rows of the reference's.
///
/// # Errors
/// A task without an ARN, or a status that is none: the state is not what it seems.
pub fn migrate(state: &AgentState, txid: u64, now: Timestamp) -> Result<Migrated, MigrateError> {
    let mut migrated = Migrated::default();
    let mut step = Step::default();
    let mut used = BTreeSet::new();
    for (key, row) in &state.tasks {
        let containers = task::containers(row, key, &state.containers, &mut used);
        if task::is_agents_own(row) {
            let names: Vec<&str> = containers.iter().map(|c| c.docker_name.as_str()).collect();
            migrated.cautions.push(format!(
                "{} is a task of the reference agent itself: its containers ({}) are left running and are nobody's now",
                row.arn,
                names.join(", ")
            ));
            continue;
        }
        let mut task = task::migrate(row, key, &containers, &state.metadata, now, &mut migrated.cautions)?;
        migrated.tasks += 1;
        migrated.containers += task.containers.len();
        rows::write_task(&mut task, &mut RowText::default(), &mut step);
    }
    for key in state.containers.keys().filter(|key| !used.contains(*key)) {
        migrated.cautions.push(format!("container {key} belongs to no task and is left alone"));
    }
    for (what, rows) in [("network interface", &state.eni_attachments), ("other resource", &state.resource_attachments)]
    {
        if !rows.is_empty() {
            migrated.cautions.push(format!("{} attachments of a {what} are not managed any more", rows.len()));
        }
    }
    migrated.images = write_images(state, now, &mut step);
    let metadata = &state.metadata;
    let sequence = Some(metadata.task_manifest_seq_num.as_str()).filter(|number| number.parse::<i64>().is_ok());
    for (key, value) in [
        (rows::META_INSTANCE, metadata.container_instance_arn.as_str()),
        (rows::META_CLUSTER, metadata.cluster_name.as_str()),
        (rows::META_ZONE, metadata.availability_zone.as_str()),
        (rows::META_VERSION, metadata.agent_version.as_str()),
        (rows::META_MANIFEST, sequence.unwrap_or_default()),
        (rows::META_EC2_INSTANCE, metadata.ec2_instance_id.as_str()),
    ] {
        if !value.is_empty() {
            step.write(rows::META, key, Some(value));
        }
    }
    migrated.rows = stored(step, txid);
    Ok(migrated)
}

/// The rows of a store that takes nothing over, and does not ask again.
pub fn decline(txid: u64) -> Vec<StoredRow> {
    stored(Step::default(), txid)
}

/// The transaction id of the state that a store was made of, if it was.
pub fn moved_in(stored: &[StoredRow]) -> Option<u64> {
    stored.iter().find(|row| row.table == rows::META && row.key == META_MOVED_IN)?.value.parse().ok()
}

fn stored(mut step: Step, txid: u64) -> Vec<StoredRow> {
    step.write(rows::META, META_MOVED_IN, Some(&txid.to_string()));
    step.writes
        .iter()
        .filter_map(|row| {
            Some(StoredRow { table: row.table.to_owned(), key: row.key.to_owned(), value: row.value?.to_owned() })
        })
        .collect()
}

fn write_images(state: &AgentState, now: Timestamp, step: &mut Step) -> usize {
    let mut images = Images::default();
    for (key, row) in &state.images {
        let record = image(key, row, now);
        images.changed.insert(record.id.clone());
        images.records.insert(record.id.clone(), record);
    }
    rows::write_images(&mut images, &mut RowText::default(), step);
    images.records.len()
}

fn image(key: &str, row: &Image, now: Timestamp) -> ImageRecord {
    let id = if row.image.image_id.is_empty() { key } else { row.image.image_id.as_str() };
    let sets = |name: &str| row.managed_env_keys.get(name).copied().unwrap_or_default();
    ImageRecord {
        id: id.into(),
        names: row.image.names.iter().cloned().collect(),
        moved_names: BTreeSet::new(),
        pulled_at: row.pulled_at.0.unwrap_or(now),
        last_used_at: row.last_used_at.0.unwrap_or(now),
        is_pull_complete: row.pull_succeeded,
        size: row.image.size,
        has_region: sets("AWS_REGION") || sets("AWS_DEFAULT_REGION"),
        holders: BTreeSet::new(),
    }
}

#[cfg(test)]
mod tests;
