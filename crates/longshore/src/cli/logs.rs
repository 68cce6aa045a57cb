//! `longshore logs`.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::pump::{Line, Pump, Wish};
use super::text::Paint;
use super::{Failure, Global, LogsArgs, connect, find};
use crate::local::report::TaskReport;

/// How often new containers of the task are looked for.
const TICK: Duration = Duration::from_millis(250);

pub(super) async fn execute(global: &Global, args: &LogsArgs) -> Result<u8, Failure> {
    let since = args.since.as_deref().map(|since| parse_since(since, Timestamp::now())).transpose()?;
    let connected = connect::connect(global).await?;
    let task = find::find(&connected.client, &args.task).await?;
    if let Some(wanted) = &args.container
        && !task.own_containers().any(|container| container.name == *wanted)
    {
        let names: Vec<_> = task.own_containers().map(|container| container.name.as_str()).collect();
        return Err(
            Failure::new(format!("the task has no container '{wanted}'")).next(format!("It has {}.", names.join(", ")))
        );
    }
    let wish = Wish { follow: args.follow, tail: args.tail, since };
    let (mut pump, mut lines) = Pump::new(connected.docker()?, wish, args.container.clone());
    let printer = Printer::new(&task, global.json, args.timestamps, args.container.is_none());
    pump.look(&task);
    if !args.follow {
        let mut all = Vec::new();
        let drained = async {
            pump.drain().await;
            drop(pump);
        };
        let collected = async {
            while let Some(line) = lines.recv().await {
                all.push(line);
            }
        };
        tokio::join!(drained, collected);
        // By time where it is known; what is said of a log comes first.
        all.sort_by_key(|line| line.at);
        all.iter().for_each(|line| printer.print(line));
        return Ok(0);
    }
    let path = format!("/longshore/v1/tasks/{}", task.id);
    loop {
        tokio::select! {
            Some(line) = lines.recv() => printer.print(&line),
            () = tokio::time::sleep(TICK) => {
                let now: TaskReport = connected.client.get(&path).await?;
                pump.look(&now);
                if now.has_ended() {
                    break;
                }
            }
        }
    }
    let drained = async {
        pump.drain().await;
        drop(pump);
    };
    let printed = async {
        while let Some(line) = lines.recv().await {
            printer.print(&line);
        }
    };
    tokio::join!(drained, printed);
    Ok(0)
}

/// A span before now, or a moment.
pub(super) fn parse_since(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let not_understood = || {
        Failure::usage(format!("'{text}' is neither a span nor a time"))
            .next("Spans look like 90s, 10m or 1h30m; times like 2030-01-31T12:00:00Z.")
    };
    let span = wire::gojson::parse_duration(text).map_err(|_| not_understood())?;
    let span = SignedDuration::try_from(span).map_err(|_| not_understood())?;
    now.checked_sub(span).map_err(|_| not_understood())
}

/// Prints lines with their container in front.
pub(super) struct Printer {
    paint: Paint,
    is_json: bool,
    with_time: bool,
    /// 0: no prefix.
    width: usize,
}

impl Printer {
    pub(super) fn new(task: &TaskReport, is_json: bool, with_time: bool, with_prefix: bool) -> Self {
        let width = task.own_containers().map(|container| container.name.chars().count()).max().unwrap_or(0);
        Self { paint: Paint::stdout(), is_json, with_time, width: if with_prefix { width } else { 0 } }
    }

    pub(super) fn print(&self, line: &Line) {
        println!("{}", self.render(line));
    }

    pub(super) fn render(&self, line: &Line) -> String {
        let Line { position, container, is_stderr, at, text } = line;
        if self.is_json {
            let stream = if *is_stderr { "stderr" } else { "stdout" };
            return json!({"type": "log", "container": container, "stream": stream, "at": at, "text": text})
                .to_string();
        }
        let time = match at {
            Some(at) if self.with_time => format!("{at} "),
            _ => String::new(),
        };
        if self.width == 0 {
            return format!("{time}{text}");
        }
        let prefix = self.paint.prefix(*position, &format!("{container:<width$} |", width = self.width));
        format!("{prefix} {time}{text}")
    }
}
