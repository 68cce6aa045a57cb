//! From a bare machine to a task that has run.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::{self, cargo, root, say, shown, target};
use crate::{image, install};

/// The binary at `given`, else the release binary, which is built. Absolute, since a lab's agent is started in a folder
/// of its own.
pub(crate) fn binary(given: Option<&str>) -> Result<String> {
    let binary = match given {
        Some(path) => std::fs::canonicalize(path).with_context(|| format!("the binary {path}"))?,
        None => release_binary()?,
    };
    binary.into_os_string().into_string().ok().context("the binary's name is not Unicode")
}

/// Builds the release binary and gives its path.
fn release_binary() -> Result<PathBuf> {
    say("building the release binary; the first time takes some minutes");
    process::run(cargo().args(["build", "--release", "--locked", "--package", "longshore"]))?;
    Ok(target().join("release/longshore"))
}

pub(crate) fn run() -> Result<()> {
    let engine = install::engine()?;
    image::ensure(&engine)?;
    let longshore = release_binary()?;
    let mut command = Command::new(longshore);
    command.args(["run", "examples/web.json"]).current_dir(root());
    // A demonstration leaves the machine's packet rules alone; this task does not need them.
    command.env("LONGSHORE_NETFILTER", "off");
    say(&shown(&command));
    process::run(&mut command)
}
