//! Clients that mean harm, or act as if.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::world::{World, endpoint_of, send, task};

#[tokio::test]
async fn a_head_of_a_mebibyte_is_refused() {
    let world = World::of(&[]).await;
    let mut stream = TcpStream::connect(world.tasks).await.unwrap();
    let head = format!("GET /v4/x HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "a".repeat(1 << 20));
    // The other end may hang up before all is sent.
    let _ = stream.write_all(head.as_bytes()).await;
    let mut text = vec![0; 64];
    let length = stream.read(&mut text).await.unwrap_or(0);
    let text = String::from_utf8_lossy(&text[..length]);
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 431"), "{text}");
    assert_eq!(world.get("/v4/x").await.status, 404, "others go on");
}

#[tokio::test]
async fn a_request_that_is_never_finished_is_given_up() {
    let world = World::of(&[]).await;
    let began = Instant::now();
    let mut stream = TcpStream::connect(world.tasks).await.unwrap();
    stream.write_all(b"GET /v4/x HTTP/1.1\r\nHost:").await.unwrap();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(15), stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "still open after {:?}", began.elapsed());
}

#[tokio::test]
async fn a_body_that_never_comes_is_taken_as_none() {
    let world = World::of(&[]).await;
    let request =
        "PUT /api/x/task-protection/v1/state HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 9\r\n\r\n{";
    let reply = send(world.tasks, request).await;
    assert_eq!(reply.status, 400, "{reply:?}");
}

#[tokio::test]
async fn ten_thousand_paths_are_each_answered() {
    let task = task(json!({}), json!({}), json!({}));
    let world = World::of(std::slice::from_ref(&task)).await;
    let mut stream = TcpStream::connect(world.tasks).await.unwrap();
    let (mut read, mut write) = stream.split();
    let ask = async {
        for number in 0..10_000 {
            let request = format!("GET /v4/{number}/task HTTP/1.1\r\nHost: x\r\n\r\n");
            write.write_all(request.as_bytes()).await.unwrap();
        }
    };
    let hear = async {
        let (mut text, mut found, mut buffer) = (Vec::new(), 0, vec![0; 1 << 16]);
        while found < 10_000 {
            let length = read.read(&mut buffer).await.unwrap();
            assert!(length > 0, "closed after {found}");
            text.extend_from_slice(&buffer[..length]);
            const MARK: &[u8] = b"HTTP/1.1 404 Not Found";
            while let Some(at) = text.windows(MARK.len()).position(|window| window == MARK) {
                found += 1;
                text.drain(..at + MARK.len());
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), async { tokio::join!(ask, hear) }).await.expect("answers");
    assert_eq!(world.get(&format!("/v4/{}", endpoint_of(&task))).await.status, 200);
}
