//! A connection to systemd's manager, by way of the system bus or straight through systemd's own socket, for the
//! length of one call and the job that it begins.
//!
//! Our own, since a D-Bus library is minutes of building for three calls; see `docs/decisions.md`.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::message::{Body, CALL, ERROR, Message, REPLY, SIGNAL};

/// Whom we speak to.
const SYSTEMD: &str = "org.freedesktop.systemd1";
const SYSTEMD_PATH: &str = "/org/freedesktop/systemd1";
pub(super) const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const BUS: &str = "org.freedesktop.DBus";
const BUS_PATH: &str = "/org/freedesktop/DBus";

/// How long systemd may take for a job (spec 20 §11.4).
const PATIENCE: Duration = Duration::from_secs(30);

/// Where systemd can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Socket {
    /// A bus, with systemd on it.
    Bus(PathBuf),
    /// systemd itself; only for root.
    Peer(PathBuf),
}

impl Socket {
    /// In the order in which they are tried. `address` is `DBUS_SYSTEM_BUS_ADDRESS`, such as `unix:path=/run/…`.
    pub(crate) fn all(address: Option<&str>) -> Vec<Self> {
        let named = address.into_iter().flat_map(|list| list.split(';'));
        let paths = named.filter_map(|one| {
            let members = one.strip_prefix("unix:")?.split(',');
            members.filter_map(|member| member.strip_prefix("path=")).next()
        });
        let mut sockets: Vec<Self> = paths.map(|path| Self::Bus(path.into())).collect();
        if sockets.is_empty() {
            sockets.push(Self::Bus("/run/dbus/system_bus_socket".into()));
            sockets.push(Self::Peer("/run/systemd/private".into()));
        }
        sockets
    }
}

/// What went wrong with systemd.
#[derive(Debug, thiserror::Error)]
pub enum SystemdError {
    #[error("systemd cannot be reached: {0}")]
    Unreachable(io::Error),
    #[error("systemd says {name}: {text}")]
    Refused { name: String, text: String },
    #[error("systemd's job for {unit} ended with {result}")]
    Job { unit: String, result: String },
}

impl SystemdError {
    /// Whether it refused with this error of its own, such as `UnitExists`.
    pub(super) fn is(&self, error: &str) -> bool {
        matches!(self, Self::Refused { name, .. } if name.strip_prefix(SYSTEMD) == Some(&format!(".{error}")))
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Systemd {
    stream: UnixStream,
    is_bus: bool,
    serial: u32,
    until: Instant,
    /// Signals that came while an answer was awaited.
    signals: VecDeque<Message>,
}

impl Systemd {
    /// Connects by the first socket that answers.
    pub(super) fn connect(sockets: &[Socket]) -> Result<Self, SystemdError> {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for socket in sockets {
            match Self::open(socket) {
                Ok(systemd) => return Ok(systemd),
                Err(SystemdError::Unreachable(error)) => {
                    let (Socket::Bus(path) | Socket::Peer(path)) = socket;
                    last = io::Error::new(error.kind(), format!("{}: {error}", path.display()));
                }
                Err(error) => return Err(error),
            }
        }
        Err(SystemdError::Unreachable(last))
    }

    fn open(socket: &Socket) -> Result<Self, SystemdError> {
        let (Socket::Bus(path) | Socket::Peer(path)) = socket;
        let mut systemd = Self {
            stream: UnixStream::connect(path).map_err(SystemdError::Unreachable)?,
            is_bus: matches!(socket, Socket::Bus(_)),
            serial: 0,
            until: Instant::now() + PATIENCE,
            signals: VecDeque::new(),
        };
        systemd.authenticate().map_err(SystemdError::Unreachable)?;
        if systemd.is_bus {
            systemd.call(BUS, BUS_PATH, BUS, "Hello", "", Vec::new())?;
        }
        // Also shows whether there is a systemd at the other end.
        systemd.call(SYSTEMD, SYSTEMD_PATH, "org.freedesktop.DBus.Peer", "Ping", "", Vec::new()).map_err(|error| {
            match error {
                SystemdError::Refused { text, .. } => SystemdError::Unreachable(io::Error::other(text)),
                error => error,
            }
        })?;
        Ok(systemd)
    }

    /// Says who we are; the kernel vouches for it. All at once, as systemd's own clients do: systemd's socket does not
    /// look at a message that comes together with the last line, until another one comes.
    fn authenticate(&mut self) -> io::Result<()> {
        let user: String = rustix::process::geteuid().to_string().bytes().map(|byte| format!("{byte:02x}")).collect();
        self.stream.set_write_timeout(Some(PATIENCE))?;
        self.stream.set_read_timeout(Some(PATIENCE))?;
        self.stream.write_all(format!("\0AUTH EXTERNAL {user}\r\nBEGIN\r\n").as_bytes())?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n") && answer.len() < 512 {
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            answer.push(byte[0]);
        }
        if !answer.starts_with(b"OK ") {
            let answer = String::from_utf8_lossy(&answer).trim().to_owned();
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("not let in: {answer}")));
        }
        Ok(())
    }

    /// Calls the manager.
    pub(super) fn manager(&mut self, member: &str, signature: &str, body: Body) -> Result<Message, SystemdError> {
        self.call(SYSTEMD, SYSTEMD_PATH, MANAGER, member, signature, body.into_bytes())
    }

    /// Calls a method of the manager that answers with a job, and waits for the job's end.
    pub(super) fn job(&mut self, member: &str, signature: &str, body: Body, unit: &str) -> Result<(), SystemdError> {
        if self.is_bus {
            let mut rule = Body::default();
            rule.text(&format!("type='signal',sender='{SYSTEMD}',interface='{MANAGER}',member='JobRemoved'"));
            self.call(BUS, BUS_PATH, BUS, "AddMatch", "s", rule.into_bytes())?;
        }
        // Without this systemd tells nobody.
        self.manager("Subscribe", "", Body::default())?;
        let reply = self.manager(member, signature, body)?;
        let job = reply.arguments().into_iter().next().unwrap_or_default();
        let result = self.job_result(&job).map_err(SystemdError::Unreachable)?;
        // `skipped`: there was nothing to do.
        if matches!(result.as_str(), "done" | "skipped") {
            return Ok(());
        }
        Err(SystemdError::Job { unit: unit.to_owned(), result })
    }

    /// `JobRemoved` has id, path, unit and result.
    fn job_result(&mut self, job: &str) -> io::Result<String> {
        loop {
            let message = match self.signals.pop_front() {
                Some(signal) => signal,
                None => self.receive()?,
            };
            if message.kind != SIGNAL || message.member != "JobRemoved" {
                continue;
            }
            let mut arguments = message.arguments();
            if arguments.get(1).is_some_and(|path| path == job) {
                return Ok(arguments.pop().unwrap_or_default());
            }
        }
    }

    fn call(
        &mut self,
        destination: &str,
        path: &str,
        interface: &str,
        member: &str,
        signature: &str,
        body: Vec<u8>,
    ) -> Result<Message, SystemdError> {
        self.serial += 1;
        let call = Message {
            kind: CALL,
            serial: self.serial,
            path: path.to_owned(),
            interface: interface.to_owned(),
            member: member.to_owned(),
            // systemd itself takes no destination.
            destination: if self.is_bus { destination.to_owned() } else { String::new() },
            signature: signature.to_owned(),
            body,
            ..Message::default()
        };
        self.stream.write_all(&call.render()).map_err(SystemdError::Unreachable)?;
        loop {
            let message = self.receive().map_err(SystemdError::Unreachable)?;
            match message.kind {
                REPLY if message.reply_to == self.serial => return Ok(message),
                ERROR if message.reply_to == self.serial => {
                    let text = message.arguments().into_iter().next().unwrap_or_default();
                    return Err(SystemdError::Refused { name: message.error, text });
                }
                SIGNAL => self.signals.push_back(message),
                _ => {}
            }
        }
    }

    fn receive(&mut self) -> io::Result<Message> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {PATIENCE:?}")));
        }
        self.stream.set_read_timeout(Some(left))?;
        Message::read(&mut self.stream)
    }
}
