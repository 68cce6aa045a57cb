#![allow(clippy::unwrap_used)]
//! Golden texts: order of members, what is left out, what is not.

use std::collections::BTreeMap;

use serde::Serialize;

use super::*;

#[track_caller]
fn check(document: &impl Serialize, expected: &str) {
    let expected: String = expected.lines().map(str::trim_start).collect();
    assert_eq!(String::from_utf8(to_vec(document).unwrap()).unwrap(), expected);
}

fn web() -> ContainerDocument {
    ContainerDocument {
        docker_id: "5d".into(),
        name: "web".into(),
        docker_name: "ecs-shop-7-web-a2".into(),
        image: "nginx:1".into(),
        image_id: "sha256:77".into(),
        ports: vec![Port { container_port: 80, protocol: "tcp", host_port: 32771, host_ip: "0.0.0.0".into() }],
        labels: BTreeMap::from([("a&b".into(), "<".into())]),
        desired_status: "RUNNING".into(),
        known_status: "RUNNING".into(),
        exit_code: Some(0),
        limits: ContainerLimits { cpu: 256.0, memory: 0 },
        created_at: Some("2031-02-03T04:05:06.120345Z".parse().unwrap()),
        started_at: Some("2031-02-03T04:05:07.5Z".parse().unwrap()),
        kind: "NORMAL",
        health: Some(Health::default()),
        container_arn: "arn:c".into(),
        log_driver: "awslogs".into(),
        networks: vec![Network {
            network_mode: "bridge".into(),
            ipv4_addresses: vec![String::new()],
            ipv6_addresses: vec![],
        }],
        restart_count: Some(0),
        ..ContainerDocument::default()
    }
}

#[test]
fn a_container_of_v4() {
    check(
        &web(),
        r#"{"DockerId":"5d","Name":"web","DockerName":"ecs-shop-7-web-a2","Image":"nginx:1","ImageID":"sha256:77",
        "Ports":[{"ContainerPort":80,"Protocol":"tcp","HostPort":32771,"HostIp":"0.0.0.0"}],
        "Labels":{"a\u0026b":"\u003c"},"DesiredStatus":"RUNNING","KnownStatus":"RUNNING","ExitCode":0,
        "Limits":{"CPU":256,"Memory":0},"CreatedAt":"2031-02-03T04:05:06.120345Z","StartedAt":"2031-02-03T04:05:07.5Z",
        "Type":"NORMAL","Health":{},"LogDriver":"awslogs","ContainerARN":"arn:c",
        "Networks":[{"NetworkMode":"bridge","IPv4Addresses":[""]}],"RestartCount":0}"#,
    );
}

#[test]
fn a_task_of_v3_has_its_containers_early() {
    let document = TaskDocument {
        cluster: "shop".into(),
        task_arn: "arn:t".into(),
        family: "f".into(),
        revision: "7".into(),
        desired_status: "RUNNING".into(),
        known_status: "RUNNING".into(),
        containers_early: vec![ContainerDocument { kind: "NORMAL", ..ContainerDocument::default() }],
        limits: Some(TaskLimits { cpu: Some(0.25), memory: None }),
        ..TaskDocument::default()
    };
    check(
        &document,
        r#"{"Cluster":"shop","TaskARN":"arn:t","Family":"f","Revision":"7","DesiredStatus":"RUNNING",
        "KnownStatus":"RUNNING","Containers":[{"DockerId":"","Name":"","DockerName":"","Image":"","ImageID":"",
        "DesiredStatus":"","KnownStatus":"","Limits":{"CPU":0,"Memory":0},"Type":"NORMAL"}],"Limits":{"CPU":0.25}}"#,
    );
}

#[test]
fn a_task_of_v4_tells_about_fault_injection_even_if_there_is_none() {
    let document = TaskDocument {
        cluster: "shop".into(),
        known_status: "NONE".into(),
        launch_type: "EC2".into(),
        errors: vec![TagError {
            error_field: "TaskTags",
            error_message: "no".into(),
            resource_arn: "arn:t".into(),
            ..TagError::default()
        }],
        vpc_id: "vpc-1".into(),
        service_name: "s".into(),
        fault_injection_enabled: Some(false),
        availability_zone_id: "z1".into(),
        ..TaskDocument::default()
    };
    check(
        &document,
        r#"{"Cluster":"shop","TaskARN":"","Family":"","Revision":"","KnownStatus":"NONE","LaunchType":"EC2",
        "Errors":[{"ErrorField":"TaskTags","ErrorMessage":"no","ResourceARN":"arn:t"}],"VPCID":"vpc-1",
        "ServiceName":"s","FaultInjectionEnabled":false,"AvailabilityZoneID":"z1"}"#,
    );
}

#[test]
fn answers_of_the_agent_api() {
    check(
        &ProtectionAnswer { protection: Some(Protection::default()), ..ProtectionAnswer::default() },
        r#"{"protection":{"ExpirationDate":null,"ProtectionEnabled":false,"TaskArn":null}}"#,
    );
    check(
        &ProtectionAnswer {
            request_id: Some(String::new()),
            error: Some(AgentApiError { arn: String::new(), code: "C".into(), message: "m".into() }),
            ..ProtectionAnswer::default()
        },
        r#"{"requestID":"","error":{"Code":"C","Message":"m"}}"#,
    );
    check(&FaultAnswer { status: None, error: "e".into() }, r#"{"Error":"e"}"#);
    check(&AssociationList::default(), r#"{"Associations":null}"#);
}

#[test]
fn answers_of_introspection() {
    check(&IntrospectedTask::default(), r#"{"Arn":"","KnownStatus":"","Family":"","Version":"","Containers":null}"#);
    check(&IntrospectedTasks::default(), r#"{"Tasks":[]}"#);
    check(&AgentMetadata::default(), r#"{"Cluster":"","ContainerInstanceArn":null,"Version":""}"#);
}

#[test]
fn credentials_in_their_order() {
    let credentials: crate::acs::RoleCredentials = serde_json::from_str(
        r#"{"credentialsId":"c","roleArn":"r","accessKeyId":"A","secretAccessKey":"s/+","sessionToken":"t=","expiration":"2031"}"#,
    )
    .unwrap();
    check(
        &CredentialsDocument::from(&credentials),
        r#"{"RoleArn":"r","AccessKeyId":"A","SecretAccessKey":"s/+","Token":"t=","Expiration":"2031"}"#,
    );
    check(
        &CredentialsFault { code: "NoIdInRequest", message: "m".into(), status: 400 },
        r#"{"code":"NoIdInRequest","message":"m","HTTPErrorCode":400}"#,
    );
}

#[test]
fn rates_come_last() {
    let stats = crate::docker::Stats { id: "bb".into(), ..Default::default() };
    let rates = NetworkRates { rx_bytes_per_sec: 0.1, tx_bytes_per_sec: 0.0 };
    let text = to_vec(&StatsDocument { stats: &stats, network_rate_stats: Some(rates) }).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.starts_with(r#"{"read":"0001-01-01T00:00:00Z","preread":"0001-01-01T00:00:00Z","pids_stats":{}"#));
    assert!(
        text.ends_with(
            r#""id":"bb","network_rate_stats":{"rx_bytes_per_sec":0.10000000149011612,"tx_bytes_per_sec":0}}"#
        )
    );
}

#[test]
fn a_metadata_file_is_indented_by_tabs() {
    let file = MetadataFile {
        task_arn: "arn:t".into(),
        container_name: "web".into(),
        port_mappings: vec![FilePortMapping { container_port: 80, protocol: "tcp", ..FilePortMapping::default() }],
        metadata_file_status: Some("READY"),
        ..MetadataFile::default()
    };
    let text = String::from_utf8(to_vec_indented(&file).unwrap()).unwrap();
    assert_eq!(
        text,
        "{\n\t\"TaskARN\": \"arn:t\",\n\t\"ContainerName\": \"web\",\n\t\"PortMappings\": [\n\t\t{\n\t\t\t\"ContainerPort\": 80,\n\t\t\t\"ContainerPortRange\": \"\",\n\t\t\t\"HostPort\": 0,\n\t\t\t\"BindIp\": \"\",\n\t\t\t\"Protocol\": \"tcp\"\n\t\t}\n\t],\n\t\"MetadataFileStatus\": \"READY\"\n}"
    );
}
