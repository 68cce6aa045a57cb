//! One AWS JSON 1.1 call: `POST /`, signed, one attempt, with a deadline.

mod error;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header, request};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wire::ecs::without_nulls;

pub use error::{CallError, CallErrorKind};

use crate::credentials::CredentialsSource;
use crate::http::HttpClient;
use crate::sign::Signing;

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// The `X-Amz-Target` prefix of Amazon ECS.
pub const ECS_TARGET_PREFIX: &str = "AmazonEC2ContainerServiceV20141113";

/// The reference's limit for one ECS request (spec 10 §1.6).
pub const ECS_DEADLINE: Duration = Duration::from_secs(42);

/// More than any answer of the operations in use.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// A client of one service. Cheap to clone and to vary.
#[derive(Clone, Debug)]
pub struct Json11 {
    http: HttpClient,
    service: Arc<Service>,
    user_agent: Arc<str>,
    credentials: CredentialsSource,
}

/// Which service, and where.
#[derive(Clone, Debug)]
pub struct Service {
    /// Base URL; a path in it is kept.
    pub endpoint: Uri,
    /// For errors, for example `ECS`.
    pub name: &'static str,
    /// For the signature, for example `ecs`.
    pub signing_name: String,
    pub target_prefix: String,
    pub region: String,
}

impl Json11 {
    pub fn new(
        http: HttpClient,
        service: Service,
        user_agent: &str,
        credentials: impl Into<CredentialsSource>,
    ) -> Self {
        Self { http, service: Arc::new(service), user_agent: user_agent.into(), credentials: credentials.into() }
    }

    /// The same client with another `User-Agent`.
    #[must_use]
    pub fn with_user_agent(&self, user_agent: &str) -> Self {
        Self { user_agent: user_agent.into(), ..self.clone() }
    }

    /// The same client signing with other credentials.
    #[must_use]
    pub fn with_credentials(&self, credentials: impl Into<CredentialsSource>) -> Self {
        Self { credentials: credentials.into(), ..self.clone() }
    }

    pub fn endpoint(&self) -> &Uri {
        &self.service.endpoint
    }

    /// Calls `operation` once; finding credentials counts towards `deadline`.
    ///
    /// # Errors
    /// See [`CallErrorKind`].
    pub async fn call<I: Serialize + Sync, O: DeserializeOwned>(
        &self,
        operation: &str,
        input: &I,
        deadline: Duration,
    ) -> Result<O, CallError> {
        let outcome = tokio::time::timeout(deadline, self.exchange(operation, input)).await;
        outcome.unwrap_or(Err(CallErrorKind::Timeout { after: deadline })).map_err(|kind| CallError {
            service: self.service.name,
            operation: operation.to_owned(),
            kind,
        })
    }

    async fn exchange<I: Serialize + Sync, O: DeserializeOwned>(
        &self,
        operation: &str,
        input: &I,
    ) -> Result<O, CallErrorKind> {
        let body = serde_json::to_vec(input).map_err(|error| CallErrorKind::Encode { reason: error.to_string() })?;
        let credentials = self.credentials.credentials().await.map_err(CallErrorKind::Credentials)?;
        let signing = Signing {
            credentials: &credentials,
            region: &self.service.region,
            service: &self.service.signing_name,
            now: Timestamp::now(),
        };
        let request = self.request(operation, body, &signing)?;
        let response = self.http.send(request, MAX_ANSWER).await?;
        let (parts, body) = response.into_parts();
        let request_id = request_id(&parts.headers);
        if !parts.status.is_success() {
            return Err(service_error(parts.status.as_u16(), &parts.headers, &body, request_id));
        }
        let text: &[u8] = if body.is_empty() { b"{}" } else { &body };
        serde_json::from_slice(text)
            .and_then(|answer| serde_json::from_value(without_nulls(answer)))
            .map_err(|error| CallErrorKind::Decode { reason: error.to_string(), request_id })
    }

    fn request(&self, operation: &str, body: Vec<u8>, signing: &Signing<'_>) -> Result<Request<Bytes>, CallErrorKind> {
        let target = format!("{}.{operation}", self.service.target_prefix);
        let signed = [("content-type", CONTENT_TYPE), ("x-amz-target", target.as_str())];
        let request = Request::builder().header(header::USER_AGENT, self.user_agent.as_ref());
        signed_post(request, &self.service.endpoint, signing, &signed, body)
    }
}

/// A `POST` to the root of `endpoint`: what `request` has already, with the headers that are `signed`, the signature
/// and the body.
pub(crate) fn signed_post(
    request: request::Builder,
    endpoint: &Uri,
    signing: &Signing<'_>,
    signed: &[(&str, &str)],
    body: Vec<u8>,
) -> Result<Request<Bytes>, CallErrorKind> {
    let failed = |error: &dyn std::error::Error| CallErrorKind::Encode { reason: error.to_string() };
    let base = endpoint.to_string();
    let url = format!("{}/", base.trim_end_matches('/'));
    let added = signing.headers("POST", &url, signed, &body).map_err(|error| failed(&error))?;
    let mut request = request.method(Method::POST).uri(&url);
    for (name, value) in signed {
        request = request.header(*name, *value);
    }
    for (name, value) in added {
        let mut value = HeaderValue::try_from(value).map_err(|error| failed(&error))?;
        value.set_sensitive(name != "x-amz-date");
        request = request.header(name, value);
    }
    request.body(Bytes::from(body)).map_err(|error| failed(&error))
}

fn request_id(headers: &HeaderMap) -> Option<String> {
    ["x-amzn-requestid", "x-amz-request-id"]
        .iter()
        .find_map(|name| headers.get(*name)?.to_str().ok().map(str::to_owned))
}

/// Reads an error answer: code from the header or from `__type` or `code`, each possibly between a
/// namespace and `#` in front and `:` and more behind; message under either spelling.
fn service_error(status: u16, headers: &HeaderMap, body: &[u8], request_id: Option<String>) -> CallErrorKind {
    let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |names: &[&str]| {
        names.iter().find_map(|name| json.get(name)?.as_str().map(str::to_owned)).filter(|text| !text.is_empty())
    };
    let code = headers
        .get("x-amzn-errortype")
        .and_then(|value| value.to_str().ok().map(str::to_owned))
        .or_else(|| text(&["__type", "code", "Code"]))
        .map(|code| bare_code(&code).to_owned())
        .filter(|code| !code.is_empty())
        .unwrap_or_else(|| "UnknownError".to_owned());
    let message = text(&["message", "Message", "errorMessage"]).unwrap_or_default();
    CallErrorKind::Service { code, message, status, request_id }
}

fn bare_code(code: &str) -> &str {
    let code = code.rsplit('#').next().unwrap_or(code);
    code.split(':').next().unwrap_or(code).trim()
}

#[cfg(test)]
mod tests;
