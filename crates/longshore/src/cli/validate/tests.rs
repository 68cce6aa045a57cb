#![allow(clippy::unwrap_used)]

use std::net::TcpListener;

use expect_test::expect;
use serde_json::json;

use super::placement::{Machine, compare};
use super::render;
use crate::cli::text::Paint;
use crate::local::report::{ContainerReport, PortReport, TaskReport};

fn machine() -> Machine {
    let resources = json!([
        {"name": "CPU", "integerValue": 512}, {"name": "MEMORY", "integerValue": 1000},
        {"name": "PORTS", "stringSetValue": ["22", "51678"]}, {"name": "PORTS_UDP", "stringSetValue": []},
    ]);
    let instance = json!({
        "status": "ACTIVE", "remainingResources": resources, "registeredResources": resources,
        "attributes": [{"name": "ecs.capability.container-ordering"}],
    });
    let port = PortReport { host_port: 8080, protocol: "tcp".into(), ..PortReport::default() };
    let container = ContainerReport { name: "web".into(), ports: vec![port], ..ContainerReport::default() };
    let task = TaskReport {
        id: "0123456789".into(),
        family: "shop".into(),
        revision: "2".into(),
        last_status: "RUNNING".into(),
        containers: vec![container],
        ..TaskReport::default()
    };
    Machine { instance: serde_json::from_value(instance).unwrap(), tasks: vec![task] }
}

#[test]
fn each_lack_is_named() {
    let definition = json!({
        "memory": "2000",
        "containerDefinitions": [{"name": "a", "cpu": 100, "portMappings": [
            {"containerPort": 1, "hostPort": 8080}, {"containerPort": 2, "hostPort": 22, "protocol": "tcp"},
            {"containerPort": 3, "hostPort": 0}, {"containerPort": 4, "hostPort": 9, "protocol": "udp"},
        ]}],
        "requiresAttributes": [
            {"name": "ecs.capability.container-ordering"}, {"name": "ecs.capability.task-eni"},
            {"name": "com.amazonaws.ecs.capability.logging-driver.fluentd"},
        ],
    });
    let checks = compare(&machine(), &serde_json::from_value(definition).unwrap());
    expect![[r#"
        cannot be placed here:
          ok  cpu        100 of 512 free units (512 in all)
          no  memory     2000 of 1000 free MiB (1000 in all)
          no  port       8080/tcp is in use by web of task 01234567 (shop:2)
          no  port       22/tcp is reserved (ECS_RESERVED_PORTS) or given to a task
          ok  port       9/udp is free
          no  ability    network mode awsvpc: this machine has no ecs.capability.task-eni
          no  ability    the log driver fluentd: this machine has no com.amazonaws.ecs.capability.logging-driver.fluentd
    "#]]
    .assert_eq(&render(&checks, Paint::never()));
}

#[test]
fn a_port_in_use_is_told_with_its_holder() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let definition = json!({"containerDefinitions": [{"name": "a", "portMappings": [{"hostPort": port}]}]});
    let checks = compare(&machine(), &serde_json::from_value(definition).unwrap());
    let check = checks.iter().find(|check| check.subject == "port").unwrap();
    let wanted = format!("{port}/tcp is in use by process {} (", std::process::id());
    assert!(!check.is_fine && check.detail.starts_with(&wanted), "{check:?}");
}
