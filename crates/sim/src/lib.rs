//! A simulated world around the real engine: a container engine, a registry, a control plane, a clock and a
//! store, with everything that can go wrong in them, from one seed. The same seed gives the same run.
//!
//! `run(seed, profile)` is one run; `cargo run -p sim -- --seed N --trace` shows it line by line.

mod daemon;
mod dice;
mod fate;
mod host;
mod images;
mod oracle;
mod profile;
mod service;
mod setting;
mod show;
mod store;
mod trace;
mod workload;
mod world;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

pub use profile::{PROFILES, Profile};

use world::World;

/// How a run is made.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Keep every line of the trace; else only its hash.
    pub keeps_trace: bool,
    /// Crash the agent at this point, counted from 1, and nowhere else.
    pub crash_point: Option<u64>,
    /// What becomes of effects that are under way when the agent crashes; else chance decides.
    pub under_way: Option<UnderWay>,
    /// Compare rows with tasks after every step, which some seeds do anyway.
    pub checks_rows: bool,
}

/// What becomes of effects that are out when the agent ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnderWay {
    /// They take place, and nobody hears of it.
    Kept,
    /// They never take place.
    Lost,
}

/// What a run was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Over all rows, notes and effects in their order, with all that they say.
    pub hash: u64,
    /// Events that the engine handled.
    pub steps: u64,
    pub effects: u64,
    pub reports: u64,
    /// Processes of the agent.
    pub lives: u64,
    /// Points at which it could have crashed.
    pub crash_points: u64,
    pub simulated: Duration,
    /// Lines, where they were kept.
    pub trace: Vec<String>,
}

/// A rule that was broken.
#[derive(Debug, Clone)]
pub struct Failure {
    pub seed: u64,
    pub profile: &'static str,
    pub crash_point: Option<u64>,
    pub under_way: Option<UnderWay>,
    pub why: String,
    pub at: Duration,
    /// All lines of the run up to there.
    pub trace: Vec<String>,
}

/// How many lines of its trace a failure shows.
const TAIL: usize = 60;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.trace.len().saturating_sub(TAIL);
        for line in &self.trace[first..] {
            writeln!(f, "{line}")?;
        }
        write!(f, "{}", self.brief())
    }
}

impl Failure {
    /// What was broken, and the command that shows it again.
    pub fn brief(&self) -> String {
        let Self { seed, profile, at, why, .. } = self;
        let crash = self.crash_point.map(|point| format!(" --crash-at {point}")).unwrap_or_default();
        let under_way = match self.under_way {
            Some(UnderWay::Kept) => " --under-way kept",
            Some(UnderWay::Lost) => " --under-way lost",
            None => "",
        };
        format!(
            "seed {seed} profile {profile} failed at {at:?}: {why}\nreplay: cargo run -p sim -- --seed {seed} --profile {profile} --trace{crash}{under_way}"
        )
    }
}

impl Report {
    /// All crashes that can be tried: before and after each commit and each effect, with what was under way done and
    /// not done.
    pub fn crashes(&self) -> impl Iterator<Item = (u64, UnderWay)> + use<> {
        (1..=self.crash_points).flat_map(|point| [(point, UnderWay::Kept), (point, UnderWay::Lost)])
    }
}

/// One run with the faults of a profile.
///
/// # Errors
/// The first rule that was broken, with the trace that led there.
pub fn run(seed: u64, profile: Profile) -> Result<Report, Box<Failure>> {
    run_with(seed, profile, Options::default())
}

/// One run as `options` say; one that fails is made again with its trace.
///
/// # Errors
/// The first rule that was broken, with the trace that led there.
pub fn run_with(seed: u64, profile: Profile, options: Options) -> Result<Report, Box<Failure>> {
    match once(seed, profile, options) {
        Err(_) if !options.keeps_trace => once(seed, profile, Options { keeps_trace: true, ..options }),
        result => result,
    }
}

fn once(seed: u64, profile: Profile, options: Options) -> Result<Report, Box<Failure>> {
    let mut world = World::new(seed, profile, options);
    let result = catch_unwind(AssertUnwindSafe(|| world.run())).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    });
    let trace = world.trace.lines().to_vec();
    match result {
        Ok(()) => Ok(Report {
            hash: world.trace.hash(),
            steps: world.steps,
            effects: world.effects,
            reports: world.service.reports,
            lives: world.lives,
            crash_points: world.crash_points,
            simulated: world.now,
            trace,
        }),
        Err(why) => Err(Box::new(Failure {
            seed,
            profile: profile.name,
            crash_point: options.crash_point,
            under_way: options.under_way,
            why,
            at: world.now,
            trace,
        })),
    }
}
