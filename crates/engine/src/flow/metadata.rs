//! The file that describes a container to itself (spec 30 §6): made before the container, so that it can be mounted,
//! written anew after each start, removed with the task. It is a convenience: a failure is told, and holds up nothing.

use std::time::Duration;

use super::Cx;
use crate::container::{MetadataFile, Stage};
use crate::core::Route;
use crate::effect::{Effect, MetadataStage};
use crate::event::Outcome;
use crate::fact::Fact;
use crate::task::{MetadataRemoval, Task};

/// A small file on a local disk.
const DEADLINE: Duration = Duration::from_secs(10);

impl Task {
    /// Asks for the file that the container is created with; false where it gets none.
    pub(super) fn begin_metadata(&mut self, cx: &mut Cx<'_>, index: usize) -> bool {
        if cx.core.config.metadata_files.is_none() || self.containers[index].definition.kind.is_internal() {
            return false;
        }
        if self.containers[index].state.metadata_file.is_none() {
            // Written before the call: the create after a crash names the same directory.
            let token = cx.core.rng.uuid();
            self.containers[index].change().metadata_file = Some(MetadataFile { token, ready_at_restart: None });
        }
        let route = Route::Container(self.id().clone(), index);
        let effect = self.write_metadata(index, MetadataStage::Initial);
        let effect = cx.core.ask(cx.step, route, effect);
        self.containers[index].begin(Stage::Metadata(effect), cx.now);
        true
    }

    /// The file is there, or the container goes without.
    pub(crate) fn apply_metadata_written(&mut self, cx: &mut Cx<'_>, index: usize, outcome: Outcome) {
        self.containers[index].work = None;
        if let Outcome::Failed(failure) = outcome {
            self.note_on(cx, index, Fact::MetadataFailed { error: failure.text });
            self.containers[index].change().metadata_file = None;
        }
        self.ask_create(cx, index);
    }

    /// Has the file written as ready, if the container was started since that was last done.
    pub(super) fn refresh_metadata(&mut self, cx: &mut Cx<'_>, index: usize) {
        let container = &self.containers[index];
        let Some(file) = &container.state.metadata_file else { return };
        let restarts = container.state.restarts.count;
        let is_at_rest = container.work.is_none() && container.metadata_write.is_none();
        if cx.core.config.metadata_files.is_none()
            || self.state.is_being_removed
            || !(is_at_rest && container.state.known.is_running())
            || file.ready_at_restart == Some(restarts)
        {
            return;
        }
        let effect = self.write_metadata(index, MetadataStage::Ready);
        cx.core.ask(cx.step, Route::Metadata(self.id().clone(), index), effect);
        self.containers[index].metadata_write = Some(restarts);
    }

    pub(crate) fn apply_metadata_ready(&mut self, cx: &mut Cx<'_>, index: usize, outcome: Outcome) {
        let Some(restarts) = self.containers[index].metadata_write.take() else { return };
        if let Outcome::Failed(failure) = outcome {
            // The next start tries again, and so does the next start of the agent.
            self.note_on(cx, index, Fact::MetadataFailed { error: failure.text });
        } else if let Some(file) = &mut self.containers[index].change().metadata_file {
            file.ready_at_restart = Some(restarts);
            self.refresh_metadata(cx, index);
        }
        if self.state.is_being_removed {
            self.go_on_removing(cx);
        }
    }

    /// Removes the files of all containers, once.
    pub(super) fn remove_metadata(&mut self, cx: &mut Cx<'_>) {
        let may_have_files = cx.core.config.metadata_files.is_some() && !self.containers.is_empty()
            || self.containers.iter().any(|c| c.state.metadata_file.is_some());
        if !may_have_files || self.metadata_removal != MetadataRemoval::None {
            return;
        }
        let effect = Effect::RemoveMetadata { task: self.arn().clone(), deadline: DEADLINE };
        cx.core.ask(cx.step, Route::MetadataRemoval(self.id().clone()), effect);
        self.metadata_removal = MetadataRemoval::Asked;
    }

    pub(crate) fn apply_metadata_removed(&mut self, cx: &mut Cx<'_>, outcome: Outcome) {
        self.metadata_removal = MetadataRemoval::Done;
        if let Outcome::Failed(failure) = outcome {
            self.note(cx, Fact::RemovalFailed { error: failure.text });
        }
        self.go_on_removing(cx);
    }

    fn write_metadata(&self, index: usize, stage: MetadataStage) -> Effect {
        let container = self.containers[index].name().to_owned();
        Effect::WriteMetadata { task: self.id().clone(), container, stage, deadline: DEADLINE }
    }
}

#[cfg(test)]
mod tests;
