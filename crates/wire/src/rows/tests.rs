#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::json;

use super::*;

const THREE: &[u8] = include_bytes!("../../tests/fixtures/reference-state/three-tasks.agent.db");
const FIFTEEN: &[u8] = include_bytes!("../../tests/fixtures/reference-state/fifteen-after-churn.agent.db");
const REGISTERED: &[u8] = include_bytes!("../../tests/fixtures/reference-state/registered-only.agent.db");
const WEB: &str = "68d588b7166a422a9bad89154145e551";

fn read(bytes: &[u8]) -> AgentState {
    AgentState::read(&Database::open(bytes).unwrap()).unwrap()
}

#[test]
fn reads_what_registration_left() {
    let state = read(REGISTERED);
    assert_eq!(
        state.metadata,
        Metadata {
            agent_version: "1.105.1".to_owned(),
            cluster_name: "lab".to_owned(),
            container_instance_arn:
                "arn:aws:ecs:us-west-2:123456789012:container-instance/lab/fedcba9876543210fedcba9876543210".to_owned(),
            task_manifest_seq_num: "0".to_owned(),
            ..Metadata::default()
        }
    );
    assert!(state.tasks.is_empty() && state.containers.is_empty() && state.images.is_empty());
}

#[test]
fn reads_tasks_containers_and_images() {
    let state = read(THREE);
    let task = &state.tasks[WEB];
    assert_eq!((task.cpu, task.memory, task.network_mode.as_str()), (0.25, 256, "bridge"));
    assert_eq!((task.known_status.as_str(), task.sent_status.as_str()), ("RUNNING", "RUNNING"));
    assert_eq!(task.execution_stopped_at, Time(None));
    assert_eq!(task.known_time.0.unwrap().to_string(), "2026-11-22T21:00:36.285928155Z");
    assert!(task.has_resource("cgroup") && !task.has_resource("firelens"));
    let volumes = task.docker_volumes();
    assert_eq!((volumes.len(), volumes[0].known_status.as_str()), (1, "CREATED"));
    assert_eq!(volumes[0].docker_volume_configuration.docker_volume_name, "ecs-fam-7-tv-9e94f7f4c998d7bba801");
    let row = &state.containers[&format!("{WEB}-web")];
    assert_eq!(row.docker_name, "ecs-fam-7-web-e8bccecaa49aaa836f00");
    assert_eq!(row.container.known_port_bindings.len(), 4);
    assert_eq!(row.container.docker_config.version.as_deref(), Some("1.17"));
    assert_eq!(row.container.environment.expose()["AWS_REGION"], "us-west-2");
    let side = &state.containers[&format!("{WEB}-side")].container;
    assert_eq!(
        (side.depends_on[0].container_name.as_str(), side.depends_on[0].condition.as_str()),
        ("init", "SUCCESS")
    );
    assert!(side.restart_policy.as_ref().unwrap().enabled);
    let image = state.images.values().next().unwrap();
    assert_eq!((image.image.size, image.image.names.len(), image.pull_succeeded), (1_984_162, 1, true));
    assert_eq!(read(FIFTEEN).tasks.len(), 15);
}

#[test]
fn debug_output_holds_no_environment() {
    assert!(!format!("{:?}", read(THREE)).contains("s3cret-value"));
}

#[test]
fn tolerates_what_it_does_not_know() {
    let task: Task = gojson::from_value(json!({
        "Arn": "a", "Novelty": {"x": 1}, "resources": {"quantum": [{}], "cgroup": null},
        "KnownStatus": null, "KnownTime": "soon", "ENI": {"ec2Id": "eni-1"}, "volumes": null,
        "Containers": [{"Name": "c", "IsInternal": "SOMETHING_NEW", "KnownStatus": 3, "environment": null}],
    }))
    .unwrap();
    assert!(task.has_resource("quantum") && !task.has_resource("cgroup"));
    assert_eq!((task.known_status.as_str(), task.known_time), ("", Time(None)));
    assert_eq!(task.containers[0].kind, ContainerType::Other("SOMETHING_NEW".to_owned()));
    assert_eq!(task.containers[0].known_status.as_str(), "3");
}

#[test]
fn reads_container_types_old_and_new() {
    for (value, kind) in [
        (json!(null), ContainerType::Normal),
        (json!(false), ContainerType::Normal),
        (json!(true), ContainerType::EmptyHostVolume),
        (json!("NORMAL"), ContainerType::Normal),
        (json!("CNI_PAUSE"), ContainerType::CniPause),
        (json!("NAMESPACE_PAUSE"), ContainerType::NamespacePause),
        (json!("MANAGED_DAEMON"), ContainerType::ManagedDaemon),
    ] {
        let container: Container = gojson::from_value(json!({ "IsInternal": value })).unwrap();
        assert_eq!(container.kind, kind);
    }
}

/// A value that was overwritten is named by its key.
#[test]
fn a_row_that_is_no_json_is_named() {
    let mut bytes = THREE.to_vec();
    let at = bytes.windows(20).rposition(|w| w == br#"{"Arn":"arn:aws:ecs:"#).unwrap();
    // All copies, since the last one in the file may be stale.
    for start in 0..=at {
        if bytes[start..].starts_with(br#"{"Arn":"arn:aws:ecs:"#) {
            bytes[start] = b'?';
        }
    }
    let error = AgentState::read(&Database::open(&bytes).unwrap()).unwrap_err();
    let RowsError::Row { bucket, key, .. } = &error else { panic!("{error}") };
    assert_eq!((*bucket, key.len()), (TASKS, 32));
}

#[test]
fn a_database_of_another_program_is_refused() {
    let mut bytes = REGISTERED.to_vec();
    for name in [CONTAINERS, ENI_ATTACHMENTS, IMAGES, METADATA, RESOURCE_ATTACHMENTS, TASKS] {
        for start in 0..bytes.len() - name.len() {
            if bytes[start..].starts_with(name.as_bytes()) {
                bytes[start + name.len() - 1] = b'!';
            }
        }
    }
    assert_eq!(AgentState::read(&Database::open(&bytes).unwrap()).unwrap_err(), RowsError::Foreign);
}
