//! The stored form: one row per entity, its value JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Plane;
use crate::credentials::Lease;

/// The key of the one row in [`Table::Meta`].
pub(crate) const SEQUENCE: &str = "sequence";

/// The kinds of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Table {
    Cluster,
    Family,
    Definition,
    Instance,
    Task,
    Tags,
    Token,
    Meta,
}

impl Table {
    const ALL: [Self; 8] = [
        Self::Cluster,
        Self::Family,
        Self::Definition,
        Self::Instance,
        Self::Task,
        Self::Tags,
        Self::Token,
        Self::Meta,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Family => "family",
            Self::Definition => "task_definition",
            Self::Instance => "instance",
            Self::Task => "task",
            Self::Tags => "tags",
            Self::Token => "token",
            Self::Meta => "meta",
        }
    }
}

/// A row to write; without a value it is to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub table: &'static str,
    pub key: String,
    pub value: Option<String>,
}

/// A row that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("row {key:?} of table {table:?} is not readable: {source}")]
pub struct RestoreError {
    pub table: String,
    pub key: String,
    pub source: serde_json::Error,
}

impl Plane {
    pub(crate) fn touch(&mut self, table: Table, key: &str) {
        self.dirty.insert((table, key.to_owned()));
    }

    /// The rows that the present step changed.
    pub(crate) fn flush(&mut self) -> Vec<Row> {
        let dirty = std::mem::take(&mut self.dirty);
        dirty
            .into_iter()
            .map(|(table, key)| {
                let value = match table {
                    Table::Cluster => text(self.clusters.get(&key)),
                    Table::Family => text(self.families.get(&key)),
                    Table::Definition => text(definition_key(&key).and_then(|k| self.definitions.get(&k))),
                    Table::Instance => text(self.instances.get(&key)),
                    Table::Task => text(self.tasks.get(&key)),
                    Table::Tags => text(self.tags.get(&key)),
                    Table::Token => text(self.tokens.get(&key)),
                    Table::Meta => text(Some(&self.sequence)),
                };
                Row { table: table.name(), key, value }
            })
            .collect()
    }

    /// Takes the rows of an earlier run, in any order. Rows of unknown tables are ignored. The plane must
    /// be new.
    ///
    /// # Errors
    /// A row of a known table does not decode.
    pub fn restore<I>(&mut self, rows: I) -> Result<(), RestoreError>
    where
        I: IntoIterator<Item = (String, String, String)>,
    {
        for (table, key, value) in rows {
            let Some(known) = Table::ALL.into_iter().find(|known| known.name() == table) else {
                continue;
            };
            self.restore_row(known, &key, &value).map_err(|source| RestoreError { table, key, source })?;
        }
        self.restore_derived();
        Ok(())
    }

    fn restore_row(&mut self, table: Table, key: &str, value: &str) -> Result<(), serde_json::Error> {
        let name = key.to_owned();
        match table {
            Table::Cluster => drop(self.clusters.insert(name, parse(value)?)),
            Table::Family => drop(self.families.insert(name, parse(value)?)),
            Table::Definition => {
                let definition = parse(value)?;
                if let Some(key) = definition_key(key) {
                    self.definitions.insert(key, definition);
                }
            }
            Table::Instance => drop(self.instances.insert(name, parse(value)?)),
            Table::Task => drop(self.tasks.insert(name, parse(value)?)),
            Table::Tags => drop(self.tags.insert(name, parse(value)?)),
            Table::Token => drop(self.tokens.insert(name, parse(value)?)),
            Table::Meta => self.sequence = parse(value)?,
        }
        Ok(())
    }

    /// Rebuilds the indices. Retention counts from what the rows say, so a restart prolongs nothing.
    fn restore_derived(&mut self) {
        for (arn, task) in &self.tasks {
            match task.forgotten_at() {
                Some(at) => drop(self.expiries.insert((at, Table::Task, arn.clone()))),
                None => {
                    let leases = task.roles.iter().map(|role| ((arn.clone(), role.kind), Lease::default()));
                    self.leases.extend(leases);
                    self.live.entry(task.instance.clone()).or_default().insert(arn.clone());
                    if task.is_owed() {
                        self.owed.entry(task.instance.clone()).or_default().insert(arn.clone());
                    }
                }
            }
        }
        for (arn, instance) in &self.instances {
            if let Some(at) = instance.forgotten_at() {
                self.expiries.insert((at, Table::Instance, arn.clone()));
            }
        }
        for (name, cluster) in &self.clusters {
            if let Some(at) = cluster.forgotten_at() {
                self.expiries.insert((at, Table::Cluster, name.clone()));
            }
        }
        for (key, token) in &self.tokens {
            self.expiries.insert((token.forgotten_at(), Table::Token, key.clone()));
        }
    }
}

/// Splits `family:revision`.
pub(crate) fn definition_key(key: &str) -> Option<(String, i64)> {
    let (family, revision) = key.rsplit_once(':')?;
    Some((family.to_owned(), revision.parse().ok()?))
}

fn text<T: Serialize>(entity: Option<&T>) -> Option<String> {
    // Invariant: our own shapes have string keys and no failing serialisers.
    entity.and_then(|entity| serde_json::to_string(entity).ok())
}

fn parse<T: DeserializeOwned>(value: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str(value)
}
