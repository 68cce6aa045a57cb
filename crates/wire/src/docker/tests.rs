#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::json;

use super::*;

fn parse<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
    serde_json::from_str(&value.to_string()).unwrap()
}

#[test]
fn nulls_and_unknown_values_are_tolerated() {
    let list: Vec<ContainerSummary> = parse(json!([
        {"Id": "a", "State": "stopped-weird", "Labels": null, "Names": null, "Ports": null, "Mounts": null},
        {"Id": "b", "State": null, "NetworkSettings": null, "Created": 1700000000, "Unheard": {"Of": 1}},
        {}
    ]));
    assert_eq!(list[0].state, ContainerStatus::Other("stopped-weird".into()));
    assert_eq!(list[1].state, ContainerStatus::default());
    assert_eq!(list[1].created.unwrap().as_second(), 1_700_000_000);
    assert_eq!(list[2], ContainerSummary::default());
}

#[test]
fn never_is_none() {
    let inspect: ContainerInspect = parse(json!({
        "Name": "/web",
        "State": {"Status": "created", "StartedAt": "0001-01-01T00:00:00Z", "FinishedAt": "", "Health": null},
        "NetworkSettings": {"Ports": {"80/tcp": null, "81/udp": [{"HostIp": "0.0.0.0", "HostPort": "32768"}]}},
        "Created": "2026-11-22T21:37:57.503804613Z"
    }));
    assert_eq!(inspect.plain_name(), "web");
    assert_eq!((inspect.state.started_at, inspect.state.finished_at, inspect.state.health), (None, None, None));
    assert_eq!(inspect.network_settings.ports["80/tcp"], vec![]);
    assert_eq!(inspect.network_settings.ports["81/udp"][0].host_port, "32768");
    assert_eq!(inspect.created.unwrap().to_string(), "2026-11-22T21:37:57.503804613Z");
}

#[test]
fn environment_does_not_leak() {
    let inspect: ContainerInspect = parse(json!({
        "Config": {"Env": ["PASSWORD=hunter2"]},
        "HostConfig": {"LogConfig": {"Type": "splunk", "Config": {"splunk-token": "hunter2"}}}
    }));
    assert_eq!(inspect.config.env.expose()[0], "PASSWORD=hunter2");
    let auth = RegistryAuth { password: crate::secret::Secret::new("hunter2".into()), ..RegistryAuth::default() };
    assert!(!format!("{inspect:?}{auth:?}").contains("hunter2"));
    assert!(!serde_json::to_string(&inspect).unwrap().contains("hunter2"));
}

#[test]
fn events_of_old_and_new_daemons() {
    let both: Event = parse(json!({
        "status": "health_status: unhealthy", "id": "c1", "from": "i", "Type": "container",
        "Action": "health_status: unhealthy", "Actor": {"ID": "c1", "Attributes": {"name": "web"}},
        "scope": "local", "time": 1700000000, "timeNano": 1700000000123456789_i64
    }));
    assert_eq!(both.action, Action::Health(HealthStatus::Unhealthy));
    assert_eq!(both.time.unwrap().to_string(), "2023-11-14T22:13:20.123456789Z");
    assert_eq!(parse::<Event>(serde_json::to_value(&both).unwrap()), both);

    let old: Event = parse(json!({"status": "die", "id": "c1", "from": "i", "time": 1700000000}));
    assert_eq!((&old.kind, &old.action, old.actor.id.as_str()), (&EventType::Container, &Action::Die, "c1"));
    let new: Event =
        parse(json!({"Type": "container", "Action": "die", "Actor": {"ID": "c1", "Attributes": {"exitCode": "7"}}}));
    assert_eq!(new.exit_code(), Some(7));
    let image: Event = parse(json!({"Type": "image", "Action": "exec_start: sh", "Actor": null}));
    assert_eq!(image.action.to_string(), "exec_start: sh");
}

#[test]
fn stats_keep_the_fixed_schema() {
    let stats: Stats = parse(json!({
        "read": "2026-01-02T03:04:05.100Z", "preread": "0001-01-01T00:00:00Z", "new_member": 1,
        "pids_stats": {"current": 1, "limit": 18446744073709551615_u64},
        "blkio_stats": {"io_service_bytes_recursive": [], "io_merged_recursive": null},
        "cpu_stats": {"cpu_usage": {"total_usage": 5}}, "memory_stats": {"stats": {"b": 1, "a": 2}}, "id": "c1"
    }));
    assert_eq!(
        serde_json::to_string(&stats).unwrap(),
        concat!(
            r#"{"read":"2026-01-02T03:04:05.1Z","preread":"0001-01-01T00:00:00Z","pids_stats":{"current":1,"limit":18446744073709551615},"#,
            r#""blkio_stats":{"io_service_bytes_recursive":[],"io_serviced_recursive":null,"io_queue_recursive":null,"#,
            r#""io_service_time_recursive":null,"io_wait_time_recursive":null,"io_merged_recursive":null,"io_time_recursive":null,"#,
            r#""sectors_recursive":null},"num_procs":0,"storage_stats":{},"#,
            r#""cpu_stats":{"cpu_usage":{"total_usage":5,"usage_in_kernelmode":0,"usage_in_usermode":0},"#,
            r#""throttling_data":{"periods":0,"throttled_periods":0,"throttled_time":0}},"#,
            r#""precpu_stats":{"cpu_usage":{"total_usage":0,"usage_in_kernelmode":0,"usage_in_usermode":0},"#,
            r#""throttling_data":{"periods":0,"throttled_periods":0,"throttled_time":0}},"#,
            r#""memory_stats":{"stats":{"a":2,"b":1}},"id":"c1"}"#
        )
    );
}

#[test]
fn references_are_normalised() {
    let digest = format!("sha256:{}", "a".repeat(64));
    for (text, full, familiar, asked) in [
        ("nginx", "docker.io/library/nginx", "nginx", "latest"),
        ("nginx:1.25", "docker.io/library/nginx", "nginx", "1.25"),
        ("docker.io/library/nginx", "docker.io/library/nginx", "nginx", "latest"),
        ("index.docker.io/me/app", "docker.io/me/app", "me/app", "latest"),
        ("127.0.0.1:5000/a/b:t", "127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b", "t"),
        ("localhost/a", "localhost/a", "localhost/a", "latest"),
        ("[::1]:5000/a", "[::1]:5000/a", "[::1]:5000/a", "latest"),
        (&format!("public.ecr.aws/x/y:t@{digest}"), "public.ecr.aws/x/y", "public.ecr.aws/x/y", &digest),
    ] {
        let reference: ImageReference = text.parse().unwrap();
        assert_eq!(
            (reference.full_name().as_str(), reference.familiar_name().as_str(), reference.tag_or_digest()),
            (full, familiar, asked)
        );
    }
    for text in ["", "a b", "a:", "-a", "a@sha256:12", "a//b", "a/b:t:u", "http://x/y", "a..b"] {
        assert_eq!(text.parse::<ImageReference>(), Err(InvalidReference::Format), "{text}");
    }
    assert_eq!(
        "Foo".parse::<ImageReference>().unwrap_err().to_string(),
        "invalid reference format: repository name (library/Foo) must be lowercase"
    );
}

#[test]
fn api_versions_are_numbers() {
    assert!("1.9".parse::<ApiVersion>().unwrap() < ApiVersion::v1(21));
    assert_eq!(ApiVersion::v1(44).to_string(), "1.44");
    assert!("1".parse::<ApiVersion>().is_err() && "1.x".parse::<ApiVersion>().is_err());
}

#[test]
fn registry_credentials() {
    assert_eq!(RegistryAuth::default().render().expose(), "{}");
}
