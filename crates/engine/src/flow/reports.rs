//! Sending what is to be told (spec 10 §4.7–4.8).

use super::Cx;
use crate::core::{Core, Timer};
use crate::event::Outcome;
use crate::fact::Fact;
use crate::outbox::Verdict;
use crate::task::Task;

impl Task {
    /// Lets the outbox know that there is something to send.
    pub(crate) fn offer_reports(&mut self, cx: &mut Cx<'_>) {
        if !self.state.reports.is_empty() {
            let id = self.id().clone();
            cx.core.outbox.offer(&id);
        }
    }

    /// The answer to the front report.
    pub(crate) fn apply_reported(&mut self, cx: &mut Cx<'_>, outcome: Outcome) {
        let id = self.id().clone();
        let Some(status) = self.state.reports.front().map(|r| r.status) else {
            cx.core.outbox.arrived(&id);
            return;
        };
        match outcome {
            Outcome::Failed(failure) => match cx.core.outbox.failed(&id, &failure, &mut cx.core.rng) {
                Verdict::Retry(pause) => {
                    cx.core.set(Timer::Report(id), cx.now.mono + pause);
                    self.note(cx, Fact::ReportFailed { status, error: failure.text, retry_in: Some(pause) });
                }
                Verdict::Drop => {
                    self.change().reports.pop_front();
                    self.note(cx, Fact::ReportFailed { status, error: failure.text, retry_in: None });
                }
            },
            _ => {
                cx.core.outbox.arrived(&id);
                self.acknowledge();
                self.note(cx, Fact::Reported { status });
            }
        }
        self.offer_reports(cx);
    }
}

impl Core {
    /// Whether the outbox may send now: only once the instance is registered.
    pub(crate) const fn parallel_submissions(&self) -> usize {
        self.config.parallel_submissions
    }
}
