//! What handling one event yields, in the order in which it must happen.

use std::fmt::Write as _;
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

/// So many entries of each kind keep their room: as many as some hundred events yield.
const KEPT_ENTRIES: usize = 512;

impl Step {
    /// Empties it, but keeps its room for the next one.
    pub fn clear(&mut self) {
        self.writes.clear();
        self.notes.clear();
        self.notes.shrink_to(KEPT_ENTRIES);
        self.effects.clear();
        self.effects.shrink_to(KEPT_ENTRIES);
        self.views.clear();
        self.views.shrink_to(KEPT_ENTRIES);
        self.answers.clear();
    }
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

/// A row's key within its table.
#[derive(Debug, Clone, Copy)]
pub enum Key<'a> {
    Whole(&'a str),
    /// Something of the first that has a name: `first/name`.
    Part(&'a str, &'a str),
    /// One of a list of the first's: `first/0001`.
    Nth(&'a str, usize),
}

impl<'a> From<&'a str> for Key<'a> {
    fn from(key: &'a str) -> Self {
        Self::Whole(key)
    }
}

impl Key<'_> {
    fn write(self, text: &mut String) {
        match self {
            Self::Whole(key) => text.push_str(key),
            Self::Part(of, name) => text.extend([of, "/", name]),
            Self::Nth(of, number) => {
                text.push_str(of);
                // Writing to a text cannot fail.
                let _ = write!(text, "/{number:04}");
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    table: &'static str,
    /// Where the key begins and ends; the value begins there.
    key: (usize, usize),
    value: Option<usize>,
}

/// How much room for text is kept: enough for what some hundred events change.
const KEPT: usize = 512 << 10;

impl Rows {
    /// Appends a row; no value deletes it.
    pub fn push<'a>(&mut self, table: &'static str, key: impl Into<Key<'a>>, value: Option<&str>) {
        let begin = self.text.len();
        key.into().write(&mut self.text);
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
