//! What the engine must know of Docker and of this machine, gathered once at the start.

use aws::{Imds, MetadataItem};
use engine::config::{
    AgentVersion, DiskThresholds, DockerFacts, EngineConfig, Features, HostFacts, ImageCleanup, MetadataFiles,
    PullBehavior, Pulls, Registration, Timeouts, UntrackedCleanup,
};

use host::cgroup::{CgroupVersion, cgroup_version};
use wire::docker::Info;

use super::endpoints::metadata_file::Addresses;
use super::{ExitReport, PROTOCOL_HASH, PROTOCOL_VERSION};
use crate::config::{self, Config};

/// What instance metadata says of this machine; empty off EC2.
#[derive(Debug, Default)]
pub(super) struct Machine {
    host: HostFacts,
    identity_document: String,
    identity_signature: String,
    pub(super) vpc_id: Option<String>,
    pub(super) zone_id: Option<String>,
    /// Only where containers are told of them.
    pub(super) addresses: Addresses,
    subnet_id: Option<String>,
    outpost_arn: Option<String>,
}

/// Asks the Engine what it is.
///
/// # Errors
/// Nobody answers, or no API version is common.
pub(super) async fn docker(engine: &docker::Engine) -> Result<DockerFacts, ExitReport> {
    let failed = |error: &docker::Error| ExitReport::new(1, no_engine(engine.endpoint(), error));
    let versions = engine.negotiate().await.map_err(|error| failed(&error))?;
    let filters = docker::Filters::new().with("enabled", "true").with("capability", "volumedriver");
    let (version, plugins) = tokio::join!(engine.version(), engine.plugins(&filters));
    let version = version.map_err(|error| failed(&error))?;
    // Plugins only add capabilities; an engine that cannot list them has none.
    let volume_plugins = plugins.unwrap_or_default().into_iter().map(|plugin| plugin.name).collect();
    Ok(DockerFacts {
        version: version.version,
        extended_api_versions: versions.extended.iter().map(ToString::to_string).collect(),
        volume_plugins,
    })
}

/// Says how to get a container engine.
pub(crate) fn no_engine(endpoint: &str, error: &docker::Error) -> String {
    format!(
        "no container engine answers at {endpoint}: {}. Start it (systemctl start docker, or dockerd), install it \
         (Debian: apt-get install docker.io), or set DOCKER_HOST to where it listens.",
        error.reference_text()
    )
}

/// Looks at the machine, and asks instance metadata about it.
///
/// # Errors
/// The memory cannot be read.
pub(super) async fn machine(config: &Config, imds: &Imds) -> Result<Machine, ExitReport> {
    let memory = host::facts::total_memory().map_err(|error| ExitReport::new(1, error.to_string()))?;
    let cpu_architecture = match host::facts::machine().as_str() {
        "aarch64" => "arm64".to_owned(),
        "i686" | "i586" => "i386".to_owned(),
        other => other.to_owned(),
    };
    let host = HostFacts {
        logical_cpus: host::facts::logical_cpus(),
        memory_mib: memory >> 20,
        cpu_architecture,
        detailed_os_family: config.identity.os_family.clone(),
        is_pause_image_loaded: super::pause_image::is_available(),
        ..HostFacts::default()
    };
    let mut machine = Machine { host, ..Machine::default() };
    if imds.is_blackholed() {
        return Ok(machine);
    }
    let patiently = async |item: MetadataItem, is_wanted: bool| match is_wanted {
        true => imds.get_patiently(&item).await.ok(),
        false => None,
    };
    let wants_identity = config.identity.use_identity_document;
    let (document, signature, instance_id) = tokio::join!(
        patiently(MetadataItem::IdentityDocument, wants_identity),
        patiently(MetadataItem::IdentitySignature, wants_identity),
        // Whether the stored state is of this machine (spec 10 §1.8).
        patiently(MetadataItem::InstanceId, config.state.checkpoint)
    );
    machine.identity_document = document.unwrap_or_default();
    machine.identity_signature = signature.unwrap_or_default();
    machine.host.ec2_instance_id = instance_id;
    if let Ok(mac) = imds.get(&MetadataItem::PrimaryMac).await {
        let (vpc, subnet) = (MetadataItem::VpcId { mac: mac.clone() }, MetadataItem::SubnetId { mac });
        let (vpc, subnet) = tokio::join!(imds.get(&vpc), imds.get(&subnet));
        machine.vpc_id = vpc.ok();
        machine.subnet_id = subnet.ok();
    }
    if config.state.container_metadata_file {
        machine.addresses = addresses(config, imds).await;
    }
    machine.zone_id = imds.get(&MetadataItem::AvailabilityZoneId).await.ok();
    machine.outpost_arn = imds.get(&MetadataItem::OutpostArn).await.ok().filter(|arn| !arn.is_empty());
    Ok(machine)
}

/// Where the instance is reached (spec 30 §6).
async fn addresses(config: &Config, imds: &Imds) -> Addresses {
    let ask = async |item: MetadataItem| imds.get(&item).await.unwrap_or_default();
    if config.identity.ip.is_ipv6_only() {
        return Addresses { ipv6: ask(MetadataItem::Ipv6).await, ..Addresses::default() };
    }
    let (private_ipv4, public_ipv4) = tokio::join!(ask(MetadataItem::LocalIpv4), ask(MetadataItem::PublicIpv4));
    Addresses { private_ipv4, public_ipv4, ..Addresses::default() }
}

/// What the daemon says of itself, where somebody wants to know; empty when it does not say.
pub(super) async fn daemon(config: &Config, docker: &docker::Engine) -> Info {
    if config.capacity.task_limits == Some(false) && !config.state.container_metadata_file {
        return Info::default();
    }
    docker.info().await.unwrap_or_default()
}

/// Where containers' metadata files are, if there are any.
pub(super) fn metadata_files(config: &Config, daemon: &Info) -> Option<MetadataFiles> {
    let state = &config.state;
    state.container_metadata_file.then(|| MetadataFiles {
        host_directory: format!("{}/{}", state.host_data_dir.display(), state.data_dir.join("metadata").display()),
        // Old daemons say the bare word, which is all that the reference looks for (spec 20 §4.13).
        is_relabelled: daemon.security_options.iter().any(|option| option == "selinux" || option == "name=selinux"),
    })
}

/// The engine's settings, out of the agent's; limits of tasks and metadata files are decided elsewhere.
pub(super) fn engine_config(config: &Config, docker: DockerFacts, machine: Machine) -> EngineConfig {
    let identity = &config.identity;
    EngineConfig {
        agent: AgentVersion { version: PROTOCOL_VERSION.to_owned(), hash: PROTOCOL_HASH.to_owned() },
        cluster: identity.cluster.clone().unwrap_or_default(),
        region: identity.region.clone(),
        is_external: identity.external,
        registration: registration(config, &machine),
        docker,
        host: machine.host,
        pulls: Pulls {
            behavior: match config.images.pull_behavior {
                config::PullBehavior::Default => PullBehavior::Default,
                config::PullBehavior::Always => PullBehavior::Always,
                config::PullBehavior::Once => PullBehavior::Once,
                config::PullBehavior::PreferCached => PullBehavior::PreferCached,
            },
            manifest_timeout: config.images.manifest_pull_timeout,
            timeout: config.images.pull_timeout,
            inactivity_timeout: config.images.pull_inactivity_timeout,
            parallel: config.parallel.pulls,
        },
        image_cleanup: image_cleanup(config),
        timeouts: Timeouts {
            create: config.timeouts.container_create,
            start: config.timeouts.container_start,
            stop: config.timeouts.container_stop,
            cleanup_wait: config.timeouts.task_cleanup_wait,
            cleanup_jitter: config.timeouts.task_cleanup_jitter,
        },
        parallel_launches: config.parallel.launches,
        parallel_stops: config.parallel.stops,
        parallel_submissions: 10,
        dynamic_host_ports: (config.capacity.dynamic_ports.first, config.capacity.dynamic_ports.last),
        is_ipv6_binding_excluded: config.capacity.exclude_ipv6_bindings,
        pulls_dependents_upfront: config.images.pull_dependents_upfront,
        matches_shared_volumes_fully: config.docker.shared_volume_match_full_config,
        task_limits: None,
        metadata_files: None,
        propagates_task_memory: config.capacity.propagate_memory_limit
            && cgroup_version(&config.capacity.cgroup_path) == CgroupVersion::V2,
        is_checkpointed: config.state.checkpoint,
    }
}

fn image_cleanup(config: &Config) -> ImageCleanup {
    let images = &config.images;
    let pause = &config.networking.pause_image;
    let own = [format!("{}:{}", pause.name, pause.tag), PAUSE_IMAGE.to_owned(), AGENT_IMAGE.to_owned()];
    ImageCleanup {
        is_disabled: images.cleanup_disabled,
        interval: images.cleanup_interval,
        minimum_age: images.minimum_age,
        images_per_cycle: images.images_per_cycle,
        exclusions: images.exclusions.iter().cloned().chain(own).collect(),
        untracked: images.untracked_cleanup.then_some(UntrackedCleanup {
            image_minimum_age: images.untracked_minimum_age,
            containers_per_cycle: images.untracked_containers_per_cycle,
            container_minimum_age: config.timeouts.task_cleanup_wait,
        }),
        disk: images.disk_thresholds.map(|(high, low)| DiskThresholds { high, low }),
    }
}

/// Images that the agent itself needs (spec 20 §6.2).
const PAUSE_IMAGE: &str = "amazon/amazon-ecs-pause:0.1.0";
const AGENT_IMAGE: &str = "amazon/amazon-ecs-agent:latest";

fn registration(config: &Config, machine: &Machine) -> Registration {
    let identity = &config.identity;
    Registration {
        reserved_memory_mib: config.capacity.reserved_memory,
        reserved_ports: config.capacity.reserved_ports.clone(),
        reserved_ports_udp: config.capacity.reserved_ports_udp.clone(),
        // The configuration has appended it to the ports already.
        is_metrics_port_reserved: false,
        custom_attributes: identity.attributes.clone(),
        tags: identity.tags.clone(),
        identity_document: machine.identity_document.clone(),
        identity_signature: machine.identity_signature.clone(),
        vpc_id: machine.vpc_id.clone(),
        subnet_id: machine.subnet_id.clone(),
        outpost_arn: machine.outpost_arn.clone(),
        features: Features {
            available_log_drivers: config.docker.logging_drivers.clone(),
            is_privileged_disabled: config.docker.privileged_disabled,
            is_selinux_capable: config.docker.selinux_capable,
            is_apparmor_capable: config.docker.apparmor_capable,
            has_task_iam_role: config.credentials.task_roles,
            has_task_iam_role_network_host: config.credentials.task_roles_host_network,
            is_docker_health_check_disabled: config.telemetry.health_disabled,
            has_awslogs_execution_role: config.docker.awslogs_execution_role,
            volume_plugin_capabilities: config.docker.volume_plugin_capabilities.clone(),
            has_gpu_support: config.devices.gpu,
        },
    }
}
