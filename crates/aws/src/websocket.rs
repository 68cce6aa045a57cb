//! Opening the ACS and TCS websockets: a signed handshake over our own connection (spec 10 §2.3).
//!
//! The handshake is spoken with hyper, because a refusal's body matters (it names the reason) and arrives in
//! its own time; the frames are tungstenite's.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

pub use tokio_tungstenite::tungstenite;

use crate::connect::{ConnectError, Connector, TlsOrTcpStream, chain};
use crate::credentials::{CredentialsError, CredentialsSource};
use crate::sign::{SignError, Signing};

/// The reference's limit for dialling and for the handshake.
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(30);

/// Largest message accepted. Payloads are far below; the reference has no limit.
pub const MAX_MESSAGE: usize = 16 * 1024 * 1024;

/// How much of a refusal's body is kept.
const MAX_REFUSAL: usize = 1024;

/// An open session.
pub type WebSocket = WebSocketStream<TlsOrTcpStream>;

/// What a handshake is signed with.
#[derive(Clone, Debug)]
pub struct HandshakeSigning {
    pub credentials: CredentialsSource,
    pub region: String,
}

/// Why a session did not open.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    #[error(transparent)]
    Sign(#[from] SignError),
    #[error("websocket client: unable to dial {host}: no answer within {after:?}")]
    Timeout { host: String, after: Duration },
    /// The service answered, but not with a websocket. `body` holds its first 1024 bytes: an envelope that
    /// names the reason, for example `InactiveInstanceException`.
    #[error("websocket client: unable to dial {host} response: {body}: websocket: bad handshake")]
    Refused { host: String, status: u16, body: String },
    #[error("websocket client: unable to dial {host}: {reason}")]
    Protocol { host: String, reason: String },
}

/// Dials `url` (`ws` or `wss`), signs and performs the handshake, all within `deadline`.
///
/// # Errors
/// See [`HandshakeError`].
pub async fn open_websocket(
    connector: &Connector,
    url: &str,
    signing: &HandshakeSigning,
    deadline: Duration,
) -> Result<WebSocket, HandshakeError> {
    let uri: Uri = url.parse().map_err(|_| ConnectError::Address { uri: url.to_owned() })?;
    let host = uri.authority().map(ToString::to_string).unwrap_or_default();
    tokio::time::timeout(deadline, open(connector, &uri, url, &host, signing))
        .await
        .unwrap_or(Err(HandshakeError::Timeout { host, after: deadline }))
}

/// The headers that authorise a handshake: `authorization`, `x-amz-date` and, with a session token,
/// `x-amz-security-token`. Signs exactly these and `host`, which is the URL's authority as it stands.
///
/// # Errors
/// When `url` cannot be parsed.
pub fn handshake_headers(
    url: &str,
    credentials: &crate::Credentials,
    region: &str,
    now: Timestamp,
) -> Result<Vec<(String, String)>, SignError> {
    let host = url.parse::<Uri>().ok().and_then(|uri| uri.authority().map(ToString::to_string)).unwrap_or_default();
    Signing { credentials, region, service: "ecs", now }.headers("GET", url, &[("host", &host)], b"")
}

async fn open(
    connector: &Connector,
    uri: &Uri,
    url: &str,
    host: &str,
    signing: &HandshakeSigning,
) -> Result<WebSocket, HandshakeError> {
    let protocol = |reason: String| HandshakeError::Protocol { host: host.to_owned(), reason };
    let credentials = signing.credentials.credentials().await?;
    let stream = connector.connect(uri).await?;
    let key = generate_key();
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let mut request = Request::get(target)
        .header(header::HOST, host)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, &key);
    for (name, value) in handshake_headers(url, &credentials, &signing.region, Timestamp::now())? {
        let mut value = HeaderValue::try_from(value).map_err(|error| protocol(error.to_string()))?;
        value.set_sensitive(name != "x-amz-date");
        request = request.header(name, value);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| protocol(error.to_string()))?;

    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .title_case_headers(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| protocol(chain(&error)))?;
    // Ends with the handshake: by upgrade, by refusal, or when this future is dropped at the deadline.
    tokio::spawn(connection.with_upgrades());
    let mut response = sender.send_request(request).await.map_err(|error| protocol(chain(&error)))?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while body.len() < MAX_REFUSAL
            && let Some(Ok(frame)) = response.frame().await
        {
            body.extend(frame.into_data().unwrap_or_default());
        }
        body.truncate(MAX_REFUSAL);
        let body = String::from_utf8_lossy(&body).into_owned();
        return Err(HandshakeError::Refused { host: host.to_owned(), status, body });
    }
    if !accepts(response.headers(), &key) {
        return Err(protocol("not a websocket answer".to_owned()));
    }
    let upgraded = hyper::upgrade::on(&mut response).await.map_err(|error| protocol(chain(&error)))?;
    let parts = upgraded
        .downcast::<TokioIo<TlsOrTcpStream>>()
        .map_err(|_| protocol("upgrade yielded another connection".to_owned()))?;
    let config = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
    let stream = parts.io.into_inner();
    Ok(WebSocketStream::from_partially_read(stream, parts.read_buf.to_vec(), Role::Client, Some(config)).await)
}

fn accepts(headers: &HeaderMap, key: &str) -> bool {
    let is = |name: header::HeaderName, wanted: &str| {
        headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .is_some_and(|v| v.split(',').any(|token| token.trim().eq_ignore_ascii_case(wanted)))
    };
    let accepted = headers.get(header::SEC_WEBSOCKET_ACCEPT).and_then(|v| v.to_str().ok());
    is(header::UPGRADE, "websocket")
        && is(header::CONNECTION, "upgrade")
        && accepted == Some(derive_accept_key(key.as_bytes()).as_str())
}

#[cfg(test)]
mod tests;
