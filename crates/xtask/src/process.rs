//! Running programs, and where things are.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
pub(crate) use lab::has;

/// Says what is about to be installed, started or built.
pub(crate) fn say(text: &str) {
    eprintln!("xtask: {text}");
}

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).map_or(own.clone(), PathBuf::from)
}

/// A folder for what these commands make; below cargo's own, so that it is ignored and cleaned alike.
///
/// # Errors
/// It cannot be made.
pub(crate) fn scratch(name: &str) -> Result<PathBuf> {
    let folder = target().join("xtask").join(name);
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    Ok(folder)
}

/// Cargo's target folder.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |folder| root().join(folder))
}

/// The cargo that runs us.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs a command that must succeed; it shares our terminal.
///
/// # Errors
/// It does not succeed.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().display().to_string();
    let status = command.status().with_context(|| format!("running {name}"))?;
    if !status.success() {
        bail!("{} failed: {status}", shown(command));
    }
    Ok(())
}

/// Whether a command succeeds, without a word.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let arguments = command.get_args().map(|argument| argument.display().to_string());
    std::iter::once(command.get_program().display().to_string()).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// Whether we may do anything on this machine.
pub(crate) fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    // Real, effective, saved and file-system user.
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    uid.and_then(|uid| uid.split_ascii_whitespace().nth(1)) == Some("0")
}

/// A command with root's rights: as it is for root, else through `sudo` where that asks no password.
///
/// # Errors
/// There is no way; the message says what to run, `what` included.
pub(crate) fn privileged(program: &str, what: &str) -> Result<Command> {
    if is_root() {
        return Ok(Command::new(program));
    }
    if succeeds(Command::new("sudo").args(["-n", "true"])) {
        let mut command = Command::new("sudo");
        command.args(["-n", program]);
        return Ok(command);
    }
    bail!("this needs root, and sudo would ask for a password. Please run, then try again:\n\n    {what}\n")
}
