//! A run's directory. Its process holds a file there locked for as long as it lives, so that others know for sure
//! whether it is gone. The file says what they must know to clear up then.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::cli::Failure;

/// How the names of these directories begin.
const PREFIX: &str = "longshore-";

/// The file that is locked.
const LOCK: &str = "run.json";

/// What a run leaves to know about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::cli) struct Note {
    /// Where its containers are, as `DOCKER_HOST` has it.
    pub docker: String,
    /// They are to stay.
    pub is_kept: bool,
}

/// The directory of this process's run. It is removed when it is dropped.
pub(in crate::cli) struct Directory {
    path: PathBuf,
    /// Invariant: held until the directory is gone.
    _lock: File,
}

impl Directory {
    pub(super) fn make(parent: &Path, note: &Note) -> Result<Self, Failure> {
        let name = format!("{PREFIX}{}-{:08x}", std::process::id(), crate::plane::random_seed() as u32);
        let path = parent.join(name);
        let failed = |error| Failure::new(format!("cannot make {}: {error}", path.display()));
        DirBuilder::new().mode(0o700).create(&path).map_err(failed)?;
        match lock_new(&path, note) {
            Ok(lock) => Ok(Self { path, _lock: lock }),
            Err(error) => {
                // What cannot be removed is the system's to remove.
                let _ = std::fs::remove_dir_all(&path);
                Err(failed(error))
            }
        }
    }

    pub(in crate::cli) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What cannot be removed is the system's to remove.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// The file gets its name when it is locked: whoever finds it without a lock has found a dead run's.
fn lock_new(directory: &Path, note: &Note) -> std::io::Result<File> {
    let fresh = directory.join("run.json.new");
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    file.write_all(serde_json::to_string(note)?.as_bytes())?;
    std::fs::rename(&fresh, directory.join(LOCK))?;
    Ok(file)
}

/// The directory of a run whose process is gone, locked by us against others who find it.
pub(in crate::cli) struct Abandoned {
    pub note: Note,
    path: PathBuf,
    /// Invariant: held until the directory is gone.
    _lock: File,
}

impl Abandoned {
    /// All that are here.
    pub(in crate::cli) fn find(parent: &Path) -> Vec<Self> {
        let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
        let named = entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()));
        named.filter_map(|entry| Self::take(entry.path())).collect()
    }

    fn take(path: PathBuf) -> Option<Self> {
        let metadata = path.symlink_metadata().ok()?;
        // Where all may write, others could have us clear what they name in a directory of theirs.
        let is_ours = metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o077 == 0;
        if !metadata.is_dir() || !is_ours {
            return None;
        }
        let lock = OpenOptions::new().read(true).write(true).open(path.join(LOCK)).ok()?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).ok()?;
        // Another may have cleared it since we opened it.
        if lock.metadata().ok()?.nlink() == 0 {
            return None;
        }
        let note = serde_json::from_reader(&lock).ok()?;
        Some(Self { note, path, _lock: lock })
    }

    pub(in crate::cli) fn path(&self) -> &Path {
        &self.path
    }

    pub(in crate::cli) fn remove(self) -> std::io::Result<()> {
        std::fs::remove_dir_all(&self.path)
    }
}

#[cfg(test)]
mod tests;
