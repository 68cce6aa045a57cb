//! Who asks: from an endpoint id to its container, and the texts that were made for it before.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;
use engine::InstanceView;
use engine::container::Container;
use engine::task::{NetworkMode, Task};
use wire::ids::TaskId;

use crate::agent::published::Published;

/// Endpoint ids that were asked for and found. As many as there are containers; an id that is not found leaves
/// nothing behind.
#[derive(Default)]
pub(crate) struct Index(RwLock<BTreeMap<String, Arc<Entry>>>);

struct Entry {
    task: TaskId,
    /// Position in the task; fixed from admission on.
    container: usize,
    texts: Mutex<Texts>,
}

/// Texts made from one view of the task.
#[derive(Default)]
struct Texts {
    from: Option<(Arc<Task>, Option<Arc<InstanceView>>)>,
    texts: [Option<Bytes>; 4],
}

/// Which text of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    ContainerV3,
    TaskV3,
    ContainerV4,
    TaskV4,
}

/// A container that asks.
pub(super) struct Caller {
    pub task: Arc<Task>,
    position: usize,
    entry: Arc<Entry>,
}

impl Caller {
    pub(super) fn container(&self) -> &Container {
        &self.task.containers[self.position]
    }

    /// The text that was made from this view, if any.
    pub(super) fn text(&self, which: Text, instance: Option<&Arc<InstanceView>>) -> Option<Bytes> {
        let texts = self.entry.texts.lock().unwrap_or_else(PoisonError::into_inner);
        let (task, from) = texts.from.as_ref()?;
        let is_current = Arc::ptr_eq(task, &self.task) && is_same_place(from.as_ref(), instance);
        is_current.then(|| texts.texts[which as usize].clone()).flatten()
    }

    pub(super) fn keep_text(&self, which: Text, instance: Option<Arc<InstanceView>>, text: &Bytes) {
        let mut texts = self.entry.texts.lock().unwrap_or_else(PoisonError::into_inner);
        let is_current = texts.from.as_ref().is_some_and(|(task, from)| {
            Arc::ptr_eq(task, &self.task) && is_same_place(from.as_ref(), instance.as_ref())
        });
        if !is_current {
            *texts = Texts { from: Some((Arc::clone(&self.task), instance)), texts: [None, None, None, None] };
        }
        texts.texts[which as usize] = Some(text.clone());
    }
}

/// Whether two views of the instance say the same in task documents.
fn is_same_place(one: Option<&Arc<InstanceView>>, other: Option<&Arc<InstanceView>>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => {
            Arc::ptr_eq(one, other)
                || (one.cluster == other.cluster && one.availability_zone == other.availability_zone)
        }
        _ => false,
    }
}

impl Index {
    /// The created container with this endpoint id.
    pub(super) fn caller(&self, published: &Published, endpoint: &str) -> Option<Caller> {
        // Pause containers have the empty id and cannot be asked for.
        if endpoint.is_empty() {
            return None;
        }
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(endpoint).cloned();
        if let Some(entry) = known {
            if let Some(task) = published.task(&entry.task)
                && is_it(&task, entry.container, endpoint)
            {
                return Some(Caller { task, position: entry.container, entry });
            }
            self.0.write().unwrap_or_else(PoisonError::into_inner).remove(endpoint);
        }
        let (task, position) = published.tasks().into_iter().find_map(|task| {
            let position = (0..task.containers.len()).find(|position| is_it(&task, *position, endpoint))?;
            Some((task, position))
        })?;
        let entry = Arc::new(Entry { task: task.id().clone(), container: position, texts: Mutex::default() });
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if entries.len() > 64 {
            // Containers that are gone are not asked for any more, so nobody else would notice.
            entries.retain(|_, entry| published.task(&entry.task).is_some());
        }
        entries.insert(endpoint.to_owned(), Arc::clone(&entry));
        Some(Caller { task, position, entry })
    }
}

/// Ids name containers from creation on (spec 30 §3.1).
fn is_it(task: &Task, position: usize, endpoint: &str) -> bool {
    task.containers
        .get(position)
        .is_some_and(|container| container.definition.endpoint_id == endpoint && container.state.docker_id.is_some())
}

/// The task whose own network has this address; tasks on shared networks are never found (spec 30 §3.1).
pub(super) fn task_by_address(published: &Published, address: IpAddr) -> Option<Arc<Task>> {
    published.tasks().into_iter().find(|task| {
        task.definition.network_mode == NetworkMode::Awsvpc
            && task.containers.iter().any(|c| c.state.network.ipv4.parse() == Ok(address))
    })
}

/// The container with this Docker id, or name where it has no id yet, anywhere on the instance.
pub(super) fn by_docker_id(published: &Published, id: &str) -> Option<(Arc<Task>, usize)> {
    published.tasks().into_iter().find_map(|task| {
        let position = task.containers.iter().position(|c| c.handle() == Some(id))?;
        Some((task, position))
    })
}
