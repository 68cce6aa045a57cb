//! Taking up again what the store holds. Rows that do not read are set aside one by one, with a note;
//! one bad row costs its own task only.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use wire::ids::{ContainerInstanceArn, TaskId};

use crate::container::{Container, Stage, State, Work};
use crate::core::Core;
use crate::image::ImageRecord;
use crate::rows;
use crate::status::TaskStatus;
use crate::step::{Rows, StoredRow};
use crate::task::history::USUAL_MOMENTS;
use crate::task::{
    Admission, Cgroup, MetadataRemoval, Moment, Task, TaskDefinition, TaskState, Volume, VolumeState, shared,
};
use crate::time::Mono;

/// State that was made on another EC2 instance: a machine that was started from the image of an old one.
#[derive(Debug)]
pub(crate) struct Foreign {
    /// Deletes every row of it.
    pub deletions: Rows,
    /// For people.
    pub why: String,
}

/// Whether the rows are of another EC2 instance than this one; then nothing of them holds here, and they must go, or
/// the next start would mix them with what is new (spec 10 §1.8, spec 20 trap 51). What was taken over from the
/// reference stays noted, so that it is not taken over again.
pub(crate) fn foreign(stored: &[StoredRow], here: Option<&str>) -> Option<Foreign> {
    let here = here.filter(|here| !here.is_empty())?;
    let saved = stored.iter().find(|row| row.table == rows::META && row.key == rows::META_EC2_INSTANCE)?;
    let saved = Some(saved.value.as_str()).filter(|saved| !saved.is_empty() && *saved != here)?;
    let metadata = [
        rows::META_INSTANCE,
        rows::META_CLUSTER,
        rows::META_ZONE,
        rows::META_VERSION,
        rows::META_MANIFEST,
        rows::META_EC2_INSTANCE,
    ];
    let tables = [rows::TASK, rows::TASK_STATE, rows::CONTAINER, rows::MOMENT, rows::IMAGE];
    let mut deletions = Rows::default();
    for row in stored {
        let table = tables.into_iter().find(|table| row.table == *table);
        let is_ours = || row.table == rows::META && metadata.contains(&row.key.as_str());
        if let Some(table) = table.or_else(|| is_ours().then_some(rows::META)) {
            deletions.push(table, row.key.as_str(), None);
        }
    }
    let why = format!(
        "Data mismatch; saved InstanceID '{saved}' does not match current InstanceID '{here}'. The state is discarded, and this machine registers anew"
    );
    Some(Foreign { deletions, why })
}

/// What the store held.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    pub tasks: BTreeMap<TaskId, Task>,
    pub instance: Option<ContainerInstanceArn>,
    pub cluster: Option<String>,
    pub availability_zone: String,
    pub is_known_agent: bool,
    pub manifest: Option<i64>,
    /// Rows that do not read, for people.
    pub complaints: Vec<String>,
}

pub(crate) fn restore(rows: Vec<StoredRow>, core: &mut Core) -> Restored {
    let mut restored = Restored::default();
    let mut definitions: BTreeMap<TaskId, TaskDefinition> = BTreeMap::new();
    let mut states: BTreeMap<TaskId, TaskState> = BTreeMap::new();
    let mut containers: BTreeMap<(TaskId, String), State> = BTreeMap::new();
    let mut moments: BTreeMap<TaskId, BTreeMap<String, Moment>> = BTreeMap::new();
    for row in rows {
        let (head, tail) = row.key.split_once('/').unwrap_or((&row.key, ""));
        let id = TaskId::from(head);
        let complaints = &mut restored.complaints;
        match row.table.as_str() {
            rows::TASK => read(&row, complaints, |value| _ = definitions.insert(id, value)),
            rows::TASK_STATE => read(&row, complaints, |value| _ = states.insert(id, value)),
            rows::CONTAINER => read(&row, complaints, |value| _ = containers.insert((id, tail.to_owned()), value)),
            rows::MOMENT => {
                read(&row, complaints, |value| _ = moments.entry(id).or_default().insert(tail.to_owned(), value));
            }
            rows::IMAGE => read(&row, complaints, |value: ImageRecord| {
                core.images.records.insert(value.id.clone(), value);
            }),
            rows::META => match row.key.as_str() {
                rows::META_INSTANCE if !row.value.is_empty() => restored.instance = Some(row.value.as_str().into()),
                rows::META_CLUSTER if !row.value.is_empty() => restored.cluster = Some(row.value),
                rows::META_ZONE => restored.availability_zone = row.value,
                rows::META_VERSION => restored.is_known_agent = !row.value.is_empty(),
                rows::META_MANIFEST => restored.manifest = row.value.parse().ok(),
                _ => {}
            },
            _ => complaints.push(format!("a row of unknown table {:?} is left alone", row.table)),
        }
    }
    for (id, definition) in definitions {
        let Some(state) = states.remove(&id) else {
            restored.complaints.push(format!("task {id} has no state in the store and is left alone"));
            continue;
        };
        let mut rows = |name: &str| containers.remove(&(id.clone(), name.to_owned()));
        let history: Vec<Moment> = moments.remove(&id).map(|m| m.into_values().collect()).unwrap_or_default();
        let task = rebuild(definition, state, &mut rows, history);
        reclaim(&task, core);
        restored.tasks.insert(id, task);
    }
    restored
}

fn read<T: DeserializeOwned>(row: &StoredRow, complaints: &mut Vec<String>, keep: impl FnOnce(T)) {
    match serde_json::from_str(&row.value) {
        Ok(value) => keep(value),
        Err(error) => complaints.push(format!("row {:?} of table {} does not read: {error}", row.key, row.table)),
    }
}

fn rebuild(
    definition: TaskDefinition,
    state: TaskState,
    rows: &mut dyn FnMut(&str) -> Option<State>,
    history: Vec<Moment>,
) -> Task {
    let mut task = Task::new(definition, Timestamp::UNIX_EPOCH);
    for (volume, known) in task.volumes.iter_mut().zip(&state.volumes) {
        let may_be_in_the_making = *known == VolumeState::None;
        *volume = Volume { state: *known, may_be_in_the_making, ..volume.clone() };
    }
    task.state = state;
    task.history_written = history.len();
    task.history = shared(history);
    task.is_stored = true;
    task.is_dirty = false;
    for container in &mut task.containers {
        if let Some(row) = rows(&container.definition.name) {
            container.state = row;
            container.is_dirty = false;
        }
        restore_work(container);
    }
    task
}

/// A container that may exist must be seen before anything is done to it.
fn restore_work(container: &mut Container) {
    if !container.is_stopped() && container.handle().is_some() {
        let stage = Stage::VerifyPause { until: Mono::default() };
        container.work = Some(Work { stage, since: Mono::default(), attempt: 1 });
    }
}

/// Shares that a restored task holds already.
fn reclaim(task: &Task, core: &mut Core) {
    let id = task.id();
    let is_stopped = task.state.known == TaskStatus::Stopped;
    for container in &task.containers {
        for chosen in container.state.chosen_ports.iter().filter(|_| !is_stopped) {
            if let Some(mapping) = container.definition.ports.get(chosen.mapping) {
                core.ports.restore(id, mapping.protocol, chosen.first, chosen.count);
            }
        }
        if let Some(docker) = &container.state.docker_id
            && let Some(index) = task.containers.iter().position(|c| c.name() == container.name())
        {
            core.containers_by_id.insert(docker.clone(), (id.clone(), index));
        }
        if let Some(image) = &container.state.image_id {
            core.images.hold_again(image, id, container.name());
        }
    }
    let has_begun = task.containers.iter().any(|c| c.state.known > crate::status::ContainerStatus::None);
    if !is_stopped && has_begun {
        core.ledger.take(id.clone(), task.resource_request());
    }
}

impl Task {
    pub(crate) fn new(definition: TaskDefinition, now: Timestamp) -> Self {
        let containers = definition.containers.iter().cloned().map(Container::new).collect();
        let volumes =
            definition.volumes.iter().cloned().map(|definition| Volume { definition, ..Volume::default() }).collect();
        Self {
            containers,
            volumes,
            cgroup: Cgroup::default(),
            state: TaskState { accepted_at: Some(now), ..TaskState::default() },
            definition: std::sync::Arc::new(definition),
            metadata_removal: MetadataRemoval::None,
            admission: Admission::New,
            history: Vec::with_capacity(USUAL_MOMENTS),
            history_written: 0,
            is_changed: false,
            is_dirty: true,
            is_stored: false,
        }
    }
}

#[cfg(test)]
mod tests;
