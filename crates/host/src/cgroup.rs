//! Cgroups: which hierarchy the machine has, and a task's own group in it, written as files. Paths and names are a
//! contract with Docker and with those who watch tasks from outside (spec 20 §11); what limits a task has is decided
//! elsewhere.
//!
//! Only where Docker uses the cgroupfs driver is the tree ours to write; with the systemd driver [`slice`] asks systemd.

mod slice;
mod v1;
mod v2;

use std::io;
use std::path::{Component, Path, PathBuf};

use thiserror::Error;

use slice::Socket;
pub use slice::SystemdError;

/// Version of the hierarchy at a mount point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupVersion {
    /// One hierarchy per controller, or no cgroups at all.
    V1,
    /// The unified hierarchy.
    V2,
}

/// The version at `mount` (normally `/sys/fs/cgroup`): v2 when the unified hierarchy itself is mounted there
/// (spec 40 §2.6). A hybrid layout, with the unified hierarchy one level below, counts as v1.
#[must_use]
pub fn cgroup_version(mount: &Path) -> CgroupVersion {
    const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;
    match rustix::fs::statfs(mount) {
        Ok(statfs) if u64::try_from(statfs.f_type).is_ok_and(|magic| magic == CGROUP2_SUPER_MAGIC) => CgroupVersion::V2,
        _ => CgroupVersion::V1,
    }
}

/// What all processes of a group may use together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub cpu: Cpu,
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u32>,
}

/// A share or a hard limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cpu {
    /// In the unit of cgroup v1: 1024 to a CPU, from 2 to 262144.
    Shares(u64),
    /// Microseconds of CPU time in each period of so many microseconds.
    Quota { quota: u64, period: u64 },
}

impl Cpu {
    /// Shares in the unit of cgroup v2, from 1 to 10000.
    const fn weight(shares: u64) -> u64 {
        1 + (shares.saturating_sub(2) * 9999) / 262_142
    }
}

/// What went wrong with a group.
#[derive(Debug, Error)]
pub enum CgroupError {
    #[error("{what} {}: {source}", path.display())]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error("controller {controller} is not available below {}", mount.display())]
    NoController { controller: &'static str, mount: PathBuf },
    #[error("{0:?} names no cgroup of a task")]
    Name(String),
    #[error(transparent)]
    Systemd(#[from] SystemdError),
}

/// Where groups of tasks are.
#[derive(Debug, Clone)]
pub struct Cgroups {
    mount: PathBuf,
    version: CgroupVersion,
    /// Where systemd can be asked for slices.
    systemd: Vec<Socket>,
}

/// The group that all tasks' groups are in, with the cgroupfs driver.
const ROOT: &str = "ecs";

impl Cgroups {
    /// Groups below `mount`, normally `/sys/fs/cgroup`. `bus` is `DBUS_SYSTEM_BUS_ADDRESS`, where that is set.
    #[must_use]
    pub fn at(mount: &Path, bus: Option<&str>) -> Self {
        Self { mount: mount.to_owned(), version: cgroup_version(mount), systemd: Socket::all(bus) }
    }

    #[must_use]
    pub const fn version(&self) -> CgroupVersion {
        self.version
    }

    /// Makes the group that tasks' groups are in, and sees to it that limits can be set there.
    ///
    /// # Errors
    /// A controller is missing, or the tree cannot be written.
    pub fn prepare(&self) -> Result<(), CgroupError> {
        match self.version {
            CgroupVersion::V1 => v1::prepare(&self.mount, ROOT),
            CgroupVersion::V2 => v2::prepare(&self.mount, ROOT),
        }
    }

    /// Sees to it that tasks can have slices with limits: the controllers are there, and systemd answers.
    ///
    /// # Errors
    /// A controller is missing, or systemd cannot be reached.
    pub fn prepare_slices(&self) -> Result<(), CgroupError> {
        match self.version {
            CgroupVersion::V1 => v1::check(&self.mount)?,
            CgroupVersion::V2 => v2::enable(&self.mount)?,
        }
        slice::reach(&self.systemd)
    }

    /// Makes a task's group where it is missing, and sets its limits; with `keeps_limits` only those of a group that
    /// had to be made. `parent` is Docker's name for it: a path such as `/ecs/<task>`, or a slice.
    ///
    /// # Errors
    /// The kernel refuses the group or a limit. Part of it may be there then.
    pub fn create(&self, parent: &str, limits: &Limits, keeps_limits: bool) -> Result<(), CgroupError> {
        match (Group::parse(parent)?, self.version) {
            (Group::Path(path), CgroupVersion::V1) => v1::create(&self.mount, &path, limits, keeps_limits),
            (Group::Path(path), CgroupVersion::V2) => v2::create(&self.mount, &path, limits, keeps_limits),
            (Group::Slice(name), version) => {
                slice::create(&self.systemd, (&self.mount, version), name, limits, keeps_limits)
            }
        }
    }

    /// Removes a task's group and what is below it. One that is not there is success.
    ///
    /// # Errors
    /// Processes are still in it.
    pub fn remove(&self, parent: &str) -> Result<(), CgroupError> {
        match (Group::parse(parent)?, self.version) {
            (Group::Path(path), CgroupVersion::V1) => v1::remove(&self.mount, &path),
            (Group::Path(path), CgroupVersion::V2) => remove_tree(&self.mount.join(path)),
            (Group::Slice(name), version) => slice::remove(&self.systemd, (&self.mount, version), name),
        }
    }
}

/// Docker's two ways to name a parent.
#[derive(Debug)]
enum Group<'a> {
    /// Relative to the root of a hierarchy.
    Path(PathBuf),
    Slice(&'a str),
}

impl<'a> Group<'a> {
    /// Reads a name. The last part is a task's id and comes from outside: nothing may lead out of the tree.
    fn parse(parent: &'a str) -> Result<Self, CgroupError> {
        let wrong = || CgroupError::Name(parent.to_owned());
        if let Some(path) = parent.strip_prefix('/') {
            let parts: Vec<_> = Path::new(path).components().collect();
            let is_plain = parts.len() == 2 && parts.iter().all(|part| matches!(part, Component::Normal(_)));
            return if is_plain { Ok(Self::Path(PathBuf::from(path))) } else { Err(wrong()) };
        }
        match parent.strip_suffix(".slice") {
            Some(name) if !name.is_empty() && !name.contains(['/', '\0']) => Ok(Self::Slice(parent)),
            _ => Err(wrong()),
        }
    }
}

/// Where Docker puts a container with this `CgroupParent`, below the root of each hierarchy.
pub(crate) fn of_container(parent: &str, id: &str) -> Option<PathBuf> {
    Some(match Group::parse(parent).ok()? {
        Group::Path(path) => path.join(id),
        Group::Slice(name) => slice::path(name).join(format!("docker-{id}.scope")),
    })
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CgroupError {
    let path = path.to_owned();
    move |source| CgroupError::Io { what, path, source }
}

fn write(dir: &Path, file: &str, value: &str) -> Result<(), CgroupError> {
    let path = dir.join(file);
    std::fs::write(&path, value).map_err(failed("cannot write", &path))
}

fn read(dir: &Path, file: &str) -> Result<String, CgroupError> {
    let path = dir.join(file);
    std::fs::read_to_string(&path).map_err(failed("cannot read", &path))
}

/// Makes one group; whether it was missing.
fn make(dir: &Path) -> Result<bool, CgroupError> {
    match std::fs::create_dir(dir) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(failed("cannot make", dir)(error)),
    }
}

/// Removes a group, those below it first. Groups are removed as directories although files are in them.
fn remove_tree(dir: &Path) -> Result<(), CgroupError> {
    match std::fs::remove_dir(dir) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(_) => {}
    }
    for entry in std::fs::read_dir(dir).map_err(failed("cannot list", dir))?.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path())?;
        }
    }
    match std::fs::remove_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("cannot remove", dir)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
