//! Sees to the packet rules that lead 169.254.170.2 to the task server: puts them there where the agent is told to,
//! looks at them every minute, puts back what somebody flushed, and takes its own away at the end.
//!
//! Which rules, and how they are told to the host's tools, is known in `host::netfilter`. Neither the engine nor a task
//! waits for any of it, but for the block of instance metadata, which is there before the first task is.

mod hint;
mod rounds;
mod view;

use std::sync::Arc;
use std::time::Duration;

use docker::Filters;
use host::netfilter::localnet;
use tokio_util::sync::CancellationToken;

use super::ports;
use super::published::Published;
use crate::config::{Config, RulesMode};
use rounds::Rounds;
pub(crate) use view::WayInView;

/// How long Docker may take to name its bridge.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the first task waits for the block of instance metadata.
const FIRST_ROUND: Duration = Duration::from_secs(15);

/// What Docker calls its default bridge unless told otherwise.
const USUAL_BRIDGE: &str = "docker0";

/// The way in to one agent.
pub(super) struct WayIn {
    pub config: Arc<Config>,
    pub docker: docker::Engine,
    pub published: Published,
    /// The task server's port.
    pub task_port: u16,
    pub is_local: bool,
}

impl WayIn {
    /// Looks, repairs and publishes until `shutdown`, then removes what this agent put there.
    pub(super) async fn run(self, shutdown: CancellationToken) {
        let interval = self.config.netfilter.interval;
        let mut rounds = Rounds::new(self);
        if rounds.has_nothing_to_do() {
            return;
        }
        loop {
            rounds.next().await;
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = tokio::time::sleep(interval) => {}
            }
        }
        rounds.leave().await;
    }

    /// Who sees to the rules.
    fn mode(&self) -> RulesMode {
        let usual = if self.is_local { RulesMode::Own } else { RulesMode::Watch };
        self.config.netfilter.mode.unwrap_or(usual)
    }

    /// The port that is guarded against the world. In local mode it listens on loopback alone.
    fn introspection_port(&self) -> Option<u16> {
        let is_guarded = !self.is_local && !self.config.netfilter.shows_introspection;
        is_guarded.then_some(ports::INTROSPECTION)
    }
}

/// Waits until instance metadata is blocked, or could not be; no container is started before.
pub(super) async fn until_blocked(config: &Config, published: &Published) {
    if config.netfilter.block_imds {
        let mut view = published.way_in();
        let _ = tokio::time::timeout(FIRST_ROUND, view.wait_for(|view| view.checked_at.is_some())).await;
    }
}

/// The interface of Docker's default bridge on this machine (spec 40 §13.1).
pub(crate) async fn default_bridge(docker: &docker::Engine) -> Option<String> {
    let networks = docker.within(PATIENCE).networks(&Filters::new().with("driver", "bridge")).await;
    let name = match networks {
        Ok(networks) => networks.into_iter().find_map(|network| {
            let is_default = network.options.get("com.docker.network.bridge.default_bridge")? == "true";
            network.options.get("com.docker.network.bridge.name").filter(|_| is_default).cloned()
        }),
        // The rules must not depend on whether Docker runs at this moment.
        Err(_) => Some(USUAL_BRIDGE.to_owned()),
    };
    name.filter(|name| localnet::has_interface(name))
}
