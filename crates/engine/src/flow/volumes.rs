//! Volumes that the Engine manages: made before any container that mounts them is pulled, removed with the task.

use std::time::Duration;

use super::Cx;
use crate::core::Route;
use crate::effect::Effect;
use crate::event::{FailureKind, Outcome};
use crate::fact::Fact;
use crate::status::TaskStatus;
use crate::task::{Task, VolumeKind, VolumeState};
use crate::text;

const DEADLINE: Duration = Duration::from_secs(300);

impl Task {
    /// Begins what volumes need; true when one was settled at once.
    pub(crate) fn settle_volumes(&mut self, cx: &mut Cx<'_>) -> bool {
        if self.state.desired == TaskStatus::Stopped {
            return false;
        }
        let id = self.id().clone();
        for index in 0..self.volumes.len() {
            let volume = &self.volumes[index];
            if volume.work.is_some() || volume.state >= VolumeState::Created {
                continue;
            }
            let VolumeKind::Docker { docker_name, is_shared, driver, options, labels, .. } = &volume.definition.kind
            else {
                continue;
            };
            let effect = if *is_shared {
                Effect::InspectVolume { name: docker_name.clone(), deadline: DEADLINE }
            } else {
                Effect::CreateVolume {
                    name: docker_name.clone(),
                    driver: driver.clone(),
                    options: options.clone(),
                    labels: labels.clone(),
                    deadline: DEADLINE,
                }
            };
            let effect = cx.core.ask(cx.step, Route::Volume(id.clone(), index), effect);
            self.volumes[index].work = Some(effect);
        }
        false
    }

    pub(crate) fn apply_volume(&mut self, cx: &mut Cx<'_>, index: usize, outcome: Outcome) {
        let Some(volume) = self.volumes.get_mut(index) else { return };
        volume.work = None;
        if self.state.is_being_removed {
            self.apply_volume_removed(cx, index, outcome);
            return;
        }
        let VolumeKind::Docker { docker_name, is_autoprovisioned, driver, options, labels, .. } =
            &volume.definition.kind
        else {
            return;
        };
        let (name, deadline) = (docker_name.clone(), DEADLINE);
        match outcome {
            Outcome::Volume { labels: found_labels, options: found_options, .. } => {
                let differs = cx.core.config.matches_shared_volumes_fully
                    && (found_labels != *labels || found_options != *options);
                if differs {
                    let error = "intended volume does not match existing volume".to_owned();
                    self.fail_volume(cx, index, error);
                } else {
                    self.volume_is_there(cx, index);
                }
            }
            Outcome::Failed(failure) if failure.kind == FailureKind::NotFound && *is_autoprovisioned => {
                let effect = Effect::CreateVolume {
                    name,
                    driver: driver.clone(),
                    options: options.clone(),
                    labels: labels.clone(),
                    deadline,
                };
                let route = Route::Volume(self.id().clone(), index);
                let effect = cx.core.ask(cx.step, route, effect);
                self.volumes[index].work = Some(effect);
            }
            Outcome::Failed(failure) => {
                let error = if failure.kind == FailureKind::Timeout {
                    format!("DockerTimeoutError: {}", text::timed_out("creating volume", DEADLINE))
                } else {
                    failure.text
                };
                self.fail_volume(cx, index, error);
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

    fn fail_volume(&mut self, cx: &mut Cx<'_>, index: usize, error: String) {
        let name = self.volumes[index].definition.name.clone();
        let reason = if error.is_empty() {
            "VolumeError: Agent could not create task's volume resources".to_owned()
        } else {
            format!("VolumeError: {error}")
        };
        self.note(cx, Fact::VolumeFailed { name, error });
        self.stop(Some(&reason));
    }
}
