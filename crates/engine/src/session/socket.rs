//! One websocket: its connection of the moment, its timers, its back-off (spec 10 §2.4, §2.6).
//! It never dials by itself: where to is the matter of discovery.

use std::time::Duration;

use super::{SessionContext, SessionNote, SessionWant};
use crate::backoff::Backoff;
use crate::effect::{Connection, Farewell, Socket};
use crate::event::Closing;
use crate::time::{Mono, Now};

const MINUTE: Duration = Duration::from_secs(60);
/// How long a connection is kept on which nothing arrives.
const READ_DEADLINE: Duration = Duration::from_secs(180);
/// `jitter(30 min, 5 min)` is how long a connection lasts.
const LIFETIME: (Duration, Duration) = (Duration::from_secs(1800), Duration::from_secs(300));
/// How long ACS is left alone once it called this instance inactive.
const INACTIVE_WAIT: Duration = Duration::from_secs(3600);
const INACTIVE: &str = "InactiveInstanceException";
const FAREWELL: Farewell = Farewell { code: 1000, reason: "ConnectionExpired: Reconnect to continue" };
/// A connection that lived shorter than this is brief, and after so many brief ones in a row a valid close
/// no longer means reconnecting at once. Otherwise a peer that accepts and closes, over and over, would keep
/// both ends in a busy loop; a service that closes connections for a reason lets them live for minutes.
const BRIEF: Duration = Duration::from_secs(1);
const MOST_BRIEF: u32 = 5;

/// One of the two websockets.
#[derive(Debug, Clone)]
pub struct Session {
    socket: Socket,
    state: State,
    backoff: Backoff,
    /// Number of the last connection.
    number: u64,
    /// Brief connections in a row that ended with a valid close.
    brief: u32,
    /// Whether any handshake of this process succeeded.
    has_connected: bool,
}

#[derive(Debug, Clone)]
enum State {
    /// Not started, or over.
    Idle,
    /// Discovery is asked for the address.
    Seeking,
    /// The handshake is in flight.
    Opening(Connection),
    Open(Open),
    Waiting {
        until: Mono,
    },
}

/// An open connection and when what is due.
#[derive(Debug, Clone)]
struct Open {
    connection: Connection,
    since: Mono,
    /// Renewed by messages until a farewell was sent; from then on it is the limit for the peer's own close.
    read_deadline: Mono,
    inactive_at: Option<Mono>,
    expires_at: Option<Mono>,
    /// When the back-off begins anew, because the connection has proved itself.
    steady_at: Option<Mono>,
    has_said_farewell: bool,
}

/// What follows the end of a connection, or of the attempt to make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// It was an old connection: nothing.
    Nothing,
    DialAtOnce,
    /// The session waits for its own time.
    Wait,
    /// As `Wait`, and the instance was called inactive.
    Inactive,
}

impl Session {
    pub(super) const fn new(socket: Socket) -> Self {
        let backoff = match socket {
            Socket::Acs => Backoff::new(Duration::from_millis(250), Duration::from_secs(120), 1.5, 0.2),
            Socket::Tcs => Backoff::new(Duration::from_secs(1), MINUTE, 2.0, 0.2),
        };
        Self { socket, state: State::Idle, backoff, number: 0, brief: 0, has_connected: false }
    }

    /// The connection that is being opened or is open.
    pub fn current(&self) -> Option<Connection> {
        match &self.state {
            State::Opening(connection) => Some(*connection),
            State::Open(open) => Some(open.connection),
            State::Idle | State::Seeking | State::Waiting { .. } => None,
        }
    }

    /// The open connection, as long as frames may be sent on it: after a farewell nothing may follow.
    pub fn connection(&self) -> Option<Connection> {
        match &self.state {
            State::Open(open) if !open.has_said_farewell => Some(open.connection),
            _ => None,
        }
    }

    /// Since when the connection is open.
    pub fn connected_since(&self) -> Option<Mono> {
        match &self.state {
            State::Open(open) => Some(open.since),
            _ => None,
        }
    }

    /// Whether any handshake of this process succeeded.
    pub const fn has_connected(&self) -> bool {
        self.has_connected
    }

    pub(super) const fn is_seeking(&self) -> bool {
        matches!(self.state, State::Seeking)
    }

    pub(super) const fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    pub(super) fn seek(&mut self) {
        self.state = State::Seeking;
    }

    pub(super) fn open(&mut self, url: String, cx: &mut SessionContext<'_>) {
        self.number += 1;
        let connection = Connection { socket: self.socket, number: self.number };
        self.state = State::Opening(connection);
        cx.wants.push(SessionWant::Open { connection, url });
    }

    pub(super) fn on_opened(&mut self, now: Now, connection: Connection, cx: &mut SessionContext<'_>) {
        if !matches!(self.state, State::Opening(current) if current == connection) {
            // It was given up while it opened: nobody will use it.
            if self.current() != Some(connection) {
                cx.wants.push(SessionWant::Close { connection, farewell: None });
            }
            return;
        }
        let since = now.mono;
        self.has_connected = true;
        self.state = State::Open(Open {
            connection,
            since,
            read_deadline: since + READ_DEADLINE,
            inactive_at: Some(since + jitter(MINUTE, MINUTE, cx)),
            expires_at: Some(since + jitter(LIFETIME.0, LIFETIME.1, cx)),
            steady_at: match self.socket {
                Socket::Acs => Some(since + jitter(MINUTE, MINUTE, cx)),
                Socket::Tcs => None,
            },
            has_said_farewell: false,
        });
        cx.tell(SessionNote::Connected { connection });
    }

    pub(super) fn on_activity(&mut self, now: Now, connection: Connection, cx: &mut SessionContext<'_>) {
        let State::Open(open) = &mut self.state else { return };
        if open.connection != connection {
            return;
        }
        if !open.has_said_farewell {
            open.read_deadline = now.mono + READ_DEADLINE;
        }
        if open.inactive_at.is_some() {
            open.inactive_at = Some(now.mono + jitter(MINUTE, MINUTE, cx));
        }
    }

    /// The connection, or the attempt to make it, ended by itself.
    pub(super) fn on_ended(
        &mut self,
        now: Now,
        connection: Connection,
        how: &Closing,
        cx: &mut SessionContext<'_>,
    ) -> Next {
        if self.current() != Some(connection) {
            return Next::Nothing;
        }
        match how {
            Closing::Valid { text } => self.closed_validly(now, text, cx),
            Closing::Error { text } => self.failed(now, text, cx),
        }
    }

    fn closed_validly(&mut self, now: Now, text: &str, cx: &mut SessionContext<'_>) -> Next {
        let lived = self.connected_since().map_or(Duration::ZERO, |since| now.mono - since);
        self.tell_lost(text, cx);
        self.brief = if lived < BRIEF { self.brief.saturating_add(1) } else { 0 };
        if self.brief > MOST_BRIEF {
            self.back_off(now, cx);
            return Next::Wait;
        }
        self.backoff.reset();
        Next::DialAtOnce
    }

    /// A connection was lost, could not be made, or could not even be tried.
    pub(super) fn failed(&mut self, now: Now, why: &str, cx: &mut SessionContext<'_>) -> Next {
        self.tell_lost(why, cx);
        if self.socket == Socket::Acs && why.contains(INACTIVE) {
            cx.tell(SessionNote::InactiveInstance { pause: INACTIVE_WAIT });
            self.state = State::Waiting { until: now.mono + INACTIVE_WAIT };
            return Next::Inactive;
        }
        self.back_off(now, cx);
        Next::Wait
    }

    /// Drops an open connection and waits for the next attempt.
    pub(super) fn drop_open(&mut self, now: Now, why: &str, cx: &mut SessionContext<'_>) {
        if let State::Open(open) = &self.state {
            cx.wants.push(SessionWant::Close { connection: open.connection, farewell: None });
            self.tell_lost(why, cx);
            self.back_off(now, cx);
        }
    }

    /// Does what is due. Says whether the session wants to dial.
    pub(super) fn on_tick(&mut self, now: Now, cx: &mut SessionContext<'_>) -> bool {
        let is_due = |at: Option<Mono>| at.is_some_and(|at| at <= now.mono);
        let open = match &mut self.state {
            State::Waiting { until } => return *until <= now.mono,
            State::Open(open) => open,
            State::Idle | State::Seeking | State::Opening(_) => return false,
        };
        if is_due(open.steady_at) {
            open.steady_at = None;
            self.backoff.reset();
        }
        if is_due(Some(open.read_deadline)) {
            let why = if open.has_said_farewell {
                "the peer did not close the connection"
            } else {
                "nothing was received in time"
            };
            self.drop_open(now, why, cx);
            return false;
        }
        if is_due(open.inactive_at) {
            match self.socket {
                Socket::Acs => {
                    self.drop_open(now, "no message for too long", cx);
                    return false;
                }
                Socket::Tcs => {
                    open.say_farewell(cx);
                    cx.tell(SessionNote::Silent { socket: self.socket });
                }
            }
        }
        if is_due(open.expires_at) {
            open.say_farewell(cx);
            cx.tell(SessionNote::LifetimeOver { socket: self.socket, after: now.mono - open.since });
        }
        false
    }

    pub(super) fn deadline(&self) -> Option<Mono> {
        match &self.state {
            State::Idle | State::Seeking | State::Opening(_) => None,
            State::Waiting { until } => Some(*until),
            State::Open(open) => [Some(open.read_deadline), open.inactive_at, open.expires_at, open.steady_at]
                .into_iter()
                .flatten()
                .min(),
        }
    }

    pub(super) fn shutdown(&mut self, cx: &mut SessionContext<'_>) {
        if let Some(connection) = self.current() {
            cx.wants.push(SessionWant::Close { connection, farewell: None });
        }
        self.state = State::Idle;
    }

    fn back_off(&mut self, now: Now, cx: &mut SessionContext<'_>) {
        let pause = self.backoff.next(cx.rng);
        cx.tell(SessionNote::NextAttempt { socket: self.socket, pause });
        self.state = State::Waiting { until: now.mono + pause };
    }

    fn tell_lost(&self, why: &str, cx: &mut SessionContext<'_>) {
        let why = why.to_owned();
        cx.tell(match self.connected_since() {
            Some(_) => SessionNote::Lost { socket: self.socket, why },
            None => SessionNote::NotConnected { socket: self.socket, why },
        });
    }
}

impl Open {
    /// Asks the peer to close. The telemetry socket then waits for that alone. On ACS silence goes on being
    /// watched, because it ends the connection there anyway.
    fn say_farewell(&mut self, cx: &mut SessionContext<'_>) {
        self.has_said_farewell = true;
        self.expires_at = None;
        if self.connection.socket == Socket::Tcs {
            self.inactive_at = None;
        }
        cx.wants.push(SessionWant::Close { connection: self.connection, farewell: Some(FAREWELL) });
    }
}

/// `jitter(a, b)` of the specification.
fn jitter(least: Duration, span: Duration, cx: &mut SessionContext<'_>) -> Duration {
    least + cx.rng.within(span)
}
