//! What the container engine tells: its stream of events, and its list, which is compared with what is known because
//! the stream may be cut or miss something.

use std::collections::BTreeMap;
use std::time::Duration;

use wire::docker::ContainerSummary;
use wire::ids::TaskId;

use super::{Engine, failure_of};
use crate::backoff::Backoff;
use crate::container::Stage;
use crate::core::{Route, Timer};
use crate::effect::Effect;
use crate::event::{DockerEvent, Outcome};
use crate::fact::Level;
use crate::step::Step;
use crate::time::{Mono, Now};

/// How often the Engine's list is compared with what is known (spec 20 §3.9).
const POLL: Duration = Duration::from_secs(300);
const POLL_JITTER: Duration = Duration::from_secs(30);
/// How far back a new stream of events reaches, how soon after it everything is compared once more, and how long after
/// an end was heard a list proves nothing that still shows the container as running. Docker tells of an end first, then
/// cleans up, and only then lists the container as ended; and it begins to listen for a stream a moment after it opened
/// it. An end in between is neither heard nor listed.
pub(crate) const OVERLAP: Duration = Duration::from_secs(10);
const LIST_DEADLINE: Duration = Duration::from_secs(60);

/// How the stream and the list are doing.
#[derive(Debug)]
pub(super) struct Watch {
    follow_backoff: Backoff,
    list_backoff: Backoff,
    is_listing: bool,
    /// When the last list was asked for.
    listed_at: Mono,
    /// Something was seen since the list that is out was asked for.
    lists_again: bool,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self {
            follow_backoff: Backoff::new(Duration::from_millis(200), Duration::from_secs(10), 2.0, 0.2),
            list_backoff: Backoff::new(Duration::from_millis(500), Duration::from_secs(10), 2.0, 0.2),
            is_listing: false,
            listed_at: Mono::default(),
            lists_again: false,
        }
    }
}

impl Engine {
    pub(super) fn follow(&mut self, now: Now, step: &mut Step) {
        let since = now.wall.saturating_sub(OVERLAP).unwrap_or(now.wall);
        self.core.ask(step, Route::FollowEvents, Effect::FollowEvents { since });
    }

    pub(super) fn apply_stream_opened(&mut self, now: Now, step: &mut Step) {
        self.watch.follow_backoff.reset();
        self.list(now, step);
        self.core.set_no_later(Timer::List, now.mono + OVERLAP);
    }

    pub(super) fn apply_stream_ended(&mut self, now: Now, outcome: Outcome, step: &mut Step) {
        let pause = self.watch.follow_backoff.next(&mut self.core.rng);
        if let Outcome::Failed(failure) = outcome {
            step.agent(Level::Warn, "events_lost", format!("the stream of container events ended: {}", failure.text));
        }
        self.core.set(Timer::FollowEvents, now.mono + pause);
    }

    pub(super) fn apply_docker(&mut self, now: Now, event: &DockerEvent, step: &mut Step) {
        let Some((task, index)) = self.core.containers_by_id.get(&event.id).cloned() else { return };
        self.touch(now, &task, step, |task, cx| {
            if index < task.containers.len() {
                task.apply_docker_event(cx, index, event.action);
                task.settle(cx);
            }
        });
    }

    pub(super) fn poll_later(&mut self, now: Now) {
        let pause = POLL + self.core.rng.within(POLL_JITTER);
        self.core.set(Timer::Poll, now.mono + pause);
    }

    pub(super) fn list(&mut self, now: Now, step: &mut Step) {
        if self.watch.is_listing {
            self.watch.lists_again = true;
            return;
        }
        self.watch.is_listing = true;
        self.watch.listed_at = now.mono;
        self.core.ask(step, Route::List, Effect::ListContainers { deadline: LIST_DEADLINE });
    }

    pub(super) fn apply_list(&mut self, now: Now, outcome: Outcome, step: &mut Step) {
        self.watch.is_listing = false;
        let asked_at = self.watch.listed_at;
        if std::mem::take(&mut self.watch.lists_again) {
            self.list(now, step);
        }
        let containers = match outcome {
            Outcome::Listed(containers) => containers,
            other => {
                let pause = self.watch.list_backoff.next(&mut self.core.rng);
                let failure = failure_of(other);
                step.agent(Level::Warn, "list_failed", format!("containers could not be listed: {}", failure.text));
                self.core.set(Timer::List, now.mono + pause);
                return;
            }
        };
        self.watch.list_backoff.reset();
        let by_id: BTreeMap<&str, &ContainerSummary> = containers.iter().map(|c| (c.id.as_str(), c)).collect();
        let tasks: Vec<TaskId> = self.tasks.keys().cloned().collect();
        for id in tasks {
            let needs_look = self.tasks.get(&id).is_some_and(|task| {
                !task.state.is_being_removed && task.containers.iter().any(|c| c.handle().is_some())
            });
            if !needs_look {
                continue;
            }
            self.touch(now, &id, step, |task, cx| {
                for index in 0..task.containers.len() {
                    let docker_id = task.containers[index].state.docker_id.clone();
                    let listed = docker_id.and_then(|id| by_id.get(id.as_str()).copied());
                    match task.containers[index].work.as_ref().map(|w| w.stage) {
                        Some(Stage::VerifyPause { .. }) => task.compare_restored(cx, index, listed),
                        _ => task.compare(cx, index, listed, asked_at),
                    }
                }
                task.settle(cx);
            });
        }
    }
}
