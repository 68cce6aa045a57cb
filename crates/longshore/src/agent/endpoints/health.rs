//! `/v1/health`, which the reference does not have: whether the agent can do its work, and since when.
//! It answers 200 when it can and 503 when not, so that a probe needs no JSON.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use engine::time::Mono;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::Endpoints;
use super::answer::Answer;
use crate::agent::way_in::WayInView;

/// Docker is not asked more often, whoever asks us.
const FRESH: Duration = Duration::from_secs(5);

const PATIENCE: Duration = Duration::from_secs(2);

/// What Docker said last.
#[derive(Default)]
pub(crate) struct DockerPulse(Mutex<Option<(Instant, Option<String>)>>);

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Health {
    status: &'static str,
    version: String,
    registered: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    container_instance: Option<String>,
    control_plane: Connection,
    telemetry: Connection,
    docker: Docker,
    reports: Reports,
    rules: WayInView,
    tasks: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Connection {
    connected: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Docker {
    answering: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Reports {
    in_flight: usize,
    waiting: usize,
}

pub(super) async fn answer(endpoints: &Endpoints) -> Answer {
    let instance = endpoints.published.instance();
    let error = docker_error(endpoints).await;
    let acs = instance.as_ref().and_then(|view| view.acs_connected_since);
    let tcs = instance.as_ref().and_then(|view| view.tcs_connected_since);
    let arn = instance.as_ref().and_then(|view| view.instance.as_ref().map(ToString::to_string));
    let rules = endpoints.published.way_in().borrow().clone();
    let is_well = arn.is_some() && acs.is_some() && error.is_none() && !rules.is_lost;
    let health = Health {
        status: if is_well { "ok" } else { "impaired" },
        version: endpoints.version.clone(),
        registered: arn.is_some(),
        container_instance: arn,
        control_plane: connection(endpoints, acs),
        telemetry: connection(endpoints, tcs),
        docker: Docker { answering: error.is_none(), error },
        reports: Reports {
            in_flight: instance.as_ref().map_or(0, |view| view.reports_in_flight),
            waiting: instance.as_ref().map_or(0, |view| view.reports_waiting),
        },
        rules,
        tasks: endpoints.published.tasks().len(),
    };
    Answer::json(if is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &health)
}

fn connection(endpoints: &Endpoints, since: Option<Mono>) -> Connection {
    let now = (endpoints.clock)();
    let since_wall = since.and_then(|since| {
        let passed = SignedDuration::try_from(now.mono - since).ok()?;
        // Less than a second is noise of the two clocks.
        now.wall.checked_sub(passed).ok()?.round(jiff::Unit::Second).ok()
    });
    Connection { connected: since.is_some(), since: since_wall }
}

/// What Docker says against being asked, now or a moment ago.
async fn docker_error(endpoints: &Endpoints) -> Option<String> {
    let last = endpoints.pulse.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some((at, error)) = last
        && at.elapsed() < FRESH
    {
        return error;
    }
    let error = endpoints.docker.within(PATIENCE).ping().await.err().map(|error| error.to_string());
    *endpoints.pulse.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), error.clone()));
    error
}
