//! The part of a container that travels as Docker JSON inside strings: `dockerConfig`.

use serde_json::{Map, Value, json};
use wire::ecs::{ContainerDefinition, ContainerOverride, HealthCheck, LinuxParameters, TaskDefinition};

const MIB: i64 = 1024 * 1024;
const SECOND_NS: i64 = 1_000_000_000;

/// The lowest Docker API version that the definition's features need, from its required attributes.
pub(super) fn api_version(definition: &TaskDefinition) -> String {
    let minors = definition.requires_attributes.iter().filter_map(|attribute| {
        attribute.name.strip_prefix("com.amazonaws.ecs.capability.docker-remote-api.1.")?.parse::<u32>().ok()
    });
    format!("1.{}", minors.max().unwrap_or(18))
}

/// `{config, hostConfig, version}` of a container.
pub(super) fn config(container: &ContainerDefinition, over: &ContainerOverride, mode: &str, api: &str) -> Value {
    json!({
        "config": Value::Object(container_config(container)).to_string(),
        "hostConfig": Value::Object(host_config(container, over, mode)).to_string(),
        "version": api,
    })
}

/// Collects members that are there.
struct Members(Map<String, Value>);

impl Members {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    fn put_some<T: Clone + Into<Value>>(&mut self, name: &str, value: Option<&T>) {
        if let Some(value) = value {
            self.put(name, value.clone());
        }
    }
}

fn container_config(container: &ContainerDefinition) -> Map<String, Value> {
    let mut out = Members(Map::new());
    out.put_some("Hostname", container.hostname.as_ref());
    out.put_some("User", container.user.as_ref());
    out.put_some("WorkingDir", container.working_directory.as_ref());
    out.put_some("OpenStdin", container.interactive.as_ref());
    out.put_some("Tty", container.pseudo_terminal.as_ref());
    out.put_some("NetworkDisabled", container.disable_networking.as_ref());
    if let Some(labels) = &container.docker_labels {
        out.put("Labels", json!(labels));
    }
    if let Some(check) = &container.health_check {
        out.put("Healthcheck", health_check(check));
    }
    out.0
}

fn health_check(check: &HealthCheck) -> Value {
    json!({
        "Test": check.command,
        "Interval": check.interval.unwrap_or(30) * SECOND_NS,
        "Timeout": check.timeout.unwrap_or(5) * SECOND_NS,
        "Retries": check.retries.unwrap_or(3),
        "StartPeriod": check.start_period.unwrap_or(0) * SECOND_NS,
    })
}

fn host_config(container: &ContainerDefinition, over: &ContainerOverride, mode: &str) -> Map<String, Value> {
    let mut out = Members(Map::new());
    // An awsvpc container joins its pause container; only the agent knows that one's id.
    if mode != "awsvpc" {
        out.put("NetworkMode", mode);
    }
    out.put_some("Privileged", container.privileged.as_ref());
    out.put_some("ReadonlyRootfs", container.readonly_root_filesystem.as_ref());
    out.put_some("Dns", container.dns_servers.as_ref());
    out.put_some("DnsSearch", container.dns_search_domains.as_ref());
    out.put_some("SecurityOpt", container.docker_security_options.as_ref());
    if let Some(hosts) = &container.extra_hosts {
        let lines = hosts.iter().map(|host| format!("{}:{}", host.hostname, host.ip_address));
        out.put("ExtraHosts", lines.collect::<Vec<_>>());
    }
    if let Some(ulimits) = &container.ulimits {
        let ulimit =
            ulimits.iter().map(|limit| json!({"Name": limit.name, "Soft": limit.soft_limit, "Hard": limit.hard_limit}));
        out.put("Ulimits", ulimit.collect::<Vec<_>>());
    }
    if let Some(log) = &container.log_configuration {
        out.put("LogConfig", json!({"Type": log.log_driver, "Config": log.options.clone().unwrap_or_default()}));
    }
    if let Some(mib) = over.memory_reservation.or(container.memory_reservation) {
        out.put("MemoryReservation", mib * MIB);
    }
    if !container.system_controls.is_empty() {
        let controls = container
            .system_controls
            .iter()
            .filter_map(|control| Some((control.namespace.clone()?, json!(control.value.clone().unwrap_or_default()))));
        out.put("Sysctls", Value::Object(controls.collect()));
    }
    if let Some(linux) = &container.linux_parameters {
        linux_parameters(&mut out, linux, over.memory.or(container.memory));
    }
    out.0
}

fn linux_parameters(out: &mut Members, linux: &LinuxParameters, memory: Option<i64>) {
    if let Some(capabilities) = &linux.capabilities {
        out.put_some("CapAdd", capabilities.add.as_ref());
        out.put_some("CapDrop", capabilities.drop.as_ref());
    }
    out.put_some("Init", linux.init_process_enabled.as_ref());
    if let Some(mib) = linux.shared_memory_size {
        out.put("ShmSize", mib * MIB);
    }
    if let Some(devices) = &linux.devices {
        let device = devices.iter().map(|device| {
            json!({
                "PathOnHost": device.host_path,
                "PathInContainer": device.container_path.as_ref().unwrap_or(&device.host_path),
                "CgroupPermissions": permissions(device.permissions.as_deref()),
            })
        });
        out.put("Devices", device.collect::<Vec<_>>());
    }
    if let Some(tmpfs) = &linux.tmpfs {
        let mounts = tmpfs.iter().map(|mount| {
            let mut options = mount.mount_options.clone().unwrap_or_default();
            options.push(format!("size={}m", mount.size));
            (mount.container_path.clone(), json!(options.join(",")))
        });
        out.put("Tmpfs", Value::Object(mounts.collect()));
    }
    // Docker counts memory and swap together; -1 lifts the limit.
    match (linux.max_swap, memory) {
        (Some(-1), _) => out.put("MemorySwap", -1),
        (Some(swap), Some(memory)) => out.put("MemorySwap", (memory + swap) * MIB),
        _ => {}
    }
    out.put_some("MemorySwappiness", linux.swappiness.as_ref());
}

fn permissions(granted: Option<&[String]>) -> String {
    let Some(granted) = granted.filter(|list| !list.is_empty()) else {
        return "rwm".to_owned();
    };
    [("read", 'r'), ("write", 'w'), ("mknod", 'm')]
        .into_iter()
        .filter(|(name, _)| granted.iter().any(|one| one == name))
        .map(|(_, letter)| letter)
        .collect()
}
