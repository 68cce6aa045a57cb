//! `longshore local`: keeps a control plane and its agent, and says what happens.

use std::time::Duration;

use serde_json::json;
use tokio::sync::broadcast::error::RecvError;

use super::client::Client;
use super::text::{self, Paint};
use super::{Failure, Global, LocalArgs, leftovers, stop};
use crate::agent::published::Fact;
use crate::local::home::Home;
use crate::local::report::TaskReport;
use crate::local::{Local, Options};
use crate::plane::roles::Choice;

/// How often stopping tasks are looked at.
const TICK: Duration = Duration::from_millis(200);

pub(super) async fn execute(global: &Global, args: &LocalArgs) -> Result<u8, Failure> {
    let mut signals = Signals::new()?;
    let home = Home::choose(global.data_dir.as_deref())?;
    let credentials = Choice::or_from_environment(args.task_credentials.as_ref()).map_err(Failure::usage)?;
    tokio::select! {
        () = leftovers::clear() => {}
        () = signals.next() => return Ok(0),
    }
    let options = Options { home: home.clone(), port: args.port, is_announced: true, credentials };
    let mut local = tokio::select! {
        started = Local::start(options) => started?,
        () = signals.next() => return Ok(0),
    };
    let mut facts = local.published.follow();
    let paint = Paint::stdout();
    if let Some(warning) = &local.warning {
        eprintln!("longshore: {warning}");
    }
    greet(global, &local, &home, paint);
    let mut way_in = local.published.way_in();
    let mut last_hint = None;
    let ended = loop {
        let hint = way_in.borrow_and_update().hint.clone();
        if hint != last_hint {
            if let Some(hint) = &hint {
                warn(global, hint, paint);
            }
            last_hint = hint;
        }
        tokio::select! {
            () = signals.next() => break None,
            Ok(()) = way_in.changed() => {}
            report = local.agent_ended() => break Some(report),
            fact = facts.recv() => match fact {
                Ok(fact) if global.json => println!("{}", serde_json::to_string(&*fact).unwrap_or_default()),
                Ok(fact) => {
                    if let Some(line) = line(&fact, paint) {
                        println!("{line}");
                    }
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => break None,
            }
        }
    };
    if let Some(report) = ended {
        let log = local.log_file.display().to_string();
        local.stop().await;
        return Err(Failure::new(format!("the agent ended: {}", report.why)).next(format!("Its log: {log}")));
    }
    let client = Client::new(&local.endpoint)?;
    let alive: Vec<TaskReport> = client.get("/longshore/v1/tasks").await.unwrap_or_default();
    let alive: Vec<_> = alive.into_iter().filter(|task| !task.is_stopped()).collect();
    let count = text::count(alive.len(), "task");
    if args.stop_tasks && !alive.is_empty() {
        say(global, &format!("Stopping {count}; once more to leave them running."));
        tokio::select! {
            () = stop_all(&client, &alive) => {}
            () = signals.next() => {}
        }
    } else if !alive.is_empty() {
        let it = if alive.len() == 1 { "goes" } else { "go" };
        say(
            global,
            &format!("Ending; {count} {it} on running and will be taken up again by the next `longshore local`."),
        );
    }
    local.stop().await;
    Ok(0)
}

fn greet(global: &Global, local: &Local, home: &Home, paint: Paint) {
    if global.json {
        println!("{}", json!({"endpoint": local.endpoint, "dataDir": home.path(), "docker": local.docker}));
        return;
    }
    println!("{} at {}, with the Docker Engine at {}", paint.strong("ECS"), local.endpoint, local.docker);
    println!("  state in {}, the agent's log in {}", home.path().display(), local.log_file.display());
    println!("  longshore run FILE           or as on AWS:");
    println!("  aws --endpoint-url {} ecs list-tasks", local.endpoint);
}

/// What people see of a fact; nothing of what only explains.
fn line(fact: &Fact, paint: Paint) -> Option<String> {
    if fact.level == "debug" {
        return None;
    }
    let mut who = fact.task.as_ref().map(|task| text::short(task.as_str()).to_owned()).unwrap_or_default();
    if let Some(container) = &fact.container {
        who = format!("{who} {container}");
    }
    let who = if who.is_empty() { "agent".to_owned() } else { who };
    let told = match fact.level {
        "warn" | "error" => paint.bad(&fact.text),
        _ => fact.text.clone(),
    };
    Some(format!("{} {}: {told}", paint.faint(&text::time_of_day(fact.at)), who))
}

fn warn(global: &Global, text: &str, paint: Paint) {
    if global.json {
        println!("{}", json!({"at": jiff::Timestamp::now(), "level": "warn", "what": "way-in", "text": text}));
    } else {
        println!("{}", paint.bad(text));
    }
}

fn say(global: &Global, text: &str) {
    if !global.json {
        println!("{text}");
    }
}

async fn stop_all(client: &Client, tasks: &[TaskReport]) {
    for task in tasks {
        // One that stopped meanwhile is what we want.
        let _ = stop::stop(client, task, "longshore local ended").await;
    }
    loop {
        let now: Vec<TaskReport> = client.get("/longshore/v1/tasks").await.unwrap_or_default();
        if now.iter().all(TaskReport::is_stopped) {
            return;
        }
        tokio::time::sleep(TICK).await;
    }
}

/// SIGINT and SIGTERM, one after the other.
pub(super) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    pub(super) fn new() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let on = |kind| signal(kind).map_err(|error| Failure::new(format!("no signals: {error}")));
        Ok(Self { interrupt: on(SignalKind::interrupt())?, terminate: on(SignalKind::terminate())? })
    }

    /// The next of them. Cancel-safe.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
