//! What goes into the plane and what comes out.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::credentials::RoleKind;
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
    /// The answer to a [`Wish::Obtain`].
    Credentials { task: String, kind: RoleKind, outcome: Result<Granted, Refused> },
    /// What is known beside the API's answers, of one task (ARN or id) or of all live ones; the reply is a
    /// [`crate::telemetry::Report`].
    Look { task: Option<String> },
    /// [`crate::Plane::deadline`] has passed.
    Tick,
}

/// What follows from one event, in this order: write, then send and reply.
#[derive(Debug, Default)]
pub struct Step {
    pub writes: Vec<Row>,
    pub sends: Vec<Outgoing>,
    pub reply: Option<Result<Value, Fault>>,
    pub wishes: Vec<Wish>,
    pub notes: Vec<Note>,
}

/// Something for one connected agent.
///
/// The values of role credentials never enter the plane. Where a message names some (`roleCredentials` and
/// `executionRoleCredentials` of a payload's tasks, `roleCredentials` of an `IAMRoleCredentialsMessage`) it has
/// their id and role; the shell adds the values just before the message is written to the socket.
#[derive(Debug, Clone, PartialEq)]
pub enum Outgoing {
    /// A text frame: `{"type", "message"}`.
    Message { session: SessionId, envelope: Value },
    /// The connection is to be closed.
    Close { session: SessionId },
}

/// Something that only the shell can do about credentials.
#[derive(Clone, PartialEq, Eq)]
pub enum Wish {
    /// Obtain credentials for a role, keep them under their id, and answer once with [`Event::Credentials`]. Without
    /// an id the shell draws one that nobody can guess.
    Obtain { task: String, kind: RoleKind, role_arn: String, credentials_id: Option<String> },
    /// Nobody needs them any more.
    Forget { credentials_id: String },
}

impl fmt::Debug for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whoever knows an id can ask for the credentials.
        match self {
            Self::Obtain { task, kind, role_arn, .. } => write!(f, "Obtain({} {role_arn} of {task})", kind.name()),
            Self::Forget { .. } => f.write_str("Forget"),
        }
    }
}

/// The shell holds credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct Granted {
    pub credentials_id: String,
    pub expires: jiff::Timestamp,
}

impl fmt::Debug for Granted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Granted").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// The shell could not get credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Without secrets.
    pub reason: String,
    /// Trying again would not help.
    pub is_final: bool,
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
    TaskRemark { task: String, text: String, is_trouble: bool },
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
            Self::TaskRemark { task, text, .. } => write!(f, "task {task}: {text}"),
            Self::TaskUnknown { task } => write!(f, "report about unknown task {task}"),
            Self::MessageNotUnderstood { instance, kind } => {
                write!(f, "message {kind:?} of {instance} not understood")
            }
        }
    }
}
