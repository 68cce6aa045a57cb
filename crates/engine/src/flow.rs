//! What moves tasks: the loop that settles a task after each fact, and the transitions of containers.

mod cgroups;
mod cleanup;
mod images;
mod launch;
mod metadata;
mod observe;
mod reports;
mod settle;
mod stop;
#[cfg(test)]
mod testing;
mod volumes;

pub(crate) use images::{Deliveries, Fetched};

use std::fmt::Write as _;
use std::sync::Arc;

use crate::container::{Container, Work};
use crate::core::Core;
use crate::fact::{Fact, Note};
use crate::step::Step;
use crate::task::{Moment, Task, history::MOST_MOMENTS};
use crate::time::Now;

/// What a transition may touch beside its task.
pub(crate) struct Cx<'a> {
    pub core: &'a mut Core,
    pub step: &'a mut Step,
    pub now: Now,
}

impl Task {
    /// Notes a fact about the task, and keeps it in its history.
    pub(crate) fn note(&mut self, cx: &mut Cx<'_>, fact: Fact) {
        self.keep(cx, None, &fact);
        cx.step.notes.push(Note { task: Some(self.definition.id.clone()), container: None, fact });
    }

    /// Notes a fact about one of its containers, and keeps it in the history.
    pub(crate) fn note_on(&mut self, cx: &mut Cx<'_>, index: usize, fact: Fact) {
        let container = Arc::clone(&self.containers[index].definition.name);
        self.keep(cx, Some(&container), &fact);
        cx.step.notes.push(Note { task: Some(self.definition.id.clone()), container: Some(container), fact });
    }

    fn keep(&mut self, cx: &Cx<'_>, container: Option<&Arc<str>>, fact: &Fact) {
        if self.history.len() < MOST_MOMENTS {
            // Most facts are as short as this; writing to a text cannot fail.
            let mut detail = String::with_capacity(32);
            let _ = write!(detail, "{fact}");
            self.history.push(Arc::new(Moment {
                at: cx.now.wall,
                container: container.cloned(),
                what: fact.word().into(),
                detail,
            }));
        }
    }
}

/// What a container says while others are served.
pub(crate) fn waits_for_turn(what: &str, slots: usize) -> String {
    format!("waits for its turn to be {what}: {slots} at a time")
}

impl Container {
    pub(crate) fn begin(&mut self, stage: crate::container::Stage, now: Now) {
        self.work = Some(Work { stage, since: now.mono, attempt: 1 });
        self.waiting = None;
    }

    /// Says that it waits for its turn, for as long as it does.
    pub(crate) fn tell_turn(&mut self, core: &Core) {
        if let Some((effect, what)) = self.work.as_ref().and_then(|work| work.stage.turn()) {
            self.waiting = core.slots_awaited(effect).map(|slots| waits_for_turn(what, slots));
        }
    }

    pub(crate) fn go_on(&mut self, stage: crate::container::Stage) {
        if let Some(work) = &mut self.work {
            work.stage = stage;
        }
    }
}
