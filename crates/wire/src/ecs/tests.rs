#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::json;

use super::*;

#[test]
fn a_state_change_omits_what_is_unset_and_keeps_milliseconds() {
    let change = SubmitTaskStateChangeRequest {
        cluster: Some("prod".into()),
        task: Some("arn:t".into()),
        status: Some("STOPPED".into()),
        reason: Some(String::new()),
        pull_started_at: Some(EpochSeconds::from_millis(1_748_000_000_125)),
        pull_stopped_at: Some(EpochSeconds::from_millis(1_748_000_004_500)),
        execution_stopped_at: Some(EpochSeconds::from_millis(1_748_000_100_000)),
        containers: unless_empty(vec![ContainerStateChange {
            container_name: Some("web".into()),
            exit_code: Some(137),
            status: Some("STOPPED".into()),
            network_bindings: Some(vec![NetworkBinding {
                bind_ip: Some("0.0.0.0".into()),
                container_port: Some(80),
                host_port: Some(8080),
                protocol: Some("tcp".into()),
                ..NetworkBinding::default()
            }]),
            ..ContainerStateChange::default()
        }]),
        ..SubmitTaskStateChangeRequest::default()
    };
    let text = serde_json::to_string(&change).unwrap();
    assert_eq!(
        text,
        r#"{"cluster":"prod","task":"arn:t","status":"STOPPED","reason":"","containers":[{"containerName":"web","exitCode":137,"networkBindings":[{"bindIP":"0.0.0.0","containerPort":80,"hostPort":8080,"protocol":"tcp"}],"status":"STOPPED"}],"pullStartedAt":1748000000.125,"pullStoppedAt":1748000004.5,"executionStoppedAt":1748000100}"#
    );
    let back: SubmitTaskStateChangeRequest = serde_json::from_str(&text).unwrap();
    assert_eq!(back, change);
}

#[test]
fn an_error_is_read_with_its_namespace_and_either_spelling_of_message() {
    for body in [
        json!({"__type": "ClientException", "message": "no"}),
        json!({"__type": "com.amazonaws.ecs#ClientException", "Message": "no"}),
    ] {
        let error: ApiError = serde_json::from_value(body).unwrap();
        assert_eq!((error.code(), error.message.as_str()), ("ClientException", "no"));
    }
}

#[test]
fn unknown_members_are_ignored_and_lists_of_answers_are_always_there() {
    let response: TasksResponse =
        serde_json::from_value(json!({"failures": [{"reason": "MISSING"}], "later": 1})).unwrap();
    assert_eq!(serde_json::to_value(&response).unwrap(), json!({"tasks": [], "failures": [{"reason": "MISSING"}]}));
}

#[test]
fn nulls_are_absent_at_any_depth() {
    let answer = json!({"containerInstance": {
        "containerInstanceArn": "arn:i", "versionInfo": null, "tags": null,
        "attributes": [{"name": "a", "value": null, "targetType": null}],
    }});
    let response: ContainerInstanceResponse = serde_json::from_value(without_nulls(answer)).unwrap();
    let instance = response.container_instance;
    assert_eq!((instance.container_instance_arn.as_str(), instance.attributes[0].name.as_str()), ("arn:i", "a"));
    assert_eq!(instance.version_info, VersionInfo::default());
}
