//! `sim --seed N [--profile P] [--trace] [--crash-at POINT]` replays one seed;
//! `sim --seeds FROM..TO` runs many; `sim --hours H` runs new seeds for so long.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sim::{Options, Profile, run_with};

#[derive(Default)]
struct Wanted {
    seed: Option<u64>,
    profile: Option<Profile>,
    options: Options,
    from: u64,
    to: Option<u64>,
    hours: Option<f64>,
    sweeps: bool,
}

fn parse() -> Result<Wanted, String> {
    let mut wanted = Wanted::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} wants a value"));
        let number = |text: String| text.parse::<u64>().map_err(|error| format!("{text}: {error}"));
        match argument.as_str() {
            "--seed" => wanted.seed = Some(number(value()?)?),
            "--profile" => {
                let name = value()?;
                wanted.profile = Some(Profile::named(&name).ok_or_else(|| format!("no profile {name}"))?);
            }
            "--trace" => wanted.options.keeps_trace = true,
            "--crash-at" => wanted.options.crash_point = Some(number(value()?)?),
            "--sweep" => wanted.sweeps = true,
            "--from" => wanted.from = number(value()?)?,
            "--seeds" => wanted.to = Some(number(value()?)?),
            "--hours" => wanted.hours = Some(value()?.parse().map_err(|error| format!("--hours: {error}"))?),
            other => return Err(format!("unknown argument {other}")),
        }
    }
    Ok(wanted)
}

fn main() -> ExitCode {
    match parse() {
        Ok(wanted) => go(&wanted),
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

fn go(wanted: &Wanted) -> ExitCode {
    if let Some(seed) = wanted.seed {
        return one(seed, wanted);
    }
    let until = wanted.hours.map(|hours| Instant::now() + Duration::from_secs_f64(hours * 3600.0));
    let to = wanted.to.unwrap_or(if until.is_some() { u64::MAX } else { 1000 });
    let next = AtomicU64::new(wanted.from);
    let (failed, steps, done) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let began = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= to || until.is_some_and(|until| Instant::now() > until) {
                        return;
                    }
                    let profile = wanted.profile.unwrap_or_else(|| Profile::of_seed(seed));
                    match run_with(seed, profile, wanted.options) {
                        Ok(report) => _ = steps.fetch_add(report.steps, Ordering::Relaxed),
                        Err(failure) => {
                            failed.fetch_add(1, Ordering::Relaxed);
                            println!("{} {}: {}", failure.seed, failure.profile, failure.why);
                        }
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let (failed, done) = (failed.into_inner(), done.into_inner());
    println!("{done} seeds, {failed} failed, {} steps in {:.1?}", steps.into_inner(), began.elapsed());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn one(seed: u64, wanted: &Wanted) -> ExitCode {
    let profile = wanted.profile.unwrap_or_else(|| Profile::of_seed(seed));
    let result = run_with(seed, profile, wanted.options);
    if let (true, Ok(report)) = (wanted.sweeps, &result) {
        for point in 1..=report.crash_points {
            if let Err(failure) = run_with(seed, profile, Options { crash_point: Some(point), ..wanted.options }) {
                println!("{failure}");
                return ExitCode::FAILURE;
            }
        }
    }
    match result {
        Ok(report) => {
            for line in &report.trace {
                println!("{line}");
            }
            println!(
                "seed {seed} profile {}: {} steps, {} effects, {} reports, {} lives, {} crash points, hash {:016x}, {:?} simulated",
                profile.name,
                report.steps,
                report.effects,
                report.reports,
                report.lives,
                report.crash_points,
                report.hash,
                report.simulated
            );
            ExitCode::SUCCESS
        }
        Err(failure) => {
            if wanted.options.keeps_trace {
                for line in &failure.trace {
                    println!("{line}");
                }
            }
            println!("{failure}");
            ExitCode::FAILURE
        }
    }
}
