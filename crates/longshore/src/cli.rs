//! The command line: what can be asked, and where each question goes. It knows flags and exit codes (0 done,
//! 1 failed, 2 not understood); what the answers mean is each command's own business.

mod client;
mod connect;
mod definition;
mod describe;
mod failure;
mod find;
mod goflags;
mod images;
mod init;
mod leftovers;
mod local;
mod logs;
mod ps;
mod pump;
mod run;
mod stats;
mod stop;
mod temporary;
mod text;
mod top;
mod validate;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::plane::roles::Choice;

#[cfg(test)]
pub(crate) use client::Client;
pub(crate) use failure::Failure;
pub(crate) use goflags::normalize_go_flags;

/// The Amazon ECS agent in Rust, and ECS on one machine.
#[derive(Debug, Parser)]
#[command(
    name = "longshore",
    version,
    disable_help_subcommand = true,
    after_help = "Begin with:\n  longshore run examples/web.json      run a task definition on this machine, and see what it does\n  longshore local                      the same, as a control plane that stays"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What all commands take.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Global {
    /// Answer in JSON
    #[arg(long, global = true, help_heading = "Options of all commands")]
    pub json: bool,
    /// Where `longshore local` keeps its state [default: ~/.local/state/longshore; root: /var/lib/longshore], or the
    /// ECS_DATADIR of an agent that is asked [default: $ECS_DATADIR, else /data or /var/lib/ecs/data]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Options of all commands")]
    pub data_dir: Option<PathBuf>,
    /// Who is asked: a control plane, such as http://127.0.0.1:51670, or an agent, such as
    /// unix:///var/lib/ecs/data/longshore.sock [default: the running `longshore local`, else `longshore agent`]
    #[arg(long, global = true, value_name = "URL", help_heading = "Options of all commands")]
    pub endpoint: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Join an ECS cluster and run its tasks
    #[command(
        after_help = "Example:\n  ECS_CLUSTER=prod AWS_DEFAULT_REGION=eu-central-1 longshore agent --loglevel=warn"
    )]
    Agent(AgentArgs),
    /// ECS on this machine: a control plane and its agent, in the foreground
    #[command(after_help = "Example:\n  longshore local &\n  aws --endpoint-url http://127.0.0.1:51670 ecs list-tasks")]
    Local(LocalArgs),
    /// What the host needs beside the agent: the way in from containers
    #[command(after_help = "Example:\n  sudo longshore init install")]
    Init(InitArgs),
    /// Run a task definition, show what happens, and exit as its essential container does
    #[command(
        after_help = "Examples:\n  longshore run examples/web.json\n  longshore run web.yaml --env web:DEBUG=1\n  longshore run web:3 --detach        a registered family, on the running `longshore local`"
    )]
    Run(RunArgs),
    /// Tasks and their containers
    #[command(after_help = "Example:\n  longshore ps --all")]
    Ps(PsArgs),
    /// Everything about a task, with the time line of what happened to it
    #[command(after_help = "Example:\n  longshore describe 3f9c")]
    Describe(TaskArgs),
    /// What a task's containers wrote
    #[command(after_help = "Example:\n  longshore logs -f --tail 20 3f9c web")]
    Logs(LogsArgs),
    /// Stop a task, and wait until it has stopped
    #[command(after_help = "Example:\n  longshore stop 3f9c --reason 'new version'")]
    Stop(StopArgs),
    /// What tasks and containers use, live
    #[command(
        after_help = "CPU is in percent of one processor, as `docker stats` has it. Figures are those of the agent's own sampler, one \
second old at most. Containers of another agent that joined this control plane are shown from what its telemetry \
told, which comes every 20 seconds; their AGE says so.\n\nExamples:\n  longshore top                        q or Ctrl-C ends it\n  longshore top --once --json"
    )]
    Top(TopArgs),
    /// What a task's containers use now, and used over the last minutes
    #[command(
        after_help = "The history is what telemetry told the control plane: the last 30 rounds, one every 20 seconds, so the first comes \
up to 20 seconds after the start. It is kept in memory while the task lives.\n\nExample:\n  longshore stats 3f9c"
    )]
    Stats(StatsArgs),
    /// Images that tasks used: which tasks hold them, and when they go
    #[command(after_help = "Example:\n  longshore images")]
    Images,
    /// Remove images that nothing needs any more
    #[command(after_help = "Example:\n  longshore gc --dry-run")]
    Gc(GcArgs),
    /// What is wrong with a task definition, and whether it can be placed on this machine
    #[command(after_help = "Example:\n  longshore validate examples/web.json")]
    Validate(ValidateArgs),
}

/// The reference agent's flags (spec 40 §8). They may also be written with one dash.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct AgentArgs {
    /// Print the version and exit
    #[arg(long)]
    pub version: bool,
    /// Print the licence and exit
    #[arg(long)]
    pub license: bool,
    /// Ask the agent that runs here whether it is well, and exit
    #[arg(long)]
    pub healthcheck: bool,
    /// Print the attributes that this machine would register, and exit
    #[arg(long)]
    pub ecs_attributes: bool,
    /// Level of both logs: debug, info, warn, error, crit or none
    #[arg(long, value_name = "LEVEL")]
    pub loglevel: Option<String>,
    /// Level of the log on standard output
    #[arg(long, value_name = "LEVEL")]
    pub loglevel_driver: Option<String>,
    /// Level of the log file
    #[arg(long, value_name = "LEVEL")]
    pub loglevel_on_instance: Option<String>,
    /// Trust any certificate of the control plane
    #[arg(long = "k", short = 'k')]
    pub insecure: bool,
    /// Do not ask the EC2 metadata service
    #[arg(long)]
    pub blackhole_ec2_metadata: bool,
    /// Windows only
    #[arg(long, hide = true)]
    pub windows_service: bool,
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct LocalArgs {
    /// Port of the control plane on 127.0.0.1 [default: 51670, or a free one where that is taken]
    #[arg(long)]
    pub port: Option<u16>,
    /// Stop all tasks at the end, instead of leaving them to the next start
    #[arg(long)]
    pub stop_tasks: bool,
    /// Credentials for tasks with a taskRoleArn or executionRoleArn: `none`; `caller`, your own, as the AWS command
    /// line finds them; `profile:NAME`; `assume-role`, the role itself by one call of STS; `file:PATH`, JSON as
    /// `aws configure export-credentials --format process` prints it. They are obtained anew before they end
    /// [default: $LONGSHORE_TASK_CREDENTIALS, or none]
    #[arg(long, value_name = "SOURCE")]
    pub task_credentials: Option<Choice>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct InitArgs {
    #[command(subcommand)]
    pub action: InitAction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub(crate) enum InitAction {
    /// Lead 169.254.170.2 to the agent's port 51679, with the packet rules of ecs-init, each once
    Install,
    /// Say which of the rules are in place; exits with 1 if one is missing
    Check,
    /// Remove the rules, and those that ecs-init installed
    Remove,
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RunArgs {
    /// A task definition in JSON or YAML (`-` for standard input), or FAMILY[:REVISION] of a registered one
    #[arg(value_name = "FILE|FAMILY[:REV]")]
    pub target: String,
    /// Set a variable in all containers, or in one
    #[arg(long, short = 'e', value_name = "[CONTAINER:]NAME=VALUE")]
    pub env: Vec<String>,
    /// Start the task and return; needs a running `longshore local`
    #[arg(long, short = 'd')]
    pub detach: bool,
    /// Do not show what the containers write
    #[arg(long)]
    pub no_logs: bool,
    /// Leave the stopped containers where they are
    #[arg(long)]
    pub keep: bool,
    /// Credentials for a taskRoleArn or executionRoleArn: none, caller, profile:NAME, assume-role or file:PATH; see
    /// `longshore local --help` [default: $LONGSHORE_TASK_CREDENTIALS, or none]
    #[arg(long, value_name = "SOURCE")]
    pub task_credentials: Option<Choice>,
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct PsArgs {
    /// Stopped tasks too
    #[arg(long, short = 'a')]
    pub all: bool,
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct TaskArgs {
    /// ARN, id, the beginning of an id, or a family with one task
    pub task: String,
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct TopArgs {
    /// Only this task: ARN, id, the beginning of an id, or a family with one task
    pub task: Option<String>,
    /// Print once and end; so it does, too, where the output is no terminal, and with --json
    #[arg(long)]
    pub once: bool,
    /// Seconds between two looks
    #[arg(long, short = 'n', value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub interval: u64,
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct StatsArgs {
    /// ARN, id, the beginning of an id, or a family with one task [default: all that are not stopped]
    pub task: Option<String>,
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct LogsArgs {
    /// ARN, id, the beginning of an id, or a family with one task
    pub task: String,
    /// One container instead of all
    pub container: Option<String>,
    /// Go on until the task stops
    #[arg(long, short = 'f')]
    pub follow: bool,
    /// Only the last lines of each container
    #[arg(long, short = 'n', value_name = "LINES")]
    pub tail: Option<u64>,
    /// Only what is younger than a span (10m) or a time (2030-01-31T12:00:00Z)
    #[arg(long, value_name = "SPAN|TIME")]
    pub since: Option<String>,
    /// Begin lines with their time
    #[arg(long, short = 't')]
    pub timestamps: bool,
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct StopArgs {
    /// ARN, id, the beginning of an id, or a family with one task
    pub task: String,
    /// Kept as the task's stopped reason
    #[arg(long, default_value = "Stopped by longshore stop")]
    pub reason: String,
    /// Return at once
    #[arg(long)]
    pub no_wait: bool,
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct GcArgs {
    /// Only say what would be removed
    #[arg(long)]
    pub dry_run: bool,
    /// Young images too
    #[arg(long, short = 'a')]
    pub all: bool,
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ValidateArgs {
    /// A task definition in JSON or YAML (`-` for standard input)
    #[arg(value_name = "FILE")]
    pub file: String,
    /// Look at the file alone, not at this machine
    #[arg(long)]
    pub offline: bool,
}

/// Carries out any command but `agent`, and returns the process's exit code.
pub(crate) async fn execute(cli: Cli) -> u8 {
    let Cli { global, command } = cli;
    let outcome = match command {
        Command::Init(args) => init::execute(&global, args.action).await,
        Command::Local(args) => local::execute(&global, &args).await,
        Command::Run(args) => run::execute(&global, &args).await,
        Command::Ps(args) => ps::execute(&global, &args).await,
        Command::Describe(args) => describe::execute(&global, &args).await,
        Command::Logs(args) => logs::execute(&global, &args).await,
        Command::Stop(args) => stop::execute(&global, &args).await,
        Command::Top(args) => top::execute(&global, &args).await,
        Command::Stats(args) => stats::execute(&global, &args).await,
        Command::Images => images::execute(&global).await,
        Command::Gc(args) => images::collect(&global, &args).await,
        Command::Validate(args) => validate::execute(&global, &args).await,
        Command::Agent(_) => Err(Failure::usage("`agent` is not a command of this kind")),
    };
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            failure.print(global.json);
            failure.code
        }
    }
}
