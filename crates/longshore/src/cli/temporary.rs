//! A control plane and an agent for the length of one command, with their state in a directory that goes with them.

mod directory;

use std::time::{Duration, Instant};

use serde_json::Value;

use super::Failure;
use super::client::Client;
use super::connect::Connected;
use crate::local::home::Home;
use crate::local::{Local, Options, docker_endpoint};
use crate::plane::roles::Choice;
pub(super) use directory::Abandoned;
use directory::{Directory, Note};

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
    directory: Directory,
}

impl Temporary {
    /// `credentials` are for the roles of tasks; with `keep` the containers are to stay.
    pub(super) async fn start(credentials: Choice, keep: bool) -> Result<Self, Failure> {
        let note = Note { docker: docker_endpoint(), is_kept: keep };
        let directory = Directory::make(&std::env::temp_dir(), &note)?;
        let home = Home::at(directory.path().to_owned());
        let local = Local::start(Options { home, port: Some(0), is_announced: false, credentials }).await?;
        let client = Client::new(&local.endpoint)?;
        let connected = Connected { client, docker: local.docker.clone() };
        Ok(Self { local, connected, directory })
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

    /// Ends both. The directory is to be kept until all is cleared: with it others find what is left.
    pub(super) async fn stop(self) -> Directory {
        self.local.stop().await;
        self.directory
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
