//! Task protection and fault injection.

use serde_json::{Value, json};

use super::world::{ARN, World, endpoint_of, request, send, task};
use crate::agent::endpoints::Ecs;

fn with_role() -> wire::acs::Inbound {
    let message = json!({"type": "PayloadMessage", "message": {"tasks": [{"arn": ARN, "roleCredentials":
        {"credentialsId": "c-1", "accessKeyId": "AKIATASK", "secretAccessKey": "s", "sessionToken": "t"}}]}});
    wire::acs::inbound(&message.to_string()).unwrap()
}

/// The control plane's answer to anything, after checking who asks.
fn answering(answer: Value) -> Ecs {
    Ecs::from_fn(move |call| {
        let answer = answer.clone();
        async move {
            assert_eq!(call.credentials.expect("the task's own").access_key_id, "AKIATASK");
            assert_eq!((&call.input["cluster"], &call.input["tasks"]), (&json!("lab"), &json!([ARN])));
            Ok(answer)
        }
    })
}

#[tokio::test]
async fn protection_is_asked_for_in_the_tasks_name() {
    let task = task(json!({"roleCredentials": {"credentialsId": "c-1"}}), json!({}), json!({}));
    let path = format!("/api/{}/task-protection/v1/state", endpoint_of(&task));
    let protected = json!({"protectedTasks":
        [{"taskArn": ARN, "protectionEnabled": true, "expirationDate": 1_927_857_906.0}], "failures": []});
    let world = World::with_ecs(std::slice::from_ref(&task), Some(answering(protected))).await;
    let put = async |path: &str, body: &str| send(world.tasks, &request("PUT", path, body)).await;

    let refused = put(&path, r#"{"ProtectionEnabled":true}"#).await;
    let text = "Invalid Request: no task IAM role credentials available for task";
    let expected = json!({"error": {"Arn": ARN, "Code": "AccessDeniedException", "Message": text}});
    assert_eq!((refused.status, refused.json()), (403, expected));

    world.vault.keep_secrets_of(&mut with_role());
    let done = put(&path, r#"{"ProtectionEnabled":true,"ExpiresInMinutes":60}"#).await;
    let expected = format!(
        r#"{{"protection":{{"ExpirationDate":"2031-02-03T04:05:06Z","ProtectionEnabled":true,"TaskArn":"{ARN}"}}}}"#
    );
    assert_eq!((done.status, done.body), (200, expected.clone()));
    assert_eq!(world.get(&path).await.body, expected);

    let unread = put("/api/nobody/task-protection/v1/state", "{").await;
    let text = "UpdateTaskProtection: failed to decode request";
    let expected = json!({"error": {"Code": "InvalidParameterException", "Message": text}});
    assert_eq!((unread.status, unread.json()), (400, expected), "the body comes first");
    let unknown = put("/api/nobody/task-protection/v1/state", "{}").await;
    assert_eq!((unknown.status, &unknown.json()["error"]["Code"]), (404, &json!("ResourceNotFoundException")));
    let empty = put(&path, "{}").await;
    let text = "Invalid request: does not contain 'ProtectionEnabled' field";
    assert_eq!((empty.status, &empty.json()["error"]["Message"]), (400, &json!(text)));
    for method in ["POST", "HEAD", "DELETE"] {
        let reply = send(world.tasks, &request(method, &path, "")).await;
        assert_eq!((reply.status, reply.body.as_str(), reply.header("Allow").len()), (405, "", 0), "{method}");
    }
}

#[tokio::test]
async fn what_the_service_refuses_is_not_our_failure() {
    let task = task(json!({"roleCredentials": {"credentialsId": "c-1"}}), json!({}), json!({}));
    let path = format!("/api/{}/task-protection/v1/state", endpoint_of(&task));
    for (answer, status, expected) in [
        (
            json!({"protectedTasks": [], "failures": [{"arn": ARN, "reason": "TASK_NOT_VALID"}]}),
            200,
            json!({"failure": {"Arn": ARN, "Detail": null, "Reason": "TASK_NOT_VALID"}}),
        ),
        (
            json!({}),
            500,
            json!({"error": {"Arn": ARN, "Code": "ServerException", "Message": "Unexpected error occurred"}}),
        ),
    ] {
        let world = World::with_ecs(std::slice::from_ref(&task), Some(answering(answer))).await;
        world.vault.keep_secrets_of(&mut with_role());
        let reply = world.get(&path).await;
        assert_eq!((reply.status, reply.json()), (status, expected));
    }
    let failing = Ecs::from_fn(|call| async move {
        let kind = aws::json11::CallErrorKind::Service {
            code: "InvalidParameterException".to_owned(),
            message: "no".to_owned(),
            status: 400,
            request_id: None,
        };
        Err(aws::CallError { service: "ECS", operation: call.operation.to_owned(), kind })
    });
    let world = World::with_ecs(std::slice::from_ref(&task), Some(failing)).await;
    world.vault.keep_secrets_of(&mut with_role());
    let reply = world.get(&path).await;
    let expected =
        format!(r#"{{"requestID":"","error":{{"Arn":"{ARN}","Code":"InvalidParameterException","Message":"no"}}}}"#);
    assert_eq!((reply.status, reply.body), (400, expected));
}

#[tokio::test]
async fn faults_are_refused_in_the_references_words() {
    let off = task(json!({}), json!({}), json!({}));
    let world = World::of(std::slice::from_ref(&off)).await;
    let post = async |world: &World, path: String, body: &str| send(world.tasks, &request("POST", &path, body)).await;
    let fault = |endpoint: &str, rest: &str| format!("/api/{endpoint}/fault/v1/{rest}");
    let endpoint = endpoint_of(&off);

    let reply = post(&world, fault(&endpoint, "network-latency/stop"), "").await;
    let text = format!("enableFaultInjection is not enabled for task: {ARN}");
    assert_eq!((reply.status, reply.json()), (400, json!({"Error": text})));
    assert_eq!(reply.header("X-Rate-Limit-Limit"), ["40.00", "0.20"]);
    let again = post(&world, fault(&endpoint, "network-latency/stop"), "").await;
    assert_eq!(again.brief(), "429 text/plain; charset=utf-8 You have reached maximum request limit");
    assert_eq!(again.header("X-Rate-Limit-Limit"), ["40.00", "0.20"]);

    let reply = post(&world, fault(&endpoint, "network-blackhole-port/status"), "").await;
    assert_eq!(reply.json(), json!({"Error": "required request body is missing"}));
    let reply = post(&world, fault("x", "network-packet-loss/status"), "").await;
    let text = "unable to get task arn from request: unable to get task Arn from v3 endpoint ID: x";
    assert_eq!((reply.status, reply.json()), (404, json!({"Error": text})));
    let get = world.get(&fault("x", "network-packet-loss/status")).await;
    assert_eq!((get.status, get.body.as_str()), (405, ""));

    let on = task(json!({"enableFaultInjection": true}), json!({}), json!({}));
    let world = World::of(std::slice::from_ref(&on)).await;
    let reply = post(&world, fault(&endpoint_of(&on), "network-latency/status"), "").await;
    let text = format!("failed to get task metadata due to internal server error for container: {}", endpoint_of(&on));
    assert_eq!((reply.status, reply.json()), (500, json!({"Error": text})));
}
