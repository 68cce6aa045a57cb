//! The routes: the ECS API at `POST /`, the agents' websockets, and `/longshore/v1/health`.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use http::header::{CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderName, HeaderValue, StatusCode};
use plane::{Channel, Fault};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::driver::Handle;
use super::socket;

/// The largest request body.
const BODY_MAX: usize = 4 * 1024 * 1024;

#[derive(Clone)]
pub(super) struct Shared {
    pub(super) handle: Handle,
    pub(super) shutdown: CancellationToken,
}

pub(super) fn router(handle: Handle, extra: Router, shutdown: CancellationToken) -> Router {
    let acs = any(|state: State<Shared>, request| socket::upgrade(state, Channel::Acs, request));
    let tcs = any(|state: State<Shared>, request| socket::upgrade(state, Channel::Tcs, request));
    Router::new()
        .route("/", post(api))
        .route("/acs/ws", acs)
        .route("/tcs/ws", tcs)
        .route("/longshore/v1/health", get(|| async { axum::Json(json!({"status": "ok"})) }))
        .with_state(Shared { handle, shutdown })
        .merge(extra)
        .layer(middleware::from_fn(no_browsers))
}

/// Whoever can call this port can run containers, so a web page must not be able to. Browsers name the
/// page's origin in all but plain reads, and a rebound name shows in the host. Tools and agents do neither.
async fn no_browsers(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
    if headers.contains_key(ORIGIN) || !is_local(host) {
        return (StatusCode::FORBIDDEN, "for local tools and agents only\n").into_response();
    }
    next.run(request).await
}

/// Whether a `Host` is this machine by a name that nobody else can own.
fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

async fn api(State(shared): State<Shared>, request: Request) -> Response {
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok());
    let operation = target.unwrap_or("").rsplit('.').next().unwrap_or("").to_owned();
    let Ok(body) = axum::body::to_bytes(request.into_body(), BODY_MAX).await else {
        let fault = Fault::serialization(format!("The body is longer than {BODY_MAX} bytes or broken off."));
        return respond(StatusCode::BAD_REQUEST, &fault.body());
    };
    let body = if body.is_empty() { Ok(json!({})) } else { serde_json::from_slice(&body) };
    let answer = match body {
        Ok(body) => shared.handle.call(&operation, body).await,
        Err(error) => Err(Fault::serialization(format!("The body is not JSON: {error}"))),
    };
    match answer {
        Ok(body) => respond(StatusCode::OK, &body),
        Err(fault) => {
            let status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            respond(status, &fault.body())
        }
    }
}

pub(super) fn respond(status: StatusCode, body: &Value) -> Response {
    static REQUESTS: AtomicU64 = AtomicU64::new(1);
    let number = REQUESTS.fetch_add(1, Ordering::Relaxed);
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(wire::ecs::CONTENT_TYPE));
    if let Ok(id) = HeaderValue::from_str(&format!("00000000-0000-4000-8000-{number:012x}")) {
        headers.insert(HeaderName::from_static("x-amzn-requestid"), id);
    }
    response
}
