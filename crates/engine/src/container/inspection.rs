//! What an inspection says of a container, in the engine's words (spec 20 §3.8–3.9).

use wire::docker::{self, ContainerInspect};

use super::{Attachment, Container, Mount, NamedError, Network, PortBinding};
use crate::effect::Protocol;
use crate::status::{ContainerStatus, HealthStatus};
use crate::text;

/// The status that an inspection shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InspectedStatus {
    Created,
    Running,
    Stopped,
}

impl From<InspectedStatus> for ContainerStatus {
    fn from(status: InspectedStatus) -> Self {
        match status {
            InspectedStatus::Created => Self::Created,
            InspectedStatus::Running => Self::Running,
            InspectedStatus::Stopped => Self::Stopped,
        }
    }
}

/// An inspection, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    pub status: InspectedStatus,
    /// `OutOfMemoryError` or `DockerStateError`, where the Engine says so.
    pub error: Option<NamedError>,
    pub exit_code: Option<i64>,
}

impl Facts {
    pub fn read(inspect: &ContainerInspect) -> Self {
        let state = &inspect.state;
        let status = if state.running {
            InspectedStatus::Running
        } else if !state.dead && state.started_at.is_none() && state.error.is_empty() {
            InspectedStatus::Created
        } else {
            InspectedStatus::Stopped
        };
        let error = if state.oom_killed {
            Some(NamedError::new("OutOfMemoryError", text::OUT_OF_MEMORY))
        } else if !state.error.is_empty() {
            Some(NamedError::new("DockerStateError", state.error.clone()))
        } else {
            None
        };
        let exit_code = (!state.running && state.finished_at.is_some()).then_some(state.exit_code);
        Self { status, error, exit_code }
    }
}

impl Container {
    /// Takes over what an inspection says beside the status.
    pub(crate) fn apply_metadata(&mut self, inspect: &ContainerInspect, now: crate::time::Now) -> Facts {
        let facts = Facts::read(inspect);
        let mut state = self.state.clone();
        if !inspect.id.is_empty() {
            state.docker_id = Some(inspect.id.as_str().into());
        }
        state.created_at = inspect.created.or(state.created_at);
        state.finished_at = inspect.state.finished_at.or(state.finished_at);
        state.started_at = state.started_at.or(inspect.state.started_at);
        state.exit_code = facts.exit_code.or(state.exit_code);
        if state.bindings.is_empty() {
            state.bindings = bindings(inspect);
        }
        if state.image_id.is_none() && !inspect.image.is_empty() {
            state.image_id = Some(inspect.image.as_str().into());
        }
        if inspect.state.running {
            state.network = network(inspect);
        }
        state.mounts = mounts(inspect);
        if state != self.state {
            *self.change() = state;
        }
        if self.definition.has_health_check {
            self.apply_health(inspect, now);
        }
        facts
    }

    fn apply_health(&mut self, inspect: &ContainerInspect, now: crate::time::Now) {
        let health = inspect.state.health.as_ref();
        let status = match health.map(|h| &h.status) {
            Some(docker::HealthStatus::Healthy) => HealthStatus::Healthy,
            Some(docker::HealthStatus::Unhealthy) => HealthStatus::Unhealthy,
            _ => HealthStatus::Unknown,
        };
        if status == self.health.status && self.health.since.is_some() {
            return;
        }
        let last = health.and_then(|h| h.log.last()).filter(|_| status != HealthStatus::Unknown);
        self.health = super::Health {
            status,
            since: Some(now.wall),
            output: last.map(|l| text::cut(&l.output, 1024).to_owned()).unwrap_or_default(),
            // It stays after recovery (spec 30 trap 13).
            exit_code: match last {
                Some(last) if status == HealthStatus::Unhealthy => Some(last.exit_code),
                _ => self.health.exit_code,
            },
        };
    }
}

fn bindings(inspect: &ContainerInspect) -> Vec<PortBinding> {
    let mut all = Vec::new();
    for (port, bound) in &inspect.network_settings.ports {
        let (port, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
        let protocol = if protocol == "udp" { Protocol::Udp } else { Protocol::Tcp };
        let Ok(container_port) = port.parse() else { continue };
        for binding in bound {
            if let Ok(host_port) = binding.host_port.parse() {
                all.push(PortBinding { container_port, protocol, bind_ip: binding.host_ip.clone(), host_port });
            }
        }
    }
    all.sort();
    all
}

fn network(inspect: &ContainerInspect) -> Network {
    let settings = &inspect.network_settings;
    let mode = inspect.host_config.network_mode.clone();
    let first = settings.networks.values().next();
    let pick = |own: &str, first: Option<&String>| {
        if own.is_empty() { first.cloned().unwrap_or_default() } else { own.to_owned() }
    };
    Network {
        ipv4: pick(&settings.ip_address, first.map(|n| &n.ip_address)),
        ipv6: pick(&settings.global_ipv6_address, first.map(|n| &n.global_ipv6_address)),
        mac: pick(&settings.mac_address, first.map(|n| &n.mac_address)),
        gateway: pick(&settings.gateway, first.map(|n| &n.gateway)),
        attached: settings
            .networks
            .iter()
            .map(|(name, n)| {
                (name.clone(), Attachment { ipv4: n.ip_address.clone(), ipv6: n.global_ipv6_address.clone() })
            })
            .collect(),
        mode,
    }
}

fn mounts(inspect: &ContainerInspect) -> Vec<Mount> {
    let mount = |m: &docker::MountPoint| Mount {
        name: m.name.clone(),
        source: m.source.clone(),
        destination: m.destination.clone(),
    };
    let mut all: Vec<_> = inspect.mounts.iter().map(mount).collect();
    // The Engine lists them in any order.
    all.sort();
    all
}
