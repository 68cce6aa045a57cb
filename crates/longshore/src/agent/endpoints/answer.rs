//! An answer before it becomes a response: status, media type, body.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use serde::Serialize;

use super::server::PATIENCE;

pub(super) const JSON: &str = "application/json";
pub(super) const TEXT: &str = "text/plain; charset=utf-8";

/// No request body of these servers is longer.
const LONGEST_BODY: usize = 64 * 1024;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    pub status: StatusCode,
    /// `None` for no header at all.
    pub content_type: Option<&'static str>,
    pub body: Bytes,
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl Answer {
    pub(super) fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status, content_type: Some(content_type), body: body.into(), headers: Vec::new() }
    }

    pub(super) const fn empty(status: StatusCode) -> Self {
        Self { status, content_type: None, body: Bytes::new(), headers: Vec::new() }
    }

    /// A document; what cannot be written is a failure of ours (spec 30 §0.3).
    pub(super) fn json<T: Serialize + ?Sized>(status: StatusCode, document: &T) -> Self {
        match wire::metadata::to_vec(document) {
            Ok(text) => Self::new(status, JSON, text),
            Err(error) => {
                tracing::error!(%error, "A document cannot be written");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, JSON, "{}")
            }
        }
    }

    /// Text that is JSON already.
    pub(super) fn rendered(text: Bytes) -> Self {
        Self::new(StatusCode::OK, JSON, text)
    }

    /// An error as a JSON string (spec 30 §0.2).
    pub(super) fn complaint(status: StatusCode, text: &str) -> Self {
        Self::json(status, text)
    }

    pub(super) fn not_found() -> Self {
        let mut answer = Self::new(StatusCode::NOT_FOUND, TEXT, "404 page not found\n");
        answer.headers.push((http::header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")));
        answer
    }

    pub(super) fn bad_request() -> Self {
        let mut answer = Self::new(StatusCode::BAD_REQUEST, TEXT, "400 Bad Request");
        answer.headers.push((http::header::CONNECTION, HeaderValue::from_static("close")));
        answer
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if let Some(content_type) = self.content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        for (name, value) in self.headers {
            headers.append(name, value);
        }
        response
    }
}

/// The whole body; `None` when it is too long, too slow, or breaks off.
pub(super) async fn read_body(request: Request<Incoming>) -> Option<Bytes> {
    let body = Limited::new(request.into_body(), LONGEST_BODY).collect();
    Some(tokio::time::timeout(PATIENCE, body).await.ok()?.ok()?.to_bytes())
}
