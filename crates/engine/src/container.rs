//! A container of a task: what was asked for ([`Definition`]), how far it is ([`State`]), and what is
//! being done about it ([`Work`]).

mod definition;
pub mod dependency;
mod inspection;
pub mod next;
mod state;
pub mod work;

pub use definition::{
    ContainerPorts, Definition, Dependency, DependencyCondition, Kind, MountPoint, PortMapping, RestartPolicy,
    VolumeFrom,
};
pub use inspection::{Facts, InspectedStatus};
pub use state::{
    Attachment, ChosenPorts, Health, MetadataFile, Mount, NamedError, Network, PortBinding, RestartTracker, State,
};
pub use work::{Doubt, Observation, Stage, Work};

use std::sync::Arc;
use std::time::Duration;

use wire::ids::ImageRef;

use crate::status::ContainerStatus;

/// One container of a task.
#[derive(Debug, Clone)]
pub struct Container {
    pub definition: Arc<Definition>,
    pub state: State,
    pub health: Health,
    /// The transition that is under way. Invariant: at most one.
    pub work: Option<Work>,
    /// An inspection that is under way because something was seen, beside any transition.
    pub observation: Option<Observation>,
    /// The image as it was found here, between the look-up of its digest and its use.
    pub(crate) local_image: Option<crate::image::ImageFacts>,
    /// Why the last attempt at a stop failed.
    pub(crate) stop_error: Option<NamedError>,
    /// An end that was seen while a transition was under way, with the exit code if the event had one: the inspection
    /// that the transition waits for may be older.
    pub(crate) seen_end: Option<Option<i64>>,
    /// Whether it was heard to start since the look at it after its stop was asked for.
    pub(crate) seen_start: bool,
    /// Since when it could not be looked at.
    pub(crate) doubt: Option<Doubt>,
    /// The restart count for which its metadata file is being written as ready.
    pub(crate) metadata_write: Option<u64>,
    /// Why it does not move, for people; set by the last look at it. Beside [`Work`]: it waits for its turn.
    pub waiting: Option<String>,
    /// Whether [`State`] changed since it was last written.
    pub(crate) is_dirty: bool,
}

impl Container {
    pub fn new(definition: Arc<Definition>) -> Self {
        Self {
            definition,
            state: State::default(),
            health: Health::default(),
            work: None,
            observation: None,
            local_image: None,
            stop_error: None,
            seen_end: None,
            seen_start: false,
            doubt: None,
            metadata_write: None,
            waiting: None,
            is_dirty: true,
        }
    }

    pub fn name(&self) -> &str {
        &self.definition.name
    }

    /// The status in which it rests while the task runs (spec 20 §1.4).
    pub fn steady(&self) -> ContainerStatus {
        ContainerStatus::Running
    }

    pub fn is_stopped(&self) -> bool {
        self.state.known == ContainerStatus::Stopped
    }

    /// What reaches the Engine: its id, or its name where the id is not known.
    pub fn handle(&self) -> Option<&str> {
        match (&self.state.docker_id, &self.state.docker_name) {
            (Some(id), _) => Some(id.as_str()),
            (None, name) => name.as_deref(),
        }
    }

    /// Mutable state, to be written at the end of the step.
    pub(crate) fn change(&mut self) -> &mut State {
        self.is_dirty = true;
        &mut self.state
    }

    /// Raises the known status; it never falls here.
    pub(crate) fn advance(&mut self, status: ContainerStatus) -> bool {
        let is_further = status > self.state.known;
        if is_further {
            self.change().known = status;
        }
        is_further
    }

    /// Raises the desired status; it never falls.
    pub(crate) fn want(&mut self, status: ContainerStatus) {
        if status > self.state.desired {
            self.change().desired = status;
        }
    }

    /// Keeps the first error; later ones do not hide it (spec 20 §3.5, trap 2).
    pub(crate) fn keep_error(&mut self, error: NamedError) {
        if self.state.error.is_none() {
            self.change().error = Some(error);
        }
    }

    /// The status that a report would carry now, if any (spec 20 §3.8).
    pub fn reportable(&self) -> Option<ContainerStatus> {
        if self.definition.kind.is_internal() {
            return None;
        }
        match self.state.known {
            ContainerStatus::ManifestPulled | ContainerStatus::Pulled | ContainerStatus::Created => {
                self.has_resolved_digest().then_some(ContainerStatus::ManifestPulled)
            }
            ContainerStatus::Running => Some(ContainerStatus::Running),
            ContainerStatus::Stopped => Some(ContainerStatus::Stopped),
            ContainerStatus::None | ContainerStatus::ResourcesProvisioned => None,
        }
    }

    /// Whether the agent found the digest out, rather than being told it in the reference.
    pub fn has_resolved_digest(&self) -> bool {
        !self.definition.kind.is_internal()
            && self.state.image_digest.is_some()
            && self.definition.image.digest().is_none()
    }

    /// What is pulled for it, while it waits for a pull.
    pub fn pull_reference(&self) -> Option<ImageRef> {
        let is_pulling = self.work.as_ref().is_some_and(|work| work.stage == Stage::Pull);
        is_pulling.then(|| crate::image::pull_reference(&self.definition.image, self.state.image_digest.as_ref()))
    }

    /// How long the Engine waits between TERM and KILL.
    pub fn stop_timeout(&self, default: Duration) -> Duration {
        self.definition.stop_timeout.unwrap_or(default)
    }
}

impl std::fmt::Display for Container {
    /// The form that dependency errors show to users (spec 20 §2.2).
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}({}) ({}->{})",
            self.definition.name, self.definition.image, self.state.known, self.state.desired
        )?;
        match self.state.exit_code {
            Some(code) => write!(f, " - Exit: {code}"),
            None => Ok(()),
        }
    }
}
