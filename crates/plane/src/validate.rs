//! What is wrong with a task definition: every problem with its JSON path.
//!
//! First the shape (members, kinds, enumerations) is checked against a table, then, when the shape is
//! right, what the members say about each other.

mod containers;
mod order;
mod schema;
mod size;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;
use wire::ecs::{RegisterTaskDefinitionRequest, Volume, without_nulls};

pub(crate) use size::{cpu_units, memory_mib};

/// What kind of problem it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemKind {
    /// A member that task definitions do not have. The API itself ignores such members.
    UnknownMember,
    /// A value of another JSON type.
    WrongType,
    /// Everything else.
    Invalid,
}

/// Something wrong with a task definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Such as `containerDefinitions[0].memory`; empty for the definition itself.
    pub path: String,
    pub message: String,
    pub kind: ProblemKind,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.path, self.message) }
    }
}

/// Everything that is wrong with a task definition in the form that RegisterTaskDefinition takes, in
/// the order of the definition. Empty when it can be registered.
#[must_use]
pub fn validate_task_definition(definition: &Value) -> Vec<Problem> {
    let mut problems = Problems::default();
    schema::check(definition, &mut problems);
    if problems.0.iter().all(|problem| problem.kind == ProblemKind::UnknownMember) {
        match serde_json::from_value(without_nulls(definition.clone())) {
            Ok(definition) => check_meaning(&definition, &mut problems),
            Err(error) => problems.invalid("", error.to_string()),
        }
    }
    problems.0
}

/// A list of problems under way.
#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn invalid(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { path: path.into(), message: message.into(), kind: ProblemKind::Invalid });
    }
}

/// Whether a family, container or volume name is legal.
fn is_name(name: &str) -> bool {
    (1..=255).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

fn check_meaning(definition: &RegisterTaskDefinitionRequest, problems: &mut Problems) {
    if definition.family.is_empty() {
        problems.invalid("family", "Family should not be null or empty.");
    } else if !is_name(&definition.family) {
        problems.invalid(
            "family",
            "Family contains invalid characters: letters, digits, - and _ are allowed, at most 255.",
        );
    }
    check_task_size(definition, problems);
    check_volumes(&definition.volumes, problems);
    for (index, constraint) in definition.placement_constraints.iter().enumerate() {
        let path = format!("placementConstraints[{index}]");
        if constraint.kind != "memberOf" {
            problems.invalid(format!("{path}.type"), "Only memberOf constraints belong into a task definition.");
        }
        if let Err(reason) = crate::query::Query::parse(constraint.expression.as_deref().unwrap_or("")) {
            problems.invalid(format!("{path}.expression"), reason);
        }
    }
    if definition.container_definitions.is_empty() {
        problems.invalid("containerDefinitions", "Container list cannot be empty.");
        return;
    }
    containers::check(definition, problems);
    order::check(&definition.container_definitions, problems);
}

fn check_task_size(definition: &RegisterTaskDefinitionRequest, problems: &mut Problems) {
    if let Some(cpu) = &definition.cpu
        && cpu_units(cpu).is_none_or(|units| units < 128)
    {
        problems.invalid("cpu", "Invalid 'cpu' setting for task: give CPU units (1024 = 1 vCPU) of at least 128, or vCPUs such as \"1 vCPU\".");
    }
    if let Some(memory) = &definition.memory
        && memory_mib(memory).is_none_or(|mib| mib < 4)
    {
        problems.invalid("memory", "Invalid 'memory' setting for task: give MiB, or gigabytes such as \"1 GB\".");
    }
    let fargate = definition.requires_compatibilities.iter().flatten().any(|c| c == "FARGATE");
    if fargate && definition.network_mode.as_deref() != Some("awsvpc") {
        problems.invalid("networkMode", "Fargate only supports network mode 'awsvpc'.");
    }
    if fargate && (definition.cpu.is_none() || definition.memory.is_none()) {
        problems.invalid("", "Fargate requires that 'cpu' and 'memory' be defined at the task level.");
    }
}

fn check_volumes(volumes: &[Volume], problems: &mut Problems) {
    let mut names = BTreeSet::new();
    for (index, volume) in volumes.iter().enumerate() {
        let path = format!("volumes[{index}]");
        if !is_name(&volume.name) {
            problems.invalid(format!("{path}.name"), "A volume needs a name of letters, digits, - and _.");
        } else if !names.insert(&volume.name) {
            problems.invalid(format!("{path}.name"), format!("Duplicate volume name '{}'.", volume.name));
        }
        let kinds = [
            volume.host.is_some(),
            volume.docker_volume_configuration.is_some(),
            volume.efs_volume_configuration.is_some(),
            volume.s3files_volume_configuration.is_some(),
            volume.fsx_windows_file_server_volume_configuration.is_some(),
        ];
        if kinds.into_iter().filter(|kind| *kind).count() > 1 {
            problems.invalid(&path, "Only one kind of configuration can be specified per volume.");
        }
        if let Some(docker) = &volume.docker_volume_configuration
            && docker.autoprovision == Some(true)
            && docker.scope.as_deref() != Some("shared")
        {
            problems.invalid(
                format!("{path}.dockerVolumeConfiguration.autoprovision"),
                "autoprovision is for volumes of scope 'shared' only.",
            );
        }
    }
}
