//! The task server's way of a request: path, limit, route, audit (spec 30 §1.2).

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue, LOCATION, USER_AGENT};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use jiff::Timestamp;
use wire::task_server::route::{self, Route};

use super::answer::{Answer, TEXT, read_body};
use super::audit::{Entry, Granted};
use super::rate::Limiter;
use super::server::Peer;
use super::{Endpoints, credentials, fault, metadata, protection};
use crate::agent::vault::Held;

const LIMIT: HeaderName = HeaderName::from_static("x-rate-limit-limit");
const DURATION: HeaderName = HeaderName::from_static("x-rate-limit-duration");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-rate-limit-request-forwarded-for");
const REMOTE: HeaderName = HeaderName::from_static("x-rate-limit-request-remote-addr");

pub(super) async fn answer(
    endpoints: &Endpoints,
    peer: Arc<Peer>,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let Some(path) = route::decode(parts.uri.path()) else { return Answer::bad_request().into_response() };
    if let Some(cleaned) = route::clean(&path) {
        return moved(&cleaned, parts.uri.query()).into_response();
    }
    let is_credentials = path == "/v1/credentials" || path.starts_with("/v2/credentials/");
    let limiter = if is_credentials { &endpoints.limits.credentials } else { &endpoints.limits.metadata };
    let forwarded = parts.headers.get("x-forwarded-for").cloned().unwrap_or_else(|| HeaderValue::from_static(""));
    if !limiter.admit(peer.address.ip(), &path, Instant::now()) {
        audit(endpoints, &peer, &parts, &path, StatusCode::TOO_MANY_REQUESTS, None);
        let mut response = throttled("You have reached maximum request limit.").into_response();
        add_headers(&mut response, limiter, &peer, &forwarded);
        return response;
    }
    let route = Route::parse(&path);
    let mut inner = None;
    let answer = match route {
        None => Answer::not_found(),
        Some(Route::CredentialsV1 | Route::CredentialsV2(_)) => {
            let (answer, held) = match route {
                Some(Route::CredentialsV2(id)) => credentials::answer(endpoints, "V2", id),
                _ => {
                    let id = route::parameter(parts.uri.query(), "id").unwrap_or_default();
                    credentials::answer(endpoints, "V1", &id)
                }
            };
            audit(endpoints, &peer, &parts, &path, answer.status, held.as_deref());
            answer
        }
        Some(Route::V2(subject)) => metadata::answer_v2(endpoints, peer.address.ip(), subject).await,
        Some(Route::Metadata { version, endpoint, subject }) => {
            metadata::answer(endpoints, version, endpoint, subject).await
        }
        Some(Route::Protection { endpoint }) => match parts.method {
            Method::GET => protection::answer(endpoints, endpoint, None).await,
            Method::PUT => {
                // A body that cannot be had is as good as none.
                let body = read_body(Request::new(body)).await.unwrap_or_default();
                protection::answer(endpoints, endpoint, Some(&body)).await
            }
            _ => Answer::empty(StatusCode::METHOD_NOT_ALLOWED),
        },
        Some(Route::Fault { endpoint, kind, operation }) => {
            if parts.method != Method::POST {
                Answer::empty(StatusCode::METHOD_NOT_ALLOWED)
            } else {
                let faults = &endpoints.limits.faults;
                inner = Some(faults);
                if faults.admit(peer.address.ip(), &path, Instant::now()) {
                    let body = read_body(Request::new(body)).await.unwrap_or_default();
                    fault::answer(endpoints, endpoint, kind, operation, &body)
                } else {
                    // Without a full stop, unlike the other limit.
                    throttled("You have reached maximum request limit")
                }
            }
        }
    };
    let mut response = answer.into_response();
    add_headers(&mut response, limiter, &peer, &forwarded);
    if let Some(inner) = inner {
        add_headers(&mut response, inner, &peer, &forwarded);
    }
    response
}

fn throttled(text: &'static str) -> Answer {
    Answer::new(StatusCode::TOO_MANY_REQUESTS, TEXT, text)
}

fn add_headers(response: &mut Response<Full<Bytes>>, limiter: &Limiter, peer: &Peer, forwarded: &HeaderValue) {
    let headers = response.headers_mut();
    headers.append(LIMIT, limiter.header());
    headers.append(DURATION, HeaderValue::from_static("1"));
    headers.append(FORWARDED_FOR, forwarded.clone());
    headers.append(REMOTE, peer.header.clone());
}

/// Neither limited nor logged.
fn moved(cleaned: &str, query: Option<&str>) -> Answer {
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    let mut answer = Answer::empty(StatusCode::MOVED_PERMANENTLY);
    let target = HeaderValue::from_str(&format!("{}{query}", route::encode(cleaned)));
    answer.headers.extend(target.ok().map(|target| (LOCATION, target)));
    answer
}

fn audit(
    endpoints: &Endpoints,
    peer: &Peer,
    parts: &http::request::Parts,
    path: &str,
    status: StatusCode,
    held: Option<&Held>,
) {
    let instance = endpoints.published.instance();
    let granted = held.map(|held| Granted {
        task: held.task.as_str(),
        kind: held.kind,
        cluster: metadata::place(endpoints, instance.as_ref()).cluster,
        instance: instance.as_ref().and_then(|view| view.instance.as_ref()).map(AsRef::as_ref).unwrap_or_default(),
    });
    let entry = Entry {
        status: status.as_u16(),
        peer: peer.address,
        path,
        user_agent: parts.headers.get(USER_AGENT).and_then(|name| name.to_str().ok()).unwrap_or_default(),
        granted,
    };
    endpoints.audit.note(&entry, Timestamp::now());
}
