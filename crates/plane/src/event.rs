//! What goes into the plane and what comes out.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::error::Fault;
use crate::rows::Row;

/// A websocket connection; the shell numbers them, never reusing a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// Which service an agent connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// Agent communication: payloads and their acknowledgements.
    Acs,
    /// Telemetry: metrics, health, instance status.
    Tcs,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// An API call: the operation's name and the decoded body.
    Call { operation: String, body: Value },
    /// An agent asks for a session. A fault as reply means that the upgrade is refused; otherwise the
    /// session exists until [`Event::Closed`].
    Connected { session: SessionId, channel: Channel, query: BTreeMap<String, String> },
    /// A frame arrived.
    Message { session: SessionId, text: String },
    /// The connection ended, whoever ended it.
    Closed { session: SessionId },
    /// [`crate::Plane::deadline`] has passed.
    Tick,
}

/// What follows from one event, in this order: write, then send and reply.
#[derive(Debug, Default)]
pub struct Step {
    pub writes: Vec<Row>,
    pub sends: Vec<Outgoing>,
    pub reply: Option<Result<Value, Fault>>,
    pub notes: Vec<Note>,
}

/// Something for one connected agent.
///
/// Role credentials never enter the plane. A payload's task names its roles in the task definition;
/// the shell that can obtain credentials joins `roleCredentials` and `executionRoleCredentials` into
/// the tasks of a `PayloadMessage` just before it is written to the socket, and sets
/// [`crate::Settings::delivers_credentials`]. Acknowledgements of credentials are already accepted.
#[derive(Debug, Clone, PartialEq)]
pub enum Outgoing {
    /// A text frame: `{"type", "message"}`.
    Message { session: SessionId, envelope: Value },
    /// The connection is to be closed.
    Close { session: SessionId },
}

/// Something worth a log line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    InstanceRegistered { instance: String, again: bool },
    AgentConnected { instance: String, version: String },
    AgentDisconnected { instance: String },
    AgentSilent { instance: String },
    SessionRefused { instance: String, because: String },
    TaskPlaced { task: String, instance: String },
    TaskChanged { task: String, status: &'static str, reason: String },
    TaskUnknown { task: String },
    MessageNotUnderstood { instance: String, kind: String },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InstanceRegistered { instance, again: false } => {
                write!(f, "container instance {instance} registered")
            }
            Self::InstanceRegistered { instance, again: true } => {
                write!(f, "container instance {instance} registered again")
            }
            Self::AgentConnected { instance, version } => {
                write!(f, "agent {version} of {instance} connected")
            }
            Self::AgentDisconnected { instance } => write!(f, "agent of {instance} disconnected"),
            Self::AgentSilent { instance } => {
                write!(f, "agent of {instance} leaves heartbeats unanswered")
            }
            Self::SessionRefused { instance, because } => {
                write!(f, "session of {instance} refused: {because}")
            }
            Self::TaskPlaced { task, instance } => write!(f, "task {task} placed on {instance}"),
            Self::TaskChanged { task, status, reason } if reason.is_empty() => {
                write!(f, "task {task} is {status}")
            }
            Self::TaskChanged { task, status, reason } => {
                write!(f, "task {task} is {status}: {reason}")
            }
            Self::TaskUnknown { task } => write!(f, "report about unknown task {task}"),
            Self::MessageNotUnderstood { instance, kind } => {
                write!(f, "message {kind:?} of {instance} not understood")
            }
        }
    }
}
