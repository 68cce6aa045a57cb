//! Docker's `HostConfig` for a container: what its definition says, the payload's own JSON on top,
//! and on top of that what the task decides (spec 20 §4.3–4.5, §4.7).

use serde_json::{Map, Value, json};
use wire::gojson::overlay;

use super::{decode, insert_below, members};
use crate::config::EngineConfig;
use crate::container::{Container, ContainerPorts, Kind, NamedError, PortMapping};
use crate::task::Task;

/// Docker raises nothing below 2 shares, and takes none above this (spec 20 §4.3).
const CPU_SHARES: (u64, u64) = (2, 262_144);
const MIB: u64 = 1 << 20;
/// Docker refuses memory limits below this.
const MEMORY_MINIMUM: u64 = 4 * MIB;

fn wrong(text: impl Into<String>) -> NamedError {
    NamedError::new("HostConfigError", text)
}

/// Builds the whole `HostConfig`.
pub(super) fn host_config(
    task: &Task,
    container: &Container,
    config: &EngineConfig,
) -> Result<Map<String, Value>, NamedError> {
    let mut host = Map::new();
    host.insert("Links".into(), links(task, container)?.into());
    host.insert("PortBindings".into(), Value::Object(port_bindings(container)?));
    host.insert("VolumesFrom".into(), volumes_from(task, container)?.into());
    host.insert("Binds".into(), binds(task, container)?.into());
    host.insert("Memory".into(), memory(memory_mib(task, container, config)).into());
    host.insert("CpuShares".into(), container.definition.cpu.clamp(CPU_SHARES.0, CPU_SHARES.1).into());
    if let Some(text) = &container.definition.docker.host_config {
        decode(text)
            .and_then(|over| overlay(&mut host, &over, members::HOST_CONFIG))
            .map_err(|cause| wrong(format!("Unable to decode given host config: {cause}")))?;
    }
    if let Some(cgroup) = &task.definition.cgroup {
        host.insert("CgroupParent".into(), cgroup.parent.as_str().into());
    }
    apply_namespaces(&mut host, task, container)?;
    apply_log_options(&mut host, task, container)?;
    Ok(host)
}

/// The container's own limit, else its task's where the operator wants that.
fn memory_mib(task: &Task, container: &Container, config: &EngineConfig) -> u64 {
    match container.definition.memory_mib {
        0 if config.propagates_task_memory => task.definition.memory_mib,
        own => own,
    }
}

fn memory(mib: u64) -> u64 {
    match mib.saturating_mul(MIB).min(i64::MAX.unsigned_abs()) {
        0 => 0,
        bytes => bytes.max(MEMORY_MINIMUM),
    }
}

/// `<docker name>:<alias>`; without an alias the neighbour's own name.
fn links(task: &Task, container: &Container) -> Result<Vec<String>, NamedError> {
    let link = |link: &String| {
        let (target, alias) = link.split_once(':').unwrap_or((link, link));
        if alias.contains(':') {
            return Err(wrong("Invalid link format"));
        }
        let name = docker_name_of(task, target).ok_or_else(|| wrong(format!("Link target not available: {target}")))?;
        Ok(format!("{name}:{alias}"))
    };
    container.definition.links.iter().map(link).collect()
}

fn volumes_from(task: &Task, container: &Container) -> Result<Vec<String>, NamedError> {
    let source = |from: &crate::container::VolumeFrom| {
        let target = &from.source_container;
        let name =
            docker_name_of(task, target).ok_or_else(|| wrong(format!("Volume target not available: {target}")))?;
        Ok(if from.is_read_only { format!("{name}:ro") } else { name.to_owned() })
    };
    container.definition.volumes_from.iter().map(source).collect()
}

fn docker_name_of<'a>(task: &'a Task, container: &str) -> Option<&'a str> {
    task.container(container)?.state.docker_name.as_deref()
}

fn binds(task: &Task, container: &Container) -> Result<Vec<String>, NamedError> {
    let bind = |mount: &crate::container::MountPoint| {
        let (volume, path) = (&mount.source_volume, &mount.container_path);
        let found = task.definition.volumes.iter().find(|v| v.name == *volume);
        let source = found.ok_or_else(|| wrong(format!("Invalid volume referenced: {volume}")))?.source();
        if source.is_empty() || path.is_empty() {
            return Err(wrong(format!(
                "Unable to resolve volume mounts; invalid path: {} {volume}; {source} -> {path}",
                container.name()
            )));
        }
        Ok(format!("{source}:{path}{}", if mount.is_read_only { ":ro" } else { "" }))
    };
    container.definition.mounts.iter().map(bind).collect()
}

/// Every container port with its host port: the fixed one, or the one that the agent chose.
fn port_bindings(container: &Container) -> Result<Map<String, Value>, NamedError> {
    let mut all = Map::new();
    for (index, mapping) in container.definition.ports.iter().enumerate() {
        let first = host_port(container, index, mapping)
            .map_err(|cause| wrong(format!("error retrieving docker port map: {cause}")))?;
        for (port, host) in container_ports(mapping).zip(u32::from(first)..) {
            let binding = json!({"HostIp": "", "HostPort": host.to_string()});
            if let Value::Array(list) = all.entry(port_name(port, mapping)).or_insert_with(|| json!([])) {
                list.push(binding);
            }
        }
    }
    Ok(all)
}

fn host_port(container: &Container, index: usize, mapping: &PortMapping) -> Result<u16, String> {
    let wanted = mapping.to_choose();
    if wanted == 0 {
        return Ok(mapping.host_port);
    }
    let chosen = container.state.chosen_ports.iter().find(|chosen| chosen.mapping == index);
    match chosen {
        Some(chosen) if chosen.count >= wanted => Ok(chosen.first),
        _ if wanted == 1 => Err("a host port is unavailable".to_owned()),
        _ => Err(format!("{wanted} contiguous host ports are unavailable")),
    }
}

/// The mapping's container ports, one by one.
pub(super) fn container_ports(mapping: &PortMapping) -> std::ops::RangeInclusive<u16> {
    match mapping.container {
        ContainerPorts::One(port) => port..=port,
        ContainerPorts::Range(first, last) => first..=last,
    }
}

/// A port as Docker's maps name it: `80/tcp`.
pub(super) fn port_name(port: u16, mapping: &PortMapping) -> String {
    format!("{port}/{}", mapping.protocol)
}

/// Network, process and IPC namespaces override the payload (spec 20 trap 24).
fn apply_namespaces(host: &mut Map<String, Value>, task: &Task, container: &Container) -> Result<(), NamedError> {
    let definition = &task.definition;
    if container.definition.kind == Kind::NamespacePause {
        host.insert("NetworkMode".into(), "none".into());
        if definition.ipc_mode == "task" {
            host.insert("IpcMode".into(), "shareable".into());
        }
        return Ok(());
    }
    match definition.pid_mode.as_str() {
        "host" => host.insert("PidMode".into(), "host".into()),
        "task" => host.insert("PidMode".into(), namespace_of_pause(task)?.into()),
        _ => None,
    };
    match definition.ipc_mode.as_str() {
        mode @ ("host" | "none") => host.insert("IpcMode".into(), mode.into()),
        "task" => host.insert("IpcMode".into(), namespace_of_pause(task)?.into()),
        _ => None,
    };
    Ok(())
}

fn namespace_of_pause(task: &Task) -> Result<String, NamedError> {
    let pause = task.containers.iter().find(|c| c.definition.kind == Kind::NamespacePause);
    let id = pause.and_then(|c| c.state.docker_id.as_ref());
    id.map(|id| format!("container:{id}")).ok_or_else(|| wrong("Namespace pause container not available"))
}

/// Options of the log driver that the agent sets itself (spec 20 §4.7).
fn apply_log_options(host: &mut Map<String, Value>, task: &Task, container: &Container) -> Result<(), NamedError> {
    let options = host.get("LogConfig").and_then(|log| log.get("Config"));
    let option = |name: &str| options.and_then(|o| o.get(name)).and_then(Value::as_str);
    let is_unbounded = option("mode") == Some("non-blocking") && option("max-buffer-size").is_none();
    if container.definition.logs_with_execution_role {
        let id = task.definition.execution_credentials.as_ref();
        let id = id.ok_or_else(|| wrong("No execution credentials set for the task"))?;
        // Relative: the log driver itself knows the address of the credentials endpoint.
        set_log_option(host, "awslogs-credentials-endpoint", format!("/v2/credentials/{id}"));
    }
    if is_unbounded {
        set_log_option(host, "max-buffer-size", "10m".to_owned());
    }
    Ok(())
}

fn set_log_option(host: &mut Map<String, Value>, name: &str, value: String) {
    let mut options = match host.get_mut("LogConfig").and_then(|log| log.get_mut("Config")).map(Value::take) {
        Some(Value::Object(options)) => options,
        _ => Map::new(),
    };
    options.insert(name.to_owned(), value.into());
    insert_below(host, "LogConfig", "Config", Value::Object(options));
}
