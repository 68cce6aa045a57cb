//! The introspection server.

use std::sync::Arc;

use engine::Mono;
use engine::task::Admission;
use serde_json::json;

use super::world::{ARN, DOCKER_ID, INSTANCE, World, request, send, task};

#[tokio::test]
async fn what_is_unknown_is_answered_with_what_is_known() {
    let world = World::of(&[]).await;
    let commands = r#"200 text/plain; charset=utf-8 {"AvailableCommands":["/v1/metadata","/v1/tasks","/license"]}"#;
    for path in ["/", "/v1/metadata/", "/nothing", "/v1/tasks/x"] {
        assert_eq!(world.introspect(path).await.brief(), commands, "{path}");
    }
    let expected = format!(
        r#"200 application/json {{"Cluster":"lab","ContainerInstanceArn":"{INSTANCE}","Version":"Amazon ECS Agent - v1.2.3 (0123abcd)"}}"#
    );
    assert_eq!(world.introspect("/v1/metadata").await.brief(), expected);
    let head = send(world.introspection, &request("HEAD", "/v1/metadata", "")).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let moved = world.introspect("//v1/tasks?a=1&b").await;
    assert_eq!((moved.status, moved.header("Location")), (301, vec!["/v1/tasks?a=1&b"]));
    assert_eq!(moved.body, "<a href=\"/v1/tasks?a=1&amp;b\">Moved Permanently</a>.\n\n");
    assert_eq!(world.introspect("/license").await.brief(), "500 text/plain ");
}

#[tokio::test]
async fn tasks_are_found_by_arn_and_by_docker_id() {
    let world = World::of(&[task(json!({}), json!({}), json!({}))]).await;
    let expected = json!({"Arn": ARN, "DesiredStatus": "RUNNING", "KnownStatus": "RUNNING", "Family": "fam",
        "Version": "7", "Containers": [{"DockerId": DOCKER_ID, "DockerName": "ecs-fam-7-main-00ff", "Name": "main",
            "Image": "busybox:1", "ImageID": "sha256:77", "CreatedAt": "2031-02-03T04:05:06.12Z",
            "StartedAt": "2031-02-03T04:05:07Z", "Ports": [
                {"ContainerPort": 80, "Protocol": "tcp", "HostPort": 32771},
                {"ContainerPort": 80, "Protocol": "tcp", "HostPort": 32771}]}]});
    assert_eq!(world.introspect("/v1/tasks").await.json(), json!({"Tasks": [expected]}));
    for query in
        [format!("taskarn={ARN}"), format!("dockerid={DOCKER_ID}"), "dockerid=5d1c9e000000".into(), "dockerid=".into()]
    {
        let reply = world.introspect(&format!("/v1/tasks?{query}")).await;
        assert_eq!((reply.status, reply.json()), (200, expected.clone()), "{query}");
    }
    let nothing = r#"{"Arn":"","KnownStatus":"","Family":"","Version":"","Containers":null}"#;
    for (query, status) in [
        ("taskarn=x", 404),
        ("taskarn", 404),
        ("dockerid=x", 404),
        ("dockerid=5d1c9e0000000", 404),
        ("dockerid=5d&taskarn=x", 400),
    ] {
        let reply = world.introspect(&format!("/v1/tasks?{query}")).await;
        assert_eq!((reply.status, reply.body.as_str()), (status, nothing), "{query}");
    }
}

#[tokio::test]
async fn a_task_that_waits_for_its_share_says_for_what() {
    let waiting = task(json!({"cpu": 4096.0}), json!({}), json!({"known": "NONE", "docker_id": null}));
    assert!(waiting.waits_for().is_none(), "it has not asked yet");
    let mut waiting = Arc::unwrap_or_clone(waiting);
    let reason = "needs host port 80/tcp, which task 0e holds".to_owned();
    waiting.admission = Admission::Waiting { since: Mono::default(), reason: reason.clone() };
    let world = World::of(&[Arc::new(waiting.clone())]).await;
    let path = format!("/v1/tasks?taskarn={ARN}");
    assert_eq!(world.introspect(&path).await.json()["WaitsFor"], reason);
    waiting.admission = Admission::Granted;
    let world = World::of(&[Arc::new(waiting)]).await;
    assert_eq!(world.introspect(&path).await.json().get("WaitsFor"), None);
}

#[tokio::test]
async fn a_short_id_must_be_of_one_container() {
    let second = json!([
        {"name": "main", "image": "b", "essential": true},
        {"name": "pulled", "image": "b", "essential": true}]);
    let world = World::of(&[task(json!({"containers": second}), json!({}), json!({}))]).await;
    let reply = world.introspect("/v1/tasks?dockerid=5d").await;
    assert_eq!(reply.json()["Containers"].as_array().unwrap().len(), 1, "what is not created is not listed");
    let other = task(json!({"arn": format!("{ARN}0")}), json!({}), json!({"docker_id": "5dff"}));
    let world = World::of(&[task(json!({}), json!({}), json!({})), other]).await;
    assert_eq!(world.introspect("/v1/tasks?dockerid=5d").await.status, 400);
    assert_eq!(world.introspect("/v1/tasks?dockerid=5d1").await.status, 200);
}

#[tokio::test]
async fn health_says_what_is_wrong() {
    let world = World::of(&[]).await;
    let reply = world.introspect("/v1/health").await;
    let health = reply.json();
    assert_eq!(reply.status, 503, "no Docker answers here");
    assert_eq!(health["status"], "impaired");
    assert_eq!(health["docker"]["answering"], false);
    assert_eq!(health["controlPlane"], json!({"connected": true, "since": "2031-02-03T04:59:00Z"}));
    assert_eq!(health["telemetry"], json!({"connected": false}));
    assert_eq!(health["reports"], json!({"inFlight": 0, "waiting": 2}));
}
