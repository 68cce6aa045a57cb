#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::testing::{Answer, Seen, Server, vars};

fn reply(status: &'static str, body: &str) -> Answer {
    Answer::Reply(status, "", body.to_owned())
}

fn imds(server: &Server) -> Imds {
    Imds::from_vars(&vars(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &format!("{}/", server.url))]))
}

fn requests(server: &Server) -> Vec<String> {
    server.seen().iter().map(|seen| seen.line().replace(" HTTP/1.1", "")).collect()
}

fn is_token_request(seen: &Seen) -> bool {
    seen.line().starts_with("PUT /latest/api/token ")
}

/// Version 2: a token, which every other request must carry.
fn version_2(seen: &Seen) -> Answer {
    if is_token_request(seen) {
        assert_eq!(seen.header("x-aws-ec2-metadata-token-ttl-seconds"), Some("300"));
        return Answer::Reply("200 OK", "x-aws-ec2-metadata-token-ttl-seconds: 300\r\n", "t0k".to_owned());
    }
    match (seen.header("x-aws-ec2-metadata-token"), seen.line()) {
        (Some("t0k"), line) if line.contains("missing") || line.contains("outpost") => reply("404 Not Found", ""),
        (Some("t0k"), line) if line.contains("/iam/security-credentials/ ") => reply("200 OK", "my-role\n"),
        (Some("t0k"), line) if line.contains("/iam/security-credentials/my-role") => reply(
            "200 OK",
            r#"{"Code":"Success","AccessKeyId":"A","SecretAccessKey":"s","Token":"t","Expiration":"2030-01-01T00:00:00Z"}"#,
        ),
        (Some("t0k"), line) => reply("200 OK", line),
        _ => reply("401 Unauthorized", ""),
    }
}

#[tokio::test]
async fn version_2_asks_once_for_a_token_and_remembers_constants() {
    let server = Server::start(version_2).await;
    let imds = imds(&server);
    for _ in 0..2 {
        let id = imds.get(&MetadataItem::InstanceId).await.unwrap();
        assert_eq!(id, "GET /latest/meta-data/instance-id HTTP/1.1");
    }
    let vpc = MetadataItem::VpcId { mac: "02:00".to_owned() };
    imds.get(&vpc).await.unwrap();
    imds.get(&MetadataItem::SpotInstanceAction).await.unwrap();
    imds.get(&MetadataItem::SpotInstanceAction).await.unwrap();
    assert_eq!(
        requests(&server),
        [
            "PUT /latest/api/token",
            "GET /latest/meta-data/instance-id",
            "GET /latest/meta-data/network/interfaces/macs/02:00/vpc-id",
            "GET /latest/meta-data/spot/instance-action",
            "GET /latest/meta-data/spot/instance-action",
        ]
    );
}

#[tokio::test]
async fn a_missing_item_is_not_found_and_not_asked_again() {
    let server = Server::start(version_2).await;
    let error = imds(&server).get_patiently(&MetadataItem::OutpostArn).await.unwrap_err();
    assert_eq!(error, ImdsError::NotFound { path: "/latest/meta-data/outpost-arn".to_owned() });
    assert_eq!(requests(&server).len(), 2);
}

#[tokio::test]
async fn a_service_without_tokens_is_asked_in_the_old_way() {
    for status in ["403 Forbidden", "404 Not Found", "405 Method Not Allowed"] {
        let server =
            Server::start(move |seen| if is_token_request(seen) { reply(status, "") } else { reply("200 OK", "v1") })
                .await;
        let imds = imds(&server);
        assert_eq!(imds.get(&MetadataItem::Macs).await.unwrap(), "v1");
        assert_eq!(imds.get(&MetadataItem::Macs).await.unwrap(), "v1");
        let tokens = server.seen().iter().filter(|seen| is_token_request(seen)).count();
        assert_eq!(tokens, 1, "the answer is remembered");
    }
}

#[tokio::test]
async fn a_token_request_without_answer_falls_back_for_this_time() {
    let server = Server::start(|seen| if is_token_request(seen) { Answer::Stall } else { reply("200 OK", "v1") }).await;
    assert_eq!(imds(&server).get(&MetadataItem::Macs).await.unwrap(), "v1");
}

#[tokio::test]
async fn version_1_can_be_forbidden() {
    let server =
        Server::start(|seen| if is_token_request(seen) { reply("403 Forbidden", "") } else { reply("200 OK", "v1") })
            .await;
    let names = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url.as_str()), ("AWS_EC2_METADATA_V1_DISABLED", "true")];
    let error = Imds::from_vars(&vars(&names)).get(&MetadataItem::Macs).await.unwrap_err();
    assert_eq!(error, ImdsError::Status { path: "/latest/api/token".to_owned(), status: 403 });
}

#[tokio::test]
async fn an_expired_token_is_replaced() {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::start(move |seen| {
        if is_token_request(seen) {
            let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            return reply("200 OK", &format!("t{number}"));
        }
        match seen.header("x-aws-ec2-metadata-token") {
            Some("t1") => reply("200 OK", "yes"),
            _ => reply("401 Unauthorized", ""),
        }
    })
    .await;
    assert_eq!(imds(&server).get(&MetadataItem::Ipv6).await.unwrap(), "yes");
}

#[tokio::test]
async fn passing_failures_are_asked_again_by_the_patient_call_only() {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::start(move |seen| {
        if is_token_request(seen) {
            return reply("200 OK", "t");
        }
        match count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 | 1 => reply("503 Service Unavailable", ""),
            _ => reply("200 OK", "yes"),
        }
    })
    .await;
    let imds = imds(&server);
    let error = imds.get(&MetadataItem::LocalIpv4).await.unwrap_err();
    assert!(matches!(error, ImdsError::Status { status: 503, .. }));
    assert_eq!(imds.get_patiently(&MetadataItem::LocalIpv4).await.unwrap(), "yes");
}

#[tokio::test]
async fn role_credentials_are_read_and_expired_ones_stretched() {
    let server = Server::start(version_2).await;
    let imds = imds(&server);
    let found = imds.role_credentials("2029-12-31T00:00:00Z".parse().unwrap()).await.unwrap();
    assert_eq!((found.access_key_id.as_str(), found.secret.expose().as_str()), ("A", "s"));
    assert_eq!(found.expires, Some("2030-01-01T00:00:00Z".parse().unwrap()));
    let late = imds.role_credentials("2030-01-01T01:00:00Z".parse().unwrap()).await.unwrap();
    assert_eq!(late.expires, Some("2030-01-01T01:10:00Z".parse().unwrap()));
}

#[tokio::test]
async fn switched_off_clients_send_nothing() {
    let hole = Imds::blackholed();
    assert!(hole.is_blackholed());
    let error = hole.get_patiently(&MetadataItem::InstanceId).await.unwrap_err();
    assert_eq!(error.to_string(), "blackholed");

    let server = Server::start(version_2).await;
    let names = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url.as_str()), ("AWS_EC2_METADATA_DISABLED", "TRUE")];
    let disabled = Imds::from_vars(&vars(&names));
    assert_eq!(disabled.get(&MetadataItem::InstanceId).await, Err(ImdsError::Disabled));
    assert_eq!(requests(&server).len(), 0);
}
