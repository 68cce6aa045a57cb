//! What `run` is asked to run, and with which variables.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::super::definition::DefinitionFile;
use super::Failure;

/// What is run.
pub(in crate::cli) enum Target {
    /// A definition without problems.
    File(Box<DefinitionFile>),
    /// `FAMILY`, `FAMILY:REVISION` or an ARN.
    Family(String),
}

impl Target {
    /// A file if there is one of that name, else a family if it could be one.
    pub(in crate::cli) fn read(text: &str) -> Result<Self, Failure> {
        if !Path::new(text).exists() && is_family(text) {
            return Ok(Self::Family(text.to_owned()));
        }
        let file = DefinitionFile::read(text)?;
        file.check()?;
        Ok(Self::File(Box::new(file)))
    }
}

fn is_family(text: &str) -> bool {
    let name = match text.strip_prefix("arn:") {
        Some(arn) => arn.rsplit_once("task-definition/").map_or("", |(_, name)| name),
        None => text,
    };
    let (family, revision) = name.split_once(':').unwrap_or((name, "1"));
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !matches!(family, "" | "-") && family.chars().all(is_name) && revision.parse::<u32>().is_ok()
}

/// The variables as overrides of RunTask, for all containers of the definition or the named one.
pub(in crate::cli) fn overrides(variables: &[String], definition: &Value) -> Result<Value, Failure> {
    let containers = definition.get("containerDefinitions").and_then(Value::as_array).into_iter().flatten();
    let names: Vec<&str> = containers.filter_map(|container| container.get("name")?.as_str()).collect();
    let mut by_container: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for text in variables {
        let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(Failure::usage(format!("'{text}' sets no variable"))
                .next("It looks like NAME=VALUE, or CONTAINER:NAME=VALUE for one container."));
        };
        let (chosen, name) = match name.split_once(':') {
            None => (names.clone(), name),
            Some((container, name)) => match names.iter().find(|known| **known == container) {
                Some(known) => (vec![*known], name),
                None => {
                    return Err(Failure::usage(format!("there is no container '{container}' for '{text}'"))
                        .next(format!("There is {}.", names.join(", "))));
                }
            },
        };
        for container in chosen {
            by_container.entry(container).or_default().push(json!({"name": name, "value": value}));
        }
    }
    let list: Vec<_> =
        by_container.into_iter().map(|(name, environment)| json!({"name": name, "environment": environment})).collect();
    Ok(json!({"containerOverrides": list}))
}
