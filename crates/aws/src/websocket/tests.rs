#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::{Arc, Mutex};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

use super::*;
use crate::connect::ConnectorOptions;
use crate::credentials::Credentials;
use crate::testing::{Answer, Server, read_request};

fn signing() -> HandshakeSigning {
    let credentials = Credentials::new("AK", "sk", Some("tok".to_owned())).into();
    HandshakeSigning { credentials, region: "us-west-2".to_owned() }
}

async fn open(url: &str) -> Result<WebSocket, HandshakeError> {
    let connector = Connector::new(ConnectorOptions::default());
    open_websocket(&connector, url, &signing(), Duration::from_secs(10)).await
}

#[tokio::test]
async fn a_session_opens_signed_and_carries_messages() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heads = Arc::new(Mutex::new(None));
    let log = Arc::clone(&heads);
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        #[allow(clippy::result_large_err)]
        let note = move |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
            *log.lock().unwrap() = Some((request.uri().to_string(), request.headers().clone()));
            Ok(response)
        };
        let mut socket = tokio_tungstenite::accept_hdr_async(stream, note).await.unwrap();
        // At once, so that it may arrive together with the answer to the handshake.
        socket.send(Message::text("first")).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() {
                socket.send(message).await.unwrap();
            }
        }
    });
    let url = format!("ws://{address}/ws?clusterArn=my+cluster&seqNum=1");
    let mut socket = open(&url).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("first"));
    socket.send(Message::text("echo")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("echo"));
    assert_eq!(socket.get_config().max_message_size, Some(MAX_MESSAGE));

    let (uri, headers) = heads.lock().unwrap().take().unwrap();
    assert!(url.ends_with(&uri) && uri.starts_with("/ws?"), "{uri}");
    assert_eq!(headers["host"], address.to_string());
    assert_eq!(headers["x-amz-security-token"], "tok");
    assert!(!headers.contains_key("x-amz-content-sha256"));
    let authorization = headers["authorization"].to_str().unwrap();
    assert!(authorization.contains("/us-west-2/ecs/aws4_request, SignedHeaders=host;x-amz-date;x-amz-security-token,"));
}

#[tokio::test]
async fn a_refusal_keeps_the_body_that_comes_late() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let body = r#"{"type":"InactiveInstanceException","message":{"message":"gone"}}"#;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        read_request(&mut stream, 0).await.unwrap();
        let head = format!("HTTP/1.1 400 Bad Request\r\ncontent-length: {}\r\n\r\n", body.len());
        for part in [head.as_str(), &body[..10], &body[10..]] {
            stream.write_all(part.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    let error = open(&format!("ws://{address}/ws?a=b")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("websocket client: unable to dial {address} response: {body}: websocket: bad handshake")
    );
    assert!(matches!(error, HandshakeError::Refused { status: 400, .. }));
}

#[tokio::test]
async fn a_long_refusal_is_cut() {
    let server = Server::script(vec![Answer::Reply("403 Forbidden", "", "x".repeat(5000))]).await;
    match open(&format!("ws://127.0.0.1:{}/ws", server.port)).await.unwrap_err() {
        HandshakeError::Refused { status, body, .. } => assert_eq!((status, body.len()), (403, MAX_REFUSAL)),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn answers_that_are_no_websocket_are_errors() {
    const UPGRADE: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-accept: wrong\r\n\r\n";
    for answer in [Answer::Raw(UPGRADE), Answer::Raw("nonsense\r\n\r\n"), Answer::Cut] {
        let server = Server::script(vec![answer]).await;
        let error = open(&format!("ws://127.0.0.1:{}/ws", server.port)).await.unwrap_err();
        assert!(matches!(error, HandshakeError::Protocol { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_stalled_handshake_ends_at_the_deadline() {
    let server = Server::script(vec![Answer::Stall]).await;
    let connector = Connector::new(ConnectorOptions::default());
    let url = format!("ws://127.0.0.1:{}/ws", server.port);
    let error = open_websocket(&connector, &url, &signing(), Duration::from_millis(60)).await.unwrap_err();
    assert!(matches!(error, HandshakeError::Timeout { .. }), "{error}");
}
