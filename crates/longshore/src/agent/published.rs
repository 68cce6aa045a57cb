//! What the engine lets others see: each task as it is now, the instance, and the stream of facts.
//! The local endpoints and the command line read this and never the engine.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use engine::InstanceView;
use engine::container::Container;
use engine::fact::{Level, Note};
use engine::task::Task;
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::{broadcast, watch};
use wire::ids::TaskId;

use super::desk::Desk;
use super::sampler::Samples;
use super::way_in::WayInView;

/// Shared by the driver, which writes, and all who look.
#[derive(Clone)]
pub(crate) struct Published(Arc<Inner>);

struct Inner {
    tasks: RwLock<BTreeMap<TaskId, Arc<Task>>>,
    instance: RwLock<Option<Arc<InstanceView>>>,
    /// By what is pulled, which is mostly a digest and not the name that a container has for it.
    pulls: RwLock<BTreeMap<String, Arc<PullProgress>>>,
    recent: RwLock<VecDeque<Arc<Fact>>>,
    facts: broadcast::Sender<Arc<Fact>>,
    way_in: watch::Sender<WayInView>,
    desk: Desk,
    samples: OnceLock<Samples>,
}

/// How many facts are kept for those who look later.
const RECENT: usize = 1000;

/// One fact as others see it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Fact {
    pub at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    pub level: &'static str,
    /// A word for programs.
    pub what: &'static str,
    /// For people.
    pub text: String,
}

/// How far the pull of one image is, by layer.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct PullProgress {
    pub layers: BTreeMap<String, LayerProgress>,
}

/// How far one layer is.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct LayerProgress {
    /// The Engine's word, such as `Downloading`.
    pub status: String,
    /// Bytes.
    pub current: u64,
    /// Bytes; 0 where unknown.
    pub total: u64,
}

impl Published {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner {
            tasks: RwLock::default(),
            instance: RwLock::default(),
            pulls: RwLock::default(),
            recent: RwLock::default(),
            facts: broadcast::channel(1024).0,
            way_in: watch::Sender::new(WayInView::default()),
            desk: Desk::default(),
            samples: OnceLock::new(),
        }))
    }

    /// Where questions are asked that only the engine can answer.
    pub(crate) fn desk(&self) -> &Desk {
        &self.0.desk
    }

    /// What the containers use; `None` before the agent has begun to look.
    pub(crate) fn samples(&self) -> Option<&Samples> {
        self.0.samples.get()
    }

    pub(super) fn set_samples(&self, samples: Samples) {
        // There is one agent, and it starts once.
        let _ = self.0.samples.set(samples);
    }

    /// All tasks.
    pub(crate) fn tasks(&self) -> Vec<Arc<Task>> {
        self.0.tasks.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(crate) fn task(&self, id: &TaskId) -> Option<Arc<Task>> {
        self.0.tasks.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// `None` until the agent has registered.
    pub(crate) fn instance(&self) -> Option<Arc<InstanceView>> {
        self.0.instance.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The pull that a container waits for, once the Engine has told of it.
    pub(crate) fn pull_for(&self, container: &Container) -> Option<Arc<PullProgress>> {
        let pulled = container.pull_reference()?;
        self.0.pulls.read().unwrap_or_else(PoisonError::into_inner).get(pulled.as_str()).cloned()
    }

    /// How many pulls are under way.
    pub(crate) fn pulls_under_way(&self) -> usize {
        self.0.pulls.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The last facts, oldest first.
    pub(crate) fn recent(&self) -> Vec<Arc<Fact>> {
        self.0.recent.read().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// All facts from now on; a reader that is too slow is told how many it missed.
    pub(crate) fn follow(&self) -> broadcast::Receiver<Arc<Fact>> {
        self.0.facts.subscribe()
    }

    /// The state of the packet rules, as it changes.
    pub(crate) fn way_in(&self) -> watch::Receiver<WayInView> {
        self.0.way_in.subscribe()
    }

    pub(super) fn set_way_in(&self, view: WayInView) {
        self.0.way_in.send_replace(view);
    }

    pub(crate) fn set_tasks(&self, changes: impl IntoIterator<Item = (TaskId, Option<Arc<Task>>)>) {
        let mut changes = changes.into_iter().peekable();
        if changes.peek().is_none() {
            return;
        }
        let mut tasks = self.0.tasks.write().unwrap_or_else(PoisonError::into_inner);
        for (id, task) in changes {
            match task {
                Some(task) => tasks.insert(id, task),
                None => tasks.remove(&id),
            };
        }
    }

    pub(super) fn set_instance(&self, view: InstanceView) {
        let mut slot = self.0.instance.write().unwrap_or_else(PoisonError::into_inner);
        if slot.as_deref() != Some(&view) {
            *slot = Some(Arc::new(view));
        }
    }

    pub(crate) fn set_layer(&self, image: &str, layer: &str, progress: LayerProgress) {
        let mut pulls = self.0.pulls.write().unwrap_or_else(PoisonError::into_inner);
        let pull = Arc::make_mut(pulls.entry(image.to_owned()).or_default());
        let slot = pull.layers.entry(layer.to_owned()).or_default();
        // The Engine tells a layer's size only while it moves.
        let total = if progress.total == 0 { slot.total } else { progress.total };
        *slot = LayerProgress { total, ..progress };
    }

    pub(super) fn end_pull(&self, image: &str) {
        self.0.pulls.write().unwrap_or_else(PoisonError::into_inner).remove(image);
    }

    pub(super) fn tell(&self, at: Timestamp, note: &Note) {
        let level = match note.fact.level() {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        self.push(Fact {
            at,
            task: note.task.clone(),
            container: note.container.as_deref().map(str::to_owned),
            level,
            what: note.fact.word(),
            text: note.fact.to_string(),
        });
    }

    /// Tells something of a task that the engine does not know of. `level` is `info` or `warn`.
    pub(crate) fn remark(&self, at: Timestamp, task: TaskId, level: &'static str, what: &'static str, text: String) {
        self.push(Fact { at, task: Some(task), container: None, level, what, text });
    }

    fn push(&self, fact: Fact) {
        let fact = Arc::new(fact);
        let mut recent = self.0.recent.write().unwrap_or_else(PoisonError::into_inner);
        if recent.len() == RECENT {
            recent.pop_front();
        }
        recent.push_back(Arc::clone(&fact));
        drop(recent);
        // Nobody listening is the normal case.
        let _ = self.0.facts.send(fact);
    }
}
