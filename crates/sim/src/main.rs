//! Replays one seed, or runs many, or runs for hours. `--help` has the arguments.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sim::{Options, PROFILES, Profile, UnderWay, run_with};

const HELP: &str = "\
sim --seed N [--profile P] [--trace] [--crash-at POINT [--under-way kept|lost]]   one world, again
sim --seed N --sweep                       one world, with a crash at each point in turn
sim [--from N] [--seeds TO]                worlds FROM to TO, each with its own profile
sim --minutes M | --hours H [--from N]     new worlds for so long, with a line of progress now and then

  --profile P   the same for all: calm, slow, docker, events, daemon, meddler, api, sockets, clock, crash,
                disk, moves or storm
  --jobs N      worlds at once; without it one for each core
  --failures N  end after so many; without it after 10";

/// How often a long run tells how far it is.
const PROGRESS: Duration = Duration::from_secs(30);

struct Wanted {
    seed: Option<u64>,
    profile: Option<Profile>,
    options: Options,
    from: u64,
    to: Option<u64>,
    span: Option<Duration>,
    jobs: usize,
    failures: u64,
    sweeps: bool,
}

fn parse() -> Result<Wanted, String> {
    let mut wanted = Wanted {
        seed: None,
        profile: None,
        options: Options::default(),
        from: 0,
        to: None,
        span: None,
        jobs: std::thread::available_parallelism().map_or(1, usize::from),
        failures: 10,
        sweeps: false,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} wants a value"));
        let number = |text: String| text.parse::<u64>().map_err(|error| format!("{text}: {error}"));
        let span = |text: String, unit: f64| {
            let many = text.parse::<f64>().map_err(|error| format!("{text}: {error}"))?;
            Duration::try_from_secs_f64(many * unit).map_err(|error| format!("{text}: {error}"))
        };
        match argument.as_str() {
            "--help" | "-h" => return Err(HELP.to_owned()),
            "--seed" => wanted.seed = Some(number(value()?)?),
            "--profile" => {
                let name = value()?;
                wanted.profile = Some(Profile::named(&name).ok_or_else(|| format!("no profile {name}"))?);
            }
            "--trace" => wanted.options.keeps_trace = true,
            "--crash-at" => wanted.options.crash_point = Some(number(value()?)?),
            "--under-way" => {
                wanted.options.under_way = Some(match value()?.as_str() {
                    "kept" => UnderWay::Kept,
                    "lost" => UnderWay::Lost,
                    other => return Err(format!("--under-way {other}: kept or lost")),
                });
            }
            "--sweep" => wanted.sweeps = true,
            "--from" => wanted.from = number(value()?)?,
            "--seeds" => wanted.to = Some(number(value()?)?),
            "--hours" => wanted.span = Some(span(value()?, 3600.0)?),
            "--minutes" => wanted.span = Some(span(value()?, 60.0)?),
            "--jobs" => wanted.jobs = usize::try_from(number(value()?)?.max(1)).unwrap_or(1),
            "--failures" => wanted.failures = number(value()?)?.max(1),
            other => return Err(format!("unknown argument {other}\n{HELP}")),
        }
    }
    Ok(wanted)
}

fn main() -> ExitCode {
    match parse() {
        Ok(wanted) => match wanted.seed {
            Some(seed) => one(seed, &wanted),
            None => many(&wanted),
        },
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

/// How far a run over many worlds is.
#[derive(Default)]
struct Tally {
    done: AtomicU64,
    failed: AtomicU64,
    steps: AtomicU64,
    lives: AtomicU64,
    /// Seconds.
    simulated: AtomicU64,
    is_over: AtomicBool,
}

impl Tally {
    fn line(&self, began: Instant) -> String {
        let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
        format!(
            "{} worlds in {:.0?}, {} failed: {} steps, {} lives of the agent, {} simulated hours",
            of(&self.done),
            began.elapsed(),
            of(&self.failed),
            of(&self.steps),
            of(&self.lives),
            of(&self.simulated) / 3600
        )
    }
}

fn many(wanted: &Wanted) -> ExitCode {
    let began = Instant::now();
    let until = wanted.span.map(|span| began + span);
    let to = wanted.to.unwrap_or(if until.is_some() { u64::MAX } else { wanted.from + 1000 });
    let next = AtomicU64::new(wanted.from);
    let tally = Tally::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..wanted.jobs).map(|_| scope.spawn(|| work(wanted, &next, to, until, &tally))).collect();
        if wanted.span.is_some() {
            scope.spawn(|| {
                let mut told = Instant::now();
                while !tally.is_over.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(200));
                    if told.elapsed() >= PROGRESS {
                        told = Instant::now();
                        println!("{}; at seed {}", tally.line(began), next.load(Ordering::Relaxed));
                    }
                }
            });
        }
        for worker in workers {
            if worker.join().is_err() {
                tally.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
        tally.is_over.store(true, Ordering::Relaxed);
    });
    println!("{}; {} profiles", tally.line(began), wanted.profile.map_or(PROFILES.len(), |_| 1));
    if tally.failed.into_inner() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn work(wanted: &Wanted, next: &AtomicU64, to: u64, until: Option<Instant>, tally: &Tally) {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        let has_time = until.is_none_or(|until| Instant::now() < until);
        if seed >= to || !has_time || tally.failed.load(Ordering::Relaxed) >= wanted.failures {
            return;
        }
        let profile = wanted.profile.unwrap_or_else(|| Profile::of_seed(seed));
        match run_with(seed, profile, wanted.options) {
            Ok(report) => {
                tally.steps.fetch_add(report.steps, Ordering::Relaxed);
                tally.lives.fetch_add(report.lives, Ordering::Relaxed);
                tally.simulated.fetch_add(report.simulated.as_secs(), Ordering::Relaxed);
            }
            Err(failure) => {
                tally.failed.fetch_add(1, Ordering::Relaxed);
                println!("{}", failure.brief());
            }
        }
        tally.done.fetch_add(1, Ordering::Relaxed);
    }
}

fn one(seed: u64, wanted: &Wanted) -> ExitCode {
    let profile = wanted.profile.unwrap_or_else(|| Profile::of_seed(seed));
    let result = run_with(seed, profile, wanted.options);
    if let (true, Ok(report)) = (wanted.sweeps, &result) {
        for (point, under_way) in report.crashes() {
            let options = Options { crash_point: Some(point), under_way: Some(under_way), ..wanted.options };
            if let Err(failure) = run_with(seed, profile, options) {
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
