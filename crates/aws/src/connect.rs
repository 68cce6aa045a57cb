//! The one way out: TCP, through a proxy where the rules say so, with TLS where the scheme says so.
//!
//! Knows no HTTP beyond `CONNECT`. Native root certificates are read when the first TLS connection is
//! made, not before, so that a process that talks plain HTTP starts without that cost.

mod tls;
mod tunnel;

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tower_service::Service as _;

use crate::proxy::{CgiRefusal, Proxies, Proxy, ProxyScheme, is_secure};

/// What a [`Connector`] is made of. The limits are the reference's (spec 10 §1.6).
#[derive(Clone, Debug)]
pub struct ConnectorOptions {
    pub proxies: Proxies,
    /// False after the flag `-k`: any certificate is accepted.
    pub verify_tls: bool,
    /// PEM file with the only trusted roots (`AWS_CA_BUNDLE`); else the system's.
    pub ca_bundle: Option<PathBuf>,
    /// Limit for name resolution and TCP together.
    pub dial: Duration,
    /// Limit for one TLS handshake, and for a proxy's answer.
    pub handshake: Duration,
}

impl Default for ConnectorOptions {
    fn default() -> Self {
        Self {
            proxies: Proxies::none(),
            verify_tls: true,
            ca_bundle: None,
            dial: Duration::from_secs(30),
            handshake: Duration::from_secs(10),
        }
    }
}

/// Makes connections. Cheap to clone; clones share the TLS configuration.
#[derive(Clone, Debug)]
pub struct Connector {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: ConnectorOptions,
    tls: tls::LazyTls,
    tcp: HttpConnector,
}

/// Why there is no connection.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("unsupported address {uri}")]
    Address { uri: String },
    #[error(transparent)]
    Cgi(#[from] CgiRefusal),
    /// The name does not exist: the one connection failure that the AWS rules never retry.
    #[error("lookup {host}: no such host")]
    NoSuchHost { host: String },
    #[error("dial {to}: {reason}")]
    Dial { to: String, reason: String },
    #[error("dial {to}: i/o timeout")]
    DialTimeout { to: String },
    #[error("proxy {proxy}: {reason}")]
    Proxy { proxy: String, reason: String },
    #[error("tls handshake with {host}: {reason}")]
    Tls { host: String, reason: String },
    #[error("tls handshake with {host}: timeout")]
    TlsTimeout { host: String },
    #[error("trusted certificates: {reason}")]
    Roots { reason: String },
}

impl ConnectError {
    /// Whether another attempt may succeed, by the AWS rules (spec 10 §1.6).
    pub const fn is_retryable(&self) -> bool {
        !matches!(self, Self::NoSuchHost { .. } | Self::Address { .. } | Self::Cgi(_) | Self::Roots { .. })
    }

    /// Whether a limit of the connector ended the attempt.
    pub const fn is_timeout(&self) -> bool {
        matches!(self, Self::DialTimeout { .. } | Self::TlsTimeout { .. })
    }
}

impl Connector {
    pub fn new(options: ConnectorOptions) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_secs(30)));
        tcp.set_connect_timeout(Some(options.dial));
        let tls = tls::LazyTls::new(options.verify_tls, options.ca_bundle.clone());
        Self { inner: Arc::new(Inner { options, tls, tcp }) }
    }

    /// Reads the trusted certificates now, for a caller that knows that it will need them and has something
    /// else to wait for meanwhile. Otherwise the first TLS connection does it.
    ///
    /// # Errors
    /// When there are none.
    pub async fn prepare_tls(&self) -> Result<(), ConnectError> {
        self.inner.tls.connector().await.map(drop)
    }

    /// Connects to the authority of `uri` (`http`, `https`, `ws` or `wss`).
    ///
    /// Plain `http` behind an HTTP proxy yields a connection to that proxy, which expects absolute request
    /// targets; everything else is tunnelled.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(&self, uri: &Uri) -> Result<TlsOrTcpStream, ConnectError> {
        let secure = is_secure(uri);
        let host = uri.host().unwrap_or_default();
        if host.is_empty() || !matches!(uri.scheme_str(), Some("http" | "https" | "ws" | "wss")) {
            return Err(ConnectError::Address { uri: uri.to_string() });
        }
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let stream = match self.inner.options.proxies.proxy_for(uri)? {
            None => self.dial(host, port).await?,
            Some(proxy) => {
                let forward = uri.scheme_str() == Some("http") && proxy.scheme != ProxyScheme::Socks5;
                self.through(proxy, host, port, forward).await?
            }
        };
        if secure { self.secure(stream, host).await } else { Ok(stream) }
    }

    /// The `Proxy-Authorization` value that a forwarded plain `http` request must carry.
    pub(crate) fn forward_authorization(&self, uri: &Uri) -> Option<String> {
        if uri.scheme_str() != Some("http") {
            return None;
        }
        let proxy = self.inner.options.proxies.proxy_for(uri).ok()??;
        (proxy.scheme != ProxyScheme::Socks5).then(|| proxy.authorization()).flatten()
    }

    async fn dial(&self, host: &str, port: u16) -> Result<TlsOrTcpStream, ConnectError> {
        let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
        let to = format!("{host}:{port}");
        let uri: Uri = format!("http://{to}/").parse().map_err(|_| ConnectError::Address { uri: to.clone() })?;
        let mut tcp = self.inner.tcp.clone();
        match tokio::time::timeout(self.inner.options.dial, tcp.call(uri)).await {
            Err(_) => Err(ConnectError::DialTimeout { to }),
            Ok(Ok(stream)) => Ok(TlsOrTcpStream { layer: Layer::Tcp(stream.into_inner()), forwarded: false }),
            Ok(Err(error)) => Err(classify_dial(host, to, &error)),
        }
    }

    async fn through(
        &self,
        proxy: &Proxy,
        host: &str,
        port: u16,
        forward: bool,
    ) -> Result<TlsOrTcpStream, ConnectError> {
        let mut stream = self.dial(&proxy.host, proxy.port).await?;
        if proxy.scheme == ProxyScheme::Https {
            stream = self.secure(stream, &proxy.host).await?;
        }
        if forward {
            stream.forwarded = true;
            return Ok(stream);
        }
        let failed = |reason: String| ConnectError::Proxy { proxy: format!("{}:{}", proxy.host, proxy.port), reason };
        let tunnel = tunnel::open(&mut stream, proxy, host, port);
        tokio::time::timeout(self.inner.options.handshake, tunnel)
            .await
            .map_err(|_| failed("no answer in time".to_owned()))?
            .map_err(|error| failed(error.to_string()))?;
        Ok(stream)
    }

    async fn secure(&self, stream: TlsOrTcpStream, host: &str) -> Result<TlsOrTcpStream, ConnectError> {
        let host = host.trim_matches(['[', ']']);
        let tls = self.inner.tls.connector().await?;
        let name = rustls::pki_types::ServerName::try_from(host.to_owned())
            .map_err(|_| ConnectError::Address { uri: host.to_owned() })?;
        match tokio::time::timeout(self.inner.options.handshake, tls.connect(name, stream)).await {
            Err(_) => Err(ConnectError::TlsTimeout { host: host.to_owned() }),
            Ok(Err(error)) => Err(ConnectError::Tls { host: host.to_owned(), reason: error.to_string() }),
            Ok(Ok(stream)) => Ok(TlsOrTcpStream { layer: Layer::Tls(Box::new(stream)), forwarded: false }),
        }
    }
}

/// The resolver's verdict is only in the text of its error.
fn classify_dial(host: String, to: String, error: &(dyn std::error::Error + 'static)) -> ConnectError {
    let reason = chain(error);
    if ["Name or service not known", "No address associated", "nodename nor servname"]
        .iter()
        .any(|text| reason.contains(text))
    {
        return ConnectError::NoSuchHost { host };
    }
    let mut source = Some(error);
    while let Some(error) = source {
        if error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::TimedOut) {
            return ConnectError::DialTimeout { to };
        }
        source = error.source();
    }
    ConnectError::Dial { to, reason }
}

/// An error and its causes in one line, without repeating what a cause already says.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// A connection: TCP, or any number of TLS layers over it.
#[derive(Debug)]
pub struct TlsOrTcpStream {
    layer: Layer,
    /// The peer is a forwarding HTTP proxy, not the host that was asked for.
    forwarded: bool,
}

#[derive(Debug)]
enum Layer {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TlsOrTcpStream>>),
}

impl TlsOrTcpStream {
    /// Whether the outermost layer is TLS.
    pub const fn is_tls(&self) -> bool {
        matches!(self.layer, Layer::Tls(_))
    }
}

impl Connection for TlsOrTcpStream {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.forwarded)
    }
}

impl AsyncRead for TlsOrTcpStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.layer {
            Layer::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Layer::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for TlsOrTcpStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.layer {
            Layer::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Layer::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.layer {
            Layer::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Layer::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.layer {
            Layer::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Layer::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests;
