//! Containers that mean harm, or are badly written: the task server answers rightly, other containers notice nothing,
//! and the agent's memory stays bounded.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use lab::Bench;
use lab::payload::fast_stop;
use serde_json::{Value, json};

use crate::support::{bench, environment};

const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 51679);

/// No good client waits longer; each answer takes far less than a hundredth of it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Within this each answer to a container that means well has to be there, whatever others do: clients give up after
/// that, and by itself an answer takes some milliseconds even in a debug build.
const IN_TIME: Duration = Duration::from_secs(2);

/// Between two looks at what a container is given: one path may be asked for forty times in a second.
const PACE: Duration = Duration::from_millis(40);

/// What the agent may grow by, whatever comes. The buckets of the limiter and the buffers of 512 open connections are
/// below 8 MiB; the rest is the allocator's slack.
const GROWTH_MIB: f64 = 24.0;

/// The id of a container's keys.
const GOOD: &str = "0a1b2c3d-1111-4000-8000-1234567890ab";

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

/// The answer to somebody who means well.
fn in_time(path: &str) -> Result<Reply> {
    let asked = Instant::now();
    let reply = ask("GET", path)?;
    let took = asked.elapsed();
    assert!(took < IN_TIME, "{path} took {took:?}");
    Ok(reply)
}

/// A task with keys, and the paths that its container was given.
struct Good {
    task: Value,
    metadata: String,
    credentials: String,
}

impl Good {
    fn start(bench: &Bench, keys: &str) -> Result<Self> {
        let keys = json!({
            "credentialsId": keys, "accessKeyId": "AKIAGOOD", "secretAccessKey": "s",
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
        let keys = in_time(&self.credentials)?;
        assert_eq!(keys.status, 200, "{keys:?}");
        assert!(keys.body.contains("AKIAGOOD"), "{keys:?}");
        let document = in_time(&format!("{}/task", self.metadata))?;
        assert_eq!(document.status, 200, "{document:?}");
        assert!(document.body.contains(self.task["arn"].as_str().unwrap_or("?")), "{document:?}");
        Ok(())
    }
}

/// Fails when the agent has grown by more than is allowed.
fn check_memory(bench: &Bench, before: f64) -> Result<()> {
    let now = bench.agent.resident_mib()?;
    assert!(now - before < GROWTH_MIB, "the agent had {before:.1} MiB and has {now:.1}");
    Ok(())
}

#[test]
fn wrong_requests_have_right_answers() -> Result<()> {
    let bench = bench(&[])?;
    let good = Good::start(&bench, GOOD)?;
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

#[test]
fn ten_thousand_paths_and_headers_without_end_cost_nothing_lasting() -> Result<()> {
    let bench = bench(&[])?;
    let good = Good::start(&bench, GOOD)?;
    good.is_served()?;
    let before = bench.agent.resident_mib()?;
    let mut stream = TcpStream::connect(SERVER)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut buffer = [0; 4096];
    for number in 0..10_000 {
        // In one piece: the kernel would wait before it sends a second.
        stream.write_all(format!("GET /v4/{number:036}/task HTTP/1.1\r\nHost: t\r\n\r\n").as_bytes())?;
        let mut reply = Vec::new();
        while !reply.windows(4).any(|four| four == b"\r\n\r\n") {
            let read = stream.read(&mut buffer)?;
            assert!(read > 0, "closed at path {number}");
            reply.extend_from_slice(&buffer[..read]);
        }
        assert!(reply.starts_with(b"HTTP/1.1 404"), "{}", String::from_utf8_lossy(&reply));
    }
    let pad = "x".repeat(1 << 20);
    for request in [
        format!("GET {} HTTP/1.1\r\nHost: t\r\nX-Pad: {pad}\r\n\r\n", good.metadata),
        format!("GET /v4/{pad} HTTP/1.1\r\nHost: t\r\n\r\n"),
    ] {
        for _ in 0..20 {
            // The answer may be lost to a reset, as we still send; what counts is what the agent does.
            if let Ok(reply) = exchange(request.as_bytes()) {
                assert!(matches!(reply.status, 400 | 414 | 431), "{reply:?}");
            }
        }
    }
    good.is_served()?;
    check_memory(&bench, before)?;
    bench.stop_and_wait(&good.task)?;
    Ok(())
}

#[test]
fn slow_clients_are_sent_away_and_hold_up_nobody() -> Result<()> {
    let bench = bench(&[])?;
    let good = Good::start(&bench, GOOD)?;
    good.is_served()?;
    let before = bench.agent.resident_mib()?;
    let mut slow = Vec::new();
    for number in 0..512 {
        let mut stream = TcpStream::connect(SERVER)?;
        match number % 3 {
            0 => {}
            1 => stream.write_all(b"GET /v4/x/task HTTP/1.1\r\nHost: ")?,
            _ => stream
                .write_all(b"PUT /api/x/task-protection/v1/state HTTP/1.1\r\nHost: t\r\nContent-Length: 99\r\n\r\n{")?,
        }
        slow.push(stream);
    }
    for _ in 0..20 {
        good.is_served()?;
        std::thread::sleep(PACE);
    }
    check_memory(&bench, before)?;
    // Each is answered or closed, though it never ends its request.
    let end = Instant::now() + Duration::from_secs(30);
    for (number, stream) in slow.iter_mut().enumerate() {
        let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        stream.set_read_timeout(Some(left))?;
        let mut text = Vec::new();
        match stream.read_to_end(&mut text) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
            Err(error) => return Err(error).with_context(|| format!("slow client {number} is still let in")),
        }
    }
    good.is_served()?;
    bench.stop_and_wait(&good.task)?;
    Ok(())
}

/// Four threads on eight connections each ask for one container's metadata and keys as fast as they can.
#[test]
fn a_flood_takes_nothing_from_other_containers() -> Result<()> {
    let bench = bench(&[])?;
    let bad = Good::start(&bench, "0a1b2c3d-6666-4000-8000-1234567890ab")?;
    let good = Good::start(&bench, GOOD)?;
    good.is_served()?;
    let before = bench.agent.resident_mib()?;
    let is_over = AtomicBool::new(false);
    let paths = [format!("{}/task", bad.metadata), bad.credentials.clone()];
    let (served, floods) = std::thread::scope(|scope| {
        let floods = [0, 1, 0, 1].map(|path| {
            scope.spawn({
                let (path, is_over) = (&paths[path], &is_over);
                move || flood(path, is_over)
            })
        });
        // A panic in here would leave the floods going.
        let served = std::panic::catch_unwind(|| {
            for _ in 0..100 {
                good.is_served()?;
                std::thread::sleep(PACE);
            }
            check_memory(&bench, before)
        });
        is_over.store(true, Ordering::Relaxed);
        (served, floods.map(std::thread::ScopedJoinHandle::join))
    });
    served.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    for flood in floods {
        let (sent, refused) = flood.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        assert!(refused > 0 && refused < sent, "{refused} of {sent} were refused");
    }
    good.is_served()?;
    for one in [&bad, &good] {
        bench.stop_and_wait(&one.task)?;
    }
    Ok(())
}

/// How many requests were sent, and how many of them were refused.
fn flood(path: &str, is_over: &AtomicBool) -> Result<(usize, usize)> {
    const CONNECTIONS: usize = 8;
    let request = format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n");
    let mut streams = Vec::new();
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(SERVER)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        streams.push(stream);
    }
    let (mut sent, mut refused) = (0, 0);
    let mut buffer = [0; 64 * 1024];
    while !is_over.load(Ordering::Relaxed) {
        for stream in &mut streams {
            stream.write_all(request.as_bytes())?;
        }
        for stream in &mut streams {
            // The answers are small: each comes in one piece.
            let read = stream.read(&mut buffer)?;
            assert!(read > 0, "closed after {sent} answers");
            sent += 1;
            refused += usize::from(buffer[..read].starts_with(b"HTTP/1.1 429"));
        }
    }
    Ok((sent, refused))
}

/// While forty tasks are launched, one that runs is answered as ever; and each of the forty has its keys and its
/// metadata from its first moment.
#[test]
fn a_burst_of_launches_holds_up_no_answer() -> Result<()> {
    const TASKS: usize = 40;
    let bench = bench(&[])?;
    let good = Good::start(&bench, GOOD)?;
    let tasks: Vec<Value> = (0..TASKS)
        .map(|_| bench.task(&[bench.container("main", json!({ "config": fast_stop(), "memory": 8 }))], json!({})))
        .collect();
    bench.plane.payload(&tasks)?;
    let is_running = |task: &Value| bench.statuses(task).iter().any(|status| status == "RUNNING");
    let end = Instant::now() + Duration::from_secs(120);
    let mut answers = Vec::new();
    while !tasks.iter().all(is_running) {
        assert!(Instant::now() < end, "the tasks do not start");
        let asked = Instant::now();
        good.is_served()?;
        answers.push(asked.elapsed() / 2);
        std::thread::sleep(PACE);
    }
    answers.sort_unstable();
    let (median, slowest) = (answers[answers.len() / 2], answers[answers.len() - 1]);
    eprintln!("{} answers: median {median:?}, slowest {slowest:?}", 2 * answers.len());
    for task in &tasks {
        let given = environment(&bench.inspect(task, "main")?);
        let path = given["ECS_CONTAINER_METADATA_URI_V4"].replacen("http://169.254.170.2", "", 1);
        assert_eq!(ask("GET", &path)?.status, 200);
    }
    Ok(())
}
