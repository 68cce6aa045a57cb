//! The daemon itself: version, host facts, plugins.

use super::lenient::{open_enum, reply};

reply! {
    /// `GET /version`.
    pub struct Version {
        /// Engine version, such as `20.10.24+dfsg1`.
        "Version" => version: String,
        "ApiVersion" => api_version: String,
        /// Absent before Engine 1.13.
        "MinAPIVersion" => min_api_version: String,
        "Os" => os: String,
        "Arch" => arch: String,
        "KernelVersion" => kernel_version: String,
        "GitCommit" => git_commit: String,
    }

    /// `GET /info`, the members in use.
    pub struct Info {
        "ID" => id: String,
        "Name" => name: String,
        "ServerVersion" => server_version: String,
        "OperatingSystem" => operating_system: String,
        "OSType" => os_type: String,
        "Architecture" => architecture: String,
        "KernelVersion" => kernel_version: String,
        "NCPU" => cpus: i64,
        /// Bytes.
        "MemTotal" => mem_total: i64,
        "Driver" => storage_driver: String,
        "LoggingDriver" => logging_driver: String,
        /// `systemd` or `cgroupfs`; empty before Engine 1.13.
        "CgroupDriver" => cgroup_driver: String,
        /// `1` or `2`; empty before Engine 20.10.
        "CgroupVersion" => cgroup_version: String,
        "DefaultRuntime" => default_runtime: String,
        "Runtimes" => runtimes: std::collections::BTreeMap<String, serde_json::Value>,
        /// `name=selinux`, `name=seccomp,profile=default`, or the bare name from old daemons.
        "SecurityOptions" => security_options: Vec<String>,
        "DockerRootDir" => root_dir: String,
        "LiveRestoreEnabled" => live_restore_enabled: bool,
        "Containers" => containers: i64,
        "ContainersRunning" => containers_running: i64,
        "Images" => images: i64,
    }

    /// One element of `GET /plugins`.
    pub struct Plugin {
        "Id" => id: String,
        "Name" => name: String,
        "Enabled" => enabled: bool,
        "Config" => config: PluginConfig,
    }

    pub struct PluginConfig {
        "Interface" => interface: PluginInterface,
    }

    pub struct PluginInterface {
        "Types" => types: Vec<PluginInterfaceType>,
    }
}

open_enum! {
    /// What a plugin offers, such as `docker.volumedriver/1.0`.
    pub enum PluginInterfaceType {
        VolumeDriver = "docker.volumedriver/1.0",
        LogDriver = "docker.logdriver/1.0",
        NetworkDriver = "docker.networkdriver/1.0",
    }
}
