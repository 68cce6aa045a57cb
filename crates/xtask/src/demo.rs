//! From a bare machine to a task that has run.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::process::{self, cargo, root, say, shown, target};
use crate::{image, install};

/// Builds the release binary and gives its path.
pub(crate) fn release_binary() -> Result<PathBuf> {
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
