//! Tables of what goes in and what comes out: here the merge of sources, in `variables` each grammar.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use expect_test::{Expect, expect};

use super::*;

mod variables;

const ROUTES: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
    eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n";

/// Loads from lines: `NAME=value` is a variable, `file: {...}` the configuration file, `user data: ...` the user
/// data, `imds region: ...` the metadata service's, `/path: text` any other file (`\n` in it is a line's end).
fn load(lines: &str) -> Result<(Config, Vec<Warning>), ConfigError> {
    let mut variables = BTreeMap::new();
    let mut files = BTreeMap::from([("/proc/net/route".to_owned(), ROUTES.to_owned())]);
    let (mut user_data, mut region) = (None, Some("eu-north-1".to_owned()));
    for line in lines.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
        if let Some(text) = line.strip_prefix("file: ") {
            files.insert("/etc/ecs_container_agent/config.json".to_owned(), text.to_owned());
        } else if let Some(text) = line.strip_prefix("user data: ") {
            user_data = Some(text.to_owned());
        } else if let Some(text) = line.strip_prefix("imds region: ") {
            region = Some(text.to_owned()).filter(|text| text != "none");
        } else if line.starts_with('/') {
            let (path, text) = line.split_once(": ").unwrap();
            files.insert(path.to_owned(), text.replace("\\n", "\n"));
        } else {
            let (name, value) = line.split_once('=').unwrap();
            variables.insert(name.to_owned(), value.to_owned());
        }
    }
    Config::load_from(Inputs {
        lookup: &|name| variables.get(name).cloned(),
        read_file: &|path| files.get(path.to_str().unwrap()).cloned().ok_or_else(|| io::ErrorKind::NotFound.into()),
        user_data: user_data.as_deref(),
        metadata_region: region.as_deref(),
    })
}

/// Every leaf of the configuration as `path: value`.
fn leaves(config: &Config) -> Vec<String> {
    let text = format!("{config:#?}");
    let (mut path, mut leaves) = (Vec::<String>::new(), Vec::new());
    let mut lines = text.lines().map(|line| line.trim().trim_end_matches(','));
    while let Some(line) = lines.next() {
        if line.starts_with(['}', ')']) {
            path.pop();
            continue;
        }
        let (name, value) =
            if line.starts_with('"') { ("", line) } else { line.split_once(": ").unwrap_or(("", line)) };
        if line.ends_with('[') {
            let items: Vec<_> = lines.by_ref().take_while(|line| *line != "]").collect();
            leaves.push(leaf(&path, name, &format!("[{}]", items.join(", "))));
        } else if line.ends_with(['{', '(']) {
            path.push(name.to_owned());
        } else {
            leaves.push(leaf(&path, name, value));
        }
    }
    leaves
}

fn leaf(path: &[String], name: &str, value: &str) -> String {
    let names: Vec<_> = path.iter().map(String::as_str).chain([name]).filter(|name| !name.is_empty()).collect();
    format!("{}: {value}", names.join("."))
}

/// What the lines change against the defaults, and what is said about them.
#[track_caller]
fn check(lines: &str, expected: Expect) {
    let mut text = String::new();
    match load(lines) {
        Ok((config, warnings)) => {
            let default: BTreeSet<_> = leaves(&load("").unwrap().0).into_iter().collect();
            for leaf in leaves(&config).into_iter().filter(|leaf| !default.contains(leaf)) {
                text += &format!("{leaf}\n");
            }
            for warning in warnings {
                text += &format!("{:?}: {}\n", warning.severity, warning.text);
            }
        }
        Err(error) => text += &format!("{error}\n"),
    }
    expected.assert_eq(&text);
}

#[test]
fn defaults() {
    let (mut config, warnings) = load("").unwrap();
    assert_eq!(warnings, []);
    // The machine's own number of cores decides these.
    let cores = usize::try_from(host::facts::logical_cpus()).unwrap();
    assert_eq!(config.parallel, super::Parallel { pulls: 2 * cores, launches: 2 * cores, stops: 8 * cores });
    config.parallel = super::Parallel { pulls: 4, launches: 4, stops: 16 };
    expect![[r#"
        identity.cluster: None
        identity.endpoint: None
        identity.region: "eu-north-1"
        identity.external: false
        identity.use_identity_document: true
        identity.ip.ipv4: true
        identity.ip.ipv6: false
        identity.fips: false
        identity.attributes: {}
        identity.tags: {}
        identity.propagate_ec2_tags: false
        identity.os_family: "LINUX"
        identity.wait_for_warm_pool: false
        identity.spot_draining: false
        identity.hide_zone: false
        docker.endpoint: "unix:///var/run/docker.sock"
        docker.auth_type: None
        docker.auth_data: None
        docker.privileged_disabled: false
        docker.selinux_capable: false
        docker.apparmor_capable: false
        docker.logging_drivers: ["json-file", "none"]
        docker.awslogs_execution_role: false
        docker.firelens_async: true
        docker.shared_volume_match_full_config: false
        docker.volume_plugin_capabilities: []
        images.pull_behavior: Default
        images.pull_inactivity_timeout: 60s
        images.pull_timeout: 7200s
        images.manifest_pull_timeout: 60s
        images.pull_dependents_upfront: false
        images.cleanup_disabled: false
        images.cleanup_interval: 1800s
        images.minimum_age: 3600s
        images.untracked_minimum_age: 3600s
        images.images_per_cycle: 5
        images.untracked_containers_per_cycle: 5
        images.untracked_cleanup: false
        images.exclusions: []
        images.disk_thresholds: None
        timeouts.container_stop: 30s
        timeouts.container_start: 180s
        timeouts.container_create: 240s
        timeouts.task_cleanup_wait: 10800s
        timeouts.task_cleanup_jitter: 0ns
        timeouts.refused: None
        telemetry.metrics_disabled: false
        telemetry.health_disabled: false
        telemetry.polling: false
        telemetry.poll_interval: 10s
        telemetry.runtime_stats: false
        telemetry.runtime_stats_log: "/log/agent-runtime-stats.log"
        telemetry.prometheus: false
        capacity.reserved_ports: [22, 2375, 2376, 51678, 51679]
        capacity.reserved_ports_udp: []
        capacity.reserved_memory: 0
        capacity.dynamic_ports.first: 49153
        capacity.dynamic_ports.last: 65535
        capacity.exclude_ipv6_bindings: true
        capacity.task_limits: None
        capacity.cgroup_path: "/sys/fs/cgroup"
        capacity.cpu_period: 100ms
        capacity.task_pids_limit: None
        capacity.propagate_memory_limit: false
        networking.task_eni: false
        networking.eni_trunking: false
        networking.cni_plugins_path: "/amazon-ecs-cni-plugins"
        networking.block_imds: false
        networking.additional_local_routes: []
        networking.pause_labels: {}
        networking.pause_image.tarball: "/images/amazon-ecs-pause.tar"
        networking.pause_image.name: "amazon/amazon-ecs-pause"
        networking.pause_image.tag: "0.1.0"
        networking.pause_cleanup_delay: 0ns
        networking.local_ipv4_override: None
        networking.eni_dns_servers: []
        networking.metadata_rate.steady: 40
        networking.metadata_rate.burst: 60
        netfilter.mode: None
        netfilter.tool: Any
        netfilter.interval: 60s
        netfilter.block_imds: false
        netfilter.filters_loopback: true
        netfilter.shows_introspection: false
        state.data_dir: "/data/"
        state.host_data_dir: "/var/lib/ecs"
        state.checkpoint: false
        state.container_metadata_file: false
        state.updates_enabled: false
        state.update_dir: None
        state.config_file: "/etc/ecs_container_agent/config.json"
        credentials.task_roles: false
        credentials.task_roles_host_network: false
        credentials.imds_task_roles: false
        credentials.rotating_profile: "default"
        credentials.audit_log: "/log/audit.log"
        devices.gpu: false
        devices.nvidia_runtime: "nvidia"
        devices.inferentia: false
        devices.ebs: true
        devices.ebs_socket: "/var/run/ecs/ebs-csi-driver/csi-driver.sock"
        devices.ebs_stage_timeout: 2s
        devices.ebs_unstage_timeout: 30s
        devices.gmsa.supported: false
        devices.gmsa.socket: None
        devices.gmsa.has_domainless_secret: false
        devices.gmsa.domain_joined: false
        devices.gmsa.skip_domain_check: false
        devices.gmsa.skip_domainless_check: false
        devices.gmsa.skip_daemon: false
        logging.console_level: Info
        logging.file_level: Info
        logging.file: None
        logging.format: Logfmt
        logging.rollover.max_bytes: 5000000
        logging.rollover.keep: 24
        parallel.pulls: 4
        parallel.launches: 4
        parallel.stops: 16
        proxy.http: None
        proxy.https: None
        proxy.no_proxy: None
        proxy.has_upper_case_no_proxy: false
        proxy.refuse_http: false"#]]
    .assert_eq(&leaves(&config).join("\n"));
}

#[test]
fn a_false_of_three_states_wins_and_one_of_two_does_not() {
    check("ECS_POLL_METRICS=false\nfile: {\"PollMetrics\": true}", expect![""]);
    check("ECS_ENABLE_GPU_SUPPORT=false\nfile: {\"GPUSupportEnabled\": true}", expect![[r#"
        devices.gpu: true
    "#]]);
    check("ECS_EBSTA_SUPPORTED=false\nfile: {\"EBSTASupportEnabled\": true}", expect![""]);
    check("ECS_EXTERNAL=false\nfile: {\"External\": true}", expect![""]);
}

#[test]
fn external_mode_needs_its_region_in_the_environment() {
    check("ECS_EXTERNAL=true\nfile: {\"AWSRegion\": \"us-east-1\"}", expect![[r#"
        AWS_DEFAULT_REGION has to be set when running on external capacity
    "#]]);
    check("ECS_EXTERNAL=t\nAWS_DEFAULT_REGION=us-east-1\nuser data: {\"ECSAgentConfiguration\":{\"Cluster\":\"x\"}}", expect![[r#"
            identity.region: "us-east-1"
            identity.external: true
            identity.use_identity_document: false
        "#]]);
    check("file: {\"External\": true}", expect![[r#"
        identity.external: true
    "#]]);
}

#[test]
fn errors_are_collected() {
    check("imds region: none\nECS_INSTANCE_ATTRIBUTES=[1]\nECS_CONTAINER_INSTANCE_TAGS={\"a\":\"b\"} x\nfile: {\"Cluster\": 5}", expect![[r#"
            Multiple error:
            	0: Multiple error:
            	0: Invalid format for ECS_INSTANCE_ATTRIBUTES. Expected a json hash: a value of another type
            	1: Invalid format for ECS_CONTAINER_INSTANCE_TAGS. Expected a json hash: trailing characters at line 1 column 11
            	1: Cluster in the configuration file must be a string
            	2: Missing required fields: AWSRegion
        "#]]);
    check("ECS_AWSVPC_ADDITIONAL_LOCAL_ROUTES=[\"10.0.0.0\"]", expect![[r#"
        Multiple error:
        	0: Multiple error:
        	0: Invalid format for ECS_AWSVPC_ADDITIONAL_LOCAL_ROUTES. Expected a json array of CIDRs: a value of another type
    "#]]);
    check("ECS_AVAILABLE_LOGGING_DRIVERS=[\"json-file\",\"paper\",\"awsfirelens\",\"stone\"]", expect![[r#"
        Multiple error:
        	0: Invalid logging drivers: paper, stone
    "#]]);
    check("ECS_AVAILABLE_LOGGING_DRIVERS=json-file", expect![[r#"
        Warn: Invalid format for ECS_AVAILABLE_LOGGING_DRIVERS: expected a JSON list of strings: expected value at line 1 column 1
    "#]]);
    check("file: {\"Cluster\": ", expect![[r#"
        Multiple error:
        	0: /etc/ecs_container_agent/config.json is not JSON: EOF while parsing a value at line 1 column 12
    "#]]);
    check("file: []", expect![[r#"
        Multiple error:
        	0: /etc/ecs_container_agent/config.json is not a JSON object
    "#]]);
    check("file:  ", expect![""]);
}

#[test]
fn only_a_missing_region_asks_for_another_try() {
    let error = |lines: &str| match load(lines).unwrap_err() {
        ConfigError::Invalid { only_region_missing, use_identity_document, .. } => {
            (only_region_missing, use_identity_document)
        }
        ConfigError::ExternalWithoutRegion => unreachable!(),
    };
    assert_eq!(error("imds region: none"), (true, true));
    assert_eq!(error("imds region: none\nfile: {\"NoIID\": true}"), (true, false));
    assert_eq!(error("imds region: none\nECS_INSTANCE_ATTRIBUTES=x"), (false, true));
    assert_eq!(error("file: {\"Cluster\": 1}"), (false, true));
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_user_data() {
    let below = "file: {\"cluster\": \"from-file\", \"TASKCLEANUPWAITDURATION\": 60000000000, \"Nonsense\": {}}\n\
                 user data: {\"ECSAgentConfiguration\": {\"Cluster\": \"from-data\", \"PollMetrics\": 1, \"DataDir\": 7}}";
    check(
        below,
        expect![[r#"
        identity.cluster: "from-file"
        timeouts.task_cleanup_wait: 60s
        telemetry.polling: true
        Warn: DataDir in the user data must be a string; ignored
    "#]]);
    check(&format!("ECS_CLUSTER=from-environment\n{below}"), expect![[r#"
        identity.cluster: "from-environment"
        timeouts.task_cleanup_wait: 60s
        telemetry.polling: true
        Warn: DataDir in the user data must be a string; ignored
    "#]]);
    check("user data: #!/bin/sh", expect![[r#"
        Debug: The user data is no JSON object and holds no agent configuration
    "#]]);
}

#[test]
fn keys_of_the_file_alone() {
    check(
        "file: {\"NoIID\": true, \"ENIPauseContainerCleanupDelaySeconds\": 3, \"NodeStageTimeout\": 5000000000, \
         \"PauseContainerTag\": \"2\", \"IMDSIAMRolesEnabled\": true, \"OverrideAWSVPCLocalIPv4Address\": \"10.0.0.1/16\", \
         \"CSIDriverSocketPath\": \"/s\", \"RuntimeStatsLogFile\": \"/r\", \"InstanceENIDNSServerList\": [\"1.1.1.1\"]}",
        expect![[r#"
            identity.use_identity_document: false
            telemetry.runtime_stats_log: "/r"
            networking.pause_image.tag: "2"
            networking.pause_cleanup_delay: 3s
            networking.local_ipv4_override: "10.0.0.1/16"
            networking.eni_dns_servers: ["1.1.1.1"]
            credentials.imds_task_roles: true
            devices.ebs_socket: "/s"
            devices.ebs_stage_timeout: 5s
        "#]]);
}

#[test]
fn keys_that_never_win() {
    check(
        "file: {\"DynamicHostPortRange\": \"1-2\", \"PrometheusMetricsEnabled\": true, \"GMSACapable\": true, \
         \"ENITrunkingEnabled\": true}",
        expect![""],
    );
}

#[test]
fn secrets_are_not_shown() {
    let lines = "ECS_ENGINE_AUTH_TYPE=docker\nECS_ENGINE_AUTH_DATA={\"r\":{\"password\":\"hunter2\"}}\nHTTPS_PROXY=http://u:hunter2@p:1\n\
                 http_proxy=http://u:hunter2@q:1";
    check(
        lines,
        expect![[r#"
        docker.auth_type: Docker
        docker.auth_data: [redacted]
        proxy.http: [redacted]
        proxy.https: [redacted]
    "#]]);
    check("ECS_ENGINE_AUTH_DATA={hunter2\nECS_ENGINE_AUTH_TYPE=odd", expect![[r#"
        docker.auth_type: "odd"
        Error: ECS_ENGINE_AUTH_TYPE is "odd", not docker or dockercfg; registry credentials are not used
        Error: ECS_ENGINE_AUTH_DATA is no JSON; ignored
    "#]]);
    let (config, _) = load(lines).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    assert!(config.docker.auth_data.unwrap().expose().contains("hunter2"));
    assert!(config.proxy.http.unwrap().expose().ends_with("q:1"));
    check("file: {\"EngineAuthData\": {\"r\": {\"auth\": \"hunter2\"}}}", expect![[r#"
        docker.auth_data: [redacted]
    "#]]);
}

#[test]
fn every_variable_that_is_read_is_known() {
    let read = RefCell::new(BTreeSet::new());
    Config::load(
        |name| {
            read.borrow_mut().insert(name.to_owned());
            // What is read only when something else is on must be read too.
            match name {
                "AWS_DEFAULT_REGION" => Some("x".to_owned()),
                "ECS_ENABLE_TASK_ENI" => Some("true".to_owned()),
                _ => None,
            }
        },
        |_| Err(io::ErrorKind::NotFound.into()),
    )
    .unwrap();
    let unknown: Vec<_> =
        read.borrow().iter().filter(|name| name.starts_with("ECS_") && !known::is_known(name)).cloned().collect();
    assert_eq!(unknown, Vec::<String>::new());
    assert!(read.borrow().len() > 95, "{}", read.borrow().len());
}

#[test]
fn limits_on_parallel_work_are_at_least_one() {
    let limits = |lines: &str| load(lines).unwrap().0.parallel;
    let chosen = limits("LONGSHORE_PARALLEL_PULLS=1\nLONGSHORE_PARALLEL_LAUNCHES=9\nLONGSHORE_PARALLEL_STOPS=7");
    assert_eq!((chosen.pulls, chosen.launches, chosen.stops), (1, 9, 7));
    let (config, warnings) = load("LONGSHORE_PARALLEL_PULLS=-1").unwrap();
    assert_eq!(config.parallel.pulls, limits("").pulls);
    assert_eq!(warnings[0].text, "LONGSHORE_PARALLEL_PULLS must be at least 1; using the default");
}

#[test]
fn packet_rules_are_somebody_elses_unless_told_otherwise() {
    check(
        "LONGSHORE_NETFILTER=own\nLONGSHORE_NETFILTER_TOOL=nft\nLONGSHORE_NETFILTER_INTERVAL=5s\n\
         LONGSHORE_BRIDGE_BLOCK_IMDS=true\nECS_SKIP_LOCALHOST_TRAFFIC_FILTER=1\nECS_ALLOW_OFFHOST_INTROSPECTION_ACCESS=T",
        expect![[r#"
            netfilter.mode: Own
            netfilter.tool: Nft
            netfilter.interval: 5s
            netfilter.block_imds: true
            netfilter.filters_loopback: false
            netfilter.shows_introspection: true
        "#]],
    );
    check(
        "LONGSHORE_NETFILTER=on\nLONGSHORE_NETFILTER_TOOL=pf\nLONGSHORE_NETFILTER_INTERVAL=10ms\nLONGSHORE_BRIDGE_BLOCK_IMDS=si",
        expect![[r#"
            Warn: Invalid format for LONGSHORE_BRIDGE_BLOCK_IMDS: expected true or false, got "si"
            Warn: Invalid format for LONGSHORE_NETFILTER: expected own, watch or off, got "on"
            Warn: Invalid format for LONGSHORE_NETFILTER_TOOL: expected iptables, iptables-nft, iptables-legacy or nft, got "pf"
            Warn: Invalid format for LONGSHORE_NETFILTER_INTERVAL: expected a duration of 1s or more, got "10ms"
        "#]],
    );
}
