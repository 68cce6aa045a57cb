//! Whether a definition fits this machine: asked of the agent that runs here, or of one that is started to be asked.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use wire::ecs::{ContainerInstance, ContainerInstancesResponse, Resource, TaskDefinition};

use super::super::client::Client;
use super::super::connect::{self, Connected};
use super::super::definition::DefinitionFile;
use super::super::temporary::{self, Temporary};
use super::super::{Failure, Global, text};
use crate::local::report::TaskReport;
use crate::plane::roles::Choice;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct Check {
    pub subject: &'static str,
    pub is_fine: bool,
    pub detail: String,
}

impl Check {
    fn new(subject: &'static str, is_fine: bool, detail: impl Into<String>) -> Self {
        Self { subject, is_fine, detail: detail.into() }
    }
}

/// What is known of this machine.
pub(super) struct Machine {
    pub instance: ContainerInstance,
    pub tasks: Vec<TaskReport>,
}

pub(super) async fn look(global: &Global, file: &DefinitionFile) -> Result<Vec<Check>, Failure> {
    let definition = registered(&file.definition)?;
    if let Some(connected) = connect::find(global).await? {
        let instance = temporary::ready(&connected.client).await?;
        return checks(&connected, &instance, &definition).await;
    }
    let mut temporary = match Temporary::start(Choice::None, false).await {
        Ok(temporary) => temporary,
        // Without a Docker Engine nothing can be placed, and that is the answer.
        Err(failure) => return Ok(vec![Check::new("docker", false, failure.to_string())]),
    };
    let outcome = match temporary.ready().await {
        Ok(instance) => checks(&temporary.connected, &instance, &definition).await,
        Err(failure) => Err(failure),
    };
    temporary.stop().await;
    outcome
}

/// The definition with defaults and required attributes, as a control plane would keep it.
fn registered(definition: &Value) -> Result<TaskDefinition, Failure> {
    let mut plane = plane::Plane::new(plane::Settings::local("http://127.0.0.1", 0));
    let call = plane::Event::Call { operation: "RegisterTaskDefinition".to_owned(), body: definition.clone() };
    let answer = plane.handle(Timestamp::now(), call).reply.unwrap_or(Ok(Value::Null));
    let answer = answer.map_err(|fault| Failure::new(fault.message))?;
    let definition = answer.get("taskDefinition").cloned().unwrap_or_default();
    serde_json::from_value(definition).map_err(|error| Failure::new(error.to_string()))
}

async fn checks(connected: &Connected, instance: &Value, definition: &TaskDefinition) -> Result<Vec<Check>, Failure> {
    let client = &connected.client;
    let machine = machine(client, instance).await?;
    let mut checks = compare(&machine, definition);
    let docker = connected.docker()?;
    let images: BTreeSet<_> = definition.container_definitions.iter().map(|container| &container.image).collect();
    for image in images {
        checks.push(match docker.inspect_image(image).await {
            Ok(_) => Check::new("image", true, format!("{image} is here")),
            Err(error) if error.kind() == docker::Kind::NotFound => {
                Check::new("image", true, format!("{image} is not here; it will be pulled"))
            }
            Err(error) => Check::new("image", false, format!("{image}: {}", error.reference_text())),
        });
    }
    Ok(checks)
}

async fn machine(client: &Client, instance: &Value) -> Result<Machine, Failure> {
    let query = json!({"cluster": instance.get("cluster"), "containerInstances": [instance.get("instanceArn")]});
    let answer = client.call("DescribeContainerInstances", &query).await?;
    let answer: ContainerInstancesResponse =
        serde_json::from_value(answer).map_err(|error| Failure::new(error.to_string()))?;
    let instance = answer.container_instances.into_iter().next();
    let instance = instance.ok_or_else(|| Failure::new("the agent is not registered"))?;
    Ok(Machine { instance, tasks: client.get("/longshore/v1/tasks").await? })
}

/// Everything but the images.
pub(super) fn compare(machine: &Machine, definition: &TaskDefinition) -> Vec<Check> {
    let mut checks = Vec::new();
    let instance = &machine.instance;
    let number = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<i64>().ok());
    let containers = &definition.container_definitions;
    let cpu = number(&definition.cpu).unwrap_or_else(|| containers.iter().map(|c| c.cpu).sum());
    let memory = number(&definition.memory)
        .unwrap_or_else(|| containers.iter().map(|c| c.memory_reservation.or(c.memory).unwrap_or(0)).sum());
    for (subject, name, unit, wanted) in [("cpu", "CPU", "units", cpu), ("memory", "MEMORY", "MiB", memory)] {
        let free = integer(&instance.remaining_resources, name);
        let all = integer(&instance.registered_resources, name);
        let detail = format!("{wanted} of {free} free {unit} ({all} in all)");
        checks.push(Check::new(subject, wanted <= free, detail));
    }
    if definition.network_mode.as_deref() != Some("awsvpc") {
        for mapping in containers.iter().flat_map(|container| &container.port_mappings) {
            if let Some(port) = mapping.host_port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0) {
                checks.push(port_check(machine, port, mapping.protocol.as_deref().unwrap_or("tcp")));
            }
        }
    }
    let has: BTreeSet<_> = instance.attributes.iter().map(|attribute| attribute.name.as_str()).collect();
    let missing = definition.requires_attributes.iter().map(|attribute| attribute.name.as_str());
    let missing: Vec<_> = missing.filter(|name| !has.contains(name)).collect();
    for name in &missing {
        checks.push(Check::new("ability", false, format!("{}: this machine has no {name}", meaning(name))));
    }
    if missing.is_empty() {
        let count = text::count(definition.requires_attributes.len(), "ability").replace("abilitys", "abilities");
        checks.push(Check::new("ability", true, format!("{count} wanted and had")));
    }
    if instance.status.as_str() != "ACTIVE" {
        checks.push(Check::new("instance", false, format!("the instance is {}", instance.status)));
    }
    checks
}

fn integer(resources: &[Resource], name: &str) -> i64 {
    resources.iter().find(|resource| resource.name == name).and_then(|resource| resource.integer_value).unwrap_or(0)
}

fn port_check(machine: &Machine, port: u16, protocol: &str) -> Check {
    let subject = format!("{port}/{protocol}");
    for task in machine.tasks.iter().filter(|task| !task.is_stopped()) {
        let holds = |container: &&crate::local::report::ContainerReport| {
            container.ports.iter().any(|held| held.host_port == port && held.protocol == protocol)
        };
        if let Some(container) = task.own_containers().find(holds) {
            let (id, name) = (text::short(&task.id), task.name());
            return Check::new(
                "port",
                false,
                format!("{subject} is in use by {} of task {id} ({name})", container.name),
            );
        }
    }
    if let Some(holder) = host::listeners::who_listens(port).filter(|_| protocol == "tcp") {
        let detail = format!("{subject} is in use by process {} ({})", holder.pid, holder.command);
        return Check::new("port", false, detail);
    }
    let list = if protocol == "udp" { "PORTS_UDP" } else { "PORTS" };
    let taken = machine.instance.remaining_resources.iter().find(|resource| resource.name == list);
    let taken = taken.and_then(|resource| resource.string_set_value.as_deref()).unwrap_or_default();
    if taken.iter().any(|taken| *taken == port.to_string()) {
        return Check::new("port", false, format!("{subject} is reserved (ECS_RESERVED_PORTS) or given to a task"));
    }
    Check::new("port", true, format!("{subject} is free"))
}

/// What of a definition asks for an attribute.
fn meaning(attribute: &str) -> String {
    let name = attribute.trim_start_matches("com.amazonaws.").trim_start_matches("ecs.capability.");
    match name {
        "task-eni" => "network mode awsvpc".to_owned(),
        "task-iam-role" | "task-iam-role-network-host" => "a task role".to_owned(),
        "privileged-container" => "a privileged container".to_owned(),
        "execution-role-awslogs" | "execution-role-ecr-pull" => "an execution role".to_owned(),
        "efs" | "efsAuth" => "an EFS volume".to_owned(),
        "aws-appmesh" => "a proxy configuration".to_owned(),
        name => match (name.strip_prefix("logging-driver."), name.strip_prefix("docker-plugin.")) {
            (Some(driver), _) => format!("the log driver {driver}"),
            (_, Some(driver)) => format!("the volume driver {driver}"),
            _ if name.starts_with("secrets.") => "a secret".to_owned(),
            _ if name.starts_with("env-files.") => "an environment file".to_owned(),
            _ => format!("'{name}'"),
        },
    }
}
