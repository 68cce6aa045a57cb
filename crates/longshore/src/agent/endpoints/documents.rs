//! From a task's view to its documents (spec 30 §3.2–§3.6).

use std::collections::BTreeMap;

use engine::container::{Container, Kind, Mount, MountPoint};
use engine::effect::Protocol;
use engine::status::{ContainerStatus, HealthStatus};
use engine::task::{NetworkMode, Task, VolumeKind};
use jiff::tz::{Offset, TimeZone};
use serde_json::Value;
use wire::metadata::{
    ContainerDocument, ContainerLimits, Health, MountedVolume, Network, Port, TaskDocument, TaskLimits,
};

/// The instance, as far as documents tell of it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place<'a> {
    pub cluster: &'a str,
    pub zone: &'a str,
    pub zone_id: &'a str,
    pub vpc_id: &'a str,
}

/// Which containers a document lists, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    V2,
    V3,
    V4,
}

/// A container of which nothing is known that a v3 document must tell: its id, or name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NoNetwork(pub String);

/// The task.
///
/// # Errors
/// In v3, when a listed container has no network settings.
pub(super) fn task_document(task: &Task, form: Form, place: Place<'_>) -> Result<TaskDocument, NoNetwork> {
    let definition = &task.definition;
    let state = &task.state;
    let listed = task.containers.iter().filter(|c| is_listed(c) || (form == Form::V4 && is_pulled(c)));
    let containers = listed.map(|c| container_document(task, c, form, place.cluster)).collect::<Result<Vec<_>, _>>()?;
    let limits = TaskLimits {
        cpu: (definition.cpu != 0.0).then_some(definition.cpu),
        memory: (definition.memory_mib != 0).then_some(definition.memory_mib),
    };
    let mut document = TaskDocument {
        cluster: place.cluster.to_owned(),
        task_arn: definition.arn.to_string(),
        family: definition.family.clone(),
        revision: definition.version.clone(),
        desired_status: state.desired.to_string(),
        known_status: state.known.to_string(),
        limits: (limits != TaskLimits::default()).then_some(limits),
        pull_started_at: state.pull_started_at,
        pull_stopped_at: state.pull_stopped_at,
        execution_stopped_at: state.execution_stopped_at,
        availability_zone: place.zone.to_owned(),
        ..TaskDocument::default()
    };
    if form == Form::V4 {
        document.containers = containers;
        document.launch_type.clone_from(&definition.launch_type);
        document.vpc_id = place.vpc_id.to_owned();
        document.service_name.clone_from(&definition.service_name);
        document.fault_injection_enabled = Some(definition.has_fault_injection);
        document.availability_zone_id = place.zone_id.to_owned();
    } else {
        document.containers_early = containers;
    }
    Ok(document)
}

/// Whether the container is known to Docker, or named for it.
pub(super) const fn is_listed(container: &Container) -> bool {
    container.state.docker_id.is_some() || container.state.docker_name.is_some()
}

fn is_pulled(container: &Container) -> bool {
    container.state.known == ContainerStatus::Pulled && !is_listed(container)
}

/// A container of the task.
///
/// # Errors
/// In v3, when it has no network settings.
pub(super) fn container_document(
    task: &Task,
    container: &Container,
    form: Form,
    cluster: &str,
) -> Result<ContainerDocument, NoNetwork> {
    let definition = &container.definition;
    let state = &container.state;
    let networks = networks(task, container, form);
    if networks.is_empty() && form == Form::V3 {
        return Err(NoNetwork(container.handle().unwrap_or_default().to_owned()));
    }
    let is_v4 = form == Form::V4;
    let mut document = ContainerDocument {
        docker_id: state.docker_id.as_ref().map(ToString::to_string).unwrap_or_default(),
        name: definition.name.to_string(),
        docker_name: state.docker_name.clone().unwrap_or_default(),
        image: definition.image.to_string(),
        image_id: state.image_id.as_ref().map(ToString::to_string).unwrap_or_default(),
        ports: ports(task, container, is_v4),
        labels: if is_listed(container) { labels(task, container, cluster) } else { BTreeMap::new() },
        desired_status: state.desired.to_string(),
        known_status: state.known.to_string(),
        exit_code: state.exit_code,
        limits: limits(container),
        created_at: state.created_at,
        started_at: state.started_at,
        finished_at: state.finished_at,
        kind: match definition.kind {
            Kind::Normal => "NORMAL",
            Kind::NamespacePause => "NAMESPACE_PAUSE",
        },
        health: definition.has_health_check.then(|| health(container)),
        volumes: if is_listed(container) { volumes(task, container) } else { Vec::new() },
        ..ContainerDocument::default()
    };
    if is_v4 {
        (document.log_driver, document.log_options) = logging(container);
        document.container_arn.clone_from(&definition.arn);
        document.networks = networks;
        let has_policy = definition.restart_policy.is_some() && is_listed(container);
        document.restart_count = has_policy.then_some(state.restarts.count);
    } else {
        document.networks_early = networks;
    }
    Ok(document)
}

fn limits(container: &Container) -> ContainerLimits {
    // CPU units are far below what a float cannot tell apart.
    #[allow(clippy::cast_precision_loss)]
    let cpu = container.definition.cpu.max(2) as f64;
    ContainerLimits { cpu, memory: container.definition.memory_mib }
}

/// What is bound; with an interface of its own the task's ports are the container's.
pub(super) fn ports(task: &Task, container: &Container, with_address: bool) -> Vec<Port> {
    let has_interface = task.definition.network_mode == NetworkMode::Awsvpc;
    let bindings = container.state.bindings.iter();
    bindings
        .map(|binding| Port {
            container_port: binding.container_port,
            protocol: protocol(binding.protocol),
            host_port: if has_interface { binding.container_port } else { binding.host_port },
            host_ip: if with_address { binding.bind_ip.clone() } else { String::new() },
        })
        .collect()
}

pub(super) const fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    }
}

/// As its last inspection said. Before the start there is a network but no address in it, and after the end again.
pub(super) fn networks(task: &Task, container: &Container, form: Form) -> Vec<Network> {
    if form == Form::V2 || container.state.docker_id.is_none() {
        return Vec::new();
    }
    let network = &container.state.network;
    let mode = match network.mode.as_str() {
        "" => task.definition.network_mode.to_string(),
        "default" => "bridge".to_owned(),
        mode => mode.to_owned(),
    };
    let has_ended = container.is_stopped();
    let address = |text: &str| if has_ended { String::new() } else { text.to_owned() };
    let document = |mode: &str, ipv4: &str, ipv6: &str| {
        let ipv6 = address(ipv6);
        Network {
            network_mode: mode.to_owned(),
            ipv4_addresses: vec![address(ipv4)],
            ipv6_addresses: if form == Form::V4 && !ipv6.is_empty() { vec![ipv6] } else { Vec::new() },
        }
    };
    if network.attached.is_empty() {
        return vec![document(&mode, &network.ipv4, &network.ipv6)];
    }
    network.attached.iter().map(|(name, at)| document(name, &at.ipv4, &at.ipv6)).collect()
}

/// The user's labels, with the agent's own on top (spec 20 §4.9).
fn labels(task: &Task, container: &Container, cluster: &str) -> BTreeMap<String, String> {
    let definition = &task.definition;
    let own = [
        ("com.amazonaws.ecs.task-arn", definition.arn.as_str()),
        ("com.amazonaws.ecs.container-name", container.name()),
        ("com.amazonaws.ecs.task-definition-family", &definition.family),
        ("com.amazonaws.ecs.task-definition-version", &definition.version),
        ("com.amazonaws.ecs.cluster", cluster),
    ];
    let config = json(container.definition.docker.config.as_deref());
    let user = member(&config, "Labels").and_then(Value::as_object);
    let mut labels: BTreeMap<String, String> = user
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect();
    labels.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
    labels
}

/// Driver and options as the payload has them, before the agent translates them.
fn logging(container: &Container) -> (String, BTreeMap<String, String>) {
    let config = json(container.definition.docker.host_config.as_deref());
    let Some(log) = member(&config, "LogConfig") else { return Default::default() };
    let driver = member(log, "Type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let options = member(log, "Config").and_then(Value::as_object);
    let options = options.into_iter().flatten();
    (driver, options.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect())
}

fn json(text: Option<&str>) -> Value {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// A member by its name in any case; the last one counts.
fn member<'v>(object: &'v Value, name: &str) -> Option<&'v Value> {
    object.as_object()?.iter().rev().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn health(container: &Container) -> Health {
    let health = &container.health;
    let status = match health.status {
        HealthStatus::Unknown => {
            return Health { exit_code: health.exit_code.filter(|code| *code != 0), ..Health::default() };
        }
        HealthStatus::Healthy => "HEALTHY",
        HealthStatus::Unhealthy => "UNHEALTHY",
    };
    let since = health.since.map(|since| {
        let offset = TimeZone::system().to_offset(since);
        if offset == Offset::UTC { since.to_string() } else { since.display_with_offset(offset).to_string() }
    });
    Health {
        status: Some(status),
        status_since: since,
        exit_code: health.exit_code.filter(|code| *code != 0),
        output: health.output.clone(),
    }
}

/// What is mounted, as its last inspection said; before that, as far as the definitions tell it.
pub(super) fn volumes(task: &Task, container: &Container) -> Vec<MountedVolume> {
    if container.definition.kind.is_internal() {
        return Vec::new();
    }
    if !container.state.mounts.is_empty() {
        let mounted = |mount: &Mount| MountedVolume {
            docker_name: mount.name.clone(),
            source: mount.source.clone(),
            destination: mount.destination.clone(),
        };
        return container.state.mounts.iter().map(mounted).collect();
    }
    let neighbours = container.definition.volumes_from.iter().filter_map(|from| task.container(&from.source_container));
    let inherited = neighbours.flat_map(|neighbour| neighbour.definition.mounts.iter());
    container.definition.mounts.iter().chain(inherited).filter_map(|mount| volume(task, mount)).collect()
}

fn volume(task: &Task, mount: &MountPoint) -> Option<MountedVolume> {
    let volume = task.volumes.iter().find(|volume| volume.definition.name == mount.source_volume)?;
    let destination = mount.container_path.clone();
    Some(match &volume.definition.kind {
        VolumeKind::Host(host) => MountedVolume { docker_name: String::new(), source: host.path.clone(), destination },
        VolumeKind::Docker { docker_name, .. } => {
            MountedVolume { docker_name: docker_name.clone(), source: String::new(), destination }
        }
    })
}
