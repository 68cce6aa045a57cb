//! What handling one event yields, in the order in which it must happen.

use std::fmt::{Display, Write as _};
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
    pub writes: Rows,
    /// To be logged and counted.
    pub notes: Vec<Note>,
    /// To be started once the writes are safe.
    pub effects: Vec<(EffectId, Effect)>,
    /// Tasks as they are now; `None` for one that is gone.
    pub views: Vec<(TaskId, Option<Arc<Task>>)>,
    /// What was asked about images, by the number of the question.
    pub answers: Vec<(u64, ImageAnswer)>,
}

/// Rows to be written, in order; a later one goes before an earlier one of the same key. All their keys and values stand
/// in one text, since a step has many and none lives longer than it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    text: String,
    entries: Vec<Entry>,
}

/// One row of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    pub table: &'static str,
    pub key: &'a str,
    /// `None` deletes.
    pub value: Option<&'a str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    table: &'static str,
    /// Where the key begins and ends; the value begins there.
    key: (usize, usize),
    value: Option<usize>,
}

/// How much room for text is kept: enough for what some hundred events change.
const KEPT: usize = 256 << 10;

impl Rows {
    /// Appends a row; no value deletes it.
    pub fn push(&mut self, table: &'static str, key: impl Display, value: Option<&str>) {
        let begin = self.text.len();
        // Writing to a text cannot fail.
        let _ = write!(self.text, "{key}");
        let key = (begin, self.text.len());
        let value = value.map(|value| {
            self.text.push_str(value);
            self.text.len()
        });
        self.entries.push(Entry { table, key, value });
    }

    /// Appends all rows of another one.
    pub fn append(&mut self, more: &Self) {
        for row in more.iter() {
            self.push(row.table, row.key, row.value);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.entries.iter().map(|entry| Row {
            table: entry.table,
            key: &self.text[entry.key.0..entry.key.1],
            value: entry.value.map(|end| &self.text[entry.key.1..end]),
        })
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Leaves no row, but the room of those that were there for the next ones.
    pub fn clear(&mut self) {
        self.text.clear();
        self.text.shrink_to(KEPT);
        self.entries.clear();
    }
}

/// One row as it was found in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRow {
    pub table: String,
    pub key: String,
    pub value: String,
}
