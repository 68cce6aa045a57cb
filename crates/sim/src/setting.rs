//! The settings of the agent under test, as operators might have them.

use std::time::Duration;

use engine::EngineConfig;
use engine::config::PullBehavior;

use crate::dice::Dice;

/// Random settings.
pub(crate) fn config(dice: &mut Dice) -> EngineConfig {
    let mut config = EngineConfig { cluster: crate::workload::CLUSTER.into(), ..EngineConfig::default() };
    config.host.is_pause_image_loaded = true;
    config.pulls.behavior = *dice.pick(&[
        PullBehavior::Default,
        PullBehavior::Default,
        PullBehavior::Always,
        PullBehavior::Once,
        PullBehavior::PreferCached,
    ]);
    config.pulls.timeout = dice.seconds(30, 900);
    config.pulls.parallel = usize::try_from(dice.between(1, 4)).unwrap_or(1);
    config.parallel_launches = usize::try_from(dice.between(1, 8)).unwrap_or(1);
    config.parallel_submissions = *dice.pick(&[1, 10]);
    config.pulls_dependents_upfront = dice.chance(0.2);
    config.timeouts.stop = dice.seconds(5, 60);
    config.timeouts.create = dice.seconds(20, 240);
    config.timeouts.start = dice.seconds(45, 180);
    config.timeouts.cleanup_wait = dice.seconds(60, 900);
    config.timeouts.cleanup_jitter = *dice.pick(&[Duration::ZERO, Duration::from_secs(30)]);
    if dice.chance(0.3) {
        config.dynamic_host_ports = (50000, 50006);
    }
    config
}
