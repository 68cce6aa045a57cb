//! What this agent can do, as attributes of its container instance (spec 10 §1.7.3).
//!
//! The control plane places tasks by them, so one is said only when it is true. The table lists everything
//! that the reference may say, in its order; a row that waits for a feature changes in place when that is there.

use wire::ecs::Attribute;

use crate::config::EngineConfig;

const ECS: &str = "ecs.capability.";
const AWS: &str = "com.amazonaws.ecs.capability.";

/// API versions that are ever reported.
const REPORTED_API_VERSIONS: [&str; 13] =
    ["1.17", "1.18", "1.19", "1.20", "1.21", "1.22", "1.23", "1.24", "1.25", "1.28", "1.29", "1.30", "1.32"];

/// Log drivers and the API version that each needs. `awsfirelens` may be configured and says nothing here.
const LOG_DRIVERS: [(&str, &str); 10] = [
    ("json-file", "1.18"),
    ("syslog", "1.18"),
    ("journald", "1.19"),
    ("none", "1.19"),
    ("gelf", "1.20"),
    ("fluentd", "1.20"),
    ("awslogs", "1.21"),
    ("splunk", "1.22"),
    ("logentries", "1.25"),
    ("sumologic", "1.29"),
];

/// When a capability is advertised.
#[derive(Debug, Clone, Copy)]
enum Rule {
    Always,
    When(fn(&EngineConfig) -> bool),
    /// One attribute for each of these, which complete the row's name.
    Each(fn(&EngineConfig) -> Vec<String>),
    /// Advertised by the reference, and not true of this agent before it has the named feature.
    NotYet(#[allow(dead_code, reason = "says what the row waits for")] &'static str),
}

use Rule::{Always, Each, NotYet, When};

/// Prefix, rest of the name, rule. Invariant: in the order in which they are sent.
#[rustfmt::skip]
const TABLE: &[(&str, &str, Rule)] = &[
    (ECS, "private-registry-authentication.secretsmanager", NotYet("private registries")),
    (ECS, "secrets.ssm.environment-variables", NotYet("secrets")),
    (ECS, "secrets.ssm.bootstrap.log-driver", NotYet("secrets")),
    (ECS, "ecr-endpoint", Always),
    (ECS, "secrets.asm.environment-variables", NotYet("secrets")),
    (ECS, "secrets.asm.bootstrap.log-driver", NotYet("secrets")),
    (ECS, "container-ordering", Always),
    (ECS, "full-sync", Always),
    (ECS, "env-files.s3", NotYet("environment files")),
    (ECS, "network.container-port-range", Always),
    (ECS, "container-restart-policy", Always),
    (AWS, "privileged-container", When(|config| !config.registration.features.is_privileged_disabled)),
    (AWS, "docker-remote-api.", Each(api_versions)),
    (AWS, "logging-driver.", Each(log_drivers)),
    (AWS, "selinux", When(|config| config.registration.features.is_selinux_capable)),
    (AWS, "apparmor", When(|config| config.registration.features.is_apparmor_capable)),
    (AWS, "task-iam-role", When(|config| config.registration.features.has_task_iam_role && speaks(config, "1.19"))),
    (AWS, "task-iam-role-network-host", When(|config| config.registration.features.has_task_iam_role_network_host && speaks(config, "1.19"))),
    (ECS, "task-cpu-mem-limit", When(has_task_limits)),
    (ECS, "increased-task-cpu-limit", When(has_task_limits)),
    (ECS, "task-eni", NotYet("awsvpc")),
    (ECS, "task-eni.ipv6", NotYet("awsvpc")),
    (ECS, "cni-plugin-version", NotYet("awsvpc")),
    (ECS, "task-eni-block-instance-metadata", NotYet("awsvpc")),
    (ECS, "task-eni-trunking", NotYet("awsvpc")),
    (ECS, "branch-cni-plugin-version", NotYet("awsvpc")),
    (AWS, "ecr-auth", NotYet("ECR, with API 1.19")),
    (ECS, "execution-role-ecr-pull", NotYet("ECR, with API 1.19")),
    (ECS, "container-health-check", When(|config| !config.registration.features.is_docker_health_check_disabled && speaks(config, "1.24"))),
    (ECS, "execution-role-awslogs", When(|config| config.registration.features.has_awslogs_execution_role)),
    (ECS, "docker-plugin.local", Always),
    (ECS, "docker-plugin.", Each(|config| config.docker.volume_plugins.clone())),
    (ECS, "nvidia-driver-version.", NotYet("GPUs")),
    (ECS, "gpu-driver-version", NotYet("GPUs")),
    (ECS, "pid-ipc-namespace-sharing", When(|config| config.host.is_pause_image_loaded)),
    (ECS, "aws-appmesh", NotYet("App Mesh")),
    (ECS, "task-eia", NotYet("Elastic Inference")),
    (ECS, "task-eia.optimized-cpu", NotYet("Elastic Inference")),
    (ECS, "firelens.fluentd", NotYet("FireLens")),
    (ECS, "firelens.fluentbit", NotYet("FireLens")),
    (AWS, "logging-driver.awsfirelens", NotYet("FireLens")),
    (ECS, "logging-driver.awsfirelens.log-driver-buffer-limit", NotYet("FireLens")),
    (ECS, "firelens.non-root-user", NotYet("FireLens")),
    (ECS, "efs", NotYet("EFS volumes")),
    (ECS, "storage.s3-files", NotYet("S3 Files volumes")),
    (ECS, "firelens.options.config.file", NotYet("FireLens")),
    (ECS, "firelens.options.config.s3", NotYet("FireLens")),
    (ECS, "gmsa", NotYet("gMSA")),
    (ECS, "gmsa-domainless", NotYet("gMSA")),
    (ECS, "", Each(|config| config.registration.features.volume_plugin_capabilities.clone())),
    (ECS, "execute-command", NotYet("ECS Exec")),
    (ECS, "service-connect-v1", NotYet("Service Connect")),
    (ECS, "storage.ebs-task-volume-attach", NotYet("EBS volumes")),
    (ECS, "storage.ebsta-non-root-user", NotYet("EBS volumes")),
    (ECS, "external", When(|config| config.is_external)),
    (ECS, "fault-injection", NotYet("fault injection")),
    (ECS, "ipv6-only", Always),
];

/// Never said of an external instance, whatever the table says.
const NOT_EXTERNAL: [&str; 12] = [
    "task-eni",
    "cni-plugin-version",
    "task-eni.ipv6",
    "task-eni-block-instance-metadata",
    "task-eni-trunking",
    "aws-appmesh",
    "task-eia",
    "task-eia.optimized-cpu",
    "service-connect-v1",
    "storage.ebs-task-volume-attach",
    "storage.ebsta-non-root-user",
    "fault-injection",
];

/// The capabilities of this agent on this host.
pub fn capabilities(config: &EngineConfig) -> Vec<Attribute> {
    let mut list = Vec::new();
    for (prefix, rest, rule) in TABLE {
        if config.is_external && *prefix == ECS && NOT_EXTERNAL.contains(rest) {
            continue;
        }
        match rule {
            Always => list.push(named(prefix, rest, "")),
            When(is_true) if is_true(config) => list.push(named(prefix, rest, "")),
            When(_) | NotYet(_) => {}
            Each(items) => list.extend(items(config).iter().map(|item| named(prefix, rest, item))),
        }
    }
    list
}

fn named(prefix: &str, rest: &str, item: &str) -> Attribute {
    Attribute { name: format!("{prefix}{rest}{item}"), ..Attribute::default() }
}

/// Whether the version is in the extended set of the Engine's API versions (spec 20 §7.3).
fn speaks(config: &EngineConfig, version: &str) -> bool {
    config.docker.extended_api_versions.iter().any(|spoken| spoken == version)
}

/// The operator wants limits for whole tasks, and they can be had.
fn has_task_limits(config: &EngineConfig) -> bool {
    config.task_limits.is_some() && speaks(config, "1.22")
}

fn api_versions(config: &EngineConfig) -> Vec<String> {
    REPORTED_API_VERSIONS
        .iter()
        .filter(|version| speaks(config, version))
        .map(|version| (*version).to_owned())
        .collect()
}

fn log_drivers(config: &EngineConfig) -> Vec<String> {
    let needs = |driver: &str| LOG_DRIVERS.iter().find(|(name, _)| *name == driver).map(|(_, version)| *version);
    let mut drivers = config.registration.features.available_log_drivers.clone();
    drivers.retain(|driver| needs(driver).is_some_and(|version| speaks(config, version)));
    drivers
}

#[cfg(test)]
mod tests;
