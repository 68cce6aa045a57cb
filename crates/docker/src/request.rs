//! One call in the making.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use wire::docker::ApiVersion;

use crate::error::{Cause, Error};
use crate::filters::Filters;
use crate::versions::ApiVersions;

/// The API version that a call is made with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wish {
    /// The path has no version.
    Unversioned,
    Default,
    /// This version or the default, whichever is newer.
    AtLeast(ApiVersion),
}

/// What is to be sent, and how long it may take.
pub(crate) struct Call {
    pub(crate) operation: &'static str,
    pub(crate) target: String,
    pub(crate) method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    filters: Option<Filters>,
    pub(crate) body: Bytes,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) wish: Wish,
    pub(crate) deadline: Duration,
}

impl Call {
    /// `path` is without version and already escaped, see [`escape_path`].
    pub(crate) fn new(
        operation: &'static str,
        target: &str,
        method: Method,
        path: impl Into<String>,
        deadline: Duration,
    ) -> Self {
        Self {
            operation,
            target: target.to_owned(),
            method,
            path: path.into(),
            query: Vec::new(),
            filters: None,
            body: Bytes::new(),
            headers: Vec::new(),
            wish: Wish::Default,
            deadline,
        }
    }

    pub(crate) fn get(operation: &'static str, target: &str, path: impl Into<String>, deadline: Duration) -> Self {
        Self::new(operation, target, Method::GET, path, deadline)
    }

    pub(crate) fn post(operation: &'static str, target: &str, path: impl Into<String>, deadline: Duration) -> Self {
        Self::new(operation, target, Method::POST, path, deadline)
    }

    pub(crate) fn delete(operation: &'static str, target: &str, path: impl Into<String>, deadline: Duration) -> Self {
        Self::new(operation, target, Method::DELETE, path, deadline)
    }

    pub(crate) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Adds `name=1` if `set`.
    pub(crate) fn flag(self, name: &'static str, set: bool) -> Self {
        if set { self.query(name, "1") } else { self }
    }

    pub(crate) fn filters(mut self, filters: &Filters) -> Self {
        self.filters = Some(filters.clone());
        self
    }

    pub(crate) fn wish(mut self, wish: Wish) -> Self {
        self.wish = wish;
        self
    }

    pub(crate) fn json(mut self, body: &serde_json::Value) -> Self {
        self.body = body.to_string().into();
        self.header(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
    }

    pub(crate) fn tar(mut self, body: Bytes) -> Self {
        self.body = body;
        self.header(http::header::CONTENT_TYPE, HeaderValue::from_static("application/x-tar"))
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn fail(&self, cause: Cause) -> Error {
        Error::new(self.operation, self.target.as_str(), cause)
    }

    /// The version to make it with, `None` for no version.
    pub(crate) fn version(&self, versions: &ApiVersions) -> Result<Option<ApiVersion>, Cause> {
        match self.wish {
            Wish::Unversioned => Ok(None),
            Wish::Default => Ok(Some(versions.default)),
            Wish::AtLeast(wanted) => match versions.at_least(wanted) {
                Some(version) => Ok(Some(version)),
                None => Err(Cause::Unsupported(format!("client not found for docker version: {wanted}"))),
            },
        }
    }

    /// Path and query, as in the request line.
    pub(crate) fn target_uri(&self, version: Option<ApiVersion>) -> String {
        let mut uri = String::new();
        if let Some(version) = version {
            let _ = write!(uri, "/v{version}");
        }
        uri.push_str(&self.path);
        let filters = self.filters.as_ref().and_then(|filters| filters.render(version.unwrap_or(ApiVersion::v1(44))));
        let filters = filters.as_deref().map(|text| ("filters", text));
        let pairs = self.query.iter().map(|(name, value)| (*name, value.as_str())).chain(filters);
        for (index, (name, value)) in pairs.enumerate() {
            uri.push(if index == 0 { '?' } else { '&' });
            uri.push_str(name);
            uri.push('=');
            escape_into(&mut uri, value, b"");
        }
        uri
    }
}

/// Refuses the empty name: the path would mean another route.
pub(crate) fn named(operation: &'static str, object: &'static str, name: &str) -> Result<String, Error> {
    if name.is_empty() {
        return Err(Error::new(operation, "", Cause::NoName(object)));
    }
    Ok(escape_path(name))
}

/// Escapes a name for a path. Slashes stay, as image names have them.
pub(crate) fn escape_path(name: &str) -> String {
    let mut path = String::with_capacity(name.len());
    escape_into(&mut path, name, b"/:@$&+,;=");
    path
}

fn escape_into(out: &mut String, text: &str, also_plain: &[u8]) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || also_plain.contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}
