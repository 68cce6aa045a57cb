//! The proxies of the agent's own requests (spec 40 §7.2). Which request takes which is the connector's business.

use wire::secret::Secret;

use super::sources::Sources;

/// Proxy addresses as given; they may hold a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    pub http: Option<Secret<String>>,
    /// When absent, https and wss take `http`, which few programs do.
    pub https: Option<Secret<String>>,
    pub no_proxy: Option<String>,
    /// `NO_PROXY` in upper case is not empty, so the automatic list is not used.
    pub has_upper_case_no_proxy: bool,
    /// `REQUEST_METHOD` is set: this may be a CGI program, and `HTTP_PROXY` a header of a stranger's.
    pub refuse_http: bool,
}

impl Proxy {
    pub(super) fn read(from: &Sources<'_>) -> Self {
        let either = |upper: &str, lower: &str| from.env(upper).or_else(|| from.env(lower));
        Self {
            http: either("HTTP_PROXY", "http_proxy").map(Secret::new),
            https: either("HTTPS_PROXY", "https_proxy").map(Secret::new),
            no_proxy: either("NO_PROXY", "no_proxy"),
            has_upper_case_no_proxy: from.env("NO_PROXY").is_some(),
            refuse_http: from.env("REQUEST_METHOD").is_some(),
        }
    }
}
