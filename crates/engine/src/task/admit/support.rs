//! What a task may ask for that this agent does not have: told at once and by name, instead of running the
//! task without it.

use serde::Deserialize;
use wire::{acs, gojson};

/// The first thing that the task needs and cannot get. ECS Exec is not among them: a container runs without
/// it, its failure is only an event (spec 20 trap 57).
pub(super) fn unsupported(task: &acs::Task) -> Option<String> {
    let (who, what) = needs_of_task(task).map(|what| ("the task".to_owned(), what)).or_else(|| {
        task.containers.iter().flatten().find_map(|c| Some((format!("container {}", c.name), needs_of_container(c)?)))
    })?;
    Some(format!("{who} needs {what}, which this agent does not support"))
}

fn needs_of_task(task: &acs::Task) -> Option<&'static str> {
    if task.network_mode == "awsvpc" || !task.elastic_network_interfaces.is_empty() {
        return Some("network mode awsvpc");
    }
    let attached = task.attachments.iter().flatten().find_map(|a| match a.attachment_type.as_str() {
        "serviceconnectdetail" => Some("Service Connect"),
        "amazonebs" => Some("Amazon EBS"),
        "s3files" => Some("S3 Files"),
        _ => None,
    });
    attached.or_else(|| task.associations.iter().any(|a| a.kind == "gpu").then_some("a GPU"))
}

fn needs_of_container(container: &acs::Container) -> Option<&'static str> {
    let host = container.docker_config.as_ref().and_then(|docker| docker.host_config.as_deref());
    let host = host.map(HostConfig::peek).unwrap_or_default();
    let uses_asm = container.registry_authentication.as_ref().is_some_and(|registry| registry.kind == "asm");
    let has_credential_spec = !container.credential_specs.is_empty()
        || host.security_opt.iter().any(|option| option.starts_with("credentialspec"));
    let is_routed = container.firelens_configuration.is_some() || host.log_config.kind == "awsfirelens";
    [
        (!container.secrets.is_empty(), "secrets"),
        (!container.environment_files.is_empty(), "environment files"),
        (is_routed, "FireLens"),
        (has_credential_spec, "credential specs"),
        (uses_asm, "registry credentials from Secrets Manager"),
    ]
    .into_iter()
    .find_map(|(is_needed, what)| is_needed.then_some(what))
}

/// The members of Docker's `HostConfig` that ask for something of the agent's.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct HostConfig {
    log_config: LogConfig,
    security_opt: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct LogConfig {
    #[serde(rename = "Type")]
    kind: String,
}

impl HostConfig {
    /// A text that cannot be read asks for nothing here: it fails its container when that is created.
    fn peek(text: &str) -> Self {
        gojson::from_str(text).unwrap_or_default()
    }
}
