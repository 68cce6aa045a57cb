//! A Docker Engine of a test's own, which may be killed and restarted without harm to anybody else's containers.
//!
//! Its folder, sockets, images and cgroups are its own; so are its mount and its network namespace, so that bridges and
//! packet filter rules of it stay in there. A guard holds the namespaces and ends all that belongs to the Engine when
//! its owner is gone, however that went. All this needs root.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::Engine;
use crate::agent::{Signal, send, wait};

/// How long an Engine may take to answer, or to stop its containers and itself.
const LIMIT: Duration = Duration::from_secs(60);

/// Waits until its input ends, then ends and removes whatever names the Engine's folder. A container's processes name
/// it not, but their shim, their parent, does.
const GUARD: &str = r#"
folder=$1 group=$2
ip link set lo up
echo ready >"$folder/guard"
cat >/dev/null
for round in 1 2 3 4 5 6; do
  found=
  for file in $(grep -las -- "$folder/run" /proc/[0-9]*/cmdline 2>/dev/null); do
    pid=${file#/proc/}; pid=${pid%/cmdline}
    [ "$pid" = $$ ] && continue
    found=1
    kill -9 $(cat /proc/$pid/task/*/children 2>/dev/null) $pid 2>/dev/null
  done
  [ -z "$found" ] && break
  sleep 0.1
done
# Twice: what lies above another mount goes first.
for round in 1 2; do
  grep -o " $folder/[^ ]*" /proc/mounts | sort -r | while read -r mount; do umount -l "$mount" 2>/dev/null; done
done
find /sys/fs/cgroup -depth -type d -path "*/$group*" -exec rmdir {} \; 2>/dev/null
rm -rf "$folder"
"#;

/// What network an Engine's containers have, in a namespace of the Engine's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// No bridge and no rules: containers have loopback. A daemon without a bridge removes the one that it finds, so
    /// this too needs a namespace.
    None,
    /// A bridge and rules, and no way out.
    Own,
}

/// A private Engine. Dropping it ends it with its containers and removes all that it kept.
pub struct Daemon {
    folder: PathBuf,
    arguments: Vec<String>,
    guard: Child,
    child: Option<Child>,
}

impl Daemon {
    /// Whether this process may have one: it has to be root's.
    #[must_use]
    pub fn is_possible() -> bool {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"));
        uid.and_then(|uid| uid.split_ascii_whitespace().nth(1)) == Some("0")
    }

    /// Starts one and waits until it answers; `extra` goes to `dockerd`.
    ///
    /// # Errors
    /// It does not answer within a minute; the message ends with its log.
    pub fn start(network: Network, extra: &[&str]) -> Result<Self> {
        let folder =
            tempfile::Builder::new().prefix("dockerd-").tempdir().context("making the Engine's folder")?.keep();
        for name in ["data", "run"] {
            std::fs::create_dir(folder.join(name))?;
        }
        std::fs::write(folder.join("daemon.json"), "{}")?;
        let group = format!("lab-{}", crate::hex(8));
        let guard = guard(&folder, &group)?;
        let at = |name: &str| folder.join(name).display().to_string();
        let mut arguments: Vec<String> = vec![
            format!("--config-file={}", at("daemon.json")),
            format!("--data-root={}", at("data")),
            format!("--exec-root={}", at("run")),
            format!("--pidfile={}", at("docker.pid")),
            format!("--host=unix://{}", at("docker.sock")),
            format!("--cgroup-parent=/{group}"),
        ];
        if network == Network::None {
            let off =
                ["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"];
            arguments.extend(off.map(str::to_owned));
        }
        arguments.extend(extra.iter().map(|word| (*word).to_owned()));
        let mut daemon = Self { folder, arguments, guard, child: None };
        daemon.restart()?;
        Ok(daemon)
    }

    /// Starts it again after [`Self::stop`] and waits until it answers.
    ///
    /// # Errors
    /// It runs, or does not answer within a minute; the message ends with its log.
    pub fn restart(&mut self) -> Result<()> {
        if self.child.is_some() {
            bail!("the Engine runs");
        }
        self.forget_dead_containerd();
        let log = File::options().create(true).append(true).open(self.folder.join("log"))?;
        let mut command = self.command("dockerd");
        command.args(&self.arguments).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // A key pressed at the terminal is for the test alone.
        let child = command.process_group(0).spawn().context("starting dockerd")?;
        self.child = Some(child);
        let engine = self.engine();
        crate::wait_for("the private Docker Engine to answer", LIMIT, || {
            let ended = self.child.as_mut().map(Child::try_wait).transpose()?.flatten();
            match ended {
                Some(status) => bail!("dockerd ended with {status}"),
                None => Ok(engine.is_up().then_some(())),
            }
        })
        .with_context(|| format!("its log ends:\n{}", self.log_tail()))
    }

    /// A killed `dockerd` takes its containerd along. Where nobody reaps that, a new `dockerd` takes the remains for a
    /// process that is about to answer, and waits in vain.
    fn forget_dead_containerd(&self) {
        let file = self.folder.join("run/containerd/containerd.pid");
        let Ok(pid) = std::fs::read_to_string(&file) else { return };
        let is_dead = || {
            let status = std::fs::read_to_string(format!("/proc/{}/status", pid.trim())).unwrap_or_default();
            Ok((status.is_empty() || status.contains("State:\tZ")).then_some(()))
        };
        // It may be about to die; one that lives on is used.
        if crate::wait_for("containerd to end", Duration::from_secs(1), is_dead).is_ok() {
            drop(std::fs::remove_file(&file));
        }
    }

    /// Ends `dockerd`. Asked politely it stops its containers first, unless it was started with `--live-restore`;
    /// killed, it leaves them, and containerd, as they are.
    ///
    /// # Errors
    /// It does not run, or does not end within a minute.
    pub fn stop(&mut self, signal: Signal) -> Result<ExitStatus> {
        let mut child = self.child.take().context("the Engine does not run")?;
        send(&child, signal)?;
        wait(&mut child, LIMIT)
    }

    /// Its API.
    #[must_use]
    pub fn engine(&self) -> Engine {
        Engine::at(self.folder.join("docker.sock"))
    }

    /// What `DOCKER_HOST` has to be.
    #[must_use]
    pub fn host(&self) -> String {
        format!("unix://{}", self.folder.join("docker.sock").display())
    }

    /// A process that holds the Engine's namespaces, for `nsenter --target`.
    #[must_use]
    pub fn holder(&self) -> u32 {
        self.guard.id()
    }

    /// A command that will run inside the Engine's namespaces. The process is the program itself.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg("--target").arg(self.holder().to_string()).args(["--mount", "--net"]);
        // A new mount namespace puts one into its root folder.
        command.args(["--wd=/", "--", program]);
        command
    }

    /// Does something within the Engine's network, in a thread of its own. A socket that is made there stays there.
    ///
    /// # Errors
    /// The network cannot be entered, or `inside` fails.
    pub fn within<T: Send + 'static>(&self, inside: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        use std::os::fd::AsFd;
        let network = File::open(format!("/proc/{}/ns/net", self.holder())).context("opening the network")?;
        let thread = std::thread::spawn(move || {
            let kind = rustix::thread::LinkNameSpaceType::Network;
            rustix::thread::move_into_link_name_space(network.as_fd(), Some(kind)).context("entering the network")?;
            inside()
        });
        match thread.join() {
            Ok(outcome) => outcome,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Takes over an image of another Engine, all its names included.
    ///
    /// # Errors
    /// Either Engine refuses.
    pub fn take_image(&self, from: &Engine, image: &str) -> Result<()> {
        let saved = from.request("GET", &format!("/images/{image}/get"), &[], &[])?;
        if saved.status != 200 {
            bail!("saving {image}: {} {}", saved.status, String::from_utf8_lossy(&saved.body).trim());
        }
        let loaded = self.engine().request(
            "POST",
            "/images/load?quiet=1",
            &[("Content-Type", "application/x-tar")],
            &saved.body,
        )?;
        if loaded.status != 200 || !self.engine().has_image(image) {
            bail!("loading {image}: {} {}", loaded.status, String::from_utf8_lossy(&loaded.body).trim());
        }
        Ok(())
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        drop(self.guard.wait());
        if let Some(mut child) = self.child.take() {
            drop(child.wait());
        }
    }
}

/// Starts the guard, in new namespaces, and waits until they are ready.
fn guard(folder: &Path, group: &str) -> Result<Child> {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--net", "--", "sh", "-c", GUARD, "guard"]).arg(folder).arg(group);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let guard = command.current_dir("/").process_group(0).spawn().context("starting unshare")?;
    let ready = folder.join("guard");
    crate::wait_for("the namespaces of a private Docker Engine", LIMIT, || Ok(ready.exists().then_some(())))?;
    Ok(guard)
}

#[cfg(test)]
mod tests;
