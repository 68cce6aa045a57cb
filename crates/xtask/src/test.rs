//! All tests, with all that they need around them.

use anyhow::Result;

use crate::process::{self, cargo, is_root, say};
use crate::registry::Registry;
use crate::{image, install};

pub(crate) fn run(rest: &[&str]) -> Result<()> {
    let engine = install::engine()?;
    install::packages(&[("docker-registry", "docker-registry"), ("busybox-static", "busybox")])?;
    // The way in from containers is tested with every tool that does it.
    install::packages(&[("iptables", "iptables"), ("nftables", "nft"), ("iproute2", "ip")])?;
    image::ensure(&engine)?;
    let programs = install::clients()?;
    let node = install::node_clients()?;
    let has_nextest = install::nextest();
    let open = Registry::open()?;
    open.fill(&engine)?;
    let locked = Registry::locked()?;

    // For root there is no test that cannot be made.
    let is_complete = is_root() || std::env::var_os(lab::COMPLETE).is_some();
    if !is_complete {
        say("not root, so tests that need a Docker Engine or packet rules of their own are left out");
    }
    let mut command = cargo();
    if has_nextest {
        // The list of what passed helps nobody, and a progress bar needs a terminal.
        command.args(["nextest", "run", "--show-progress", "none"]);
    } else {
        command.arg("test");
    }
    let is_part = rest.iter().any(|word| matches!(*word, "-p" | "--package"));
    command.args(if is_part { &["--locked"][..] } else { &["--locked", "--workspace"] });
    command
        .args(rest)
        .env("LONGSHORE_TEST_IMAGE", format!("{}:latest", image::REPOSITORY))
        .env("LONGSHORE_TEST_REGISTRY", open.address())
        .env("LONGSHORE_TEST_REGISTRY_LOCKED", locked.address())
        .env("LONGSHORE_TEST_PROGRAMS", programs)
        .env("LONGSHORE_TEST_NODE", node)
        // A failed test's message says enough; panics keep their traces.
        .env("RUST_LIB_BACKTRACE", "0");
    if is_complete {
        command.env(lab::COMPLETE, "1");
    }
    // Nothing may be printed after this: the runner's summary is the last word.
    let done = process::run(&mut command);
    // The registry is gone with us, so the name that agents pulled by is of no use to anyone.
    drop(engine.untag(&format!("{}/busybox:latest", open.address())));
    done
}
