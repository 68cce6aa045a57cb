//! All tests, with all that they need around them.

use anyhow::Result;

use crate::process::{self, cargo};
use crate::registry::Registry;
use crate::{image, install};

pub(crate) fn run(rest: &[&str]) -> Result<()> {
    let engine = install::engine()?;
    install::packages(&[("docker-registry", "docker-registry"), ("busybox-static", "busybox")])?;
    image::ensure(&engine)?;
    let programs = install::clients()?;
    let has_nextest = install::nextest();
    let open = Registry::open()?;
    open.fill(&engine)?;
    let locked = Registry::locked()?;

    let mut command = cargo();
    if has_nextest {
        command.args(["nextest", "run", "--workspace", "--locked"]);
        // No one looks at a progress bar that is not on a terminal.
        command.args(["--show-progress", "none"]);
    } else {
        command.args(["test", "--workspace", "--locked"]);
    }
    command
        .args(rest)
        .env("LONGSHORE_TEST_IMAGE", format!("{}:latest", image::REPOSITORY))
        .env("LONGSHORE_TEST_REGISTRY", open.address())
        .env("LONGSHORE_TEST_REGISTRY_LOCKED", locked.address())
        .env("LONGSHORE_TEST_PROGRAMS", programs)
        // A failed test's message says enough; panics keep their traces.
        .env("RUST_LIB_BACKTRACE", "0");
    // Nothing may be printed after this: the runner's summary is the last word.
    process::run(&mut command)
}
