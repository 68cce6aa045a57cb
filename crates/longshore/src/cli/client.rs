//! Calls over loopback HTTP to the control plane, its ECS API and the routes that only Longshore has, or over a unix
//! socket to an agent, which has these routes alone.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::header::HOST;
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::Failure;

/// No call of ours takes longer on this machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// How an endpoint on a socket begins.
const ON_SOCKET: &str = "unix://";

/// A control plane, or an agent.
#[derive(Clone)]
pub(crate) struct Client {
    endpoint: String,
    place: Place,
}

#[derive(Clone)]
enum Place {
    /// `HOST:PORT`.
    Port(String),
    Socket(PathBuf),
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    #[error("cannot reach {} at {endpoint}: {why}", role(endpoint))]
    Unreachable { endpoint: String, why: String },
    /// The API's own error.
    #[error("{message}")]
    Refused { code: String, message: String, status: u16 },
    #[error("{endpoint} does not answer as Longshore's control plane does: {why}")]
    Foreign { endpoint: String, why: String },
}

fn role(endpoint: &str) -> &'static str {
    if endpoint.starts_with(ON_SOCKET) { "the agent" } else { "the control plane" }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let failure = Self::new(error.to_string());
        match error {
            CallError::Unreachable { endpoint, .. } if endpoint.starts_with(ON_SOCKET) => failure,
            CallError::Unreachable { .. } => failure.next("Start one with `longshore local`."),
            CallError::Foreign { .. } => failure.next("Name the one that `longshore local` prints: --endpoint URL"),
            CallError::Refused { .. } => failure,
        }
    }
}

impl Client {
    /// A client for `http://HOST:PORT` or `unix:///PATH`.
    pub(crate) fn new(endpoint: &str) -> Result<Self, Failure> {
        if let Some(path) = endpoint.strip_prefix(ON_SOCKET).filter(|path| path.starts_with('/')) {
            return Ok(Self::on_socket(Path::new(path)));
        }
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let uri = endpoint.parse::<Uri>().ok().filter(|uri| uri.scheme_str() == Some("http"));
        let host = uri.as_ref().and_then(Uri::host);
        let Some(host) = host else {
            return Err(Failure::usage(format!("'{endpoint}' is no endpoint of `longshore local` or `agent`"))
                .next("It looks like http://127.0.0.1:51670, or like unix:///var/lib/ecs/data/longshore.sock."));
        };
        let port = uri.as_ref().and_then(Uri::port_u16).unwrap_or(80);
        let place = Place::Port(format!("{host}:{port}"));
        Ok(Self { endpoint, place })
    }

    /// A client for an agent's own socket.
    pub(crate) fn on_socket(path: &Path) -> Self {
        Self { endpoint: format!("{ON_SOCKET}{}", path.display()), place: Place::Socket(path.to_owned()) }
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Whether an agent answers, which has no ECS API.
    pub(crate) const fn is_agent(&self) -> bool {
        matches!(self.place, Place::Socket(_))
    }

    /// Calls an operation of the ECS API.
    pub(crate) async fn call(&self, operation: &str, body: &Value) -> Result<Value, CallError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri("/")
            .header("x-amz-target", format!("AmazonEC2ContainerServiceV20141113.{operation}"))
            .header("content-type", wire::ecs::CONTENT_TYPE)
            .body(Full::from(body.to_string()));
        self.whole(request).await
    }

    /// Reads one of Longshore's own routes, such as `/longshore/v1/tasks`.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CallError> {
        let value = self.whole(Request::builder().uri(path).body(Full::default())).await?;
        serde_json::from_value(value).map_err(|error| self.foreign(error))
    }

    /// Has one of Longshore's own routes do something, which may take as long as `deadline`.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, deadline: Duration) -> Result<T, CallError> {
        let request = Request::builder().method(Method::POST).uri(path);
        let value = self.whole_within(deadline, request.body(Full::default())).await?;
        serde_json::from_value(value).map_err(|error| self.foreign(error))
    }

    /// Follows a route that answers line by line.
    pub(crate) async fn follow(&self, path: &str) -> Result<Lines, CallError> {
        let request = Request::builder().uri(path).body(Full::default());
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
        match &self.place {
            Place::Port(address) => {
                let stream = TcpStream::connect(address).await.map_err(|error| self.unreachable(error))?;
                self.exchange(stream, address, request).await
            }
            Place::Socket(path) => {
                let stream = UnixStream::connect(path).await.map_err(|error| self.unreachable(error))?;
                self.exchange(stream, "localhost", request).await
            }
        }
    }

    /// One call on a connection of its own: on this machine one costs next to nothing.
    async fn exchange<S>(
        &self,
        stream: S,
        host: &str,
        mut request: Request<Full<Bytes>>,
    ) -> Result<http::Response<Incoming>, CallError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let host = HeaderValue::from_str(host).map_err(|error| self.unreachable(error))?;
        request.headers_mut().insert(HOST, host);
        let opened = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = opened.map_err(|error| self.unreachable(error))?;
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(|error| self.unreachable(error))
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
