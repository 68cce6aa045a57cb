//! A daemon that behaves as badly as it is told, on a socket of its own.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// One thing that the daemon does with a connection, once a request was read.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Send(String),
    /// Sends byte by byte with a pause before each.
    Drip(String, Duration),
    /// Says nothing more, but keeps the connection.
    Stall,
    /// Closes the connection.
    Cut,
}

/// What was asked: `GET /v1.21/info`, and the body.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) head: String,
    pub(crate) body: String,
}

pub(crate) struct Fake {
    directory: tempfile::TempDir,
    asked: Arc<Mutex<Vec<Asked>>>,
    connections: Arc<Mutex<usize>>,
}

/// A whole reply.
pub(crate) fn reply(status: &str, content_type: &str, body: &str) -> Vec<Act> {
    vec![Act::Send(format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ))]
}

pub(crate) fn json(body: &str) -> Vec<Act> {
    reply("200 OK", "application/json", body)
}

/// The headers of a reply whose body comes in chunks.
pub(crate) fn begin_chunks() -> Act {
    Act::Send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".into())
}

pub(crate) fn chunk(text: &str) -> Act {
    Act::Send(format!("{:x}\r\n{text}\r\n", text.len()))
}

pub(crate) fn end_chunks() -> Act {
    Act::Send("0\r\n\r\n".into())
}

impl Fake {
    /// A daemon that accepts these versions and answers all but `GET /version` by `answer`.
    pub(crate) fn start(min: &str, max: &str, answer: impl Fn(&Asked) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let version = format!(r#"{{"Version":"99.0","ApiVersion":"{max}","MinAPIVersion":"{min}"}}"#);
        Self::start_raw(move |asked| if asked.line == "GET /version" { json(&version) } else { answer(asked) })
    }

    pub(crate) fn start_raw(answer: impl Fn(&Asked) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("docker.sock")).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(Mutex::new(0));
        let fake = Self { directory, asked: Arc::clone(&asked), connections: Arc::clone(&connections) };
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *connections.lock().unwrap() += 1;
                tokio::spawn(serve(stream, Arc::clone(&asked), Arc::clone(&answer)));
            }
        });
        fake
    }

    pub(crate) fn engine(&self) -> docker::Engine {
        docker::Engine::connect(&format!("unix://{}/docker.sock", self.directory.path().display())).unwrap()
    }

    /// Request lines so far, without the version probe.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).filter(|line| line != "GET /version").collect()
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}

async fn serve(
    mut stream: UnixStream,
    log: Arc<Mutex<Vec<Asked>>>,
    answer: Arc<impl Fn(&Asked) -> Vec<Act> + Send + Sync>,
) {
    let mut buffer = Vec::new();
    while let Some(asked) = read_request(&mut stream, &mut buffer).await {
        log.lock().unwrap().push(asked.clone());
        for act in answer(&asked) {
            match act {
                Act::Send(text) => {
                    if stream.write_all(text.as_bytes()).await.is_err() {
                        return;
                    }
                }
                Act::Drip(text, pause) => {
                    for byte in text.bytes() {
                        tokio::time::sleep(pause).await;
                        if stream.write_all(&[byte]).await.is_err() {
                            return;
                        }
                    }
                }
                // Ends when the client closes its side.
                Act::Stall => drop(stream.read(&mut [0]).await),
                Act::Cut => return,
            }
        }
    }
}

async fn read_request(stream: &mut UnixStream, buffer: &mut Vec<u8>) -> Option<Asked> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).to_lowercase();
            let original = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.trim().parse().unwrap());
            if buffer.len() >= end + 4 + length {
                let body = String::from_utf8_lossy(&buffer[end + 4..end + 4 + length]).into_owned();
                buffer.drain(..end + 4 + length);
                let line = original.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
                return Some(Asked { line, head: original, body });
            }
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}
