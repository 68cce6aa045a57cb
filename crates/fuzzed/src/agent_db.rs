//! The reference agent's state: its database file, and the rows in it (spec 20 §9).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;
use wire::bbolt::{Database, latest_txid};
use wire::rows::{AgentState, Metadata};

/// A whole file.
pub fn agent_db(data: &[u8]) {
    let txid = latest_txid(data);
    let Ok(database) = Database::open(data) else { return };
    assert_eq!(txid, Ok(database.txid()));
    for bucket in database.buckets().unwrap_or_default() {
        if let Ok(bucket) = std::str::from_utf8(bucket) {
            drop(database.rows(bucket));
        }
    }
    if let Ok(state) = AgentState::read(&database) {
        drop(engine::migrate::migrate(&state, database.txid(), Timestamp::UNIX_EPOCH));
    }
}

/// Rows without the file around them: `{"tasks":{…},"containers":{…},"images":{…}}`. What is taken over must restore.
pub fn agent_rows(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(rows) = wire::gojson::from_str::<BTreeMap<String, Value>>(text) else { return };
    let state = AgentState {
        metadata: Metadata::default(),
        tasks: bucket(&rows, "tasks"),
        containers: bucket(&rows, "containers"),
        images: bucket(&rows, "images"),
        eni_attachments: BTreeMap::new(),
        resource_attachments: BTreeMap::new(),
    };
    let Ok(migrated) = engine::migrate::migrate(&state, 1, Timestamp::UNIX_EPOCH) else { return };
    let engine = engine::Engine::new(engine::EngineConfig::default(), 7, migrated.rows);
    assert_eq!(engine.tasks().len(), migrated.tasks);
}

fn bucket<T: DeserializeOwned>(rows: &BTreeMap<String, Value>, name: &str) -> BTreeMap<String, T> {
    let members = rows.get(name).and_then(Value::as_object).into_iter().flatten();
    members.filter_map(|(key, row)| Some((key.clone(), wire::gojson::from_value(row.clone()).ok()?))).collect()
}
