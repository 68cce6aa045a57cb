#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::*;
use crate::connect::{Connector, ConnectorOptions};
use crate::testing::{Answer, Seen, Server, read_request, tls_acceptor, vars};

fn options(external: bool, imds: Imds, dir: &Path) -> ChainOptions {
    ChainOptions {
        external,
        region: Some("us-west-2".to_owned()),
        http: HttpClient::new(Connector::new(ConnectorOptions::default())),
        imds,
        rotating_file: dir.join("rotating"),
    }
}

fn keys_file(id: &str) -> String {
    format!(
        "[default]\naws_access_key_id={id}\naws_secret_access_key=s\n[alt]\naws_access_key_id={id}-alt\naws_secret_access_key=s\n"
    )
}

fn role_service(seen: &Seen) -> Answer {
    let body = if seen.line().contains("security-credentials/r") {
        r#"{"Code":"Success","AccessKeyId":"role","SecretAccessKey":"s","Token":"t","Expiration":"2999-01-01T00:00:00Z"}"#
    } else {
        "r"
    };
    Answer::Reply("200 OK", "", body.to_owned())
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn the_two_orders() {
    let order = |external| {
        CredentialsChain::new(options(external, Imds::blackholed(), Path::new("/none")), &|_| None).order().join(" ")
    };
    assert_eq!(
        order(false),
        "EnvironmentVariables WebIdentityToken SharedConfig ContainerEndpoint EC2RoleProvider RotatingSharedCredentialsProvider"
    );
    assert_eq!(order(true), "EnvironmentVariables RotatingSharedCredentialsProvider SharedConfig EC2RoleProvider");
}

#[tokio::test]
async fn the_first_source_with_keys_wins() {
    let server = Server::start(role_service).await;
    let endpoint = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url.as_str())];
    #[rustfmt::skip]
    let table = [
        // external, environment, rotating, shared, role
        (false, true, true, true, true, Some("env")),
        (false, false, true, true, true, Some("shared")),
        (false, false, true, false, true, Some("role")),
        (false, false, true, false, false, Some("rotating")),
        (true, true, true, true, true, Some("env")),
        (true, false, true, true, true, Some("rotating")),
        (true, false, false, true, true, Some("shared")),
        (true, false, false, false, true, Some("role")),
        (true, false, false, false, false, None),
    ];
    for (external, environment, rotating, shared, role, expected) in table {
        let dir = tempfile::tempdir().unwrap();
        let shared_path = dir.path().join("shared");
        let shared_path = shared_path.to_str().unwrap();
        let missing = dir.path().join("missing");
        let mut names =
            vec![("AWS_SHARED_CREDENTIALS_FILE", shared_path), ("AWS_CONFIG_FILE", missing.to_str().unwrap())];
        if environment {
            names.extend([("AWS_ACCESS_KEY", "env"), ("AWS_SECRET_KEY", "s")]);
        }
        if rotating {
            std::fs::write(dir.path().join("rotating"), keys_file("rotating")).unwrap();
        }
        if shared {
            std::fs::write(shared_path, keys_file("shared")).unwrap();
        }
        let imds = if role { Imds::from_vars(&vars(&endpoint)) } else { Imds::blackholed() };
        let chain = CredentialsChain::new(options(external, imds, dir.path()), &vars(&names));
        let found = chain.credentials().await.ok().map(|c| c.access_key_id);
        assert_eq!(found.as_deref(), expected, "{external} {environment} {rotating} {shared} {role}");
    }
}

#[tokio::test]
async fn a_failure_names_every_source() {
    let missing = [("AWS_SHARED_CREDENTIALS_FILE", "/none/a"), ("AWS_CONFIG_FILE", "/none/b")];
    let chain = CredentialsChain::new(options(true, Imds::blackholed(), Path::new("/none")), &vars(&missing));
    let text = chain.credentials().await.unwrap_err().to_string();
    assert_eq!(
        text,
        "no credentials found: EnvironmentVariables: not set; \
         RotatingSharedCredentialsProvider: /none/rotating: No such file or directory (os error 2); \
         SharedConfig: no shared files; EC2RoleProvider: blackholed"
    );
}

#[tokio::test]
async fn profiles_are_chosen_by_their_variables() {
    let dir = tempfile::tempdir().unwrap();
    let shared = dir.path().join("shared");
    std::fs::write(&shared, keys_file("shared")).unwrap();
    let names = [
        ("AWS_SHARED_CREDENTIALS_FILE", shared.to_str().unwrap()),
        ("AWS_CONFIG_FILE", "/none"),
        ("AWS_PROFILE", "alt"),
        ("ECS_ALTERNATE_CREDENTIAL_PROFILE", "alt"),
    ];
    let chain = CredentialsChain::new(options(true, Imds::blackholed(), dir.path()), &vars(&names));
    assert_eq!(chain.credentials().await.unwrap().access_key_id, "shared-alt");
    std::fs::write(dir.path().join("rotating"), keys_file("rotating")).unwrap();
    let chain = CredentialsChain::new(options(true, Imds::blackholed(), dir.path()), &vars(&names));
    assert_eq!(chain.credentials().await.unwrap().access_key_id, "rotating-alt");
}

#[tokio::test]
async fn the_rotating_file_is_read_again_after_a_minute() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rotating");
    std::fs::write(&file, keys_file("one")).unwrap();
    let none = [("AWS_SHARED_CREDENTIALS_FILE", "/none/a"), ("AWS_CONFIG_FILE", "/none/b")];
    let chain = CredentialsChain::new(options(true, Imds::blackholed(), dir.path()), &vars(&none));
    let id = async |time: &str| chain.credentials_at(at(time)).await.map(|c| c.access_key_id).ok();
    assert_eq!(id("2025-01-01T00:00:00Z").await.as_deref(), Some("one"));
    assert_eq!(chain.source(), Some("RotatingSharedCredentialsProvider"));
    std::fs::write(&file, keys_file("two")).unwrap();
    assert_eq!(id("2025-01-01T00:00:30Z").await.as_deref(), Some("one"));
    assert_eq!(id("2025-01-01T00:01:00Z").await.as_deref(), Some("two"));
    std::fs::remove_file(&file).unwrap();
    assert_eq!(id("2025-01-01T00:01:58Z").await.as_deref(), Some("two"), "still valid, refresh failed");
    assert_eq!(id("2025-01-01T00:02:00Z").await, None, "expired");
}

#[tokio::test]
async fn nothing_secret_is_printed() {
    let names = [("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "hush"), ("AWS_SESSION_TOKEN", "mum")];
    let chain = CredentialsChain::new(options(false, Imds::blackholed(), Path::new("/none")), &vars(&names));
    let found = chain.credentials().await.unwrap();
    assert_eq!(found.session_token.as_ref().unwrap().expose(), "mum");
    let text = format!("{chain:?} {found:?} {:?}", CredentialsSource::from(found.clone()));
    assert!(text.contains("AKID") && !text.contains("hush") && !text.contains("mum"), "{text}");
}

#[test]
fn a_refresh_comes_before_the_end() {
    let now = at("2025-01-01T00:00:00Z");
    let refresh = |expires: &str| refresh_time(now, at(expires)).to_string();
    assert_eq!(refresh("2025-01-01T00:01:00Z"), "2025-01-01T00:00:54Z");
    assert_eq!(refresh("2025-01-01T06:00:00Z"), "2025-01-01T05:55:00Z");
    assert_eq!(refresh("2024-01-01T00:00:00Z"), "2024-01-01T00:00:00Z");
}

const ASSUMED: &str = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
    <AssumedRoleUser><AssumedRoleId>i</AssumedRoleId><Arn>arn:aws:sts::1:assumed-role/r/s</Arn></AssumedRoleUser>\
    <Credentials><AccessKeyId>assumed</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
    <Expiration>2999-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>";

#[tokio::test]
async fn a_role_is_assumed_through_our_own_proxy_and_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = listener.local_addr().unwrap().to_string();
    let service = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let connect = read_request(&mut stream, 0).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut stream = tls_acceptor().accept(stream).await.unwrap();
        let request = read_request(&mut stream, 0).await.unwrap();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{ASSUMED}", ASSUMED.len());
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        (connect.line().to_owned(), request)
    });
    let dir = tempfile::tempdir().unwrap();
    let shared = dir.path().join("shared");
    let role = "[other]\nrole_arn=arn:aws:iam::1:role/r\nsource_profile=default\n";
    std::fs::write(&shared, keys_file("base") + role).unwrap();
    let names = [
        ("AWS_SHARED_CREDENTIALS_FILE", shared.to_str().unwrap()),
        ("AWS_CONFIG_FILE", "/none"),
        ("AWS_PROFILE", "other"),
    ];
    let proxies = crate::Proxies::from_vars(&vars(&[("HTTPS_PROXY", &proxy)]));
    let connector = ConnectorOptions { proxies, verify_tls: false, ..ConnectorOptions::default() };
    let mut options = options(false, Imds::blackholed(), dir.path());
    options.http = HttpClient::new(Connector::new(connector));
    let chain = CredentialsChain::new(options, &vars(&names));
    let found = chain.credentials().await.unwrap();
    assert_eq!(found.access_key_id, "assumed");
    assert_eq!(found.expires, Some(at("2999-01-01T00:00:00Z")));
    let (connect, request) = service.await.unwrap();
    assert_eq!(connect, "CONNECT sts.us-west-2.amazonaws.com:443 HTTP/1.1");
    assert!(request.body.contains("Action=AssumeRole"), "{}", request.body);
}
