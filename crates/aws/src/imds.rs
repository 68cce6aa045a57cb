//! The EC2 instance metadata service, version 2 with a fall-back to version 1 (spec 10 §1.4).
//!
//! Never goes through a proxy: the address is link-local.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::Lookup;
use crate::connect::{ConnectError, Connector, ConnectorOptions};
use crate::credentials::Credentials;
use crate::http::{HttpClient, HttpError};

const TOKEN_LIFE: Duration = Duration::from_secs(300);
const DIAL: Duration = Duration::from_millis(250);
const ANSWER: Duration = Duration::from_millis(500);
const OPERATION: Duration = Duration::from_secs(5);
const MAX_ANSWER: usize = 1024 * 1024;

/// What can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataItem {
    InstanceId,
    Region,
    AvailabilityZoneId,
    PrimaryMac,
    Macs,
    VpcId { mac: String },
    SubnetId { mac: String },
    LocalIpv4,
    PublicIpv4,
    Ipv6,
    SpotInstanceAction,
    OutpostArn,
    TargetLifecycleState,
    IdentityDocument,
    IdentitySignature,
    UserData,
}

impl MetadataItem {
    fn path(&self) -> String {
        const INTERFACES: &str = "/latest/meta-data/network/interfaces/macs";
        match self {
            Self::InstanceId => "/latest/meta-data/instance-id".into(),
            Self::Region => "/latest/meta-data/placement/region".into(),
            Self::AvailabilityZoneId => "/latest/meta-data/placement/availability-zone-id".into(),
            Self::PrimaryMac => "/latest/meta-data/mac".into(),
            Self::Macs => INTERFACES.into(),
            Self::VpcId { mac } => format!("{INTERFACES}/{mac}/vpc-id"),
            Self::SubnetId { mac } => format!("{INTERFACES}/{mac}/subnet-id"),
            Self::LocalIpv4 => "/latest/meta-data/local-ipv4".into(),
            Self::PublicIpv4 => "/latest/meta-data/public-ipv4".into(),
            Self::Ipv6 => "/latest/meta-data/ipv6".into(),
            Self::SpotInstanceAction => "/latest/meta-data/spot/instance-action".into(),
            Self::OutpostArn => "/latest/meta-data/outpost-arn".into(),
            Self::TargetLifecycleState => "/latest/meta-data/autoscaling/target-lifecycle-state".into(),
            Self::IdentityDocument => "/latest/dynamic/instance-identity/document".into(),
            Self::IdentitySignature => "/latest/dynamic/instance-identity/signature".into(),
            Self::UserData => "/latest/user-data".into(),
        }
    }

    /// Whether an answer holds for the life of the process.
    const fn is_constant(&self) -> bool {
        matches!(
            self,
            Self::InstanceId
                | Self::Region
                | Self::AvailabilityZoneId
                | Self::PrimaryMac
                | Self::VpcId { .. }
                | Self::SubnetId { .. }
                | Self::IdentityDocument
                | Self::UserData
        )
    }
}

/// Why there is no metadata.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImdsError {
    /// Switched off for this process; callers look for this text.
    #[error("blackholed")]
    Blackholed,
    #[error("access disabled to EC2 IMDS via client option, or \"AWS_EC2_METADATA_DISABLED\" environment variable")]
    Disabled,
    #[error("{path}: not found")]
    NotFound { path: String },
    #[error("{path}: HTTP status {status}")]
    Status { path: String, status: u16 },
    #[error("{path}: {reason}")]
    Unreachable { path: String, reason: String },
    #[error("{path}: no answer in time")]
    Timeout { path: String },
    #[error("{path}: unexpected answer: {reason}")]
    Unexpected { path: String, reason: String },
}

impl ImdsError {
    /// Whether another attempt may succeed.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } => true,
            Self::Status { status, .. } => *status >= 500 || *status == 429 || *status == 401,
            Self::Blackholed | Self::Disabled | Self::NotFound { .. } | Self::Unexpected { .. } => false,
        }
    }
}

/// The metadata client. Cheap to clone; clones share token and cache.
#[derive(Clone, Debug)]
pub struct Imds {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    mode: Mode,
    base: String,
    v1_disabled: bool,
    http: HttpClient,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Enabled,
    Disabled,
    Blackholed,
}

#[derive(Debug, Default)]
struct State {
    token: Option<Token>,
    /// The service said that it has no tokens; until it demands one after all.
    without_tokens: bool,
    constants: BTreeMap<String, String>,
}

#[derive(Clone)]
struct Token {
    value: http::HeaderValue,
    renew: Instant,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

impl Imds {
    /// The service at its usual address or where the SDK's variables say.
    pub fn from_vars(lookup: Lookup<'_>) -> Self {
        let is_true = |name: &str| lookup(name).is_some_and(|v| v.eq_ignore_ascii_case("true"));
        let mode = if is_true("AWS_EC2_METADATA_DISABLED") { Mode::Disabled } else { Mode::Enabled };
        let ipv6 = lookup("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE").is_some_and(|v| v.eq_ignore_ascii_case("ipv6"));
        let usual = if ipv6 { "http://[fd00:ec2::254]" } else { "http://169.254.169.254" };
        let base = lookup("AWS_EC2_METADATA_SERVICE_ENDPOINT").filter(|v| !v.is_empty());
        Self::new(mode, base.as_deref().unwrap_or(usual), is_true("AWS_EC2_METADATA_V1_DISABLED"))
    }

    /// Answers every question with [`ImdsError::Blackholed`] (flag `-blackhole-ec2-metadata`, external mode).
    pub fn blackholed() -> Self {
        Self::new(Mode::Blackholed, "", false)
    }

    fn new(mode: Mode, base: &str, v1_disabled: bool) -> Self {
        let connector = Connector::new(ConnectorOptions { dial: DIAL, ..ConnectorOptions::default() });
        let inner = Inner {
            mode,
            base: base.trim_end_matches('/').to_owned(),
            v1_disabled,
            http: HttpClient::new(connector),
            state: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Whether this client was made by [`Imds::blackholed`].
    pub fn is_blackholed(&self) -> bool {
        self.inner.mode == Mode::Blackholed
    }

    /// One attempt to read `item`, within 5 s. Constant items are remembered.
    ///
    /// # Errors
    /// See [`ImdsError`].
    pub async fn get(&self, item: &MetadataItem) -> Result<String, ImdsError> {
        let path = item.path();
        if item.is_constant()
            && let Some(known) = self.state(|state| state.constants.get(&path).cloned())
        {
            return Ok(known);
        }
        let text = self.get_path(&path).await?;
        if item.is_constant() {
            self.state(|state| state.constants.insert(path, text.clone()));
        }
        Ok(text)
    }

    /// [`Imds::get`] up to 5 times, with short pauses, while the failure is a passing one.
    ///
    /// # Errors
    /// The last attempt's.
    pub async fn get_patiently(&self, item: &MetadataItem) -> Result<String, ImdsError> {
        let mut pause = Duration::from_millis(100);
        for _ in 0..4 {
            match self.get(item).await {
                Err(error) if error.is_retryable() => tokio::time::sleep(pause).await,
                settled => return settled,
            }
            pause *= 2;
        }
        self.get(item).await
    }

    /// The credentials of the instance's role. Expired ones, which the service hands out while it cannot
    /// renew them, are given ten more minutes: the control plane often still takes them.
    ///
    /// # Errors
    /// See [`ImdsError`]; without a role [`ImdsError::NotFound`].
    pub async fn role_credentials(&self, now: Timestamp) -> Result<Credentials, ImdsError> {
        const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
        let roles = self.get_path(ROLES).await?;
        let role = roles.lines().next().unwrap_or_default().trim();
        if role.is_empty() {
            return Err(ImdsError::NotFound { path: ROLES.to_owned() });
        }
        let path = format!("{ROLES}{role}");
        let body = self.get_path(&path).await?;
        let unexpected = |reason: String| ImdsError::Unexpected { path: path.clone(), reason };
        // The parser's text could quote the secret; its position says enough.
        let found: RoleCredentials = serde_json::from_str(&body)
            .map_err(|error| unexpected(format!("not credentials at column {}", error.column())))?;
        if found.code != "Success" {
            return Err(unexpected(format!("{}: {}", found.code, found.message)));
        }
        let mut credentials = Credentials::new(found.access_key_id, found.secret_access_key, Some(found.token));
        let expires: Option<Timestamp> = found.expiration.parse().ok();
        credentials.expires = match expires {
            Some(at) if at <= now => now.checked_add(SignedDuration::from_mins(10)).ok(),
            other => other,
        };
        Ok(credentials)
    }

    async fn get_path(&self, path: &str) -> Result<String, ImdsError> {
        match self.inner.mode {
            Mode::Blackholed => return Err(ImdsError::Blackholed),
            Mode::Disabled => return Err(ImdsError::Disabled),
            Mode::Enabled => {}
        }
        tokio::time::timeout(OPERATION, self.exchange(path))
            .await
            .unwrap_or_else(|_| Err(ImdsError::Timeout { path: path.to_owned() }))
    }

    async fn exchange(&self, path: &str) -> Result<String, ImdsError> {
        let token = self.token().await?;
        let mut response = self.ask(path, token.as_ref()).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            self.state(|state| (state.token, state.without_tokens) = (None, false));
            let token = self.token().await?;
            response = self.ask(path, token.as_ref()).await?;
        }
        let path = path.to_owned();
        match response.status() {
            StatusCode::OK => String::from_utf8(response.into_body().to_vec())
                .map_err(|_| ImdsError::Unexpected { path, reason: "not text".to_owned() }),
            StatusCode::NOT_FOUND => Err(ImdsError::NotFound { path }),
            status => Err(ImdsError::Status { path, status: status.as_u16() }),
        }
    }

    /// A valid token; None to go on without (version 1).
    async fn token(&self) -> Result<Option<http::HeaderValue>, ImdsError> {
        const PATH: &str = "/latest/api/token";
        const LIFE_HEADER: &str = "x-aws-ec2-metadata-token-ttl-seconds";
        let now = Instant::now();
        let (held, without) = self.state(|state| {
            let held = state.token.as_ref().filter(|token| now < token.renew).map(|token| token.value.clone());
            (held, state.without_tokens)
        });
        if held.is_some() || without {
            return Ok(held);
        }
        let request = Request::builder().method(Method::PUT).header(LIFE_HEADER, TOKEN_LIFE.as_secs().to_string());
        let failure = match self.send(PATH, request).await {
            Ok(response) if response.status() == StatusCode::OK => {
                let life = response.headers().get(LIFE_HEADER).and_then(|v| v.to_str().ok()?.parse().ok());
                let life = life.map_or(TOKEN_LIFE, Duration::from_secs);
                let mut value = http::HeaderValue::from_maybe_shared(response.into_body())
                    .map_err(|_| ImdsError::Unexpected { path: PATH.to_owned(), reason: "not a token".to_owned() })?;
                value.set_sensitive(true);
                let token = Token { value: value.clone(), renew: now + life.mul_f32(0.9) };
                self.state(|state| state.token = Some(token));
                return Ok(Some(value));
            }
            Ok(response) => {
                let status = response.status().as_u16();
                if matches!(status, 403..=405) && !self.inner.v1_disabled {
                    self.state(|state| state.without_tokens = true);
                    return Ok(None);
                }
                ImdsError::Status { path: PATH.to_owned(), status }
            }
            Err(error) => error,
        };
        // No answer in time is typical of a container one network hop too far for tokens; no connection at
        // all will not come about by asking in the older way.
        match failure {
            ImdsError::Timeout { .. } if !self.inner.v1_disabled => Ok(None),
            failure => Err(failure),
        }
    }

    async fn ask(&self, path: &str, token: Option<&http::HeaderValue>) -> Result<Response<Bytes>, ImdsError> {
        let mut request = Request::builder().method(Method::GET);
        if let Some(token) = token {
            request = request.header("x-aws-ec2-metadata-token", token);
        }
        self.send(path, request).await
    }

    async fn send(&self, path: &str, request: http::request::Builder) -> Result<Response<Bytes>, ImdsError> {
        let unreachable = |reason: String| ImdsError::Unreachable { path: path.to_owned(), reason };
        let uri: Uri = format!("{}{path}", self.inner.base).parse().map_err(|_| unreachable("bad address".into()))?;
        let request = request.uri(uri).body(Bytes::new()).map_err(|error| unreachable(error.to_string()))?;
        match tokio::time::timeout(DIAL + ANSWER, self.inner.http.send(request, MAX_ANSWER)).await {
            Err(_) => Err(ImdsError::Timeout { path: path.to_owned() }),
            Ok(Err(HttpError::Connect(ConnectError::DialTimeout { to }))) => {
                Err(unreachable(format!("dial {to}: i/o timeout")))
            }
            Ok(Err(error)) => Err(unreachable(error.to_string())),
            Ok(Ok(response)) => Ok(response),
        }
    }

    fn state<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.inner.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RoleCredentials {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    access_key_id: String,
    #[serde(default)]
    secret_access_key: String,
    #[serde(default)]
    token: String,
    #[serde(default)]
    expiration: String,
}

#[cfg(test)]
mod tests;
