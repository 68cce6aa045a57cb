//! What is said of a few hosts and daemons.

use std::collections::BTreeSet;

use expect_test::{Expect, expect};

use super::*;
use crate::config::DockerFacts;

/// The versions that a daemon with this range has in its extended set (spec 20 §7.3).
fn daemon(least: u32, most: u32) -> DockerFacts {
    let least = if least >= 24 { 17 } else { least };
    DockerFacts {
        extended_api_versions: (least..=most).map(|minor| format!("1.{minor}")).collect(),
        ..DockerFacts::default()
    }
}

fn config(docker: DockerFacts) -> EngineConfig {
    let mut config = EngineConfig { docker, ..EngineConfig::default() };
    config.registration.features.available_log_drivers = vec!["json-file".into(), "none".into()];
    config
}

#[track_caller]
fn check(config: &EngineConfig, expected: Expect) {
    let list = capabilities(config);
    assert!(list.iter().all(|attribute| attribute.value.is_none()));
    let names: Vec<_> = list.into_iter().map(|attribute| attribute.name).collect();
    let distinct: BTreeSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len(), "said twice");
    let text = names.join("\n").replace(AWS, "aws/").replace(ECS, "ecs/");
    expected.assert_eq(&text);
}

#[test]
fn an_external_host_with_docker_20() {
    let mut config = config(daemon(12, 41));
    config.is_external = true;
    config.host.is_pause_image_loaded = true;
    let features = &mut config.registration.features;
    features.available_log_drivers =
        ["json-file", "none", "syslog", "awslogs", "awsfirelens", "unheard-of"].map(Into::into).into();
    features.has_task_iam_role = true;
    features.has_task_iam_role_network_host = true;
    check(
        &config,
        expect![[r#"
        ecs/ecr-endpoint
        ecs/container-ordering
        ecs/full-sync
        ecs/network.container-port-range
        ecs/container-restart-policy
        aws/privileged-container
        aws/docker-remote-api.1.17
        aws/docker-remote-api.1.18
        aws/docker-remote-api.1.19
        aws/docker-remote-api.1.20
        aws/docker-remote-api.1.21
        aws/docker-remote-api.1.22
        aws/docker-remote-api.1.23
        aws/docker-remote-api.1.24
        aws/docker-remote-api.1.25
        aws/docker-remote-api.1.28
        aws/docker-remote-api.1.29
        aws/docker-remote-api.1.30
        aws/docker-remote-api.1.32
        aws/logging-driver.json-file
        aws/logging-driver.none
        aws/logging-driver.syslog
        aws/logging-driver.awslogs
        aws/task-iam-role
        aws/task-iam-role-network-host
        ecs/container-health-check
        ecs/docker-plugin.local
        ecs/pid-ipc-namespace-sharing
        ecs/external
        ecs/ipv6-only"#]],
    );
}

#[test]
fn a_new_daemon_with_plugins() {
    let mut config = config(daemon(44, 51));
    config.docker.volume_plugins = vec!["rexray".into(), "rexray.latest".into()];
    let features = &mut config.registration.features;
    features.volume_plugin_capabilities = vec!["efsAuth".into()];
    features.is_selinux_capable = true;
    features.is_apparmor_capable = true;
    features.has_awslogs_execution_role = true;
    check(
        &config,
        expect![[r#"
        ecs/ecr-endpoint
        ecs/container-ordering
        ecs/full-sync
        ecs/network.container-port-range
        ecs/container-restart-policy
        aws/privileged-container
        aws/docker-remote-api.1.17
        aws/docker-remote-api.1.18
        aws/docker-remote-api.1.19
        aws/docker-remote-api.1.20
        aws/docker-remote-api.1.21
        aws/docker-remote-api.1.22
        aws/docker-remote-api.1.23
        aws/docker-remote-api.1.24
        aws/docker-remote-api.1.25
        aws/docker-remote-api.1.28
        aws/docker-remote-api.1.29
        aws/docker-remote-api.1.30
        aws/docker-remote-api.1.32
        aws/logging-driver.json-file
        aws/logging-driver.none
        aws/selinux
        aws/apparmor
        ecs/container-health-check
        ecs/execution-role-awslogs
        ecs/docker-plugin.local
        ecs/docker-plugin.rexray
        ecs/docker-plugin.rexray.latest
        ecs/efsAuth
        ecs/ipv6-only"#]],
    );
}

#[test]
fn an_old_daemon_with_much_turned_off() {
    let mut config = config(daemon(17, 18));
    let features = &mut config.registration.features;
    features.has_task_iam_role = true;
    features.has_task_iam_role_network_host = true;
    features.is_privileged_disabled = true;
    check(
        &config,
        expect![[r#"
        ecs/ecr-endpoint
        ecs/container-ordering
        ecs/full-sync
        ecs/network.container-port-range
        ecs/container-restart-policy
        aws/docker-remote-api.1.17
        aws/docker-remote-api.1.18
        aws/logging-driver.json-file
        ecs/docker-plugin.local
        ecs/ipv6-only"#]],
    );
}

#[test]
fn health_checks_need_their_api_and_leave() {
    let says = |config: &EngineConfig| {
        capabilities(config).iter().any(|attribute| attribute.name == "ecs.capability.container-health-check")
    };
    assert!(says(&config(daemon(12, 24))));
    assert!(!says(&config(daemon(12, 23))));
    let mut disabled = config(daemon(12, 41));
    disabled.registration.features.is_docker_health_check_disabled = true;
    assert!(!says(&disabled));
}

#[test]
fn nothing_is_said_that_is_not_there_yet() {
    let mut config = config(daemon(12, 51));
    let features = &mut config.registration.features;
    features.has_gpu_support = true;
    features.available_log_drivers.push("awsfirelens".into());
    let said: BTreeSet<_> = capabilities(&config).into_iter().map(|attribute| attribute.name).collect();
    for (prefix, rest, rule) in TABLE {
        if matches!(rule, NotYet(_)) {
            assert!(!said.contains(&format!("{prefix}{rest}")), "{rest}");
        }
    }
}

#[test]
fn what_is_not_for_external_instances_is_in_the_table() {
    for name in NOT_EXTERNAL {
        assert!(TABLE.iter().any(|(prefix, rest, _)| *prefix == ECS && *rest == name), "{name}");
    }
}

#[test]
fn task_limits_are_said_where_they_are_on() {
    let says = |config: &EngineConfig| {
        let names: BTreeSet<_> = capabilities(config).into_iter().map(|attribute| attribute.name).collect();
        ["task-cpu-mem-limit", "increased-task-cpu-limit"].map(|name| names.contains(&format!("{ECS}{name}")))
    };
    let mut config = config(daemon(12, 41));
    assert_eq!(says(&config), [false, false]);
    config.task_limits = Some(crate::config::TaskLimits {
        naming: crate::config::CgroupNaming::Path,
        cpu_period: std::time::Duration::from_millis(100),
        pids: None,
    });
    assert_eq!(says(&config), [true, true]);
    config.docker = daemon(12, 21);
    assert_eq!(says(&config), [false, false], "the daemon is too old");
}
