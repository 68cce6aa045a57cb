//! What has to be there: Debian packages, a running Docker Engine, Python clients, the test runner.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use lab::Engine;

use crate::process::{cargo, has, is_root, privileged, root, run, say, scratch, shown, succeeds};

/// Set for a second self that was started with the group's rights, so that there is no third.
const REGROUPED: &str = "LONGSHORE_XTASK_REGROUPED";

/// Installs Debian packages, if the program that each stands for is missing.
///
/// # Errors
/// There is no apt-get, or it fails.
pub(crate) fn packages(wanted: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<&str> = wanted.iter().filter(|(_, program)| !has(program)).map(|(package, _)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    let by_hand = format!("sudo apt-get update && sudo apt-get install --no-install-recommends {list}");
    if !has("apt-get") {
        bail!("missing: {list} (Debian's names); this system has no apt-get, so please install them by hand");
    }
    say(&format!("installing {list}"));
    let apt = |arguments: &[&str]| -> Result<()> {
        let mut command = privileged("env", &by_hand)?;
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]).args(arguments);
        let done = command.stdin(Stdio::null()).output().context("running apt-get")?;
        if !done.status.success() {
            bail!("{} failed:\n{}", shown(&command), String::from_utf8_lossy(&done.stderr));
        }
        Ok(())
    };
    apt(&["update", "-qq"])?;
    let mut install = vec!["install", "-y", "-qq", "--no-install-recommends"];
    install.extend_from_slice(&missing);
    apt(&install)
}

/// A Docker Engine that answers. One that runs is used as it is, whatever its version.
///
/// # Errors
/// There is none and none can be installed or started.
pub(crate) fn engine() -> Result<Engine> {
    let engine = Engine::from_env()?;
    if !engine.is_up() && !is_forbidden(&engine) {
        packages(&[("docker.io", "dockerd"), ("iptables", "iptables")])?;
        if !engine.is_up() && !is_forbidden(&engine) {
            start(&engine)?;
        }
    }
    if is_forbidden(&engine) {
        regroup()?;
    }
    Ok(engine)
}

fn is_forbidden(engine: &Engine) -> bool {
    let refused = UnixStream::connect(engine.socket()).err().map(|error| error.kind());
    refused == Some(std::io::ErrorKind::PermissionDenied)
}

fn start(engine: &Engine) -> Result<()> {
    if std::path::Path::new("/run/systemd/system").is_dir() {
        say("starting the Docker Engine: systemctl start docker");
        run(privileged("systemctl", "sudo systemctl start docker")?.args(["start", "docker"]))?;
    } else {
        let log = scratch("")?.join("dockerd.log");
        say(&format!("starting the Docker Engine: dockerd, log in {}", log.display()));
        let file = std::fs::File::create(&log)?;
        let mut command = privileged("setsid", "sudo setsid dockerd &")?;
        command.args(["--fork", "dockerd"]).current_dir("/");
        // With a group of our own, the socket is ours to use.
        if !is_root() {
            let group = Command::new("id").arg("-gn").output().context("running id")?.stdout;
            command.args(["--group", String::from_utf8_lossy(&group).trim()]);
        }
        run(command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file))?;
    }
    lab::wait_for("the Docker Engine to answer", Duration::from_secs(60), || {
        Ok((engine.is_up() || is_forbidden(engine)).then_some(()))
    })
    .context("see target/xtask/dockerd.log, or journalctl -u docker")
}

/// Joins the group that may use the Engine, and goes on as a second self with its rights.
fn regroup() -> Result<()> {
    let user = std::env::var("USER").unwrap_or_default();
    let by_hand = format!("sudo usermod -aG docker {user} && newgrp docker");
    if std::env::var_os(REGROUPED).is_some() || !has("sg") || user.is_empty() {
        bail!("the Docker Engine's socket is not open to you. Please run, then try again:\n\n    {by_hand}\n");
    }
    say(&format!("adding {user} to the group docker, which may use the Docker Engine"));
    run(privileged("usermod", &by_hand)?.args(["-aG", "docker", &user]))?;
    let words: Vec<String> = std::env::args().map(|word| format!("'{}'", word.replace('\'', r"'\''"))).collect();
    let status = Command::new("sg").args(["docker", "-c", &words.join(" ")]).env(REGROUPED, "1").status()?;
    std::process::exit(status.code().unwrap_or(1));
}

/// A Python of our own with the AWS clients, in the versions that the tests name. Gives its folder of programs.
///
/// # Errors
/// Python cannot be installed, or a package cannot be had.
pub(crate) fn clients() -> Result<PathBuf> {
    packages(&[("python3", "python3")])?;
    let folder = scratch("")?.join("venv");
    let programs = folder.join("bin");
    let wanted = root().join("crates/longshore/tests/clients/requirements.txt");
    let text = std::fs::read_to_string(&wanted).with_context(|| format!("reading {}", wanted.display()))?;
    let stamp = folder.join("requirements.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|had| had == text) {
        return Ok(programs);
    }
    if !succeeds(Command::new("python3").args(["-c", "import ensurepip, venv"])) {
        // The program stands for nothing: this Python just said that it lacks the module.
        packages(&[("python3-venv", "")])?;
    }
    say(&format!("installing boto3 and the AWS CLI from PyPI into {}", folder.display()));
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    run(Command::new(programs.join("python"))
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
        .arg(&wanted)
        .env_remove("PYTHONPATH"))?;
    std::fs::write(&stamp, text)?;
    Ok(programs)
}

/// A folder with Node's clients of the task server in `node_modules`, in the versions that the tests name.
///
/// # Errors
/// Node cannot be installed, or a package cannot be had.
pub(crate) fn node_clients() -> Result<PathBuf> {
    packages(&[("nodejs", "node"), ("npm", "npm")])?;
    let folder = scratch("node")?;
    let wanted = root().join("crates/longshore/tests/clients");
    let stamp = folder.join("installed.json");
    let lock = wanted.join("package-lock.json");
    let text = std::fs::read_to_string(&lock).with_context(|| format!("reading {}", lock.display()))?;
    if std::fs::read_to_string(&stamp).is_ok_and(|had| had == text) {
        return Ok(folder);
    }
    say(&format!("installing JavaScript clients from npm into {}", folder.display()));
    for name in ["package.json", "package-lock.json"] {
        std::fs::copy(wanted.join(name), folder.join(name)).with_context(|| format!("copying {name}"))?;
    }
    let quiet = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"];
    run(Command::new("npm").args(quiet).current_dir(&folder))?;
    std::fs::write(&stamp, text)?;
    Ok(folder)
}

/// Whether cargo-nextest can be used; it is installed if it can be.
pub(crate) fn nextest() -> bool {
    let is_there = || succeeds(cargo().args(["nextest", "--version"]));
    if is_there() {
        return true;
    }
    say("installing cargo-nextest from crates.io; this takes some minutes, once");
    let done = run(cargo().args(["install", "--quiet", "--locked", "cargo-nextest"]));
    if let Err(error) = done {
        say(&format!("{error:#}; going on with cargo test"));
    }
    is_there()
}
