//! The simulated machine below the container engine: the cgroups of tasks.

use std::collections::BTreeSet;

use engine::{Effect, Failure, FailureKind, Outcome};

use crate::daemon::{Container, Daemon, Status};

/// What is on the machine.
#[derive(Debug, Default)]
pub(crate) struct Host {
    pub(crate) cgroups: BTreeSet<String>,
}

/// Whether the agent does it itself, in its own process: it takes place, or the agent ends before.
pub(crate) const fn is_of_host(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::CreateCgroup { .. }
            | Effect::RemoveCgroup { .. }
            | Effect::WriteMetadata { .. }
            | Effect::RemoveMetadata { .. }
    )
}

impl Host {
    pub(crate) fn perform(&mut self, effect: &Effect, daemon: &Daemon) -> Outcome {
        match effect {
            Effect::CreateCgroup { parent, .. } => {
                self.cgroups.insert(parent.clone());
            }
            Effect::RemoveCgroup { parent, .. } => {
                let is_in_it = |c: &Container| c.status == Status::Running && c.cgroup.as_ref() == Some(parent);
                if daemon.containers.values().any(is_in_it) {
                    let text = format!("remove {parent}: device or resource busy");
                    return Outcome::Failed(Failure::new(FailureKind::Other, text));
                }
                self.cgroups.remove(parent);
            }
            _ => {}
        }
        Outcome::Done
    }

    /// The container engine makes the cgroup of what it starts where it is missing.
    pub(crate) fn follow(&mut self, daemon: &Daemon) {
        for container in daemon.containers.values().filter(|c| c.status == Status::Running) {
            if let Some(parent) = &container.cgroup
                && !self.cgroups.contains(parent)
            {
                self.cgroups.insert(parent.clone());
            }
        }
    }
}
