//! The way in from containers: packet rules that lead 169.254.170.2:80 to the agent's task server, those that guard
//! the agent's ports, and the block of instance metadata for bridge tasks (spec 40 §15, spec 60 §5).
//!
//! Rules are data ([`rules`]); `iptables` and `nftables` turn them into what their binaries are told, without running
//! anything; [`Netfilter`] runs it. Rules of others stay: each is looked for in the form that it has when it is ours,
//! and in the forms that it has when somebody else put it there, and only the former is ever removed.

mod iptables;
pub mod localnet;
mod nftables;
mod run;
mod tool;

#[cfg(test)]
mod tests;

pub use run::NetfilterError;
pub use tool::{Choice, Installed, Netfilter, Presence};

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where containers ask for credentials and metadata.
pub const TASK_ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 2);
/// Instance metadata.
const IMDS: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
const IMDS_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// Address family of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    V4,
    V6,
}

/// Who puts rules there, and by which mark they are known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// A running agent: every rule has a comment, so that it never takes away a rule that another put there.
    Agent,
    /// `longshore init`: the very rules of the reference's supervisor, without a mark, so that either can remove what
    /// the other installed.
    Init,
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Containers with a network of their own reach the task server.
    FromContainers { port: u16 },
    /// Loopback addresses are not reached from elsewhere, which `route_localnet` would allow.
    LoopbackFilter,
    /// Introspection is not reached from elsewhere.
    Introspection { port: u16, loopback: String },
    /// ... but by containers on the default bridge.
    IntrospectionFromBridge { port: u16, bridge: String },
    /// The host itself, and containers in its network, reach the task server.
    FromHost { port: u16 },
    /// Containers on the default bridge do not reach instance metadata.
    BlockImds { bridge: String },
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub kind: Kind,
    pub family: Family,
}

impl Rule {
    /// What it is for, in a few words.
    #[must_use]
    pub fn purpose(&self) -> String {
        let family = match self.family {
            Family::V4 => "",
            Family::V6 => " (IPv6)",
        };
        match &self.kind {
            Kind::FromContainers { port } => format!("containers: {TASK_ADDRESS}:80 to port {port}"),
            Kind::FromHost { port } => format!("host network: {TASK_ADDRESS}:80 to port {port}"),
            Kind::LoopbackFilter => "no loopback addresses from elsewhere".to_owned(),
            Kind::Introspection { port, .. } => format!("no port {port} from elsewhere{family}"),
            Kind::IntrospectionFromBridge { port, bridge } => format!("port {port} from {bridge}{family}"),
            Kind::BlockImds { bridge } => format!("no {} from {bridge}{family}", imds(self.family)),
        }
    }

    /// Whether tasks need it to reach the task server.
    #[must_use]
    pub fn is_way_in(&self) -> bool {
        matches!(self.kind, Kind::FromContainers { .. } | Kind::FromHost { .. })
    }

    /// Whether it keeps tasks from instance metadata.
    #[must_use]
    pub fn is_block(&self) -> bool {
        matches!(self.kind, Kind::BlockImds { .. })
    }
}

/// Which rules are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The task server's port; `None`: no way in.
    pub task_port: Option<u16>,
    /// With the way in: guard loopback addresses, unless `ECS_SKIP_LOCALHOST_TRAFFIC_FILTER`.
    pub filters_loopback: bool,
    /// With the way in: guard this port, unless `ECS_ALLOW_OFFHOST_INTROSPECTION_ACCESS`.
    pub introspection_port: Option<u16>,
    /// Name of the loopback interface.
    pub loopback: String,
    /// Interface of Docker's default bridge, where there is one.
    pub bridge: Option<String>,
    /// Containers on the bridge do not reach instance metadata.
    pub blocks_imds: bool,
    /// Whether the host has IPv6.
    pub has_ipv6: bool,
}

/// The rules in the order in which the reference's supervisor installs them (spec 40 §15.3).
#[must_use]
pub fn rules(settings: &Settings) -> Vec<Rule> {
    let families: &[Family] = if settings.has_ipv6 { &[Family::V4, Family::V6] } else { &[Family::V4] };
    let mut rules = Vec::new();
    let mut add = |families: &[Family], kind: Kind| {
        rules.extend(families.iter().map(|family| Rule { kind: kind.clone(), family: *family }));
    };
    if let Some(port) = settings.task_port {
        add(&[Family::V4], Kind::FromContainers { port });
        if settings.filters_loopback {
            add(&[Family::V4], Kind::LoopbackFilter);
        }
        if let Some(port) = settings.introspection_port {
            add(families, Kind::Introspection { port, loopback: settings.loopback.clone() });
            if let Some(bridge) = &settings.bridge {
                add(families, Kind::IntrospectionFromBridge { port, bridge: bridge.clone() });
            }
        }
        add(&[Family::V4], Kind::FromHost { port });
    }
    if let Some(bridge) = settings.bridge.as_ref().filter(|_| settings.blocks_imds) {
        add(families, Kind::BlockImds { bridge: bridge.clone() });
    }
    rules
}

/// Whether the kernel has IPv6.
#[must_use]
pub fn has_ipv6() -> bool {
    std::path::Path::new("/proc/sys/net/ipv6").exists()
}

const fn imds(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(IMDS),
        Family::V6 => IpAddr::V6(IMDS_V6),
    }
}
