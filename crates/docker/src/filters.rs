//! The `filters` query member of lists and events.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wire::docker::ApiVersion;

/// Conditions by name; values of one name are alternatives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters(BTreeMap<String, Vec<String>>);

impl Filters {
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.entry(name.to_owned()).or_default().push(value.into());
        self
    }

    /// `None` without conditions. API 1.22 replaced lists by sets.
    pub(crate) fn render(&self, version: ApiVersion) -> Option<String> {
        let as_lists = version < ApiVersion::v1(22);
        let object: serde_json::Map<String, Value> = self
            .0
            .iter()
            .map(|(name, values)| {
                let values = if as_lists {
                    json!(values)
                } else {
                    Value::Object(values.iter().map(|value| (value.clone(), Value::Bool(true))).collect())
                };
                (name.clone(), values)
            })
            .collect();
        (!object.is_empty()).then(|| Value::Object(object).to_string())
    }
}
