//! AWS Signature Version 4. Pure given the time.
//!
//! Header signing for calls and for the websocket handshake, and the signed telemetry frame.

use aws_credential_types::Credentials as SdkCredentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use http::Uri;
use jiff::Timestamp;

use crate::credentials::Credentials;

/// Who signs, for which service and region, at what time.
#[derive(Clone, Copy, Debug)]
pub struct Signing<'a> {
    pub credentials: &'a Credentials,
    pub region: &'a str,
    /// Signing name, for example `ecs`.
    pub service: &'a str,
    pub now: Timestamp,
}

/// The request cannot be signed.
#[derive(Debug, thiserror::Error)]
#[error("failed to sign the request: {0}")]
pub struct SignError(String);

impl Signing<'_> {
    /// The headers to add to a request: `authorization`, `x-amz-date`, and `x-amz-security-token` when there
    /// is a session token (for `s3` also `x-amz-content-sha256`). Signs these, `host` and everything in `headers`.
    ///
    /// Give `host` in `headers` to have it signed verbatim; else it is the URL's authority without a default
    /// port. The URL's query is sorted, and its `+` counts as a space (`%20`).
    ///
    /// # Errors
    /// When the URL or a header cannot be parsed.
    pub fn headers(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Vec<(String, String)>, SignError> {
        let failed = |error: &dyn std::error::Error| SignError(crate::connect::chain(error));
        let uri: Uri = url.parse().map_err(|error| failed(&error))?;
        if uri.host().is_none_or(str::is_empty) {
            return Err(SignError(format!("no host in {url}")));
        }
        let identity = SdkCredentials::new(
            self.credentials.access_key_id.clone(),
            self.credentials.secret.expose().clone(),
            self.credentials.session_token.as_ref().map(|token| token.expose().clone()),
            None,
            "aws",
        )
        .into();
        let mut settings = SigningSettings::default();
        if self.service == "s3" {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(self.service)
            .time(self.now.into())
            .settings(settings)
            .build()
            .map_err(|error| failed(&error))?
            .into();
        let request = SignableRequest::new(method, url, headers.iter().copied(), SignableBody::Bytes(body))
            .map_err(|error| failed(&error))?;
        let (instructions, _signature) = sign(request, &params).map_err(|error| failed(&error))?.into_parts();
        Ok(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

/// A telemetry message as it goes over the websocket: signed header lines, an empty line, `body`
/// (spec 10 §5.1). `url` is the session's, with its query; `http`, `https`, `ws` and `wss` sign alike.
///
/// # Errors
/// When `url` cannot be parsed.
pub fn sign_frame(
    url: &str,
    body: &str,
    credentials: &Credentials,
    region: &str,
    now: Timestamp,
) -> Result<String, SignError> {
    let uri: Uri = url.parse().map_err(|_| SignError(format!("cannot parse {url}")))?;
    let host = host_without_default_port(&uri);
    let signing = Signing { credentials, region, service: "ecs", now };
    let mut lines: Vec<(String, String)> = signing
        .headers("GET", url, &[("host", &host)], body.as_bytes())?
        .into_iter()
        .map(|(name, value)| (title_case(&name), value))
        .collect();
    lines.push(("Host".to_owned(), host));
    lines.sort();
    let mut frame = String::with_capacity(body.len() + 1024);
    for (name, value) in lines {
        frame.push_str(&name);
        frame.push_str(": ");
        frame.push_str(&value);
        frame.push_str("\r\n");
    }
    frame.push_str("\r\n");
    frame.push_str(body);
    Ok(frame)
}

fn host_without_default_port(uri: &Uri) -> String {
    let host = uri.host().unwrap_or_default();
    let default = if crate::proxy::is_secure(uri) { 443 } else { 80 };
    match uri.port_u16() {
        Some(port) if port != default => format!("{host}:{port}"),
        _ => host.to_owned(),
    }
}

/// `x-amz-date` → `X-Amz-Date`.
fn title_case(name: &str) -> String {
    let mut start = true;
    name.chars()
        .map(|c| {
            let cased = if start { c.to_ascii_uppercase() } else { c };
            start = c == '-';
            cased
        })
        .collect()
}

#[cfg(test)]
mod tests;
