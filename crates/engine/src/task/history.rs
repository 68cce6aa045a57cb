//! What happened to a task, as `describe` tells it.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::stored_time;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    #[serde(with = "stored_time")]
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Arc<str>>,
    /// A word for programs, such as `pull_started`.
    pub what: Cow<'static, str>,
    /// For people; empty where the word says it all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// So many moments a task of one container has that ran and was stopped.
pub(crate) const USUAL_MOMENTS: usize = 16;

/// More than this many moments of one task are not kept: the oldest stay, since they tell how it began.
pub const MOST_MOMENTS: usize = 400;
