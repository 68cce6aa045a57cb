#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;

use super::*;

fn note() -> Note {
    Note { docker: "unix:///d.sock".into(), is_kept: true }
}

/// As a killed process leaves it.
fn abandon(mut directory: Directory) -> PathBuf {
    let path = std::mem::take(&mut directory.path);
    drop(directory);
    path
}

fn found(parent: &Path) -> Vec<(PathBuf, Note)> {
    Abandoned::find(parent).into_iter().map(|found| (found.path, found.note)).collect()
}

#[test]
fn only_a_dead_runs_directory_is_found() {
    let parent = tempfile::tempdir().unwrap();
    let parent = parent.path();
    let live = Directory::make(parent, &note()).unwrap();
    assert_eq!(found(parent), []);
    let dead = abandon(Directory::make(parent, &note()).unwrap());
    assert_eq!(found(parent), [(dead.clone(), note())]);

    // Who clears it holds it meanwhile.
    let held = Abandoned::find(parent).remove(0);
    assert_eq!(found(parent), []);
    held.remove().unwrap();
    assert!(!dead.exists() && live.path().exists());

    let path = live.path().to_owned();
    drop(live);
    assert!(!path.exists());
}

#[test]
fn what_may_be_another_users_or_is_no_runs_is_not_found() {
    let parent = tempfile::tempdir().unwrap();
    let parent = parent.path();
    let dead = abandon(Directory::make(parent, &note()).unwrap());
    std::os::unix::fs::symlink(&dead, parent.join("longshore-link")).unwrap();
    std::fs::rename(&dead, parent.join("other")).unwrap();
    assert_eq!(found(parent), [], "by its name, or through a link");
    std::fs::rename(parent.join("other"), &dead).unwrap();
    std::fs::set_permissions(&dead, std::fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(found(parent), [], "others can write there");
    std::fs::set_permissions(&dead, std::fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(found(parent).len(), 1);
    // One that begins has not named its lock yet.
    std::fs::rename(dead.join(LOCK), dead.join("run.json.new")).unwrap();
    assert_eq!(found(parent), []);
}
