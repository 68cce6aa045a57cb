//! The life of the two websockets (spec 10 §2): discovery, connections, timers, back-off.
//! Pure: it says what it wants and is told what came of it. It knows nothing of what the messages mean.

mod discovery;
mod socket;
mod url;

use std::fmt;
use std::time::Duration;

use wire::ecs::{DiscoverPollEndpointRequest, DiscoverPollEndpointResponse};
use wire::gojson::render_duration;
use wire::ids::ContainerInstanceArn;

use crate::config::EngineConfig;
use crate::effect::{Connection, Farewell, Socket};
use crate::event::{Closing, Failure};
use crate::rng::Rng;
use crate::time::{Mono, Now};

pub use discovery::Discovery;
pub use socket::Session;
pub use url::{acs_url, tcs_url};

use discovery::Found;
use socket::Next;

/// How long dial and handshake may take together (spec 10 §2.3: 30 s each).
pub const OPEN_DEADLINE: Duration = Duration::from_secs(60);

/// What the sessions need to know, and where they put what they want.
#[derive(Debug)]
pub struct SessionContext<'a> {
    pub instance_arn: &'a ContainerInstanceArn,
    pub config: &'a EngineConfig,
    pub rng: &'a mut Rng,
    pub wants: &'a mut Vec<SessionWant>,
}

impl SessionContext<'_> {
    fn tell(&mut self, note: SessionNote) {
        self.wants.push(SessionWant::Told(note));
    }
}

/// One thing that the sessions want done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionWant {
    /// Answered by `on_discovered`, which has to come before another one is wanted.
    Discover { request: DiscoverPollEndpointRequest, deadline: Duration },
    /// Answered by `on_opened` or `on_refused`, within [`OPEN_DEADLINE`].
    Open { connection: Connection, url: String },
    /// With a farewell: send it, and go on reading until the peer closes. Without: drop the connection, also one
    /// that is still being opened; no answer is needed.
    Close { connection: Connection, farewell: Option<Farewell> },
    /// A fact for logs and metrics.
    Told(SessionNote),
}

/// What an operator may want to know of the sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionNote {
    Connected {
        connection: Connection,
    },
    /// An open connection ended.
    Lost {
        socket: Socket,
        why: String,
    },
    /// An attempt failed, be it at the discovery of the address.
    NotConnected {
        socket: Socket,
        why: String,
    },
    NextAttempt {
        socket: Socket,
        pause: Duration,
    },
    /// The control plane does not know this instance any more.
    InactiveInstance {
        pause: Duration,
    },
    /// No message for so long that the peer was asked to close.
    Silent {
        socket: Socket,
    },
    LifetimeOver {
        socket: Socket,
        after: Duration,
    },
    DiscoveryFailed {
        why: String,
        uses_old_answer: bool,
    },
}

impl fmt::Display for SessionNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected { connection } => write!(f, "connected to {}", name(connection.socket)),
            Self::Lost { socket, why } => write!(f, "connection to {} lost: {why}", name(*socket)),
            Self::NotConnected { socket, why } => write!(f, "no connection to {}: {why}", name(*socket)),
            Self::NextAttempt { socket, pause } => {
                write!(f, "next attempt to connect to {} in {}", name(*socket), render_duration(*pause))
            }
            Self::InactiveInstance { pause } => write!(
                f,
                "the control plane calls this container instance inactive; next attempt in {}",
                render_duration(*pause)
            ),
            Self::Silent { socket } => write!(f, "no message from {} for too long; closing", name(*socket)),
            Self::LifetimeOver { socket, after } => {
                write!(f, "connection to {} has lasted {}; renewing it", name(*socket), render_duration(*after))
            }
            Self::DiscoveryFailed { why, uses_old_answer: true } => {
                write!(f, "endpoints could not be discovered, using the old ones: {why}")
            }
            Self::DiscoveryFailed { why, uses_old_answer: false } => {
                write!(f, "endpoints could not be discovered: {why}")
            }
        }
    }
}

const fn name(socket: Socket) -> &'static str {
    match socket {
        Socket::Acs => "ACS",
        Socket::Tcs => "TCS",
    }
}

/// Both websockets and the discovery that they share.
///
/// Invariant: a socket that was started is connected, or waits for an effect, or has a deadline.
#[derive(Debug, Clone)]
pub struct Sessions {
    acs: Session,
    tcs: Session,
    discovery: Discovery,
}

impl Sessions {
    pub fn new() -> Self {
        Self { acs: Session::new(Socket::Acs), tcs: Session::new(Socket::Tcs), discovery: Discovery::default() }
    }

    /// Connects both sockets; called once the instance is registered.
    pub fn start(&mut self, now: Now, cx: &mut SessionContext<'_>) {
        for socket in [Socket::Acs, Socket::Tcs] {
            if self.session(socket).is_idle() {
                self.dial(socket, now, cx);
            }
        }
    }

    /// An attempt at discovery has ended.
    pub fn on_discovered(
        &mut self,
        now: Now,
        result: Result<DiscoverPollEndpointResponse, Failure>,
        cx: &mut SessionContext<'_>,
    ) {
        let found = self.discovery.on_answer(now, result, cx);
        for socket in [Socket::Acs, Socket::Tcs] {
            if self.session(socket).is_seeking() {
                match &found {
                    Found::NotYet => {}
                    Found::Answer(answer) => self.open(socket, discovery::endpoint(answer, socket), now, cx),
                    Found::Failed(why) => self.open(socket, Err(why.clone()), now, cx),
                }
            }
        }
    }

    pub fn on_opened(&mut self, now: Now, connection: Connection, cx: &mut SessionContext<'_>) {
        self.session_mut(connection.socket).on_opened(now, connection, cx);
    }

    /// The connection could not be made.
    pub fn on_refused(&mut self, now: Now, connection: Connection, failure: &Failure, cx: &mut SessionContext<'_>) {
        self.on_closed(now, connection, &Closing::Error { text: failure.text.clone() }, cx);
    }

    /// ACS: a message that was recognised. TCS: one of the four that count (spec 10 §2.4).
    pub fn on_activity(&mut self, now: Now, connection: Connection, cx: &mut SessionContext<'_>) {
        self.session_mut(connection.socket).on_activity(now, connection, cx);
    }

    /// The connection has ended, and not because it was to be dropped.
    pub fn on_closed(&mut self, now: Now, connection: Connection, how: &Closing, cx: &mut SessionContext<'_>) {
        let next = self.session_mut(connection.socket).on_ended(now, connection, how, cx);
        match next {
            Next::Nothing | Next::Wait => {}
            Next::DialAtOnce => self.dial(connection.socket, now, cx),
            Next::Inactive => self.tcs.drop_open(now, "the container instance is inactive", cx),
        }
    }

    /// Does what is due.
    pub fn on_tick(&mut self, now: Now, cx: &mut SessionContext<'_>) {
        self.discovery.on_tick(now, cx);
        for socket in [Socket::Acs, Socket::Tcs] {
            if self.session_mut(socket).on_tick(now, cx) {
                self.dial(socket, now, cx);
            }
        }
    }

    /// When `on_tick` has something to do.
    pub fn deadline(&self) -> Option<Mono> {
        [self.discovery.deadline(), self.acs.deadline(), self.tcs.deadline()].into_iter().flatten().min()
    }

    /// Where messages to ACS go, while there is a connection that takes them.
    pub fn acs_connection(&self) -> Option<Connection> {
        self.acs.connection()
    }

    /// Where telemetry goes, while there is a connection that takes it.
    pub fn tcs_connection(&self) -> Option<Connection> {
        self.tcs.connection()
    }

    /// Whether what is heard of this connection still matters.
    pub fn is_current(&self, connection: Connection) -> bool {
        self.session(connection.socket).current() == Some(connection)
    }

    /// Since when the socket is connected.
    pub fn connected_since(&self, socket: Socket) -> Option<Mono> {
        self.session(socket).connected_since()
    }

    /// Drops both connections for good.
    pub fn shutdown(&mut self, cx: &mut SessionContext<'_>) {
        self.discovery.shutdown();
        self.acs.shutdown(cx);
        self.tcs.shutdown(cx);
    }

    /// Connects, or asks where to.
    fn dial(&mut self, socket: Socket, now: Now, cx: &mut SessionContext<'_>) {
        match self.discovery.fresh(socket, now) {
            Some(endpoint) => self.open(socket, Ok(endpoint), now, cx),
            None => {
                self.session_mut(socket).seek();
                self.discovery.ask(now, cx);
            }
        }
    }

    fn open(&mut self, socket: Socket, endpoint: Result<String, String>, now: Now, cx: &mut SessionContext<'_>) {
        let sends_credentials = !self.acs.has_connected();
        let url = endpoint.and_then(|endpoint| match socket {
            Socket::Acs => acs_url(&endpoint, cx.config, cx.instance_arn, sends_credentials),
            Socket::Tcs => tcs_url(&endpoint, cx.config, cx.instance_arn),
        });
        let session = self.session_mut(socket);
        match url {
            Ok(url) => session.open(url, cx),
            Err(why) => {
                if session.failed(now, &why, cx) == Next::Inactive {
                    self.tcs.drop_open(now, "the container instance is inactive", cx);
                }
            }
        }
    }

    const fn session(&self, socket: Socket) -> &Session {
        match socket {
            Socket::Acs => &self.acs,
            Socket::Tcs => &self.tcs,
        }
    }

    const fn session_mut(&mut self, socket: Socket) -> &mut Session {
        match socket {
            Socket::Acs => &mut self.acs,
            Socket::Tcs => &mut self.tcs,
        }
    }
}

impl Default for Sessions {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod walk;
