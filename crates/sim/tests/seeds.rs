//! Many seeds, each a world of its own. A failure prints the seed, the end of its trace and the command that
//! replays it.

use std::sync::atomic::{AtomicU64, Ordering};

use sim::{Options, Profile, run, run_with};

const SEEDS: u64 = 20_000;

/// Runs `check` for each number on all cores; the failures, in order.
fn each(count: u64, check: impl Fn(u64) -> Option<String> + Sync) -> Vec<String> {
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut failures: Vec<(u64, String)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut failures = Vec::new();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= count {
                            return failures;
                        }
                        failures.extend(check(number).map(|text| (number, text)));
                    }
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
    });
    failures.sort();
    failures.into_iter().map(|(_, text)| text).collect()
}

fn assert_none(failures: &[String]) {
    assert!(failures.is_empty(), "{} failed; the first:\n{}", failures.len(), failures[0]);
}

#[test]
fn no_rule_is_broken_in_any_world() {
    let failures = each(SEEDS, |seed| run(seed, Profile::of_seed(seed)).err().map(|failure| failure.to_string()));
    assert_none(&failures);
}

#[test]
fn one_seed_gives_one_run() {
    let failures = each(220, |seed| {
        let options = Options { checks_rows: true, ..Options::default() };
        let run = |keeps_trace| run_with(seed, Profile::of_seed(seed), Options { keeps_trace, ..options });
        let (Ok(bare), Ok(first), Ok(second)) = (run(false), run(true), run(true)) else {
            return Some(format!("seed {seed} fails"));
        };
        if let Some((one, other)) = first.trace.iter().zip(&second.trace).find(|(one, other)| one != other) {
            return Some(format!("seed {seed} gave two traces:\n{one}\n{other}"));
        }
        // Keeping the trace changes nothing.
        let differs = first != second || bare.hash != first.hash;
        differs.then(|| format!("seed {seed} gave {:x}, {:x} and {:x}", bare.hash, first.hash, second.hash))
    });
    assert_none(&failures);
}

/// Worlds in which the agent crashes everywhere; in some of them other things go wrong too.
const SWEPT: &[(&str, std::ops::Range<u64>)] = &[("calm", 0..12), ("docker", 2..4), ("slow", 1..3), ("disk", 11..13)];

/// Before and after every commit and every effect of some worlds, from the first moment to the last; what was under
/// way takes place without the agent's knowing, or never does.
#[test]
fn the_agent_may_crash_at_every_point() {
    let mut crashes = Vec::new();
    for (name, seeds) in SWEPT {
        let Some(profile) = Profile::named(name) else { panic!("no profile {name}") };
        for seed in seeds.clone() {
            let whole = run(seed, profile).unwrap_or_else(|failure| panic!("{failure}"));
            crashes.extend(whole.crashes().map(|(point, under_way)| (seed, profile, point, under_way)));
        }
    }
    let failures = each(crashes.len() as u64, |number| {
        let (seed, profile, point, under_way) = crashes[usize::try_from(number).unwrap_or_default()];
        let options = Options { crash_point: Some(point), under_way: Some(under_way), ..Options::default() };
        run_with(seed, profile, options).err().map(|failure| failure.to_string())
    });
    assert_none(&failures);
}

/// Worlds in which the engine once went wrong; see `FOUND.md`.
#[test]
fn what_was_found_stays_fixed() {
    for (seed, profile) in FOUND {
        let Some(profile) = Profile::named(profile) else { panic!("no profile {profile}") };
        if let Err(failure) = run(*seed, profile) {
            panic!("{failure}");
        }
    }
}

const FOUND: &[(u64, &str)] = &[
    (330, "calm"),
    (58, "events"),
    (288, "docker"),
    (15, "daemon"),
    (131, "storm"),
    (2850, "slow"),
    (37_225, "slow"),
    (6535, "slow"),
    (273, "calm"),
    (23, "disk"),
    (283, "disk"),
    (77, "storm"),
    (246, "storm"),
    (107_686, "sockets"),
    (587, "crash"),
    (761, "crash"),
    (876, "crash"),
    (3_019_226, "docker"),
    (103_833, "docker"),
    (102_913, "storm"),
    (7_312_030, "moves"),
    (7_330_153, "storm"),
    (9_103_498, "slow"),
    (9_121_413, "docker"),
];
