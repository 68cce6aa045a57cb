//! What the agent asks Docker for (spec 20 §4).

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use lab::payload::fast_stop;
use serde_json::{Value, json};

use crate::support::{bench, differences, environment};

#[test]
fn docker_config() -> Result<()> {
    let bench = bench(&[])?;
    let port = lab::free_port()?;
    let task = bench.run(&[bench.container(
        "main",
        json!({
            "cpu": 100, "memory": 64, "environment": { "K": "v" }, "entryPoint": ["/bin/sh", "-c"],
            "command": ["sleep 600"],
            "config": {
                "User": "root", "WorkingDir": "/tmp", "Hostname": "h1", "Labels": { "team": "x" },
                "StopSignal": "SIGKILL",
            },
            "hostConfig": {
                "Dns": ["10.0.0.2"], "ExtraHosts": ["a:10.0.0.1"], "ReadonlyRootfs": true,
                "Ulimits": [{ "Name": "nofile", "Soft": 1024, "Hard": 2048 }], "CapAdd": ["NET_ADMIN"], "Init": true,
                "LogConfig": { "Type": "json-file", "Config": { "max-size": "1m" } },
                "MemoryReservation": 33_554_432, "Tmpfs": { "/run": "size=1048576" },
            },
            "portMappings": [
                { "containerPort": 80, "hostPort": 0, "protocol": "tcp" },
                { "containerPort": 9000, "hostPort": port, "protocol": "udp" },
            ],
        }),
    )])?;
    bench.until(&task, "RUNNING")?;
    let container = bench.inspect(&task, "main")?;
    let want = json!({
        "Config": {
            "Entrypoint": ["/bin/sh", "-c"], "Cmd": ["sleep 600"], "User": "root", "WorkingDir": "/tmp",
            "Hostname": "h1", "StopSignal": "SIGKILL", "Image": crate::support::image(),
            "ExposedPorts": { "80/tcp": {}, "9000/udp": {} },
            "Labels": {
                "team": "x",
                "com.amazonaws.ecs.cluster": bench.plane.cluster(),
                "com.amazonaws.ecs.container-name": "main",
                "com.amazonaws.ecs.task-arn": task["arn"],
                "com.amazonaws.ecs.task-definition-family": "fam",
                "com.amazonaws.ecs.task-definition-version": "7",
            },
        },
        "HostConfig": {
            "CpuShares": 100, "Memory": 67_108_864, "MemoryReservation": 33_554_432, "Dns": ["10.0.0.2"],
            "ExtraHosts": ["a:10.0.0.1"], "ReadonlyRootfs": true, "CapAdd": ["NET_ADMIN"], "Init": true,
            "Ulimits": [{ "Name": "nofile", "Soft": 1024, "Hard": 2048 }], "NetworkMode": "default",
            "LogConfig": { "Type": "json-file", "Config": { "max-size": "1m" } }, "Tmpfs": { "/run": "size=1048576" },
            "PortBindings": { "9000/udp": [{ "HostIp": "", "HostPort": port.to_string() }] },
        },
    });
    assert_eq!(differences(&container, &want), Vec::<String>::new());
    let dynamic = container["HostConfig"]["PortBindings"]["80/tcp"][0]["HostPort"].as_str().unwrap_or("").to_owned();
    assert!(dynamic.parse::<u16>().is_ok_and(|port| port >= 32768), "{dynamic}");

    let variables = environment(&container);
    let names: Vec<&str> = variables.keys().map(String::as_str).collect();
    let wanted = [
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "ECS_AGENT_URI",
        "ECS_CONTAINER_METADATA_URI",
        "ECS_CONTAINER_METADATA_URI_V4",
        "K",
        "PATH",
    ];
    assert_eq!(names, wanted);
    assert!(variables["ECS_CONTAINER_METADATA_URI_V4"].starts_with("http://169.254.170.2/v4/"));

    let name = container["Name"].as_str().unwrap_or("");
    let random = name.strip_prefix("/ecs-fam-7-main-").unwrap_or("");
    assert!(random.len() == 20 && random.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
    bench.stop_and_wait(&task)?;
    Ok(())
}

#[test]
fn volumes() -> Result<()> {
    let bench = bench(&[("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION", "1s")])?;
    // Docker's daemon must see the same folder, so it is one of the agent's, not one of a private /tmp.
    let shared = bench.agent.folder().join("shared");
    std::fs::create_dir(&shared)?;
    // Only this test's volumes: its family is its own.
    let family = format!("vol{}", lab::hex(8));
    let mounts = json!([
        { "sourceVolume": "host", "containerPath": "/h" }, { "sourceVolume": "task", "containerPath": "/task" },
        { "sourceVolume": "empty", "containerPath": "/empty" },
    ]);
    let write = "echo hi > /h/f; echo hi > /task/f; echo hi > /empty/f; touch /h/written; sleep 600";
    let read = "while ! test -e /h/written; do sleep 0.1; done; cat /h/f /task/f /empty/f > /h/part; mv /h/part /h/read; \
                sleep 600";
    let task = bench.run_with(
        &[
            bench.shell("writer", write, json!({ "config": fast_stop(), "mountPoints": mounts })),
            bench.shell(
                "reader",
                read,
                json!({
                    "config": fast_stop(), "volumesFrom": [{ "sourceContainer": "writer", "readOnly": false }],
                    "dependsOn": [{ "containerName": "writer", "condition": "START" }],
                }),
            ),
        ],
        json!({
            "family": family,
            "volumes": [
                { "name": "host", "type": "host", "host": { "sourcePath": shared } },
                { "name": "empty", "type": "host", "host": { "sourcePath": "" } },
                { "name": "task", "type": "docker", "dockerVolumeConfiguration": {
                    "scope": "task", "autoprovision": false, "driver": "local", "labels": { "l": "1" }, "driverOpts": {},
                } },
            ],
        }),
    )?;
    bench.until(&task, "RUNNING")?;
    let said = lab::wait_for("the reader's copy", Duration::from_secs(30), || {
        Ok(std::fs::read_to_string(shared.join("read")).ok())
    })?;
    assert_eq!(said, "hi\nhi\nhi\n");
    let prefix = format!("ecs-{family}-7-");
    let kinds: BTreeSet<String> = named(&bench.engine, &prefix)?
        .iter()
        .filter_map(|name| name.strip_prefix(&prefix)?.rsplit_once('-').map(|(kind, _)| kind.to_owned()))
        .collect();
    assert_eq!(kinds, ["empty", "task"].map(str::to_owned).into());
    bench.stop_and_wait(&task)?;
    lab::wait_for("the task's volumes to be removed", Duration::from_secs(30), || {
        Ok(named(&bench.engine, &prefix)?.is_empty().then_some(()))
    })
}

fn named(engine: &lab::Engine, prefix: &str) -> Result<Vec<String>> {
    let volumes = engine.get("/volumes")?;
    let names =
        volumes["Volumes"].as_array().into_iter().flatten().filter_map(|volume: &Value| volume["Name"].as_str());
    Ok(names.filter(|name| name.starts_with(prefix)).map(str::to_owned).collect())
}
