//! Facts worth telling. Each is at once a log line, a count and, where it concerns a task, a moment of its history.

use std::sync::Arc;
use std::time::Duration;

use wire::gojson::render_duration;
use wire::ids::{Digest, TaskId};

use crate::status::{ContainerStatus, HealthStatus, TaskStatus};

/// How much attention a fact wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// A fact and whom it concerns.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    pub task: Option<TaskId>,
    pub container: Option<Arc<str>>,
    pub fact: Fact,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    Accepted,
    Refused {
        reason: String,
    },
    Restored,
    WaitsForResources {
        reason: String,
    },
    ResourcesGranted {
        waited: Duration,
    },
    DigestResolved {
        digest: Option<Digest>,
    },
    PullStarted,
    Pulled {
        took: Duration,
    },
    UsesLocalImage,
    ImageFailed {
        error: String,
        attempt: u32,
        retry_in: Option<Duration>,
    },
    VolumeCreated {
        name: String,
    },
    VolumeFailed {
        name: String,
        error: String,
    },
    CgroupCreated {
        parent: String,
    },
    CgroupFailed {
        error: String,
    },
    MetadataFailed {
        error: String,
    },
    Creating {
        docker_name: String,
    },
    Created,
    Adopted {
        status: ContainerStatus,
    },
    Started,
    StartFailed {
        error: String,
    },
    Failed {
        error: String,
    },
    DependencyFailed {
        error: String,
    },
    HealthChanged {
        health: HealthStatus,
        output: String,
    },
    OutOfMemory,
    StopRequested {
        by: &'static str,
    },
    Stopping {
        grace: Duration,
    },
    StopFailed {
        error: String,
        attempt: u32,
    },
    Exited {
        exit_code: Option<i64>,
        error: Option<String>,
    },
    Vanished,
    Restarting {
        count: u64,
        exit_code: Option<i64>,
    },
    NotRestarted {
        why: String,
    },
    CameBack,
    TaskReached {
        status: TaskStatus,
        reason: String,
    },
    Reported {
        status: TaskStatus,
    },
    ReportFailed {
        status: TaskStatus,
        error: String,
        retry_in: Option<Duration>,
    },
    RemovalFailed {
        error: String,
    },
    Removed,
    /// Something about the agent as a whole.
    Agent {
        level: Level,
        word: &'static str,
        text: String,
    },
}

impl Fact {
    pub const fn level(&self) -> Level {
        match self {
            Self::Refused { .. } | Self::CameBack | Self::ReportFailed { .. } | Self::RemovalFailed { .. } => {
                Level::Warn
            }
            Self::ImageFailed { .. }
            | Self::VolumeFailed { .. }
            | Self::CgroupFailed { .. }
            | Self::MetadataFailed { .. }
            | Self::StartFailed { .. }
            | Self::Failed { .. }
            | Self::DependencyFailed { .. }
            | Self::StopFailed { .. }
            | Self::OutOfMemory
            | Self::Vanished => Level::Warn,
            Self::Agent { level, .. } => *level,
            Self::Creating { .. }
            | Self::CgroupCreated { .. }
            | Self::Created
            | Self::Reported { .. }
            | Self::NotRestarted { .. }
            | Self::UsesLocalImage
            | Self::DigestResolved { .. } => Level::Debug,
            _ => Level::Info,
        }
    }

    /// The fact as one word, for programs and counters.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused { .. } => "refused",
            Self::Restored => "restored",
            Self::WaitsForResources { .. } => "waits_for_resources",
            Self::ResourcesGranted { .. } => "resources_granted",
            Self::DigestResolved { .. } => "digest_resolved",
            Self::PullStarted => "pull_started",
            Self::Pulled { .. } => "pulled",
            Self::UsesLocalImage => "uses_local_image",
            Self::ImageFailed { .. } => "image_failed",
            Self::VolumeCreated { .. } => "volume_created",
            Self::VolumeFailed { .. } => "volume_failed",
            Self::CgroupCreated { .. } => "cgroup_created",
            Self::CgroupFailed { .. } => "cgroup_failed",
            Self::MetadataFailed { .. } => "metadata_failed",
            Self::Creating { .. } => "creating",
            Self::Created => "created",
            Self::Adopted { .. } => "adopted",
            Self::Started => "started",
            Self::StartFailed { .. } => "start_failed",
            Self::Failed { .. } => "failed",
            Self::DependencyFailed { .. } => "dependency_failed",
            Self::HealthChanged { .. } => "health_changed",
            Self::OutOfMemory => "out_of_memory",
            Self::StopRequested { .. } => "stop_requested",
            Self::Stopping { .. } => "stopping",
            Self::StopFailed { .. } => "stop_failed",
            Self::Exited { .. } => "exited",
            Self::Vanished => "vanished",
            Self::Restarting { .. } => "restarting",
            Self::NotRestarted { .. } => "not_restarted",
            Self::CameBack => "came_back",
            Self::TaskReached { .. } => "task_reached",
            Self::Reported { .. } => "reported",
            Self::ReportFailed { .. } => "report_failed",
            Self::RemovalFailed { .. } => "removal_failed",
            Self::Removed => "removed",
            Self::Agent { word, .. } => word,
        }
    }
}

impl std::fmt::Display for Fact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let again = |retry: &Option<Duration>| match retry {
            Some(pause) => format!("; next try in {}", render_duration(round(*pause))),
            None => String::new(),
        };
        match self {
            Self::Accepted => write!(f, "task accepted"),
            Self::Refused { reason } => write!(f, "task refused: {reason}"),
            Self::Restored => write!(f, "taken up again after a restart of the agent"),
            Self::WaitsForResources { reason } => write!(f, "waits for its share of the host: {reason}"),
            Self::ResourcesGranted { waited } if waited.is_zero() => write!(f, "has its share of the host"),
            Self::ResourcesGranted { waited } => {
                write!(f, "has its share of the host after {}", render_duration(round(*waited)))
            }
            Self::DigestResolved { digest: Some(digest) } => write!(f, "image resolved to {digest}"),
            Self::DigestResolved { digest: None } => write!(f, "image has no digest to resolve"),
            Self::PullStarted => write!(f, "pull started"),
            Self::Pulled { took } => write!(f, "pulled in {}", render_duration(round(*took))),
            Self::UsesLocalImage => write!(f, "uses the image that is here"),
            Self::ImageFailed { error, attempt, retry_in } => {
                write!(f, "attempt {attempt} failed: {error}{}", again(retry_in))
            }
            Self::VolumeCreated { name } => write!(f, "volume {name} is there"),
            Self::VolumeFailed { name, error } => write!(f, "volume {name} failed: {error}"),
            Self::CgroupCreated { parent } => write!(f, "cgroup {parent} is there"),
            Self::CgroupFailed { error } => write!(f, "cgroup failed: {error}"),
            Self::MetadataFailed { error } => write!(f, "metadata file could not be written: {error}"),
            Self::Creating { docker_name } => write!(f, "creating {docker_name}"),
            Self::Created => write!(f, "created"),
            Self::Adopted { status } => write!(f, "found in the container engine, {status}"),
            Self::Started => write!(f, "started"),
            Self::StartFailed { error } | Self::Failed { error } | Self::DependencyFailed { error } => {
                write!(f, "{error}")
            }
            Self::HealthChanged { health, output } if output.is_empty() => write!(f, "health is {health}"),
            Self::HealthChanged { health, output } => write!(f, "health is {health}: {}", output.trim()),
            Self::OutOfMemory => write!(f, "ran out of memory"),
            Self::StopRequested { by } => write!(f, "stop requested by {by}"),
            Self::Stopping { grace } => write!(f, "stopping, with {} to end by itself", render_duration(*grace)),
            Self::StopFailed { error, attempt } => write!(f, "stop attempt {attempt} failed: {error}"),
            Self::Exited { exit_code: Some(code), error: None } => write!(f, "exited with code {code}"),
            Self::Exited { exit_code: None, error: None } => write!(f, "stopped without ever running"),
            Self::Exited { exit_code: Some(code), error: Some(error) } => write!(f, "exited with code {code}: {error}"),
            Self::Exited { exit_code: None, error: Some(error) } => write!(f, "stopped: {error}"),
            Self::Vanished => write!(f, "is not in the container engine any more"),
            Self::Restarting { count, exit_code } => match exit_code {
                Some(code) => write!(f, "exited with code {code}; restart {count} by its restart policy"),
                None => write!(f, "restart {count} by its restart policy"),
            },
            Self::NotRestarted { why } => write!(f, "not restarted: {why}"),
            Self::CameBack => write!(f, "runs although it was stopped; stopping it once more"),
            Self::TaskReached { status, reason } if reason.is_empty() => write!(f, "task is {status}"),
            Self::TaskReached { status, reason } => write!(f, "task is {status}: {reason}"),
            Self::Reported { status } => write!(f, "control plane knows of {}", status.reported()),
            Self::ReportFailed { status, error, retry_in } => {
                write!(f, "control plane could not be told of {}: {error}{}", status.reported(), again(retry_in))
            }
            Self::RemovalFailed { error } => write!(f, "could not be removed: {error}"),
            Self::Removed => write!(f, "removed"),
            Self::Agent { text, .. } => f.write_str(text),
        }
    }
}

/// To the millisecond, which is what people read.
fn round(span: Duration) -> Duration {
    Duration::from_millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}
