//! A control plane and an agent for the length of one command, with their state in a directory that goes with them.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Failure;
use super::client::Client;
use super::connect::Connected;
use crate::local::home::Home;
use crate::local::{Local, Options};
use crate::plane::roles::Choice;

/// How long an agent may take to join.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a hint is waited for.
const HINT: Duration = Duration::from_millis(300);

/// How often it is asked.
const TICK: Duration = Duration::from_millis(20);

/// Both, running.
pub(super) struct Temporary {
    pub local: Local,
    pub connected: Connected,
    _directory: Directory,
}

/// A directory that is removed when it is dropped.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        // What cannot be removed is the system's to remove.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Temporary {
    /// `credentials` are for the roles of tasks.
    pub(super) async fn start(credentials: Choice) -> Result<Self, Failure> {
        let directory = make_directory()?;
        let home = Home::at(directory.0.clone());
        let local = Local::start(Options { home, port: Some(0), is_announced: false, credentials }).await?;
        let client = Client::new(&local.endpoint)?;
        let connected = Connected { client, docker: local.docker.clone() };
        Ok(Self { local, connected, _directory: directory })
    }

    /// Waits until the agent has joined.
    pub(super) async fn ready(&mut self) -> Result<Value, Failure> {
        tokio::select! {
            ready = ready(&self.connected.client) => ready,
            report = self.local.agent_ended() => {
                let log = std::fs::read_to_string(&self.local.log_file).unwrap_or_default();
                let last: Vec<_> = log.lines().rev().take(3).collect();
                let last: Vec<_> = last.into_iter().rev().collect();
                Err(Failure::new(format!("the agent ended: {}", report.why)).next(last.join("\n")))
            }
        }
    }

    /// What does not work for want of packet rules, if that is known by now.
    pub(super) async fn way_in_hint(&self) -> Option<String> {
        let mut view = self.local.published.way_in();
        let known = view.wait_for(|view| view.checked_at.is_some());
        let known = tokio::time::timeout(HINT, known).await;
        known.ok()?.ok()?.hint.clone()
    }

    pub(super) async fn stop(self) {
        self.local.stop().await;
    }
}

/// Waits until the agent of this control plane has joined it, and returns what it has.
pub(super) async fn ready(client: &Client) -> Result<Value, Failure> {
    let began = Instant::now();
    loop {
        let instance: Value = client.get("/longshore/v1/instance").await?;
        if instance.get("isConnected").and_then(Value::as_bool) == Some(true) {
            return Ok(instance);
        }
        if began.elapsed() > PATIENCE {
            return Err(Failure::new(format!("the agent at {} does not join its cluster", client.endpoint()))
                .next("Its log, in the data directory of `longshore local`, says why: log/agent.log"));
        }
        tokio::time::sleep(TICK).await;
    }
}

fn make_directory() -> Result<Directory, Failure> {
    let parent = std::env::temp_dir();
    let path = parent.join(format!("longshore-{}-{:08x}", std::process::id(), crate::plane::random_seed() as u32));
    DirBuilder::new()
        .mode(0o700)
        .create(&path)
        .map_err(|error| Failure::new(format!("cannot make {}: {error}", path.display())))?;
    Ok(Directory(path))
}
