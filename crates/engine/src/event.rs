//! What the engine is told. A closed set: a new event does not compile until it is handled.

use wire::acs::Inbound;
use wire::docker::{ContainerInspect, ContainerSummary, ImageInspect, ImageSummary, Stats};
use wire::ecs::{ContainerInstance, DiscoverPollEndpointResponse};
use wire::ids::{CredentialsId, Digest, DockerId, TaskId};

use crate::effect::{Connection, EffectId};
use crate::image::ImageRequest;

/// One fact from outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The first event after `new` or `restore`.
    Start,
    /// The engine's own deadline is reached.
    Tick,
    /// An effect's one answer.
    Done {
        id: EffectId,
        outcome: Outcome,
    },
    /// The stream of the Engine's events is open: nothing after this is missed.
    EventsOpened,
    Docker(DockerEvent),
    /// A frame that decoded to a known message.
    Message {
        connection: Connection,
        message: Box<Inbound>,
    },
    /// A frame on the telemetry socket that counts as activity.
    Activity {
        connection: Connection,
    },
    /// A connection that was open is no more.
    Closed {
        connection: Connection,
        how: Closing,
    },
    /// The vault now holds these; a payload's own arrive with it, before its `Message`.
    CredentialsStored {
        id: CredentialsId,
    },
    /// A container with a restart policy was started again; what it used until then is to survive the process.
    UsedBefore {
        task: TaskId,
        container: String,
        stats: Box<Stats>,
    },
    /// Somebody on this machine asks about images; answered in [`Step::answers`](crate::Step::answers) under this number.
    Images {
        request: u64,
        ask: ImageRequest,
    },
    /// SIGTERM or SIGINT.
    Terminate,
}

/// How a connection ended (spec 10 §2.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closing {
    /// Close code 1000, 1001, 1006 or 1011, plain end of the stream included: reconnect at once.
    Valid { text: String },
    /// Anything else: back off.
    Error { text: String },
}

/// What the Engine says of a container on its event stream (spec 20 §3.9).
#[derive(Debug, Clone, PartialEq)]
pub struct DockerEvent {
    pub id: DockerId,
    pub action: ContainerAction,
}

/// The actions that matter; the shell drops all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerAction {
    Create,
    Start,
    Restart,
    /// `stop` and `die` alike.
    Die {
        exit_code: Option<i64>,
    },
    Oom,
    Healthy,
    Unhealthy,
    Destroy,
}

/// How an effect ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Done, with nothing to tell.
    Done,
    Failed(Failure),

    Listed(Vec<ContainerSummary>),
    /// `None`: the registry answered with a manifest that has no usable digest (schema 1), or cannot be asked.
    Resolved(Option<Digest>),
    Image(Box<ImageInspect>),
    Images(Vec<ImageSummary>),
    /// Bytes.
    Disk {
        total: u64,
        available: u64,
    },
    /// The first port of the run.
    PortsFound(u16),
    Volume {
        labels: std::collections::BTreeMap<String, String>,
        options: std::collections::BTreeMap<String, String>,
        driver: String,
    },
    Created(DockerId),
    Inspected(Box<ContainerInspect>),

    Registered(Box<ContainerInstance>),
    ClusterCreated {
        name: String,
    },
    Discovered(DiscoverPollEndpointResponse),
    Opened,
}

/// Why an effect failed: its kind decides, its text is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub kind: FailureKind,
    /// The service's error code for API calls, else empty.
    pub code: String,
    /// What a user would be shown: for the Engine with `Error response from daemon: ` before its own words.
    pub text: String,
}

/// What the engine tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    NotFound,
    Conflict,
    Denied,
    /// The deadline passed.
    Timeout,
    /// No pull progress within the inactivity limit, or none at all at the beginning.
    Stalled,
    /// Nobody answers at the other end.
    Unreachable,
    Throttled,
    /// A client's error: the same call will fail again.
    Invalid,
    /// Credentials that the call needs are not there.
    NoCredentials,
    /// The task that should have answered died: a bug, told as an answer like any other.
    Panicked,
    Other,
}

impl Failure {
    pub fn new(kind: FailureKind, text: impl Into<String>) -> Self {
        Self { kind, code: String::new(), text: text.into() }
    }
}
