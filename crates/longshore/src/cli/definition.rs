//! Task definitions in files: JSON or YAML as the AWS CLI takes them, or as `describe-task-definition` prints them.

mod places;

use std::fmt;
use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value};

use super::{Failure, text};
pub(crate) use places::Place;
use places::Segment;

/// How the file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Yaml,
}

/// Members that `describe-task-definition` adds and `register-task-definition` does not take.
const READ_ONLY: [&str; 9] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
    "deleteRequestedAt",
];

/// Members that wrap the definition in what `describe-task-definition` prints.
const WRAPPER: &str = "taskDefinition";

/// A definition and the text that it was read from.
#[derive(Debug, Clone)]
pub(crate) struct DefinitionFile {
    /// As the user named it.
    pub name: String,
    text: String,
    format: Format,
    is_wrapped: bool,
    /// In the form that RegisterTaskDefinition takes.
    pub definition: Value,
}

/// A problem and where in the file it is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Problem {
    pub file: String,
    pub line: usize,
    pub column: usize,
    /// Such as `containerDefinitions[0].memory`.
    pub path: String,
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl DefinitionFile {
    /// Reads a file; `-` is standard input.
    ///
    /// # Errors
    /// It cannot be read, or is neither JSON nor YAML.
    pub(crate) fn read(name: &str) -> Result<Self, Failure> {
        let cannot = |error: std::io::Error| {
            let failure = Failure::new(format!("cannot read {name}: {}", reason(&error)));
            match error.kind() {
                std::io::ErrorKind::NotFound => failure.next("There is one to begin with: examples/web.json"),
                _ => failure,
            }
        };
        let mut bytes = Vec::new();
        if name == "-" {
            std::io::stdin().read_to_end(&mut bytes).map_err(cannot)?;
        } else {
            bytes = std::fs::read(name).map_err(cannot)?;
        }
        let text = String::from_utf8(bytes).map_err(|_| Failure::new(format!("{name} is no text")))?;
        Self::parse(name, text)
    }

    /// Takes a text apart. What it is written in is told by the name, else by its beginning.
    pub(crate) fn parse(name: &str, text: String) -> Result<Self, Failure> {
        let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
        let format = match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("json") => Format::Json,
            Some("yaml" | "yml") => Format::Yaml,
            _ if text.trim_start().starts_with('{') => Format::Json,
            _ => Format::Yaml,
        };
        let value: Value = match format {
            Format::Json => serde_json::from_str(&text).map_err(|error| {
                let message = error.to_string();
                let message = message.rsplit_once(" at line ").map_or(&*message, |(message, _)| message);
                not_readable(name, &text, "JSON", message, error.line(), error.column())
            })?,
            Format::Yaml => serde_yaml_ng::from_str(&text).map_err(|error| {
                let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
                let message = error.to_string();
                let message = message.rsplit_once(" at line ").map_or(&*message, |(message, _)| message);
                not_readable(name, &text, "YAML", message, line, column)
            })?,
        };
        let Value::Object(members) = value else {
            return Err(Failure::new(format!("{name} holds no task definition: an object is expected"))
                .next("There is one to look at: examples/web.json"));
        };
        let (is_wrapped, definition) = unwrap(members);
        Ok(Self { name: name.to_owned(), text, format, is_wrapped, definition: Value::Object(definition) })
    }

    /// All that is wrong with it, in the order of the file.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems: Vec<_> = plane::validate_task_definition(&self.definition)
            .into_iter()
            .map(|problem| {
                let needs_quotes = self.format == Format::Yaml
                    && problem.message.starts_with("must be a string, not a")
                    && ["number", "boolean"].iter().any(|kind| problem.message.ends_with(kind));
                let hint = if needs_quotes { "; put it in quotes" } else { "" };
                let Place { line, column } = self.place(&problem.path);
                let message = format!("{}{hint}", problem.message);
                Problem { file: self.name.clone(), line, column, path: problem.path, message }
            })
            .collect();
        problems.sort_by_key(|problem| (problem.line, problem.column));
        problems
    }

    /// Where a member is, or what is nearest to it.
    pub(crate) fn place(&self, path: &str) -> Place {
        let mut segments = Segment::parse(path);
        if self.is_wrapped {
            segments.insert(0, Segment::Member(WRAPPER.to_owned()));
        }
        match self.format {
            Format::Json => places::in_json(&self.text, &segments),
            Format::Yaml => places::in_yaml(&self.text, &segments),
        }
    }

    /// The problems as one failure, if there are any.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let problems = self.problems();
        if problems.is_empty() {
            return Ok(());
        }
        let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
        let what = format!("{} has {}", self.name, text::count(problems.len(), "problem"));
        Err(Failure::new(what).next(lines.join("\n")))
    }
}

/// Takes the wrapper and what is read-only away, wherever they are.
fn unwrap(mut members: Map<String, Value>) -> (bool, Map<String, Value>) {
    let is_wrapped = matches!(members.get(WRAPPER), Some(Value::Object(_)));
    let mut definition = match members.remove(WRAPPER) {
        Some(Value::Object(definition)) => definition,
        Some(other) => {
            members.insert(WRAPPER.to_owned(), other);
            members.clone()
        }
        None => members.clone(),
    };
    if is_wrapped {
        let tags = members.remove("tags").filter(|tags| tags.as_array().is_some_and(|tags| !tags.is_empty()));
        if let Some(tags) = tags {
            definition.insert("tags".to_owned(), tags);
        }
    }
    // A file with an ARN was printed by AWS; in any other, these members are mistakes to be told about.
    if definition.contains_key("taskDefinitionArn") {
        definition.retain(|name, _| !READ_ONLY.contains(&name.as_str()));
    }
    (is_wrapped, definition)
}

fn not_readable(name: &str, text: &str, kind: &str, message: &str, line: usize, column: usize) -> Failure {
    let (line, column) = match text.lines().nth(line.saturating_sub(1)) {
        Some(shown) if !shown.trim().is_empty() => (line.max(1), column.max(1)),
        // It ends too early: what is missing is missed after the last word.
        _ => {
            let lines = text.trim_end().lines();
            (lines.clone().count().max(1), lines.last().unwrap_or_default().chars().count() + 1)
        }
    };
    let failure = Failure::new(format!("{name}:{line}:{column}: this is not {kind}: {message}"));
    let Some(shown) = text.lines().nth(line - 1) else { return failure };
    // Tabs move the mark as they move the text.
    let indent: String = shown.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    failure.next(format!("{shown}\n{indent}^"))
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "you may not read it".to_owned(),
        std::io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        _ => error.to_string(),
    }
}
