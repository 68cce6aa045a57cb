#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::connect::{ConnectError, Connector, ConnectorOptions};
use crate::credentials::Credentials;
use crate::testing::{Answer, Server};

#[derive(Debug, Deserialize, PartialEq)]
struct Output {
    #[serde(default)]
    endpoint: String,
}

fn client(endpoint: &str) -> Json11 {
    let service = Service {
        endpoint: endpoint.parse().unwrap(),
        name: "ECS",
        signing_name: "ecs".to_owned(),
        target_prefix: ECS_TARGET_PREFIX.to_owned(),
        region: "us-west-2".to_owned(),
    };
    let http = HttpClient::new(Connector::new(ConnectorOptions::default()));
    Json11::new(http, service, "agent/1", Credentials::new("AK", "sk", Some("tok".to_owned())))
}

async fn call(client: &Json11) -> Result<Output, CallError> {
    client.call("DiscoverPollEndpoint", &json!({"cluster": "c"}), Duration::from_secs(10)).await
}

fn reply(status: &'static str, headers: &'static str, body: &str) -> Answer {
    Answer::Reply(status, headers, body.to_owned())
}

#[tokio::test]
async fn a_call_is_one_signed_post_and_connections_are_reused() {
    let server = Server::script(vec![reply("200 OK", "", r#"{"endpoint":"e","more":1}"#)]).await;
    let client = client(&server.url);
    assert_eq!(call(&client).await.unwrap().endpoint, "e");
    assert_eq!(call(&client.with_user_agent("agent/1 container/web")).await.unwrap().endpoint, "e");
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].line(), "POST / HTTP/1.1");
    assert_eq!(seen[0].body, r#"{"cluster":"c"}"#);
    assert_eq!(seen[0].header("content-type"), Some("application/x-amz-json-1.1"));
    assert_eq!(seen[0].header("x-amz-target"), Some("AmazonEC2ContainerServiceV20141113.DiscoverPollEndpoint"));
    assert_eq!(seen[0].header("user-agent"), Some("agent/1"));
    assert_eq!(seen[1].header("user-agent"), Some("agent/1 container/web"));
    assert_eq!(seen[0].header("x-amz-security-token"), Some("tok"));
    assert_eq!(seen[0].header("host"), Some(format!("127.0.0.1:{}", server.port).as_str()));
    let authorization = seen[0].header("authorization").unwrap();
    assert!(authorization.contains("SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target,"));
    assert_eq!(seen[1].connection, 0, "the connection is kept");
}

#[tokio::test]
async fn a_null_in_an_answer_is_as_good_as_nothing() {
    let server = Server::script(vec![reply("200 OK", "", r#"{"endpoint":null}"#)]).await;
    assert_eq!(call(&client(&server.url)).await.unwrap().endpoint, "");
}

#[tokio::test]
async fn an_empty_answer_is_an_empty_object_and_a_base_path_is_kept() {
    let server = Server::script(vec![reply("200 OK", "", "")]).await;
    assert_eq!(call(&client(&format!("{}/base", server.url))).await.unwrap().endpoint, "");
    assert_eq!(server.seen()[0].line(), "POST /base/ HTTP/1.1");
}

#[tokio::test]
async fn service_errors_are_read_in_all_their_forms() {
    #[rustfmt::skip]
    let table = [
        // status, headers, body, code, message, request id, throttling, retryable
        ("400 Bad Request", "x-amzn-RequestId: r-1\r\n", r#"{"__type":"com.amazonaws.ecs#ClientException","message":"no"}"#, "ClientException", "no", Some("r-1"), false, false),
        ("400 Bad Request", "", r#"{"__type":"InvalidParameterException","Message":"bad"}"#, "InvalidParameterException", "bad", None, false, false),
        ("400 Bad Request", "X-Amzn-ErrorType: ThrottlingException:http://x/y\r\n", "{}", "ThrottlingException", "", None, true, true),
        ("400 Bad Request", "", r#"{"__type":"LimitExceededException"}"#, "LimitExceededException", "", None, true, true),
        ("400 Bad Request", "", r#"{"code":"RequestTimeoutException","message":"slow"}"#, "RequestTimeoutException", "slow", None, false, true),
        ("500 Internal Server Error", "", r#"{"__type":"ServerException","message":"oops"}"#, "ServerException", "oops", None, false, true),
        ("503 Service Unavailable", "", "<html>", "UnknownError", "", None, false, true),
        ("429 Too Many Requests", "", "", "UnknownError", "", None, false, false),
        ("501 Not Implemented", "", r#"["__type"]"#, "UnknownError", "", None, false, false),
    ];
    for (status, headers, body, code, message, request, throttling, retryable) in table {
        let server = Server::script(vec![reply(status, headers, body)]).await;
        let error = call(&client(&server.url)).await.unwrap_err();
        assert_eq!(error.code(), Some(code), "{body}");
        assert_eq!(error.message(), message);
        assert_eq!(error.request_id(), request);
        assert_eq!(error.status().unwrap().to_string(), status[..3]);
        assert_eq!((error.is_throttling(), error.is_retryable()), (throttling, retryable), "{body}");
        assert!(!error.is_timeout());
        assert_eq!(server.seen().len(), 1, "one attempt");
    }
}

#[tokio::test]
async fn an_error_reads_as_one_line() {
    let body = r#"{"__type":"a#ClientException","message":"no"}"#;
    let server = Server::script(vec![reply("400 Bad Request", "x-amzn-requestid: r\r\n", body)]).await;
    let text = call(&client(&server.url)).await.unwrap_err().to_string();
    assert_eq!(text, "ECS DiscoverPollEndpoint: ClientException: no (HTTP 400, request r)");
}

#[tokio::test]
async fn a_stalled_service_ends_at_the_deadline() {
    let server = Server::script(vec![Answer::Stall]).await;
    let client = client(&server.url);
    let outcome = client.call::<_, Output>("X", &json!({}), Duration::from_millis(60)).await;
    let error = outcome.unwrap_err();
    assert!(matches!(error.kind, CallErrorKind::Timeout { .. }), "{error}");
    assert!(error.is_timeout() && error.is_retryable() && error.code().is_none());
}

#[tokio::test]
async fn a_body_that_stops_half_way_is_an_exchange_failure() {
    let server = Server::script(vec![Answer::Raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"end")]).await;
    let error = call(&client(&server.url)).await.unwrap_err();
    assert!(matches!(error.kind, CallErrorKind::Exchange { .. }), "{error}");
}

#[tokio::test]
async fn cut_and_garbled_connections_are_exchange_failures() {
    for answer in [Answer::Cut, Answer::Raw("SSH-2.0-x\r\n\r\n")] {
        let server = Server::script(vec![answer]).await;
        let error = call(&client(&server.url)).await.unwrap_err();
        assert!(matches!(error.kind, CallErrorKind::Exchange { .. }), "{error}");
        assert!(error.is_retryable() && !error.is_timeout());
        assert_eq!(server.seen().len(), 1, "one attempt");
    }
}

#[tokio::test]
async fn junk_in_a_success_is_not_retried() {
    let server = Server::script(vec![reply("200 OK", "x-amzn-requestid: r\r\n", "<html>")]).await;
    let error = call(&client(&server.url)).await.unwrap_err();
    assert!(matches!(error.kind, CallErrorKind::Decode { .. }), "{error}");
    assert!(!error.is_retryable());
    assert_eq!(error.request_id(), Some("r"));
}

#[tokio::test]
async fn refused_connections_are_retryable_and_unknown_names_are_not() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = call(&client(&url)).await.unwrap_err();
    assert!(matches!(error.kind, CallErrorKind::Connect(ConnectError::Dial { .. })), "{error}");
    assert!(error.is_retryable());
    let missing = ConnectError::NoSuchHost { host: "h".to_owned() };
    let error = CallError { service: "ECS", operation: "X".to_owned(), kind: CallErrorKind::Connect(missing) };
    assert!(!error.is_retryable());
}
