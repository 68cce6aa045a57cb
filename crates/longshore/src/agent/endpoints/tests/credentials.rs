//! Credentials and their audit.

use serde_json::json;
use wire::ids::CredentialsId;

use super::world::{ARN, INSTANCE, World, request, send, task};

fn payload() -> wire::acs::Inbound {
    let message = json!({"type": "PayloadMessage", "message": {"tasks": [{"arn": ARN, "roleCredentials":
        {"credentialsId": "c-1", "roleArn": "arn:role", "accessKeyId": "AKIA", "secretAccessKey": "hush",
         "sessionToken": "tok", "expiration": "2031-01-01T00:00:00Z"}}]}});
    wire::acs::inbound(&message.to_string()).unwrap()
}

#[tokio::test]
async fn values_come_when_they_are_there() {
    let task = task(json!({"roleCredentials": {"credentialsId": "c-1"}}), json!({}), json!({}));
    let world = World::of(&[task]).await;
    let refusal = |version: &str, code: &str, text: &str, status: u16| {
        format!(
            r#"{status} application/json {{"code":"{code}","message":"Credentials{version}Request: {text}","HTTPErrorCode":{status}}}"#
        )
    };
    let check = async |path: &str, expected: &str| assert_eq!(world.get(path).await.brief(), expected, "{path}");
    let late = refusal("V2", "CredentialsUninitialized", "Credentials uninitialized for ID", 503);
    check("/v2/credentials/c-1", &late).await;
    world.vault.keep_secrets_of(&mut payload());
    let values = r#"200 application/json {"RoleArn":"arn:role","AccessKeyId":"AKIA","SecretAccessKey":"hush","Token":"tok","Expiration":"2031-01-01T00:00:00Z"}"#;
    check("/v2/credentials/c-1", values).await;
    check("/v1/credentials?x=1&id=c-1&id=c-2", values).await;
    check("/v2/credentials/c-2", &refusal("V2", "InvalidIdInRequest", "Credentials not found", 400)).await;
    check("/v2/credentials/", &refusal("V2", "NoIdInRequest", "No Credential ID in the request", 400)).await;
    check("/v1/credentials", &refusal("V1", "NoIdInRequest", "No Credential ID in the request", 400)).await;
    check("/v2/credentials", "404 text/plain; charset=utf-8 404 page not found\n").await;
    world.vault.forget(&CredentialsId::from("c-1"));
    check("/v2/credentials/c-1", &late).await;
}

#[tokio::test]
async fn a_stopped_task_waits_for_no_credentials() {
    let stopped = task(json!({"roleCredentials": {"credentialsId": "c-1"}}), json!({}), json!({"known": "STOPPED"}));
    let world = World::of(&[stopped]).await;
    assert_eq!(world.get("/v2/credentials/c-1").await.status, 400);
}

#[tokio::test]
async fn every_request_is_audited_without_its_id() {
    let world = World::of(&[]).await;
    world.vault.keep_secrets_of(&mut payload());
    world.get("/v2/credentials/c-1").await;
    world.get("/v2/credentials/nobody").await;
    world.get("/v4/not-audited").await;
    let lines: Vec<String> = world.audit.try_iter().map(|(_, line)| line).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let end = format!(" \"/v2/credentials\" \"probe\" {ARN} GetCredentials 2 lab {INSTANCE}\n");
    assert!(lines[0].contains(" 200 127.0.0.1:") && lines[0].ends_with(&end), "{lines:?}");
    assert!(lines[1].contains(" 400 127.0.0.1:") && lines[1].ends_with("\"probe\" - \n"), "{lines:?}");
}

#[tokio::test]
async fn metadata_floods_do_not_throttle_credentials() {
    let world = World::of(&[]).await;
    world.vault.keep_secrets_of(&mut payload());
    let mut throttled = None;
    for _ in 0..200 {
        let reply = world.get("/v4/x").await;
        if reply.status == 429 {
            throttled = Some(reply);
        }
        assert_eq!(world.get("/v2/credentials/c-1").await.status, 200);
    }
    let throttled = throttled.expect("60 at once and 40 a second are not 200");
    assert_eq!(throttled.brief(), "429 text/plain; charset=utf-8 You have reached maximum request limit.");
    assert_eq!(throttled.header("X-Rate-Limit-Limit"), ["40.00"]);
    assert_eq!(throttled.header("X-Rate-Limit-Duration"), ["1"]);
    assert_eq!(throttled.header("X-Rate-Limit-Request-Forwarded-For"), [""]);
    assert!(throttled.header("X-Rate-Limit-Request-Remote-Addr")[0].starts_with("127.0.0.1:"));
    assert!(world.audit.try_iter().any(|(_, line)| line.contains(" 429 ") && line.contains("\"/v4/x\"")));
    let forwarded = request("GET", "/v4/y", "").replace("Host: x", "Host: x\r\nX-Forwarded-For: 10.1.1.1");
    assert_eq!(send(world.tasks, &forwarded).await.header("X-Rate-Limit-Request-Forwarded-For"), ["10.1.1.1"]);
}
