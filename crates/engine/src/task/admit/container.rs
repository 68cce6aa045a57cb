//! One container of a payload, read (spec 10 §3.4, spec 20 §1.7).

use std::time::Duration;

use serde_json::Value;
use wire::acs;
use wire::ids::ImageRef;

use super::Trouble;
use crate::container::{
    ContainerPorts, Definition, Dependency, DependencyCondition, Kind, MountPoint, PortMapping, RestartPolicy,
    VolumeFrom,
};
use crate::effect::Protocol;

pub(super) fn read(container: &Option<acs::Container>) -> Result<Definition, Trouble> {
    let Some(c) = container.clone() else {
        return Err(Trouble::Unreadable("a container is null".to_owned()));
    };
    let spoilt = |cause: String| Trouble::Unreadable(format!("container {}: {cause}", c.name));
    let command = match &c.overrides {
        Some(text) => command_override(text).map_err(|cause| spoilt(format!("overrides: {cause}")))?,
        None => None,
    };
    let whole =
        |what: &str, number: i64| u64::try_from(number).map_err(|_| spoilt(format!("{what} is negative: {number}")));
    let seconds = |what: &str, number: i64| {
        whole(what, number).map(|seconds| (seconds > 0).then(|| Duration::from_secs(seconds)))
    };
    Ok(Definition {
        kind: Kind::Normal,
        arn: c.container_arn.clone(),
        image: ImageRef::new(c.image.clone()),
        command: command.or_else(|| c.command.clone()),
        entry_point: c.entry_point.clone(),
        environment: c.environment.clone(),
        cpu: whole("cpu", c.cpu)?,
        memory_mib: whole("memory", c.memory)?,
        is_essential: c.essential,
        links: c.links.clone(),
        ports: ports(&c)?,
        mounts: c.mount_points.iter().map(mount).collect(),
        volumes_from: c.volumes_from.iter().map(volume_from).collect(),
        depends_on: c.depends_on.iter().map(dependency).collect(),
        start_timeout: seconds("startTimeout", c.start_timeout)?,
        stop_timeout: seconds("stopTimeout", c.stop_timeout)?,
        docker: c.docker_config.clone().unwrap_or_default(),
        has_health_check: c.health_check_type == "docker",
        registry: c.registry_authentication.clone(),
        logs_with_execution_role: c.logs_auth_strategy == "ExecutionRole",
        restart_policy: c.restart_policy.as_ref().and_then(restart_policy),
        endpoint_id: String::new(),
        name: c.name.into(),
    })
}

/// The command that replaces the definition's own. Strict: only `command` is known, in any case, and an
/// empty text is no JSON (spec 10 trap 17).
fn command_override(text: &str) -> Result<Option<Vec<String>>, String> {
    let members = match serde_json::from_str(text).map_err(|error| error.to_string())? {
        Value::Null => return Ok(None),
        Value::Object(members) => members,
        _ => return Err("not an object".to_owned()),
    };
    let mut command = None;
    for (name, value) in members {
        if !name.eq_ignore_ascii_case("command") {
            return Err(format!("unknown field {name:?}"));
        }
        command = serde_json::from_value(value).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(command)
}

fn ports(container: &acs::Container) -> Result<Vec<PortMapping>, Trouble> {
    let mut all = Vec::new();
    for mapping in &container.port_mappings {
        let spoilt = |cause: String| Trouble::Unreadable(format!("container {}: {cause}", container.name));
        let port =
            |what: &str, number: i64| u16::try_from(number).map_err(|_| spoilt(format!("{what} is no port: {number}")));
        let protocol = match mapping.protocol.as_deref() {
            None | Some("tcp") => Protocol::Tcp,
            Some("udp") => Protocol::Udp,
            Some(other) => return Err(spoilt(format!("protocol is neither tcp nor udp: {other:?}"))),
        };
        let (single, host_port) =
            (port("containerPort", mapping.container_port)?, port("hostPort", mapping.host_port)?);
        let ports = if single > 0 {
            ContainerPorts::One(single)
        } else if mapping.container_port_range.is_empty() {
            continue;
        } else {
            let (first, last) = port_range(&mapping.container_port_range).ok_or_else(|| {
                let range = &mapping.container_port_range;
                Trouble::Impossible(format!(
                    "container {}: containerPortRange is no range of ports: {range:?}",
                    container.name
                ))
            })?;
            ContainerPorts::Range(first, last)
        };
        // Ranges always get host ports of the agent's choice.
        let host_port = if matches!(ports, ContainerPorts::One(_)) { host_port } else { 0 };
        all.push(PortMapping { container: ports, host_port, protocol });
    }
    Ok(all)
}

/// `a-b` with a ≤ b, or one port.
fn port_range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
    (0 < first && first <= last).then_some((first, last))
}

fn mount(mount: &acs::MountPoint) -> MountPoint {
    MountPoint {
        source_volume: mount.source_volume.clone(),
        container_path: mount.container_path.clone(),
        is_read_only: mount.read_only,
    }
}

fn volume_from(from: &acs::VolumeFrom) -> VolumeFrom {
    VolumeFrom { source_container: from.source_container.clone(), is_read_only: from.read_only }
}

fn dependency(dependency: &acs::ContainerDependency) -> Dependency {
    Dependency {
        container: dependency.container_name.clone(),
        condition: DependencyCondition::from(dependency.condition.as_str()),
    }
}

fn restart_policy(policy: &acs::RestartPolicy) -> Option<RestartPolicy> {
    policy.enabled.then(|| RestartPolicy {
        ignored_exit_codes: policy.ignored_exit_codes.clone(),
        attempt_period: Duration::from_secs(u64::try_from(policy.restart_attempt_period).unwrap_or_default()),
    })
}
