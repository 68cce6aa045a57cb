//! The instance's credentials: which sources are asked in which order, and a cache (spec 10 §1.5).
//!
//! The environment is read without any of the SDK's machinery, because that is the path on which the agent
//! must be quick to start. The SDK's own providers are made only when they are reached.

mod rotating;
mod sdk;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use wire::secret::Secret;

use crate::Lookup;
use crate::http::HttpClient;
use crate::imds::Imds;

/// Where ecs-init shows the host's `/root/.aws` to the agent.
pub const ROTATING_FILE: &str = "/rotatingcreds/credentials";

/// One set of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    pub access_key_id: String,
    pub secret: Secret<String>,
    pub session_token: Option<Secret<String>>,
    /// None: valid until further notice.
    pub expires: Option<Timestamp>,
}

impl Credentials {
    pub fn new(access_key_id: impl Into<String>, secret: impl Into<String>, session_token: Option<String>) -> Self {
        Self {
            access_key_id: access_key_id.into(),
            secret: Secret::new(secret.into()),
            session_token: session_token.filter(|token| !token.is_empty()).map(Secret::new),
            expires: None,
        }
    }
}

/// No source had credentials; what each said, in order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no credentials found: {}", .attempts.iter().map(|(name, why)| format!("{name}: {why}")).collect::<Vec<_>>().join("; "))]
pub struct CredentialsError {
    pub attempts: Vec<(&'static str, String)>,
}

/// Whose credentials sign a call: the instance's, or given ones (a task's role).
#[derive(Clone, Debug)]
pub enum CredentialsSource {
    Chain(CredentialsChain),
    Fixed(Arc<Credentials>),
}

impl CredentialsSource {
    /// # Errors
    /// When the chain has none.
    pub async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        match self {
            Self::Chain(chain) => chain.credentials().await,
            Self::Fixed(credentials) => Ok(credentials.as_ref().clone()),
        }
    }
}

impl From<CredentialsChain> for CredentialsSource {
    fn from(chain: CredentialsChain) -> Self {
        Self::Chain(chain)
    }
}

impl From<Credentials> for CredentialsSource {
    fn from(credentials: Credentials) -> Self {
        Self::Fixed(Arc::new(credentials))
    }
}

/// The sources in their order, with one cache. Clones share it.
#[derive(Clone, Debug)]
pub struct CredentialsChain {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    sources: Vec<Source>,
    cache: Mutex<Option<Cached>>,
}

#[derive(Clone, Debug)]
struct Cached {
    credentials: Credentials,
    source: &'static str,
    /// From then on a use looks for newer ones.
    refresh: Option<Timestamp>,
}

/// What a chain is made of besides the environment.
#[derive(Clone, Debug)]
pub struct ChainOptions {
    /// `ECS_EXTERNAL`: another order, see [`CredentialsChain::new`].
    pub external: bool,
    /// For role assumption by web identity or profile.
    pub region: Option<String>,
    pub http: HttpClient,
    pub imds: Imds,
    pub rotating_file: PathBuf,
}

#[derive(Debug)]
enum Source {
    Environment(Option<Credentials>),
    WebIdentity(Box<sdk::WebIdentity>),
    Profile(Box<sdk::Profile>),
    Container(Box<sdk::Container>),
    InstanceRole(Imds),
    Rotating(rotating::RotatingFile),
}

impl CredentialsChain {
    /// Normal order: environment, web identity, shared files, container endpoint, instance role, rotating
    /// file. External order: environment, rotating file, shared files, instance role.
    pub fn new(options: ChainOptions, lookup: Lookup<'_>) -> Self {
        let environment = Source::Environment(from_environment(lookup));
        let profile = Source::Profile(Box::new(sdk::Profile::from_vars(&options, lookup)));
        let role = Source::InstanceRole(options.imds.clone());
        let rotating = Source::Rotating(rotating::RotatingFile::from_vars(options.rotating_file.clone(), lookup));
        let sources = if options.external {
            vec![environment, rotating, profile, role]
        } else {
            let web_identity = Source::WebIdentity(Box::new(sdk::WebIdentity::from_vars(&options, lookup)));
            let container = Source::Container(Box::new(sdk::Container::from_vars(&options, lookup)));
            vec![environment, web_identity, profile, container, role, rotating]
        };
        Self { inner: Arc::new(Inner { sources, cache: Mutex::new(None) }) }
    }

    /// One profile of the shared files, and nothing else.
    pub fn of_profile(options: &ChainOptions, name: &str, lookup: Lookup<'_>) -> Self {
        let named = |variable: &str| match variable {
            "AWS_PROFILE" => Some(name.to_owned()),
            _ => lookup(variable),
        };
        let sources = vec![Source::Profile(Box::new(sdk::Profile::from_vars(options, &named)))];
        Self { inner: Arc::new(Inner { sources, cache: Mutex::new(None) }) }
    }

    /// The names of the sources in the order in which they are asked.
    pub fn order(&self) -> Vec<&'static str> {
        self.inner.sources.iter().map(Source::name).collect()
    }

    /// Valid credentials, from the cache where possible. When a refresh ahead of time fails, the cached ones
    /// serve until they expire.
    ///
    /// # Errors
    /// When no source has any.
    pub async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        self.credentials_at(Timestamp::now()).await
    }

    /// The source of the cached credentials, for logs.
    pub fn source(&self) -> Option<&'static str> {
        self.cached().map(|cached| cached.source)
    }

    async fn credentials_at(&self, now: Timestamp) -> Result<Credentials, CredentialsError> {
        let cached = self.cached();
        if let Some(cached) = &cached
            && cached.refresh.is_none_or(|refresh| now < refresh)
        {
            return Ok(cached.credentials.clone());
        }
        // Callers that arrive together all look; that is cheaper than holding a lock over the network.
        match self.find(now).await {
            Ok(found) => {
                let credentials = found.credentials.clone();
                *self.inner.cache.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
                Ok(credentials)
            }
            Err(error) => match cached {
                Some(old) if old.credentials.expires.is_none_or(|expires| now < expires) => {
                    tracing::warn!(%error, "could not refresh credentials, using those at hand");
                    Ok(old.credentials)
                }
                _ => Err(error),
            },
        }
    }

    fn cached(&self) -> Option<Cached> {
        self.inner.cache.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn find(&self, now: Timestamp) -> Result<Cached, CredentialsError> {
        let mut attempts = Vec::new();
        for source in &self.inner.sources {
            match source.provide(now).await {
                Ok(credentials) => {
                    tracing::debug!(source = source.name(), "credentials found");
                    let refresh = credentials.expires.map(|expires| refresh_time(now, expires));
                    return Ok(Cached { credentials, source: source.name(), refresh });
                }
                Err(why) => attempts.push((source.name(), why)),
            }
        }
        Err(CredentialsError { attempts })
    }
}

/// A tenth of the life before the end, at most five minutes.
fn refresh_time(now: Timestamp, expires: Timestamp) -> Timestamp {
    let life = expires.duration_since(now).max(SignedDuration::ZERO);
    let margin = (life / 10).min(SignedDuration::from_mins(5));
    expires.checked_sub(margin).unwrap_or(expires)
}

impl Source {
    const fn name(&self) -> &'static str {
        match self {
            Self::Environment(_) => "EnvironmentVariables",
            Self::WebIdentity(_) => "WebIdentityToken",
            Self::Profile(_) => "SharedConfig",
            Self::Container(_) => "ContainerEndpoint",
            Self::InstanceRole(_) => "EC2RoleProvider",
            Self::Rotating(_) => "RotatingSharedCredentialsProvider",
        }
    }

    async fn provide(&self, now: Timestamp) -> Result<Credentials, String> {
        match self {
            Self::Environment(found) => found.clone().ok_or_else(|| "not set".to_owned()),
            Self::WebIdentity(source) => source.provide().await,
            Self::Profile(source) => source.provide().await,
            Self::Container(source) => source.provide().await,
            Self::InstanceRole(imds) => imds.role_credentials(now).await.map_err(|error| error.to_string()),
            Self::Rotating(file) => file.provide(now).await,
        }
    }
}

/// Keys from the environment, under the names that the Go SDK knows.
fn from_environment(lookup: Lookup<'_>) -> Option<Credentials> {
    let first = |names: [&str; 2]| names.iter().find_map(|name| lookup(name).filter(|v| !v.is_empty()));
    let id = first(["AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"])?;
    let secret = first(["AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"])?;
    Some(Credentials::new(id, secret, lookup("AWS_SESSION_TOKEN")))
}

#[cfg(test)]
mod tests;
