//! The signatures were computed by an independent implementation of the published algorithm.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use expect_test::expect;

use super::*;
use crate::websocket::handshake_headers;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const QUERY: &str = "agentHash=abc123&agentVersion=1.105.1&clusterArn=default&containerInstanceArn=arn%3Aaws%3Aecs%3Aus-west-2%3A1%3Acontainer-instance%2Fx&dockerVersion=DockerVersion%3A+24.0.7&protocolVersion=2&sendCredentials=true&seqNum=1";

fn now() -> Timestamp {
    "2025-06-01T12:00:00Z".parse().unwrap()
}

fn keys(token: Option<&str>) -> Credentials {
    Credentials::new("AKIDEXAMPLE", SECRET, token.map(str::to_owned))
}

fn lines(mut headers: Vec<(String, String)>) -> String {
    headers.sort();
    headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
}

#[test]
fn a_handshake_signs_only_host_date_and_token() {
    let url = format!("wss://ecs-a-1.us-west-2.amazonaws.com:8443/ws?{QUERY}");
    let headers = handshake_headers(&url, &keys(Some("tok/en==")), "us-west-2", now()).unwrap();
    expect![[r#"
        authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20250601/us-west-2/ecs/aws4_request, SignedHeaders=host;x-amz-date;x-amz-security-token, Signature=412137a2a44cbb57db59b2788d6df7c919c6c9e13c7a325d334fae3181d0fedb
        x-amz-date: 20250601T120000Z
        x-amz-security-token: tok/en==
    "#]].assert_eq(&lines(headers));
}

#[test]
fn a_handshake_signs_the_authority_as_it_stands() {
    let url = format!("wss://ecs-a-1.us-west-2.amazonaws.com:443/ws?{QUERY}");
    let headers = handshake_headers(&url, &keys(None), "us-west-2", now()).unwrap();
    expect![[r#"
        authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20250601/us-west-2/ecs/aws4_request, SignedHeaders=host;x-amz-date, Signature=dd5b34bc7f4ef1ff0918d67751f2afc33cb0ea0b2e3918f7872a82df4a8ef440
        x-amz-date: 20250601T120000Z
    "#]].assert_eq(&lines(headers));
}

#[test]
fn a_call_signs_type_and_target() {
    let keys = keys(None);
    let signing = Signing { credentials: &keys, region: "us-west-2", service: "ecs", now: now() };
    let signed = [
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-target", "AmazonEC2ContainerServiceV20141113.DiscoverPollEndpoint"),
    ];
    let body = br#"{"cluster":"default"}"#;
    let url = "https://ecs.us-west-2.amazonaws.com/";
    expect![[r#"
        authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20250601/us-west-2/ecs/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=54f317321c755e3772737ca8acb284f13000e47afd97eb586b73599cde469e88
        x-amz-date: 20250601T120000Z
    "#]].assert_eq(&lines(signing.headers("POST", url, &signed, body).unwrap()));
}

#[test]
fn queries_are_sorted_and_plus_is_a_space() {
    let keys = keys(None);
    let signing = Signing { credentials: &keys, region: "us-west-2", service: "ecs", now: now() };
    let headers = signing.headers("GET", "http://h.example:80/p?b=2&a=x+y&a=%7E%2F", &[], b"").unwrap();
    let authorization = &headers.iter().find(|(name, _)| name == "authorization").unwrap().1;
    assert!(
        authorization.ends_with("acffb20d7f6e50d58a750d74e12916eccd327acbbd0efbc53a4146d1731e2886"),
        "{authorization}"
    );
}

const TCS_QUERY: &str =
    "agentHash=abc123&agentVersion=1.105.1&cluster=my+cluster&containerInstance=arn%3Ax&dockerVersion=24.0.7";
const BODY: &str = r#"{"type":"PublishMetricsRequest","message":{"a":1}}"#;

#[test]
fn a_frame_has_sorted_header_lines_before_the_body() {
    let url = format!("https://ecs-t-1.us-west-2.amazonaws.com:443/ws?{TCS_QUERY}");
    let frame = sign_frame(&url, BODY, &keys(Some("tok/en==")), "us-west-2", now()).unwrap();
    assert_eq!(
        frame,
        "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20250601/us-west-2/ecs/aws4_request, \
         SignedHeaders=host;x-amz-date;x-amz-security-token, \
         Signature=55a95e53b0b4238ded4fe08a1c7754c2514f9fa1da1ff01b52e12b479a783f4b\r\n\
         Host: ecs-t-1.us-west-2.amazonaws.com\r\n\
         X-Amz-Date: 20250601T120000Z\r\n\
         X-Amz-Security-Token: tok/en==\r\n\r\n\
         {\"type\":\"PublishMetricsRequest\",\"message\":{\"a\":1}}"
    );
    let websocket = url.replacen("https", "wss", 1);
    assert_eq!(sign_frame(&websocket, BODY, &keys(Some("tok/en==")), "us-west-2", now()).unwrap(), frame);
}

#[test]
fn a_frame_keeps_another_port() {
    let url = format!("http://127.0.0.1:9999/ws?{TCS_QUERY}");
    let frame = sign_frame(&url, BODY, &keys(None), "us-west-2", now()).unwrap();
    assert!(
        frame.contains("Signature=dc99607779d03d46aaccd58b0db92d06639496e883a9ed995b095819fd127076\r\n"),
        "{frame}"
    );
    assert!(frame.contains("\r\nHost: 127.0.0.1:9999\r\nX-Amz-Date: 20250601T120000Z\r\n\r\n{"), "{frame}");
}

#[test]
fn what_cannot_be_signed_is_an_error() {
    let keys = keys(None);
    for url in ["", "no url", "/path/only", "http://"] {
        assert!(sign_frame(url, "", &keys, "r", now()).is_err(), "{url}");
    }
    let signing = Signing { credentials: &keys, region: "r", service: "ecs", now: now() };
    assert!(signing.headers("GET", "http://h/", &[("x", "a\nb")], b"").is_err());
}
