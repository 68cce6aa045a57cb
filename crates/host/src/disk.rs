//! Space on the file system below a path.

use std::path::Path;

/// Sizes of one file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpace {
    pub total: u64,
    /// What an unprivileged process may still use.
    pub available: u64,
}

/// Space of the file system that `path` is on.
///
/// # Errors
/// The path does not exist or cannot be reached.
pub fn disk_space(path: &Path) -> std::io::Result<DiskSpace> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(DiskSpace {
        total: stat.f_blocks.saturating_mul(stat.f_frsize),
        available: stat.f_bavail.saturating_mul(stat.f_frsize),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_directory_has_space() {
        let space = disk_space(&std::env::temp_dir()).unwrap();
        assert!(space.total > 0 && space.available <= space.total);
    }

    #[test]
    fn a_missing_path_is_an_error() {
        assert_eq!(disk_space(Path::new("/no/such/path")).unwrap_err().kind(), std::io::ErrorKind::NotFound);
    }
}
