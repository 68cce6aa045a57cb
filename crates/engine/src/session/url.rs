//! The addresses of the two websockets (spec 10 §2.2), which name the same things differently.

use wire::ids::ContainerInstanceArn;

use crate::config::EngineConfig;

/// The URL of the ACS websocket at the discovered endpoint.
///
/// # Errors
/// The endpoint is neither `http` nor `https`.
pub fn acs_url(
    endpoint: &str,
    config: &EngineConfig,
    instance_arn: &ContainerInstanceArn,
    sends_credentials: bool,
) -> Result<String, String> {
    let version = config.docker.version.as_str();
    let docker = match version {
        "" => None,
        "containerd" => Some(version.to_owned()),
        _ => Some(format!("DockerVersion: {version}")),
    };
    render(
        endpoint,
        &[
            ("agentHash", Some(config.agent.hash.as_str())),
            ("agentVersion", Some(config.agent.version.as_str())),
            ("clusterArn", Some(cluster(config))),
            ("containerInstanceArn", Some(instance_arn.as_str())),
            ("dockerVersion", docker.as_deref()),
            ("protocolVersion", Some("2")),
            ("sendCredentials", Some(if sends_credentials { "true" } else { "false" })),
            ("seqNum", Some("1")),
        ],
    )
}

/// The URL of the TCS websocket at the discovered endpoint.
///
/// # Errors
/// The endpoint is neither `http` nor `https`.
pub fn tcs_url(endpoint: &str, config: &EngineConfig, instance_arn: &ContainerInstanceArn) -> Result<String, String> {
    let version = config.docker.version.as_str();
    render(
        endpoint,
        &[
            ("agentHash", Some(config.agent.hash.as_str())),
            ("agentVersion", Some(config.agent.version.as_str())),
            ("cluster", Some(cluster(config))),
            ("containerInstance", Some(instance_arn.as_str())),
            ("dockerVersion", (!version.is_empty()).then_some(version)),
        ],
    )
}

/// The cluster as configured, which may be a short name.
pub(super) fn cluster(config: &EngineConfig) -> &str {
    if config.cluster.is_empty() { "default" } else { &config.cluster }
}

/// Invariant: `pairs` are in alphabetical order.
fn render(endpoint: &str, pairs: &[(&str, Option<&str>)]) -> Result<String, String> {
    let (scheme, rest) = endpoint.split_once("://").unwrap_or_default();
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" => "ws",
        "https" => "wss",
        _ => return Err(format!("endpoint {endpoint:?} has neither http nor https as its scheme")),
    };
    let slash = if rest.ends_with('/') { "" } else { "/" };
    let mut url = format!("{scheme}://{rest}{slash}ws");
    let mut separator = '?';
    for (key, value) in pairs {
        if let Some(value) = value {
            url.push(separator);
            url.push_str(key);
            url.push('=');
            push_encoded(&mut url, value);
            separator = '&';
        }
    }
    Ok(url)
}

/// Form encoding: a space is `+`; letters, digits and `-_.~` stay.
fn push_encoded(url: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => url.push(char::from(byte)),
            b' ' => url.push('+'),
            _ => {
                url.push('%');
                url.push(char::from(HEX[usize::from(byte >> 4)]));
                url.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DockerFacts;

    fn config(docker: &str) -> EngineConfig {
        let mut config = EngineConfig {
            cluster: "my lab".into(),
            docker: DockerFacts { version: docker.into(), ..DockerFacts::default() },
            ..EngineConfig::default()
        };
        config.agent.hash = "a8b3e7d3".into();
        config
    }

    fn arn() -> ContainerInstanceArn {
        "arn:aws:ecs:us-west-2:1:container-instance/lab/0f".into()
    }

    #[test]
    fn acs_is_told_who_we_are() {
        assert_eq!(
            acs_url("https://ecs-a-1.us-west-2.amazonaws.com", &config("24.0.7"), &arn(), true).as_deref(),
            Ok("wss://ecs-a-1.us-west-2.amazonaws.com/ws?agentHash=a8b3e7d3&agentVersion=1.105.1&clusterArn=my+lab\
                &containerInstanceArn=arn%3Aaws%3Aecs%3Aus-west-2%3A1%3Acontainer-instance%2Flab%2F0f\
                &dockerVersion=DockerVersion%3A+24.0.7&protocolVersion=2&sendCredentials=true&seqNum=1")
        );
    }

    #[test]
    fn tcs_is_told_the_same_in_other_words() {
        assert_eq!(
            tcs_url("http://127.0.0.1:9000/", &config("24.0.7"), &arn()).as_deref(),
            Ok("ws://127.0.0.1:9000/ws?agentHash=a8b3e7d3&agentVersion=1.105.1&cluster=my+lab\
                &containerInstance=arn%3Aaws%3Aecs%3Aus-west-2%3A1%3Acontainer-instance%2Flab%2F0f\
                &dockerVersion=24.0.7")
        );
    }

    #[test]
    fn an_unknown_docker_version_is_left_out_and_containerd_sent_bare() {
        let acs = |docker| acs_url("https://a", &config(docker), &arn(), false).unwrap_or_default();
        assert!(!acs("").contains("dockerVersion"));
        assert!(acs("").contains("&sendCredentials=false&"));
        assert!(acs("containerd").contains("&dockerVersion=containerd&"));
        assert!(!tcs_url("https://a", &config(""), &arn()).unwrap_or_default().contains("dockerVersion"));
    }

    #[test]
    fn without_a_cluster_it_is_the_default_one() {
        let config = EngineConfig { cluster: String::new(), ..config("1") };
        assert!(acs_url("https://a", &config, &arn(), true).unwrap_or_default().contains("&clusterArn=default&"));
    }

    #[test]
    fn other_schemes_are_refused() {
        for endpoint in ["ftp://a", "wss://a", "ecs.example", ""] {
            assert!(acs_url(endpoint, &config("1"), &arn(), true).is_err(), "{endpoint}");
        }
    }
}
