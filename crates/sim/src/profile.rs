//! Which faults a world has, and how often.

use std::time::Duration;

/// Probabilities are per call, event or message; counts are per run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Profile {
    pub name: &'static str,
    /// A call takes very long, sometimes longer than its deadline.
    pub slow: f64,
    /// A call fails and nothing happened.
    pub fail: f64,
    /// A call does its work and its answer is lost.
    pub lost: f64,
    /// A call's answer is lost and the call is made again, so that its work is done twice.
    pub repeated: f64,
    /// A call of several parts does some of them and fails.
    pub half: f64,
    /// An event of the container engine never arrives, arrives twice, or arrives late.
    pub drop_event: f64,
    pub double_event: f64,
    pub late_event: f64,
    /// Restarts of the container engine.
    pub daemon_restarts: u64,
    /// Containers that somebody else kills, removes or starts.
    pub meddling: u64,
    /// Outages of the registry.
    pub registry_outages: u64,
    /// Calls to the control plane that fail, or whose answer is lost.
    pub api_fail: f64,
    pub api_lost: f64,
    /// Messages that arrive twice.
    pub double_message: f64,
    /// Tasks that are due soon come in one payload; what of a payload is not acknowledged comes in parts.
    pub batch: f64,
    pub socket_cuts: u64,
    /// A socket takes frames and brings none, and nothing arrives, until it is cut: per frame.
    pub deaf: f64,
    pub clock_jumps: u64,
    /// Commits that take long, and times at which the disk takes none.
    pub slow_disk: f64,
    pub disk_outages: u64,
    /// Restarts of the agent on another machine, or with another cluster configured.
    pub moves: f64,
    /// Crashes of the agent: per step, at a random point between its commit and its effects.
    pub crash: f64,
}

const CALM: Profile = Profile {
    name: "calm",
    slow: 0.0,
    fail: 0.0,
    lost: 0.0,
    repeated: 0.0,
    half: 0.0,
    drop_event: 0.0,
    double_event: 0.0,
    late_event: 0.0,
    daemon_restarts: 0,
    meddling: 0,
    registry_outages: 0,
    api_fail: 0.0,
    api_lost: 0.0,
    double_message: 0.0,
    batch: 0.0,
    socket_cuts: 0,
    deaf: 0.0,
    clock_jumps: 0,
    slow_disk: 0.0,
    disk_outages: 0,
    moves: 0.0,
    crash: 0.0,
};

/// All profiles; seeds without one of their own go through them in turn.
pub const PROFILES: &[Profile] = &[
    CALM,
    Profile { name: "slow", slow: 0.15, late_event: 0.2, ..CALM },
    Profile {
        name: "docker",
        slow: 0.02,
        fail: 0.06,
        lost: 0.04,
        repeated: 0.05,
        half: 0.1,
        registry_outages: 1,
        ..CALM
    },
    Profile { name: "events", drop_event: 0.25, double_event: 0.2, late_event: 0.3, ..CALM },
    Profile { name: "daemon", daemon_restarts: 3, fail: 0.01, ..CALM },
    Profile { name: "meddler", meddling: 5, ..CALM },
    Profile { name: "api", api_fail: 0.25, api_lost: 0.1, half: 0.1, double_message: 0.2, batch: 0.5, ..CALM },
    Profile { name: "sockets", socket_cuts: 6, double_message: 0.2, deaf: 0.03, batch: 0.3, ..CALM },
    Profile { name: "clock", clock_jumps: 4, ..CALM },
    Profile { name: "crash", crash: 0.02, slow_disk: 0.2, ..CALM },
    Profile { name: "disk", crash: 0.01, slow_disk: 0.5, disk_outages: 3, ..CALM },
    Profile { name: "moves", crash: 0.01, moves: 0.3, ..CALM },
    Profile {
        name: "storm",
        slow: 0.04,
        fail: 0.03,
        lost: 0.02,
        repeated: 0.01,
        half: 0.03,
        drop_event: 0.1,
        double_event: 0.1,
        late_event: 0.1,
        daemon_restarts: 1,
        meddling: 2,
        registry_outages: 1,
        api_fail: 0.1,
        api_lost: 0.05,
        double_message: 0.1,
        batch: 0.2,
        socket_cuts: 2,
        deaf: 0.005,
        clock_jumps: 1,
        slow_disk: 0.1,
        disk_outages: 1,
        moves: 0.03,
        crash: 0.006,
    },
];

impl Profile {
    pub fn named(name: &str) -> Option<Self> {
        PROFILES.iter().copied().find(|profile| profile.name == name)
    }

    /// The profile that a seed has when nobody names one.
    pub fn of_seed(seed: u64) -> Self {
        let count = PROFILES.len() as u64;
        PROFILES[usize::try_from(seed % count).unwrap_or_default()]
    }

    /// How soon the agent must know what became of a container; `None` where events are lost, so that only its
    /// regular comparison finds out.
    pub fn patience(&self) -> Option<Duration> {
        if self.drop_event > 0.0 || self.daemon_restarts > 0 || self.fail > 0.0 || self.lost > 0.0 {
            None
        } else if self.slow > 0.0 {
            // An end that cannot be looked at is believed once it is listed.
            Some(Duration::from_secs(180))
        } else {
            Some(Duration::from_secs(25))
        }
    }
}
