//! The client: makes calls with a version, a deadline and the daemon's words in its errors.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use wire::docker::{ApiVersion, Version};

use crate::connection::{Connection, Pool, SendFailure, send_on_new};
use crate::deadlines;
use crate::endpoint::Endpoint;
use crate::error::{Cause, Error};
use crate::request::{Call, Wish};
use crate::versions::ApiVersions;

/// No reply is longer; a list of ten thousand containers is not.
const MAX_REPLY: usize = 256 << 20;

/// A Docker Engine. Cheap to clone; clones share connections and the agreed versions.
///
/// Every method makes one attempt. Without [`Engine::within`] it has the deadline that the reference gives it, see
/// [`crate::deadlines`]; for methods that return a stream the deadline is for its beginning only.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
    deadline: Option<Duration>,
}

struct Shared {
    endpoint: Endpoint,
    pool: Pool,
    /// `None` until negotiated, and again when the daemon turns out to be another.
    versions: RwLock<Option<Arc<ApiVersions>>>,
}

/// A reply, read to its end.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

/// A reply that is still coming, on a connection of its own.
pub(crate) struct Open {
    pub(crate) response: Response<Incoming>,
    pub(crate) connection: Connection,
    /// For errors while it is read: how the reference would name the request.
    pub(crate) place: Place,
}

/// A request as the reference names it in its error texts.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    method: &'static str,
    url: String,
}

impl Place {
    pub(crate) fn broken(&self, detail: &str) -> Cause {
        Cause::Disconnected { method: self.method.to_owned(), url: self.url.clone(), detail: detail.to_owned() }
    }
}

impl Engine {
    /// A client for `unix:///path`, `tcp://host:port` or `http://host:port`. Nothing is sent yet.
    ///
    /// # Errors
    /// When the text is none of these.
    pub fn connect(endpoint: &str) -> Result<Self, Error> {
        let endpoint = Endpoint::parse(endpoint).map_err(|cause| Error::new("connect to Docker", endpoint, cause))?;
        let shared = Shared { endpoint, pool: Pool::default(), versions: RwLock::default() };
        Ok(Self { shared: Arc::new(shared), deadline: None })
    }

    /// The same engine, whose calls have this deadline.
    #[must_use]
    pub fn within(&self, deadline: Duration) -> Self {
        Self { shared: Arc::clone(&self.shared), deadline: Some(deadline) }
    }

    /// As given to [`Engine::connect`].
    pub fn endpoint(&self) -> &str {
        self.shared.endpoint.as_str()
    }

    /// The deadline for an operation.
    pub(crate) fn limit(&self, default: Duration) -> Duration {
        self.deadline.unwrap_or(default)
    }

    /// Asks the daemon anew which versions it accepts, and uses them from now on. Calls before that do it themselves.
    ///
    /// # Errors
    /// [`crate::Kind::Unsupported`] when daemon and client have no version in common.
    pub async fn negotiate(&self) -> Result<ApiVersions, Error> {
        let call = self.negotiation();
        let limit = call.deadline;
        let versions = deadline(limit, self.ask_versions(&call)).await.map_err(|cause| call.fail(cause))?;
        Ok(ApiVersions::clone(&versions))
    }

    fn negotiation(&self) -> Call {
        Call::get("negotiate the API version", "", "/version", self.limit(deadlines::VERSION)).wish(Wish::Unversioned)
    }

    async fn ask_versions(&self, call: &Call) -> Result<Arc<ApiVersions>, Cause> {
        let daemon: Version = decode(&self.exchange(call, None).await?.body)?;
        let versions = ApiVersions::negotiate(&daemon)
            .ok_or_else(|| Cause::Unsupported("client not found for docker version: 1.21".to_owned()))?;
        let versions = Arc::new(versions);
        *self.shared.versions.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&versions));
        Ok(versions)
    }

    async fn versions(&self) -> Result<Arc<ApiVersions>, Cause> {
        let known = self.shared.versions.read().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some(versions) => Ok(versions),
            None => self.ask_versions(&self.negotiation()).await,
        }
    }

    async fn version_for(&self, call: &Call) -> Result<Option<ApiVersion>, Cause> {
        match call.wish {
            Wish::Unversioned => Ok(None),
            Wish::Default | Wish::AtLeast(_) => call.version(&*self.versions().await?),
        }
    }

    /// The version that a call with this wish would have, for requests whose body depends on it.
    pub(crate) async fn agreed(&self, call: &Call) -> Result<ApiVersion, Error> {
        let version = deadline(call.deadline, self.version_for(call)).await.map_err(|cause| call.fail(cause))?;
        Ok(version.unwrap_or(ApiVersion::v1(44)))
    }

    /// Forgets the agreed versions if the daemon refuses them, as it does after an upgrade under a running agent.
    /// It has done nothing then, so that the call can be made with others.
    fn is_outdated(&self, failure: &Cause) -> bool {
        let Cause::Daemon { status: 400, message } = failure else { return false };
        let refused =
            message.contains("client version") && (message.contains("too old") || message.contains("too new"));
        if refused {
            *self.shared.versions.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
        refused
    }

    /// Makes a call and reads the reply to its end, both within the call's deadline.
    pub(crate) async fn call(&self, call: &Call) -> Result<Reply, Error> {
        let attempt = async {
            match self.exchange(call, self.version_for(call).await?).await {
                Err(cause) if self.is_outdated(&cause) => self.exchange(call, self.version_for(call).await?).await,
                outcome => outcome,
            }
        };
        deadline(call.deadline, attempt).await.map_err(|cause| call.fail(cause))
    }

    /// The same for JSON replies.
    pub(crate) async fn call_json<T: DeserializeOwned>(&self, call: &Call) -> Result<T, Error> {
        decode(&self.call(call).await?.body).map_err(|cause| call.fail(cause))
    }

    async fn exchange(&self, call: &Call, version: Option<ApiVersion>) -> Result<Reply, Cause> {
        let (request, place) = self.request(call, version);
        let sent = self.shared.pool.send(&self.shared.endpoint, request).await;
        let (response, connection) = sent.map_err(|failure| self.sending_failed(failure, &place))?;
        let status = response.status().as_u16();
        let is_json = is_json(&response);
        let body = read_body(response.into_body(), &place).await?;
        self.shared.pool.keep(connection);
        check(status, is_json, &body, &place)?;
        Ok(Reply { status, body })
    }

    /// Makes a call whose reply stays open. The call's deadline is for its headers.
    pub(crate) async fn open(&self, call: &Call) -> Result<Open, Error> {
        let attempt = async {
            match self.open_once(call).await {
                Err(cause) if self.is_outdated(&cause) => self.open_once(call).await,
                outcome => outcome,
            }
        };
        deadline(call.deadline, attempt).await.map_err(|cause| call.fail(cause))
    }

    async fn open_once(&self, call: &Call) -> Result<Open, Cause> {
        let (request, place) = self.request(call, self.version_for(call).await?);
        let sent = send_on_new(&self.shared.endpoint, request).await;
        let (response, connection) = sent.map_err(|failure| self.sending_failed(failure, &place))?;
        let status = response.status().as_u16();
        if status >= 400 {
            let is_json = is_json(&response);
            let body = read_body(response.into_body(), &place).await?;
            check(status, is_json, &body, &place)?;
            return Err(Cause::Malformed(format!("unexpected status {status}")));
        }
        Ok(Open { response, connection, place })
    }

    fn request(&self, call: &Call, version: Option<ApiVersion>) -> (Request<Full<Bytes>>, Place) {
        let uri = call.target_uri(version);
        let place = Place {
            method: match call.method {
                http::Method::GET => "Get",
                http::Method::DELETE => "Delete",
                _ => "Post",
            },
            url: format!("{}{uri}", self.shared.endpoint.base_url()),
        };
        let mut request = Request::new(Full::new(call.body.clone()));
        *request.method_mut() = call.method.clone();
        // Invariant: names and values are escaped, so this is always a valid path and query.
        *request.uri_mut() = uri.parse().unwrap_or_default();
        let headers = request.headers_mut();
        headers.insert(
            HOST,
            HeaderValue::from_str(self.shared.endpoint.host()).unwrap_or(HeaderValue::from_static("docker")),
        );
        headers.extend(call.headers.iter().cloned());
        (request, place)
    }

    fn sending_failed(&self, failure: SendFailure, place: &Place) -> Cause {
        match failure {
            SendFailure::Dial(source) => Cause::Unreachable { endpoint: self.endpoint().to_owned(), source },
            SendFailure::Broken(error) if error.is_parse() => Cause::Malformed(error.to_string()),
            // Whatever the socket said: Go's client speaks of EOF, and the reference looks for that (spec 20 §3.5c).
            SendFailure::Broken(_) => place.broken("EOF"),
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("endpoint", &self.endpoint()).finish_non_exhaustive()
    }
}

/// Bounds all of a call. Dropping what is left closes its connection.
async fn deadline<T>(limit: Duration, attempt: impl Future<Output = Result<T, Cause>>) -> Result<T, Cause> {
    tokio::time::timeout(limit, attempt).await.unwrap_or(Err(Cause::Deadline(limit)))
}

/// A body to its end.
async fn read_body(mut body: Incoming, place: &Place) -> Result<Bytes, Cause> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| place.broken("unexpected EOF"))?.into_data() else { continue };
        if whole.len() + data.len() > MAX_REPLY {
            return Err(Cause::Malformed(format!("reply is longer than {MAX_REPLY} bytes")));
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

fn is_json(response: &Response<Incoming>) -> bool {
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|text| text.starts_with("application/json"))
}

/// Turns an error status into the daemon's words: `message` of a JSON body, else the body itself.
fn check(status: u16, is_json: bool, body: &[u8], place: &Place) -> Result<(), Cause> {
    if status < 400 {
        return Ok(());
    }
    if body.is_empty() {
        return Err(Cause::Mute { status, url: place.url.clone() });
    }
    #[derive(serde::Deserialize)]
    struct Refusal {
        message: String,
    }
    let message = match serde_json::from_slice::<Refusal>(body) {
        Ok(refusal) if is_json => refusal.message,
        _ => String::from_utf8_lossy(body).into_owned(),
    };
    Err(Cause::Daemon { status, message: message.trim().to_owned() })
}

pub(crate) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Cause> {
    serde_json::from_slice(body).map_err(|error| Cause::Malformed(error.to_string()))
}
