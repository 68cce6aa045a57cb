#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::os::unix::fs::PermissionsExt;

use engine::{Engine, EngineConfig};
use tempfile::TempDir;

use super::*;

const THREE: &[u8] = include_bytes!("../../../../wire/tests/fixtures/reference-state/three-tasks.agent.db");
const REGISTERED: &[u8] = include_bytes!("../../../../wire/tests/fixtures/reference-state/registered-only.agent.db");

/// A data directory as the reference left it.
struct Directory(TempDir);

impl Directory {
    fn new(state: &[u8]) -> Self {
        let directory = Self(tempfile::tempdir().unwrap());
        std::fs::write(directory.reference(), state).unwrap();
        std::fs::set_permissions(directory.reference(), std::fs::Permissions::from_mode(0o400)).unwrap();
        directory
    }

    fn reference(&self) -> std::path::PathBuf {
        self.0.path().join(REFERENCE)
    }

    fn store(&self) -> Store {
        Store::open(&self.0.path().join("longshore.db"), "agent").unwrap().store
    }

    async fn start(&self) -> Result<Option<HeldOff>, ExitReport> {
        take_over(self.0.path(), &mut self.store(), false, || async { None }).await
    }

    fn rows(&self) -> Vec<engine::StoredRow> {
        engine_rows(self.store().load_all().unwrap())
    }
}

#[tokio::test]
async fn takes_over_once_and_keeps_the_file() {
    let directory = Directory::new(THREE);
    let held_off = directory.start().await.unwrap();
    assert!(held_off.is_some());
    let rows = directory.rows();
    assert_eq!(engine::migrate::moved_in(&rows), Some(48));
    let config = EngineConfig { cluster: "lab".into(), ..EngineConfig::default() };
    assert_eq!(Engine::new(config, 1, rows.clone()).tasks().len(), 3);
    drop(held_off);
    directory.start().await.unwrap();
    assert_eq!(directory.rows(), rows);
    assert_eq!(std::fs::read(directory.reference()).unwrap(), THREE);
}

/// The reference waits for its lock as long as this agent lives.
#[tokio::test]
async fn the_two_agents_exclude_each_other() {
    let directory = Directory::new(THREE);
    let reference = File::open(directory.reference()).unwrap();
    rustix::fs::flock(&reference, FlockOperation::NonBlockingLockExclusive).unwrap();
    let refused = directory.start().await.unwrap_err();
    assert_eq!(refused.code, 1);
    assert!(refused.why.contains("still runs on"), "{}", refused.why);
    assert!(directory.rows().is_empty());

    rustix::fs::flock(&reference, FlockOperation::Unlock).unwrap();
    let held_off = directory.start().await.unwrap();
    let again = rustix::fs::flock(&reference, FlockOperation::NonBlockingLockExclusive);
    assert_eq!(again, Err(Errno::WOULDBLOCK));
    drop(held_off);
    rustix::fs::flock(&reference, FlockOperation::NonBlockingLockExclusive).unwrap();
    // Not only at the first start.
    assert_eq!(directory.start().await.unwrap_err().code, 1);
}

#[tokio::test]
async fn damaged_and_foreign_files_are_refused_and_left() {
    let mut spoilt = THREE.to_vec();
    // The page of the top bucket.
    spoilt[16 * 4096..17 * 4096].fill(0xee);
    for (state, why) in [
        (&THREE[..40_000], "it should have 25 pages"),
        (&b"{\"Version\": 31}"[..], "it is no bbolt database"),
        (&spoilt[..], "page 16: it claims"),
    ] {
        let directory = Directory::new(state);
        let refused = directory.start().await.unwrap_err();
        assert_eq!(refused.code, 5);
        assert!(refused.why.contains(why), "{}", refused.why);
        assert!(refused.why.contains("left as it is"), "{}", refused.why);
        assert_eq!(std::fs::read(directory.reference()).unwrap(), state);
        assert!(directory.rows().is_empty());
    }
}

#[tokio::test]
async fn our_rows_win_when_the_reference_ran_in_between() {
    let directory = Directory::new(REGISTERED);
    directory.start().await.unwrap();
    let rows = directory.rows();
    assert_eq!(engine::migrate::moved_in(&rows), Some(8));
    std::fs::set_permissions(directory.reference(), std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(directory.reference(), THREE).unwrap();
    directory.start().await.unwrap();
    assert_eq!(directory.rows(), rows);
}

#[tokio::test]
async fn a_damaged_store_of_our_own_does_not_bring_old_tasks_back() {
    let directory = Directory::new(THREE);
    take_over(directory.0.path(), &mut directory.store(), true, || async { None }).await.unwrap();
    let rows = directory.rows();
    assert_eq!((rows.len(), engine::migrate::moved_in(&rows)), (1, Some(48)));
}

#[tokio::test]
async fn a_very_old_state_is_refused_with_a_way_out() {
    let directory = Directory::new(b"");
    let legacy = directory.0.path().join(LEGACY);
    std::fs::write(&legacy, "{\"Version\":31,\"Data\":{}}").unwrap();
    for _ in 0..2 {
        let refused = directory.start().await.unwrap_err();
        assert_eq!(refused.code, 5);
        assert!(refused.why.contains("Start a current Amazon ECS agent once"), "{}", refused.why);
        // The second time without any database.
        std::fs::remove_file(directory.reference()).unwrap_or_default();
    }
    // Beside a state that was made of it, it does not matter.
    std::fs::write(directory.reference(), THREE).unwrap();
    directory.start().await.unwrap();
    assert_eq!(engine::migrate::moved_in(&directory.rows()), Some(48));
}

#[tokio::test]
async fn without_a_reference_nothing_happens() {
    let directory = Directory(tempfile::tempdir().unwrap());
    assert!(directory.start().await.unwrap().is_none());
    assert!(directory.rows().is_empty());
}
