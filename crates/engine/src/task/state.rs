//! How far a task is: what must survive the process.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::outbox::Report;
use crate::rows::is_default;
use crate::status::TaskStatus;
use crate::stored_time;
use crate::task::cgroup::CgroupState;
use crate::task::volume::VolumeState;
use crate::time::Mono;

/// The stored state of a task.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskState {
    pub desired: TaskStatus,
    pub known: TaskStatus,
    /// The last status that the control plane acknowledged.
    #[serde(skip_serializing_if = "is_default")]
    pub sent: TaskStatus,
    /// The last status put into a report, delivered or not.
    #[serde(skip_serializing_if = "is_default")]
    pub told: TaskStatus,
    /// When `known` was reached.
    #[serde(with = "stored_time::option", skip_serializing_if = "Option::is_none")]
    pub known_since: Option<Timestamp>,
    #[serde(with = "stored_time::option", skip_serializing_if = "Option::is_none")]
    pub pull_started_at: Option<Timestamp>,
    #[serde(with = "stored_time::option", skip_serializing_if = "Option::is_none")]
    pub pull_stopped_at: Option<Timestamp>,
    #[serde(with = "stored_time::option", skip_serializing_if = "Option::is_none")]
    pub execution_stopped_at: Option<Timestamp>,
    /// Why the task as a whole stopped; the first one stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// By position in the definition.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<VolumeState>,
    #[serde(skip_serializing_if = "is_default")]
    pub cgroup: CgroupState,
    /// Reports that are not acknowledged yet, in order. Invariant: the front one is sent before any other.
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    pub reports: VecDeque<Report>,
    /// Whether clean-up began: from then on nothing is looked at any more.
    #[serde(skip_serializing_if = "is_default")]
    pub is_being_removed: bool,
    /// Whether a container that came back was stopped already (once per task, spec 20 §3.8).
    #[serde(skip_serializing_if = "is_default")]
    pub has_stopped_revenant: bool,
    /// When the task was accepted.
    #[serde(with = "stored_time::option", skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<Timestamp>,
}

/// Whether the task has its share of the host.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Admission {
    /// Not asked yet.
    #[default]
    New,
    Waiting {
        since: Mono,
        reason: String,
    },
    Granted,
}
