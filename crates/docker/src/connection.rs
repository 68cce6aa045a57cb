//! Connections to the daemon: a pool for calls that end, own ones for calls that stay open.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::AbortHandle;

use crate::endpoint::Endpoint;

/// More idle connections than this are closed instead of kept.
const MAX_IDLE: usize = 32;

/// One HTTP/1.1 connection. Dropping it closes the socket at once, whatever is still being exchanged.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Why a request has no response.
pub(crate) enum SendFailure {
    /// No connection could be opened.
    Dial(std::io::Error),
    /// The connection broke before the response.
    Broken(hyper::Error),
}

/// Idle connections, the most recently used last.
#[derive(Default)]
pub(crate) struct Pool {
    idle: Mutex<Vec<Connection>>,
}

impl Pool {
    /// Sends on an idle connection if there is one, else on a new one.
    ///
    /// The daemon may have closed an idle connection a moment ago. Where the request was certainly not processed, or
    /// is one that only reads, it is sent once more on a new connection: that is still one attempt.
    pub(crate) async fn send(
        &self,
        endpoint: &Endpoint,
        request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Connection), SendFailure> {
        let Some(mut connection) = self.take_idle().await else { return send_on_new(endpoint, request).await };
        let again = (request.method() == http::Method::GET).then(|| request.clone());
        match connection.sender.try_send_request(request).await {
            Ok(response) => Ok((response, connection)),
            Err(mut failure) => match failure.take_message().or(again) {
                Some(request) => send_on_new(endpoint, request).await,
                None => Err(SendFailure::Broken(failure.into_error())),
            },
        }
    }

    /// Keeps a connection whose response was read to its end.
    pub(crate) fn keep(&self, connection: Connection) {
        if connection.sender.is_closed() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(connection);
        }
    }

    async fn take_idle(&self) -> Option<Connection> {
        loop {
            let mut connection = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            if !connection.sender.is_closed() && connection.sender.ready().await.is_ok() {
                return Some(connection);
            }
        }
    }
}

/// Opens a connection for this one request; the way of all streaming calls.
pub(crate) async fn send_on_new(
    endpoint: &Endpoint,
    request: Request<Full<Bytes>>,
) -> Result<(Response<Incoming>, Connection), SendFailure> {
    let socket = endpoint.dial().await.map_err(SendFailure::Dial)?;
    let (sender, driver) = http1::handshake(TokioIo::new(socket)).await.map_err(SendFailure::Broken)?;
    // How it ends is seen by whoever waits for the response or its body.
    let driver = tokio::spawn(async move { driver.with_upgrades().await.ok() }).abort_handle();
    let mut connection = Connection { sender, driver };
    let response = connection.sender.send_request(request).await.map_err(SendFailure::Broken)?;
    Ok((response, connection))
}
