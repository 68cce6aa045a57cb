//! The project's own commands. Each installs or starts what it needs, says so in one line, and asks nothing.

mod bench;
mod demo;
mod deps;
mod fuzz;
mod image;
mod install;
mod process;
mod registry;
mod soak;
mod test;

use std::process::ExitCode;

const HELP: &str = "\
The project's own commands:

  cargo xtask demo    run examples/web.json on this machine, from nothing to a fetched page
  cargo xtask test    run every test: unit, simulation, and system tests on a real Docker Engine
  cargo xtask bench   measure the agent beside the bare Engine API, in one table; parts can be named:
                      start, burst, launch, stop, idle, endpoint, engine
  cargo xtask soak    the long forms of the tests; parts can be named: kills, daemon, burst, memory, simulation;
                      --minutes N for each, or --kills N, --tasks N, --rounds N; --private takes an Engine of its own
  cargo xtask fuzz    give anything to every reader of what others send, ten minutes each, on nightly Rust;
                      targets can be named; --minutes N for each
  cargo xtask deps    check that the crates depend on one another as drawn

Each installs or starts what it needs (on Debian: with apt-get) and says so.
Arguments after `test` go to the test runner.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["demo"] => demo::run(),
        ["test", rest @ ..] => test::run(rest),
        ["bench", rest @ ..] => bench::run(rest),
        ["soak", rest @ ..] => soak::run(rest),
        ["fuzz", rest @ ..] => fuzz::run(rest),
        ["deps"] => deps::run(),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        _ => {
            eprint!("xtask: unknown command: {}\n\n{HELP}", words.join(" "));
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
