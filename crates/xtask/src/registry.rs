//! Image registries on loopback, for as long as the tests run.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use lab::Engine;

use crate::image;
use crate::process::{say, scratch};

/// Who may use the second registry. The hash is of the password `longshore-test`; it guards nothing but a test.
const LOGIN: &str = "longshore:$2b$05$Y4U2bMOgHujbAL5qf1T1j.H7EQDfVLjq9fe1VhVfq4cj7KIpQtnqW\n";

/// Docker's auth configuration of nobody: `{}`.
const NOBODY: &str = "e30=";

/// A registry. Dropping it ends it.
pub(crate) struct Registry {
    child: Child,
    port: u16,
}

impl Registry {
    /// Starts a registry on a free port, open to all.
    pub(crate) fn open() -> Result<Self> {
        Self::start("registry", "")
    }

    /// Starts a registry that wants a login.
    pub(crate) fn locked() -> Result<Self> {
        let folder = scratch("registry-locked")?;
        let file = folder.join("htpasswd");
        std::fs::write(&file, LOGIN)?;
        Self::start("registry-locked", &format!("auth: {{htpasswd: {{realm: longshore, path: {}}}}}\n", file.display()))
    }

    fn start(name: &str, more: &str) -> Result<Self> {
        let folder = scratch(name)?;
        let port = lab::free_port()?;
        let config = folder.join("config.yml");
        let data = folder.join("data");
        std::fs::write(&config, render(&data, port) + more)?;
        let log = std::fs::File::create(folder.join("log"))?;
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("starting docker-registry")?;
        say(&format!("started a registry on 127.0.0.1:{port}"));
        let registry = Self { child, port };
        lab::wait_for("the registry to answer", Duration::from_secs(20), || {
            Ok(std::net::TcpStream::connect(("127.0.0.1", port)).ok())
        })
        .with_context(|| format!("see {}", folder.join("log").display()))?;
        Ok(registry)
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Puts our image into the registry, as `busybox:latest`; no name for it stays behind in the Engine.
    pub(crate) fn fill(&self, engine: &Engine) -> Result<()> {
        let repository = format!("{}/busybox", self.address());
        engine.tag(&format!("{}:latest", image::REPOSITORY), &repository, "latest")?;
        let pushed = engine.push(&repository, "latest", NOBODY);
        engine.untag(&format!("{repository}:latest"))?;
        pushed
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn render(data: &Path, port: u16) -> String {
    format!(
        "version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n\
         storage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\n",
        data.display()
    )
}
