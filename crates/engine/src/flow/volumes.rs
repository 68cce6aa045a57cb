//! Volumes that the Engine manages: made before any container that mounts them is pulled, removed with the task.

use std::time::Duration;

use super::Cx;
use crate::core::Route;
use crate::effect::Effect;
use crate::event::{Failure, FailureKind, Outcome};
use crate::fact::Fact;
use crate::status::TaskStatus;
use crate::task::{Task, VolumeKind, VolumeState};
use crate::text;

/// For making one.
pub(super) const DEADLINE: Duration = Duration::from_secs(300);

impl Task {
    /// Begins what volumes need; true when one was settled at once.
    pub(crate) fn settle_volumes(&mut self, cx: &mut Cx<'_>) -> bool {
        if self.state.desired == TaskStatus::Stopped {
            return false;
        }
        for index in 0..self.volumes.len() {
            let volume = &self.volumes[index];
            if volume.work.is_some() || volume.state >= VolumeState::Created {
                continue;
            }
            let VolumeKind::Docker { docker_name, is_shared, .. } = &volume.definition.kind else { continue };
            if *is_shared {
                let effect = Effect::InspectVolume { name: docker_name.clone(), deadline: DEADLINE };
                let effect = cx.core.ask(cx.step, Route::Volume(self.id().clone(), index), effect);
                self.volumes[index].work = Some(effect);
            } else {
                self.create_volume(cx, index);
            }
        }
        false
    }

    fn create_volume(&mut self, cx: &mut Cx<'_>, index: usize) {
        let volume = &self.volumes[index];
        let VolumeKind::Docker { docker_name, driver, options, labels, .. } = &volume.definition.kind else { return };
        let effect = Effect::CreateVolume {
            name: docker_name.clone(),
            driver: driver.clone(),
            options: options.clone(),
            labels: labels.clone(),
            deadline: DEADLINE,
        };
        let effect = cx.core.ask(cx.step, Route::Volume(self.id().clone(), index), effect);
        let volume = &mut self.volumes[index];
        volume.work = Some(effect);
        volume.is_create_asked = true;
    }

    /// The answer to a create, or to the look at a shared volume (spec 50 §11.3).
    pub(crate) fn apply_volume(&mut self, cx: &mut Cx<'_>, index: usize, outcome: Outcome) {
        let Some(volume) = self.volumes.get_mut(index) else { return };
        volume.work = None;
        if self.state.is_being_removed {
            self.apply_volume_removed(cx, index, outcome);
            return;
        }
        let VolumeKind::Docker { docker_name, is_autoprovisioned, options, labels, .. } = &volume.definition.kind
        else {
            return;
        };
        match outcome {
            Outcome::Failed(failure) if volume.is_create_asked => {
                let error = volume_error(failure, "creating volume");
                let reason = if error.is_empty() { text::VOLUME_FAILED } else { &error };
                self.stop(Some(reason));
                self.note_volume_failure(cx, index, error);
            }
            Outcome::Failed(failure) if !is_autoprovisioned => {
                let error = volume_error(failure, "inspecting volume");
                let error = text::volume_missing(docker_name, &error);
                self.refuse_volume(cx, index, error);
            }
            Outcome::Failed(failure) if failure.kind == FailureKind::Timeout => {
                let error = volume_error(failure, "inspecting volume");
                self.refuse_volume(cx, index, error);
            }
            Outcome::Failed(_) => self.create_volume(cx, index),
            Outcome::Volume { labels: found_labels, options: found_options, .. }
                if *is_autoprovisioned && !volume.is_create_asked && cx.core.config.matches_shared_volumes_fully =>
            {
                if found_labels != *labels {
                    let error = text::volume_labels_differ(&found_labels, labels);
                    self.refuse_volume(cx, index, error);
                } else if found_options != *options {
                    let error = text::volume_options_differ(&found_options, options);
                    self.refuse_volume(cx, index, error);
                } else {
                    self.volume_is_there(cx, index);
                }
            }
            _ => self.volume_is_there(cx, index),
        }
    }

    fn volume_is_there(&mut self, cx: &mut Cx<'_>, index: usize) {
        self.volumes[index].state = VolumeState::Created;
        self.is_dirty = true;
        let name = self.volumes[index].definition.name.clone();
        self.note(cx, Fact::VolumeCreated { name });
    }

    /// A shared volume is not as the task needs it, which the reference finds out before it takes the task.
    fn refuse_volume(&mut self, cx: &mut Cx<'_>, index: usize, error: String) {
        if self.state.reason.is_none() {
            let reason = text::resource_initialization(self.arn().as_str(), &error);
            self.change().reason = Some(reason);
        }
        self.stop(None);
        self.note_volume_failure(cx, index, error);
    }

    fn note_volume_failure(&mut self, cx: &mut Cx<'_>, index: usize, error: String) {
        let name = self.volumes[index].definition.name.clone();
        self.note(cx, Fact::VolumeFailed { name, error });
    }
}

/// Docker's own words, or those of a deadline that passed.
fn volume_error(failure: Failure, what: &str) -> String {
    if failure.kind == FailureKind::Timeout { text::timed_out(what, DEADLINE) } else { failure.text }
}

#[cfg(test)]
mod tests;
