//! Where others on this machine ask the engine something and wait for its answer, in the engine's own order of events.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use engine::Event;
use engine::image::{ImageAnswer, ImageRequest};
use tokio::sync::{mpsc, oneshot};

/// Questions about images, and who waits for what.
#[derive(Debug, Default)]
pub(crate) struct Desk(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// `None` before the agent's loop begins and after it ended.
    inbox: Option<mpsc::Sender<Event>>,
    waiting: BTreeMap<u64, oneshot::Sender<ImageAnswer>>,
    asked: u64,
}

impl Desk {
    /// Asks; `None` where no agent runs, or it ends before it answers. A cycle of clean-up may take minutes.
    pub(crate) async fn ask(&self, ask: ImageRequest) -> Option<ImageAnswer> {
        let (answer, inbox, request) = {
            let mut state = self.state();
            let inbox = state.inbox.clone()?;
            let (waiter, answer) = oneshot::channel();
            state.asked += 1;
            let request = state.asked;
            state.waiting.insert(request, waiter);
            (answer, inbox, request)
        };
        if inbox.send(Event::Images { request, ask }).await.is_err() {
            self.state().waiting.remove(&request);
        }
        answer.await.ok()
    }

    /// Tells the engine something. Lost where no agent runs.
    pub(super) async fn tell(&self, event: Event) {
        let inbox = self.state().inbox.clone();
        if let Some(inbox) = inbox {
            let _ = inbox.send(event).await;
        }
    }

    pub(super) fn open(&self, inbox: mpsc::Sender<Event>) {
        self.state().inbox = Some(inbox);
    }

    /// Nothing more is answered.
    pub(super) fn close(&self) {
        *self.state() = State::default();
    }

    pub(super) fn answer(&self, answers: Vec<(u64, ImageAnswer)>) {
        for (request, answer) in answers {
            let waiter = self.state().waiting.remove(&request);
            // Who asked may have gone away.
            let _ = waiter.map(|waiter| waiter.send(answer));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
