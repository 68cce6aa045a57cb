#![allow(clippy::unwrap_used)]
use std::time::Duration;

use serde_json::{Value, json};
use wire::gojson;

use super::*;
use crate::container::{
    ContainerPorts, Dependency, DependencyCondition, MountPoint, PortMapping, RestartPolicy, VolumeFrom,
};
use crate::effect::Protocol;
use crate::task::volume::{HostSource, VolumeDefinition, VolumeKind};

const ARN: &str = "arn:aws:ecs:us-west-2:123456789012:task/lab/0f";

/// A task with these members, read.
fn admitted(members: Value) -> Result<TaskDefinition, Rejection> {
    let mut task = json!({"arn": ARN, "family": "fam", "version": "7", "desiredStatus": "RUNNING"});
    task.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let mut config = EngineConfig::default();
    config.host.is_pause_image_loaded = true;
    admit(gojson::from_value(task).unwrap(), &config, &mut Rng::new(1))
}

/// A container with these members, read as the only one of its task.
fn container(members: Value) -> Result<Definition, Rejection> {
    let mut c = json!({"name": "web", "image": "shop:7"});
    c.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    admitted(json!({"containers": [c]})).map(|task| (*task.containers[0]).clone())
}

fn unreadable(rejected: Result<impl std::fmt::Debug, Rejection>) -> String {
    match rejected {
        Err(Rejection::Unreadable(cause)) => cause,
        other => panic!("not unreadable: {other:?}"),
    }
}

fn impossible(rejected: Result<impl std::fmt::Debug, Rejection>) -> String {
    match rejected {
        Err(Rejection::Impossible { reason }) => reason,
        other => panic!("not impossible: {other:?}"),
    }
}

/// The cause of an impossible task, without the words that every such reason begins with.
fn refused(rejected: Result<impl std::fmt::Debug, Rejection>) -> String {
    let reason = impossible(rejected);
    let prefix = format!("resource cannot be initialized for task {ARN}: ");
    reason.strip_prefix(&prefix).unwrap_or_else(|| panic!("{reason}")).to_owned()
}

#[test]
fn a_whole_task() {
    let task = admitted(json!({
        "serviceName": "s", "group": "service:s", "launchType": "EC2", "cpu": 0.5, "memory": 512,
        "networkMode": "host", "pidMode": "host", "ipcMode": "none", "enableFaultInjection": true,
        "roleCredentials": {"credentialsId": "role-1"}, "executionRoleCredentials": {"credentialsId": "exec-1"},
        "associations": [{"name": "d", "type": "elastic-inference", "containers": ["web"]}],
        "containers": [{
            "name": "web", "image": "shop:7", "containerArn": "arn:c", "entryPoint": ["sh"], "command": ["a"],
            "environment": {"COLOR": "blue", "ECS_AGENT_URI": "mine"}, "cpu": 10, "memory": 64, "essential": true,
            "startTimeout": 5, "stopTimeout": 0, "healthCheckType": "docker", "logsAuthStrategy": "ExecutionRole",
            "restartPolicy": {"enabled": true, "ignoredExitCodes": [0], "restartAttemptPeriod": 60},
            "mountPoints": [{"sourceVolume": "v", "containerPath": "/v", "readOnly": true}],
            "managedAgents": [{"name": "ExecuteCommandAgent"}], "overrides": "{}",
            "dockerConfig": {"config": "{}", "hostConfig": "{}", "version": "1.17"},
        }],
        "volumes": [{"name": "v", "host": {"sourcePath": "/srv"}}],
    }))
    .unwrap();
    assert_eq!((task.arn.as_str(), task.id.as_str()), (ARN, "0f"));
    assert_eq!((task.family.as_str(), task.version.as_str(), task.launch_type.as_str()), ("fam", "7", "EC2"));
    assert_eq!((task.service_name.as_str(), task.group.as_str()), ("s", "service:s"));
    assert_eq!((task.cpu, task.memory_mib, task.network_mode), (0.5, 512, NetworkMode::Host));
    assert_eq!((task.pid_mode.as_str(), task.ipc_mode.as_str(), task.has_fault_injection), ("host", "none", true));
    assert_eq!(task.task_credentials, Some("role-1".into()));
    assert_eq!(task.execution_credentials, Some("exec-1".into()));
    assert_eq!(task.associations.len(), 1);
    assert_eq!(task.volumes, [VolumeDefinition { name: "v".into(), kind: host("/srv") }]);

    let [web] = &task.containers[..] else { panic!("one container") };
    let id = &web.endpoint_id;
    assert_eq!(id.len(), 36);
    let environment: Vec<_> = web.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        environment,
        [
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/role-1".to_owned(),
            "COLOR=blue".to_owned(),
            format!("ECS_AGENT_URI=http://169.254.170.2/api/{id}"),
            format!("ECS_CONTAINER_METADATA_URI=http://169.254.170.2/v3/{id}"),
            format!("ECS_CONTAINER_METADATA_URI_V4=http://169.254.170.2/v4/{id}"),
        ]
    );
    assert_eq!((web.arn.as_str(), web.image.as_str(), web.kind), ("arn:c", "shop:7", Kind::Normal));
    assert_eq!((web.cpu, web.memory_mib, web.is_essential, web.has_health_check), (10, 64, true, true));
    assert_eq!((web.start_timeout, web.stop_timeout), (Some(Duration::from_secs(5)), None));
    assert_eq!(web.docker.version.as_deref(), Some("1.17"));
    assert!(web.logs_with_execution_role);
    assert_eq!(
        web.restart_policy,
        Some(RestartPolicy { ignored_exit_codes: vec![0], attempt_period: Duration::from_secs(60) })
    );
    assert_eq!(web.mounts, [MountPoint { source_volume: "v".into(), container_path: "/v".into(), is_read_only: true }]);
}

fn host(path: &str) -> VolumeKind {
    VolumeKind::Host(HostSource { path: path.into() })
}

#[test]
fn what_is_absent_has_its_default() {
    let web = container(json!({"restartPolicy": {"enabled": false}})).unwrap();
    assert_eq!((web.is_essential, web.has_health_check, web.logs_with_execution_role), (false, false, false));
    assert_eq!((web.command, web.entry_point, web.restart_policy), (None, None, None));
    assert!(!web.environment.contains_key("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"), "no role, no variable");
    let task = admitted(json!({"networkMode": "odd", "memory": -1, "cpu": -1.0})).unwrap();
    assert_eq!(task.network_mode, NetworkMode::Other("odd".into()), "kept as received");
    assert_eq!((task.memory_mib, task.cpu), (0, 0.0));
}

#[test]
fn overrides_replace_the_command_and_nothing_else() {
    let command = |overrides: Value| container(json!({"command": ["a"], "overrides": overrides})).map(|c| c.command);
    let is = |words: &[&str]| Ok(Some(words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()));
    assert_eq!(command(Value::Null), is(&["a"]));
    assert_eq!(command(json!("{}")), is(&["a"]));
    assert_eq!(command(json!("null")), is(&["a"]));
    assert_eq!(command(json!(r#"{"command":null}"#)), is(&["a"]));
    assert_eq!(command(json!(r#"{"command":["b","-v"]}"#)), is(&["b", "-v"]));
    assert_eq!(command(json!(r#"{"Command":[]}"#)), is(&[]));
    for (text, cause) in [
        ("", "EOF while parsing a value at line 1 column 0"),
        (r#"{"command":["b"],"memory":5}"#, "unknown field \"memory\""),
        (r#"{"command":"b"}"#, "command: invalid type: string \"b\", expected a sequence"),
        ("[]", "not an object"),
    ] {
        assert_eq!(unreadable(command(json!(text))), format!("container web: overrides: {cause}"));
    }
}

#[test]
fn port_mappings() {
    let check = |mapping: Value| container(json!({"portMappings": [mapping]})).map(|c| c.ports);
    let is = |container, host_port, protocol| Ok(vec![PortMapping { container, host_port, protocol }]);
    let one = ContainerPorts::One;
    assert_eq!(check(json!({"containerPort": 80})), is(one(80), 0, Protocol::Tcp));
    assert_eq!(check(json!({"containerPort": 80, "protocol": null})), is(one(80), 0, Protocol::Tcp));
    assert_eq!(
        check(json!({"containerPort": 65535, "hostPort": 65535, "protocol": "udp"})),
        is(one(65535), 65535, Protocol::Udp)
    );
    assert_eq!(
        check(json!({"containerPort": 80, "containerPortRange": "1-2"})),
        is(one(80), 0, Protocol::Tcp),
        "the single port wins"
    );
    assert_eq!(
        check(json!({"containerPortRange": "8000-8010", "hostPort": 9})),
        is(ContainerPorts::Range(8000, 8010), 0, Protocol::Tcp),
        "ranges get host ports of the agent's choice"
    );
    assert_eq!(check(json!({"containerPortRange": "7"})), is(ContainerPorts::Range(7, 7), 0, Protocol::Tcp));
    assert_eq!(check(json!({"hostPort": 80})), Ok(vec![]), "no container port, no mapping");
    for (mapping, cause) in [
        (json!({"containerPort": 65536}), "containerPort is no port: 65536"),
        (json!({"containerPort": -1}), "containerPort is no port: -1"),
        (json!({"containerPort": 1, "hostPort": 65536}), "hostPort is no port: 65536"),
        (json!({"containerPort": 1, "protocol": "TCP"}), "protocol is neither tcp nor udp: \"TCP\""),
        (json!({"containerPort": 1, "protocol": ""}), "protocol is neither tcp nor udp: \"\""),
    ] {
        assert_eq!(unreadable(check(mapping)), format!("container web: {cause}"));
    }
    for range in ["5-4", "0-1", "1-65536", "a-b", "1-2-3", "-", "1-"] {
        assert_eq!(
            refused(check(json!({"containerPortRange": range}))),
            format!("container web: containerPortRange is no range of ports: {range:?}")
        );
    }
}

#[test]
fn what_spoils_a_task() {
    let web = |members: Value| container(members).map(|_| ());
    let task = |members: Value| admitted(members).map(|_| ());
    for (rejected, cause) in [
        (web(json!({"cpu": -1})), "container web: cpu is negative: -1"),
        (web(json!({"memory": -2})), "container web: memory is negative: -2"),
        (web(json!({"stopTimeout": -3})), "container web: stopTimeout is negative: -3"),
        (web(json!({"startTimeout": -3})), "container web: startTimeout is negative: -3"),
        (task(json!({"arn": ""})), "task without an ARN"),
        (task(json!({"containers": [null]})), "a container is null"),
        (task(json!({"volumes": [null]})), "a volume is null"),
        (task(json!({"roleCredentials": {"roleArn": "r"}})), "role credentials without an id"),
        (task(json!({"executionRoleCredentials": {}})), "execution role credentials without an id"),
        (task(json!({"proxyConfiguration": {}})), "proxy configuration of a type other than APPMESH"),
        (
            task(
                json!({"networkMode": "awsvpc", "volumes": [{"name": "e", "type": "efs", "efsVolumeConfiguration": {}}],
                "containers": [{"name": "a", "cpu": -1}]}),
            ),
            "container a: cpu is negative: -1",
        ),
    ] {
        assert_eq!(unreadable(rejected), cause);
    }
    assert!(task(json!({"proxyConfiguration": {"type": "APPMESH"}})).is_ok());
}

#[test]
fn volumes_of_every_kind() {
    let check = |volume: Value| {
        let mount = json!({"name": "a", "mountPoints": [{"sourceVolume": "v", "containerPath": "/v"}]});
        admitted(json!({"volumes": [volume], "containers": [mount]})).map(|task| task.volumes[0].kind.clone())
    };
    assert_eq!(check(json!({"name": "v", "host": {"sourcePath": "/h"}})), Ok(host("/h")));
    assert_eq!(check(json!({"name": "v", "type": "host", "host": {"sourcePath": "/h"}})), Ok(host("/h")));
    assert_eq!(check(json!({"name": "unmounted", "host": {}})), Ok(host("")), "nobody needs it");
    let VolumeKind::Docker { docker_name, is_shared, driver, .. } =
        check(json!({"name": "v", "host": {"sourcePath": ""}})).unwrap()
    else {
        panic!("an unnamed host volume that is mounted is the Engine's")
    };
    assert_eq!((drawn(&docker_name), is_shared, driver.as_str()), ("ecs-fam-7-v-", false, "local"));

    let docker = json!({"scope": "task", "driver": "d", "driverOpts": {"o": "1"}, "labels": {"l": "2"}});
    let VolumeKind::Docker { docker_name, is_shared, is_autoprovisioned, driver, options, labels } =
        check(json!({"name": "v", "type": "docker", "dockerVolumeConfiguration": docker})).unwrap()
    else {
        panic!("a docker volume")
    };
    assert_eq!((drawn(&docker_name), is_shared, is_autoprovisioned), ("ecs-fam-7-v-", false, false));
    assert_eq!((driver.as_str(), options["o"].as_str(), labels["l"].as_str()), ("d", "1", "2"));

    for (configuration, autoprovisioned) in [
        (json!({"scope": "shared", "autoprovision": true}), true),
        (json!({}), false),
        (json!({"scope": "TASK"}), false),
    ] {
        let kind = check(json!({"name": "v", "type": "docker", "dockerVolumeConfiguration": configuration})).unwrap();
        let VolumeKind::Docker { docker_name, is_shared: true, is_autoprovisioned, .. } = kind else {
            panic!("not shared: {kind:?}")
        };
        assert_eq!((docker_name.as_str(), is_autoprovisioned), ("v", autoprovisioned));
    }

    let empty = "invalid volume: empty volume configuration";
    for (volume, cause) in [
        (json!({"host": {}}), "invalid Volume; must include a name"),
        (json!({"name": "v"}), empty),
        (json!({"name": "v", "type": "docker"}), empty),
        (json!({"name": "v", "type": "efs"}), empty),
        (json!({"name": "v", "type": "ebs"}), "unrecognized volume type: \"ebs\""),
        (json!({"name": "v", "type": "", "host": {}}), "unrecognized volume type: \"\""),
        (json!({"name": "v", "type": "attachment"}), "unrecognized volume type: \"attachment\""),
    ] {
        assert_eq!(unreadable(check(volume)), cause);
    }
    for (volume, cause) in [
        (
            json!({"name": "v", "type": "docker", "dockerVolumeConfiguration": {"scope": "task", "autoprovision": true}}),
            "volume [v] : task scoped volume could not be autoprovisioned",
        ),
        (
            json!({"name": "v", "type": "efs", "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}),
            "volume v needs Amazon EFS, which this agent does not support",
        ),
        (json!({"name": "v", "type": "amazonebs"}), "volume v needs Amazon EBS, which this agent does not support"),
        (json!({"name": "v", "type": "s3files"}), "volume v needs S3 Files, which this agent does not support"),
        (
            json!({"name": "v", "type": "fsxWindowsFileServer"}),
            "task with FSx for Windows File Server volumes is only supported on Windows container instance",
        ),
    ] {
        assert_eq!(refused(check(volume)), cause);
    }
}

/// A drawn name without its 20 hex digits.
fn drawn(name: &str) -> &str {
    let (head, tail) = name.split_at(name.len() - 20);
    assert!(tail.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')), "{name}");
    head
}

#[test]
fn what_this_agent_does_not_have_is_refused_by_name() {
    let web = |members: Value| container(members).map(|_| ());
    let task = |members: Value| admitted(members).map(|_| ());
    let docker = |host: &str| web(json!({"dockerConfig": {"hostConfig": host}}));
    for (rejected, who, what) in [
        (task(json!({"networkMode": "awsvpc"})), "the task", "network mode awsvpc"),
        (task(json!({"elasticNetworkInterfaces": [{}]})), "the task", "network mode awsvpc"),
        (
            task(json!({"attachments": [null, {"attachmentType": "serviceconnectdetail"}]})),
            "the task",
            "Service Connect",
        ),
        (task(json!({"attachments": [{"attachmentType": "amazonebs"}]})), "the task", "Amazon EBS"),
        (
            task(json!({"volumes": [{"name": "v"}], "attachments": [{"attachmentType": "amazonebs",
                "attachmentProperties": [null, {"name": "volumeName", "value": "v"}]}]})),
            "volume v",
            "Amazon EBS",
        ),
        (
            task(json!({"volumes": [{"name": "v"}], "attachments": [{"attachmentType": "s3files",
                "attachmentProperties": [{"name": "volumeName", "value": "v"}]}]})),
            "volume v",
            "S3 Files",
        ),
        (task(json!({"associations": [{"type": "gpu", "name": "0", "containers": ["web"]}]})), "the task", "a GPU"),
        (web(json!({"secrets": [{"name": "S", "valueFrom": "p", "provider": "ssm"}]})), "container web", "secrets"),
        (web(json!({"environmentFiles": [{"type": "s3", "value": "a"}]})), "container web", "environment files"),
        (web(json!({"firelensConfiguration": {"type": "fluentd"}})), "container web", "FireLens"),
        (docker(r#"{"logConfig":{"TYPE":"awsfirelens"}}"#), "container web", "FireLens"),
        (web(json!({"credentialSpecs": ["credentialspec:file://x"]})), "container web", "credential specs"),
        (docker(r#"{"SecurityOpt":["a","credentialspec:file://x"]}"#), "container web", "credential specs"),
        (
            web(json!({"registryAuthentication": {"type": "asm"}})),
            "container web",
            "registry credentials from Secrets Manager",
        ),
    ] {
        assert_eq!(refused(rejected), format!("{who} needs {what}, which this agent does not support"));
    }
    for taken in [
        web(json!({"managedAgents": [{"name": "ExecuteCommandAgent"}]})),
        web(json!({"registryAuthentication": {"type": "ecr", "ecrAuthData": {"region": "r"}}})),
        task(json!({"attachments": [{"attachmentType": "unheard of"}, {}]})),
        docker("not json"),
        docker(r#"{"LogConfig":{"Type":"awslogs"},"SecurityOpt":null}"#),
    ] {
        assert_eq!(taken, Ok(()));
    }
}

/// Containers written as `name: dependency CONDITION, …`, one per element.
fn ordered(containers: &[(&str, &str)]) -> Value {
    let container = |(name, depends_on): &(&str, &str)| {
        let one = |text: &str| {
            let (name, condition) = text.trim().split_once(' ').unwrap();
            json!({"containerName": name, "condition": condition})
        };
        let list: Vec<_> = depends_on.split(',').filter(|text| !text.is_empty()).map(one).collect();
        let check = if name.starts_with("checked") { "docker" } else { "" };
        json!({"name": name, "dependsOn": list, "healthCheckType": check})
    };
    json!({"containers": containers.iter().map(container).collect::<Vec<_>>()})
}

#[test]
fn dependencies_must_be_resolvable() {
    for (containers, is_resolvable) in [
        (vec![("a", "")], true),
        (vec![("a", "b START"), ("b", "c SUCCESS"), ("c", "")], true),
        (vec![("a", "b COMPLETE,c CREATE"), ("b", ""), ("c", "b START")], true),
        (vec![("a", "checked HEALTHY"), ("checked", "")], true),
        (vec![("a", "b HEALTHY"), ("b", "")], false),
        (vec![("a", "b START"), ("b", "a START")], false),
        (vec![("a", "a START")], false),
        (vec![("a", "b START"), ("b", "c START"), ("c", "a START"), ("d", "")], false),
        (vec![("a", "nobody START")], false),
        (vec![("a", "b started"), ("b", "")], false),
    ] {
        let got = admitted(ordered(&containers)).map(|_| ());
        let want = if is_resolvable {
            Ok(())
        } else {
            Err(Rejection::Impossible { reason: format!("Task dependencies cannot be resolved, taskArn: {ARN}") })
        };
        assert_eq!(got, want, "{containers:?}");
    }
}

#[test]
fn volumes_and_links_imply_an_order() {
    let task = admitted(json!({"containers": [
        {"name": "a", "links": ["b:alias", "c"], "volumesFrom": [{"sourceContainer": "b", "readOnly": true}],
         "dependsOn": [{"containerName": "c", "condition": "COMPLETE"}]},
        {"name": "b"}, {"name": "c"},
    ]}))
    .unwrap();
    let on = |name: &str, condition| Dependency { container: name.into(), condition };
    assert_eq!(
        task.containers[0].depends_on,
        [
            on("c", DependencyCondition::Complete),
            on("b", DependencyCondition::Create),
            on("b", DependencyCondition::Start),
            on("c", DependencyCondition::Start),
        ]
    );
    assert_eq!(task.containers[0].volumes_from, [VolumeFrom { source_container: "b".into(), is_read_only: true }]);
    for (members, cause) in [
        (json!({"volumesFrom": [{"sourceContainer": "x"}]}), "could not find volume source container with name x"),
        (json!({"links": ["x:y"]}), "could not find container for link x:y"),
        (json!({"links": ["web:a:b"]}), "invalid link format"),
    ] {
        assert_eq!(refused(container(members)), cause);
    }
    let to_itself = impossible(container(json!({"links": ["web:me"]})));
    assert_eq!(to_itself, format!("Task dependencies cannot be resolved, taskArn: {ARN}"));
    let twice = admitted(json!({"containers": [{"name": "a"}, {"name": "a"}]}));
    assert_eq!(refused(twice), "more than one container has the name \"a\"");
}

#[test]
fn shared_namespaces_have_a_container_of_their_own() {
    for (members, pauses) in [
        (json!({"pidMode": "task"}), 1),
        (json!({"ipcMode": "task"}), 1),
        (json!({"pidMode": "task", "ipcMode": "task"}), 1),
        (json!({"pidMode": "host", "ipcMode": "host"}), 0),
        (json!({}), 0),
    ] {
        let mut members = members;
        members["containers"] = json!([{"name": "web"}]);
        let task = admitted(members.clone()).unwrap();
        assert_eq!(task.containers.len(), 1 + pauses, "{members}");
        for pause in &task.containers[1..] {
            assert_eq!(&*pause.name, "~internal~ecs~pause~namespace");
            assert_eq!(pause.image.as_str(), "amazon/amazon-ecs-pause:0.1.0");
            assert_eq!((pause.kind, pause.is_essential), (Kind::NamespacePause, true));
            assert!(pause.environment.is_empty() && pause.endpoint_id.is_empty());
        }
    }
    let task = gojson::from_value(json!({"arn": ARN, "pidMode": "task"})).unwrap();
    assert_eq!(
        refused(admit(task, &EngineConfig::default(), &mut Rng::new(1))),
        "a shared process or IPC namespace needs the image amazon/amazon-ecs-pause:0.1.0, which is not loaded"
    );
}

#[test]
fn a_task_has_a_cgroup_where_limits_are_on() {
    let task = json!({"arn": ARN, "cpu": 0.25, "memory": 64, "containers": [{"name": "web", "memory": 65}]});
    let admitted = |config: &EngineConfig| admit(gojson::from_value(task.clone()).unwrap(), config, &mut Rng::new(1));
    let mut config = EngineConfig::default();
    assert_eq!(admitted(&config).unwrap().cgroup, None, "too much memory in a container is nobody's business then");
    let naming = crate::config::CgroupNaming::Slice;
    config.task_limits = Some(crate::config::TaskLimits { naming, cpu_period: Duration::from_millis(100), pids: None });
    assert_eq!(
        refused(admitted(&config)),
        "cgroup resource: unable to build resource spec for task: task memory spec builder: container memory limit(65) greater than task memory limit(64)"
    );
    let task = admit(gojson::from_value(json!({"arn": ARN, "cpu": 0.25})).unwrap(), &config, &mut Rng::new(1)).unwrap();
    assert_eq!(task.cgroup.unwrap().parent, "ecstasks-0f.slice");
}
