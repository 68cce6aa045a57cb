//! Slices of systemd, which owns the tree where Docker uses the systemd driver.
//!
//! A slice with limits has to be asked of systemd over D-Bus, which is not done here yet. Making the folder and
//! writing the limits by hand is no way: systemd makes the slice its own when the first container starts in it, and
//! puts its idea of the limits, none, over what was written. So no new slice is made and task limits are refused at
//! the start; those that a task brought along from the reference agent are found, and removed when it goes.

use std::path::{Path, PathBuf};

use super::{CgroupError, remove_tree};

/// The folder of `a-b.slice`: each dash is a level (spec 20 §11.4).
fn folder(mount: &Path, name: &str) -> PathBuf {
    let stem = name.strip_suffix(".slice").unwrap_or(name);
    let ends = stem.match_indices('-').map(|(at, _)| at).chain([stem.len()]);
    let mut folder = mount.to_owned();
    folder.extend(ends.map(|end| format!("{}.slice", &stem[..end])));
    folder
}

/// Finds a slice that is there already.
pub(super) fn find(mount: &Path, name: &str) -> Result<(), CgroupError> {
    if folder(mount, name).is_dir() { Ok(()) } else { Err(CgroupError::Slices) }
}

pub(super) fn remove(mount: &Path, name: &str) -> Result<(), CgroupError> {
    remove_tree(&folder(mount, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dash_is_a_level() {
        let folder = |name| folder(Path::new("/m"), name).display().to_string();
        assert_eq!(folder("ecstasks-0f.slice"), "/m/ecstasks.slice/ecstasks-0f.slice");
        assert_eq!(folder("a-b-c.slice"), "/m/a.slice/a-b.slice/a-b-c.slice");
        assert_eq!(folder("a.slice"), "/m/a.slice");
    }
}
