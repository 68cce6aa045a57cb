//! Task metadata of all versions.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::world::{ARN, DOCKER_ID, World, endpoint_of, request, send, task};
use crate::agent::endpoints::Ecs;

fn labels() -> Value {
    json!({"a": "b", "com.amazonaws.ecs.cluster": "lab", "com.amazonaws.ecs.container-name": "main",
        "com.amazonaws.ecs.task-arn": ARN, "com.amazonaws.ecs.task-definition-family": "fam",
        "com.amazonaws.ecs.task-definition-version": "7"})
}

fn container_v4() -> Value {
    json!({"DockerId": DOCKER_ID, "Name": "main", "DockerName": "ecs-fam-7-main-00ff", "Image": "busybox:1",
        "ImageID": "sha256:77", "Ports": [
            {"ContainerPort": 80, "Protocol": "tcp", "HostPort": 32771, "HostIp": "0.0.0.0"},
            {"ContainerPort": 80, "Protocol": "tcp", "HostPort": 32771, "HostIp": "::"}],
        "Labels": labels(), "DesiredStatus": "RUNNING", "KnownStatus": "RUNNING",
        "Limits": {"CPU": 10, "Memory": 32}, "CreatedAt": "2031-02-03T04:05:06.12Z",
        "StartedAt": "2031-02-03T04:05:07Z", "Type": "NORMAL",
        "Networks": [{"NetworkMode": "bridge", "IPv4Addresses": ["172.17.0.5"]}]})
}

#[tokio::test]
async fn v4_tells_all() {
    let task = task(json!({"serviceName": "svc", "cpu": 0.25}), json!({}), json!({}));
    let world = World::of(std::slice::from_ref(&task)).await;
    let endpoint = endpoint_of(&task);
    let reply = world.get(&format!("/v4/{endpoint}")).await;
    assert_eq!((reply.status, reply.header("Content-Type")), (200, vec!["application/json"]));
    assert_eq!(reply.json(), container_v4());
    let expected = json!({"Cluster": "lab", "TaskARN": ARN, "Family": "fam", "Revision": "7",
        "DesiredStatus": "RUNNING", "KnownStatus": "RUNNING", "Limits": {"CPU": 0.25},
        "PullStartedAt": "2031-02-03T04:05:05Z", "AvailabilityZone": "us-west-2a", "Containers": [container_v4()],
        "ServiceName": "svc", "FaultInjectionEnabled": false});
    let reply = world.get(&format!("/v4/{endpoint}/task")).await;
    assert_eq!(reply.json(), expected);
    assert_eq!(world.get(&format!("/v4/{endpoint}/task")).await.body, reply.body, "the second comes from memory");
}

#[tokio::test]
async fn v3_tells_less() {
    let task = task(json!({}), json!({}), json!({}));
    let world = World::of(std::slice::from_ref(&task)).await;
    let reply = world.get(&format!("/v3/{}", endpoint_of(&task))).await;
    let mut expected = container_v4();
    for port in expected["Ports"].as_array_mut().unwrap() {
        port.as_object_mut().unwrap().remove("HostIp");
    }
    assert_eq!(reply.json(), expected);
    let whole = world.get(&format!("/v3/{}/task", endpoint_of(&task))).await.json();
    assert_eq!(whole["Containers"], json!([expected]));
    assert_eq!(whole.get("FaultInjectionEnabled"), None);
}

#[tokio::test]
async fn a_new_view_is_a_new_document() {
    let before = task(json!({}), json!({}), json!({}));
    let world = World::of(std::slice::from_ref(&before)).await;
    let path = format!("/v4/{}", endpoint_of(&before));
    assert_eq!(world.get(&path).await.json()["KnownStatus"], "RUNNING");
    let after = task(json!({}), json!({}), json!({"known": "STOPPED", "exit_code": 0}));
    world.published.set_tasks(vec![(after.id().clone(), Some(Arc::clone(&after)))]);
    let document = world.get(&path).await.json();
    assert_eq!((&document["KnownStatus"], &document["ExitCode"]), (&json!("STOPPED"), &json!(0)));
    assert_eq!(document["Networks"], json!([{"NetworkMode": "bridge", "IPv4Addresses": [""]}]));
    world.published.set_tasks(vec![(after.id().clone(), None)]);
    assert_eq!(world.get(&path).await.status, 404);
}

#[tokio::test]
async fn log_driver_health_and_restarts_are_told() {
    let task = task(
        json!({}),
        json!({"healthCheckType": "docker", "cpu": 0, "containerArn": "arn:c",
            "restartPolicy": {"enabled": true},
            "dockerConfig": {"config": "{\"Healthcheck\":{\"Test\":[\"CMD\",\"x\"]}}",
                "hostConfig": "{\"LogConfig\":{\"Type\":\"awslogs\",\"Config\":{\"awslogs-group\":\"/shop\"}}}"}}),
        json!({}),
    );
    let world = World::of(std::slice::from_ref(&task)).await;
    let document = world.get(&format!("/v4/{}", endpoint_of(&task))).await.json();
    assert_eq!(document["LogDriver"], "awslogs");
    assert_eq!(document["LogOptions"], json!({"awslogs-group": "/shop"}));
    assert_eq!((&document["Health"], &document["ContainerARN"]), (&json!({}), &json!("arn:c")));
    assert_eq!((&document["RestartCount"], &document["Limits"]["CPU"]), (&json!(0), &json!(2)));
}

#[tokio::test]
async fn nobody_is_found_by_what_names_nobody() {
    let named = task(json!({}), json!({}), json!({"docker_id": null, "known": "PULLED"}));
    let world = World::of(std::slice::from_ref(&named)).await;
    let container = "unable to get container ID from request: unable to get docker ID from v3 endpoint ID:";
    let whole = "unable to get task arn from request: unable to get task Arn from v3 endpoint ID:";
    let mut expected = vec![
        ("/v4/x", 404, format!("V4 container metadata handler: {container} x")),
        ("/v4/", 404, format!("V4 container metadata handler: {container} ")),
        ("/v4/x/task", 404, format!("V4 task metadata handler: {whole} x")),
        ("/v4/x/taskWithTags", 404, format!("V4 task metadata handler: {whole} x")),
        ("/v4/x/stats", 404, format!("V4 container stats handler: {whole} x")),
        ("/v4/x/task/stats", 404, format!("V4 task stats handler: {whole} x")),
        ("/v3/x", 500, format!("V3 container metadata handler: {container} x")),
        ("/v3/x/task", 500, format!("V3 task metadata handler: {whole} x")),
        ("/v3/x/stats", 400, format!("V3 container stats handler: {whole} x")),
        ("/v3/x/task/stats", 400, format!("V3 task stats handler: {whole} x")),
        ("/v3/x/associations/gpu/d", 400, format!("V3 container associations handler: {whole} x")),
    ];
    let id = "unable to get container id from request: unable to get docker ID from v3 endpoint ID:";
    expected.push(("/v4/x/associations/gpu", 400, format!("V4 container associations handler: {id} x")));
    let address = "Unable to get task arn from request: unable to associate '127.0.0.1' with task".to_owned();
    for path in ["/v2/metadata", "/v2/stats/", "/v2/metadata/abc"] {
        expected.push((path, 400, address.clone()));
    }
    for (path, status, text) in expected {
        let reply = world.get(path).await;
        assert_eq!((reply.status, reply.json()), (status, json!(text)), "{path}");
    }
    let reply = world.get(&format!("/v4/{}", endpoint_of(&named))).await;
    assert_eq!(reply.status, 404, "a container has no endpoint before it is created");
    let reply = world.get("/v4/x/").await;
    assert_eq!(reply.brief(), "404 text/plain; charset=utf-8 404 page not found\n");
    assert_eq!(reply.header("X-Content-Type-Options"), ["nosniff"]);
}

#[tokio::test]
async fn associations_are_told_as_they_came() {
    let associations = json!([
        {"name": "d1", "type": "ei", "containers": ["main"], "content": {"encoding": "base64", "value": "a\"<b"}},
        {"name": "d2", "type": "ei", "containers": ["other"], "content": {"encoding": "", "value": "x"}}]);
    let task = task(json!({"associations": associations}), json!({}), json!({}));
    let world = World::of(std::slice::from_ref(&task)).await;
    let base = format!("/v4/{}/associations", endpoint_of(&task));
    assert_eq!(world.get(&format!("{base}/ei")).await.body, r#"{"Associations":["d1"]}"#);
    assert_eq!(world.get(&format!("{base}/gpu")).await.body, r#"{"Associations":null}"#);
    assert_eq!(world.get(&format!("{base}/ei/d1")).await.brief(), "200 application/json a\"<b");
    assert_eq!(world.get(&format!("{base}/ei/d2")).await.body, "x", "for any container of the task");
    let reply = world.get(&format!("{base}/ei/")).await;
    let text = "V4 container associations handler: unable to get association name from request";
    assert_eq!((reply.status, reply.json()), (400, json!(text)));
}

#[tokio::test]
async fn tags_come_from_the_control_plane_and_their_failure_is_told_in_v4() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let ecs = Ecs::from_fn(move |call| {
        let number = counted.fetch_add(1, Ordering::SeqCst);
        async move {
            assert_eq!(call.operation, "ListTagsForResource");
            let arn = call.input["resourceArn"].as_str().unwrap_or_default().to_owned();
            if number == 0 {
                assert_eq!(call.user_agent_suffix.as_deref(), Some(" container/main"));
            }
            if arn == ARN {
                let kind = aws::json11::CallErrorKind::Service {
                    code: "AccessDeniedException".to_owned(),
                    message: "no".to_owned(),
                    status: 400,
                    request_id: Some("r-1".to_owned()),
                };
                return Err(aws::CallError { service: "ECS", operation: call.operation.to_owned(), kind });
            }
            Ok(json!({"tags": [{"key": "team", "value": "core"}]}))
        }
    });
    let task = task(json!({}), json!({}), json!({}));
    let world = World::with_ecs(std::slice::from_ref(&task), Some(ecs)).await;
    let document = world.get(&format!("/v4/{}/taskWithTags", endpoint_of(&task))).await.json();
    assert_eq!(document["ContainerInstanceTags"], json!({"team": "core"}));
    assert_eq!(document.get("TaskTags"), None);
    let error = &document["Errors"][0];
    assert_eq!(error["ErrorField"], "TaskTags");
    assert_eq!((&error["ErrorCode"], &error["StatusCode"]), (&json!("AccessDeniedException"), &json!(400)));
    assert!(
        error["ErrorMessage"]
            .as_str()
            .unwrap()
            .starts_with(&format!("GetResourceTags failed for {ARN} after 1 attempts: "))
    );
    let v3 = world.get(&format!("/v3/{}/taskWithTags", endpoint_of(&task))).await;
    assert_eq!((v3.status, v3.json().get("Errors")), (200, None));
}

#[tokio::test]
async fn every_method_is_a_get_and_heads_have_no_body() {
    let task = task(json!({}), json!({}), json!({}));
    let world = World::of(std::slice::from_ref(&task)).await;
    let path = format!("/v4/{}", endpoint_of(&task));
    let get = world.get(&path).await;
    let post = send(world.tasks, &request("POST", &path, "x")).await;
    assert_eq!((post.status, &post.body), (200, &get.body));
    let head = send(world.tasks, &request("HEAD", &path, "")).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[tokio::test]
async fn unclean_paths_are_redirected_without_being_counted() {
    let world = World::of(&[]).await;
    for _ in 0..70 {
        let reply = world.get("//v4//x/?a=1&b=%20").await;
        assert_eq!((reply.status, reply.header("Location"), reply.body.as_str()), (301, vec!["/v4/x/?a=1&b=%20"], ""));
        assert!(reply.header("Content-Type").is_empty() && reply.header("X-Rate-Limit-Limit").is_empty());
    }
    assert_eq!(world.get("/v4/%zz").await.status, 400);
}

#[tokio::test]
async fn stats_of_what_is_not_there_are_refused_or_empty() {
    let stopped = task(json!({}), json!({}), json!({"known": "STOPPED"}));
    let world = World::of(std::slice::from_ref(&stopped)).await;
    let endpoint = endpoint_of(&stopped);
    let text = json!(format!("Unable to get container stats for: {DOCKER_ID}"));
    let v4 = world.get(&format!("/v4/{endpoint}/stats")).await;
    assert_eq!((v4.status, v4.json()), (500, text.clone()));
    let v3 = world.get(&format!("/v3/{endpoint}/stats")).await;
    assert_eq!((v3.status, v3.json()), (400, text));
    let path = |version| format!("/{version}/{endpoint}/task/stats");
    assert_eq!(world.get(&path("v4")).await.body, format!("{{\"{DOCKER_ID}\":{{}}}}"));
    assert_eq!(world.get(&path("v3")).await.body, format!("{{\"{DOCKER_ID}\":null}}"));
}
