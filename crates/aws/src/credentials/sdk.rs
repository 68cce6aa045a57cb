//! The sources that the AWS SDK provides: web identity, shared files, container endpoint. Each is made when
//! first asked, and speaks through our own HTTP client, so that proxy and TLS rules exist once.

use std::sync::OnceLock;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::{StaticConfiguration, WebIdentityTokenCredentialsProvider};
use aws_credential_types::provider::ProvideCredentials;
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_smithy_runtime_api::client::http::{
    HttpClient as SdkHttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use jiff::Timestamp;

use super::{ChainOptions, Credentials};
use crate::Lookup;
use crate::connect::chain;
use crate::http::{HttpClient, HttpError};

/// Answers with credentials are a few kilobytes.
const MAX_ANSWER: usize = 1024 * 1024;

/// `AWS_WEB_IDENTITY_TOKEN_FILE` and its companions.
#[derive(Debug)]
pub(super) struct WebIdentity {
    settings: Settings,
    /// Token file, role, session name.
    configured: Option<(String, String, String)>,
    provider: OnceLock<WebIdentityTokenCredentialsProvider>,
}

/// The shared configuration and credentials files.
#[derive(Debug)]
pub(super) struct Profile {
    settings: Settings,
    name: Option<String>,
    credentials_file: Option<String>,
    config_file: Option<String>,
    provider: OnceLock<ProfileFileCredentialsProvider>,
}

/// The container credentials endpoint.
#[derive(Debug)]
pub(super) struct Container {
    settings: Settings,
    configured: bool,
    provider: OnceLock<EcsCredentialsProvider>,
}

#[derive(Clone, Debug)]
struct Settings {
    http: HttpClient,
    region: Option<String>,
}

impl Settings {
    fn of(options: &ChainOptions) -> Self {
        Self { http: options.http.clone(), region: options.region.clone() }
    }

    fn provider_config(&self) -> ProviderConfig {
        ProviderConfig::without_region()
            .with_region(self.region.clone().map(aws_config::Region::new))
            .with_http_client(Adapter(self.http.clone()))
    }
}

impl WebIdentity {
    pub(super) fn from_vars(options: &ChainOptions, lookup: Lookup<'_>) -> Self {
        let set = |name: &str| lookup(name).filter(|v| !v.is_empty());
        let session = set("AWS_ROLE_SESSION_NAME").unwrap_or_else(|| "longshore".to_owned());
        let configured =
            set("AWS_WEB_IDENTITY_TOKEN_FILE").zip(set("AWS_ROLE_ARN")).map(|(file, role)| (file, role, session));
        Self { settings: Settings::of(options), configured, provider: OnceLock::new() }
    }

    pub(super) async fn provide(&self) -> Result<Credentials, String> {
        let Some((file, role, session)) = &self.configured else {
            return Err("not configured".to_owned());
        };
        let provider = self.provider.get_or_init(|| {
            WebIdentityTokenCredentialsProvider::builder()
                .static_configuration(StaticConfiguration {
                    web_identity_token_file: file.into(),
                    role_arn: role.clone(),
                    session_name: session.clone(),
                })
                .configure(&self.settings.provider_config())
                .build()
        });
        ask(provider).await
    }
}

impl Profile {
    pub(super) fn from_vars(options: &ChainOptions, lookup: Lookup<'_>) -> Self {
        let set = |name: &str| lookup(name).filter(|v| !v.is_empty());
        Self {
            settings: Settings::of(options),
            name: set("AWS_PROFILE").or_else(|| set("AWS_DEFAULT_PROFILE")),
            credentials_file: set("AWS_SHARED_CREDENTIALS_FILE"),
            config_file: set("AWS_CONFIG_FILE"),
            provider: OnceLock::new(),
        }
    }

    pub(super) async fn provide(&self) -> Result<Credentials, String> {
        // The SDK's provider remembers what it read, also a failure; a file that appears later must count.
        if let Some(provider) = self.provider.get() {
            return ask(provider).await;
        }
        let mut files = EnvConfigFiles::builder();
        let mut some = false;
        // A file that is named but missing is left out: the SDK would fail on it, the reference does not.
        match &self.config_file {
            Some(path) if !exists(path).await => {}
            Some(path) => (files, some) = (files.with_file(EnvConfigFileKind::Config, path), true),
            None => (files, some) = (files.include_default_config_file(true), true),
        }
        match &self.credentials_file {
            Some(path) if !exists(path).await => {}
            Some(path) => (files, some) = (files.with_file(EnvConfigFileKind::Credentials, path), true),
            None => (files, some) = (files.include_default_credentials_file(true), true),
        }
        if !some {
            return Err("no shared files".to_owned());
        }
        let mut builder = ProfileFileCredentialsProvider::builder()
            .profile_files(files.build())
            .configure(&self.settings.provider_config());
        if let Some(name) = &self.name {
            builder = builder.profile_name(name);
        }
        let provider = builder.build();
        let found = ask(&provider).await?;
        let _ = self.provider.set(provider);
        Ok(found)
    }
}

impl Container {
    pub(super) fn from_vars(options: &ChainOptions, lookup: Lookup<'_>) -> Self {
        let configured = ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"]
            .iter()
            .any(|name| lookup(name).is_some_and(|v| !v.is_empty()));
        Self { settings: Settings::of(options), configured, provider: OnceLock::new() }
    }

    pub(super) async fn provide(&self) -> Result<Credentials, String> {
        if !self.configured {
            return Err("not configured".to_owned());
        }
        let provider = self
            .provider
            .get_or_init(|| EcsCredentialsProvider::builder().configure(&self.settings.provider_config()).build());
        ask(provider).await
    }
}

async fn exists(path: &str) -> bool {
    tokio::fs::try_exists(path).await.unwrap_or(false)
}

async fn ask(provider: &impl ProvideCredentials) -> Result<Credentials, String> {
    let found = provider.provide_credentials().await.map_err(|error| chain(&error))?;
    let token = found.session_token().map(str::to_owned);
    let mut credentials = Credentials::new(found.access_key_id(), found.secret_access_key(), token);
    credentials.expires = found.expiry().and_then(|at| Timestamp::try_from(at).ok());
    Ok(credentials)
}

/// Our HTTP client in the shape that the SDK wants. Deadlines are the SDK's.
#[derive(Clone, Debug)]
struct Adapter(HttpClient);

impl SdkHttpClient for Adapter {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Adapter {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let http = self.0.clone();
        HttpConnectorFuture::new(async move {
            let request = request
                .try_into_http1x()
                .map_err(|error| ConnectorError::user(error.into()))?
                .map(|body| Bytes::copy_from_slice(body.bytes().unwrap_or_default()));
            let response = http.send(request, MAX_ANSWER).await.map_err(|error| match &error {
                HttpError::Connect(connect) if connect.is_timeout() => ConnectorError::timeout(error.into()),
                _ => ConnectorError::io(error.into()),
            })?;
            HttpResponse::try_from(response.map(SdkBody::from))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}
