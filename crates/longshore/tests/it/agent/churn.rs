//! Many tasks, and an agent that dies at any moment. The long forms are `cargo xtask soak`.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use lab::proof;

use crate::support::bench;

#[test]
fn nothing_is_lost_when_the_agent_is_killed_again_and_again() -> Result<()> {
    let mut bench = bench(&proof::SETTINGS)?;
    // Other moments each time; a failure names the seed.
    let seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let churned = proof::churn(&mut bench, 8, seed, None)?;
    assert_eq!(churned.kills, 8);
    Ok(())
}

#[test]
fn a_hundred_tasks_at_once() -> Result<()> {
    proof::burst(&bench(&proof::SETTINGS)?, 100)
}
