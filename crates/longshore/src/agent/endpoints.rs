//! What the agent serves on its own machine (spec 30): the task server on 51679 and introspection on 51678.
//!
//! Both read what the driver publishes and never the engine. A request costs a look-up and a copy; Docker and the
//! control plane are asked only where nothing else knows (tags, task protection, health).

mod answer;
mod audit;
mod counter;
mod credentials;
mod documents;
mod ecs;
mod fault;
mod health;
mod introspection;
mod lookup;
mod metadata;
pub(super) mod metadata_file;
mod protection;
mod rate;
mod server;
mod stats;
mod tags;
mod tasks;
mod write_deadline;

#[cfg(test)]
pub(super) mod tests;

use std::sync::Arc;

use answer::Answer;
use engine::time::Now;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(crate) use audit::Audit;
pub(crate) use counter::open;
pub(crate) use ecs::Ecs;
pub(crate) use health::DockerPulse;
pub(crate) use lookup::Index;
pub(crate) use rate::Limits;

use super::metrics::{MEDIA_TYPE, Metrics};
use super::published::Published;
use super::sampler::Samples;
use super::vault::Vault;
use crate::config::Config;

/// All that the servers answer from.
pub(crate) struct Endpoints {
    pub published: Published,
    pub vault: Vault,
    pub config: Arc<Config>,
    /// The whole text, as `Amazon ECS Agent - v1.2.3 (0123abcd)` is one.
    pub version: String,
    pub docker: docker::Engine,
    /// `None` before there is a control plane to ask.
    pub ecs: Option<Ecs>,
    pub samples: Samples,
    pub audit: Audit,
    /// From instance metadata; empty where unknown.
    pub vpc_id: String,
    pub availability_zone_id: String,
    /// The driver's clock, since what it publishes is dated by it.
    pub clock: Box<dyn Fn() -> Now + Send + Sync>,
    pub limits: Limits,
    pub index: Index,
    pub pulse: DockerPulse,
    /// `None` unless somebody wants them.
    pub metrics: Option<Arc<Metrics>>,
}

impl Endpoints {
    /// With fresh limits and look-ups; what is known later is set on the result.
    pub(crate) fn new(
        published: Published,
        vault: Vault,
        config: Arc<Config>,
        docker: docker::Engine,
        samples: Samples,
        clock: Box<dyn Fn() -> Now + Send + Sync>,
    ) -> Self {
        let audit = Audit::start(&config);
        let limits = Limits::new(config.networking.metadata_rate);
        Self {
            published,
            vault,
            config,
            version: String::new(),
            docker,
            ecs: None,
            samples,
            audit,
            vpc_id: String::new(),
            availability_zone_id: String::new(),
            clock,
            limits,
            index: Index::default(),
            pulse: DockerPulse::default(),
            metrics: None,
        }
    }

    /// The text for Prometheus; `None` where nothing is counted.
    fn metrics(&self) -> Option<Answer> {
        let text = self.metrics.as_ref()?.text(&self.published, &self.samples);
        Some(match text {
            Ok(text) => Answer::new(StatusCode::OK, MEDIA_TYPE, text),
            Err(_) => Answer::empty(StatusCode::INTERNAL_SERVER_ERROR),
        })
    }
}

/// Serves introspection until `shutdown`.
pub(crate) async fn serve_introspection(listener: TcpListener, endpoints: Arc<Endpoints>, shutdown: CancellationToken) {
    let handler = move |peer, request| {
        let endpoints = Arc::clone(&endpoints);
        async move { introspection::answer(&endpoints, peer, request).await }
    };
    server::serve(listener, "introspection", handler, shutdown).await;
}

/// Serves `/metrics`, and nothing else, until `shutdown`.
pub(crate) async fn serve_metrics(listener: TcpListener, endpoints: Arc<Endpoints>, shutdown: CancellationToken) {
    let handler = move |_peer, request: Request<Incoming>| {
        let answer = if request.uri().path() == "/metrics" { endpoints.metrics() } else { None };
        std::future::ready(answer.unwrap_or_else(Answer::not_found).into_response())
    };
    server::serve(listener, "metrics", handler, shutdown).await;
}

/// Serves tasks until `shutdown`.
pub(crate) async fn serve_tasks(listener: TcpListener, endpoints: Arc<Endpoints>, shutdown: CancellationToken) {
    let handler = move |peer, request| {
        let endpoints = Arc::clone(&endpoints);
        async move { tasks::answer(&endpoints, peer, request).await }
    };
    server::serve(listener, "tasks", handler, shutdown).await;
}
