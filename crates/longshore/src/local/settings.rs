//! The local agent's settings: those of the process's environment, with what the local control plane needs on top and
//! milder defaults below.

use std::path::Path;
use std::sync::Arc;

use crate::agent::Lookup;
use crate::cli::Failure;
use crate::config::{Config, Inputs, Warning};

use super::home::Home;

/// What is so unless the environment says otherwise: nobody wants a laptop's images removed or pulled anew each time.
const DEFAULTS: [(&str, &str); 10] = [
    ("ECS_CLUSTER", "default"),
    ("ECS_IMAGE_PULL_BEHAVIOR", "prefer-cached"),
    ("ECS_DISABLE_IMAGE_CLEANUP", "true"),
    ("ECS_ENABLE_PROMETHEUS_METRICS", "true"),
    // Definitions of production name roles; whether these give credentials is another question.
    ("ECS_ENABLE_TASK_IAM_ROLE", "true"),
    ("ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST", "true"),
    // Its lines go to standard output as well, which is the commands' here.
    ("ECS_AUDIT_LOGFILE_DISABLED", "true"),
    ("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION", "10m"),
    ("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION_JITTER", "0s"),
    (
        "ECS_AVAILABLE_LOGGING_DRIVERS",
        r#"["json-file","none","awslogs","fluentd","gelf","journald","splunk","syslog"]"#,
    ),
];

/// The region that is meant when the environment names none.
const REGION: &str = "us-east-1";

/// As `DOCKER_HOST` has it, or where Docker listens by default.
pub(crate) fn docker_endpoint() -> String {
    std::env::var("DOCKER_HOST")
        .ok()
        .filter(|endpoint| !endpoint.is_empty())
        .unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned())
}

/// The agent's settings, and its stand-in for the environment.
///
/// # Errors
/// A value of the environment is refused.
pub(super) fn read(home: &Home, endpoint: &str) -> Result<(Config, Lookup, Vec<Warning>), Failure> {
    let lookup = overlay(home, endpoint, |name| std::env::var(name).ok());
    let inputs = Inputs {
        lookup: &|name| lookup(name),
        read_file: &|path: &Path| std::fs::read_to_string(path),
        user_data: None,
        metadata_region: None,
    };
    let (config, warnings) = Config::load_from(inputs).map_err(|error| {
        Failure::new(format!("the agent's settings are refused: {error}"))
            .next("They come from variables of the environment whose names begin with ECS_.")
    })?;
    Ok((config, lookup, warnings))
}

pub(super) fn overlay(
    home: &Home,
    endpoint: &str,
    environment: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
) -> Lookup {
    let path = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
    let forced = [
        ("ECS_BACKEND_HOST", endpoint.to_owned()),
        ("ECS_EXTERNAL", "true".to_owned()),
        ("ECS_DATADIR", path(home.agent_data())),
        ("ECS_HOST_DATA_DIR", path(home.agent_on_host())),
        ("ECS_CHECKPOINT", "true".to_owned()),
        ("ECS_LOGFILE", path(home.log_file())),
        // Our control plane takes any signature, and real keys have no business there.
        ("AWS_ACCESS_KEY_ID", "local".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
        ("AWS_SESSION_TOKEN", String::new()),
        // A user's endpoint, proxy or profile is for the real AWS.
        ("AWS_ENDPOINT_URL", String::new()),
        ("AWS_ENDPOINT_URL_ECS", String::new()),
        ("AWS_PROFILE", String::new()),
    ];
    let config_file = path(home.agent_config());
    Arc::new(move |name: &str| {
        if let Some((_, value)) = forced.iter().find(|(forced, _)| *forced == name) {
            return Some(value.clone()).filter(|value| !value.is_empty());
        }
        if let Some(value) = environment(name).filter(|value| !value.is_empty()) {
            return Some(value);
        }
        match name {
            "AWS_DEFAULT_REGION" | "AWS_REGION" => {
                let other = if name == "AWS_REGION" { "AWS_DEFAULT_REGION" } else { "AWS_REGION" };
                environment(other).filter(|value| !value.is_empty()).or_else(|| Some(REGION.to_owned()))
            }
            "ECS_AGENT_CONFIG_FILE_PATH" => Some(config_file.clone()),
            _ => DEFAULTS.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()),
        }
    })
}
