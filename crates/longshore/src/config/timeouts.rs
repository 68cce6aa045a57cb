//! Time that a container's and a task's steps may take (spec 40 §3.3).

use std::time::Duration;

use jiff::SignedDuration;

use super::sources::Sources;
use super::values::{duration_text, or_at_once};

/// Time limits for containers and tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Timeouts {
    /// Between the stop signal and the kill.
    pub container_stop: Duration,
    pub container_start: Duration,
    pub container_create: Duration,
    /// Between a task's stop and the removal of its containers.
    pub task_cleanup_wait: Duration,
    /// A random part of this is added to the wait.
    pub task_cleanup_jitter: Duration,
    /// The first value that is too small to be used.
    refused: Option<String>,
}

const CLEANUP_WAIT: SignedDuration = SignedDuration::from_hours(3);
const LEAST_STOP: SignedDuration = SignedDuration::from_secs(1);
const LEAST_START: SignedDuration = SignedDuration::from_secs(45);

impl Timeouts {
    pub(super) fn read(from: &mut Sources<'_>) -> Self {
        let stop = from
            .duration_at_least("ECS_CONTAINER_STOP_TIMEOUT", "DockerStopTimeout", LEAST_STOP)
            .unwrap_or(SignedDuration::from_secs(30));
        let start = from
            .duration_at_least("ECS_CONTAINER_START_TIMEOUT", "ContainerStartTimeout", LEAST_START)
            .unwrap_or(SignedDuration::from_mins(3));
        let create = from
            .duration_at_least("ECS_CONTAINER_CREATE_TIMEOUT", "ContainerCreateTimeout", SignedDuration::from_mins(1))
            .unwrap_or(SignedDuration::from_mins(4));
        let cleanup_wait =
            from.duration("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION", "TaskCleanupWaitDuration").unwrap_or(CLEANUP_WAIT);
        let jitter = from
            .duration("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION_JITTER", "TaskCleanupWaitDurationJitter")
            .unwrap_or(SignedDuration::ZERO);
        if jitter.is_negative() {
            // The reference crashes on it (spec 40 §20, 32).
            from.warn("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION_JITTER is negative; using 0s".to_owned());
        }
        let too_small = |what: &str, value: SignedDuration, least: SignedDuration| {
            (value < least)
                .then(|| format!("config: invalid value for docker container {what} timeout: {}", duration_text(value)))
        };
        Self {
            container_stop: or_at_once(stop),
            container_start: or_at_once(start),
            container_create: or_at_once(create),
            task_cleanup_wait: or_at_once(cleanup_wait),
            task_cleanup_jitter: or_at_once(jitter),
            refused: too_small("stop", stop, LEAST_STOP).or_else(|| too_small("start", start, LEAST_START)),
        }
    }

    /// The checks 2 and 3 of spec 40 §6; only a file can fail them.
    pub(super) fn refusal(&self) -> Option<String> {
        self.refused.clone()
    }

    /// The check 5 of spec 40 §6.
    pub(super) fn clamp(&mut self, from: &mut Sources<'_>) {
        if self.task_cleanup_wait < Duration::from_secs(1) {
            from.warn("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION is below 1s; using 3h".to_owned());
            self.task_cleanup_wait = or_at_once(CLEANUP_WAIT);
        }
    }
}
