//! The EC2 instance metadata service of a machine, which may become another machine. Like version 2 of it, it answers
//! only those who fetched a token first.

use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use serde_json::json;

use crate::ids::hex;
use crate::plane::http::{Request, read};
use crate::plane::{ACCOUNT, REGION};

/// The service. It serves until it is dropped.
pub struct Imds {
    shared: Arc<Shared>,
}

struct Shared {
    address: SocketAddr,
    state: Mutex<State>,
}

struct State {
    instance: String,
    /// The only token that holds. Invariant: no two machines have the same.
    token: String,
    /// What was asked for with the token: paths, in order.
    asked: Vec<String>,
    is_over: bool,
}

impl Imds {
    /// Listens on a free port, as the service of this instance.
    ///
    /// # Errors
    /// The port cannot be had.
    pub fn start(instance: &str) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listening on loopback")?;
        let state = State { instance: instance.to_owned(), token: hex(32), asked: Vec::new(), is_over: false };
        let shared = Arc::new(Shared { address: listener.local_addr()?, state: Mutex::new(state) });
        let server = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if server.state().is_over {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let server = Arc::clone(&server);
                std::thread::spawn(move || server.serve(stream));
            }
        });
        Ok(Self { shared })
    }

    /// Where it listens, as `http://address:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.shared.address)
    }

    /// From now on it is the service of another instance, and nobody has asked it anything.
    pub fn become_instance(&self, instance: &str) {
        let mut state = self.shared.state();
        (state.instance, state.token) = (instance.to_owned(), hex(32));
        state.asked.clear();
    }

    /// The paths that were asked for with a token, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.shared.state().asked.clone()
    }

    /// The document by which an instance shows who it is.
    #[must_use]
    pub fn identity_document(instance: &str) -> String {
        json!({ "accountId": ACCOUNT, "instanceId": instance, "instanceType": "t3.small", "region": REGION })
            .to_string()
    }
}

impl Drop for Imds {
    fn drop(&mut self) {
        self.shared.state().is_over = true;
        // Wakes the listener, which then sees that it is over.
        drop(TcpStream::connect(self.shared.address));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut writer: TcpStream) {
        let Ok(reading) = writer.try_clone() else { return };
        let mut reader = BufReader::new(reading);
        while let Some(request) = read(&mut reader) {
            let (status, body) = self.answer(&request);
            let life = request.headers.get("x-aws-ec2-metadata-token-ttl-seconds");
            let life = life.map(|life| format!("x-aws-ec2-metadata-token-ttl-seconds: {life}\r\n")).unwrap_or_default();
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status} -\r\nContent-Type: text/plain\r\n{life}Content-Length: {length}\r\n\r\n{body}"
            );
            if writer.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }

    fn answer(&self, request: &Request) -> (u16, String) {
        let mut state = self.state();
        let header = |name: &str| request.headers.get(name);
        match (request.method.as_str(), request.target.as_str()) {
            ("PUT", "/latest/api/token") => match header("x-aws-ec2-metadata-token-ttl-seconds") {
                Some(_) => (200, state.token.clone()),
                None => (400, String::new()),
            },
            _ if header("x-aws-ec2-metadata-token") != Some(&state.token) => (401, String::new()),
            ("GET", path) => {
                state.asked.push(path.to_owned());
                match path {
                    "/latest/meta-data/instance-id" => (200, state.instance.clone()),
                    "/latest/dynamic/instance-identity/document" => (200, Imds::identity_document(&state.instance)),
                    "/latest/dynamic/instance-identity/signature" => (200, format!("signed {}", state.instance)),
                    _ => (404, String::new()),
                }
            }
            _ => (405, String::new()),
        }
    }
}
