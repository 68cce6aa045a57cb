//! `longshore agent`: flags, configuration, signals, exit codes (spec 10 §1.1, spec 40 §8).

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws::{Imds, MetadataItem};
use engine::EngineConfig;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info};

use super::published::Published;
use super::{AgentOptions, ExitReport, Lookup, PROTOCOL_HASH, PROTOCOL_VERSION, facts, limits, run};
use crate::cli::AgentArgs;
use crate::config::{Config, ConfigError, Inputs, LogConfig, Warning, unknown_variables};
use crate::local::routes::{self, View};
use crate::log;

/// The licence, for `-license`: the reference prints files of its image, we carry ours inside.
const LICENSE: &str = include_str!("../../../../LICENSE");

/// How long a health check waits (spec 10 §1.1).
const HEALTH_CHECK: Duration = Duration::from_secs(25);

/// Carries the command out; the process's exit code.
pub(crate) async fn execute(args: AgentArgs) -> i32 {
    if args.license {
        println!("{LICENSE}");
        return 0;
    }
    if args.version {
        println!("Amazon ECS Agent:\n\tVersion: {PROTOCOL_VERSION}\n\tCommit: {PROTOCOL_HASH}");
        println!("Longshore:\n\tVersion: {}", env!("CARGO_PKG_VERSION"));
        return 0;
    }
    if args.healthcheck {
        return health_check().await;
    }
    if args.windows_service {
        eprintln!("longshore: --windows-service works on Windows only");
        return 1;
    }
    let imds = if args.blackhole_ec2_metadata { Imds::blackholed() } else { Imds::from_vars(&variable) };
    let (mut config, warnings) = match load(&imds).await {
        Ok(loaded) => loaded,
        Err(refusal) => {
            let _log = log::init(&LogConfig::load(variable));
            error!(critical = true, "the configuration is refused: {refusal}");
            eprintln!("longshore: the configuration is refused: {refusal}");
            return 1;
        }
    };
    let (both, console, file) = (&args.loglevel, &args.loglevel_driver, &args.loglevel_on_instance);
    config.logging.override_levels(both.as_deref(), console.as_deref(), file.as_deref());
    if args.ecs_attributes {
        return print_attributes(&config, &imds, &(Arc::new(variable) as Lookup)).await;
    }
    let _log = log::init(&config.logging);
    log::report(&warnings);
    for hint in unknown_variables(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok())) {
        debug!("{}", hint.text);
    }
    info!(version = env!("CARGO_PKG_VERSION"), protocol = PROTOCOL_VERSION, "longshore starts");
    let shutdown = CancellationToken::new();
    if let Err(refusal) = end_on_signals(&shutdown) {
        error!("signals cannot be handled: {refusal}");
        return 1;
    }
    let published = Published::new();
    let view = View {
        published: published.clone(),
        plane: None,
        cluster: config.identity.cluster.clone().unwrap_or_default(),
        began: Instant::now(),
        shutdown: shutdown.clone(),
    };
    let report = run(AgentOptions {
        config,
        lookup: Arc::new(variable),
        verify_tls: !args.insecure,
        is_imds_blackholed: args.blackhole_ec2_metadata,
        is_local: false,
        answers: Some(routes::of_agent(view)),
        published,
        shutdown,
    })
    .await;
    if report.code == 0 {
        info!("{}", report.why);
    } else {
        error!(code = report.code, "{}", report.why);
        eprintln!("longshore: {}", report.why);
    }
    report.code
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Loads the configuration; where no source names a region, instance metadata is asked for it (spec 10 §1.3).
async fn load(imds: &Imds) -> Result<(Config, Vec<Warning>), ConfigError> {
    match Config::load_from_process(None, None) {
        Err(ConfigError::Invalid { only_region_missing: true, .. }) if !imds.is_blackholed() => {
            let region = imds.get_patiently(&MetadataItem::Region).await.ok();
            let user_data = imds.get(&MetadataItem::UserData).await.ok();
            Config::load_from(Inputs {
                lookup: &variable,
                read_file: &|path| std::fs::read_to_string(path),
                user_data: user_data.as_deref(),
                metadata_region: region.as_deref(),
            })
        }
        loaded => loaded,
    }
}

/// The first signal ends the agent; later ones are swallowed, as the tasks are safe already.
fn end_on_signals(shutdown: &CancellationToken) -> std::io::Result<()> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
            shutdown.cancel();
        }
    });
    Ok(())
}

async fn print_attributes(config: &Config, imds: &Imds, lookup: &Lookup) -> i32 {
    let docker = match docker::Engine::connect(&config.docker.endpoint) {
        Ok(docker) => docker,
        Err(refusal) => {
            eprintln!("longshore: DOCKER_HOST is not usable: {refusal}");
            return 1;
        }
    };
    let gathered = async {
        let daemon = facts::daemon(config, &docker).await;
        let (docker, machine) = tokio::try_join!(facts::docker(&docker), facts::machine(config, imds))?;
        let cgroups = limits::cgroups(&config.capacity.cgroup_path, lookup);
        let versions = &docker.extended_api_versions;
        let task_limits = limits::task_limits(config, &cgroups, &daemon.cgroup_driver, versions).await?;
        Ok(EngineConfig { task_limits, ..facts::engine_config(config, docker, machine) })
    };
    let config = match gathered.await {
        Ok(config) => config,
        Err::<_, ExitReport>(report) => {
            eprintln!("longshore: {}", report.why);
            return 1;
        }
    };
    for attribute in engine::register::capabilities(&config) {
        println!("{}\t{}", attribute.name, attribute.value.unwrap_or_default());
    }
    0
}

/// Any answer of the introspection port is health enough (spec 10 §1.1).
async fn health_check() -> i32 {
    let host = variable("ECS_AGENT_HEALTHCHECK_HOST").filter(|host| !host.is_empty());
    let host = host.unwrap_or_else(|| "localhost".to_owned());
    let connector = aws::Connector::new(aws::ConnectorOptions::default());
    let http = aws::http::HttpClient::new(connector);
    let request = http::Request::head(format!("http://{host}:51678/v1/metadata")).body(bytes::Bytes::new());
    let Ok(request) = request else {
        eprintln!("longshore: ECS_AGENT_HEALTHCHECK_HOST is no host name: {host}");
        return 1;
    };
    match tokio::time::timeout(HEALTH_CHECK, http.send(request, 1 << 20)).await {
        Ok(Ok(_)) => 0,
        Ok(Err(failure)) => {
            eprintln!("longshore: no agent answers at {host}:51678: {failure}");
            1
        }
        Err(_) => {
            eprintln!("longshore: no agent answers at {host}:51678 within 25 s");
            1
        }
    }
}
