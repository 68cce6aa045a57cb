//! What the daemon tells about containers and about processes executed in them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::lenient::{open_enum, reply};
use crate::secret::Secret;

open_enum! {
    /// `State.Status` of a container.
    pub enum ContainerStatus {
        Created = "created",
        Running = "running",
        Paused = "paused",
        Restarting = "restarting",
        Removing = "removing",
        Exited = "exited",
        Dead = "dead",
    }

    /// Docker's verdict of a health check.
    pub enum HealthStatus {
        /// The image or request has no health check.
        None = "none",
        Starting = "starting",
        Healthy = "healthy",
        Unhealthy = "unhealthy",
    }
}

reply! {
    /// `GET /containers/{id}/json`.
    pub struct ContainerInspect {
        "Id" => id: String,
        /// With a leading slash, as Docker has it; see [`ContainerInspect::plain_name`].
        "Name" => name: String,
        "Created" => created: Option<Timestamp>,
        /// Id of the image, `sha256:…`.
        "Image" => image: String,
        "Driver" => driver: String,
        "Platform" => platform: String,
        "LogPath" => log_path: String,
        "RestartCount" => restart_count: i64,
        "State" => state: ContainerState,
        "Config" => config: ContainerConfig,
        "HostConfig" => host_config: HostConfig,
        "NetworkSettings" => network_settings: NetworkSettings,
        "Mounts" => mounts: Vec<MountPoint>,
    }

    /// `State` of a container.
    pub struct ContainerState {
        "Status" => status: ContainerStatus,
        "Running" => running: bool,
        "Paused" => paused: bool,
        "Restarting" => restarting: bool,
        "OOMKilled" => oom_killed: bool,
        "Dead" => dead: bool,
        /// Process id on the host, 0 when not running.
        "Pid" => pid: i64,
        "ExitCode" => exit_code: i64,
        /// Why the last start failed, else empty.
        "Error" => error: String,
        /// `None` when never started.
        "StartedAt" => started_at: Option<Timestamp>,
        /// `None` when it never ended.
        "FinishedAt" => finished_at: Option<Timestamp>,
        /// Absent without a health check.
        "Health" => health: Option<Health>,
    }

    /// Result of a container's health check.
    pub struct Health {
        "Status" => status: HealthStatus,
        "FailingStreak" => failing_streak: i64,
        /// The last few probes, oldest first.
        "Log" => log: Vec<HealthLog>,
    }

    /// One run of a health check.
    pub struct HealthLog {
        "Start" => start: Option<Timestamp>,
        "End" => end: Option<Timestamp>,
        "ExitCode" => exit_code: i64,
        "Output" => output: String,
    }

    /// `Config` of a container: what was asked for, joined with what the image says.
    pub struct ContainerConfig {
        "Hostname" => hostname: String,
        "Domainname" => domainname: String,
        "User" => user: String,
        "Tty" => tty: bool,
        /// `NAME=value`. Holds resolved secrets, hence neither printed nor serialised.
        #[serde(skip_serializing)]
        "Env" => env: Secret<Vec<String>>,
        "Cmd" => cmd: Vec<String>,
        "Entrypoint" => entrypoint: Vec<String>,
        /// As named at creation.
        "Image" => image: String,
        "WorkingDir" => working_dir: String,
        "Labels" => labels: BTreeMap<String, String>,
        "ExposedPorts" => exposed_ports: BTreeMap<String, Value>,
        "Healthcheck" => healthcheck: Option<Healthcheck>,
        "StopSignal" => stop_signal: String,
        /// Seconds.
        "StopTimeout" => stop_timeout: Option<i64>,
    }

    /// Definition of a health check; durations are nanoseconds.
    pub struct Healthcheck {
        "Test" => test: Vec<String>,
        "Interval" => interval: i64,
        "Timeout" => timeout: i64,
        "StartPeriod" => start_period: i64,
        "StartInterval" => start_interval: i64,
        "Retries" => retries: i64,
    }

    /// `HostConfig` as inspect answers it: the members that are read.
    pub struct HostConfig {
        "NetworkMode" => network_mode: String,
        "PidMode" => pid_mode: String,
        "IpcMode" => ipc_mode: String,
        "Binds" => binds: Vec<String>,
        "LogConfig" => log_config: LogConfig,
        "CgroupParent" => cgroup_parent: String,
        "Privileged" => privileged: bool,
        "ReadonlyRootfs" => readonly_rootfs: bool,
        "CpuShares" => cpu_shares: i64,
        "CpuPeriod" => cpu_period: i64,
        "CpuQuota" => cpu_quota: i64,
        "NanoCpus" => nano_cpus: i64,
        /// Bytes, 0 for no limit.
        "Memory" => memory: i64,
        "MemoryReservation" => memory_reservation: i64,
        "PortBindings" => port_bindings: BTreeMap<String, Vec<PortBinding>>,
    }

    /// Log driver of a container.
    pub struct LogConfig {
        "Type" => driver: String,
        /// Driver options, which can hold resolved secrets.
        #[serde(skip_serializing)]
        "Config" => options: Secret<BTreeMap<String, String>>,
    }

    /// `NetworkSettings` of a container.
    pub struct NetworkSettings {
        /// `80/tcp` → where it is bound; empty where exposed only.
        "Ports" => ports: BTreeMap<String, Vec<PortBinding>>,
        /// Of the default bridge only, and gone from the newest API versions: prefer `networks`.
        "IPAddress" => ip_address: String,
        "GlobalIPv6Address" => global_ipv6_address: String,
        "Gateway" => gateway: String,
        "MacAddress" => mac_address: String,
        "SandboxKey" => sandbox_key: String,
        /// By network name.
        "Networks" => networks: BTreeMap<String, EndpointSettings>,
    }

    /// A container's place in one network.
    pub struct EndpointSettings {
        "NetworkID" => network_id: String,
        "EndpointID" => endpoint_id: String,
        "IPAddress" => ip_address: String,
        "IPPrefixLen" => ip_prefix_len: i64,
        "Gateway" => gateway: String,
        "GlobalIPv6Address" => global_ipv6_address: String,
        "GlobalIPv6PrefixLen" => global_ipv6_prefix_len: i64,
        "IPv6Gateway" => ipv6_gateway: String,
        "MacAddress" => mac_address: String,
        "Links" => links: Vec<String>,
        "Aliases" => aliases: Vec<String>,
    }

    /// Where a port is bound on the host.
    pub struct PortBinding {
        "HostIp" => host_ip: String,
        /// A number as text; empty for "any free port" in requests.
        "HostPort" => host_port: String,
    }

    /// One mount of a container.
    pub struct MountPoint {
        "Type" => kind: String,
        /// Volume name; empty for binds.
        "Name" => name: String,
        "Source" => source: String,
        "Destination" => destination: String,
        "Driver" => driver: String,
        "Mode" => mode: String,
        "RW" => writable: bool,
        "Propagation" => propagation: String,
    }

    /// One element of `GET /containers/json`.
    pub struct ContainerSummary {
        "Id" => id: String,
        /// With leading slashes; links add further names.
        "Names" => names: Vec<String>,
        "Image" => image: String,
        "ImageID" => image_id: String,
        "Command" => command: String,
        "Created" => created: Option<Timestamp>,
        /// Not sent below API 1.23; `status` has it in words.
        "State" => state: ContainerStatus,
        /// For people: `Up 3 minutes (healthy)`.
        "Status" => status: String,
        "Labels" => labels: BTreeMap<String, String>,
        "Ports" => ports: Vec<PortSummary>,
        "Mounts" => mounts: Vec<MountPoint>,
        "NetworkSettings" => network_settings: NetworkSettings,
    }

    /// A port in a container list.
    pub struct PortSummary {
        "IP" => ip: String,
        "PrivatePort" => private_port: i64,
        /// 0 when not published.
        "PublicPort" => public_port: i64,
        "Type" => protocol: String,
    }

    /// `POST /containers/create`.
    pub struct Created {
        "Id" => id: String,
        "Warnings" => warnings: Vec<String>,
    }

    /// `GET /containers/{id}/top`: a table.
    pub struct TopReply {
        "Titles" => titles: Vec<String>,
        "Processes" => processes: Vec<Vec<String>>,
    }

    /// `POST /containers/{id}/exec`.
    pub struct ExecCreated {
        "Id" => id: String,
    }

    /// `GET /exec/{id}/json`.
    pub struct ExecInspect {
        "ID" => id: String,
        "ContainerID" => container_id: String,
        "Running" => running: bool,
        /// `None` until it ended.
        "ExitCode" => exit_code: Option<i64>,
        "Pid" => pid: i64,
    }
}

impl ContainerInspect {
    /// The name without Docker's leading slash.
    pub fn plain_name(&self) -> &str {
        self.name.strip_prefix('/').unwrap_or(&self.name)
    }
}
