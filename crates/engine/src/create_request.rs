//! The Engine's create request for a container (spec 20 §4): what the definition says, the payload's own
//! Docker JSON laid over it, and on top what only the agent may decide.
//!
//! Knows Docker's body, not its versions: what a daemon's version does not take is left out by whoever sends it.
//! Not here yet: GPUs, FireLens, Service Connect, EBS, ECS Exec, credential specs; admission
//! refuses tasks that need those which cannot be left out.

mod host_config;
mod members;
mod names;

pub use names::{docker_name, volume_name};

use serde_json::{Map, Value, json};
use wire::gojson::overlay;
use wire::metadata::{METADATA_FILE_NAME, container_metadata_directory};

use crate::config::EngineConfig;
use crate::container::{Container, MetadataFile, NamedError};
use crate::task::Task;

/// What is sent to make a container.
#[derive(Clone, PartialEq)]
pub struct CreateRequest {
    /// The body of `POST /containers/create`.
    pub body: Value,
    /// The API version that the payload asks for; one that is too old is raised by the sender (spec 20 §7.2).
    pub api_version: Option<String>,
}

impl std::fmt::Debug for CreateRequest {
    /// Without the body: it holds the user's environment.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreateRequest").field("api_version", &self.api_version).finish_non_exhaustive()
    }
}

/// Builds the request. Everything it needs of neighbours (names, ids) and of ports must be in the state.
///
/// # Errors
/// `HostConfigError` or `DockerClientConfigError` with the texts of spec 20 §4.12.
pub fn create_request(task: &Task, container: &Container, config: &EngineConfig) -> Result<CreateRequest, NamedError> {
    let mut host = host_config::host_config(task, container, config)?;
    let mut body = container_config(task, container, config)?;
    mount_metadata(&mut body, &mut host, task, container, config);
    body.insert("HostConfig".into(), Value::Object(host));
    body.insert("NetworkingConfig".into(), json!({}));
    let api_version = container.definition.docker.version.clone().filter(|version| !version.is_empty());
    Ok(CreateRequest { body: Value::Object(body), api_version })
}

/// Shows the container the file that describes it, and tells it where (spec 30 §6). The variable is the last.
fn mount_metadata(
    body: &mut Map<String, Value>,
    host: &mut Map<String, Value>,
    task: &Task,
    container: &Container,
    config: &EngineConfig,
) {
    let (Some(files), Some(MetadataFile { token, .. })) = (&config.metadata_files, &container.state.metadata_file)
    else {
        return;
    };
    let directory = container_metadata_directory(task.arn(), container.name());
    let label = if files.is_relabelled { ":Z" } else { "" };
    let bind = format!("{}/{directory}:/opt/ecs/metadata/{token}{label}", files.host_directory);
    let variable = format!("ECS_CONTAINER_METADATA_FILE=/opt/ecs/metadata/{token}/{METADATA_FILE_NAME}");
    append(host, "Binds", bind);
    append(body, "Env", variable);
}

fn append(members: &mut Map<String, Value>, name: &str, text: String) {
    match members.get_mut(name) {
        Some(Value::Array(list)) => list.push(text.into()),
        _ => _ = members.insert(name.to_owned(), json!([text])),
    }
}

fn wrong(text: impl Into<String>) -> NamedError {
    NamedError::new("DockerClientConfigError", text)
}

/// Docker's `Config` (spec 20 §4.6).
fn container_config(
    task: &Task,
    container: &Container,
    config: &EngineConfig,
) -> Result<Map<String, Value>, NamedError> {
    let definition = &container.definition;
    let mut body = Map::new();
    body.insert("Image".into(), definition.image.as_str().into());
    body.insert("Cmd".into(), json!(definition.command));
    body.insert("Entrypoint".into(), json!(definition.entry_point));
    let mut exposed = Map::new();
    for mapping in &definition.ports {
        exposed.extend(host_config::container_ports(mapping).map(|p| (host_config::port_name(p, mapping), json!({}))));
    }
    if !exposed.is_empty() {
        body.insert("ExposedPorts".into(), Value::Object(exposed));
    }
    body.insert("Env".into(), environment(container, config).into());
    if let Some(text) = &definition.docker.config {
        decode(text)
            .and_then(|over| overlay(&mut body, &over, members::CONFIG))
            .map_err(|cause| wrong(format!("Unable decode given docker config: {cause}")))?;
    }
    if definition.has_health_check && body.get("Healthcheck").is_none_or(Value::is_null) {
        return Err(wrong("docker health check is nil while container health check type is DOCKER"));
    }
    for (name, value) in labels(task, container, config) {
        insert_below(&mut body, "Labels", name, value.into());
    }
    Ok(body)
}

/// `NAME=value`, with the region where neither the user nor the image names one (spec 20 trap 30).
fn environment(container: &Container, config: &EngineConfig) -> Vec<String> {
    const REGION: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];
    let user = &container.definition.environment;
    let mut all: Vec<String> = user.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let is_told = container.state.has_image_region || REGION.iter().any(|name| user.contains_key(*name));
    if !is_told && !container.definition.kind.is_internal() && !config.region.is_empty() {
        all.extend(REGION.map(|name| format!("{name}={}", config.region)));
    }
    all
}

/// Labels by which ECS containers are known; they win over the user's (spec 20 §4.9).
fn labels<'a>(task: &'a Task, container: &'a Container, config: &'a EngineConfig) -> [(&'static str, &'a str); 5] {
    let cluster = if config.cluster.is_empty() { "default" } else { &config.cluster };
    [
        ("com.amazonaws.ecs.task-arn", task.arn().as_str()),
        ("com.amazonaws.ecs.container-name", container.name()),
        ("com.amazonaws.ecs.task-definition-family", &task.definition.family),
        ("com.amazonaws.ecs.task-definition-version", &task.definition.version),
        ("com.amazonaws.ecs.cluster", cluster),
    ]
}

/// Reads a payload's JSON string; the error is worded as users of the reference know it.
fn decode(text: &str) -> Result<Value, String> {
    serde_json::from_str(text)
        .map_err(|error| if error.is_eof() { "unexpected end of JSON input".to_owned() } else { error.to_string() })
}

/// Sets a member of a nested object, which is made where there is none.
fn insert_below(parent: &mut Map<String, Value>, name: &str, key: &str, value: Value) {
    let slot = parent.entry(name).or_insert(Value::Null);
    if !slot.is_object() {
        *slot = json!({});
    }
    if let Value::Object(members) = slot {
        members.insert(key.to_owned(), value);
    }
}

#[cfg(test)]
mod tests;
