//! One table for each subject of variables.

use super::*;

#[test]
fn booleans() {
    check("ECS_DISABLE_METRICS= True ", expect![[r#"
        telemetry.metrics_disabled: true
    "#]]);
    check("ECS_DISABLE_METRICS=yes", expect![[r#"
        Warn: Invalid format for ECS_DISABLE_METRICS: expected true or false, got "yes"
    "#]]);
    check("ECS_DISABLE_METRICS=", expect![""]);
    check("ECS_ENABLE_GPU_SUPPORT=on", expect![""]);
    check("ECS_ENABLE_GPU_SUPPORT=t", expect![[r#"
        devices.gpu: true
    "#]]);
    check("ECS_EBSTA_SUPPORTED=false", expect![[r#"
        devices.ebs: false
    "#]]);
    check("ECS_ENABLE_FIRELENS_ASYNC=0", expect![[r#"
        docker.firelens_async: false
    "#]]);
    check("ECS_ENABLE_TASK_CPU_MEM_LIMIT=true", expect![[r#"
        capacity.task_limits: true
    "#]]);
    check("ECS_ENABLE_TASK_CPU_MEM_LIMIT=false", expect![[r#"
        capacity.task_limits: false
    "#]]);
}

#[test]
fn durations() {
    check("ECS_CONTAINER_STOP_TIMEOUT=1h30m0.5s", expect![[r#"
        timeouts.container_stop: 5400.5s
    "#]]);
    check("ECS_CONTAINER_STOP_TIMEOUT=999ms", expect![[r#"
        timeouts.container_stop: 1s
        Warn: ECS_CONTAINER_STOP_TIMEOUT of 999ms is below the minimum; using 1s
    "#]]);
    check("ECS_CONTAINER_STOP_TIMEOUT=-5m", expect![[r#"
        timeouts.container_stop: 1s
        Warn: ECS_CONTAINER_STOP_TIMEOUT of -5m0s is below the minimum; using 1s
    "#]]);
    check("ECS_CONTAINER_STOP_TIMEOUT=0", expect![""]);
    check("ECS_CONTAINER_STOP_TIMEOUT= 5s", expect![[r#"
        Warn: Invalid format for ECS_CONTAINER_STOP_TIMEOUT: expected a duration such as 30s or 1h30m, got " 5s"
    "#]]);
    check("ECS_CONTAINER_STOP_TIMEOUT=30", expect![[r#"
        Warn: Invalid format for ECS_CONTAINER_STOP_TIMEOUT: expected a duration such as 30s or 1h30m, got "30"
    "#]]);
    check("ECS_CONTAINER_START_TIMEOUT=44s", expect![[r#"
        timeouts.container_start: 45s
        Warn: ECS_CONTAINER_START_TIMEOUT of 44s is below the minimum; using 45s
    "#]]);
    check("ECS_CONTAINER_CREATE_TIMEOUT=59s", expect![[r#"
        timeouts.container_create: 60s
        Warn: ECS_CONTAINER_CREATE_TIMEOUT of 59s is below the minimum; using 1m0s
    "#]]);
    check("ECS_IMAGE_PULL_TIMEOUT=-1s", expect![[r#"
        images.pull_timeout: 0ns
    "#]]);
    check("ECS_IMAGE_PULL_INACTIVITY_TIMEOUT=59s", expect![[r#"
        Warn: ECS_IMAGE_PULL_INACTIVITY_TIMEOUT of 59s is below the minimum; using 1m0s
    "#]]);
    check("ECS_MANIFEST_PULL_TIMEOUT=1s", expect![[r#"
        images.manifest_pull_timeout: 30s
        Warn: ECS_MANIFEST_PULL_TIMEOUT of 1s is below the minimum; using 30s
    "#]]);
    check("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION=999ms", expect![[r#"
        Warn: ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION is below 1s; using 3h
    "#]]);
    check("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION_JITTER=-1s", expect![[r#"
        Warn: ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION_JITTER is negative; using 0s
    "#]]);
    check("ECS_IMAGE_CLEANUP_INTERVAL=9m59s", expect![[r#"
        Warn: ECS_IMAGE_CLEANUP_INTERVAL is below 10m; using 30m
    "#]]);
    check("ECS_IMAGE_CLEANUP_INTERVAL=20m\nLONGSHORE_IMAGE_CLEANUP_INTERVAL=3s", expect![[r#"
        images.cleanup_interval: 3s
    "#]]);
    check("LONGSHORE_IMAGE_CLEANUP_INTERVAL=10ms", expect![[r#"
        Warn: LONGSHORE_IMAGE_CLEANUP_INTERVAL is below 1s; it is ignored
    "#]]);
    check("ECS_IMAGE_MINIMUM_CLEANUP_AGE=1s\nNON_ECS_IMAGE_MINIMUM_CLEANUP_AGE=2s", expect![[r#"
        images.minimum_age: 1s
        images.untracked_minimum_age: 2s
    "#]]);
    check("ECS_CGROUP_CPU_PERIOD=7ms", expect![[r#"
        Warn: ECS_CGROUP_CPU_PERIOD is not from 8ms to 100ms; using 100ms
    "#]]);
    check("ECS_CGROUP_CPU_PERIOD=8ms\nfile: {\"CgroupCPUPeriod\": 50000000}", expect![[r#"
        capacity.cpu_period: 8ms
    "#]]);
}

#[test]
fn polling_is_bounded_only_when_it_is_on() {
    check("ECS_POLLING_METRICS_WAIT_DURATION=1s", expect![[r#"
        telemetry.poll_interval: 1s
    "#]]);
    check("ECS_POLL_METRICS=1\nECS_POLLING_METRICS_WAIT_DURATION=1s", expect![[r#"
        telemetry.polling: true
        telemetry.poll_interval: 5s
        Warn: ECS_POLLING_METRICS_WAIT_DURATION is below 5s; using 5s
    "#]]);
    check("ECS_POLL_METRICS=1\nECS_POLLING_METRICS_WAIT_DURATION=1m", expect![[r#"
        telemetry.polling: true
        telemetry.poll_interval: 20s
        Warn: ECS_POLLING_METRICS_WAIT_DURATION is above 20s; using 20s
    "#]]);
}

#[test]
fn durations_in_the_file() {
    check("file: {\"TaskCleanupWaitDuration\": 600000000000}", expect![[r#"
        timeouts.task_cleanup_wait: 600s
    "#]]);
    check("file: {\"TaskCleanupWaitDuration\": \"10m\"}", expect![[r#"
        Multiple error:
        	0: TaskCleanupWaitDuration in the configuration file must be an integer of nanoseconds
    "#]]);
    check("file: {\"DockerStopTimeout\": 5}", expect![[r#"
        Multiple error:
        	0: config: invalid value for docker container stop timeout: 5ns
    "#]]);
    check("file: {\"ContainerStartTimeout\": -5000000000}", expect![[r#"
        Multiple error:
        	0: config: invalid value for docker container start timeout: -5s
    "#]]);
    check("file: {\"ContainerCreateTimeout\": 5000000000}", expect![[r#"
        timeouts.container_create: 5s
    "#]]);
}

#[test]
fn ports_and_memory() {
    check("ECS_RESERVED_PORTS=[22, 80] trailing", expect![[r#"
        capacity.reserved_ports: [22, 80]
    "#]]);
    check("ECS_RESERVED_PORTS=[]", expect![""]);
    check("ECS_RESERVED_PORTS=[22, 70000, \"x\", 80]", expect![[r#"
        capacity.reserved_ports: [22, 80]
        Warn: Invalid format for ECS_RESERVED_PORTS: members that are no ports from 0 to 65535 are ignored
    "#]]);
    check("ECS_RESERVED_PORTS=22,80\nECS_RESERVED_PORTS_UDP=[53", expect![[r#"
        Warn: Invalid format for ECS_RESERVED_PORTS: expected a JSON list of ports
        Warn: Invalid format for ECS_RESERVED_PORTS_UDP: expected a JSON list of ports: EOF while parsing a list at line 1 column 3
    "#]]);
    check("ECS_RESERVED_PORTS_UDP=[53]\nECS_ENABLE_PROMETHEUS_METRICS=true", expect![[r#"
        telemetry.prometheus: true
        capacity.reserved_ports: [22, 2375, 2376, 51678, 51679, 51680]
        capacity.reserved_ports_udp: [53]
    "#]]);
    check("ECS_RESERVED_MEMORY=32", expect![[r#"
        capacity.reserved_memory: 32
    "#]]);
    check("ECS_RESERVED_MEMORY=+32", expect![[r#"
        Warn: Invalid format for ECS_RESERVED_MEMORY: expected MiB from 0 to 65535, got "+32"
    "#]]);
    check("ECS_RESERVED_MEMORY=65536\nfile: {\"ReservedMemory\": 16}", expect![[r#"
        capacity.reserved_memory: 16
        Warn: Invalid format for ECS_RESERVED_MEMORY: expected MiB from 0 to 65535, got "65536"
    "#]]);
    check("ECS_TASK_PIDS_LIMIT= 100 ", expect![[r#"
        capacity.task_pids_limit: 100
    "#]]);
    check("ECS_TASK_PIDS_LIMIT=4194305", expect![[r#"
        Warn: Invalid value for ECS_TASK_PIDS_LIMIT: expected 1 to 4194304, got "4194305"; no limit is set
    "#]]);
}

#[test]
fn dynamic_ports() {
    check("/proc/sys/net/ipv4/ip_local_port_range: 32768\t60999\\n", expect![[r#"
        capacity.dynamic_ports.first: 32768
        capacity.dynamic_ports.last: 60999
    "#]]);
    check("ECS_DYNAMIC_HOST_PORT_RANGE=100-200\n/proc/sys/net/ipv4/ip_local_port_range: 32768\t60999", expect![[r#"
        capacity.dynamic_ports.first: 100
        capacity.dynamic_ports.last: 200
    "#]]);
    check("ECS_DYNAMIC_HOST_PORT_RANGE=100", expect![[r#"
        capacity.dynamic_ports.first: 100
        capacity.dynamic_ports.last: 100
    "#]]);
    check("ECS_DYNAMIC_HOST_PORT_RANGE=200-100", expect![[r#"
        Warn: Invalid format for ECS_DYNAMIC_HOST_PORT_RANGE: expected a port or two with a dash, got "200-100"
    "#]]);
    check("ECS_DYNAMIC_HOST_PORT_RANGE=-100", expect![[r#"
        Warn: Invalid format for ECS_DYNAMIC_HOST_PORT_RANGE: expected a port or two with a dash, got "-100"
    "#]]);
}

#[test]
fn identity() {
    check("ECS_CLUSTER= blue \nECS_BACKEND_HOST=localhost:8443", expect![[r#"
        identity.cluster: "blue"
        identity.endpoint: "https://localhost:8443"
    "#]]);
    check("ECS_BACKEND_HOST=http://localhost:8080", expect![[r#"
        identity.endpoint: "http://localhost:8080"
    "#]]);
    check("AWS_DEFAULT_REGION= us-west-2 \nAWS_REGION=eu-west-1", expect![[r#"
        identity.region: "us-west-2"
    "#]]);
    check("imds region: none\nAWS_REGION=eu-west-1", expect![[r#"
        Multiple error:
        	0: Missing required fields: AWSRegion
    "#]]);
    check("ECS_DETAILED_OS_FAMILY=", expect![[r#"
        identity.os_family: ""
    "#]]);
    check("ECS_DETAILED_OS_FAMILY=debian_12", expect![[r#"
        identity.os_family: "debian_12"
    "#]]);
    check("ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS_FROM=ec2_instance", expect![[r#"
        identity.propagate_ec2_tags: true
    "#]]);
    check("ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS_FROM=EC2_INSTANCE", expect![""]);
    check("file: {\"ContainerInstancePropagateTagsFrom\": 1}", expect![[r#"
        identity.propagate_ec2_tags: true
    "#]]);
    check("file: {\"ClusterArn\": \"old\"}", expect![[r#"
        identity.cluster: "old"
        Warn: ClusterArn in the configuration file is deprecated; use Cluster
    "#]]);
    check("ECS_CLUSTER=new\nfile: {\"ClusterArn\": \"old\"}", expect![[r#"
        identity.cluster: "new"
        Warn: ClusterArn in the configuration file is deprecated; use Cluster
    "#]]);
    check("ECS_INSTANCE_ATTRIBUTES={\"rack\":\"r7\"}\nECS_CONTAINER_INSTANCE_TAGS={\"a\":\"1\",\"a\":\"2\"}", expect![[r#"
            identity.attributes: "rack": "r7"
            identity.tags: "a": "2"
        "#]]);
}

#[test]
fn addresses() {
    let v6 = "/proc/net/ipv6_route: 00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
              fe800000000000000000000000000001 00000400 1 0 00000003 eth0";
    check(
        v6,
        expect![[r#"
        identity.ip.ipv6: true
    "#]]);
    check(&format!("/proc/net/route: Iface\\n\n{v6}"), expect![[r#"
        identity.ip.ipv4: false
        identity.ip.ipv6: true
        capacity.exclude_ipv6_bindings: false
    "#]]);
    check(&format!("/proc/net/route: Iface\\n\n{v6}\nECS_EXCLUDE_IPV6_PORTBINDING=true"), expect![[r#"
        identity.ip.ipv4: false
        identity.ip.ipv6: true
    "#]]);
    check("ECS_INSTANCE_IP_COMPATIBILITY= IPv6", expect![[r#"
        identity.ip.ipv4: false
        identity.ip.ipv6: true
        capacity.exclude_ipv6_bindings: false
    "#]]);
    check("ECS_INSTANCE_IP_COMPATIBILITY=dual", expect![[r#"
        Warn: Invalid value for ECS_INSTANCE_IP_COMPATIBILITY: expected ipv4 or ipv6, got "dual"; detecting
    "#]]);
    check("file: {\"InstanceIPCompatibility\": \"ipv6\"}", expect![[r#"
        Multiple error:
        	0: InstanceIPCompatibility in the configuration file must be left out
    "#]]);
    check("/proc/sys/crypto/fips_enabled: 1\\n", expect![[r#"
        identity.fips: true
    "#]]);
}

#[test]
fn a_missing_route_table_means_ipv4() {
    let (config, warnings) = Config::load(
        |name| (name == "AWS_DEFAULT_REGION").then(|| "x".to_owned()),
        |_| Err(io::ErrorKind::NotFound.into()),
    )
    .unwrap();
    assert!(!config.identity.ip.is_ipv6_only() && config.identity.ip.ipv4);
    assert_eq!(warnings.len(), 1);
}

#[test]
fn images() {
    check("ECS_IMAGE_PULL_BEHAVIOR=prefer-cached", expect![[r#"
        images.pull_behavior: PreferCached
    "#]]);
    check("ECS_IMAGE_PULL_BEHAVIOR=Always", expect![""]);
    check("ECS_IMAGE_PULL_BEHAVIOR=default\nfile: {\"ImagePullBehavior\": 2}", expect![[r#"
        images.pull_behavior: Once
    "#]]);
    check("ECS_NUM_IMAGES_DELETE_PER_CYCLE=-1\nNONECS_NUM_CONTAINERS_DELETE_PER_CYCLE=-1", expect![[r#"
        images.untracked_containers_per_cycle: 0
        Warn: ECS_NUM_IMAGES_DELETE_PER_CYCLE is below 1; using 5
    "#]]);
    check("ECS_NUM_IMAGES_DELETE_PER_CYCLE=many", expect![[r#"
        Warn: Invalid format for ECS_NUM_IMAGES_DELETE_PER_CYCLE: expected an integer, got "many"
    "#]]);
    check("ECS_EXCLUDE_UNTRACKED_IMAGE=a:1, b:2", expect![[r#"
        images.exclusions: ["a:1", " b:2"]
    "#]]);
}

#[test]
fn networking() {
    check("ECS_ENABLE_TASK_ENI=true", expect![[r#"
        networking.task_eni: true
        networking.eni_trunking: true
    "#]]);
    check("ECS_ENABLE_TASK_ENI=true\nECS_ENABLE_HIGH_DENSITY_ENI=false\nfile: {\"ENITrunkingEnabled\": true}", expect![[r#"
            networking.task_eni: true
        "#]]);
    check("ECS_ENABLE_HIGH_DENSITY_ENI=true", expect![""]);
    check("ECS_AWSVPC_ADDITIONAL_LOCAL_ROUTES=[\"10.0.0.0/8\"]\nECS_AWSVPC_BLOCK_IMDS=1", expect![[r#"
        networking.block_imds: true
        networking.additional_local_routes: ["10.0.0.0/8"]
    "#]]);
    check("file: {\"AWSVPCBlockInstanceMetdata\": true}", expect![[r#"
        networking.block_imds: true
    "#]]);
    check("ECS_PAUSE_LABELS={\"a\":\"b\"}", expect![[r#"
        networking.pause_labels: "a": "b"
    "#]]);
    check("ECS_PAUSE_LABELS={a}", expect![[r#"
        Warn: Invalid format for ECS_PAUSE_LABELS: expected a JSON object of strings: key must be a string at line 1 column 2
    "#]]);
    check("ECS_TASK_METADATA_RPS_LIMIT= 10 , 20 ", expect![[r#"
        networking.metadata_rate.steady: 10
        networking.metadata_rate.burst: 20
    "#]]);
    check("ECS_TASK_METADATA_RPS_LIMIT=10,0", expect![[r#"
        networking.metadata_rate.steady: 10
    "#]]);
    check("ECS_TASK_METADATA_RPS_LIMIT=10,-1", expect![[r#"
        Warn: ECS_TASK_METADATA_RPS_LIMIT has a negative rate; using 40,60
    "#]]);
    check("ECS_TASK_METADATA_RPS_LIMIT=10", expect![[r#"
        Warn: Invalid format for ECS_TASK_METADATA_RPS_LIMIT: expected a rate and a burst such as 40,60, got "10"
    "#]]);
    check("ECS_TASK_METADATA_RPS_LIMIT=0,5\nfile: {\"TaskMetadataSteadyStateRate\": 7}", expect![[r#"
        networking.metadata_rate.steady: 7
        networking.metadata_rate.burst: 5
    "#]]);
}

#[test]
fn state() {
    check("ECS_DATADIR=/data", expect![[r#"
        state.data_dir: "/data"
        state.checkpoint: true
    "#]]);
    check("ECS_DATADIR=/data\nECS_CHECKPOINT=false", expect![[r#"
        state.data_dir: "/data"
    "#]]);
    check("ECS_DATADIR=/data\nfile: {\"Checkpoint\": false}", expect![[r#"
        state.data_dir: "/data"
        state.checkpoint: true
    "#]]);
    check("file: {\"DataDir\": \"/elsewhere\"}", expect![[r#"
        state.data_dir: "/elsewhere"
    "#]]);
    check("file: {\"Checkpoint\": true}", expect![[r#"
        state.checkpoint: true
    "#]]);
    check("ECS_AUDIT_LOGFILE_DISABLED=1\nECS_AUDIT_LOGFILE=/a", expect![[r#"
        credentials.audit_log: None
    "#]]);
    check("ECS_NVIDIA_RUNTIME= runc ", expect![[r#"
        devices.nvidia_runtime: "runc"
    "#]]);
}

#[test]
fn logging() {
    check("ECS_LOGLEVEL=CRIT\nECS_LOGFILE=/log/agent.log", expect![[r#"
        logging.console_level: Critical
        logging.file_level: Critical
        logging.file: "/log/agent.log"
    "#]]);
    check("ECS_LOGLEVEL=debug\nECS_LOG_DRIVER=awslogs", expect![[r#"
        logging.console_level: Debug
        logging.file_level: Off
    "#]]);
    check("ECS_LOGLEVEL=warn\nECS_LOG_DRIVER=awslogs\nECS_LOGLEVEL_ON_INSTANCE=error", expect![[r#"
        logging.console_level: Warn
        logging.file_level: Error
    "#]]);
    check("ECS_LOGLEVEL=verbose\nECS_LOGLEVEL_ON_INSTANCE=none", expect![[r#"
        logging.file_level: Off
        Error: ECS_LOGLEVEL is "verbose", not one of debug, info, warn, error, crit, none
    "#]]);
    check("ECS_LOG_OUTPUT_FORMAT=json\nECS_LOG_ROLLOVER_TYPE=daily\nECS_LOG_MAX_ROLL_COUNT=-1", expect![[r#"
        logging.format: Json
        logging.rollover.keep: 0
    "#]]);
    assert_eq!(load("ECS_LOG_ROLLOVER_TYPE=daily").unwrap().0.logging.rollover, LogRollover::Hourly { keep: 24 });
    check("ECS_LOG_ROLLOVER_TYPE=none", expect![[r#"
        logging.rollover: Never
    "#]]);
    check("ECS_LOG_MAX_FILE_SIZE_MB=0.5\nECS_LOG_MAX_ROLL_COUNT=3", expect![[r#"
        logging.rollover.max_bytes: 500000
        logging.rollover.keep: 3
    "#]]);
    check("ECS_LOG_OUTPUT_FORMAT=JSON\nECS_LOG_MAX_FILE_SIZE_MB=0\nECS_LOG_MAX_ROLL_COUNT=x", expect![[r#"
        Error: ECS_LOG_OUTPUT_FORMAT is "JSON", not logfmt, json or windows; using logfmt
        Error: ECS_LOG_MAX_ROLL_COUNT is "x", not an integer; using 24
        Error: ECS_LOG_MAX_FILE_SIZE_MB is "0", not a number above 0; using 5
    "#]]);
}

#[test]
fn command_line_levels_win() {
    let mut log = LogConfig::default();
    log.override_levels(None, Some("debug"), Some("loud"));
    assert_eq!((log.console_level, log.file_level), (LogLevel::Debug, LogLevel::Info));
    log.override_levels(Some("none"), Some("debug"), Some("debug"));
    assert_eq!((log.console_level, log.file_level), (LogLevel::Off, LogLevel::Off));
}

#[test]
fn logging_is_read_without_the_rest() {
    let log = LogConfig::load(|name| {
        [("ECS_EXTERNAL", "true"), ("ECS_LOGLEVEL", "error")]
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| (*value).to_owned())
    });
    assert_eq!(log.console_level, LogLevel::Error);
}

#[test]
fn gmsa_needs_its_daemon_and_a_domain_or_a_secret() {
    let gmsa = |lines: &str| load(lines).unwrap().0.devices.gmsa;
    let offers =
        |lines: &str, exists| (gmsa(lines).offers_domain_joined(|_| exists), gmsa(lines).offers_domainless(|_| exists));
    let base = "ECS_GMSA_SUPPORTED=true\nCREDENTIALS_FETCHER_HOST_DIR=/s";
    assert_eq!(offers("CREDENTIALS_FETCHER_HOST_DIR=/s\nECS_DOMAIN_JOINED_LINUX_INSTANCE=true", true), (false, false));
    assert_eq!(offers(base, true), (false, true));
    assert_eq!(offers(base, false), (false, false));
    assert_eq!(offers(&format!("{base}\nECS_DOMAIN_JOINED_LINUX_INSTANCE=true"), true), (true, true));
    assert_eq!(offers(&format!("{base}\nCREDENTIALS_FETCHER_SECRET_NAME_FOR_DOMAINLESS_GMSA=s"), true), (true, true));
    let skip = "ECS_GMSA_SUPPORTED=true\nZZZ_SKIP_DOMAIN_JOIN_CHECK_NOT_SUPPORTED_IN_PRODUCTION=true";
    assert_eq!(offers(skip, false), (true, false));
}
