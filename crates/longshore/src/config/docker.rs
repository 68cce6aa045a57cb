//! How Docker is reached and what of it is offered to tasks (spec 40 §3.2, §7.3).

use wire::secret::Secret;

use super::sources::Sources;
use super::{Severity, values};

/// The Docker daemon and its features.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Docker {
    /// `unix://...` or `tcp://...`.
    pub endpoint: String,
    pub auth_type: Option<AuthType>,
    /// A JSON document, in the form that `auth_type` says.
    pub auth_data: Option<Secret<String>>,
    pub privileged_disabled: bool,
    pub selinux_capable: bool,
    pub apparmor_capable: bool,
    /// Advertised log drivers; every one is known.
    pub logging_drivers: Vec<String>,
    /// Advertise execution-role authentication for `awslogs`.
    pub awslogs_execution_role: bool,
    pub firelens_async: bool,
    /// An existing shared volume must agree in labels and driver options, not only by name.
    pub shared_volume_match_full_config: bool,
    /// Advertised features of the volume plugin, such as `efsAuth`.
    pub volume_plugin_capabilities: Vec<String>,
}

/// The form of the static registry credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AuthType {
    /// Registry to user name and password.
    Docker,
    /// Registry to base64 of `user:password`.
    Dockercfg,
    /// Logged and not used.
    Unknown(String),
}

/// What the reference knows; `awsfirelens` is accepted and adds nothing here.
const KNOWN_DRIVERS: [&str; 11] = [
    "json-file",
    "syslog",
    "journald",
    "gelf",
    "fluentd",
    "awslogs",
    "splunk",
    "logentries",
    "sumologic",
    "none",
    "awsfirelens",
];

impl Docker {
    pub(super) fn read(from: &mut Sources<'_>) -> Self {
        let auth_type = from.trimmed("ECS_ENGINE_AUTH_TYPE", "EngineAuthType").map(|text| match text.as_str() {
            "docker" => AuthType::Docker,
            "dockercfg" => AuthType::Dockercfg,
            _ => AuthType::Unknown(text),
        });
        if let Some(AuthType::Unknown(text)) = &auth_type {
            from.note(
                Severity::Error,
                format!("ECS_ENGINE_AUTH_TYPE is {text:?}, not docker or dockercfg; registry credentials are not used"),
            );
        }
        let auth_in_file = from.file("EngineAuthData", "JSON", |value| Some(Some(Secret::new(value.to_string()))));
        Self {
            endpoint: from
                .text("DOCKER_HOST", "DockerEndpoint")
                .unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned()),
            auth_type,
            auth_data: auth_in_environment(from).or(auth_in_file),
            privileged_disabled: from.boolean("ECS_DISABLE_PRIVILEGED", "PrivilegedDisabled").unwrap_or(false),
            selinux_capable: from.boolean("ECS_SELINUX_CAPABLE", "SELinuxCapable").unwrap_or(false),
            apparmor_capable: from.boolean("ECS_APPARMOR_CAPABLE", "AppArmorCapable").unwrap_or(false),
            logging_drivers: from
                .string_list("ECS_AVAILABLE_LOGGING_DRIVERS", "AvailableLoggingDrivers")
                .unwrap_or_else(|| vec!["json-file".to_owned(), "none".to_owned()]),
            awslogs_execution_role: from
                .boolean("ECS_ENABLE_AWSLOGS_EXECUTIONROLE_OVERRIDE", "OverrideAWSLogsExecutionRole")
                .unwrap_or(false),
            firelens_async: from.boolean("ECS_ENABLE_FIRELENS_ASYNC", "FirelensAsyncEnabled").unwrap_or(true),
            shared_volume_match_full_config: from
                .boolean("ECS_SHARED_VOLUME_MATCH_FULL_CONFIG", "SharedVolumeMatchFullConfig")
                .unwrap_or(false),
            volume_plugin_capabilities: from
                .string_list("ECS_VOLUME_PLUGIN_CAPABILITIES", "VolumePluginCapabilities")
                .unwrap_or_default(),
        }
    }

    /// Log drivers that nobody knows refuse the configuration (spec 40 §6, 4).
    pub(super) fn refusal(&self) -> Option<String> {
        let unknown: Vec<_> =
            self.logging_drivers.iter().map(String::as_str).filter(|driver| !KNOWN_DRIVERS.contains(driver)).collect();
        (!unknown.is_empty()).then(|| format!("Invalid logging drivers: {}", unknown.join(", ")))
    }
}

fn auth_in_environment(from: &mut Sources<'_>) -> Option<Secret<String>> {
    let text = from.env("ECS_ENGINE_AUTH_DATA")?;
    if values::first_json(&text).is_err() {
        // Neither the value nor the parser's words about it may reach a log.
        from.note(Severity::Error, "ECS_ENGINE_AUTH_DATA is no JSON; ignored".to_owned());
        return None;
    }
    Some(Secret::new(text))
}
