//! The stored form of what must survive the process.
//!
//! | table | key | value |
//! |---|---|---|
//! | `task` | task id | the definition, written once |
//! | `task_state` | task id | statuses, times, reports not yet acknowledged |
//! | `container` | task id `/` container name | statuses, Docker's id and name, ports, exit code |
//! | `moment` | task id `/` number | one entry of the history |
//! | `image` | image id | names, times |
//! | `meta` | `container-instance-arn`, … | what registration yielded |

use serde::Serialize;

use crate::image::Images;
use crate::step::{Key, Step};
use crate::task::Task;

pub(crate) const TASK: &str = "task";
pub(crate) const TASK_STATE: &str = "task_state";
pub(crate) const CONTAINER: &str = "container";
pub(crate) const MOMENT: &str = "moment";
pub(crate) const IMAGE: &str = "image";
pub(crate) const META: &str = "meta";

pub(crate) const META_INSTANCE: &str = "container-instance-arn";
pub(crate) const META_CLUSTER: &str = "cluster-name";
pub(crate) const META_ZONE: &str = "availability-zone";
pub(crate) const META_VERSION: &str = "agent-version";
pub(crate) const META_MANIFEST: &str = "task-manifest-seq-num";
/// The EC2 instance on which the state was made; absent off EC2.
pub(crate) const META_EC2_INSTANCE: &str = "ec2-instance-id";

/// Where the text of a row is made: the same place for all, so that memory for it is asked for once.
#[derive(Debug, Default)]
pub(crate) struct RowText(Vec<u8>);

impl RowText {
    fn of(&mut self, value: &impl Serialize) -> Option<&str> {
        self.0.clear();
        // Invariant: our own state types always serialise; they hold no maps with keys other than text.
        serde_json::to_writer(&mut self.0, value).ok()?;
        std::str::from_utf8(&self.0).ok()
    }
}

/// Members that say nothing are not written: each row's type reads a missing one as its default.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Writes what changed of a task.
pub(crate) fn write_task(task: &mut Task, text: &mut RowText, step: &mut Step) {
    let id = task.definition.id.clone();
    let id = id.as_str();
    if !task.is_stored {
        step.write(TASK, id, text.of(&*task.definition));
        task.is_stored = true;
        task.is_dirty = true;
    }
    if task.is_dirty {
        task.state.volumes = task.volumes.iter().map(|v| v.state).collect();
        step.write(TASK_STATE, id, text.of(&task.state));
        task.is_dirty = false;
    }
    for container in &mut task.containers {
        if container.is_dirty {
            step.write(CONTAINER, Key::Part(id, &container.definition.name), text.of(&container.state));
            container.is_dirty = false;
        }
    }
    for number in task.history_written..task.history.len() {
        step.write(MOMENT, Key::Nth(id, number), text.of(&*task.history[number]));
    }
    task.history_written = task.history.len();
    task.is_changed = false;
}

/// Deletes all rows of a task.
pub(crate) fn delete_task(task: &Task, step: &mut Step) {
    let id = task.definition.id.as_str();
    step.write(TASK, id, None);
    step.write(TASK_STATE, id, None);
    for container in &task.containers {
        step.write(CONTAINER, Key::Part(id, container.name()), None);
    }
    for number in 0..task.history_written {
        step.write(MOMENT, Key::Nth(id, number), None);
    }
}

/// Writes what changed of images.
pub(crate) fn write_images(images: &mut Images, text: &mut RowText, step: &mut Step) {
    for id in std::mem::take(&mut images.changed) {
        step.write(IMAGE, id.as_str(), images.records.get(&id).and_then(|record| text.of(record)));
    }
}
