//! What can go wrong with a call, and which of it may pass (spec 10 §1.6).

use std::fmt;
use std::time::Duration;

use crate::connect::ConnectError;
use crate::credentials::CredentialsError;
use crate::http::HttpError;

/// A call that has no result.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{service} {operation}: {kind}")]
pub struct CallError {
    /// For example `ECS`.
    pub service: &'static str,
    pub operation: String,
    pub kind: CallErrorKind,
}

#[derive(Clone, Debug)]
pub enum CallErrorKind {
    /// The service answered with an error.
    Service { code: String, message: String, status: u16, request_id: Option<String> },
    /// The deadline passed. Whether the service acted is unknown.
    Timeout { after: Duration },
    /// Nothing was sent.
    Connect(ConnectError),
    /// The connection broke before the answer was complete. Whether the service acted is unknown.
    Exchange { reason: String },
    /// Nothing was sent, because nothing could be signed.
    Credentials(CredentialsError),
    /// The service reported success, but in an unreadable way.
    Decode { reason: String, request_id: Option<String> },
    /// The request could not be put together.
    Encode { reason: String },
}

impl From<HttpError> for CallErrorKind {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Connect(error) => Self::Connect(error),
            HttpError::Exchange(reason) => Self::Exchange { reason },
            HttpError::TooLong { limit } => {
                Self::Decode { reason: format!("answer is longer than {limit} bytes"), request_id: None }
            }
        }
    }
}

impl fmt::Display for CallErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service { code, message, status, request_id } => {
                write!(f, "{code}: {message} (HTTP {status}")?;
                match request_id {
                    Some(id) => write!(f, ", request {id})"),
                    None => f.write_str(")"),
                }
            }
            Self::Timeout { after } => write!(f, "no answer within {after:?}"),
            Self::Connect(error) => error.fmt(f),
            Self::Exchange { reason } => write!(f, "connection broke: {reason}"),
            Self::Credentials(error) => error.fmt(f),
            Self::Decode { reason, .. } => write!(f, "unreadable answer: {reason}"),
            Self::Encode { reason } => write!(f, "request cannot be made: {reason}"),
        }
    }
}

const THROTTLING: [&str; 14] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "TooManyRequestsException",
    "ProvisionedThroughputExceededException",
    "TransactionInProgressException",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "LimitExceededException",
    "SlowDown",
    "PriorRequestNotComplete",
    "EC2ThrottledException",
];

impl CallError {
    /// The service's error code, without namespace; None when it was not the service that failed.
    pub fn code(&self) -> Option<&str> {
        match &self.kind {
            CallErrorKind::Service { code, .. } => Some(code),
            _ => None,
        }
    }

    /// The service's message; for other failures their own text.
    pub fn message(&self) -> String {
        match &self.kind {
            CallErrorKind::Service { message, .. } => message.clone(),
            other => other.to_string(),
        }
    }

    /// HTTP status of the service's error.
    pub const fn status(&self) -> Option<u16> {
        match self.kind {
            CallErrorKind::Service { status, .. } => Some(status),
            _ => None,
        }
    }

    pub fn request_id(&self) -> Option<&str> {
        match &self.kind {
            CallErrorKind::Service { request_id, .. } | CallErrorKind::Decode { request_id, .. } => {
                request_id.as_deref()
            }
            _ => None,
        }
    }

    /// The service asked for fewer requests.
    pub fn is_throttling(&self) -> bool {
        self.code().is_some_and(|code| THROTTLING.contains(&code))
    }

    /// A limit ended the attempt; such retries cost the reference twice as many tokens.
    pub const fn is_timeout(&self) -> bool {
        match &self.kind {
            CallErrorKind::Timeout { .. } => true,
            CallErrorKind::Connect(error) => error.is_timeout(),
            _ => false,
        }
    }

    /// Whether the AWS rules would try again.
    pub fn is_retryable(&self) -> bool {
        match &self.kind {
            CallErrorKind::Service { code, status, .. } => {
                matches!(status, 500 | 502 | 503 | 504)
                    || matches!(code.as_str(), "RequestTimeout" | "RequestTimeoutException")
                    || self.is_throttling()
            }
            CallErrorKind::Connect(error) => error.is_retryable(),
            CallErrorKind::Timeout { .. } | CallErrorKind::Exchange { .. } => true,
            CallErrorKind::Credentials(_) | CallErrorKind::Decode { .. } | CallErrorKind::Encode { .. } => false,
        }
    }
}
