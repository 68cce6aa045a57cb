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
use wire::ids::TaskId;

use crate::image::Images;
use crate::step::Step;
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

/// Room for most rows of a task or a container, so that their text is made in one piece.
const ROW: usize = 512;
/// The same for moments.
const SHORT_ROW: usize = 128;

fn json(value: &impl Serialize, room: usize) -> Option<String> {
    // Invariant: our own state types always serialise; they hold no maps with keys other than text.
    let mut text = Vec::with_capacity(room);
    serde_json::to_writer(&mut text, value).ok()?;
    String::from_utf8(text).ok()
}

fn container_key(task: &TaskId, container: &str) -> String {
    format!("{task}/{container}")
}

fn moment_key(task: &TaskId, number: usize) -> String {
    format!("{task}/{number:04}")
}

/// Writes what changed of a task.
pub(crate) fn write_task(task: &mut Task, step: &mut Step) {
    let id = task.definition.id.clone();
    if !task.is_stored {
        step.write(TASK, id.as_str(), json(&*task.definition, ROW));
        task.is_stored = true;
        task.is_dirty = true;
    }
    if task.is_dirty {
        task.state.volumes = task.volumes.iter().map(|v| v.state).collect();
        step.write(TASK_STATE, id.as_str(), json(&task.state, ROW));
        task.is_dirty = false;
    }
    for container in &mut task.containers {
        if container.is_dirty {
            step.write(CONTAINER, container_key(&id, &container.definition.name), json(&container.state, ROW));
            container.is_dirty = false;
        }
    }
    for number in task.history_written..task.history.len() {
        step.write(MOMENT, moment_key(&id, number), json(&task.history[number], SHORT_ROW));
    }
    task.history_written = task.history.len();
}

/// Deletes all rows of a task.
pub(crate) fn delete_task(task: &Task, step: &mut Step) {
    let id = &task.definition.id;
    step.write(TASK, id.as_str(), None);
    step.write(TASK_STATE, id.as_str(), None);
    for container in &task.containers {
        step.write(CONTAINER, container_key(id, container.name()), None);
    }
    for number in 0..task.history_written {
        step.write(MOMENT, moment_key(id, number), None);
    }
}

/// Writes what changed of images.
pub(crate) fn write_images(images: &mut Images, step: &mut Step) {
    for id in std::mem::take(&mut images.changed) {
        step.write(IMAGE, id.as_str(), images.records.get(&id).and_then(|record| json(record, ROW)));
    }
}
