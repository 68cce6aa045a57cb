//! The Docker Engine's API, bare: one request per connection over its Unix socket, JSON in and out.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// Older than any Engine that is met, younger than the minimum of the newest; no version at all would be `latest`.
const UNVERSIONED: &str = "";

/// A Docker Engine on this machine.
#[derive(Debug, Clone)]
pub struct Engine {
    socket: PathBuf,
}

/// Removes the cgroup of a task that nobody manages any more.
pub(crate) fn clear_cgroup(task_id: &str) {
    // One folder in each hierarchy of v1, or the one of v2; the kernel refuses those that are in use.
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = std::fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    for hierarchy in hierarchies.chain([root.to_owned()]) {
        drop(std::fs::remove_dir(hierarchy.join("ecs").join(task_id)));
    }
}

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; `null` where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

impl Engine {
    /// The Engine that `DOCKER_HOST` names, else the usual socket.
    ///
    /// # Errors
    /// `DOCKER_HOST` is not a Unix socket.
    pub fn from_env() -> Result<Self> {
        Self::named(&std::env::var("DOCKER_HOST").unwrap_or_default())
    }

    /// The Engine at a socket.
    #[must_use]
    pub fn at(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// The Engine that this `DOCKER_HOST` names; none is the usual socket.
    ///
    /// # Errors
    /// It is not a Unix socket.
    pub fn named(host: &str) -> Result<Self> {
        let host = if host.is_empty() { "unix:///var/run/docker.sock" } else { host };
        match host.strip_prefix("unix://") {
            Some(path) => Ok(Self { socket: PathBuf::from(path) }),
            None => bail!("DOCKER_HOST is {host}: only unix:// sockets are supported here"),
        }
    }

    /// The socket's path.
    #[must_use]
    pub fn socket(&self) -> &std::path::Path {
        &self.socket
    }

    /// One request.
    ///
    /// # Errors
    /// The socket cannot be reached, or the answer is not HTTP.
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
        let mut stream =
            UnixStream::connect(&self.socket).with_context(|| format!("connecting to {}", self.socket.display()))?;
        stream.set_read_timeout(Some(Duration::from_secs(120)))?;
        let mut head = format!(
            "{method} {UNVERSIONED}{path} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\nContent-Length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let mut raw = Vec::new();
        stream.read_to_end(&mut raw).with_context(|| format!("reading the answer to {method} {path}"))?;
        parse(&raw).with_context(|| format!("the answer to {method} {path}"))
    }

    /// A JSON request that must succeed.
    ///
    /// # Errors
    /// It does not; the Engine's own words are in the message.
    pub fn call(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let raw = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let answer = self.request(method, path, &[("Content-Type", "application/json")], &raw)?;
        if answer.status >= 400 {
            bail!("{method} {path}: {} {}", answer.status, String::from_utf8_lossy(&answer.body).trim());
        }
        Ok(answer.json())
    }

    /// What `GET path` says.
    ///
    /// # Errors
    /// See [`Self::call`].
    pub fn get(&self, path: &str) -> Result<Value> {
        self.call("GET", path, &Value::Null)
    }

    /// Whether an Engine answers.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.request("GET", "/_ping", &[], &[]).is_ok_and(|answer| answer.status == 200)
    }

    /// Ids of the containers with this label, running or not.
    ///
    /// # Errors
    /// See [`Self::call`].
    pub fn labelled(&self, label: &str) -> Result<Vec<String>> {
        let filters = encode(&json!({ "label": [label] }).to_string());
        let list = self.get(&format!("/containers/json?all=1&filters={filters}"))?;
        let ids = list.as_array().into_iter().flatten().filter_map(|one| one["Id"].as_str());
        Ok(ids.map(str::to_owned).collect())
    }

    /// The container as the Engine describes it.
    ///
    /// # Errors
    /// See [`Self::call`].
    pub fn inspect(&self, id: &str) -> Result<Value> {
        self.get(&format!("/containers/{id}/json"))
    }

    /// Ends and removes a container, and its anonymous volumes. One that is gone is fine.
    ///
    /// # Errors
    /// The Engine cannot be reached.
    pub fn remove(&self, id: &str) -> Result<()> {
        self.request("DELETE", &format!("/containers/{id}?force=1&v=1"), &[], &[]).map(drop)
    }

    /// Removes a container that an agent left which was killed, and the cgroup of its task with the last of them.
    ///
    /// # Errors
    /// The Engine cannot be reached.
    pub fn clear(&self, id: &str) -> Result<()> {
        let parent = self.inspect(id).map(|found| found["HostConfig"]["CgroupParent"].clone()).unwrap_or_default();
        self.remove(id)?;
        if let Some(group) = parent.as_str().and_then(|parent| parent.strip_prefix("/ecs/")) {
            clear_cgroup(group);
        }
        Ok(())
    }

    /// Whether the image is there.
    #[must_use]
    pub fn has_image(&self, image: &str) -> bool {
        self.request("GET", &format!("/images/{image}/json"), &[], &[]).is_ok_and(|answer| answer.status == 200)
    }

    /// Makes an image of one layer from a tar archive.
    ///
    /// # Errors
    /// The Engine refuses it.
    pub fn import(&self, archive: &[u8], repository: &str, tag: &str, changes: &[&str]) -> Result<()> {
        let mut path = format!("/images/create?fromSrc=-&repo={}&tag={tag}", encode(repository));
        for change in changes {
            path.push_str(&format!("&changes={}", encode(change)));
        }
        let answer = self.request("POST", &path, &[("Content-Type", "application/x-tar")], archive)?;
        progress(&answer).with_context(|| format!("importing {repository}:{tag}"))
    }

    /// Gives an image one more name.
    ///
    /// # Errors
    /// See [`Self::call`].
    pub fn tag(&self, image: &str, repository: &str, tag: &str) -> Result<()> {
        let path = format!("/images/{image}/tag?repo={}&tag={tag}", encode(repository));
        self.call("POST", &path, &Value::Null).map(drop)
    }

    /// Pushes an image; `login` is the base64 of Docker's auth configuration.
    ///
    /// # Errors
    /// The registry or the Engine refuses it.
    pub fn push(&self, repository: &str, tag: &str, login: &str) -> Result<()> {
        let path = format!("/images/{repository}/push?tag={tag}");
        let answer = self.request("POST", &path, &[("X-Registry-Auth", login)], &[])?;
        progress(&answer).with_context(|| format!("pushing {repository}:{tag}"))
    }

    /// Takes a name off an image, or removes the image if that was its last one or it is named by its id. Containers
    /// that have ended do not hold it. One that is gone is fine.
    ///
    /// # Errors
    /// The Engine cannot be reached.
    pub fn untag(&self, image: &str) -> Result<()> {
        self.request("DELETE", &format!("/images/{image}?force=1"), &[], &[]).map(drop)
    }
}

/// A stream of progress messages holds its error, if any, in one of them.
fn progress(answer: &Answer) -> Result<()> {
    let text = String::from_utf8_lossy(&answer.body);
    if answer.status >= 400 {
        bail!("{} {}", answer.status, text.trim());
    }
    for line in text.lines() {
        let message: Value = serde_json::from_str(line).unwrap_or(Value::Null);
        if let Some(error) = message["error"].as_str() {
            bail!("{error}");
        }
    }
    Ok(())
}

/// A text for use in a query.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn parse(raw: &[u8]) -> Result<Answer> {
    let Some(at) = raw.windows(4).position(|window| window == b"\r\n\r\n") else { bail!("broken off") };
    let head = String::from_utf8_lossy(&raw[..at]).to_ascii_lowercase();
    let status = head.split_ascii_whitespace().nth(1).and_then(|status| status.parse().ok()).context("no status")?;
    let rest = &raw[at + 4..];
    let body = if head.contains("transfer-encoding: chunked") { unchunk(rest) } else { rest.to_vec() };
    Ok(Answer { status, body })
}

fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(at) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(String::from_utf8_lossy(&rest[..at]).trim(), 16).unwrap_or(0);
        let end = (at + 2 + size).min(rest.len());
        if size == 0 {
            break;
        }
        body.extend_from_slice(&rest[at + 2..end]);
        rest = rest.get(end + 2..).unwrap_or(&[]);
    }
    body
}
