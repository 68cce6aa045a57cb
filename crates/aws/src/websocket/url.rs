//! The session URLs (spec 10 §2.2). The two sessions name the same things differently.

/// What the agent tells ACS about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcsQuery {
    /// Short git hash.
    pub agent_hash: String,
    pub agent_version: String,
    /// As configured; may be a short name.
    pub cluster: String,
    pub container_instance_arn: String,
    /// The daemon's bare version; None when unknown.
    pub docker_version: Option<String>,
    /// True until the first handshake of this process succeeded.
    pub send_credentials: bool,
}

/// What the agent tells TCS about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcsQuery {
    pub agent_hash: String,
    pub agent_version: String,
    pub cluster: String,
    pub container_instance_arn: String,
    /// The daemon's bare version; None when unknown.
    pub docker_version: Option<String>,
}

/// The discovered endpoint is neither `http` nor `https`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("endpoint {endpoint} has no http or https scheme")]
pub struct UrlError {
    endpoint: String,
}

/// The websocket URL of the ACS session at the discovered `endpoint`.
///
/// # Errors
/// When the endpoint is not an http(s) URL.
pub fn acs_url(endpoint: &str, query: &AcsQuery) -> Result<String, UrlError> {
    let docker = query.docker_version.as_ref().map(|version| match version.as_str() {
        "containerd" => version.clone(),
        version => format!("DockerVersion: {version}"),
    });
    let send = if query.send_credentials { "true" } else { "false" };
    build(
        endpoint,
        &[
            ("agentHash", Some(&query.agent_hash)),
            ("agentVersion", Some(&query.agent_version)),
            ("clusterArn", Some(&query.cluster)),
            ("containerInstanceArn", Some(&query.container_instance_arn)),
            ("dockerVersion", docker.as_deref()),
            ("protocolVersion", Some("2")),
            ("sendCredentials", Some(send)),
            ("seqNum", Some("1")),
        ],
    )
}

/// The websocket URL of the TCS session; also what its frames are signed for.
///
/// # Errors
/// When the endpoint is not an http(s) URL.
pub fn tcs_url(endpoint: &str, query: &TcsQuery) -> Result<String, UrlError> {
    build(
        endpoint,
        &[
            ("agentHash", Some(&query.agent_hash)),
            ("agentVersion", Some(&query.agent_version)),
            ("cluster", Some(&query.cluster)),
            ("containerInstance", Some(&query.container_instance_arn)),
            ("dockerVersion", query.docker_version.as_deref()),
        ],
    )
}

/// Invariant: `pairs` are in alphabetical order.
fn build(endpoint: &str, pairs: &[(&str, Option<&str>)]) -> Result<String, UrlError> {
    let (scheme, rest) = endpoint.split_once("://").unwrap_or_default();
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" => "ws",
        "https" => "wss",
        _ => return Err(UrlError { endpoint: endpoint.to_owned() }),
    };
    let slash = if rest.ends_with('/') { "" } else { "/" };
    let query: Vec<String> =
        pairs.iter().filter_map(|(key, value)| Some(format!("{key}={}", form_encode((*value)?)))).collect();
    Ok(format!("{scheme}://{rest}{slash}ws?{}", query.join("&")))
}

/// Form encoding as Go does it: space becomes `+`, letters, digits and `-_.~` stay.
fn form_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            b' ' => encoded.push('+'),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
