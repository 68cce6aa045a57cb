#![allow(clippy::unwrap_used, clippy::expect_used)]

use bytes::Bytes;
use http::Request;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::http::HttpClient;
use crate::testing::{Answer, Server, fixture, read_request, tls_acceptor, vars};

fn through(proxy: &str) -> Connector {
    let proxies = Proxies::from_vars(&vars(&[("HTTP_PROXY", proxy)]));
    Connector::new(ConnectorOptions { proxies, ..ConnectorOptions::default() })
}

/// A TLS server that greets with `hello`; its port.
async fn tls_server() -> u16 {
    let acceptor = tls_acceptor();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let _ = stream.write_all(b"hello").await;
                let _ = stream.shutdown().await;
            }
        }
    });
    port
}

async fn greeting(connector: &Connector, url: &str) -> Result<String, ConnectError> {
    let mut stream = connector.connect(&url.parse().unwrap()).await?;
    assert!(stream.is_tls());
    let mut text = [0; 5];
    stream.read_exact(&mut text).await.unwrap();
    Ok(String::from_utf8(text.to_vec()).unwrap())
}

#[tokio::test]
async fn tls_trusts_the_bundle_and_nothing_else_unless_told_to_accept_all() {
    let port = tls_server().await;
    let url = format!("wss://localhost:{port}/ws");
    let bundle = ConnectorOptions { ca_bundle: Some(fixture("ca.pem")), ..ConnectorOptions::default() };
    assert_eq!(greeting(&Connector::new(bundle), &url).await.unwrap(), "hello");

    let other = ConnectorOptions { ca_bundle: Some(fixture("other-ca.pem")), ..ConnectorOptions::default() };
    let refused = greeting(&Connector::new(other), &url).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Tls { .. }), "{refused}");

    let any = ConnectorOptions { verify_tls: false, ..ConnectorOptions::default() };
    assert_eq!(greeting(&Connector::new(any), &url).await.unwrap(), "hello");

    let none = ConnectorOptions { ca_bundle: Some(fixture("server.key")), ..ConnectorOptions::default() };
    let refused = greeting(&Connector::new(none), &url).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Roots { .. }), "{refused}");
}

#[tokio::test]
async fn a_server_that_never_shakes_hands_is_a_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options =
        ConnectorOptions { verify_tls: false, handshake: Duration::from_millis(60), ..ConnectorOptions::default() };
    let uri = format!("https://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let error = Connector::new(options).connect(&uri).await.unwrap_err();
    assert!(error.is_timeout() && error.is_retryable(), "{error}");
}

/// A proxy that answers `CONNECT` with `answer` and then speaks as the target itself.
async fn fake_proxy(answer: &'static str) -> (u16, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let handle = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let seen = read_request(&mut stream, 0).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        seen.head
    });
    (port, handle)
}

#[tokio::test]
async fn websockets_tunnel_through_the_proxy() {
    let (port, proxy) = fake_proxy("HTTP/1.1 200 Connection established\r\nx: y\r\n\r\n").await;
    let connector = through(&format!("http://me:pw@127.0.0.1:{port}"));
    let mut stream = connector.connect(&"ws://acs.example/ws".parse().unwrap()).await.unwrap();
    let mut text = [0; 5];
    stream.read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"hello", "what follows the answer belongs to the tunnel");
    assert_eq!(
        proxy.await.unwrap(),
        "CONNECT acs.example:80 HTTP/1.1\r\nHost: acs.example:80\r\n\
         Proxy-Authorization: Basic bWU6cHc=\r\n\r\n"
    );
}

#[tokio::test]
async fn a_refusing_proxy_is_named() {
    for (answer, reason) in [
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407 Proxy Authentication Required"),
        ("NONSENSE\r\n\r\n", "answer to CONNECT is not HTTP"),
    ] {
        let (port, _proxy) = fake_proxy(answer).await;
        let connector = through(&format!("127.0.0.1:{port}"));
        let error = connector.connect(&"https://h.example/".parse().unwrap()).await.unwrap_err();
        assert_eq!(error.to_string(), format!("proxy 127.0.0.1:{port}: {reason}"));
    }
}

#[tokio::test]
async fn tls_goes_through_a_tunnel_to_the_real_host() {
    let target = tls_server().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let relay = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let seen = read_request(&mut stream, 0).await.unwrap();
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n").await.unwrap();
        let mut server = TcpStream::connect(("127.0.0.1", target)).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
        seen.line().to_owned()
    });
    let proxies = Proxies::from_vars(&vars(&[("HTTPS_PROXY", &format!("127.0.0.1:{port}"))]));
    let options = ConnectorOptions { proxies, verify_tls: false, ..ConnectorOptions::default() };
    let mut stream = Connector::new(options).connect(&"https://far.example/".parse().unwrap()).await.unwrap();
    let mut text = [0; 5];
    stream.read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"hello");
    drop(stream);
    assert_eq!(relay.await.unwrap(), "CONNECT far.example:443 HTTP/1.1");
}

#[tokio::test]
async fn plain_http_is_forwarded_with_an_absolute_target() {
    let proxy = Server::script(vec![Answer::Reply("200 OK", "", "ok".to_owned())]).await;
    let client = HttpClient::new(through(&format!("http://me:pw@127.0.0.1:{}", proxy.port)));
    let request = Request::get("http://far.example/path?q").body(Bytes::new()).unwrap();
    let response = client.send(request, 100).await.unwrap();
    assert_eq!(response.body().as_ref(), b"ok");
    let seen = &proxy.seen()[0];
    assert_eq!(seen.line(), "GET http://far.example/path?q HTTP/1.1");
    assert_eq!(seen.header("host"), Some("far.example"));
    assert_eq!(seen.header("proxy-authorization"), Some("Basic bWU6cHc="));
}

#[tokio::test]
async fn socks5_asks_for_the_name() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let proxy = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut hello = [0; 3];
        stream.read_exact(&mut hello).await.unwrap();
        assert_eq!(hello, [5, 1, 0]);
        stream.write_all(&[5, 0]).await.unwrap();
        let mut request = [0; 5 + 9 + 2];
        stream.read_exact(&mut request).await.unwrap();
        stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        request.to_vec()
    });
    let connector = through(&format!("socks5://127.0.0.1:{port}"));
    let mut stream = connector.connect(&"http://a.example:81/".parse().unwrap()).await.unwrap();
    let mut text = [0; 5];
    stream.read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"hello");
    assert_eq!(proxy.await.unwrap(), b"\x05\x01\x00\x03\x09a.example\x00\x51");
}

#[tokio::test]
async fn a_long_answer_is_cut_off() {
    let server = Server::script(vec![Answer::Reply("200 OK", "", "x".repeat(101))]).await;
    let client = HttpClient::new(Connector::new(ConnectorOptions::default()));
    let request = Request::get(&server.url).body(Bytes::new()).unwrap();
    let error = client.send(request, 100).await.unwrap_err();
    assert_eq!(error.to_string(), "answer is longer than 100 bytes");
}

#[tokio::test]
async fn odd_addresses_are_refused() {
    let connector = Connector::new(ConnectorOptions::default());
    for address in ["ftp://h/", "/path", "h:1"] {
        let error = connector.connect(&address.parse().unwrap()).await.unwrap_err();
        assert!(matches!(error, ConnectError::Address { .. }), "{address}: {error}");
    }
}

#[test]
fn a_name_that_does_not_exist_is_told_from_a_resolver_in_trouble() {
    let classify = |text: &str| {
        let error = io::Error::other(format!("failed to lookup address information: {text}"));
        classify_dial("h".to_owned(), "h:80".to_owned(), &error)
    };
    let missing = classify("Name or service not known");
    assert!(matches!(missing, ConnectError::NoSuchHost { .. }) && !missing.is_retryable());
    let trouble = classify("Temporary failure in name resolution");
    assert!(matches!(trouble, ConnectError::Dial { .. }) && trouble.is_retryable());
    let slow = classify_dial("h".to_owned(), "h:80".to_owned(), &io::Error::from(io::ErrorKind::TimedOut));
    assert!(slow.is_timeout());
}
