//! What the instance has to give: ports, memory, cgroups (spec 40 §3.4).

use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;

use super::sources::Sources;
use super::values::{or_at_once, parse_int, parse_uint16};
use super::{Identity, Telemetry};

/// Ports from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PortRange {
    pub first: u16,
    pub last: u16,
}

/// Resources and their limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Capacity {
    /// TCP ports that no task may have.
    pub reserved_ports: Vec<u16>,
    pub reserved_ports_udp: Vec<u16>,
    /// Taken off the registered memory, in MiB.
    pub reserved_memory: u64,
    /// For port ranges and dynamic Service Connect ports.
    pub dynamic_ports: PortRange,
    /// IPv6 bindings are left out of what is reported.
    pub exclude_ipv6_bindings: bool,
    /// Cgroup limits for whole tasks. `None` acts as on, but gives way where they cannot be had; `Some(true)` is
    /// terminal there.
    pub task_limits: Option<bool>,
    pub cgroup_path: PathBuf,
    pub cpu_period: Duration,
    pub task_pids_limit: Option<u32>,
    /// On cgroup v2, containers without a memory limit get their task's.
    pub propagate_memory_limit: bool,
}

const RESERVED: [u16; 5] = [22, 2375, 2376, 51678, 51679];
const PROMETHEUS: u16 = 51680;
const FALLBACK_RANGE: PortRange = PortRange { first: 49153, last: 65535 };
const MOST_PIDS: i64 = 4_194_304;

impl Capacity {
    pub(super) fn read(from: &mut Sources<'_>, identity: &Identity, telemetry: &Telemetry) -> Self {
        // The environment's parser always yields these two in the reference, so only their types count.
        let _ = from.file_text("DynamicHostPortRange");
        let _ = from.file_duration("CgroupCPUPeriod");
        let mut reserved_ports = from.ports("ECS_RESERVED_PORTS", "ReservedPorts").unwrap_or_else(|| RESERVED.to_vec());
        if telemetry.prometheus {
            reserved_ports.push(PROMETHEUS);
        }
        Self {
            reserved_ports,
            reserved_ports_udp: from.ports("ECS_RESERVED_PORTS_UDP", "ReservedPortsUDP").unwrap_or_default(),
            reserved_memory: reserved_memory(from),
            dynamic_ports: dynamic_ports(from),
            exclude_ipv6_bindings: from
                .boolean("ECS_EXCLUDE_IPV6_PORTBINDING", "ShouldExcludeIPv6PortBinding")
                .unwrap_or(!identity.ip.is_ipv6_only()),
            task_limits: from.boolean("ECS_ENABLE_TASK_CPU_MEM_LIMIT", "TaskCPUMemLimit"),
            cgroup_path: from
                .text("ECS_CGROUP_PATH", "CgroupPath")
                .unwrap_or_else(|| "/sys/fs/cgroup".to_owned())
                .into(),
            cpu_period: cpu_period(from),
            task_pids_limit: pids_limit(from),
            propagate_memory_limit: from
                .boolean("ECS_PROPAGATE_TASK_MEMORY_LIMIT_CGROUPV2", "PropagateTaskMemoryLimitCgroupV2")
                .unwrap_or(false),
        }
    }
}

fn reserved_memory(from: &mut Sources<'_>) -> u64 {
    const VARIABLE: &str = "ECS_RESERVED_MEMORY";
    let in_file = from.file("ReservedMemory", "an integer from 0 to 65535", |value| {
        let number = u16::try_from(value.as_u64()?).ok()?;
        Some((number != 0).then_some(number))
    });
    let in_environment = from.env(VARIABLE).and_then(|text| {
        let value = parse_uint16(&text);
        if value.is_none() {
            from.warn(format!("Invalid format for {VARIABLE}: expected MiB from 0 to 65535, got {text:?}"));
        }
        value.filter(|value| *value != 0)
    });
    in_environment.or(in_file).unwrap_or(0).into()
}

fn dynamic_ports(from: &mut Sources<'_>) -> PortRange {
    const VARIABLE: &str = "ECS_DYNAMIC_HOST_PORT_RANGE";
    if let Some(text) = from.env(VARIABLE) {
        if let Some(range) = PortRange::parse(&text) {
            return range;
        }
        from.warn(format!("Invalid format for {VARIABLE}: expected a port or two with a dash, got {text:?}"));
    }
    let kernel = from.read_file("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let ports: Vec<_> = kernel.split_whitespace().map(parse_uint16).collect();
    match ports[..] {
        [Some(first), Some(last)] if first <= last => PortRange { first, last },
        _ => FALLBACK_RANGE,
    }
}

impl PortRange {
    /// Reads `n` or `a-b`.
    fn parse(text: &str) -> Option<Self> {
        let port = |text: &str| parse_uint16(text).filter(|_| !text.is_empty());
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (port(first)?, port(last)?),
            None => (port(text)?, port(text)?),
        };
        (first <= last).then_some(Self { first, last })
    }
}

fn cpu_period(from: &mut Sources<'_>) -> Duration {
    const VARIABLE: &str = "ECS_CGROUP_CPU_PERIOD";
    let most = SignedDuration::from_millis(100);
    let Some(period) = from.env_duration(VARIABLE) else { return or_at_once(most) };
    if period >= SignedDuration::from_millis(8) && period <= most {
        return or_at_once(period);
    }
    from.warn(format!("{VARIABLE} is not from 8ms to 100ms; using 100ms"));
    or_at_once(most)
}

fn pids_limit(from: &mut Sources<'_>) -> Option<u32> {
    const VARIABLE: &str = "ECS_TASK_PIDS_LIMIT";
    let usable = |number: i64| u32::try_from(number).ok().filter(|_| (1..=MOST_PIDS).contains(&number));
    let in_file = from.file_int("TaskPidsLimit");
    let in_environment = from.env(VARIABLE).and_then(|text| {
        let limit = parse_int(text.trim()).and_then(usable);
        if limit.is_none() {
            from.warn(format!(
                "Invalid value for {VARIABLE}: expected 1 to {MOST_PIDS}, got {text:?}; no limit is set"
            ));
        }
        limit
    });
    in_environment.or_else(|| in_file.and_then(usable))
}
