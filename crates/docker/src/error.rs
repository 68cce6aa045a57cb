//! What can go wrong in a call, sorted by what the caller does about it.

use std::fmt;
use std::io;
use std::time::Duration;

use wire::docker::InvalidReference;

/// A call that failed: what was done, to what, and why. `Display` is for logs; what users of the reference would
/// read is [`Error::reference_text`].
#[derive(Debug)]
pub struct Error {
    operation: &'static str,
    target: String,
    cause: Cause,
}

/// Sorts errors by what can be done about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    NotFound,
    Conflict,
    BadRequest,
    /// Credentials are missing or not enough.
    Denied,
    /// The daemon failed (5xx).
    Server,
    /// The deadline passed; the daemon may still do it.
    Timeout,
    /// A pull sent no progress in time.
    BeginTimeout,
    /// A stream went silent.
    Inactive,
    /// Nobody listens, or not for us: nothing was done.
    Unreachable,
    /// The connection broke during the call; the daemon may have done it.
    Disconnected,
    /// This daemon cannot do it, or no version of the API is spoken by both.
    Unsupported,
    /// The answer made no sense.
    Malformed,
    Other,
}

#[derive(Debug)]
pub(crate) enum Cause {
    /// Not 2xx or 3xx; the message is the daemon's.
    Daemon {
        status: u16,
        message: String,
    },
    /// Not 2xx or 3xx, without a word.
    Mute {
        status: u16,
        url: String,
    },
    /// An error line inside an answer that had begun well.
    InStream {
        code: i64,
        message: String,
    },
    /// No object has an empty name; asking the daemon would list instead.
    NoName(&'static str),
    Unreachable {
        endpoint: String,
        source: io::Error,
    },
    Disconnected {
        method: String,
        url: String,
        detail: String,
    },
    Deadline(Duration),
    Begin(Duration),
    Inactive(Duration),
    Malformed(String),
    Unsupported(String),
    Reference(InvalidReference),
    Endpoint(String),
}

impl Error {
    pub(crate) fn new(operation: &'static str, target: impl Into<String>, cause: Cause) -> Self {
        Self { operation, target: target.into(), cause }
    }

    /// What was done, such as `create container`.
    pub const fn operation(&self) -> &'static str {
        self.operation
    }

    /// To what: a name or id, possibly empty.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The daemon's HTTP status, if it answered with an error.
    pub const fn status(&self) -> Option<u16> {
        match self.cause {
            Cause::Daemon { status, .. } | Cause::Mute { status, .. } => Some(status),
            _ => None,
        }
    }

    pub const fn kind(&self) -> Kind {
        match &self.cause {
            Cause::Daemon { status, .. } | Cause::Mute { status, .. } => match status {
                404 => Kind::NotFound,
                409 => Kind::Conflict,
                400 => Kind::BadRequest,
                401 | 403 => Kind::Denied,
                500.. => Kind::Server,
                _ => Kind::Other,
            },
            Cause::InStream { code: 401 | 403, .. } => Kind::Denied,
            Cause::InStream { code: 404, .. } | Cause::NoName(_) => Kind::NotFound,
            Cause::InStream { .. } => Kind::Other,
            Cause::Unreachable { .. } => Kind::Unreachable,
            Cause::Disconnected { .. } => Kind::Disconnected,
            Cause::Deadline(_) => Kind::Timeout,
            Cause::Begin(_) => Kind::BeginTimeout,
            Cause::Inactive(_) => Kind::Inactive,
            Cause::Malformed(_) => Kind::Malformed,
            Cause::Unsupported(_) => Kind::Unsupported,
            Cause::Reference(_) | Cause::Endpoint(_) => Kind::BadRequest,
        }
    }

    /// The limit that passed, for the three kinds of time-out.
    pub const fn limit(&self) -> Option<Duration> {
        match self.cause {
            Cause::Deadline(limit) | Cause::Begin(limit) | Cause::Inactive(limit) => Some(limit),
            _ => None,
        }
    }

    /// The text that the reference shows after `CannotStartContainerError: ` and its like (spec 20 §7.6).
    pub fn reference_text(&self) -> String {
        self.cause.to_string()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.operation)?;
        if !self.target.is_empty() {
            write!(f, " {}", self.target)?;
        }
        write!(f, ": {}", self.cause)?;
        match &self.cause {
            Cause::Unreachable { source, .. } => write!(f, " ({source})"),
            Cause::Deadline(limit) | Cause::Begin(limit) | Cause::Inactive(limit) => write!(f, " (after {limit:?})"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.cause {
            Cause::Unreachable { source, .. } => Some(source),
            Cause::Reference(source) => Some(source),
            _ => None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Daemon { message, .. } => write!(f, "Error response from daemon: {message}"),
            Self::Mute { status, url } => {
                let text = http::StatusCode::from_u16(*status).ok().and_then(|status| status.canonical_reason());
                write!(
                    f,
                    "request returned {} for API route and version {url}, check if the server supports the requested API version",
                    text.unwrap_or_default()
                )
            }
            Self::InStream { message, .. } | Self::Malformed(message) | Self::Unsupported(message) => {
                f.write_str(message)
            }
            Self::NoName(object) => write!(f, "Error: No such {object}: "),
            Self::Unreachable { endpoint, source } if source.kind() == io::ErrorKind::PermissionDenied => {
                write!(f, "permission denied while trying to connect to the Docker daemon socket at {endpoint}")
            }
            Self::Unreachable { endpoint, .. } => {
                write!(f, "Cannot connect to the Docker daemon at {endpoint}. Is the docker daemon running?")
            }
            Self::Disconnected { method, url, detail } => {
                write!(f, "error during connect: {method} \"{url}\": {detail}")
            }
            Self::Deadline(_) | Self::Begin(_) => f.write_str("context deadline exceeded"),
            Self::Inactive(_) => f.write_str("context canceled"),
            Self::Reference(invalid) => write!(f, "{invalid}"),
            Self::Endpoint(text) => write!(f, "unable to parse docker host `{text}`"),
        }
    }
}
