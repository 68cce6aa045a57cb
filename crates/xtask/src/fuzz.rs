//! The fuzz targets, one after the other: what they may be given is in `fuzz/corpus`, what they find there too.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::process::{root, run as run_command, say, scratch, succeeds};

/// The compiler that libFuzzer's instrumentation needs.
const NIGHTLY: &str = "+nightly";

/// An input that takes longer than this hangs.
const TIMEOUT_SECONDS: u32 = 20;

/// No reader of ours needs a tenth of this.
const MEMORY_MIB: u32 = 2048;

/// `[--minutes N] [TARGET…]`.
pub(crate) fn run(rest: &[&str]) -> Result<()> {
    let (minutes, wanted) = match rest {
        ["--minutes", minutes, wanted @ ..] => (minutes.parse::<u32>().context("--minutes wants a number")?, wanted),
        wanted => (10, wanted),
    };
    let all = targets()?;
    if let Some(unknown) = wanted.iter().find(|name| !all.iter().any(|target| target == *name)) {
        bail!("there is no fuzz target {unknown}; there are {}", all.join(", "));
    }
    install()?;
    say("building the fuzz targets");
    run_command(cargo().args(["fuzz", "build"]))?;
    let mut found = Vec::new();
    for target in all.iter().filter(|target| wanted.is_empty() || wanted.contains(&target.as_str())) {
        say(&format!("{target}: {minutes} minutes"));
        if !fuzz(target, minutes)? {
            found.push(target.as_str());
        }
    }
    if !found.is_empty() {
        bail!("found something: {}; the inputs are in fuzz/artifacts", found.join(", "));
    }
    Ok(())
}

/// The names of the programs in `fuzz/fuzz_targets`.
fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for file in std::fs::read_dir(root().join("fuzz/fuzz_targets")).context("looking for fuzz targets")? {
        let path = file?.path();
        names.extend(path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

fn install() -> Result<()> {
    if !succeeds(Command::new("cargo").args([NIGHTLY, "--version"])) {
        bail!("fuzzing needs nightly Rust: rustup toolchain install nightly");
    }
    if !succeeds(cargo().args(["fuzz", "--version"])) {
        say("installing cargo-fuzz from crates.io");
        run_command(Command::new("cargo").args(["install", "--quiet", "--locked", "cargo-fuzz"]).current_dir(root()))?;
    }
    Ok(())
}

/// The nightly cargo, in the fuzz targets' workspace. The cargo that runs us is of another toolchain.
fn cargo() -> Command {
    let mut command = Command::new("cargo");
    command.arg(NIGHTLY).current_dir(root().join("fuzz"));
    command.env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO_TARGET_DIR");
    command
}

/// Whether nothing was found. New inputs that go new ways are kept for the next time, beside the committed ones.
fn fuzz(target: &str, minutes: u32) -> Result<bool> {
    let kept = scratch("fuzz")?.join(target);
    std::fs::create_dir_all(&kept)?;
    let committed = Path::new("corpus").join(target);
    let status = cargo()
        .args(["fuzz", "run", target])
        .arg(&kept)
        .arg(&committed)
        .arg("--")
        .arg(format!("-max_total_time={}", minutes * 60))
        .arg(format!("-timeout={TIMEOUT_SECONDS}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB}"))
        .args(["-max_len=16384", "-print_final_stats=1"])
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("fuzzing {target}"))?;
    Ok(status.success())
}
