//! How long each operation may take unless the caller says otherwise (spec 20 §7.4).

use std::time::Duration;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

/// `ECS_CONTAINER_CREATE_TIMEOUT`.
pub const CREATE: Duration = minutes(4);
/// `ECS_CONTAINER_START_TIMEOUT`.
pub const START: Duration = minutes(3);
/// What a stop may take beyond the time that the container has for itself.
pub const STOP_MARGIN: Duration = minutes(2);
/// A signal is sent, nothing is waited for. Not in the reference's table.
pub const KILL: Duration = seconds(30);
/// Inspecting a container.
pub const INSPECT: Duration = seconds(30);
/// `ECS_IMAGE_PULL_TIMEOUT`: a whole pull.
pub const PULL: Duration = minutes(120);
/// From the pull request to its first progress line.
pub const PULL_BEGIN: Duration = minutes(5);
/// `ECS_IMAGE_PULL_INACTIVITY_TIMEOUT`: nothing read during a pull.
pub const PULL_INACTIVITY: Duration = minutes(1);
/// `ECS_MANIFEST_PULL_TIMEOUT`.
pub const DISTRIBUTION_INSPECT: Duration = minutes(1);
/// Inspecting an image. The reference has no limit here; a daemon that needs longer is ill.
pub const INSPECT_IMAGE: Duration = minutes(1);
/// Lists of containers or images.
pub const LIST: Duration = minutes(10);
/// Loading or importing an image.
pub const LOAD: Duration = minutes(2);
pub const TAG: Duration = seconds(30);
pub const REMOVE_IMAGE: Duration = minutes(3);
/// Removing a container.
pub const REMOVE: Duration = minutes(5);
/// Creating, inspecting, listing or removing volumes.
pub const VOLUME: Duration = minutes(5);
/// Listing or inspecting networks. Not in the reference's table.
pub const NETWORK: Duration = seconds(30);
pub const PLUGINS: Duration = minutes(1);
/// Creating, starting or inspecting an exec.
pub const EXEC: Duration = minutes(1);
/// Version and info.
pub const VERSION: Duration = seconds(10);
pub const PING: Duration = seconds(5);
/// One sample of statistics; also the longest silence of a stream of them.
pub const STATS: Duration = seconds(18);
/// Opening the event stream. Not in the reference's table.
pub const EVENTS_OPEN: Duration = seconds(10);
/// Opening a log. Not in the reference's table.
pub const LOGS_OPEN: Duration = seconds(30);
/// Listing a container's processes. Not in the reference's table.
pub const TOP: Duration = seconds(30);

/// A stop: the container's own time plus [`STOP_MARGIN`].
pub const fn stop(timeout_seconds: u64) -> Duration {
    Duration::from_secs(timeout_seconds.saturating_add(STOP_MARGIN.as_secs()))
}
