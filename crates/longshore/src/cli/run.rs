//! `longshore run`: registers a definition, runs a task of it, and stays with it to its end.

mod outcome;
mod target;
mod view;

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;

use super::client::Lines;
use super::connect::{self, Connected};
use super::local::Signals;
use super::logs::Printer;
use super::pump::{Line, Pump, Wish};
use super::temporary::{self, Temporary};
use super::{Failure, Global, RunArgs, leftovers, stop, text};
use crate::local::report::TaskReport;
use crate::plane::roles::Choice;
use outcome::Outcome;
use target::Target;
use view::View;

/// How often the task is looked at when nothing says that it changed.
const TICK: Duration = Duration::from_millis(250);

/// How long the control plane may take to hear of the end, and the logs to come to theirs.
const AFTERMATH: Duration = Duration::from_secs(3);

/// The reason that a task is stopped for.
const REASON: &str = "Stopped by longshore run";

/// The exit code of a process that an interrupt ended.
const INTERRUPTED: u8 = 130;

pub(super) async fn execute(global: &Global, args: &RunArgs) -> Result<u8, Failure> {
    let target = Target::read(&args.target)?;
    let mut signals = Signals::new()?;
    // First, since the task may want what they hold: a port, memory.
    tokio::select! {
        () = leftovers::clear() => {}
        () = signals.next() => return Ok(INTERRUPTED),
    }
    if let Some(connected) = connect::find(global).await? {
        if args.task_credentials.is_some() {
            return Err(Failure::usage("--task-credentials is for a control plane of its own, and one runs already")
                .next("Give it to `longshore local`, or name another directory: --data-dir DIR"));
        }
        let instance = temporary::ready(&connected.client).await?;
        let task = start(&connected, &instance, &target, args).await?;
        if args.detach {
            detached(global, &task);
            return Ok(0);
        }
        return stay(&connected, global, args, task, &mut signals).await.map(|end| end.code);
    }
    let needed_by = match &target {
        Target::Family(family) => Some(format!("'{family}' is registered nowhere: no `longshore local` runs")),
        Target::File(_) if args.detach => Some("--detach needs a running `longshore local`".to_owned()),
        Target::File(_) => None,
    };
    if let Some(what) = needed_by {
        return Err(Failure::new(what).next("Start it with `longshore local`, in another terminal."));
    }
    let credentials = Choice::or_from_environment(args.task_credentials.as_ref()).map_err(Failure::usage)?;
    let mut temporary = tokio::select! {
        started = Temporary::start(credentials, args.keep) => started?,
        () = signals.next() => return Ok(INTERRUPTED),
    };
    if let Some(warning) = &temporary.local.warning {
        eprintln!("longshore: {warning}");
    }
    let outcome = alone(&mut temporary, global, args, &target, &mut signals).await;
    let docker = temporary.connected.docker();
    let directory = temporary.stop().await;
    let (end, task) = match outcome {
        Ok((end, task)) => (Ok(end.code), Some(task)),
        Err((failure, task)) => (Err(failure), task),
    };
    if let (Some(task), Ok(docker)) = (task, docker) {
        clear(&docker, &task, args.keep, global.json).await;
    }
    if !args.keep
        && let Err(error) = leftovers::clear_cgroups(directory.path())
    {
        eprintln!("longshore: {error:#}");
    }
    drop(directory);
    end
}

/// Runs the task on a control plane of our own. The task comes back so that its containers can be removed.
async fn alone(
    temporary: &mut Temporary,
    global: &Global,
    args: &RunArgs,
    target: &Target,
    signals: &mut Signals,
) -> Result<(Outcome, TaskReport), (Failure, Option<TaskReport>)> {
    let instance = temporary.ready().await.map_err(|failure| (failure, None))?;
    let task = start(&temporary.connected, &instance, target, args).await.map_err(|failure| (failure, None))?;
    if !global.json
        && let Some(hint) = temporary.way_in_hint().await
    {
        eprintln!("{hint}");
    }
    let id = task.id.clone();
    let ended = tokio::select! {
        ended = stay(&temporary.connected, global, args, task, signals) => ended,
        report = temporary.local.agent_ended() => Err(Failure::new(format!("the agent ended: {}", report.why))),
    };
    let last = temporary.connected.client.get::<TaskReport>(&format!("/longshore/v1/tasks/{id}")).await.ok();
    match ended {
        Ok(outcome) => Ok((outcome, last.unwrap_or_default())),
        Err(failure) => Err((failure, last)),
    }
}

/// Registers what is in the file, and runs a task.
async fn start(
    connected: &Connected,
    instance: &Value,
    target: &Target,
    args: &RunArgs,
) -> Result<TaskReport, Failure> {
    let client = &connected.client;
    let cluster = instance.get("cluster").cloned().unwrap_or_else(|| json!("default"));
    let definition = match target {
        Target::File(file) => client.call("RegisterTaskDefinition", &file.definition).await,
        Target::Family(family) => client.call("DescribeTaskDefinition", &json!({"taskDefinition": family})).await,
    };
    let definition = definition.map_err(|error| match target {
        Target::File(_) => error.into(),
        Target::Family(family) => Failure::new(format!("no task definition is called '{family}': {error}"))
            .next("`longshore run FILE` registers one."),
    })?;
    let definition = definition.get("taskDefinition").cloned().unwrap_or_default();
    let overrides = target::overrides(&args.env, &definition)?;
    let request = json!({
        "cluster": cluster,
        "taskDefinition": definition.get("taskDefinitionArn"),
        "overrides": overrides,
        "startedBy": "longshore run",
    });
    let answer = client.call("RunTask", &request).await?;
    if let Some(failure) = answer.pointer("/failures/0") {
        return Err(not_placed(failure, args));
    }
    let id = answer.pointer("/tasks/0/taskArn").and_then(Value::as_str).and_then(|arn| arn.rsplit('/').next());
    let id = id.ok_or_else(|| Failure::new("the control plane started no task and gave no reason"))?;
    Ok(client.get(&format!("/longshore/v1/tasks/{id}")).await?)
}

fn not_placed(failure: &Value, args: &RunArgs) -> Failure {
    let text = |name: &str| failure.get(name).and_then(Value::as_str).unwrap_or_default();
    let (reason, detail) = (text("reason"), text("detail"));
    let why = match reason {
        "RESOURCE:CPU" => "it asks for more CPU than this machine has left",
        "RESOURCE:MEMORY" => "it asks for more memory than this machine has left",
        "RESOURCE:PORTS" => "a host port that it asks for is taken by another task, or reserved",
        "RESOURCE:GPU" => "it asks for more GPUs than this machine has left",
        "AGENT" => "the agent is not connected",
        "ATTRIBUTE" => "it needs something that this machine cannot do",
        _ => "",
    };
    let mut what = format!("the task cannot be placed here: {reason}");
    for part in [why, detail] {
        if !part.is_empty() {
            what = format!("{what}: {part}");
        }
    }
    Failure::new(what).next(format!("`longshore validate {}` says what is missing.", args.target))
}

fn detached(global: &Global, task: &TaskReport) {
    if global.json {
        println!("{}", json!({"task": task}));
        return;
    }
    println!("{}", task.arn);
    let id = text::short(&task.id);
    eprintln!("Started {} as {id}: longshore describe {id}, longshore logs -f {id}, longshore stop {id}", task.name());
}

/// Shows the task until it ends.
async fn stay(
    connected: &Connected,
    global: &Global,
    args: &RunArgs,
    task: TaskReport,
    signals: &mut Signals,
) -> Result<Outcome, Failure> {
    let client = &connected.client;
    let docker = connected.docker()?;
    let wish = Wish { follow: true, ..Wish::default() };
    let (mut pump, mut lines) = Pump::new(docker.clone(), wish, None);
    let mut view = View::new(global.json, Printer::new(&task, global.json, false, true));
    view.begin(&task);
    let path = format!("/longshore/v1/tasks/{}", task.id);
    let mut facts = client.follow("/longshore/v1/facts/stream").await.ok();
    let mut interrupts = 0;
    let mut now = task;
    loop {
        view.update(&now);
        if !args.no_logs {
            pump.look(&now);
        }
        if now.has_ended() {
            break;
        }
        let tick = tokio::time::sleep(TICK);
        tokio::pin!(tick);
        loop {
            tokio::select! {
                Some(line) = lines.recv() => {
                    view.log(&line);
                    continue;
                }
                () = signals.next() => {
                    interrupts += 1;
                    match interrupts {
                        1 => {
                            view.say("stopping the task; once more to kill it");
                            stop::stop(client, &now, REASON).await?;
                        }
                        2 => {
                            view.say("killing the containers; once more to leave them to themselves");
                            kill(&docker, &now).await;
                        }
                        _ => return Ok(Outcome { code: INTERRUPTED, text: "left to itself".to_owned(), advice: None }),
                    }
                }
                () = woken(&mut facts) => {}
                () = &mut tick => {}
            }
            break;
        }
        now = client.get(&path).await?;
    }
    drain(pump, &mut lines, &view).await;
    let began = Instant::now();
    while !now.is_stopped() && began.elapsed() < AFTERMATH {
        tokio::time::sleep(Duration::from_millis(20)).await;
        now = client.get(&path).await?;
        view.update(&now);
    }
    let outcome = Outcome::of(&now);
    view.end(&now, &outcome);
    Ok(outcome)
}

/// Returns when something happened, whatever it was; never without a stream.
async fn woken(facts: &mut Option<Lines>) {
    if let Some(lines) = facts {
        if lines.next().await.is_some() {
            return;
        }
        *facts = None;
    }
    std::future::pending().await
}

/// Prints what the containers wrote at their end.
async fn drain(mut pump: Pump, lines: &mut Receiver<Line>, view: &View) {
    let drained = async {
        pump.drain().await;
        drop(pump);
    };
    let printed = async {
        while let Some(line) = lines.recv().await {
            view.log(&line);
        }
    };
    let _ = tokio::time::timeout(AFTERMATH, async { tokio::join!(drained, printed) }).await;
}

async fn kill(docker: &docker::Engine, task: &TaskReport) {
    for id in task.containers.iter().filter_map(|container| container.docker_id.as_deref()) {
        // One that has ended cannot be killed, and need not be.
        let _ = docker.kill(id, "SIGKILL").await;
    }
}

/// Removes what a task of our own left.
async fn clear(docker: &docker::Engine, task: &TaskReport, keep: bool, is_json: bool) {
    let containers = task.containers.iter().filter_map(|c| c.docker_id.as_deref().or(c.docker_name.as_deref()));
    if keep {
        let names: Vec<_> = task.containers.iter().filter_map(|container| container.docker_name.as_deref()).collect();
        if !names.is_empty() && !is_json {
            eprintln!("Kept: docker rm -f {}", names.join(" "));
        }
        return;
    }
    for id in containers {
        match docker.remove(id, true, true).await {
            Err(error) if error.kind() != docker::Kind::NotFound => eprintln!("longshore: {error}"),
            _ => {}
        }
    }
    for volume in task.volumes.iter().filter(|volume| volume.is_own) {
        match docker.remove_volume(&volume.source, true).await {
            Err(error) if error.kind() != docker::Kind::NotFound => eprintln!("longshore: {error}"),
            _ => {}
        }
    }
}
