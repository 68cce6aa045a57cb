//! The node agent: reads its settings, looks at the machine, and drives the engine.

pub(crate) mod command;
mod facts;
mod perform;
mod ports;
pub(crate) mod published;
mod registry_auth;
mod run;
mod sockets;
pub(crate) mod vault;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws::json11::{ECS_TARGET_PREFIX, Service};
use aws::{Connector, ConnectorOptions, CredentialsChain, CredentialsSource, EndpointRules, Imds, Json11, Proxies};
use host::store::{Store, StoreThread};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::Config;
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
    pub sockets: sockets::Sockets,
}

/// Runs an agent until it is asked to end, or cannot go on.
pub(crate) async fn run(options: AgentOptions) -> ExitReport {
    match start(options).await {
        Ok(report) | Err(report) => report,
    }
}

async fn start(options: AgentOptions) -> Result<ExitReport, ExitReport> {
    let began = Instant::now();
    let AgentOptions { config, lookup, verify_tls, is_imds_blackholed, is_local, published, shutdown } = options;
    let config = Arc::new(config);
    let docker = docker::Engine::connect(&config.docker.endpoint)
        .map_err(|error| ExitReport::new(1, format!("DOCKER_HOST is not usable: {error}")))?;
    let store = open_store(&config)?;
    let imds = if is_imds_blackholed || config.identity.external {
        Imds::blackholed()
    } else {
        Imds::from_vars(&|name| lookup(name))
    };
    let (docker_facts, machine) = tokio::try_join!(facts::docker(&docker), facts::machine(&config, &imds))?;
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
    let engine_config = facts::engine_config(&config, docker_facts, machine);
    let outside = Outside {
        docker,
        ecs,
        connector,
        credentials,
        config: Arc::clone(&config),
        published: published.clone(),
        vault: Vault::default(),
        sockets: sockets::Sockets::default(),
    };
    let serving = ports::serve(listeners, shutdown.clone());
    let engine = engine::Engine::new(engine_config, crate::plane::random_seed(), rows);
    let report = run::drive(engine, outside, thread, shutdown.clone(), began).await;
    shutdown.cancel();
    let _ = serving.await;
    Ok(report)
}

fn open_store(config: &Config) -> Result<Option<(Vec<engine::StoredRow>, StoreThread)>, ExitReport> {
    if !config.state.checkpoint {
        return Ok(None);
    }
    let path = config.state.data_dir.join(STORE);
    let opened = Store::open(&path, "agent").map_err(|error| {
        let code = if matches!(error, host::store::StoreError::Held { .. }) { 1 } else { 5 };
        ExitReport::new(code, format!("state cannot be opened: {error}"))
    })?;
    if let Some(aside) = &opened.set_aside {
        warn!(kept = %aside.display(), "the stored state was damaged; it was kept aside, and the agent starts without it");
    }
    let failed = |error: &dyn std::fmt::Display| ExitReport::new(5, format!("{}: {error}", display(&path)));
    let rows = opened.store.load_all().map_err(|error| failed(&error))?;
    let rows =
        rows.into_iter().map(|row| engine::StoredRow { table: row.table, key: row.key, value: row.value }).collect();
    let thread = StoreThread::start(opened.store).map_err(|error| failed(&error))?;
    Ok(Some((rows, thread)))
}

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
