//! The node agent: reads its settings, looks at the machine, and drives the engine.

pub(crate) mod command;
pub(crate) mod command_socket;
mod desk;
mod endpoints;
mod facts;
mod limits;
mod metrics;
mod moving_in;
mod pause_image;
mod perform;
pub(crate) mod ports;
pub(crate) mod published;
mod registry_auth;
mod run;
pub(crate) mod sampler;
mod sockets;
mod telemetry;
pub(crate) mod vault;
pub(crate) mod way_in;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws::json11::{ECS_TARGET_PREFIX, Service};
use aws::{
    Connector, ConnectorOptions, CredentialsChain, CredentialsSource, EndpointRules, Imds, Json11, MetadataItem,
    Proxies,
};
use axum::Router;
use engine::EngineConfig;
use host::store::{Store, StoreThread};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::Config;
use moving_in::HeldOff;
use published::Published;
use vault::Vault;

/// The reference version whose protocol is spoken; the control plane decides by it what it may send.
pub(crate) const PROTOCOL_VERSION: &str = "1.105.1";
/// The agent hash that is sent along: the reference's own place for a build's identity.
pub(crate) const PROTOCOL_HASH: &str = "a8b3e7d3";

/// How variables are looked up: the process environment, or in local mode what stands in for it.
pub(crate) type Lookup = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What an agent is started with.
pub(crate) struct AgentOptions {
    pub config: Config,
    pub lookup: Lookup,
    /// `false` with the flag `-k`.
    pub verify_tls: bool,
    pub is_imds_blackholed: bool,
    /// Ports that are taken are replaced by free ones, and signals are somebody else's business.
    pub is_local: bool,
    /// What commands are answered on a socket in the data directory; `None` where they ask the control plane beside us.
    pub answers: Option<Router>,
    pub published: Published,
    /// Asks the agent to end; tasks go on running.
    pub shutdown: CancellationToken,
}

/// How an agent ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExitReport {
    /// 0 clean, 1 start again, 5 starting again would not help (spec 10 §1.1).
    pub code: i32,
    pub why: String,
}

impl ExitReport {
    fn new(code: i32, why: impl Into<String>) -> Self {
        Self { code, why: why.into() }
    }
}

/// What the performers of effects share.
pub(crate) struct Outside {
    pub docker: docker::Engine,
    pub ecs: Json11,
    pub connector: Connector,
    pub credentials: CredentialsSource,
    pub config: Arc<Config>,
    pub published: Published,
    pub vault: Vault,
    pub cgroups: host::cgroup::Cgroups,
    pub pause_image: pause_image::PauseImage,
    pub addresses: endpoints::metadata_file::Addresses,
    pub sockets: sockets::Sockets,
    /// `None` unless somebody wants them.
    pub metrics: Option<Arc<metrics::Metrics>>,
}

/// Runs an agent until it is asked to end, or cannot go on.
pub(crate) async fn run(options: AgentOptions) -> ExitReport {
    match start(options).await {
        Ok(report) | Err(report) => report,
    }
}

async fn start(options: AgentOptions) -> Result<ExitReport, ExitReport> {
    let began = Instant::now();
    let AgentOptions { config, lookup, verify_tls, is_imds_blackholed, is_local, answers, published, shutdown } =
        options;
    let config = Arc::new(config);
    let docker = docker::Engine::connect(&config.docker.endpoint)
        .map_err(|error| ExitReport::new(1, format!("DOCKER_HOST is not usable: {error}")))?;
    let imds = if is_imds_blackholed || config.identity.external {
        Imds::blackholed()
    } else {
        Imds::from_vars(&|name| lookup(name))
    };
    // Until the agent ends, the reference agent does not start on this data directory.
    let (store, _held_off) = match open_store(&config, &imds).await? {
        Some((store, held_off)) => (Some(store), held_off),
        None => (None, None),
    };
    let cgroups = limits::cgroups(&config.capacity.cgroup_path, &lookup);
    let daemon = async { Ok(facts::daemon(&config, &docker).await) };
    let (docker_facts, machine, daemon) =
        tokio::try_join!(facts::docker(&docker), facts::machine(&config, &imds), daemon)?;
    let api_versions = &docker_facts.extended_api_versions;
    let task_limits = limits::task_limits(&config, &cgroups, &daemon.cgroup_driver, api_versions).await?;
    info!(
        engine = docker_facts.version.as_str(),
        endpoint = config.docker.endpoint.as_str(),
        "container engine answers"
    );

    let proxies = Proxies::from_vars(&|name| lookup(name))
        .with_default_exemptions(config.proxy.no_proxy.as_deref(), &config.docker.endpoint);
    let ca_bundle = lookup("AWS_CA_BUNDLE").map(Into::into);
    let connector = Connector::new(ConnectorOptions { proxies, verify_tls, ca_bundle, ..ConnectorOptions::default() });
    let http = aws::http::HttpClient::new(connector.clone());
    let chain = CredentialsChain::new(
        aws::credentials::ChainOptions {
            external: config.identity.external,
            region: Some(config.identity.region.clone()),
            http: http.clone(),
            imds: imds.clone(),
            rotating_file: aws::credentials::ROTATING_FILE.into(),
        },
        &|name| lookup(name),
    );
    let credentials = CredentialsSource::from(chain);
    let is_ipv6_only = config.identity.ip.is_ipv6_only();
    let rules =
        EndpointRules::from_vars(&config.identity.region, config.identity.endpoint.as_deref(), is_ipv6_only, &|name| {
            lookup(name)
        });
    let endpoint = rules.endpoint("ECS").map_err(|error| ExitReport::new(1, error.to_string()))?;
    let service = Service {
        endpoint,
        name: "ECS",
        signing_name: "ecs".to_owned(),
        target_prefix: ECS_TARGET_PREFIX.to_owned(),
        region: config.identity.region.clone(),
    };
    let ecs = Json11::new(http, service, &user_agent(&config), credentials.clone());

    let listeners = ports::bind(&config, is_local).await?;
    let (rows, thread) = match store {
        Some((rows, thread)) => (rows, Some(thread)),
        None => (Vec::new(), None),
    };
    let (vpc_id, zone_id) = (machine.vpc_id.clone(), machine.zone_id.clone());
    let addresses = machine.addresses.clone();
    let metadata_files = facts::metadata_files(&config, &daemon);
    let engine_config =
        EngineConfig { task_limits, metadata_files, ..facts::engine_config(&config, docker_facts, machine) };
    let outside = Outside {
        docker,
        ecs,
        connector,
        credentials,
        config: Arc::clone(&config),
        published: published.clone(),
        vault: Vault::default(),
        cgroups,
        pause_image: pause_image::PauseImage::default(),
        addresses,
        sockets: sockets::Sockets::default(),
        metrics: config.telemetry.prometheus.then(|| Arc::new(metrics::Metrics::new())),
    };
    let way_in = way_in::WayIn {
        config: Arc::clone(&config),
        docker: outside.docker.clone(),
        published: published.clone(),
        task_port: listeners.tasks.local_addr().map_or(ports::TASKS, |address| address.port()),
        is_local,
    };
    let mut serving = serve(&outside, listeners, (vpc_id, zone_id), began, &shutdown)?;
    if let Some(answers) = answers {
        let socket = config.state.data_dir.join(command_socket::NAME);
        serving.spawn(command_socket::serve(socket, answers, shutdown.clone()));
    }
    let way_in = tokio::spawn(way_in.run(shutdown.clone()));
    way_in::until_blocked(&config, &published).await;
    let engine = engine::Engine::new(engine_config, crate::plane::random_seed(), rows);
    let report = run::drive(engine, outside, thread, shutdown.clone(), began).await;
    shutdown.cancel();
    let _ = tokio::time::timeout(FAREWELL, serving.join_all()).await;
    if tokio::time::timeout(RULES_FAREWELL, way_in).await.is_err() {
        warn!("packet rules of this agent could not be removed in time");
    }
    Ok(report)
}

/// Starts what works beside the engine: the local endpoints, the sampling of containers, and telemetry.
fn serve(
    outside: &Outside,
    listeners: ports::Listeners,
    (vpc_id, zone_id): (Option<String>, Option<String>),
    began: Instant,
    shutdown: &CancellationToken,
) -> Result<JoinSet<()>, ExitReport> {
    let config = &outside.config;
    let samples = sampler::Samples::new(config.telemetry.metrics_disabled);
    outside.published.set_samples(samples.clone());
    let clock = move || engine::Now { mono: engine::Mono(began.elapsed()), wall: jiff::Timestamp::now() };
    let mut endpoints = endpoints::Endpoints::new(
        outside.published.clone(),
        outside.vault.clone(),
        Arc::clone(config),
        outside.docker.clone(),
        samples.clone(),
        Box::new(clock),
    );
    endpoints.version = format!("Amazon ECS Agent - v{PROTOCOL_VERSION} ({PROTOCOL_HASH})");
    endpoints.ecs = Some(endpoints::Ecs::new(outside.ecs.clone(), &user_agent(config)));
    endpoints.vpc_id = vpc_id.unwrap_or_default();
    endpoints.availability_zone_id = zone_id.unwrap_or_default();
    endpoints.metrics = outside.metrics.clone();
    let endpoints = Arc::new(endpoints);
    let telemetry = telemetry::Telemetry {
        config: Arc::clone(config),
        credentials: outside.credentials.clone(),
        docker: outside.docker.clone(),
        published: outside.published.clone(),
        samples: samples.clone(),
        sockets: outside.sockets.clone(),
        began,
    };
    let pace = match config.telemetry.polling {
        true => sampler::Pace::polled(config.telemetry.poll_interval),
        false => sampler::Pace::default(),
    };
    let mut serving = JoinSet::new();
    let served = endpoints::open(listeners, endpoints, shutdown.clone())
        .map_err(|error| ExitReport::new(1, format!("the local endpoints cannot be served: {error}")))?;
    serving.spawn(served);
    serving.spawn(sampler::run(samples, outside.published.clone(), outside.docker.clone(), pace, shutdown.clone()));
    serving.spawn(telemetry.run(shutdown.clone()));
    Ok(serving)
}

async fn open_store(config: &Config, imds: &Imds) -> Result<Option<(Restored, Option<HeldOff>)>, ExitReport> {
    if !config.state.checkpoint {
        return Ok(None);
    }
    let path = config.state.data_dir.join(STORE);
    let mut opened = Store::open(&path, "agent").map_err(|error| {
        let code = if matches!(error, host::store::StoreError::Held { .. }) { 1 } else { 5 };
        ExitReport::new(code, format!("state cannot be opened: {error}"))
    })?;
    if let Some(aside) = &opened.set_aside {
        warn!(kept = %aside.display(), "the stored state was damaged; it was kept aside, and the agent starts without it");
    }
    let instance_id = || async { imds.get_patiently(&MetadataItem::InstanceId).await.ok() };
    let was_set_aside = opened.set_aside.is_some();
    let held_off = moving_in::take_over(&config.state.data_dir, &mut opened.store, was_set_aside, instance_id).await?;
    let failed = |error: &dyn std::fmt::Display| ExitReport::new(5, format!("{}: {error}", display(&path)));
    let rows = moving_in::engine_rows(opened.store.load_all().map_err(|error| failed(&error))?);
    let thread = StoreThread::start(opened.store).map_err(|error| failed(&error))?;
    Ok(Some(((rows, thread), held_off)))
}

/// What the store held, and the thread that writes it from now on.
type Restored = (Vec<engine::StoredRow>, StoreThread);

/// The agent's store within the data directory.
const STORE: &str = "longshore.db";

fn display(path: &Path) -> String {
    path.display().to_string()
}

/// Replaces the SDK's own (spec 10 §1.6).
fn user_agent(config: &Config) -> String {
    let family = match config.identity.os_family.as_str() {
        "" => String::new(),
        family => format!("; {family}"),
    };
    format!("Amazon ECS Agent - v{PROTOCOL_VERSION} ({PROTOCOL_HASH}) (linux{family}) (+http://aws.amazon.com/ecs/)")
}

/// How long the agent waits for what it has begun when it ends.
const FAREWELL: Duration = Duration::from_secs(2);

/// How long it waits for its packet rules to be removed: others may hold the lock of iptables.
const RULES_FAREWELL: Duration = Duration::from_secs(8);
