//! The settings of the agent under test, as operators might have them.

use std::time::Duration;

use engine::EngineConfig;
use engine::config::{
    CgroupNaming, DiskThresholds, ImageCleanup, MetadataFiles, PullBehavior, TaskLimits, UntrackedCleanup,
};

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
    // With half of the settings, and without a throw that would change all known seeds.
    config.metadata_files = (config.pulls.parallel % 2 == 1)
        .then(|| MetadataFiles { host_directory: "/data/metadata".into(), is_relabelled: false });
    config.parallel_launches = usize::try_from(dice.between(1, 8)).unwrap_or(1);
    config.parallel_stops = config.parallel_launches;
    config.parallel_submissions = *dice.pick(&[1, 10]);
    config.pulls_dependents_upfront = dice.chance(0.2);
    config.timeouts.stop = dice.seconds(5, 60);
    config.timeouts.create = dice.seconds(20, 240);
    config.timeouts.start = dice.seconds(45, 180);
    config.timeouts.cleanup_wait = dice.seconds(60, 900);
    config.timeouts.cleanup_jitter = *dice.pick(&[Duration::ZERO, Duration::from_secs(30)]);
    if dice.chance(0.6) {
        config.host.ec2_instance_id = Some("i-0".into());
    }
    if dice.chance(0.5) {
        config.task_limits = Some(TaskLimits {
            naming: *dice.pick(&[CgroupNaming::Path, CgroupNaming::Slice]),
            cpu_period: Duration::from_millis(100),
            pids: dice.chance(0.5).then_some(100),
        });
    }
    config.image_cleanup = image_cleanup(dice);
    if dice.chance(0.3) {
        config.dynamic_host_ports = (50000, 50006);
    }
    config
}

/// The pause image is excluded, as the agent's own settings have it.
pub(crate) const PAUSE_IMAGE: &str = "amazon/amazon-ecs-pause:0.1.0";

fn image_cleanup(dice: &mut Dice) -> ImageCleanup {
    let mut exclusions = vec![PAUSE_IMAGE.to_owned()];
    if dice.chance(0.2) {
        exclusions.push("registry.test/tool:latest".into());
    }
    ImageCleanup {
        is_disabled: dice.chance(0.1),
        interval: dice.seconds(30, 300),
        minimum_age: *dice.pick(&[Duration::ZERO, Duration::from_secs(60), Duration::from_secs(600)]),
        images_per_cycle: *dice.pick(&[1, 2, 5]),
        exclusions,
        untracked: dice.chance(0.4).then(|| UntrackedCleanup {
            image_minimum_age: dice.seconds(60, 3600),
            containers_per_cycle: dice.between(1, 5),
            container_minimum_age: dice.seconds(60, 600),
        }),
        disk: dice.chance(0.3).then_some(DiskThresholds { high: 80, low: 60 }),
    }
}
