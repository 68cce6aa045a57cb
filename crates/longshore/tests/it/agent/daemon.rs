//! A Docker Engine of our own is killed, stopped and started under running tasks.

use anyhow::Result;
use lab::{Bench, Daemon, Engine, Network, proof};

use crate::support::{bench, setting};

/// An agent at a private Engine, or `None` for a user who may not have one.
fn private(extra: &[&str]) -> Result<Option<(Bench, Daemon)>> {
    if !Daemon::is_possible() {
        lab::leave_out("root, for a private Docker Engine")?;
        return Ok(None);
    }
    let daemon = Daemon::start(Network::None, extra)?;
    let image = setting("LONGSHORE_TEST_IMAGE");
    daemon.take_image(&Engine::from_env()?, &image)?;
    // The name that the bench uses; the registry of that name is out of this Engine's reach.
    let (repository, tag) =
        crate::support::image().rsplit_once(':').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    daemon.engine().tag(&image, &repository, &tag)?;
    let host = daemon.host();
    let [first, second] = proof::SETTINGS;
    Ok(Some((bench(&[first, second, ("DOCKER_HOST", &host), ("ECS_IMAGE_PULL_BEHAVIOR", "prefer-cached")])?, daemon)))
}

#[test]
fn tasks_outlive_an_engine_that_keeps_its_containers() -> Result<()> {
    let Some((bench, mut daemon)) = private(&["--live-restore"])? else { return Ok(()) };
    proof::outlive_daemon(&bench, &mut daemon, 20)
}

#[test]
fn tasks_end_with_an_engine_that_stops_its_containers() -> Result<()> {
    let Some((bench, mut daemon)) = private(&[])? else { return Ok(()) };
    proof::end_with_daemon(&bench, &mut daemon, 20)
}
