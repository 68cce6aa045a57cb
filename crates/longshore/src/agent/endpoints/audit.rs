//! The audit log (spec 30 §1.5): one line for each credentials request and each request that was throttled.
//! Lines are written by a thread of their own, so that a slow disk does not delay credentials.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use jiff::Timestamp;

use crate::agent::vault::RoleKind;
use crate::config::{Config, LogRollover};
use crate::log::RollingFile;

/// More lines than this cannot wait for the disk.
const MOST_WAITING: usize = 4096;

/// Who asked for what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub status: u16,
    pub peer: SocketAddr,
    /// Without the query.
    pub path: &'a str,
    pub user_agent: &'a str,
    /// Whose credentials were given out; `None` for failures and throttled requests.
    pub granted: Option<Granted<'a>>,
}

/// Credentials that were given out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Granted<'a> {
    pub task: &'a str,
    pub kind: RoleKind,
    pub cluster: &'a str,
    pub instance: &'a str,
}

/// Where audit lines go.
pub(crate) struct Audit {
    lines: Option<SyncSender<(Timestamp, String)>>,
}

impl Audit {
    /// Into the file and onto standard output as configured; nowhere when auditing is off.
    pub(crate) fn start(config: &Config) -> Self {
        let Some(path) = config.credentials.audit_log.clone() else { return Self::off() };
        let rollover = match config.logging.rollover {
            LogRollover::Never => LogRollover::Hourly { keep: 0 },
            other => other,
        };
        let (sender, receiver) = sync_channel(MOST_WAITING);
        let started =
            std::thread::Builder::new().name("audit".to_owned()).spawn(move || write_lines(&receiver, path, rollover));
        match started {
            Ok(_) => Self { lines: Some(sender) },
            Err(error) => {
                tracing::error!(%error, "Cannot start the audit log");
                Self::off()
            }
        }
    }

    pub(crate) const fn off() -> Self {
        Self { lines: None }
    }

    #[cfg(test)]
    pub(super) fn to_channel() -> (Self, Receiver<(Timestamp, String)>) {
        let (sender, receiver) = sync_channel(MOST_WAITING);
        (Self { lines: Some(sender) }, receiver)
    }

    pub(super) fn note(&self, entry: &Entry<'_>, now: Timestamp) {
        let Some(lines) = &self.lines else { return };
        match lines.try_send((now, render(entry, now))) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => {}
            Err(TrySendError::Full(_)) => tracing::warn!("The audit log is too slow; a line is lost"),
        }
    }
}

fn write_lines(lines: &Receiver<(Timestamp, String)>, path: PathBuf, rollover: LogRollover) {
    let mut file = RollingFile::new(path, rollover);
    let mut has_failed = false;
    while let Ok((at, line)) = lines.recv() {
        // Nobody may read the console.
        let _ = std::io::stdout().lock().write_all(line.as_bytes());
        if let Err(error) = file.write(line.as_bytes(), at) {
            if !has_failed {
                tracing::error!(%error, "Cannot write the audit log");
            }
            has_failed = true;
        }
    }
}

fn render(entry: &Entry<'_>, now: Timestamp) -> String {
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    // An id in the path is as good as the credentials themselves.
    let path = if entry.path.starts_with("/v2/credentials/") { "/v2/credentials" } else { entry.path };
    let seconds = now.strftime("%Y-%m-%dT%H:%M:%SZ");
    let mut line = format!("{seconds} {} {} {} {} ", entry.status, entry.peer, quoted(path), quoted(entry.user_agent));
    match entry.granted {
        None => line.push_str("- "),
        Some(granted) => {
            let event = match granted.kind {
                RoleKind::Application => "GetCredentials",
                RoleKind::Execution => "GetCredentialsExecutionRole",
            };
            let (task, cluster, instance) =
                (or_dash(granted.task), or_dash(granted.cluster), or_dash(granted.instance));
            // Writing to a String cannot fail.
            let _ = write!(line, "{task} {event} 2 {cluster} {instance}");
        }
    }
    line.push('\n');
    line
}

/// In quotes, with what would break the line escaped.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            character if character.is_control() => quoted.extend(character.escape_default()),
            character => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn check(entry: &Entry<'_>, expected: &str) {
        let now: Timestamp = "2031-02-03T04:05:06.789Z".parse().unwrap();
        assert_eq!(render(entry, now), expected);
    }

    #[test]
    fn lines_are_the_references() {
        let peer = "172.17.0.5:41822".parse().unwrap();
        let granted = Granted { task: "arn:t", kind: RoleKind::Application, cluster: "shop", instance: "arn:i" };
        let mut entry = Entry {
            status: 200,
            peer,
            path: "/v2/credentials/secret",
            user_agent: "aws-sdk-rust/1.3",
            granted: Some(granted),
        };
        check(
            &entry,
            "2031-02-03T04:05:06Z 200 172.17.0.5:41822 \"/v2/credentials\" \"aws-sdk-rust/1.3\" arn:t GetCredentials 2 shop arn:i\n",
        );
        entry.granted = Some(Granted { kind: RoleKind::Execution, cluster: "", instance: "", ..granted });
        check(
            &entry,
            "2031-02-03T04:05:06Z 200 172.17.0.5:41822 \"/v2/credentials\" \"aws-sdk-rust/1.3\" arn:t GetCredentialsExecutionRole 2 - -\n",
        );
        entry = Entry { status: 400, path: "/v1/credentials", user_agent: "", granted: None, ..entry };
        check(&entry, "2031-02-03T04:05:06Z 400 172.17.0.5:41822 \"/v1/credentials\" \"\" - \n");
        entry = Entry { status: 429, path: "/v4/a\nb", user_agent: "x\"y", ..entry };
        check(&entry, "2031-02-03T04:05:06Z 429 172.17.0.5:41822 \"/v4/a\\nb\" \"x\\\"y\" - \n");
    }
}
