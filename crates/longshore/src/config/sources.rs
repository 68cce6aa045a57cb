//! Where a value comes from, and which source wins (spec 40 §2).
//!
//! One rule makes the whole merge: the strongest source that is not *empty* wins, and zero, `false`, `[]` and
//! the empty string are empty. Only a boolean with three states can say `false` and mean it.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::SignedDuration;
use serde_json::{Map, Value};

use super::values::{
    duration_text, first_json, parse_bool, parse_int, parse_signed_duration, port_list, string_list, string_map,
};
use super::{ConfigError, Inputs, Severity, Warning, combined};

const DEFAULT_CONFIG_FILE: &str = "/etc/ecs_container_agent/config.json";

/// A JSON document of settings; its keys are in lower case, as they are matched without regard to it.
struct Document {
    members: Map<String, Value>,
    /// A value of the wrong type refuses the whole configuration.
    strict: bool,
}

/// All sources, and what was found wrong in them so far.
pub(super) struct Sources<'a> {
    inputs: Inputs<'a>,
    /// Strongest first.
    documents: Vec<Document>,
    external: bool,
    warnings: Vec<Warning>,
    environment_errors: Vec<String>,
    file_errors: Vec<String>,
}

impl<'a> Sources<'a> {
    /// Reads the documents. Fails in external mode without a region in the environment.
    pub(super) fn new(inputs: Inputs<'a>) -> Result<Self, ConfigError> {
        let mut sources = Self {
            inputs,
            documents: Vec::new(),
            external: false,
            warnings: Vec::new(),
            environment_errors: Vec::new(),
            file_errors: Vec::new(),
        };
        sources.external = sources.env_bool("ECS_EXTERNAL").unwrap_or(false);
        if sources.external && sources.env("AWS_DEFAULT_REGION").is_none_or(|region| region.trim().is_empty()) {
            return Err(ConfigError::ExternalWithoutRegion);
        }
        sources.read_config_file();
        sources.read_user_data();
        Ok(sources)
    }

    /// Warnings, and the errors of environment and file in the reference's grouping (spec 40 §6).
    pub(super) fn finish(self) -> (Vec<Warning>, Vec<String>) {
        let mut texts = Vec::new();
        if !self.environment_errors.is_empty() {
            texts.push(combined(&self.environment_errors));
        }
        texts.extend(self.file_errors);
        (self.warnings, texts)
    }

    fn read_config_file(&mut self) {
        let path = self.config_file();
        let text = match self.read_file(&path) {
            Ok(text) => text,
            // What cannot be opened counts as absent; what opens and cannot be read does not.
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied) =>
            {
                return;
            }
            Err(error) => return self.file_errors.push(format!("cannot read {path}: {error}")),
        };
        if text.trim().is_empty() {
            return;
        }
        match serde_json::from_str(&text) {
            Ok(Value::Object(members)) => self.add_document(members, true),
            Ok(Value::Null) => {}
            Ok(_) => self.refuse_file(format!("{path} is not a JSON object")),
            Err(error) => self.refuse_file(format!("{path} is not JSON: {error}")),
        }
    }

    fn refuse_file(&mut self, text: String) {
        self.warnings.push(Warning { severity: Severity::Critical, text: text.clone() });
        self.file_errors.push(text);
    }

    fn read_user_data(&mut self) {
        let Some(text) = self.inputs.user_data.filter(|_| !self.external) else { return };
        let Ok(Value::Object(members)) = serde_json::from_str::<Value>(text) else {
            return self
                .note(Severity::Debug, "The user data is no JSON object and holds no agent configuration".to_owned());
        };
        let found = members.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("ECSAgentConfiguration"));
        if let Some((_, Value::Object(members))) = found {
            self.add_document(members, false);
        }
    }

    fn add_document(&mut self, members: Map<String, Value>, strict: bool) {
        let members = members.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        self.documents.push(Document { members, strict });
    }

    /// The path of the configuration file.
    pub(super) fn config_file(&self) -> String {
        self.env("ECS_AGENT_CONFIG_FILE_PATH").unwrap_or_else(|| DEFAULT_CONFIG_FILE.to_owned())
    }

    pub(super) fn read_file(&self, path: &str) -> std::io::Result<String> {
        (self.inputs.read_file)(Path::new(path))
    }

    pub(super) fn metadata_region(&self) -> Option<&'a str> {
        self.inputs.metadata_region.filter(|_| !self.external)
    }

    /// `ECS_EXTERNAL` in the environment, the only place that counts before anything else is read.
    pub(super) const fn external(&self) -> bool {
        self.external
    }

    pub(super) fn note(&mut self, severity: Severity, text: String) {
        self.warnings.push(Warning { severity, text });
    }

    pub(super) fn warn(&mut self, text: String) {
        self.note(Severity::Warn, text);
    }

    /// A variable, even an empty one.
    pub(super) fn env_verbatim(&self, name: &str) -> Option<String> {
        (self.inputs.lookup)(name)
    }

    /// A variable that is not empty.
    pub(super) fn env(&self, name: &str) -> Option<String> {
        self.env_verbatim(name).filter(|value| !value.is_empty())
    }

    /// A boolean that knows "unset".
    pub(super) fn env_bool(&mut self, name: &str) -> Option<bool> {
        let text = self.env(name)?;
        let value = parse_bool(&text);
        if value.is_none() {
            self.warn(format!("Invalid format for {name}: expected true or false, got {text:?}"));
        }
        value
    }

    /// A boolean with two states: what is not understood is the default, silently.
    pub(super) fn env_plain_bool(&self, name: &str, default: bool) -> bool {
        self.env(name).and_then(|text| parse_bool(&text)).unwrap_or(default)
    }

    pub(super) fn env_int(&mut self, name: &str) -> Option<i64> {
        let text = self.env(name)?;
        let value = parse_int(&text);
        if value.is_none() {
            self.warn(format!("Invalid format for {name}: expected an integer, got {text:?}"));
        }
        value.filter(|value| *value != 0)
    }

    pub(super) fn env_duration(&mut self, name: &str) -> Option<SignedDuration> {
        let text = self.env(name)?;
        let value = parse_signed_duration(&text);
        if value.is_none() {
            self.warn(format!("Invalid format for {name}: expected a duration such as 30s or 1h30m, got {text:?}"));
        }
        value.filter(|value| !value.is_zero())
    }

    /// A duration that is raised to `least` when it is given and smaller.
    pub(super) fn env_duration_at_least(&mut self, name: &str, least: SignedDuration) -> Option<SignedDuration> {
        let value = self.env_duration(name)?;
        if value < least {
            let (given, used) = (duration_text(value), duration_text(least));
            self.warn(format!("{name} of {given} is below the minimum; using {used}"));
        }
        Some(value.max(least))
    }

    /// The first JSON value of a variable, if `read` makes something of it; else a warning.
    pub(super) fn env_json<T>(&mut self, name: &str, expected: &str, read: impl Fn(&Value) -> Option<T>) -> Option<T> {
        let text = self.env(name)?;
        match first_json(&text) {
            Ok(value) => {
                let found = read(&value);
                if found.is_none() {
                    self.warn(format!("Invalid format for {name}: expected {expected}"));
                }
                found
            }
            Err(error) => {
                self.warn(format!("Invalid format for {name}: expected {expected}: {error}"));
                None
            }
        }
    }

    /// A whole-document JSON value that refuses the configuration when it is bad; `expected` as in the error's text.
    pub(super) fn env_json_or_refuse<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Option<T> {
        let text = self.env(name)?;
        let detail = match serde_json::from_str::<Value>(&text) {
            Ok(value) => match read(&value) {
                Some(found) => return Some(found),
                None => "a value of another type".to_owned(),
            },
            Err(error) => error.to_string(),
        };
        self.environment_errors.push(format!("Invalid format for {name}. Expected {expected}: {detail}"));
        None
    }

    /// The strongest document's value under `key`. `read` returns `None` for a value of the wrong type, and
    /// `Some(None)` for an empty one, which lets weaker documents speak.
    pub(super) fn file<T>(
        &mut self,
        key: &str,
        expected: &str,
        read: impl Fn(&Value) -> Option<Option<T>>,
    ) -> Option<T> {
        let mut found = None;
        for document in &self.documents {
            let Some(value) = document.members.get(&key.to_ascii_lowercase()).filter(|value| !value.is_null()) else {
                continue;
            };
            match read(value) {
                Some(value) => found = found.or(value),
                None if document.strict => {
                    self.file_errors.push(format!("{key} in the configuration file must be {expected}"))
                }
                None => self.warnings.push(Warning {
                    severity: Severity::Warn,
                    text: format!("{key} in the user data must be {expected}; ignored"),
                }),
            }
        }
        found
    }

    pub(super) fn file_text(&mut self, key: &str) -> Option<String> {
        self.file(key, "a string", |value| {
            value.as_str().map(|text| Some(text.to_owned()).filter(|text| !text.is_empty()))
        })
    }

    /// A boolean with three states: `true`, `false`, `1`, `0`.
    pub(super) fn file_bool(&mut self, key: &str) -> Option<bool> {
        self.file(key, "true or false, without quotes", |value| match value {
            Value::Bool(value) => Some(Some(*value)),
            Value::Number(number) if number.as_u64() == Some(1) => Some(Some(true)),
            Value::Number(number) if number.as_u64() == Some(0) => Some(Some(false)),
            _ => None,
        })
    }

    /// A boolean with two states, whose `false` is empty.
    pub(super) fn file_plain_bool(&mut self, key: &str) -> bool {
        self.file(key, "true or false, without quotes", |value| value.as_bool().map(|value| value.then_some(true)))
            .unwrap_or(false)
    }

    pub(super) fn file_int(&mut self, key: &str) -> Option<i64> {
        self.file(key, "an integer", |value| value.as_i64().map(|value| Some(value).filter(|value| *value != 0)))
    }

    pub(super) fn file_duration(&mut self, key: &str) -> Option<SignedDuration> {
        self.file(key, "an integer of nanoseconds", |value| {
            value.as_i64().map(|nanos| Some(SignedDuration::from_nanos(nanos)).filter(|value| !value.is_zero()))
        })
    }

    pub(super) fn file_list(&mut self, key: &str) -> Option<Vec<String>> {
        self.file(key, "a list of strings", |value| {
            string_list(value).map(|list| Some(list).filter(|list| !list.is_empty()))
        })
    }

    pub(super) fn file_map(&mut self, key: &str) -> Option<BTreeMap<String, String>> {
        self.file(key, "an object of strings", |value| {
            string_map(value).map(|map| Some(map).filter(|map| !map.is_empty()))
        })
    }

    pub(super) fn file_ports(&mut self, key: &str) -> Option<Vec<u16>> {
        self.file(key, "a list of ports", |value| match port_list(value) {
            Some((ports, true)) => Some(Some(ports).filter(|ports| !ports.is_empty())),
            _ => None,
        })
    }

    pub(super) fn text(&mut self, variable: &str, key: &str) -> Option<String> {
        let file = self.file_text(key);
        self.env(variable).or(file)
    }

    /// As [`Sources::text`], for the few values that are trimmed after the merge.
    pub(super) fn trimmed(&mut self, variable: &str, key: &str) -> Option<String> {
        self.text(variable, key).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    pub(super) fn boolean(&mut self, variable: &str, key: &str) -> Option<bool> {
        let file = self.file_bool(key);
        self.env_bool(variable).or(file)
    }

    pub(super) fn plain_bool(&mut self, variable: &str, key: &str) -> bool {
        let file = self.file_plain_bool(key);
        self.env_plain_bool(variable, false) || file
    }

    pub(super) fn int(&mut self, variable: &str, key: &str) -> Option<i64> {
        let file = self.file_int(key);
        self.env_int(variable).or(file)
    }

    pub(super) fn duration(&mut self, variable: &str, key: &str) -> Option<SignedDuration> {
        let file = self.file_duration(key);
        self.env_duration(variable).or(file)
    }

    /// `least` binds the environment only: what a file says is checked, if at all, after the merge.
    pub(super) fn duration_at_least(
        &mut self,
        variable: &str,
        key: &str,
        least: SignedDuration,
    ) -> Option<SignedDuration> {
        let file = self.file_duration(key);
        self.env_duration_at_least(variable, least).or(file)
    }

    pub(super) fn string_list(&mut self, variable: &str, key: &str) -> Option<Vec<String>> {
        let file = self.file_list(key);
        self.env_json(variable, "a JSON list of strings", string_list).filter(|list| !list.is_empty()).or(file)
    }

    /// A list of ports; bad members are dropped with a warning.
    pub(super) fn ports(&mut self, variable: &str, key: &str) -> Option<Vec<u16>> {
        let file = self.file_ports(key);
        let (ports, all) = self.env_json(variable, "a JSON list of ports", port_list).unwrap_or((Vec::new(), true));
        if !all {
            self.warn(format!("Invalid format for {variable}: members that are no ports from 0 to 65535 are ignored"));
        }
        Some(ports).filter(|ports| !ports.is_empty()).or(file)
    }

    /// An object of strings that refuses the configuration when it is bad in the environment.
    pub(super) fn map_or_refuse(&mut self, variable: &str, key: &str) -> BTreeMap<String, String> {
        let file = self.file_map(key);
        self.env_json_or_refuse(variable, "a json hash", string_map)
            .filter(|map| !map.is_empty())
            .or(file)
            .unwrap_or_default()
    }
}
