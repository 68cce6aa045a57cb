#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use wire::ecs::{Task, TaskDefinition, TaskOverride};

use super::*;

fn payload(definition: Value, overrides: Value) -> Value {
    let definition: TaskDefinition = serde_json::from_value(definition).unwrap();
    let overrides: TaskOverride = serde_json::from_value(overrides).unwrap();
    let share = Share::of(&definition, &overrides);
    let described = Task {
        task_arn: "arn:task".into(),
        cluster_arn: "arn:cluster".into(),
        launch_type: Some("EC2".into()),
        group: Some("family:web".into()),
        overrides,
        ..Task::default()
    };
    let payload = task(&Settings::local("http://127.0.0.1:1", 1), &definition, &described, &share);
    let envelope = json!({"type": "PayloadMessage", "message": {"tasks": [payload]}});
    let read = wire::acs::inbound(&envelope.to_string());
    assert!(read.is_ok(), "an agent cannot read {envelope}: {read:?}");
    payload
}

/// Replaces the strings that hold Docker's JSON by what they hold.
fn opened(container: &Value) -> (Value, Value) {
    let read = |member: &str| serde_json::from_str(container["dockerConfig"][member].as_str().unwrap()).unwrap();
    (read("config"), read("hostConfig"))
}

#[test]
fn a_definition_becomes_a_task() {
    let found = payload(
        json!({"family": "web", "revision": 7, "networkMode": "bridge", "cpu": "512", "memory": "1024",
            "volumes": [{"name": "data", "host": {"sourcePath": "/srv"}}, {"name": "scratch", "host": {}},
                {"name": "shared", "dockerVolumeConfiguration": {"scope": "shared", "autoprovision": true}}],
            "containerDefinitions": [{
                "name": "app", "image": "busybox", "cpu": 10, "memory": 64, "memoryReservation": 32,
                "command": ["a"], "environment": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                "portMappings": [{"containerPort": 80}, {"containerPortRange": "90-95", "protocol": "udp"}],
                "mountPoints": [{"sourceVolume": "data", "containerPath": "/d", "readOnly": true}],
                "dependsOn": [{"containerName": "x", "condition": "START"}],
                "stopTimeout": 5, "restartPolicy": {"enabled": true},
                "secrets": [{"name": "S", "valueFrom": "arn:aws:secretsmanager:eu-west-1:1:secret:s"}]}]}),
        json!({"cpu": "1 vCPU", "containerOverrides": [{"name": "app", "command": ["b"], "cpu": 20,
            "environment": [{"name": "B", "value": "3"}]}]}),
    );
    let mut expected = json!({
        "arn": "arn:task", "taskClusterArn": "arn:cluster", "family": "web", "version": "7",
        "launchType": "EC2", "group": "family:web", "overrides": "{}", "networkMode": "bridge",
        "cpu": 1.0, "memory": 1024,
        "volumes": [
            {"name": "data", "type": "host", "host": {"sourcePath": "/srv"}},
            {"name": "scratch", "type": "host", "host": {"sourcePath": ""}},
            {"name": "shared", "type": "docker", "dockerVolumeConfiguration": {"scope": "shared",
                "autoprovision": true, "driver": "local", "driverOpts": {}, "labels": {}}}],
        "containers": [{
            "name": "app", "image": "busybox", "essential": true, "cpu": 20, "memory": 64,
            "command": ["a"], "environment": {"A": "1", "B": "3", "AWS_EXECUTION_ENV": "AWS_ECS_EC2"},
            "overrides": "{\"command\":[\"b\"]}",
            "portMappings": [{"containerPort": 80, "hostPort": 0, "protocol": "tcp"},
                {"containerPortRange": "90-95", "protocol": "udp"}],
            "mountPoints": [{"sourceVolume": "data", "containerPath": "/d", "readOnly": true}],
            "volumesFrom": [], "dependsOn": [{"containerName": "x", "condition": "START"}],
            "stopTimeout": 5,
            "restartPolicy": {"enabled": true, "ignoredExitCodes": [], "restartAttemptPeriod": 300},
            "secrets": [{"name": "S", "valueFrom": "arn:aws:secretsmanager:eu-west-1:1:secret:s",
                "region": "eu-west-1", "provider": "asm", "type": "ENVIRONMENT_VARIABLE", "target": "CONTAINER"}]}]
    });
    expected["containers"][0]["dockerConfig"] = found["containers"][0]["dockerConfig"].clone();
    assert_eq!(found, expected);
    let (config, host) = opened(&found["containers"][0]);
    assert_eq!(config, json!({}));
    assert_eq!(host, json!({"NetworkMode": "bridge", "MemoryReservation": 32 << 20}));
}

#[test]
fn what_docker_does_is_told_in_its_words() {
    let found = payload(
        json!({"family": "f", "revision": 1, "networkMode": "host", "containerDefinitions": [{
            "name": "c", "image": "i", "memory": 64, "essential": false,
            "hostname": "h", "user": "u", "workingDirectory": "/w", "interactive": true, "pseudoTerminal": true,
            "disableNetworking": false, "dockerLabels": {"k": "v"}, "privileged": true, "readonlyRootFilesystem": true,
            "dnsServers": ["1.1.1.1"], "dnsSearchDomains": ["d"], "dockerSecurityOptions": ["no-new-privileges"],
            "extraHosts": [{"hostname": "x", "ipAddress": "10.0.0.1"}],
            "ulimits": [{"name": "nofile", "softLimit": 1, "hardLimit": 2}],
            "systemControls": [{"namespace": "net.core.somaxconn", "value": "9"}],
            "logConfiguration": {"logDriver": "syslog", "options": {"tag": "t"}},
            "healthCheck": {"command": ["CMD-SHELL", "true"], "interval": 10, "timeout": 2, "retries": 1, "startPeriod": 3},
            "linuxParameters": {"capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]}, "initProcessEnabled": true,
                "sharedMemorySize": 1, "maxSwap": 36, "swappiness": 50,
                "devices": [{"hostPath": "/dev/a"}, {"hostPath": "/dev/b", "containerPath": "/dev/c", "permissions": ["read", "mknod"]}],
                "tmpfs": [{"containerPath": "/t", "size": 5, "mountOptions": ["noexec"]}]}}]}),
        json!({}),
    );
    let container = &found["containers"][0];
    assert_eq!((&container["healthCheckType"], &container["essential"]), (&json!("docker"), &json!(false)));
    let (config, host) = opened(container);
    assert_eq!(
        config,
        json!({"Hostname": "h", "User": "u", "WorkingDir": "/w", "OpenStdin": true, "Tty": true,
            "NetworkDisabled": false, "Labels": {"k": "v"},
            "Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 10_000_000_000_i64, "Timeout": 2_000_000_000,
                "Retries": 1, "StartPeriod": 3_000_000_000_i64}})
    );
    assert_eq!(
        host,
        json!({"NetworkMode": "host", "Privileged": true, "ReadonlyRootfs": true, "Dns": ["1.1.1.1"],
            "DnsSearch": ["d"], "SecurityOpt": ["no-new-privileges"], "ExtraHosts": ["x:10.0.0.1"],
            "Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 2}],
            "LogConfig": {"Type": "syslog", "Config": {"tag": "t"}},
            "Sysctls": {"net.core.somaxconn": "9"}, "CapAdd": ["NET_ADMIN"], "CapDrop": ["ALL"], "Init": true,
            "ShmSize": 1 << 20, "MemorySwap": 100 << 20, "MemorySwappiness": 50,
            "Devices": [
                {"PathOnHost": "/dev/a", "PathInContainer": "/dev/a", "CgroupPermissions": "rwm"},
                {"PathOnHost": "/dev/b", "PathInContainer": "/dev/c", "CgroupPermissions": "rm"}],
            "Tmpfs": {"/t": "noexec,size=5m"}})
    );
}

#[test]
fn an_image_of_ecr_names_its_registry_and_does_not_wait_for_credentials() {
    let image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/a/b:1";
    let found = payload(
        json!({"family": "f", "executionRoleArn": "arn:role", "containerDefinitions": [{"name": "c", "image": image, "memory": 4}]}),
        json!({}),
    );
    assert_eq!(
        found["containers"][0]["registryAuthentication"],
        json!({"type": "ecr", "ecrAuthData": {"region": "eu-west-1", "registryId": "123456789012", "useExecutionRole": false}})
    );
}
