//! HTTP/1.1 requests with connections kept alive between them. One attempt, whole bodies, a size limit;
//! deadlines are the callers'.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use crate::connect::{ConnectError, Connector, TlsOrTcpStream, chain};

/// A pool of connections over a [`Connector`]. Cheap to clone; clones share the pool.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: Client<Dial, Full<Bytes>>,
    connector: Connector,
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error(transparent)]
    Connect(ConnectError),
    /// The connection broke, or what came was not HTTP.
    #[error("{0}")]
    Exchange(String),
    #[error("answer is longer than {limit} bytes")]
    TooLong { limit: usize },
}

impl HttpClient {
    pub fn new(connector: Connector) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(std::time::Duration::from_secs(90))
            .build(Dial(connector.clone()));
        Self { client, connector }
    }

    /// Sends `request` (absolute URI) and reads at most `limit` bytes of answer.
    ///
    /// # Errors
    /// See [`HttpError`]. An answer with any status is a success.
    pub async fn send(&self, mut request: Request<Bytes>, limit: usize) -> Result<Response<Bytes>, HttpError> {
        if let Some(value) = self.connector.forward_authorization(request.uri())
            && let Ok(mut value) = HeaderValue::try_from(value)
        {
            value.set_sensitive(true);
            request.headers_mut().insert(header::PROXY_AUTHORIZATION, value);
        }
        let response = self.client.request(request.map(Full::new)).await.map_err(HttpError::from_send)?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, limit).collect().await.map_err(|error| {
            if error.downcast_ref::<LengthLimitError>().is_some() {
                HttpError::TooLong { limit }
            } else {
                HttpError::Exchange(chain(error.as_ref()))
            }
        })?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    }
}

impl HttpError {
    fn from_send(error: hyper_util::client::legacy::Error) -> Self {
        connect_error(&error).map_or_else(|| Self::Exchange(chain(&error)), Self::Connect)
    }
}

/// The pool hides the connector's error behind its own.
fn connect_error(error: &(dyn std::error::Error + 'static)) -> Option<ConnectError> {
    let mut source = Some(error);
    while let Some(cause) = source {
        if let Some(found) = cause.downcast_ref::<ConnectError>() {
            return Some(found.clone());
        }
        source = cause.source();
    }
    None
}

/// The connector in the shape that the pool wants.
#[derive(Clone, Debug)]
struct Dial(Connector);

impl tower_service::Service<Uri> for Dial {
    type Response = TokioIo<TlsOrTcpStream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.0.clone();
        Box::pin(async move { connector.connect(&uri).await.map(TokioIo::new) })
    }
}
