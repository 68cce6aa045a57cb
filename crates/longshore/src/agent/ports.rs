//! The agent's own ports: taken before anything else can, and if they are taken, by whom.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;
use tracing::info;

use super::ExitReport;
use crate::config::Config;

/// Introspection, for people and tools on the host.
pub(crate) const INTROSPECTION: u16 = 51678;
/// The task server, for what runs in containers.
pub(crate) const TASKS: u16 = 51679;

/// Metrics of the agent, where they are wanted.
const METRICS: u16 = 51680;

/// The listeners of the local endpoints.
pub(super) struct Listeners {
    pub introspection: TcpListener,
    pub tasks: TcpListener,
    /// In local mode the introspection port is enough.
    pub metrics: Option<TcpListener>,
}

/// Binds the ports.
///
/// # Errors
/// One is taken: the message says by whom.
pub(super) async fn bind(config: &Config, is_local: bool) -> Result<Listeners, ExitReport> {
    let (introspection, tasks) = tokio::try_join!(
        listen(Ipv4Addr::UNSPECIFIED, INTROSPECTION, is_local),
        listen(Ipv4Addr::LOCALHOST, TASKS, is_local)
    )?;
    let metrics = match config.telemetry.prometheus && !is_local {
        true => Some(listen(Ipv4Addr::UNSPECIFIED, METRICS, is_local).await?),
        false => None,
    };
    Ok(Listeners { introspection, tasks, metrics })
}

async fn listen(address: Ipv4Addr, port: u16, is_local: bool) -> Result<TcpListener, ExitReport> {
    // What a laptop shows to its network is its owner's decision.
    let address = if is_local { Ipv4Addr::LOCALHOST } else { address };
    match TcpListener::bind(SocketAddr::from((address, port))).await {
        Ok(listener) => Ok(listener),
        Err(_) if is_local => {
            let free = TcpListener::bind(SocketAddr::from((address, 0)))
                .await
                .map_err(|error| ExitReport::new(1, format!("no free port on {address}: {error}")))?;
            if let Ok(bound) = free.local_addr() {
                info!(wanted = port, bound = bound.port(), "a port of the agent is taken; another one is used");
            }
            Ok(free)
        }
        Err(error) => {
            let holder = match host::listeners::who_listens(port) {
                Some(holder) => format!("process {} ({}) listens there", holder.pid, holder.command),
                None => error.to_string(),
            };
            Err(ExitReport::new(
                1,
                format!("port {port} is taken: {holder}. Only one agent can run on a host; stop the other one first."),
            ))
        }
    }
}
