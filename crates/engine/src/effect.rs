//! What the engine asks of the world. Each effect is made once, has a deadline, and is answered by
//! exactly one [`Outcome`](crate::event::Outcome), whatever happens.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use wire::acs::RegistryAuthentication;
use wire::ecs::{
    CreateClusterRequest, DiscoverPollEndpointRequest, RegisterContainerInstanceRequest, SubmitTaskStateChangeRequest,
};
use wire::ids::{CredentialsId, ImageRef, TaskArn, TaskId};

use crate::task::CgroupLimits;

/// The number under which an effect's answer comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct EffectId(pub u64);

/// Which of the two websockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Socket {
    /// Agent communication: payloads and their acknowledgements.
    Acs,
    /// Telemetry.
    Tcs,
}

/// One connection of a socket; a new number for each attempt, so that late news of an old one is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Connection {
    pub socket: Socket,
    pub number: u64,
}

/// Who vouches for a pull. The shell's vault joins the secret values.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RegistryAccess {
    pub authentication: Option<RegistryAuthentication>,
    pub execution_credentials: Option<CredentialsId>,
}

/// One thing to do outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Follow the Engine's events until the stream ends; its end is the answer. Those since a moment are told again.
    FollowEvents {
        since: Timestamp,
    },
    /// All containers of ECS tasks, running or not.
    ListContainers {
        deadline: Duration,
    },
    Ping {
        deadline: Duration,
    },

    /// Ask the registry for a tag's digest.
    ResolveDigest {
        image: ImageRef,
        access: RegistryAccess,
        deadline: Duration,
    },
    InspectImage {
        image: String,
    },
    Pull {
        image: ImageRef,
        access: RegistryAccess,
        deadline: Duration,
        first_progress: Duration,
        inactivity: Duration,
    },
    TagImage {
        source: ImageRef,
        target: ImageRef,
        deadline: Duration,
    },
    /// By name, or by id where it has no name. Never forced; untagged parents stay.
    RemoveImage {
        image: String,
        deadline: Duration,
    },
    /// All images of the Engine, but no mere layers.
    ListImages {
        deadline: Duration,
    },
    /// All containers of the Engine, running or not, whoever made them.
    ListAllContainers {
        deadline: Duration,
    },
    /// How full the file system is that the Engine keeps images on.
    MeasureDisk {
        deadline: Duration,
    },

    /// Find `count` consecutive free ports, the first run at or after `from`.
    FindHostPorts {
        protocol: Protocol,
        count: u16,
        from: u16,
        to: u16,
    },
    CreateVolume {
        name: String,
        driver: String,
        options: BTreeMap<String, String>,
        labels: BTreeMap<String, String>,
        deadline: Duration,
    },
    InspectVolume {
        name: String,
        deadline: Duration,
    },
    RemoveVolume {
        name: String,
        deadline: Duration,
    },

    /// Make a task's cgroup where it is missing, in every hierarchy, and set its limits. With `keeps_limits` one that
    /// is there keeps those that it has: somebody may have changed them since.
    CreateCgroup {
        /// Docker's name for it (spec 20 §4.3).
        parent: String,
        limits: CgroupLimits,
        keeps_limits: bool,
        deadline: Duration,
    },
    /// One that is not there is success.
    RemoveCgroup {
        parent: String,
        deadline: Duration,
    },
    /// Write the file that describes a container to itself, from the task as it is published (spec 30 §6).
    WriteMetadata {
        task: TaskId,
        container: String,
        stage: MetadataStage,
        deadline: Duration,
    },
    /// Remove the files of a task's containers. None is as good.
    RemoveMetadata {
        task: TaskArn,
        deadline: Duration,
    },
    /// See to it that the image that the agent brings along is there.
    LoadPauseImage {
        deadline: Duration,
    },
    /// Create under a name that was written down before; a container of that name is success after inspection.
    CreateContainer {
        name: String,
        body: Box<Value>,
        api_version: Option<String>,
        deadline: Duration,
    },
    StartContainer {
        id: String,
        api_version: Option<String>,
        deadline: Duration,
    },
    /// `seconds` is what the Engine grants between TERM and KILL.
    StopContainer {
        id: String,
        seconds: u64,
        deadline: Duration,
    },
    /// By id, or by name where no id is known.
    InspectContainer {
        id: String,
        deadline: Duration,
    },
    RemoveContainer {
        id: String,
        deadline: Duration,
    },

    RegisterInstance {
        request: Box<RegisterContainerInstanceRequest>,
        deadline: Duration,
    },
    CreateCluster {
        request: CreateClusterRequest,
        deadline: Duration,
    },
    DiscoverPollEndpoint {
        request: DiscoverPollEndpointRequest,
        deadline: Duration,
    },
    SubmitTask {
        request: Box<SubmitTaskStateChangeRequest>,
        deadline: Duration,
    },

    OpenSocket {
        connection: Connection,
        url: String,
        deadline: Duration,
    },
    SendFrame {
        connection: Connection,
        text: String,
        /// Whether it says that something was taken on.
        is_promise: bool,
    },
    /// With a close frame where `farewell` is given, else the TCP connection is just dropped.
    CloseSocket {
        connection: Connection,
        farewell: Option<Farewell>,
    },

    /// Forget a task's credentials in the vault.
    ForgetCredentials {
        id: CredentialsId,
    },
    /// End the process. Never answered.
    Exit {
        code: i32,
        why: String,
    },
}

impl Effect {
    /// Whether it must not go out before all that is known of its task is safe in the store, whatever happens:
    /// after a crash nobody else could tell that it was made or said. All others only look, end or carry on what the
    /// store has already, so they may go although the disk is full.
    pub const fn needs_memory(&self) -> bool {
        matches!(
            self,
            Self::CreateContainer { .. }
                | Self::CreateVolume { .. }
                | Self::CreateCgroup { .. }
                | Self::WriteMetadata { .. }
                | Self::SubmitTask { .. }
                | Self::SendFrame { is_promise: true, .. }
        )
    }
}

/// Which form of a container's metadata file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataStage {
    /// Before it is created, so that there is something to mount.
    Initial,
    /// It runs.
    Ready,
}

/// A close frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Farewell {
    pub code: u16,
    pub reason: &'static str,
}

/// A transport protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    #[default]
    Tcp,
    Udp,
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}
