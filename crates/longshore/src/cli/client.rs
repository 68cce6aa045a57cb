//! Calls to the control plane over loopback HTTP: its ECS API, and the routes that only Longshore has.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Failure;

/// No call of ours takes longer on loopback.
const DEADLINE: Duration = Duration::from_secs(30);

/// A control plane.
#[derive(Clone)]
pub(crate) struct Client {
    endpoint: String,
    http: hyper_util::client::legacy::Client<HttpConnector, Full<Bytes>>,
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    #[error("cannot reach the control plane at {endpoint}: {why}")]
    Unreachable { endpoint: String, why: String },
    /// The API's own error.
    #[error("{message}")]
    Refused { code: String, message: String, status: u16 },
    #[error("{endpoint} does not answer as Longshore's control plane does: {why}")]
    Foreign { endpoint: String, why: String },
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let failure = Self::new(error.to_string());
        match error {
            CallError::Unreachable { .. } => failure.next("Start one with `longshore local`."),
            CallError::Foreign { .. } => failure.next("Name the one that `longshore local` prints: --endpoint URL"),
            CallError::Refused { .. } => failure,
        }
    }
}

impl Client {
    /// A client for `http://HOST:PORT`.
    pub(crate) fn new(endpoint: &str) -> Result<Self, Failure> {
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let is_fine = endpoint.parse::<Uri>().is_ok_and(|uri| uri.scheme_str() == Some("http") && uri.host().is_some());
        if !is_fine {
            return Err(Failure::usage(format!("'{endpoint}' is no endpoint of `longshore local`"))
                .next("It looks like http://127.0.0.1:51670."));
        }
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        Ok(Self { endpoint, http })
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Calls an operation of the ECS API.
    pub(crate) async fn call(&self, operation: &str, body: &Value) -> Result<Value, CallError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/", self.endpoint))
            .header("x-amz-target", format!("AmazonEC2ContainerServiceV20141113.{operation}"))
            .header("content-type", wire::ecs::CONTENT_TYPE)
            .body(Full::from(body.to_string()));
        self.whole(request).await
    }

    /// Reads one of Longshore's own routes, such as `/longshore/v1/tasks`.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CallError> {
        let value =
            self.whole(Request::builder().uri(format!("{}{path}", self.endpoint)).body(Full::default())).await?;
        serde_json::from_value(value).map_err(|error| self.foreign(error))
    }

    /// Has one of Longshore's own routes do something, which may take as long as `deadline`.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, deadline: Duration) -> Result<T, CallError> {
        let request = Request::builder().method(Method::POST).uri(format!("{}{path}", self.endpoint));
        let value = self.whole_within(deadline, request.body(Full::default())).await?;
        serde_json::from_value(value).map_err(|error| self.foreign(error))
    }

    /// Follows a route that answers line by line.
    pub(crate) async fn follow(&self, path: &str) -> Result<Lines, CallError> {
        let request = Request::builder().uri(format!("{}{path}", self.endpoint)).body(Full::default());
        let answer = self.send(request).await?;
        if answer.status() != StatusCode::OK {
            return Err(self.foreign(answer.status()));
        }
        Ok(Lines { body: answer.into_body(), buffer: BytesMut::new() })
    }

    async fn whole(&self, request: http::Result<Request<Full<Bytes>>>) -> Result<Value, CallError> {
        self.whole_within(DEADLINE, request).await
    }

    async fn whole_within(
        &self,
        deadline: Duration,
        request: http::Result<Request<Full<Bytes>>>,
    ) -> Result<Value, CallError> {
        let exchange = async {
            let answer = self.send(request).await?;
            let status = answer.status();
            let body = answer.into_body().collect().await.map_err(|error| self.unreachable(error))?.to_bytes();
            let value: Value = match serde_json::from_slice(&body) {
                Ok(value) => value,
                Err(_) => return Err(self.foreign(format!("{status} {}", String::from_utf8_lossy(&body).trim()))),
            };
            if status.is_success() {
                return Ok(value);
            }
            let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            Err(CallError::Refused { code: text("__type"), message: text("message"), status: status.as_u16() })
        };
        match tokio::time::timeout(deadline, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.unreachable(format!("no answer within {deadline:?}"))),
        }
    }

    async fn send(&self, request: http::Result<Request<Full<Bytes>>>) -> Result<http::Response<Incoming>, CallError> {
        let request = request.map_err(|error| self.unreachable(error))?;
        self.http.request(request).await.map_err(|error| {
            let cause = std::error::Error::source(&error).and_then(std::error::Error::source);
            self.unreachable(cause.map_or_else(|| error.to_string(), ToString::to_string))
        })
    }

    fn unreachable(&self, why: impl ToString) -> CallError {
        CallError::Unreachable { endpoint: self.endpoint.clone(), why: why.to_string() }
    }

    fn foreign(&self, why: impl ToString) -> CallError {
        CallError::Foreign { endpoint: self.endpoint.clone(), why: why.to_string() }
    }
}

/// An answer line by line.
pub(crate) struct Lines {
    body: Incoming,
    buffer: BytesMut,
}

impl Lines {
    /// The next line; `None` when the other end closed. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end).freeze();
                self.buffer.advance(1);
                return Some(line);
            }
            let frame = self.body.frame().await?.ok()?;
            if let Some(data) = frame.data_ref() {
                self.buffer.extend_from_slice(data);
            }
        }
    }
}
