#![allow(clippy::unwrap_used)]
use std::sync::Arc;

use serde_json::{Value, json};
use wire::gojson;

use super::*;
use crate::container::ChosenPorts;
use crate::rng::Rng;
use crate::task::admit;

const ARN: &str = "arn:aws:ecs:us-west-2:123456789012:task/lab/0f";

fn config() -> EngineConfig {
    let mut config = EngineConfig { cluster: "lab".into(), ..EngineConfig::default() };
    config.host.is_pause_image_loaded = true;
    config
}

/// A task as admission makes it, its containers known to the Engine as `docker-<name>`.
fn task(members: Value) -> Task {
    let mut task = json!({"arn": ARN, "family": "fam", "version": "7", "desiredStatus": "RUNNING"});
    task.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let definition = admit(gojson::from_value(task).unwrap(), &config(), &mut Rng::new(1)).unwrap();
    let mut task = Task::new(definition, jiff::Timestamp::UNIX_EPOCH);
    for container in &mut task.containers {
        container.state.docker_name = Some(format!("docker-{}", container.name()));
    }
    task
}

/// A task of one container with these members.
fn task_of(members: Value) -> Task {
    let mut c = json!({"name": "main", "image": "i"});
    c.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    task(json!({"containers": [c]}))
}

/// The same, with a `hostConfig`.
fn task_on_host(host: &Value) -> Task {
    task_of(json!({"dockerConfig": {"hostConfig": host.to_string()}}))
}

fn request(task: &Task, name: &str) -> Result<CreateRequest, NamedError> {
    create_request(task, task.container(name).unwrap(), &config())
}

/// One member of the body by JSON pointer.
fn at(task: &Task, pointer: &str) -> Value {
    request(task, "main").unwrap().body.pointer(pointer).cloned().unwrap_or(Value::String("absent".into()))
}

fn failure(task: &Task) -> String {
    request(task, "main").unwrap_err().to_string()
}

/// The inputs of the conformance scenario `docker_config`; what is expected is what the Engine was seen to
/// hold after the reference agent had created it, as far as that was asked for.
#[test]
fn the_whole_body_as_the_reference_sends_it() {
    let mut task = task_of(json!({
        "image": "127.0.0.1:5000/busybox:latest", "cpu": 100, "memory": 64, "essential": true,
        "environment": {"K": "v"}, "links": [], "entryPoint": ["/bin/sh", "-c"], "command": ["sleep 600"],
        "mountPoints": [], "volumesFrom": [], "overrides": "{}",
        "portMappings": [{"containerPort": 80, "hostPort": 0, "protocol": "tcp"},
                         {"containerPort": 9000, "hostPort": 19000, "protocol": "udp"}],
        "dockerConfig": {
            "version": "1.17",
            "config": r#"{"User":"root","WorkingDir":"/tmp","Hostname":"h1","Labels":{"team":"x"},"StopSignal":"SIGKILL"}"#,
            "hostConfig": r#"{"Dns":["10.0.0.2"],"ExtraHosts":["a:10.0.0.1"],"ReadonlyRootfs":true,
                "Ulimits":[{"Name":"nofile","Soft":1024,"Hard":2048}],"CapAdd":["NET_ADMIN"],"Init":true,
                "LogConfig":{"Type":"json-file","Config":{"max-size":"1m"}},"MemoryReservation":33554432,
                "Tmpfs":{"/run":"size=1048576"}}"#,
        },
    }));
    task.containers[0].state.chosen_ports = vec![ChosenPorts { mapping: 0, first: 32768, count: 1 }];
    let id = task.containers[0].definition.endpoint_id.clone();
    let got = request(&task, "main").unwrap();
    assert_eq!(got.api_version.as_deref(), Some("1.17"));
    assert_eq!(
        got.body,
        json!({
            "Image": "127.0.0.1:5000/busybox:latest",
            "Cmd": ["sleep 600"],
            "Entrypoint": ["/bin/sh", "-c"],
            "ExposedPorts": {"80/tcp": {}, "9000/udp": {}},
            "Env": [
                format!("ECS_AGENT_URI=http://169.254.170.2/api/{id}"),
                format!("ECS_CONTAINER_METADATA_URI=http://169.254.170.2/v3/{id}"),
                format!("ECS_CONTAINER_METADATA_URI_V4=http://169.254.170.2/v4/{id}"),
                "K=v",
                "AWS_REGION=us-west-2",
                "AWS_DEFAULT_REGION=us-west-2",
            ],
            "User": "root",
            "WorkingDir": "/tmp",
            "Hostname": "h1",
            "StopSignal": "SIGKILL",
            "Labels": {
                "team": "x",
                "com.amazonaws.ecs.task-arn": ARN,
                "com.amazonaws.ecs.container-name": "main",
                "com.amazonaws.ecs.task-definition-family": "fam",
                "com.amazonaws.ecs.task-definition-version": "7",
                "com.amazonaws.ecs.cluster": "lab",
            },
            "HostConfig": {
                "Links": [],
                "PortBindings": {
                    "80/tcp": [{"HostIp": "", "HostPort": "32768"}],
                    "9000/udp": [{"HostIp": "", "HostPort": "19000"}],
                },
                "VolumesFrom": [],
                "Binds": [],
                "Memory": 67_108_864,
                "CpuShares": 100,
                "Dns": ["10.0.0.2"],
                "ExtraHosts": ["a:10.0.0.1"],
                "ReadonlyRootfs": true,
                "Ulimits": [{"Name": "nofile", "Soft": 1024, "Hard": 2048}],
                "CapAdd": ["NET_ADMIN"],
                "Init": true,
                "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
                "MemoryReservation": 33_554_432,
                "Tmpfs": {"/run": "size=1048576"},
            },
            "NetworkingConfig": {},
        })
    );
}

/// The conformance scenario `volumes`: a directory, a volume of the task, one without a name, and a neighbour
/// that takes them all.
#[test]
fn volumes_become_binds() {
    let mount = |volume: &str, path: &str| json!({"sourceVolume": volume, "containerPath": path});
    let task = task(json!({
        "containers": [
            {"name": "main", "mountPoints": [mount("host", "/h"), mount("tv", "/task"),
                {"sourceVolume": "empty", "containerPath": "/empty", "readOnly": true}]},
            {"name": "r", "volumesFrom": [{"sourceContainer": "main"}, {"sourceContainer": "main", "readOnly": true}]},
        ],
        "volumes": [
            {"name": "host", "type": "host", "host": {"sourcePath": "/srv/d"}},
            {"name": "empty", "type": "host", "host": {"sourcePath": ""}},
            {"name": "tv", "type": "docker", "dockerVolumeConfiguration": {"scope": "task", "driver": "local"}},
        ],
    }));
    let source = |name: &str| task.definition.volumes.iter().find(|v| v.name == name).unwrap().source();
    assert!(source("tv").starts_with("ecs-fam-7-tv-") && source("empty").starts_with("ecs-fam-7-empty-"));
    assert_eq!(
        at(&task, "/HostConfig/Binds"),
        json!(["/srv/d:/h", format!("{}:/task", source("tv")), format!("{}:/empty:ro", source("empty"))])
    );
    let reader = request(&task, "r").unwrap().body;
    assert_eq!(reader["HostConfig"]["VolumesFrom"], json!(["docker-main", "docker-main:ro"]));
    assert_eq!(reader["HostConfig"]["Binds"], json!([]));
}

#[test]
fn binds_that_cannot_be_made() {
    let with = |mount: Value| {
        task(json!({"containers": [{"name": "main", "mountPoints": [mount]}],
                    "volumes": [{"name": "v", "host": {"sourcePath": "/s"}}]}))
    };
    assert_eq!(
        failure(&with(json!({"sourceVolume": "x", "containerPath": "/x"}))),
        "HostConfigError: Invalid volume referenced: x"
    );
    assert_eq!(
        failure(&with(json!({"sourceVolume": "v"}))),
        "HostConfigError: Unable to resolve volume mounts; invalid path: main v; /s -> "
    );
}

#[test]
fn neighbours_are_named_as_docker_knows_them() {
    let mut task = task(json!({"containers": [
        {"name": "main", "links": ["db:store", "db"], "volumesFrom": [{"sourceContainer": "db"}]}, {"name": "db"},
    ]}));
    assert_eq!(at(&task, "/HostConfig/Links"), json!(["docker-db:store", "docker-db:db"]));
    task.containers[1].state.docker_name = None;
    assert_eq!(failure(&task), "HostConfigError: Link target not available: db");
    let mut main = (*task.containers[0].definition).clone();
    main.links.clear();
    task.containers[0].definition = Arc::new(main.clone());
    assert_eq!(failure(&task), "HostConfigError: Volume target not available: db");
    main.links = vec!["db:a:b".into()];
    task.containers[0].definition = Arc::new(main);
    assert_eq!(failure(&task), "HostConfigError: Invalid link format");
}

#[test]
fn cpu_and_memory_are_kept_within_dockers_limits() {
    for (cpu, shares) in [(0, 2), (1, 2), (2, 2), (1024, 1024), (262_144, 262_144), (300_000, 262_144)] {
        assert_eq!(at(&task_of(json!({"cpu": cpu})), "/HostConfig/CpuShares"), json!(shares), "{cpu}");
    }
    for (mib, bytes) in [(0, 0), (1, 4 << 20), (4, 4 << 20), (5, 5 << 20), (i64::MAX, i64::MAX)] {
        assert_eq!(at(&task_of(json!({"memory": mib})), "/HostConfig/Memory"), json!(bytes), "{mib}");
    }
    let task = task_on_host(&json!({"CpuShares": 7, "Memory": 9, "Runtime": "other"}));
    for (member, value) in [("CpuShares", json!(7)), ("Memory", json!(9)), ("Runtime", json!("other"))] {
        assert_eq!(at(&task, &format!("/HostConfig/{member}")), value, "the payload has the last word");
    }
}

#[test]
fn ports_are_bound_one_to_one() {
    let mut task = task_of(json!({"portMappings": [
        {"containerPort": 53, "hostPort": 5353, "protocol": "udp"}, {"containerPortRange": "8000-8002"},
        {"containerPort": 80}, {"containerPort": 80, "hostPort": 8080},
    ]}));
    let chosen = |mapping, first, count| ChosenPorts { mapping, first, count };
    task.containers[0].state.chosen_ports = vec![chosen(1, 65533, 3), chosen(2, 40000, 1)];
    let to = |port: &str| json!({"HostIp": "", "HostPort": port});
    assert_eq!(
        at(&task, "/HostConfig/PortBindings"),
        json!({"53/udp": [to("5353")], "8000/tcp": [to("65533")], "8001/tcp": [to("65534")], "8002/tcp": [to("65535")],
               "80/tcp": [to("40000"), to("8080")]})
    );
    assert_eq!(
        at(&task, "/ExposedPorts"),
        json!({"53/udp": {}, "8000/tcp": {}, "8001/tcp": {}, "8002/tcp": {}, "80/tcp": {}})
    );
    assert_eq!(at(&task_of(json!({})), "/HostConfig/PortBindings"), json!({}));

    task.containers[0].state.chosen_ports.pop();
    assert_eq!(failure(&task), "HostConfigError: error retrieving docker port map: a host port is unavailable");
    task.containers[0].state.chosen_ports = vec![chosen(1, 40000, 2)];
    assert_eq!(
        failure(&task),
        "HostConfigError: error retrieving docker port map: 3 contiguous host ports are unavailable"
    );
}

#[test]
fn the_payloads_docker_json_is_laid_over() {
    let host = |text: &str| task_of(json!({"dockerConfig": {"hostConfig": text}}));
    let body = |text: &str| task_of(json!({"dockerConfig": {"config": text}}));
    assert_eq!(failure(&host("")), "HostConfigError: Unable to decode given host config: unexpected end of JSON input");
    assert_eq!(
        failure(&host(r#"{"binds":"x"}"#)),
        "HostConfigError: Unable to decode given host config: json: cannot unmarshal string into Go struct field Binds of type slice"
    );
    assert_eq!(
        failure(&body("{")),
        "DockerClientConfigError: Unable decode given docker config: unexpected end of JSON input"
    );
    assert_eq!(at(&host("null"), "/HostConfig/Binds"), json!([]));
    assert_eq!(at(&body(r#"{"env":["ONLY=1"]}"#), "/Env"), json!(["ONLY=1"]), "replaced as a whole");
    assert_eq!(at(&body(r#"{"unheard":1,"hostname":"h"}"#), "/unheard"), "absent");
    assert_eq!(at(&body(r#"{"unheard":1,"hostname":"h"}"#), "/Hostname"), "h");
    assert_eq!(at(&host(r#"{"capdrop":"ALL","SHMSIZE":5}"#), "/HostConfig/CapDrop"), json!(["ALL"]));
    assert_eq!(at(&host(r#"{"Binds":null}"#), "/HostConfig/Binds"), Value::Null);
    let labels = body(r#"{"Labels":{"com.amazonaws.ecs.cluster":"mine","own":"1"}}"#);
    assert_eq!(at(&labels, "/Labels/com.amazonaws.ecs.cluster"), "lab", "the agent's labels win");
    assert_eq!(at(&labels, "/Labels/own"), "1");
    assert_eq!(at(&body(r#"{"Labels":null}"#), "/Labels/com.amazonaws.ecs.container-name"), "main");
    assert_eq!(at(&task_of(json!({})), "/Cmd"), Value::Null);
    assert_eq!(request(&task_of(json!({"dockerConfig": {"version": ""}})), "main").unwrap().api_version, None);
}

#[test]
fn the_region_is_given_where_nobody_names_one() {
    let names = |task: &Task| {
        let env = at(task, "/Env");
        let env: Vec<_> = env.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect();
        env.into_iter().filter(|v| v.contains("REGION")).collect::<Vec<_>>()
    };
    let mut task = task_of(json!({}));
    assert_eq!(names(&task), ["AWS_REGION=us-west-2", "AWS_DEFAULT_REGION=us-west-2"]);
    task.containers[0].state.has_image_region = true;
    assert!(names(&task).is_empty());
    let task = task_of(json!({"environment": {"AWS_DEFAULT_REGION": "eu-west-1"}}));
    assert_eq!(names(&task), ["AWS_DEFAULT_REGION=eu-west-1"], "both or none");
}

#[test]
fn a_promised_health_check_must_be_there() {
    let with = |docker: &str| task_of(json!({"healthCheckType": "docker", "dockerConfig": {"config": docker}}));
    let text = "DockerClientConfigError: docker health check is nil while container health check type is DOCKER";
    assert_eq!(failure(&with("{}")), text);
    assert_eq!(failure(&with(r#"{"Healthcheck":null}"#)), text);
    let task = with(r#"{"healthcheck":{"test":["CMD","x"],"Interval":5000000000}}"#);
    assert_eq!(at(&task, "/Healthcheck"), json!({"Test": ["CMD", "x"], "Interval": 5_000_000_000_i64}));
}

#[test]
fn log_options_of_the_agents_own() {
    let logged = task_on_host(&json!({"LogConfig": {"Type": "x", "Config": {"mode": "non-blocking"}}}));
    assert_eq!(
        at(&logged, "/HostConfig/LogConfig"),
        json!({"Type": "x", "Config": {"mode": "non-blocking", "max-buffer-size": "10m"}})
    );
    let logged = task_on_host(&json!({"LogConfig": {"Config": {"mode": "non-blocking", "max-buffer-size": "1m"}}}));
    assert_eq!(at(&logged, "/HostConfig/LogConfig/Config/max-buffer-size"), "1m");
    assert_eq!(at(&task_of(json!({})), "/HostConfig/LogConfig"), "absent");

    let signed = json!({"name": "main", "logsAuthStrategy": "ExecutionRole",
        "dockerConfig": {"hostConfig": r#"{"LogConfig":{"Type":"awslogs","Config":{"awslogs-group":"g"}}}"#}});
    let without = task(json!({"containers": [signed.clone()]}));
    assert_eq!(failure(&without), "HostConfigError: No execution credentials set for the task");
    let with = task(json!({"containers": [signed], "executionRoleCredentials": {"credentialsId": "e-1"}}));
    assert_eq!(
        at(&with, "/HostConfig/LogConfig"),
        json!({"Type": "awslogs", "Config": {"awslogs-group": "g", "awslogs-credentials-endpoint": "/v2/credentials/e-1"}})
    );
}

#[test]
fn namespaces_are_the_hosts_or_the_pauses() {
    let with = |pid: &str, ipc: &str| {
        let host = json!({"PidMode": "mine", "IpcMode": "mine", "NetworkMode": "bridge"}).to_string();
        let mut task = task(json!({"pidMode": pid, "ipcMode": ipc,
            "containers": [{"name": "main", "dockerConfig": {"hostConfig": host}}]}));
        if let Some(pause) = task.containers.get_mut(1) {
            pause.state.docker_id = Some("0123".into());
        }
        task
    };
    for (pid, ipc, pid_mode, ipc_mode) in [
        ("", "", "mine", "mine"),
        ("host", "host", "host", "host"),
        ("", "none", "mine", "none"),
        ("task", "", "container:0123", "mine"),
        ("", "task", "mine", "container:0123"),
    ] {
        let task = with(pid, ipc);
        let modes = (at(&task, "/HostConfig/PidMode"), at(&task, "/HostConfig/IpcMode"));
        assert_eq!(modes, (json!(pid_mode), json!(ipc_mode)), "{pid} {ipc}");
        assert_eq!(at(&task, "/HostConfig/NetworkMode"), "bridge");
    }
    let pause = |task: &Task| request(task, "~internal~ecs~pause~namespace").unwrap().body;
    let body = pause(&with("task", "task"));
    assert_eq!(
        (&body["HostConfig"]["NetworkMode"], &body["HostConfig"]["IpcMode"]),
        (&json!("none"), &json!("shareable"))
    );
    assert_eq!(body["Env"], json!([]), "not even the region");
    assert_eq!(body["Labels"]["com.amazonaws.ecs.container-name"], "~internal~ecs~pause~namespace");
    assert_eq!(pause(&with("task", ""))["HostConfig"].get("IpcMode"), None);

    let mut task = with("task", "");
    task.containers[1].state.docker_id = None;
    assert_eq!(failure(&task), "HostConfigError: Namespace pause container not available");
}

#[test]
fn drawn_names() {
    let mut rng = Rng::new(1);
    let (head, tail) = ("ecs-shop-3-internalecspausenamespace-", 20);
    let name = docker_name("shop", "3", "~internal~ecs~pause~namespace", &mut rng);
    assert!(name.starts_with(head) && name.len() == head.len() + tail, "{name}");
    assert!(
        docker_name("my_fam", "3", "a_b-C.9", &mut rng).starts_with("ecs-my_fam-3-ab-C9-"),
        "removed, not replaced"
    );
    assert_ne!(docker_name("f", "1", "a", &mut rng), docker_name("f", "1", "a", &mut rng));
    assert!(volume_name("f", "1", "my_vol", &mut rng).starts_with("ecs-f-1-my_vol-"));
}

#[test]
fn a_request_does_not_print_its_environment() {
    let task = task_of(json!({"environment": {"PASSWORD": "hush"}}));
    assert!(!format!("{:?}", request(&task, "main").unwrap()).contains("hush"));
}

#[test]
fn the_tasks_cgroup_wins_over_the_payloads() {
    let mut task = task_on_host(&json!({"CgroupParent": "/mine"}));
    assert_eq!(at(&task, "/HostConfig/CgroupParent"), "/mine", "task limits are off");
    let cgroup = crate::task::CgroupDefinition { parent: "/ecs/0f".into(), ..Default::default() };
    Arc::make_mut(&mut task.definition).cgroup = Some(cgroup);
    assert_eq!(at(&task, "/HostConfig/CgroupParent"), "/ecs/0f");
}

#[test]
fn a_tasks_memory_is_its_containers_where_that_is_wanted() {
    let mut task = task_of(json!({}));
    Arc::make_mut(&mut task.definition).memory_mib = 64;
    let memory = |task: &Task, propagates_task_memory| {
        let config = EngineConfig { propagates_task_memory, ..config() };
        let request = create_request(task, &task.containers[0], &config).unwrap();
        request.body["HostConfig"]["Memory"].as_u64().unwrap()
    };
    assert_eq!((memory(&task, false), memory(&task, true)), (0, 64 << 20));
    Arc::make_mut(&mut task.containers[0].definition).memory_mib = 32;
    assert_eq!(memory(&task, true), 32 << 20, "its own limit stays");
}
