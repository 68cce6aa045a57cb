//! What the engine must be told once: settings of the operator, facts about host and Engine.

use std::collections::BTreeMap;
use std::time::Duration;

/// When an image is pulled (`ECS_IMAGE_PULL_BEHAVIOR`, spec 20 §5.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PullBehavior {
    #[default]
    Default,
    Always,
    Once,
    PreferCached,
}

impl PullBehavior {
    /// Whether a failed pull stops the task instead of trying what is there.
    pub const fn failure_stops_task(self) -> bool {
        matches!(self, Self::Always | Self::Once)
    }
}

/// Settings and facts, fixed for the life of the process.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    pub agent: AgentVersion,
    /// As configured; empty when not, which means `default`.
    pub cluster: String,
    pub region: String,
    pub is_external: bool,
    pub docker: DockerFacts,
    pub host: HostFacts,
    pub registration: Registration,
    pub pulls: Pulls,
    pub image_cleanup: ImageCleanup,
    pub timeouts: Timeouts,
    /// Creates and starts that may run at once; more only makes the Engine slower.
    pub parallel_launches: usize,
    /// Stops that may run at once while containers end; those that take their time hold back nobody.
    pub parallel_stops: usize,
    /// Submissions that may run at once (spec 10 §4.1: 10).
    pub parallel_submissions: usize,
    /// Where host ports are chosen from, both ends included.
    pub dynamic_host_ports: (u16, u16),
    /// Whether bindings on `::` are left out of reports (spec 10 §4.4).
    pub is_ipv6_binding_excluded: bool,
    /// Whether a container's pull ignores ordering conditions.
    pub pulls_dependents_upfront: bool,
    /// Whether a shared volume that exists must have equal labels and options.
    pub matches_shared_volumes_fully: bool,
    /// Limits for tasks as a whole; `None` where they are switched off or cannot be had (spec 20 §11.1).
    pub task_limits: Option<TaskLimits>,
    /// Whether a container without a memory limit gets its task's (cgroup v2 only, spec 20 §4.3).
    pub propagates_task_memory: bool,
    /// Files that describe containers to themselves; `None` where the operator does not want them.
    pub metadata_files: Option<MetadataFiles>,
    /// Whether state outlives the process; without it no restart adopts anything.
    pub is_checkpointed: bool,
}

/// What this agent is.
#[derive(Debug, Clone)]
pub struct AgentVersion {
    /// The reference version whose protocol is spoken, as the control plane wants it.
    pub version: String,
    pub hash: String,
}

/// What is known of the container engine.
#[derive(Debug, Clone, Default)]
pub struct DockerFacts {
    /// Version of the daemon, such as `20.10.24`; empty when unknown.
    pub version: String,
    /// API versions for the capability attributes (spec 20 §7.3).
    pub extended_api_versions: Vec<String>,
    /// Names of volume plugins, for the capability attributes.
    pub volume_plugins: Vec<String>,
}

/// What is known of the host.
#[derive(Debug, Clone, Default)]
pub struct HostFacts {
    pub logical_cpus: u32,
    /// Total memory in MiB, before reservations.
    pub memory_mib: u64,
    /// `x86_64`, `arm64`, …
    pub cpu_architecture: String,
    /// `ECS_DETAILED_OS_FAMILY`, else `LINUX`.
    pub detailed_os_family: String,
    /// Whether the pause image is there, or can be loaded when a task needs it.
    pub is_pause_image_loaded: bool,
    pub gpu_ids: Vec<String>,
    pub gpu_driver_version: String,
    /// Which EC2 instance this is; `None` off EC2, and where metadata does not tell: then it is the one it was.
    pub ec2_instance_id: Option<String>,
}

/// What registration says beside resources (spec 10 §1.7).
#[derive(Debug, Clone, Default)]
pub struct Registration {
    /// MiB that are not for tasks.
    pub reserved_memory_mib: u64,
    pub reserved_ports: Vec<u16>,
    pub reserved_ports_udp: Vec<u16>,
    /// Whether the metrics port 51680 is reserved too.
    pub is_metrics_port_reserved: bool,
    pub custom_attributes: BTreeMap<String, String>,
    pub tags: BTreeMap<String, String>,
    pub identity_document: String,
    pub identity_signature: String,
    pub vpc_id: Option<String>,
    pub subnet_id: Option<String>,
    pub outpost_arn: Option<String>,
    pub features: Features,
}

/// What decides capability attributes (spec 10 §1.7.3).
#[derive(Debug, Clone, Default)]
pub struct Features {
    pub available_log_drivers: Vec<String>,
    pub is_privileged_disabled: bool,
    pub is_selinux_capable: bool,
    pub is_apparmor_capable: bool,
    pub has_task_iam_role: bool,
    pub has_task_iam_role_network_host: bool,
    pub is_docker_health_check_disabled: bool,
    pub has_awslogs_execution_role: bool,
    pub volume_plugin_capabilities: Vec<String>,
    pub has_gpu_support: bool,
}

/// Where containers' metadata files are (spec 30 §6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataFiles {
    /// Their directory as the host sees it: sources of binds begin with it.
    pub host_directory: String,
    /// Whether SELinux guards containers, so that what they mount has to be relabelled for them.
    pub is_relabelled: bool,
}

/// How tasks are limited as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskLimits {
    pub naming: CgroupNaming,
    /// `ECS_CGROUP_CPU_PERIOD`: 8 to 100 ms.
    pub cpu_period: Duration,
    /// `ECS_TASK_PIDS_LIMIT`.
    pub pids: Option<u32>,
}

/// What the Engine's cgroup driver takes for a parent (spec 20 trap 56).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupNaming {
    /// A path: the cgroupfs driver.
    Path,
    /// The name of a slice: the systemd driver.
    Slice,
}

/// How images are pulled.
#[derive(Debug, Clone)]
pub struct Pulls {
    pub behavior: PullBehavior,
    pub manifest_timeout: Duration,
    pub timeout: Duration,
    pub inactivity_timeout: Duration,
    /// Pulls that may run at once; those that wait do not use up any time-out.
    pub parallel: usize,
}

/// When images go (spec 20 §6.2). With [`PullBehavior::PreferCached`] they never go by themselves.
#[derive(Debug, Clone)]
pub struct ImageCleanup {
    pub is_disabled: bool,
    pub interval: Duration,
    /// Since the agent first saw the image.
    pub minimum_age: Duration,
    /// Images that may go in one cycle.
    pub images_per_cycle: u64,
    /// Names of images that never go, tracked or not.
    pub exclusions: Vec<String>,
    /// Containers and images that are not of this agent go too.
    pub untracked: Option<UntrackedCleanup>,
    /// Beyond the reference: room on the disk that starts a cycle early.
    pub disk: Option<DiskThresholds>,
}

/// What goes of others (spec 20 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UntrackedCleanup {
    /// Since the image was built.
    pub image_minimum_age: Duration,
    pub containers_per_cycle: u64,
    /// Since the container ended.
    pub container_minimum_age: Duration,
}

/// Use of the disk that images lie on, in percent. Above `high` images go until it is at most `low`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskThresholds {
    pub high: u8,
    pub low: u8,
}

/// How long things may take.
#[derive(Debug, Clone)]
pub struct Timeouts {
    pub create: Duration,
    pub start: Duration,
    /// For containers without a `stopTimeout` of their own.
    pub stop: Duration,
    pub cleanup_wait: Duration,
    pub cleanup_jitter: Duration,
}

impl Default for EngineConfig {
    /// The reference's defaults on a small machine; tests start from here.
    fn default() -> Self {
        Self {
            agent: AgentVersion { version: "1.105.1".into(), hash: "00000000".into() },
            cluster: "default".into(),
            region: "us-west-2".into(),
            is_external: false,
            docker: DockerFacts::default(),
            host: HostFacts {
                logical_cpus: 2,
                memory_mib: 4096,
                detailed_os_family: "LINUX".into(),
                ..HostFacts::default()
            },
            registration: Registration {
                reserved_ports: vec![22, 2375, 2376, 51678, 51679],
                ..Registration::default()
            },
            pulls: Pulls {
                behavior: PullBehavior::Default,
                manifest_timeout: Duration::from_secs(60),
                timeout: Duration::from_secs(7200),
                inactivity_timeout: Duration::from_secs(60),
                parallel: 4,
            },
            image_cleanup: ImageCleanup {
                is_disabled: false,
                interval: Duration::from_secs(30 * 60),
                minimum_age: Duration::from_secs(3600),
                images_per_cycle: 5,
                exclusions: Vec::new(),
                untracked: None,
                disk: None,
            },
            timeouts: Timeouts {
                create: Duration::from_secs(240),
                start: Duration::from_secs(180),
                stop: Duration::from_secs(30),
                cleanup_wait: Duration::from_secs(3 * 3600),
                cleanup_jitter: Duration::ZERO,
            },
            parallel_launches: 8,
            parallel_stops: 16,
            parallel_submissions: 10,
            dynamic_host_ports: (49153, 65535),
            is_ipv6_binding_excluded: true,
            pulls_dependents_upfront: false,
            matches_shared_volumes_fully: false,
            task_limits: None,
            propagates_task_memory: false,
            metadata_files: None,
            is_checkpointed: true,
        }
    }
}
