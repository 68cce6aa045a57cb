//! The data directory: where it is, what is in it, and how other commands find who runs on it.

use std::fs::DirBuilder;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use engine::task::{TaskDefinition, VolumeKind};
use host::store::Store;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cli::Failure;

/// A data directory, which need not exist yet.
#[derive(Debug, Clone)]
pub(crate) struct Home(PathBuf);

/// Who runs on a data directory, as `local.json` tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Running {
    pub endpoint: String,
    pub pid: u32,
    pub started: Timestamp,
    /// As `DOCKER_HOST` has it.
    pub docker: String,
    pub cluster: String,
}

/// A task of an agent that is gone, as far as the host has something of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeftTask {
    pub arn: String,
    /// What the Engine calls the volumes that were made for it alone.
    pub own_volumes: Vec<String>,
    /// As Docker names the parent of its containers.
    pub cgroup: Option<String>,
}

/// Takes `local.json` away when it is dropped.
#[derive(Debug)]
pub(crate) struct Announcement(PathBuf);

impl Drop for Announcement {
    fn drop(&mut self) {
        // One that stays is found to be stale by the next who asks.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Home {
    /// The directory that was named, or the user's own.
    ///
    /// # Errors
    /// None was named and the user has no home.
    pub(crate) fn choose(named: Option<&Path>) -> Result<Self, Failure> {
        let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
        Self::choose_from(named, rustix::process::geteuid().is_root(), &variable)
    }

    pub(super) fn choose_from(
        named: Option<&Path>,
        is_root: bool,
        variable: &dyn Fn(&str) -> Option<PathBuf>,
    ) -> Result<Self, Failure> {
        if let Some(named) = named {
            return std::path::absolute(named)
                .map(Self)
                .map_err(|error| Failure::usage(format!("--data-dir {}: {error}", named.display())));
        }
        if is_root {
            return Ok(Self("/var/lib/longshore".into()));
        }
        let is_useful = |path: &PathBuf| path.is_absolute();
        let state = variable("XDG_STATE_HOME").filter(is_useful);
        let state = state.or_else(|| variable("HOME").filter(is_useful).map(|home| home.join(".local/state")));
        state.map(|state| Self(state.join("longshore"))).ok_or_else(|| {
            Failure::new("there is no place for the state: HOME is not set").next("Name one: --data-dir DIR")
        })
    }

    /// This very directory.
    pub(crate) const fn at(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn plane_store(&self) -> PathBuf {
        self.0.join("plane.db")
    }

    /// The agent's data directory. Its parent is what the host sees, as the reference has it (spec 40 §3.6).
    pub(super) fn agent_data(&self) -> PathBuf {
        self.0.join("agent/data")
    }

    fn agent_store(&self) -> PathBuf {
        self.agent_data().join("longshore.db")
    }

    pub(super) fn agent_on_host(&self) -> PathBuf {
        self.0.join("agent")
    }

    pub(super) fn log_file(&self) -> PathBuf {
        self.0.join("log/agent.log")
    }

    /// Further settings of the agent, in the reference's form.
    pub(super) fn agent_config(&self) -> PathBuf {
        self.0.join("agent.json")
    }

    fn announcement(&self) -> PathBuf {
        self.0.join("local.json")
    }

    /// Makes the directories, for nobody else to read.
    pub(super) fn create(&self) -> Result<(), Failure> {
        for directory in [self.agent_data(), self.0.join("log")] {
            DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(|error| {
                Failure::new(format!("cannot make {}: {error}", directory.display()))
                    .next("Choose another place: --data-dir DIR")
            })?;
        }
        Ok(())
    }

    /// Lets other commands find us, until the answer is dropped.
    pub(super) fn announce(&self, running: &Running) -> Result<Announcement, Failure> {
        let path = self.announcement();
        let fresh = self.0.join("local.json.new");
        let write = || {
            let mut file =
                std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
            file.write_all(serde_json::to_string_pretty(running)?.as_bytes())?;
            drop(file);
            std::fs::rename(&fresh, &path)
        };
        write().map_err(|error: std::io::Error| Failure::new(format!("cannot write {}: {error}", path.display())))?;
        Ok(Announcement(path))
    }

    /// Who says to run here. It may be gone without a farewell.
    pub(crate) fn running(&self) -> Option<Running> {
        serde_json::from_slice(&std::fs::read(self.announcement()).ok()?).ok()
    }

    /// The tasks of an agent that is gone. All that it made is theirs: it writes a task down before it makes anything.
    ///
    /// # Errors
    /// Its store is in use, damaged or not readable.
    pub(crate) fn left_tasks(&self) -> anyhow::Result<Vec<LeftTask>> {
        let opened = Store::open(&self.agent_store(), "agent")?;
        if let Some(aside) = opened.set_aside {
            anyhow::bail!("{} was damaged, so that its tasks are not known", aside.display());
        }
        let rows = opened.store.load_all()?;
        rows.iter().filter(|row| row.table == "task").map(|row| left_task(&row.value)).collect()
    }
}

fn left_task(row: &str) -> anyhow::Result<LeftTask> {
    let task: TaskDefinition = serde_json::from_str(row)?;
    // Its members may be missing, and containers are looked for by this one.
    anyhow::ensure!(!task.arn.as_str().is_empty(), "a stored task has no ARN");
    let own_volumes = task.volumes.iter().filter_map(|volume| match &volume.kind {
        VolumeKind::Docker { docker_name, is_shared: false, .. } => Some(docker_name.clone()),
        _ => None,
    });
    Ok(LeftTask {
        arn: task.arn.to_string(),
        own_volumes: own_volumes.collect(),
        cgroup: task.cgroup.map(|cgroup| cgroup.parent),
    })
}
