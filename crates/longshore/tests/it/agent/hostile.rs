//! Containers that mean harm, or are badly written: the task server answers rightly.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use lab::Bench;
use lab::payload::fast_stop;
use serde_json::{Value, json};

use crate::support::{bench, environment};

const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 51679);

/// No good client waits longer; each answer takes far less than a hundredth of it.
const PATIENCE: Duration = Duration::from_secs(5);

/// One answer.
#[derive(Debug)]
struct Reply {
    status: u16,
    body: String,
}

/// Sends bytes and reads until the other end closes.
fn exchange(request: &[u8]) -> Result<Reply> {
    let mut stream = TcpStream::connect_timeout(&SERVER, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // A server that has read enough may close before all is sent; its answer counts.
    let sent = stream.write_all(request);
    let mut text = Vec::new();
    let read = stream.read_to_end(&mut text);
    if text.is_empty() {
        sent.and(read.map(drop))?;
        bail!("closed without an answer");
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok(Reply { status: status.with_context(|| head.to_owned())?, body: body.to_owned() })
}

fn ask(method: &str, path: &str) -> Result<Reply> {
    exchange(format!("{method} {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").as_bytes())
}

/// A task with keys, and the paths that its container was given.
struct Good {
    task: Value,
    metadata: String,
    credentials: String,
}

impl Good {
    fn start(bench: &Bench) -> Result<Self> {
        let keys = json!({
            "credentialsId": "0a1b2c3d-1111-4000-8000-1234567890ab", "accessKeyId": "AKIAGOOD", "secretAccessKey": "s",
            "sessionToken": "t", "roleArn": "arn:aws:iam::123456789012:role/app", "expiration": "2099-01-01T00:00:00Z",
        });
        let container = bench.container("main", json!({ "config": fast_stop() }));
        let task = bench.run_with(&[container], json!({ "roleCredentials": keys }))?;
        bench.until(&task, "RUNNING")?;
        let given = environment(&bench.inspect(&task, "main")?);
        let metadata = given["ECS_CONTAINER_METADATA_URI_V4"].replacen("http://169.254.170.2", "", 1);
        Ok(Self { task, metadata, credentials: given["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"].clone() })
    }

    /// What a container needs is there, and right.
    fn is_served(&self) -> Result<()> {
        let keys = ask("GET", &self.credentials)?;
        assert_eq!(keys.status, 200, "{keys:?}");
        assert!(keys.body.contains("AKIAGOOD"), "{keys:?}");
        let document = ask("GET", &format!("{}/task", self.metadata))?;
        assert_eq!(document.status, 200, "{document:?}");
        assert!(document.body.contains(self.task["arn"].as_str().unwrap_or("?")), "{document:?}");
        Ok(())
    }
}

#[test]
fn wrong_requests_have_right_answers() -> Result<()> {
    let bench = bench(&[])?;
    let good = Good::start(&bench)?;
    let id = "00000000-0000-4000-8000-000000000000";
    for (method, path, status) in [
        ("GET", format!("/v2/credentials/{id}"), 400),
        ("GET", "/v2/credentials/".to_owned(), 400),
        ("GET", "/v1/credentials".to_owned(), 400),
        ("GET", format!("/v4/{id}"), 404),
        ("GET", format!("/v4/{id}/task"), 404),
        ("GET", format!("/v3/{id}/stats"), 400),
        ("GET", "/".to_owned(), 404),
        ("GET", "/v5/x".to_owned(), 404),
        ("GET", "/v4/%zz".to_owned(), 400),
        ("GET", "/v4/../../etc/passwd".to_owned(), 301),
        ("POST", format!("/api/{id}/task-protection/v1/state"), 405),
        ("DELETE", format!("/api/{id}/fault/v1/network-latency/start"), 405),
        ("GET", format!("/api/{id}/fault/v1/network-latency/start"), 405),
        ("POST", format!("/api/{id}/fault/v1/network-latency/start"), 400),
    ] {
        let reply = ask(method, &path)?;
        assert_eq!(reply.status, status, "{method} {path}: {reply:?}");
    }
    // The routes of documents take any method, as the reference's do.
    for method in ["POST", "PUT", "DELETE", "BREW"] {
        assert_eq!(ask(method, &good.metadata)?.status, 200, "{method}");
    }
    for garbage in
        ["\r\n\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\u{0}\u{1}\u{2}\r\n\r\n", "GET /\u{7f} X\r\n\r\n"]
    {
        if let Ok(reply) = exchange(garbage.as_bytes()) {
            assert_eq!(reply.status, 400, "{garbage:?}: {reply:?}");
        }
    }
    good.is_served()?;
    bench.stop_and_wait(&good.task)?;
    Ok(())
}
