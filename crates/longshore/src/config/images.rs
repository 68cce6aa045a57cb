//! Pulling images and removing them again (spec 40 §3.2).

use std::time::Duration;

use jiff::SignedDuration;

use super::sources::Sources;
use super::values::or_at_once;

/// When an image is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PullBehavior {
    /// Pull; use a cached image if that fails.
    Default,
    /// Pull; fail if that fails.
    Always,
    /// Pull only what was never pulled or was cleaned up.
    Once,
    /// Pull only what is not there.
    PreferCached,
}

/// Rules for images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Images {
    pub pull_behavior: PullBehavior,
    /// A pull without progress for this long is given up.
    pub pull_inactivity_timeout: Duration,
    /// For one pull in all; zero fails at once (a negative value was given).
    pub pull_timeout: Duration,
    pub manifest_pull_timeout: Duration,
    /// Images are pulled before `dependsOn` is met.
    pub pull_dependents_upfront: bool,
    pub cleanup_disabled: bool,
    pub cleanup_interval: Duration,
    /// Since the pull.
    pub minimum_age: Duration,
    /// Since creation, for images that ECS did not bring.
    pub untracked_minimum_age: Duration,
    pub images_per_cycle: u64,
    pub untracked_containers_per_cycle: u64,
    /// Images and containers that ECS did not start are removed too.
    pub untracked_cleanup: bool,
    /// `name:tag` entries that are never removed.
    pub exclusions: Vec<String>,
    /// Beyond the reference: `LONGSHORE_IMAGE_DISK_HIGH_PERCENT` and `LONGSHORE_IMAGE_DISK_LOW_PERCENT`. Where the disk
    /// with images is fuller than the first, images go until it is no fuller than the second.
    pub disk_thresholds: Option<(u8, u8)>,
}

const PULL_INACTIVITY: SignedDuration = SignedDuration::from_mins(1);
const CLEANUP_INTERVAL: SignedDuration = SignedDuration::from_mins(30);
const LEAST_CLEANUP_INTERVAL: SignedDuration = SignedDuration::from_mins(10);
/// For `LONGSHORE_IMAGE_CLEANUP_INTERVAL`, which goes before the reference's variable and below its least value.
const LEAST_OWN_CLEANUP_INTERVAL: SignedDuration = SignedDuration::from_secs(1);
const PER_CYCLE: i64 = 5;

impl Images {
    pub(super) fn read(from: &mut Sources<'_>) -> Self {
        let exclusions_in_file = from.file_list("ImageCleanupExclusionList");
        let hour = SignedDuration::from_hours(1);
        let pull_inactivity = from.duration_at_least(
            "ECS_IMAGE_PULL_INACTIVITY_TIMEOUT",
            "ImagePullInactivityTimeout",
            SignedDuration::from_mins(1),
        );
        let images_per_cycle =
            from.int("ECS_NUM_IMAGES_DELETE_PER_CYCLE", "NumImagesToDeletePerCycle").unwrap_or(PER_CYCLE);
        let untracked_containers = from
            .int("NONECS_NUM_CONTAINERS_DELETE_PER_CYCLE", "NumNonECSContainersToDeletePerCycle")
            .unwrap_or(PER_CYCLE);
        Self {
            pull_behavior: PullBehavior::read(from),
            pull_inactivity_timeout: or_at_once(pull_inactivity.unwrap_or(PULL_INACTIVITY)),
            pull_timeout: or_at_once(
                from.duration("ECS_IMAGE_PULL_TIMEOUT", "ImagePullTimeout").unwrap_or(SignedDuration::from_hours(2)),
            ),
            manifest_pull_timeout: or_at_once(
                from.duration_at_least(
                    "ECS_MANIFEST_PULL_TIMEOUT",
                    "ManifestPullTimeout",
                    SignedDuration::from_secs(30),
                )
                .unwrap_or(SignedDuration::from_mins(1)),
            ),
            pull_dependents_upfront: from
                .boolean("ECS_PULL_DEPENDENT_CONTAINERS_UPFRONT", "DependentContainersPullUpfront")
                .unwrap_or(false),
            cleanup_disabled: from.boolean("ECS_DISABLE_IMAGE_CLEANUP", "ImageCleanupDisabled").unwrap_or(false),
            cleanup_interval: or_at_once(
                from.duration("ECS_IMAGE_CLEANUP_INTERVAL", "ImageCleanupInterval").unwrap_or(CLEANUP_INTERVAL),
            ),
            minimum_age: or_at_once(
                from.duration("ECS_IMAGE_MINIMUM_CLEANUP_AGE", "MinimumImageDeletionAge").unwrap_or(hour),
            ),
            untracked_minimum_age: or_at_once(
                from.duration("NON_ECS_IMAGE_MINIMUM_CLEANUP_AGE", "NonECSMinimumImageDeletionAge").unwrap_or(hour),
            ),
            // A negative number removes nothing where there is no lower bound, as zero does.
            images_per_cycle: u64::try_from(images_per_cycle).unwrap_or(0),
            untracked_containers_per_cycle: u64::try_from(untracked_containers).unwrap_or(0),
            untracked_cleanup: from
                .boolean("ECS_ENABLE_UNTRACKED_IMAGE_CLEANUP", "DeleteNonECSImagesEnabled")
                .unwrap_or(false),
            exclusions: from
                .env("ECS_EXCLUDE_UNTRACKED_IMAGE")
                .map(|text| text.split(',').map(str::to_owned).collect())
                .or(exclusions_in_file)
                .unwrap_or_default(),
            disk_thresholds: disk_thresholds(from),
        }
    }

    /// The checks 6 to 8 of spec 40 §6: what is too small becomes the default.
    pub(super) fn clamp(&mut self, from: &mut Sources<'_>) {
        if self.pull_inactivity_timeout < or_at_once(PULL_INACTIVITY) {
            from.warn("ImagePullInactivityTimeout is below 1m; using 1m".to_owned());
            self.pull_inactivity_timeout = or_at_once(PULL_INACTIVITY);
        }
        if self.cleanup_interval < or_at_once(LEAST_CLEANUP_INTERVAL) {
            from.warn("ECS_IMAGE_CLEANUP_INTERVAL is below 10m; using 30m".to_owned());
            self.cleanup_interval = or_at_once(CLEANUP_INTERVAL);
        }
        if let Some(interval) = from.env_duration("LONGSHORE_IMAGE_CLEANUP_INTERVAL") {
            if interval < LEAST_OWN_CLEANUP_INTERVAL {
                from.warn("LONGSHORE_IMAGE_CLEANUP_INTERVAL is below 1s; it is ignored".to_owned());
            } else {
                self.cleanup_interval = or_at_once(interval);
            }
        }
        if self.images_per_cycle < 1 {
            from.warn("ECS_NUM_IMAGES_DELETE_PER_CYCLE is below 1; using 5".to_owned());
            self.images_per_cycle = PER_CYCLE.unsigned_abs();
        }
    }
}

/// Off without the higher one; the lower one is a little less by default.
fn disk_thresholds(from: &mut Sources<'_>) -> Option<(u8, u8)> {
    let high = from.env_int("LONGSHORE_IMAGE_DISK_HIGH_PERCENT");
    let low = from.env_int("LONGSHORE_IMAGE_DISK_LOW_PERCENT");
    let high = high?;
    let low = low.unwrap_or((high - DISK_GAP).max(1));
    match (u8::try_from(high), u8::try_from(low)) {
        (Ok(high @ 1..=100), Ok(low)) if low > 0 && low < high => Some((high, low)),
        _ => {
            from.warn(format!(
                "LONGSHORE_IMAGE_DISK_HIGH_PERCENT ({high}) and LONGSHORE_IMAGE_DISK_LOW_PERCENT ({low}) must be \
                 percentages, the first the higher one; the disk is not looked at"
            ));
            None
        }
    }
}

/// Percent between the thresholds where only the higher one is given.
const DISK_GAP: i64 = 5;

impl PullBehavior {
    fn read(from: &mut Sources<'_>) -> Self {
        let in_file = from.file_int("ImagePullBehavior");
        match from.env("ECS_IMAGE_PULL_BEHAVIOR").as_deref() {
            Some("always") => Self::Always,
            Some("once") => Self::Once,
            Some("prefer-cached") => Self::PreferCached,
            _ => match in_file {
                Some(1) => Self::Always,
                Some(2) => Self::Once,
                Some(3) => Self::PreferCached,
                _ => Self::Default,
            },
        }
    }
}
