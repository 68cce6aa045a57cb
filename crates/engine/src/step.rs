//! What handling one event yields, in the order in which it must happen.

use std::sync::Arc;

use wire::ids::TaskId;

use crate::effect::{Effect, EffectId};
use crate::fact::Note;
use crate::image::ImageAnswer;
use crate::task::Task;

/// The answer to one event: remember, then tell, then act.
#[derive(Debug, Default)]
pub struct Step {
    /// To be committed before anything else.
    pub writes: Vec<Row>,
    /// To be logged and counted.
    pub notes: Vec<Note>,
    /// To be started once the writes are safe.
    pub effects: Vec<(EffectId, Effect)>,
    /// Tasks as they are now; `None` for one that is gone.
    pub views: Vec<(TaskId, Option<Arc<Task>>)>,
    /// What was asked about images, by the number of the question.
    pub answers: Vec<(u64, ImageAnswer)>,
}

/// One row of the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    pub table: &'static str,
    pub key: String,
    /// `None` deletes.
    pub value: Option<String>,
}

/// One row as it was found in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRow {
    pub table: String,
    pub key: String,
    pub value: String,
}
