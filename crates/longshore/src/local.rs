//! ECS on this machine in one process: the control plane on a loopback port, and an agent that joins it over real
//! websockets. `longshore local` keeps one; `longshore run` makes one for the length of a task.

pub(crate) mod home;
mod images;
pub(crate) mod report;
pub(crate) mod routes;
mod settings;
pub(crate) mod stats;

#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use host::store::StoreError;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::agent::published::Published;
use crate::agent::{AgentOptions, ExitReport};
use crate::cli::Failure;
use crate::plane::roles::{Choice, Roles, Source};
use crate::plane::{Storage, Surroundings};
use home::{Home, Running};
pub(crate) use settings::docker_endpoint;

/// Where the control plane listens if nobody else does.
const PORT: u16 = 51670;

/// How long Docker may take to say that it is there.
const PING: Duration = Duration::from_secs(10);

/// How long the agent may take to end.
const FAREWELL: Duration = Duration::from_secs(15);

/// What is started.
pub(crate) struct Options {
    pub home: Home,
    /// `None`: [`PORT`], or a free one where that is taken. 0: a free one.
    pub port: Option<u16>,
    /// Whether other commands may find it.
    pub is_announced: bool,
    /// Where credentials of task roles come from.
    pub credentials: Choice,
}

/// A control plane and its agent, both running.
pub(crate) struct Local {
    pub endpoint: String,
    /// As `DOCKER_HOST` has it.
    pub docker: String,
    /// Where the agent's log goes.
    pub log_file: PathBuf,
    pub published: Published,
    /// What the user should know.
    pub warning: Option<String>,
    announcement: Option<home::Announcement>,
    agent: JoinHandle<ExitReport>,
    agent_shutdown: CancellationToken,
    plane: JoinHandle<()>,
    server: JoinHandle<anyhow::Result<()>>,
    plane_shutdown: CancellationToken,
    _log: crate::log::Guard,
}

impl Local {
    /// Starts both. The agent may not have registered yet.
    ///
    /// # Errors
    /// No Docker Engine, the data directory is in use or unusable, the port is taken.
    pub(crate) async fn start(options: Options) -> Result<Self, Failure> {
        let Options { home, port, is_announced, credentials } = options;
        let docker = docker_endpoint();
        check_docker(&docker).await?;
        home.create()?;
        let storage = Storage::open(&home.plane_store()).map_err(store_failure)?;
        let listener = bind(port).await?;
        let port = listener.local_addr().map_err(|error| Failure::new(format!("no port: {error}")))?.port();
        let endpoint = format!("http://127.0.0.1:{port}");

        let (config, lookup, warnings) = settings::read(&home, &endpoint)?;
        let log = crate::log::init_on(&config.logging, crate::log::Console::Silent);
        crate::log::report(&warnings);
        let plane_shutdown = CancellationToken::new();
        let region = config.identity.region.clone();
        let (source, warning) = Source::new(credentials, &region)
            .map_err(|error| Failure::new(format!("there are no credentials for task roles: {error}")))?;
        let settings = plane::Settings {
            region,
            delivers_credentials: source.is_some(),
            ..plane::Settings::local(&endpoint, crate::plane::random_seed())
        };
        let published = Published::new();
        let surroundings = Surroundings { roles: Roles::new(source), listener: show_remarks(published.clone()) };
        let (handle, plane) = crate::plane::open(storage, settings, surroundings, plane_shutdown.clone())?;
        let cluster = config.identity.cluster.clone().unwrap_or_else(|| "default".to_owned());
        let created = handle.call("CreateCluster", json!({"clusterName": cluster})).await;
        created.map_err(|fault| Failure::new(format!("cannot make the cluster '{cluster}': {}", fault.message)))?;

        // The agent counts its own time from its start, which is now but for a moment.
        let began = Instant::now();
        let view = routes::View {
            published: published.clone(),
            plane: Some(handle.clone()),
            cluster: cluster.clone(),
            began,
            shutdown: plane_shutdown.clone(),
        };
        let server = tokio::spawn(crate::plane::serve(listener, handle, routes::router(view), plane_shutdown.clone()));
        let agent_shutdown = CancellationToken::new();
        let log_file = config.logging.file.clone().unwrap_or_default();
        let agent = tokio::spawn(crate::agent::run(AgentOptions {
            config,
            lookup,
            verify_tls: true,
            is_imds_blackholed: true,
            is_local: true,
            answers: None,
            published: published.clone(),
            shutdown: agent_shutdown.clone(),
        }));
        let announcement = if is_announced {
            let running = Running {
                endpoint: endpoint.clone(),
                pid: std::process::id(),
                started: jiff::Timestamp::now(),
                docker: docker.clone(),
                cluster,
            };
            Some(home.announce(&running)?)
        } else {
            None
        };
        Ok(Self {
            endpoint,
            docker,
            log_file,
            published,
            warning,
            announcement,
            agent,
            agent_shutdown,
            plane,
            server,
            plane_shutdown,
            _log: log,
        })
    }

    /// Waits until the agent ends, which it does not do unasked unless it cannot go on. Cancel-safe.
    pub(crate) async fn agent_ended(&mut self) -> ExitReport {
        match (&mut self.agent).await {
            Ok(report) => report,
            Err(error) => ExitReport { code: 1, why: format!("the agent failed: {error}") },
        }
    }

    /// Ends the agent, then the control plane. Tasks go on running.
    pub(crate) async fn stop(mut self) {
        self.agent_shutdown.cancel();
        if !self.agent.is_finished() {
            // The plane still serves: what the agent has to tell at the end is heard.
            let _ = tokio::time::timeout(FAREWELL, &mut self.agent).await;
        }
        drop(self.announcement.take());
        self.plane_shutdown.cancel();
        let _ = tokio::time::timeout(FAREWELL, async {
            let _ = (&mut self.server).await;
            let _ = (&mut self.plane).await;
        })
        .await;
    }
}

/// Shows what the control plane remarks on tasks among the agent's facts.
fn show_remarks(published: Published) -> Box<dyn Fn(&plane::Note) + Send> {
    Box::new(move |note| {
        if let plane::Note::TaskRemark { task, text, is_trouble } = note {
            let id = task.rsplit('/').next().unwrap_or(task);
            let (level, what) = report::remark_words(*is_trouble);
            published.remark(jiff::Timestamp::now(), id.into(), level, what, text.clone());
        }
    })
}

async fn check_docker(endpoint: &str) -> Result<(), Failure> {
    let engine = docker::Engine::connect(endpoint).map_err(|error| {
        Failure::new(error.to_string()).next("DOCKER_HOST must be unix:///PATH or tcp://HOST:PORT, or not be set.")
    })?;
    engine.within(PING).ping().await.map_err(|error| no_docker(endpoint, &error))
}

/// What to do without Docker, by what is there of it.
fn no_docker(endpoint: &str, error: &docker::Error) -> Failure {
    let is_denied = error.to_string().contains("permission denied");
    let failure = Failure::new(match is_denied {
        true => format!("not allowed to use the Docker Engine at {endpoint}"),
        false => format!("no Docker Engine answers at {endpoint}"),
    });
    let is_installed = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into(), "/sbin".into()])
        .any(|directory| directory.join("dockerd").is_file());
    failure.next(match (is_denied, is_installed) {
        (true, _) => "Use sudo, or join the group of the socket: sudo usermod -aG docker $USER, then log in again.",
        (_, true) => {
            "Docker is installed here; start it: sudo systemctl start docker (without systemd: sudo dockerd &)\nOne that is elsewhere: DOCKER_HOST=unix:///PATH or tcp://HOST:PORT"
        }
        (_, false) => {
            "Install it: sudo apt-get install docker.io\nOne that is elsewhere: DOCKER_HOST=unix:///PATH or tcp://HOST:PORT"
        }
    })
}

fn store_failure(error: anyhow::Error) -> Failure {
    match error.downcast_ref::<StoreError>() {
        Some(StoreError::Held { path, pid }) => {
            let holder = pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
            let directory = path.parent().unwrap_or(path).display();
            Failure::new(format!("{holder} runs `longshore local` on {directory} already"))
                .next("Use it as it is (`longshore ps`), stop it, or choose another directory: --data-dir DIR")
        }
        _ => error.into(),
    }
}

async fn bind(port: Option<u16>) -> Result<TcpListener, Failure> {
    let open = |port| TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let outcome = match port {
        Some(port) => open(port).await,
        None => match open(PORT).await {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => open(0).await,
            other => other,
        },
    };
    outcome.map_err(|error| {
        let port = port.unwrap_or(PORT);
        let holder = host::listeners::who_listens(port);
        let holder = holder.map(|holder| format!(", by process {} ({})", holder.pid, holder.command));
        match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                Failure::new(format!("port {port} is in use{}", holder.unwrap_or_default()))
                    .next("Choose another with --port, or leave it away for a free one.")
            }
            _ => Failure::new(format!("cannot listen on port {port}: {error}")),
        }
    })
}
