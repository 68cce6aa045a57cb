//! The store: a map of rows, which is all that an agent finds again after a crash.

use std::collections::BTreeMap;

use engine::step::{Rows, StoredRow};

/// All rows, by table and key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Store(BTreeMap<(String, String), String>);

impl Store {
    /// Commits a step's rows.
    pub(crate) fn commit(&mut self, rows: &Rows) {
        for row in rows.iter() {
            let key = (row.table.to_owned(), row.key.to_owned());
            match row.value {
                Some(value) => self.0.insert(key, value.to_owned()),
                None => self.0.remove(&key),
            };
        }
    }

    pub(crate) fn get(&self, table: &str, key: &str) -> Option<&str> {
        self.0.get(&(table.to_owned(), key.to_owned())).map(String::as_str)
    }

    pub(crate) fn rows(&self) -> Vec<StoredRow> {
        self.0
            .iter()
            .map(|((table, key), value)| StoredRow { table: table.clone(), key: key.clone(), value: value.clone() })
            .collect()
    }

    /// Values of a table.
    pub(crate) fn values<'a>(&'a self, table: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |((name, _), _)| name == table).map(|(_, value)| value.as_str())
    }

    /// Keys of a table.
    pub(crate) fn keys<'a>(&'a self, table: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.keys().filter(move |(name, _)| name == table).map(|(_, key)| key.as_str())
    }
}
