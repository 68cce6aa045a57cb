//! Where the daemon listens.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::error::Cause;

/// A connected socket, of whatever family.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// A parsed `DOCKER_HOST`.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    text: String,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Unix(PathBuf),
    /// Host and port.
    Tcp(String),
}

impl Endpoint {
    /// Accepts `unix://PATH`, `tcp://HOST:PORT` and `http://HOST:PORT`, the latter two without TLS.
    pub(crate) fn parse(text: &str) -> Result<Self, Cause> {
        let place = match text.split_once("://") {
            Some(("unix", path)) if path.starts_with('/') => Place::Unix(path.into()),
            Some(("tcp" | "http", authority)) => {
                let authority = authority.trim_end_matches('/');
                if authority.is_empty() || authority.contains('/') {
                    return Err(Cause::Endpoint(text.to_owned()));
                }
                let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
                Place::Tcp(if has_port { authority.to_owned() } else { format!("{authority}:2375") })
            }
            _ => return Err(Cause::Endpoint(text.to_owned())),
        };
        Ok(Self { text: text.to_owned(), place })
    }

    /// As it was given.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Scheme and authority as Docker's Go client has them in its error texts: a socket's path, escaped, is the host.
    pub(crate) fn base_url(&self) -> String {
        match &self.place {
            Place::Unix(path) => {
                let mut url = "http://".to_owned();
                for byte in path.to_string_lossy().bytes() {
                    if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                        url.push(char::from(byte));
                    } else {
                        let _ = write!(url, "%{byte:02X}");
                    }
                }
                url
            }
            Place::Tcp(authority) => format!("http://{authority}"),
        }
    }

    /// What goes into the `Host` header.
    pub(crate) fn host(&self) -> &str {
        match &self.place {
            Place::Unix(_) => "docker",
            Place::Tcp(authority) => authority,
        }
    }

    pub(crate) async fn dial(&self) -> io::Result<Box<dyn Socket>> {
        Ok(match &self.place {
            Place::Unix(path) => Box::new(UnixStream::connect(path).await?),
            Place::Tcp(authority) => {
                let stream = TcpStream::connect(authority).await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn endpoints() {
        let base = |text| Endpoint::parse(text).unwrap().base_url();
        assert_eq!(base("unix:///var/run/docker.sock"), "http://%2Fvar%2Frun%2Fdocker.sock");
        assert_eq!(base("tcp://10.0.0.1"), "http://10.0.0.1:2375");
        assert_eq!(base("http://[::1]:80/"), "http://[::1]:80");
        for text in ["npipe:////./pipe/docker", "unix://relative", "/var/run/docker.sock", "tcp://", "https://x:1"] {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
    }
}
