//! What the members of each container say.

use std::collections::{BTreeMap, BTreeSet};

use wire::ecs::{ContainerDefinition, HealthCheck, LinuxParameters, PortMapping, RegisterTaskDefinitionRequest};

use super::{Problems, is_name, memory_mib};

/// The least memory that Docker accepts, MiB.
const MEMORY_MIN: i64 = 4;

pub(super) fn check(definition: &RegisterTaskDefinitionRequest, problems: &mut Problems) {
    let containers = &definition.container_definitions;
    let mut names = BTreeSet::new();
    let mut host_ports = BTreeMap::new();
    for (index, container) in containers.iter().enumerate() {
        let at = format!("containerDefinitions[{index}]");
        if container.name.is_empty() {
            problems.invalid(format!("{at}.name"), "Container.name should not be null or empty.");
        } else if !is_name(&container.name) {
            problems.invalid(
                format!("{at}.name"),
                "Container.name contains invalid characters: letters, digits, - and _ are allowed, at most 255.",
            );
        } else if !names.insert(&container.name) {
            problems.invalid(format!("{at}.name"), format!("Duplicate container name '{}'.", container.name));
        }
        if container.image.trim().is_empty() {
            problems.invalid(format!("{at}.image"), "Container.image should not be null or empty.");
        }
        check_size(container, definition, &at, problems);
        check_network(container, definition, &at, problems);
        for (i, mapping) in container.port_mappings.iter().enumerate() {
            check_port(mapping, definition, &format!("{at}.portMappings[{i}]"), &mut host_ports, problems);
        }
        check_variables(container, &at, problems);
        check_mounts(container, definition, &at, problems);
        if let Some(check) = &container.health_check {
            check_health(check, &format!("{at}.healthCheck"), problems);
        }
        if let Some(linux) = &container.linux_parameters {
            check_linux(linux, container, &format!("{at}.linuxParameters"), problems);
        }
        check_rest(container, &at, problems);
    }
    if containers.iter().all(|container| container.essential == Some(false)) {
        problems.invalid("containerDefinitions", "At least one container must be essential.");
    }
}

fn check_size(
    container: &ContainerDefinition,
    definition: &RegisterTaskDefinitionRequest,
    at: &str,
    problems: &mut Problems,
) {
    if container.cpu < 0 {
        problems.invalid(format!("{at}.cpu"), "cpu must not be negative.");
    }
    for (name, value) in [("memory", container.memory), ("memoryReservation", container.memory_reservation)] {
        if value.is_some_and(|mib| mib < MEMORY_MIN) {
            problems.invalid(format!("{at}.{name}"), format!("{name} must be at least {MEMORY_MIN} MiB."));
        }
    }
    if let (Some(hard), Some(soft)) = (container.memory, container.memory_reservation)
        && soft > hard
    {
        problems.invalid(format!("{at}.memoryReservation"), "memoryReservation must not exceed memory.");
    }
    match definition.memory.as_deref().and_then(memory_mib) {
        Some(task) => {
            for (name, value) in
                [("memory", container.memory), ("memoryReservation", container.memory_reservation)]
            {
                if value.is_some_and(|mib| mib > task) {
                    problems.invalid(format!("{at}.{name}"), format!("{name} must not exceed the task's memory of {task} MiB."));
                }
            }
        }
        None if container.memory.is_none() && container.memory_reservation.is_none() => problems.invalid(
            format!("{at}.memory"),
            format!(
                "Invalid setting for container '{}'. At least one of 'memory' or 'memoryReservation' must be specified.",
                container.name
            ),
        ),
        None => {}
    }
}

fn check_network(
    container: &ContainerDefinition,
    definition: &RegisterTaskDefinitionRequest,
    at: &str,
    problems: &mut Problems,
) {
    let mode = definition.network_mode.as_deref().unwrap_or("bridge");
    if mode != "bridge" && container.links.as_ref().is_some_and(|links| !links.is_empty()) {
        problems.invalid(format!("{at}.links"), format!("Links are not supported when networkMode={mode}."));
    }
    if mode == "awsvpc" {
        if container.hostname.is_some() {
            problems.invalid(format!("{at}.hostname"), "hostname is not supported when networkMode=awsvpc.");
        }
        if container.extra_hosts.as_ref().is_some_and(|hosts| !hosts.is_empty()) {
            problems.invalid(format!("{at}.extraHosts"), "extraHosts are not supported when networkMode=awsvpc.");
        }
    }
    if mode == "host" && container.hostname.is_some() {
        problems.invalid(format!("{at}.hostname"), "hostname is not supported when networkMode=host.");
    }
    if mode == "none" && !container.port_mappings.is_empty() {
        problems.invalid(format!("{at}.portMappings"), "Port mappings are not supported when networkMode=none.");
    }
}

fn check_port(
    mapping: &PortMapping,
    definition: &RegisterTaskDefinitionRequest,
    at: &str,
    host_ports: &mut BTreeMap<(i64, String), String>,
    problems: &mut Problems,
) {
    let mode = definition.network_mode.as_deref().unwrap_or("bridge");
    match (&mapping.container_port_range, mapping.container_port) {
        (Some(_), Some(_)) => {
            problems.invalid(at, "A port mapping has either containerPort or containerPortRange.");
        }
        (Some(range), None) => {
            if !is_port_range(range) {
                problems.invalid(
                    format!("{at}.containerPortRange"),
                    "containerPortRange must be two ports from 1 to 65535, the lower first, such as 8000-8010.",
                );
            }
            if mapping.host_port.is_some() {
                problems.invalid(format!("{at}.hostPort"), "hostPort cannot be given with containerPortRange.");
            }
        }
        (None, Some(port)) if !(1..=65535).contains(&port) => {
            problems.invalid(format!("{at}.containerPort"), "containerPort must be from 1 to 65535.");
        }
        (None, Some(_)) => {}
        (None, None) => problems.invalid(format!("{at}.containerPort"), "containerPort is required."),
    }
    let Some(host) = mapping.host_port else { return };
    if !(0..=65535).contains(&host) {
        problems.invalid(format!("{at}.hostPort"), "hostPort must be from 0 to 65535.");
        return;
    }
    if host == 0 {
        return;
    }
    if (mode == "host" || mode == "awsvpc") && mapping.container_port.is_some_and(|port| port != host) {
        problems.invalid(
            format!("{at}.hostPort"),
            format!("When networkMode={mode}, the host ports and container ports in port mappings must match."),
        );
    }
    let protocol = mapping.protocol.clone().unwrap_or_else(|| "tcp".to_owned());
    if let Some(first) = host_ports.insert((host, protocol), at.to_owned()) {
        problems.invalid(format!("{at}.hostPort"), format!("Host port {host} is already taken by {first}."));
    }
}

fn is_port_range(range: &str) -> bool {
    let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
    range.split_once('-').and_then(|(low, high)| Some((port(low)?, port(high)?))).is_some_and(|(low, high)| low < high)
}

fn check_variables(container: &ContainerDefinition, at: &str, problems: &mut Problems) {
    let mut names = BTreeSet::new();
    for (i, variable) in container.environment.iter().enumerate() {
        if variable.name.is_empty() {
            problems.invalid(format!("{at}.environment[{i}].name"), "An environment variable needs a name.");
        }
        names.insert(variable.name.as_str());
    }
    for (i, secret) in container.secrets.iter().flatten().enumerate() {
        if !names.insert(&secret.name) {
            problems.invalid(
                format!("{at}.secrets[{i}].name"),
                format!("The secret name must be unique and not shared with any environment variable of the container, such as '{}'.", secret.name),
            );
        }
    }
}

fn check_mounts(
    container: &ContainerDefinition,
    definition: &RegisterTaskDefinitionRequest,
    at: &str,
    problems: &mut Problems,
) {
    for (i, mount) in container.mount_points.iter().enumerate() {
        let at = format!("{at}.mountPoints[{i}]");
        let source = mount.source_volume.as_deref().unwrap_or("");
        if !definition.volumes.iter().any(|volume| volume.name == source) {
            problems.invalid(format!("{at}.sourceVolume"), format!("Unknown volume '{source}'."));
        }
        if mount.container_path.as_deref().unwrap_or("").is_empty() {
            problems.invalid(format!("{at}.containerPath"), "containerPath is required.");
        }
    }
}

fn check_health(check: &HealthCheck, at: &str, problems: &mut Problems) {
    match check.command.first().map(String::as_str) {
        None => problems.invalid(format!("{at}.command"), "The command must not be empty."),
        Some("CMD" | "CMD-SHELL") if check.command.len() < 2 => {
            problems.invalid(format!("{at}.command"), "The command lacks what is to be run.");
        }
        _ => {}
    }
    for (name, value, low, high) in [
        ("interval", check.interval, 5, 300),
        ("timeout", check.timeout, 2, 120),
        ("retries", check.retries, 1, 10),
        ("startPeriod", check.start_period, 0, 300),
    ] {
        if value.is_some_and(|value| !(low..=high).contains(&value)) {
            problems.invalid(format!("{at}.{name}"), format!("{name} must be from {low} to {high}."));
        }
    }
}

fn check_linux(linux: &LinuxParameters, container: &ContainerDefinition, at: &str, problems: &mut Problems) {
    if linux.shared_memory_size.is_some_and(|mib| mib <= 0) {
        problems.invalid(format!("{at}.sharedMemorySize"), "sharedMemorySize must be positive.");
    }
    if linux.swappiness.is_some_and(|value| !(0..=100).contains(&value)) {
        problems.invalid(format!("{at}.swappiness"), "swappiness must be from 0 to 100.");
    }
    if linux.max_swap.is_some_and(|mib| mib < -1) {
        problems.invalid(format!("{at}.maxSwap"), "maxSwap must be 0 or more, or -1 for no limit.");
    }
    if linux.max_swap.is_some() && container.memory.is_none() {
        problems.invalid(format!("{at}.maxSwap"), "maxSwap needs the container's memory.");
    }
    for (i, tmpfs) in linux.tmpfs.iter().flatten().enumerate() {
        if tmpfs.size <= 0 {
            problems.invalid(format!("{at}.tmpfs[{i}].size"), "size must be positive.");
        }
        if !tmpfs.container_path.starts_with('/') {
            problems.invalid(format!("{at}.tmpfs[{i}].containerPath"), "containerPath must be absolute.");
        }
    }
}

fn check_rest(container: &ContainerDefinition, at: &str, problems: &mut Problems) {
    for (name, value) in [("startTimeout", container.start_timeout), ("stopTimeout", container.stop_timeout)] {
        if value.is_some_and(|seconds| seconds < 0) {
            problems.invalid(format!("{at}.{name}"), format!("{name} must not be negative."));
        }
    }
    for (i, ulimit) in container.ulimits.iter().flatten().enumerate() {
        if ulimit.hard_limit != -1 && ulimit.soft_limit > ulimit.hard_limit {
            problems.invalid(format!("{at}.ulimits[{i}].softLimit"), "softLimit must not exceed hardLimit.");
        }
    }
    if let Some(policy) = &container.restart_policy {
        if policy.restart_attempt_period.is_some_and(|seconds| !(60..=1800).contains(&seconds)) {
            problems.invalid(
                format!("{at}.restartPolicy.restartAttemptPeriod"),
                "restartAttemptPeriod must be from 60 to 1800.",
            );
        }
        if policy.ignored_exit_codes.as_ref().is_some_and(|codes| codes.len() > 50) {
            problems.invalid(format!("{at}.restartPolicy.ignoredExitCodes"), "At most 50 exit codes can be ignored.");
        }
    }
    for (i, requirement) in container.resource_requirements.iter().flatten().enumerate() {
        if requirement.kind == "GPU" && requirement.value.parse::<u32>().is_ok_and(|count| count > 0) {
            continue;
        }
        if requirement.kind == "GPU" {
            problems.invalid(format!("{at}.resourceRequirements[{i}].value"), "The number of GPUs must be positive.");
        }
    }
}
