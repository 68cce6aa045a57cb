//! The command line in a folder and a cluster of its own.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use lab::Engine;
use lab::agent::Signal;
use serde_json::{Value, json};

use super::{LONGSHORE, setting};

/// Long enough for anything that will happen at all.
const LIMIT: Duration = Duration::from_secs(60);

/// A user with an empty home. Dropping it removes the containers of its cluster with their volumes, and no others.
pub(crate) struct Home {
    folder: tempfile::TempDir,
    pub(crate) cluster: String,
    pub(crate) engine: Engine,
    /// Local mode takes the agent's ports where they are free; they must not be those of another test's agent that is
    /// down between two of its lives.
    _ports: File,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Home {
    pub(crate) fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("home-").tempdir()?;
        let cluster = format!("home-{}", lab::hex(8));
        Ok(Self { folder, cluster, engine: Engine::from_env()?, _ports: lab::agent::reserve_ports()? })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where `longshore` keeps its state.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A command of `longshore`, not yet started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(LONGSHORE);
        command.arg("--data-dir").arg(self.data()).args(arguments);
        // The machine's own packet rules are nobody's to change here.
        command.env("LONGSHORE_NETFILTER", "off");
        command.env("HOME", self.path()).env("TMPDIR", self.path()).env("ECS_CLUSTER", &self.cluster);
        command.env_remove("AWS_PROFILE").env_remove("AWS_REGION").env_remove("AWS_DEFAULT_REGION");
        command.current_dir(self.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command of `longshore` to its end.
    pub(crate) fn longshore(&self, arguments: &[&str]) -> Result<Ended> {
        ended(self.command(arguments))
    }

    /// Writes a file and gives its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<String> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path.display().to_string())
    }

    /// Writes a task definition of one container that runs a script, with `members` laid over the container.
    pub(crate) fn definition(&self, family: &str, script: &str, members: Value) -> Result<String> {
        let mut container = json!({
            "name": "main", "image": setting("LONGSHORE_TEST_IMAGE"), "memory": 32, "essential": true,
            "command": ["sh", "-c", script],
        });
        if let Value::Object(members) = members {
            for (member, value) in members {
                container[member] = value;
            }
        }
        let definition = json!({ "family": family, "containerDefinitions": [container] });
        self.write(&format!("{family}.json"), &definition.to_string())
    }

    /// Containers of this home's cluster, running or not.
    pub(crate) fn containers(&self) -> Result<Vec<String>> {
        self.engine.labelled(&format!("com.amazonaws.ecs.cluster={}", self.cluster))
    }

    /// Starts `longshore local` on a free port, with further arguments and variables.
    pub(crate) fn local_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Local> {
        Local::start(self, arguments, environment)
    }

    /// Starts `longshore local`, on a free port.
    pub(crate) fn local(&self) -> Result<Local> {
        self.local_with(&[], &[])
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let mut volumes = std::collections::BTreeSet::new();
        for id in self.containers().unwrap_or_default() {
            let mounts = self.engine.inspect(&id).map(|c| c["Mounts"].clone()).unwrap_or_default();
            let names = mounts.as_array().into_iter().flatten().filter_map(|mount| mount["Name"].as_str());
            // Drawn by the agent for its task; a shared volume has a name of its own.
            volumes.extend(names.filter(|name| name.starts_with("ecs-")).map(str::to_owned));
            drop(self.engine.clear(&id));
        }
        for volume in volumes {
            drop(self.engine.call("DELETE", &format!("/volumes/{volume}"), &Value::Null));
        }
    }
}

/// Runs a command to its end.
pub(crate) fn ended(mut command: Command) -> Result<Ended> {
    let output = command.output().with_context(|| format!("running {}", command.get_program().display()))?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) })
}

/// A running `longshore local`. Dropping it kills it.
pub(crate) struct Local {
    child: Child,
    pub(crate) endpoint: String,
}

impl Local {
    fn start(home: &Home, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Self> {
        let mut command = home.command(&["--json", "local", "--port", "0"]);
        command.args(arguments).envs(environment.iter().copied());
        command.stderr(Stdio::inherit());
        let mut child = command.spawn().context("starting longshore local")?;
        let mut out = BufReader::new(child.stdout.take().context("no output")?);
        let mut line = String::new();
        out.read_line(&mut line)?;
        // What follows must be read, or it would stop when the pipe is full.
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        let greeting: Value = serde_json::from_str(&line).with_context(|| format!("greeted with {line:?}"))?;
        let endpoint = greeting["endpoint"].as_str().context("no endpoint")?.to_owned();
        let local = Self { child, endpoint };
        lab::wait_for("the local agent to join", LIMIT, || {
            Ok((local.get("/longshore/v1/instance")?["isConnected"] == true).then_some(()))
        })?;
        Ok(local)
    }

    /// What `GET path` says.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        self.exchange(&format!("GET {path}"), "", "")
    }

    /// Calls an operation of the ECS API.
    pub(crate) fn call(&self, operation: &str, body: &Value) -> Result<Value> {
        let target = format!("X-Amz-Target: AmazonEC2ContainerServiceV20141113.{operation}\r\n");
        self.exchange("POST /", &target, &body.to_string())
    }

    fn exchange(&self, begin: &str, headers: &str, body: &str) -> Result<Value> {
        let address = self.endpoint.strip_prefix("http://").context("not http")?;
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(LIMIT))?;
        let length = body.len();
        write!(stream, "{begin} HTTP/1.0\r\nHost: {address}\r\n{headers}Content-Length: {length}\r\n\r\n{body}")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let (_, body) = text.split_once("\r\n\r\n").context("no body")?;
        Ok(serde_json::from_str(body)?)
    }

    /// Sends a signal and waits for the end.
    pub(crate) fn stop(&mut self, signal: Signal) -> Result<Option<i32>> {
        lab::agent::send(&self.child, signal)?;
        Ok(lab::agent::wait(&mut self.child, LIMIT)?.code())
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
