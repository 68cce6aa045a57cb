//! A task: what was asked for ([`TaskDefinition`]), how far it is ([`TaskState`]), its containers and volumes.

mod admit;
pub mod cgroup;
mod definition;
pub mod history;
mod state;
pub mod status;
pub mod volume;

pub use admit::{Rejection, admit};
pub use cgroup::{Cgroup, CgroupDefinition, CgroupLimits, CgroupState, CgroupWork, CpuLimit};
pub use definition::{NetworkMode, TaskDefinition};
pub use history::Moment;
pub use state::{Admission, TaskState};
pub use volume::{HostSource, Volume, VolumeKind, VolumeState};

use std::sync::Arc;

use wire::ids::{TaskArn, TaskId};

use crate::container::Container;
use crate::status::TaskStatus;

/// Each shared. Collected in place, as the compiler does it, they would keep the room of the whole values.
pub(crate) fn shared<T>(values: Vec<T>) -> Vec<Arc<T>> {
    let mut all = Vec::with_capacity(values.len());
    all.extend(values.into_iter().map(Arc::new));
    all
}

/// How far the removal of the containers' metadata files is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MetadataRemoval {
    None,
    Asked,
    Done,
}

/// One task. Published as it is: the local endpoints and `describe` read it.
#[derive(Debug, Clone)]
pub struct Task {
    pub definition: Arc<TaskDefinition>,
    pub state: TaskState,
    /// In payload order, internal ones last.
    pub containers: Vec<Container>,
    pub volumes: Vec<Volume>,
    pub cgroup: Cgroup,
    pub(crate) metadata_removal: MetadataRemoval,
    pub admission: Admission,
    /// What happened to it, oldest first.
    pub history: Vec<Arc<Moment>>,
    /// How many moments are written.
    pub(crate) history_written: usize,
    /// Whether anything changed in this step, stored or not.
    pub(crate) is_changed: bool,
    /// Whether the state's row is to be written.
    pub(crate) is_dirty: bool,
    /// Whether the definition is written.
    pub(crate) is_stored: bool,
}

impl Task {
    pub fn arn(&self) -> &TaskArn {
        &self.definition.arn
    }

    pub fn id(&self) -> &TaskId {
        &self.definition.id
    }

    pub fn container(&self, name: &str) -> Option<&Container> {
        self.containers.iter().find(|c| c.name() == name)
    }

    /// Why it has no share of the host yet, for people.
    pub fn waits_for(&self) -> Option<&str> {
        match &self.admission {
            Admission::Waiting { reason, .. } if self.state.known != TaskStatus::Stopped => Some(reason),
            _ => None,
        }
    }

    pub(crate) fn change(&mut self) -> &mut TaskState {
        self.is_dirty = true;
        &mut self.state
    }
}
