//! Longshore: runs Amazon ECS tasks on one machine, joined to Amazon ECS or all by itself.

mod agent;
mod cli;
mod config;
mod local;
mod log;
mod plane;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

/// Names under which the binary is the reference agent's stand-in.
const AGENT_NAMES: [&str; 2] = ["amazon-ecs-agent", "agent"];
/// What the reference exits with for flags that it does not know (spec 40 §8).
const BAD_AGENT_FLAGS: u8 = 5;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let program = args.next().unwrap_or_default();
    let name = Path::new(&program).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let mut rest: Vec<OsString> = args.collect();
    let is_stand_in = AGENT_NAMES.contains(&name);
    if is_stand_in {
        rest.insert(0, "agent".into());
    }
    if rest.first().is_some_and(|first| first == "agent") {
        let flags = cli::normalize_go_flags(rest.split_off(1));
        rest.extend(flags);
    }
    let command = match cli::Cli::try_parse_from(std::iter::once(program).chain(rest)) {
        Ok(command) => command,
        Err(refusal) => {
            // Nobody is left to tell that the terminal is gone.
            let _ = refusal.print();
            return match refusal.exit_code() {
                0 if !is_stand_in => ExitCode::SUCCESS,
                _ if is_stand_in => ExitCode::from(BAD_AGENT_FLAGS),
                _ => ExitCode::from(2),
            };
        }
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).max_blocking_threads(16).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(refusal) => {
            eprintln!("longshore: threads cannot be started: {refusal}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(async {
        match command.command {
            cli::Command::Agent(args) => u8::try_from(agent::command::execute(args).await).unwrap_or(1),
            _ => cli::execute(command).await,
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    ExitCode::from(code)
}
