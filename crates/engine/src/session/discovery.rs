//! Where the websockets are: one call for both, its answer kept for long (spec 10 §2.1).

use std::time::Duration;

use wire::ecs::{DiscoverPollEndpointRequest, DiscoverPollEndpointResponse};

use super::url::cluster;
use super::{SessionContext, SessionNote, SessionWant};
use crate::attempts::{Attempts, CALL_DEADLINE};
use crate::effect::Socket;
use crate::event::Failure;
use crate::time::{Mono, Now};

/// How long an answer is used without asking again.
const TTL: Duration = Duration::from_secs(12 * 3600);
/// How long a call with all its attempts may take.
const CALL_LIMIT: Duration = Duration::from_secs(126);

/// The shared knowledge of both sockets, and the call that gets it.
///
/// Failed connections do not spoil it. An answer that lacks one of the two addresses serves only the other:
/// the socket without one asks again after its back-off instead of failing for twelve hours on end.
#[derive(Debug, Clone, Default)]
pub struct Discovery {
    /// The last answer and when it came.
    known: Option<(DiscoverPollEndpointResponse, Mono)>,
    call: Option<Call>,
}

/// A call under way. Invariant: there is at most one.
#[derive(Debug, Clone)]
struct Call {
    since: Mono,
    attempts: Attempts,
    /// When the next attempt begins; `None` while one is in flight.
    next: Option<Mono>,
}

/// What an attempt's answer means for the sockets that wait for it.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing yet: another attempt follows, or nobody asked.
    NotYet,
    Answer(DiscoverPollEndpointResponse),
    Failed(String),
}

impl Discovery {
    /// The socket's address, when it is known and young enough to be used without a call.
    pub(super) fn fresh(&self, socket: Socket, now: Now) -> Option<String> {
        let (answer, at) = self.known.as_ref()?;
        if now.mono - *at < TTL { endpoint(answer, socket).ok() } else { None }
    }

    /// Asks, unless a call is under way.
    pub(super) fn ask(&mut self, now: Now, cx: &mut SessionContext<'_>) {
        if self.call.is_none() {
            self.call = Some(Call { since: now.mono, attempts: Attempts::new(), next: None });
            want(CALL_DEADLINE, cx);
        }
    }

    pub(super) fn on_answer(
        &mut self,
        now: Now,
        result: Result<DiscoverPollEndpointResponse, Failure>,
        cx: &mut SessionContext<'_>,
    ) -> Found {
        let Some(call) = self.call.as_mut().filter(|call| call.next.is_none()) else { return Found::NotYet };
        let failure = match result {
            Ok(answer) => {
                self.call = None;
                self.known = Some((answer.clone(), now.mono));
                return Found::Answer(answer);
            }
            Err(failure) => failure,
        };
        let pause = call.attempts.next(&failure, cx.rng);
        if let Some(next) = pause.map(|pause| now.mono + pause).filter(|next| *next < call.since + CALL_LIMIT) {
            call.next = Some(next);
            return Found::NotYet;
        }
        self.call = None;
        let old = self.known.as_ref().map(|(answer, _)| answer.clone());
        cx.tell(SessionNote::DiscoveryFailed { why: failure.text.clone(), uses_old_answer: old.is_some() });
        old.map_or(Found::Failed(failure.text), Found::Answer)
    }

    pub(super) fn on_tick(&mut self, now: Now, cx: &mut SessionContext<'_>) {
        if let Some(call) = &mut self.call
            && call.next.is_some_and(|next| next <= now.mono)
        {
            call.next = None;
            want(CALL_DEADLINE.min(call.since + CALL_LIMIT - now.mono), cx);
        }
    }

    pub(super) fn deadline(&self) -> Option<Mono> {
        self.call.as_ref()?.next
    }

    /// Whether an attempt is in flight.
    pub fn is_asking(&self) -> bool {
        self.call.as_ref().is_some_and(|call| call.next.is_none())
    }

    /// Forgets a call that waits for its next attempt; the answer of one in flight is not wanted any more.
    pub(super) fn shutdown(&mut self) {
        self.call = None;
    }
}

fn want(deadline: Duration, cx: &mut SessionContext<'_>) {
    let request = DiscoverPollEndpointRequest {
        container_instance: Some(cx.instance_arn.as_str().to_owned()),
        cluster: Some(cluster(cx.config).to_owned()),
        zone_id: Some(String::new()),
    };
    cx.wants.push(SessionWant::Discover { request, deadline });
}

/// The socket's address in an answer.
///
/// # Errors
/// The answer has none.
pub(super) fn endpoint(answer: &DiscoverPollEndpointResponse, socket: Socket) -> Result<String, String> {
    let (endpoint, missing) = match socket {
        Socket::Acs => (&answer.endpoint, "no endpoint returned; nil"),
        Socket::Tcs => (&answer.telemetry_endpoint, "no telemetry endpoint returned; nil"),
    };
    endpoint.clone().ok_or_else(|| missing.to_owned())
}
