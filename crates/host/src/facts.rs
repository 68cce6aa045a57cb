//! What the machine is: memory, processors, kernel, distribution.
//!
//! Sizes for registration follow the reference (spec 10 §1.7.2): all memory that the kernel has, all processors
//! that this process may run on, whatever cgroup limits the agent's own container has.

use std::path::Path;

/// Why a fact about the machine is not known.
#[derive(Debug, thiserror::Error)]
pub enum FactError {
    #[error("cannot read {path}")]
    Read { path: &'static str, source: std::io::Error },
    #[error("{path} has no usable {what}")]
    Missing { path: &'static str, what: &'static str },
}

/// Memory of the machine in bytes.
///
/// # Errors
/// `/proc/meminfo` is unreadable or has no `MemTotal`.
pub fn total_memory() -> Result<u64, FactError> {
    const PATH: &str = "/proc/meminfo";
    let text = std::fs::read_to_string(PATH).map_err(|source| FactError::Read { path: PATH, source })?;
    parse_kib(&text, "MemTotal").ok_or(FactError::Missing { path: PATH, what: "MemTotal" })
}

/// Logical processors that this process may run on; at least 1. Quotas do not count.
#[must_use]
pub fn logical_cpus() -> u32 {
    rustix::thread::sched_getaffinity(None).map_or(1, |set| set.count()).max(1)
}

/// Kernel release, such as `6.1.0-18-amd64`.
#[must_use]
pub fn kernel_release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// Machine name as the kernel has it, such as `x86_64` or `aarch64`.
#[must_use]
pub fn machine() -> String {
    rustix::system::uname().machine().to_string_lossy().into_owned()
}

/// Host name as the kernel has it.
#[must_use]
pub fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The distribution, from `os-release`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OsRelease {
    /// `ID`, such as `debian`.
    pub id: String,
    /// `VERSION_ID`, such as `12`.
    pub version_id: String,
    /// `PRETTY_NAME`, or the id.
    pub pretty_name: String,
}

impl OsRelease {
    /// Reads the file below `root` (normally `/`); `None` when it is absent or has no id.
    #[must_use]
    pub fn read(root: &Path) -> Option<Self> {
        ["etc/os-release", "usr/lib/os-release"]
            .iter()
            .find_map(|path| std::fs::read_to_string(root.join(path)).ok())
            .and_then(|text| Self::parse(&text))
    }

    fn parse(text: &str) -> Option<Self> {
        let value = |key: &str| {
            text.lines()
                .filter_map(|line| line.split_once('='))
                .find(|(name, _)| name.trim() == key)
                .map(|(_, value)| value.trim_matches([' ', '"', '\'']).to_owned())
                .filter(|value| !value.is_empty())
        };
        let id = value("ID")?;
        Some(Self {
            version_id: value("VERSION_ID").unwrap_or_default(),
            pretty_name: value("PRETTY_NAME").unwrap_or_else(|| id.clone()),
            id,
        })
    }

    /// The detailed family that the supervisor hands to the agent: `<ID>_<VERSION_ID>`, or `linux` (spec 40 §14.2).
    #[must_use]
    pub fn detailed_family(release: Option<&Self>) -> String {
        match release {
            Some(release) if !release.version_id.is_empty() => format!("{}_{}", release.id, release.version_id),
            _ => "linux".to_owned(),
        }
    }
}

/// A `Name:   123 kB` line of `/proc`, in bytes.
pub(crate) fn parse_kib(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kib: u64 = rest.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn meminfo_lines_are_kibibytes() {
        let text = "MemTotalExtra: 1 kB\nMemTotal:       16384256 kB\nMemFree: 7 kB\nHugePages_Total:       3\n";
        assert_eq!(parse_kib(text, "MemTotal"), Some(16_384_256 * 1024));
        assert_eq!(parse_kib(text, "HugePages_Total"), None);
        assert_eq!(parse_kib(text, "SwapTotal"), None);
    }

    #[test]
    fn this_machine_has_memory_and_processors() {
        assert!(total_memory().unwrap() > 64 << 20);
        assert!(logical_cpus() >= 1);
        assert!(kernel_release().contains('.'));
    }

    #[test]
    fn os_release_values_lose_their_quotes() {
        let release =
            OsRelease::parse("NAME=x\nID=\"amzn\"\nVERSION_ID='2023'\nPRETTY_NAME=\"Amazon Linux 2023\"\n").unwrap();
        assert_eq!(release.pretty_name, "Amazon Linux 2023");
        assert_eq!(OsRelease::detailed_family(Some(&release)), "amzn_2023");
    }

    #[test]
    fn a_rolling_distribution_has_no_detailed_family() {
        let release = OsRelease::parse("ID=arch\n").unwrap();
        assert_eq!(OsRelease::detailed_family(Some(&release)), "linux");
        assert_eq!(OsRelease::parse("NAME=x\n"), None);
        assert_eq!(OsRelease::detailed_family(None), "linux");
    }
}
