//! A container of the reference agent, as ours.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use wire::ids::ImageRef;
use wire::rows::{self, ContainerRow, ContainerType, StatusWord};

use super::MigrateError;
use crate::container::{
    ChosenPorts, ContainerPorts, Definition, Dependency, DependencyCondition, Kind, MetadataFile, MountPoint,
    NamedError, PortBinding, PortMapping, RestartPolicy, RestartTracker, State, VolumeFrom,
};
use crate::effect::Protocol;
use crate::status::{ContainerStatus, TaskStatus};

pub(super) fn migrate(task: &rows::Task, row: &ContainerRow) -> Result<(Definition, State), MigrateError> {
    let state = state(task, row)?;
    let definition = definition(&row.container, state.known >= ContainerStatus::Created);
    let chosen_ports = match TaskStatus::parse(task.known_status.as_str()) {
        Some(TaskStatus::Stopped) => Vec::new(),
        _ => chosen_ports(&definition.ports, &state.bindings, &row.container.container_port_range_map),
    };
    Ok((definition, State { chosen_ports, ..state }))
}

fn definition(c: &rows::Container, is_created: bool) -> Definition {
    let kind = match c.kind {
        ContainerType::Normal => Kind::Normal,
        // All of them hold something for the others, are not reported, and stop last.
        ContainerType::EmptyHostVolume
        | ContainerType::CniPause
        | ContainerType::NamespacePause
        | ContainerType::ManagedDaemon
        | ContainerType::Other(_) => Kind::NamespacePause,
    };
    let mut environment = c.environment.expose().clone();
    if is_created {
        // Docker has the values by now; they need not lie in the store.
        for secret in c.secrets.iter().filter(|secret| secret.target != "LOG_DRIVER") {
            environment.remove(&secret.name);
        }
    }
    let whole = |number: i64| u64::try_from(number).unwrap_or_default();
    let seconds = |number: i64| (number > 0).then(|| Duration::from_secs(whole(number)));
    Definition {
        name: c.name.as_str().into(),
        kind,
        arn: c.container_arn.clone(),
        image: ImageRef::from(c.image.as_str()),
        command: command_override(&c.overrides).or_else(|| c.command.clone()),
        entry_point: c.entry_point.clone(),
        environment,
        cpu: whole(c.cpu),
        memory_mib: whole(c.memory),
        is_essential: c.essential && c.kind != ContainerType::EmptyHostVolume,
        links: c.links.clone(),
        ports: ports(c),
        mounts: c
            .mount_points
            .iter()
            .map(|mount| MountPoint {
                source_volume: mount.source_volume.clone(),
                container_path: mount.container_path.clone(),
                is_read_only: mount.read_only,
            })
            .collect(),
        volumes_from: c
            .volumes_from
            .iter()
            .map(|from| VolumeFrom { source_container: from.source_container.clone(), is_read_only: from.read_only })
            .collect(),
        // With those that links and shared volumes imply: the reference stores them as if they had been asked for.
        depends_on: c
            .depends_on
            .iter()
            .map(|d| Dependency {
                container: d.container_name.clone(),
                condition: DependencyCondition::from(d.condition.as_str()),
            })
            .collect(),
        start_timeout: seconds(c.start_timeout),
        stop_timeout: seconds(c.stop_timeout),
        docker: c.docker_config.clone(),
        has_health_check: c.health_check_type == "docker",
        registry: c.registry_authentication.clone(),
        logs_with_execution_role: c.logs_auth_strategy == "ExecutionRole",
        restart_policy: c.restart_policy.as_ref().filter(|policy| policy.enabled).map(|policy| RestartPolicy {
            ignored_exit_codes: policy.ignored_exit_codes.clone(),
            attempt_period: Duration::from_secs(whole(policy.restart_attempt_period)),
        }),
        endpoint_id: c.v3_endpoint_id.clone(),
    }
}

fn state(task: &rows::Task, row: &ContainerRow) -> Result<State, MigrateError> {
    let c = &row.container;
    let status = |what: &str, word: &StatusWord| {
        container_status(word.as_str()).ok_or_else(|| MigrateError::Status {
            task: task.arn.clone(),
            whose: format!("container {}: its {what}", c.name),
            word: word.as_str().to_owned(),
        })
    };
    let mut known = status("known", &c.known_status)?;
    let mut desired = status("desired", &c.desired_status)?;
    if c.kind == ContainerType::EmptyHostVolume && known >= ContainerStatus::Created {
        // It was only ever created, and is as good as done.
        (known, desired) = (ContainerStatus::Stopped, ContainerStatus::Stopped);
    }
    let sent = status("sent", &c.sent_status)?;
    let docker_id = if row.docker_id.is_empty() { &c.runtime_id } else { &row.docker_id };
    let text = |text: &str| (!text.is_empty()).then(|| text.trim_start_matches('/').to_owned());
    let restarts = c.restart_tracker.as_ref().map_or_else(RestartTracker::default, |tracker| RestartTracker {
        count: tracker.restart_count,
        last_at: tracker.last_restart_at.0,
    });
    let used_before = c.restart_aggregation_data_for_stats.as_ref();
    Ok(State {
        desired,
        known,
        sent,
        told: sent,
        docker_name: text(&row.docker_name),
        docker_id: text(docker_id).map(Into::into),
        image_id: text(&c.image_id).map(Into::into),
        image_digest: text(&c.image_digest).map(Into::into),
        exit_code: c.known_exit_code,
        error: c.applying_error.as_ref().map(|e| NamedError::new(&e.name, e.error.clone())),
        bindings: bindings(c),
        started_at: c.started_at.0,
        // The reference does not keep the directory's name in the container; it is created with it already.
        metadata_file: c
            .metadata_file_updated
            .then(|| MetadataFile { token: String::new(), ready_at_restart: Some(restarts.count) }),
        restarts,
        used_before: used_before
            .filter(|used| used.last_restart_detected_at.0.is_some())
            .map(|used| Box::new(used.last_stat_before_last_restart.clone())),
        ..State::default()
    })
}

/// Reads a name, or one of the numbers that came before the names (spec 20 §1.1).
fn container_status(word: &str) -> Option<ContainerStatus> {
    Some(match word {
        "" | "NONE" | "UNKNOWN" | "0" => ContainerStatus::None,
        "MANIFEST_PULLED" => ContainerStatus::ManifestPulled,
        "PULLED" | "1" => ContainerStatus::Pulled,
        "CREATED" | "2" => ContainerStatus::Created,
        // Holders of networks rest one step above the others there, and not here.
        "RUNNING" | "3" | "RESOURCES_PROVISIONED" | "4" => ContainerStatus::Running,
        "STOPPED" | "DEAD" | "5" | "6" => ContainerStatus::Stopped,
        _ => return None,
    })
}

/// The command that replaces the definition's own, from an object or from a text that holds one.
fn command_override(overrides: &Value) -> Option<Vec<String>> {
    let decoded;
    let members = match overrides {
        Value::Object(members) => members,
        Value::String(text) => {
            decoded = serde_json::from_str::<Value>(text).ok()?;
            decoded.as_object()?
        }
        _ => return None,
    };
    let command = members.iter().find(|(name, _)| name.eq_ignore_ascii_case("command"))?.1;
    serde_json::from_value(command.clone()).ok()?
}

fn ports(c: &rows::Container) -> Vec<PortMapping> {
    let read = |mapping: &rows::PortMapping| {
        let container = match u16::try_from(mapping.container_port).ok()? {
            0 => {
                let (first, last) = range(&mapping.container_port_range)?;
                ContainerPorts::Range(first, last)
            }
            port => ContainerPorts::One(port),
        };
        let host_port = match container {
            ContainerPorts::One(_) => u16::try_from(mapping.host_port).ok()?,
            ContainerPorts::Range(..) => 0,
        };
        Some(PortMapping { container, host_port, protocol: protocol(&mapping.protocol) })
    };
    c.port_mappings.iter().filter_map(read).collect()
}

fn bindings(c: &rows::Container) -> Vec<PortBinding> {
    let read = |binding: &rows::PortMapping| {
        let port = |number: i64| u16::try_from(number).ok().filter(|port| *port > 0);
        Some(PortBinding {
            container_port: port(binding.container_port)?,
            protocol: protocol(&binding.protocol),
            bind_ip: binding.bind_ip.clone(),
            host_port: port(binding.host_port)?,
        })
    };
    let mut all: Vec<_> = c.known_port_bindings.iter().filter_map(read).collect();
    all.sort();
    all
}

/// Host ports that the task did not fix are held as if they had been chosen here, so that nobody else gets them.
fn chosen_ports(
    ports: &[PortMapping],
    bindings: &[PortBinding],
    ranges: &BTreeMap<String, String>,
) -> Vec<ChosenPorts> {
    let choose = |(mapping, port): (usize, &PortMapping)| {
        let count = port.to_choose();
        let bound = |at: u16| {
            bindings.iter().find(|b| b.container_port == at && b.protocol == port.protocol).map(|b| b.host_port)
        };
        let first = match port.container {
            _ if count == 0 => None,
            ContainerPorts::One(at) => bound(at),
            ContainerPorts::Range(at, last) => {
                let mapped = ranges.get(&format!("{at}-{last}")).and_then(|hosts| range(hosts));
                mapped.map(|(first, _)| first).or_else(|| bound(at))
            }
        }?;
        Some(ChosenPorts { mapping, first, count })
    };
    ports.iter().enumerate().filter_map(choose).collect()
}

/// `a-b` with a ≤ b, or one port.
fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
    (0 < first && first <= last).then_some((first, last))
}

fn protocol(word: &str) -> Protocol {
    if word.eq_ignore_ascii_case("udp") { Protocol::Udp } else { Protocol::Tcp }
}
