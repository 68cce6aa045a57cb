//! Running the host's tools: where they are, how long they may take, and what they say when they fail.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Beyond the 5 seconds that iptables waits for its lock.
const LIMIT: Duration = Duration::from_secs(15);

/// Beside those of `PATH`, which of users often lacks them.
const MORE_FOLDERS: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/// Why packet rules, or what belongs to them, cannot be looked at or changed.
#[derive(Debug, thiserror::Error)]
pub enum NetfilterError {
    #[error("{wanted} is not installed")]
    NoTool { wanted: &'static str },
    #[error("{command}: {source}")]
    NotStarted { command: String, source: std::io::Error },
    #[error("{command}: {status}: {said}")]
    Failed { command: String, status: std::process::ExitStatus, said: String },
    #[error("{command}: no answer within {} s", LIMIT.as_secs())]
    TimedOut { command: String },
    #[error("{path}: {source}")]
    Setting { path: String, source: std::io::Error },
}

impl NetfilterError {
    /// Whether more rights would help.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        match self {
            // The tools have no exit status of their own for it.
            Self::Failed { said, .. } => said.contains("Permission denied") || said.contains("not permitted"),
            Self::NotStarted { source, .. } | Self::Setting { source, .. } => {
                source.kind() == std::io::ErrorKind::PermissionDenied
            }
            Self::NoTool { .. } | Self::TimedOut { .. } => false,
        }
    }
}

/// What a tool that was run said.
pub(super) struct Said {
    pub status: std::process::ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

/// The first file of this name in `PATH` and the usual folders beside it.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(MORE_FOLDERS.iter().map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Runs a tool to its end, whatever that is.
///
/// # Errors
/// It cannot be started or does not end.
pub(super) async fn run(program: &Path, arguments: &[String], input: Option<&str>) -> Result<Said, NetfilterError> {
    let shown = || shown(program, arguments);
    let failed = |source| NetfilterError::NotStarted { command: shown(), source };
    let mut command = Command::new(program);
    // What it says is read by programs.
    command.args(arguments).env("LC_ALL", "C").kill_on_drop(true).current_dir("/");
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
    let whole = async {
        if let (Some(text), Some(mut stdin)) = (input, child.stdin.take()) {
            // One that does not read its input says why at its end.
            let _ = stdin.write_all(text.as_bytes()).await;
        }
        child.wait_with_output().await
    };
    let output = tokio::time::timeout(LIMIT, whole).await;
    let output = output.map_err(|_| NetfilterError::TimedOut { command: shown() })?.map_err(failed)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    Ok(Said { status: output.status, stdout: text(&output.stdout), stderr: text(&output.stderr) })
}

/// What it printed, if it succeeds.
///
/// # Errors
/// See [`run`]; or it fails.
pub(super) async fn run_well(
    program: &Path,
    arguments: &[String],
    input: Option<&str>,
) -> Result<String, NetfilterError> {
    let said = run(program, arguments, input).await?;
    if said.status.success() { Ok(said.stdout) } else { Err(failure(program, arguments, said)) }
}

/// The error for what a tool said.
pub(super) fn failure(program: &Path, arguments: &[String], said: Said) -> NetfilterError {
    let words = if said.stderr.is_empty() { said.stdout } else { said.stderr };
    NetfilterError::Failed {
        command: shown(program, arguments),
        status: said.status,
        said: words.lines().map(str::trim).collect::<Vec<_>>().join(" "),
    }
}

fn shown(program: &Path, arguments: &[String]) -> String {
    let program = program.file_name().unwrap_or_default().to_string_lossy();
    let quoted = arguments.iter().map(|word| if word.contains(' ') { format!("\"{word}\"") } else { word.clone() });
    std::iter::once(program.into_owned()).chain(quoted).collect::<Vec<_>>().join(" ")
}
