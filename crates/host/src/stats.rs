//! What containers use, from the kernel's files: cgroup v1 or v2, and the network counters of their processes.
//!
//! A [`Reader`] keeps open what is read every second and opens the rest when somebody asks ([`Reader::detail`]).
//! Readings are in the units of Docker's statistics, so that they can be shown as such.

pub mod parse;
mod system;
mod v1;
mod v2;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use wire::docker::{BlkioEntry, CpuUsage, NetworkStats, ThrottlingData};

use crate::cgroup::{self, CgroupVersion, cgroup_version};

pub use system::{SystemClock, SystemCpu};

/// Where the kernel's files are.
#[derive(Debug, Clone)]
pub struct Roots {
    /// Normally `/sys/fs/cgroup`.
    pub cgroup: PathBuf,
    /// `/proc`, or the host's where this process has its own.
    pub proc: PathBuf,
    pub version: CgroupVersion,
}

impl Roots {
    /// As this machine has them.
    #[must_use]
    pub fn detect() -> Self {
        let cgroup = PathBuf::from("/sys/fs/cgroup");
        let host_proc = PathBuf::from("/host/proc");
        let proc = if host_proc.join("stat").exists() { host_proc } else { PathBuf::from("/proc") };
        Self { version: cgroup_version(&cgroup), cgroup, proc }
    }
}

/// What is read every time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    pub cpu: CpuUsage,
    /// Bytes, all of it.
    pub memory: u64,
    /// What of it can be had back at once: `inactive_file` under v2, `cache` under v1.
    pub reclaimable: u64,
    /// Bytes since the container began.
    pub block_read: u64,
    pub block_written: u64,
    /// By interface; `None` where the network is not the container's own.
    pub network: Option<BTreeMap<String, NetworkStats>>,
}

/// What is read when somebody asks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Detail {
    pub throttling: ThrottlingData,
    pub memory: u64,
    /// v1 only.
    pub memory_peak: u64,
    pub memory_failures: u64,
    /// `None` for no limit.
    pub memory_limit: Option<u64>,
    pub memory_stats: BTreeMap<String, u64>,
    pub pids: u64,
    /// 0 for no limit.
    pub pids_limit: u64,
    pub block_bytes: Vec<BlkioEntry>,
    /// v1 only.
    pub block_operations: Option<Vec<BlkioEntry>>,
}

/// Reads one container's use.
#[derive(Debug)]
pub struct Reader {
    groups: Groups,
    network: Option<Source>,
}

/// Room for a file while it is read. One serves all readers, since each would need as much.
#[derive(Debug)]
pub struct Scratch(Vec<u8>);

impl Default for Scratch {
    fn default() -> Self {
        Self(vec![0; 16 * 1024])
    }
}

#[derive(Debug)]
enum Groups {
    V1(v1::Groups),
    V2(v2::Group),
}

impl Reader {
    /// Finds a container by its id where Docker's cgroup drivers put it, with this `CgroupParent` or without.
    ///
    /// # Errors
    /// It is not there, has no process, or its files cannot be read.
    pub fn of_container(roots: &Roots, id: &str, parent: Option<&str>, has_own_network: bool) -> io::Result<Self> {
        let base = match roots.version {
            CgroupVersion::V1 => roots.cgroup.join("memory"),
            CgroupVersion::V2 => roots.cgroup.clone(),
        };
        let usual = [format!("docker/{id}"), format!("system.slice/docker-{id}.scope")].map(PathBuf::from);
        let own = parent.and_then(|parent| cgroup::of_container(parent, id));
        let path = own.into_iter().chain(usual).find(|path| base.join(path).is_dir()).ok_or(io::ErrorKind::NotFound)?;
        let processes = std::fs::read_to_string(base.join(&path).join("cgroup.procs"))?;
        let pid = processes.lines().find_map(|line| line.parse().ok()).ok_or(io::ErrorKind::NotFound)?;
        let groups = match roots.version {
            CgroupVersion::V1 => Groups::V1(v1::Groups::open(&roots.cgroup, |_| Some(path.clone()))?),
            CgroupVersion::V2 => Groups::V2(v2::Group::open(roots.cgroup.join(&path))?),
        };
        Self::new(roots, groups, has_own_network.then_some(pid))
    }

    /// Finds the cgroups of a container's process.
    ///
    /// # Errors
    /// The process is gone or its files cannot be read.
    pub fn of_process(roots: &Roots, pid: u32, has_own_network: bool) -> io::Result<Self> {
        let text = std::fs::read_to_string(roots.proc.join(pid.to_string()).join("cgroup"))?;
        let path_of = |controller: &str| {
            text.lines().find_map(|line| {
                let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
                controllers.split(',').any(|c| c == controller).then(|| PathBuf::from(path.trim_start_matches('/')))
            })
        };
        let groups = match roots.version {
            CgroupVersion::V1 => Groups::V1(v1::Groups::open(&roots.cgroup, path_of)?),
            CgroupVersion::V2 => {
                let path = path_of("").ok_or(io::ErrorKind::NotFound)?;
                Groups::V2(v2::Group::open(roots.cgroup.join(path))?)
            }
        };
        Self::new(roots, groups, has_own_network.then_some(pid))
    }

    fn new(roots: &Roots, groups: Groups, network_of: Option<u32>) -> io::Result<Self> {
        let network = match network_of {
            Some(pid) => Some(Source::open(&roots.proc.join(pid.to_string()).join("net/dev"))?),
            None => None,
        };
        Ok(Self { groups, network })
    }

    /// What it uses now.
    ///
    /// # Errors
    /// The container is gone.
    pub fn read(&self, scratch: &mut Scratch) -> io::Result<Reading> {
        let Scratch(buffer) = scratch;
        let mut reading = Reading::default();
        match &self.groups {
            Groups::V1(groups) => groups.read(buffer, &mut reading)?,
            Groups::V2(group) => group.read(buffer, &mut reading)?,
        }
        if let Some(source) = &self.network {
            reading.network = Some(parse::interfaces(source.read(buffer)?));
        }
        Ok(reading)
    }

    /// The rest, from files that are opened for it.
    ///
    /// # Errors
    /// The container is gone.
    pub fn detail(&self) -> io::Result<Detail> {
        match &self.groups {
            Groups::V1(groups) => groups.detail(),
            Groups::V2(group) => group.detail(),
        }
    }
}

/// A file that is read again and again from its beginning.
#[derive(Debug)]
pub(crate) struct Source(File);

impl Source {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        File::open(path).map(Self)
    }

    /// The whole text. The kernel gives short files in one piece, longer ones by pages.
    pub(crate) fn read<'b>(&self, buffer: &'b mut Vec<u8>) -> io::Result<&'b str> {
        const SURELY_WHOLE: usize = 3 * 1024;
        let mut length = 0;
        loop {
            if length == buffer.len() {
                buffer.resize(length * 2, 0);
            }
            let read = self.0.read_at(&mut buffer[length..], length as u64)?;
            length += read;
            if read == 0 || (length < SURELY_WHOLE && length < buffer.len()) {
                break;
            }
        }
        std::str::from_utf8(&buffer[..length]).map_err(io::Error::other)
    }
}

/// A file that is read once; empty where there is none.
pub(crate) fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// A file that holds one number; `max` and missing files are `None`.
pub(crate) fn number(path: &Path) -> Option<u64> {
    text(path).trim().parse().ok()
}

#[cfg(test)]
mod tests;
