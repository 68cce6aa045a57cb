//! The long forms of what `cargo xtask test` shows in short: each part goes on until its count, or the minutes given,
//! are over.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use lab::{Bench, Daemon, Network, Setup, proof};

use crate::process::{self, cargo, say};
use crate::{demo, image, install};

/// What can be asked for, in the order of the run.
const PARTS: [&str; 5] = ["kills", "daemon", "burst", "memory", "simulation"];

/// Minutes of simulation, and of nothing else, where none are given.
const SIMULATION_MINUTES: f64 = 10.0;

/// The agent's memory has its form after so many tasks.
const WARM_UP: usize = 400;

/// How far it may then go from what it was, in MiB.
const FLAT: f64 = 2.0;

/// What is to be done, and how much of it.
#[derive(Debug, PartialEq)]
struct Wanted<'a> {
    parts: Vec<&'a str>,
    minutes: Option<f64>,
    kills: usize,
    tasks: usize,
    rounds: usize,
    seed: u64,
    binary: Option<&'a str>,
    /// On an Engine of its own instead of the machine's.
    is_private: bool,
}

/// One part's outcome.
struct Line {
    part: &'static str,
    took: Duration,
    outcome: Result<String>,
}

pub(crate) fn run(words: &[&str]) -> Result<()> {
    let wanted = parse(words)?;
    let engine = install::engine()?;
    image::ensure(&engine)?;
    let binary = demo::binary(wanted.binary)?;
    let mut lines = Vec::new();
    for part in PARTS.into_iter().filter(|part| wanted.parts.contains(part)) {
        say(&format!("soak: {part}"));
        let begun = Instant::now();
        let outcome = perform(part, &wanted, &binary);
        if let Err(error) = &outcome {
            eprintln!("{part}: {error:#}");
        }
        lines.push(Line { part, took: begun.elapsed(), outcome });
    }
    for line in &lines {
        let (verdict, text) = match &line.outcome {
            Ok(text) => ("held", text.clone()),
            Err(error) => ("FAILED", error.to_string()),
        };
        println!("{:<11} {verdict:<6} {:>7.0} s  {text}", line.part, line.took.as_secs_f64());
    }
    match lines.iter().filter(|line| line.outcome.is_err()).count() {
        0 => Ok(()),
        failed => bail!("{failed} of {} parts failed", lines.len()),
    }
}

fn parse<'a>(words: &[&'a str]) -> Result<Wanted<'a>> {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut wanted = Wanted {
        parts: Vec::new(),
        minutes: None,
        kills: 200,
        tasks: 2000,
        rounds: 5,
        seed,
        binary: None,
        is_private: false,
    };
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} wants a value"));
        match word {
            "--minutes" => wanted.minutes = Some(value()?.parse().context("--minutes")?),
            "--kills" => wanted.kills = value()?.parse().context("--kills")?,
            "--tasks" => wanted.tasks = value()?.parse().context("--tasks")?,
            "--rounds" => wanted.rounds = value()?.parse().context("--rounds")?,
            "--seed" => wanted.seed = value()?.parse().context("--seed")?,
            "--private" => wanted.is_private = true,
            "--binary" => wanted.binary = Some(value()?),
            part if PARTS.contains(&part) => wanted.parts.push(part),
            other => bail!("unknown: {other}; parts are {}", PARTS.join(", ")),
        }
    }
    if wanted.parts.is_empty() {
        wanted.parts.extend(PARTS);
    }
    Ok(wanted)
}

fn perform(part: &str, wanted: &Wanted<'_>, binary: &str) -> Result<String> {
    // A number of minutes replaces the counts.
    let until = wanted.minutes.map(|minutes| Instant::now() + Duration::from_secs_f64(minutes * 60.0));
    let is_private = wanted.is_private && matches!(part, "kills" | "burst" | "memory");
    let own = is_private.then(|| private(Network::Own, &[])).transpose()?;
    let count = |count: usize| if until.is_some() { usize::MAX } else { count };
    match part {
        "kills" => {
            let mut bench = bench(binary, own.as_ref())?;
            let churned = proof::churn(&mut bench, count(wanted.kills), wanted.seed, until)?;
            Ok(format!("{} SIGKILLs during {} tasks, seed {}", churned.kills, churned.tasks, wanted.seed))
        }
        "daemon" => {
            let done = repeated(count(wanted.rounds), until, || {
                let mut daemon = private(Network::None, &["--live-restore"])?;
                proof::outlive_daemon(&bench(binary, Some(&daemon))?, &mut daemon, 20)?;
                drop(daemon);
                let mut daemon = private(Network::None, &[])?;
                proof::end_with_daemon(&bench(binary, Some(&daemon))?, &mut daemon, 20)
            })?;
            Ok(format!("{done} rounds of three restarts under 20 tasks"))
        }
        "burst" => {
            let bench = bench(binary, own.as_ref())?;
            let done = repeated(count(wanted.rounds), until, || proof::burst(&bench, 100))?;
            Ok(format!("{done} times 100 tasks at once"))
        }
        "memory" => {
            let bench = bench(binary, own.as_ref())?;
            flat(&proof::memory(&bench, count(wanted.tasks), until)?)
        }
        _ => simulation(wanted.minutes.unwrap_or(SIMULATION_MINUTES)),
    }
}

fn repeated(times: usize, until: Option<Instant>, mut once: impl FnMut() -> Result<()>) -> Result<usize> {
    let mut done = 0;
    while done < times && until.is_none_or(|until| Instant::now() < until) {
        once().with_context(|| format!("round {}", done + 1))?;
        done += 1;
    }
    Ok(done)
}

fn bench(binary: &str, daemon: Option<&Daemon>) -> Result<Bench> {
    let host = daemon.map(Daemon::host);
    let mut environment = vec![("ECS_IMAGE_PULL_BEHAVIOR", "prefer-cached")];
    environment.extend(proof::SETTINGS);
    environment.extend(host.as_deref().map(|host| ("DOCKER_HOST", host)));
    let image = format!("{}:latest", image::REPOSITORY);
    Bench::start(&Setup { command: &[binary, "agent"], environment: &environment, image: &image })
}

/// An Engine of its own, with our image.
fn private(network: Network, extra: &[&str]) -> Result<Daemon> {
    let daemon = Daemon::start(network, extra)?;
    daemon.take_image(&lab::Engine::from_env()?, &format!("{}:latest", image::REPOSITORY))?;
    Ok(daemon)
}

/// Whether memory stays near what it was after the warm-up.
fn flat(samples: &[(usize, f64)]) -> Result<String> {
    let warm: Vec<f64> = samples.iter().filter(|(done, _)| *done >= WARM_UP).map(|(_, size)| *size).collect();
    let first = *warm.first().context("too few tasks for a warm-up")?;
    let (least, most) = warm.iter().fold((first, first), |(least, most), size| (least.min(*size), most.max(*size)));
    let all: Vec<String> = samples.iter().map(|(done, size)| format!("{done}: {size:.1}")).collect();
    say(&format!("memory in MiB by tasks: {}", all.join(", ")));
    let done = samples.last().map_or(0, |(done, _)| *done);
    let text = format!("{done} tasks; {first:.1} MiB after {WARM_UP}, then {least:.1} to {most:.1} MiB");
    if most - first > FLAT || first - least > FLAT {
        bail!("{text}: more than {FLAT} MiB away");
    }
    Ok(text)
}

fn simulation(minutes: f64) -> Result<String> {
    // Seeds of its own each time: those of the tests hold already.
    let from = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() * 1000;
    let hours = (minutes / 60.0).to_string();
    let seed = from.to_string();
    let mut command = cargo();
    command.args(["run", "--release", "--locked", "--package", "sim", "--", "--hours", &hours, "--from", &seed]);
    process::run(&mut command)?;
    Ok(format!("{minutes} minutes, seeds from {from}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_counts_are_read() -> Result<()> {
        let wanted = parse(&["kills", "--kills", "3", "memory", "--minutes", "1.5"])?;
        assert_eq!((wanted.parts, wanted.kills, wanted.minutes), (vec!["kills", "memory"], 3, Some(1.5)));
        assert_eq!(parse(&[])?.parts, PARTS);
        assert!(parse(&["thrills"]).is_err() && parse(&["--kills"]).is_err());
        Ok(())
    }

    #[test]
    fn memory_that_grows_is_not_flat() {
        let warm = |last: f64| flat(&[(100, 9.0), (400, 16.0), (500, 16.5), (2000, last)]);
        assert!(warm(17.9).is_ok() && warm(14.1).is_ok());
        assert!(warm(18.1).is_err() && warm(13.9).is_err());
        assert!(flat(&[(100, 9.0)]).is_err());
    }
}
