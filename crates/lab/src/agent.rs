//! The agent under test: a child process in a folder of its own.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::plane::{Channel, Plane, REGION};

/// The fixed ports of an agent: one agent at a time can have them.
const PORTS: [u16; 2] = [51678, 51679];

/// The unit of `/proc/PID/stat`, the same on every Linux.
const TICKS_PER_SECOND: u64 = 100;

/// How often to see whether an awaited agent still runs.
const LOOK: Duration = Duration::from_millis(500);

/// How long to wait for whoever else is using the agent's ports.
const PORTS_LIMIT: Duration = Duration::from_secs(600);

/// A signal by its usual name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    Int,
    Term,
    Kill,
}

/// An agent, and the folder that it keeps between its lives. Dropping it kills the process.
pub struct Agent {
    command: Vec<String>,
    environment: BTreeMap<String, String>,
    folder: tempfile::TempDir,
    child: Option<Child>,
    started: Instant,
    /// Held as long as this agent may use the fixed ports.
    _ports: File,
}

impl Agent {
    /// An agent that will join `plane`; `extra` is laid over its environment, and an empty value removes a variable.
    ///
    /// # Errors
    /// The agent's ports stay taken, or a folder cannot be made.
    pub fn new(command: &[&str], plane: &Plane, extra: &[(&str, &str)]) -> Result<Self> {
        let ports = reserve_ports()?;
        let folder = tempfile::Builder::new().prefix("agent-").tempdir().context("making the agent's folder")?;
        let at = |name: &str| folder.path().join(name).display().to_string();
        std::fs::create_dir_all(folder.path().join("data"))?;
        let mut environment: BTreeMap<String, String> = [
            ("PATH", std::env::var("PATH").unwrap_or_default()),
            ("HOME", at("")),
            ("ECS_CLUSTER", plane.cluster().to_owned()),
            ("ECS_BACKEND_HOST", plane.url()),
            ("AWS_DEFAULT_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", "AKIDLAB".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("ECS_EXTERNAL", "true".to_owned()),
            ("ECS_DATADIR", at("data")),
            ("ECS_LOGFILE", at("agent.log")),
            ("ECS_LOGLEVEL", "info".to_owned()),
            ("ECS_LOGLEVEL_ON_INSTANCE", "info".to_owned()),
            ("ECS_AVAILABLE_LOGGING_DRIVERS", r#"["json-file","none","awslogs","syslog"]"#.to_owned()),
            ("ECS_ENABLE_TASK_IAM_ROLE", "true".to_owned()),
            ("ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST", "true".to_owned()),
            ("ECS_ENABLE_TASK_CPU_MEM_LIMIT", "false".to_owned()),
            ("ECS_AGENT_CONFIG_FILE_PATH", at("none.json")),
            ("NO_PROXY", "*".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        if let Ok(host) = std::env::var("DOCKER_HOST") {
            environment.insert("DOCKER_HOST".to_owned(), host);
        }
        for (name, value) in extra {
            environment.insert((*name).to_owned(), (*value).to_owned());
        }
        environment.retain(|_, value| !value.is_empty());
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        Ok(Self { command, environment, folder, child: None, started: Instant::now(), _ports: ports })
    }

    /// Its folder: `data`, `agent.log`, `stdout.log`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// When it was last started.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// The command that would start it, for those who want to start it otherwise.
    ///
    /// # Errors
    /// The file for its output cannot be opened.
    pub fn command(&self) -> Result<Command> {
        let (program, arguments) = self.command.split_first().context("an empty agent command")?;
        let out = File::options().create(true).append(true).open(self.folder.path().join("stdout.log"))?;
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(&self.environment).current_dir(self.folder.path());
        command.stdin(std::process::Stdio::null()).stderr(out.try_clone()?).stdout(out);
        Ok(command)
    }

    /// Starts the process.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(&mut self) -> Result<()> {
        let mut command = self.command()?;
        self.started = Instant::now();
        self.child = Some(command.spawn().with_context(|| format!("starting {}", self.command.join(" ")))?);
        Ok(())
    }

    /// Waits until it is connected since it was last started; gives how long that took.
    ///
    /// # Errors
    /// It is not within `limit`, or it ended.
    pub fn ready(&mut self, plane: &Plane, limit: Duration) -> Result<Duration> {
        let end = Instant::now() + limit;
        loop {
            match plane.connected(Channel::Acs, self.started, LOOK) {
                Ok((at, ..)) => return Ok(at - self.started),
                Err(error) => {
                    let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
                    if ended.is_some() || Instant::now() >= end {
                        let ended = ended.map_or("it runs".to_owned(), |status| format!("it ended with {status}"));
                        return Err(error.context(format!("{ended}; the agent's log ends:\n{}", self.log_tail())));
                    }
                }
            }
        }
    }

    /// Sends a signal and waits for the end.
    ///
    /// # Errors
    /// It does not run, or does not end within 30 seconds.
    pub fn stop(&mut self, signal: Signal) -> Result<ExitStatus> {
        let mut child = self.child.take().context("the agent does not run")?;
        send(&child, signal)?;
        match wait(&mut child, Duration::from_secs(30)) {
            Ok(status) => Ok(status),
            Err(error) => {
                drop(child.kill());
                drop(child.wait());
                Err(error.context(format!("the agent's log ends:\n{}", self.log_tail())))
            }
        }
    }

    /// Waits for it to end by itself.
    ///
    /// # Errors
    /// It does not run, or does not end in time.
    pub fn ended(&mut self, limit: Duration) -> Result<ExitStatus> {
        let child = self.child.as_mut().context("the agent does not run")?;
        let status = wait(child, limit)?;
        self.child = None;
        Ok(status)
    }

    /// What it printed.
    #[must_use]
    pub fn output(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("stdout.log")).unwrap_or_default()
    }

    /// What it logged to its file.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("agent.log")).unwrap_or_default()
    }

    /// Memory that it holds now, in MiB.
    ///
    /// # Errors
    /// It does not run.
    pub fn resident_mib(&self) -> Result<f64> {
        let status = std::fs::read_to_string(self.proc()?.join("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib / 1024.0)
    }

    /// CPU time that it has used, all threads.
    ///
    /// # Errors
    /// It does not run.
    pub fn cpu(&self) -> Result<Duration> {
        cpu_of(&self.proc()?)
    }

    /// What the introspection says, as JSON.
    ///
    /// # Errors
    /// It does not answer, or not with JSON.
    pub fn introspect(&self, path: &str) -> Result<Value> {
        let (_, body) = get(PORTS[0], path)?;
        serde_json::from_str(&body).with_context(|| format!("GET {path} says {body}"))
    }

    /// Its process.
    ///
    /// # Errors
    /// It does not run.
    pub fn id(&self) -> Result<u32> {
        Ok(self.child.as_ref().context("the agent does not run")?.id())
    }

    fn proc(&self) -> Result<PathBuf> {
        Ok(PathBuf::from(format!("/proc/{}", self.id()?)))
    }

    /// The last lines of its log, or of its output where there is no log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let text = if log.is_empty() { self.output() } else { log };
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
        if std::thread::panicking() {
            eprintln!("the agent's log ends:\n{}", self.log_tail());
        }
    }
}

/// Head and body of what one of the agent's ports answers.
///
/// # Errors
/// It does not answer, or not with HTTP.
pub fn get(port: u16, path: &str) -> Result<(String, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).with_context(|| format!("connecting to port {port}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").with_context(|| format!("GET {path} says {answer}"))?;
    Ok((head.to_owned(), body.to_owned()))
}

/// CPU time that a process has used, all threads; `folder` is its own below `/proc`.
///
/// # Errors
/// There is no such process.
pub fn cpu_of(folder: &Path) -> Result<Duration> {
    let stat = std::fs::read_to_string(folder.join("stat"))?;
    // The command's name may hold spaces; the counters follow its closing bracket: user and system are 14 and 15.
    let (_, counters) = stat.rsplit_once(')').context("no command in stat")?;
    let ticks = counters.split_ascii_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok());
    Ok(Duration::from_millis(ticks.sum::<u64>() * 1000 / TICKS_PER_SECOND))
}

/// Sends a signal to a child.
///
/// # Errors
/// There is no such process.
pub fn send(child: &Child, signal: Signal) -> Result<()> {
    let name = match signal {
        Signal::Int => "-INT",
        Signal::Term => "-TERM",
        Signal::Kill => "-KILL",
    };
    let status = Command::new("kill").args([name, &child.id().to_string()]).status().context("running kill")?;
    if !status.success() {
        bail!("kill {name} {}: {status}", child.id());
    }
    Ok(())
}

/// Waits for a child's end.
///
/// # Errors
/// It goes on for longer than `limit`.
pub fn wait(child: &mut Child, limit: Duration) -> Result<ExitStatus> {
    crate::wait_for("the process to end", limit, || Ok(child.try_wait()?))
}

/// Takes turns with other tests, of this or another process, and waits for an agent that is no test's. The turn lasts
/// until the file is dropped.
///
/// # Errors
/// The turn does not come.
pub fn reserve_ports() -> Result<File> {
    let path = std::env::temp_dir().join("longshore-agent-ports.lock");
    let file =
        File::options().create(true).append(true).open(&path).context("opening the lock of the agent's ports")?;
    crate::wait_for("the lock of the agent's ports", PORTS_LIMIT, || Ok(file.try_lock().ok()))?;
    crate::wait_for("the agent's ports 51678 and 51679 to be free", PORTS_LIMIT, || {
        let is_free = PORTS.iter().all(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok());
        Ok(is_free.then_some(()))
    })?;
    Ok(file)
}
