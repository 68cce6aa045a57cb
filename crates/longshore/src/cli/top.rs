//! `longshore top`: what tasks and containers use, again and again on a terminal, once elsewhere.

mod screen;

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::io::IsTerminal;
use std::time::Duration;

use comfy_table::{Attribute, Cell, CellAlignment, Color};
use jiff::Timestamp;

use super::client::Client;
use super::local::Signals;
use super::text::{self, Paint};
use super::{Failure, Global, TopArgs, connect, find};
use crate::local::stats::{ContainerStats, Figures, Origin, StatsReport};
use screen::{Screen, Wake};

/// How long a control plane may be away before the screen is given up.
const PATIENCE: u32 = 5;

pub(super) async fn execute(global: &Global, args: &TopArgs) -> Result<u8, Failure> {
    let connected = connect::connect(global).await?;
    let client = &connected.client;
    let only = match &args.task {
        Some(wanted) => Some(find::find(client, wanted).await?.id),
        None => None,
    };
    let mut report = look(client, only.as_deref()).await?;
    if global.json {
        println!("{}", serde_json::to_string_pretty(&report).unwrap_or_default());
        return Ok(0);
    }
    if args.once || !std::io::stdout().is_terminal() {
        if report.tasks.is_empty() {
            eprintln!("No tasks.");
        } else {
            println!("{}", render(&report, Paint::stdout()).join("\n"));
        }
        return Ok(0);
    }
    let mut signals = Signals::new()?;
    let mut screen = Screen::open().map_err(|error| Failure::new(format!("the terminal is not usable: {error}")))?;
    let mut misses = 0;
    loop {
        let lines = match misses {
            0 => head(&report, Paint::stdout()),
            _ => vec![Paint::stdout().bad("the control plane does not answer; these are its last words")],
        };
        let lines = lines.into_iter().chain(render(&report, Paint::stdout()));
        screen.draw(lines).map_err(|error| Failure::new(format!("the terminal is gone: {error}")))?;
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(args.interval)) => {}
            wake = screen.next() => match wake {
                Wake::Resized => continue,
                Wake::Quit => return Ok(0),
            },
            () = signals.next() => return Ok(0),
        }
        match look(client, only.as_deref()).await {
            Ok(fresh) => (report, misses) = (fresh, 0),
            Err(failure) if misses >= PATIENCE => return Err(failure),
            Err(_) => misses += 1,
        }
    }
}

/// What is used now, the busiest first.
pub(super) async fn look(client: &Client, only: Option<&str>) -> Result<StatsReport, Failure> {
    let mut report: StatsReport = client.get("/longshore/v1/stats").await?;
    report.tasks.retain(|task| only.is_none_or(|id| task.id == id));
    sort(&mut report);
    Ok(report)
}

fn sort(report: &mut StatsReport) {
    let falling = |a: f64, b: f64| b.partial_cmp(&a).unwrap_or(Ordering::Equal);
    for task in &mut report.tasks {
        let cpu = |one: &ContainerStats| one.now.as_ref().and_then(|now| now.cpu_percent).unwrap_or(-1.0);
        task.containers.sort_by(|a, b| falling(cpu(a), cpu(b)).then_with(|| a.name.cmp(&b.name)));
    }
    report.tasks.sort_by(|a, b| falling(a.cpu_percent(), b.cpu_percent()).then_with(|| a.id.cmp(&b.id)));
}

/// The lines above the table.
fn head(report: &StatsReport, paint: Paint) -> Vec<String> {
    let containers = report.tasks.iter().map(|task| task.containers.len()).sum();
    let at = report.at.map(text::time_of_day).unwrap_or_default();
    let counts = format!("{}, {}", text::count(report.tasks.len(), "task"), text::count(containers, "container"));
    vec![
        format!("{} {counts}  {}", paint.strong("longshore top"), paint.faint(&format!("{at}  q ends"))),
        String::new(),
    ]
}

/// The table, line by line.
pub(super) fn render(report: &StatsReport, paint: Paint) -> Vec<String> {
    let now = report.at.unwrap_or_default();
    let mut table = text::table();
    table.set_header([
        "TASK",
        "CPU %",
        "MEM / LIMIT",
        "MEM %",
        "NET RX / TX",
        "BLOCK R / W",
        "PIDS",
        "HEALTH",
        "RESTARTS",
        "AGE",
    ]);
    for (position, column) in table.column_iter_mut().enumerate() {
        if matches!(position, 1 | 3 | 6 | 8 | 9) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    if paint.is_on() {
        table.enforce_styling();
    }
    for task in &report.tasks {
        let name = Cell::new(format!("{} {}", text::short(&task.id), task.name));
        let name = if paint.is_on() { name.add_attribute(Attribute::Bold) } else { name };
        let cpu = task.containers.iter().any(|container| container.now.is_some()).then(|| task.cpu_percent());
        let memory: u64 = task.containers.iter().filter_map(|container| Some(container.now.as_ref()?.memory)).sum();
        let memory = cpu.map(|_| text::bytes(memory)).unwrap_or_default();
        let status = match task.last_status.as_str() {
            "RUNNING" | "" => memory.as_str(),
            status => status,
        };
        table.add_row([name, Cell::new(percent(cpu)), Cell::new(status)]);
        for container in &task.containers {
            table.add_row(row(container, now, paint));
        }
    }
    text::lines(table)
}

fn row(container: &ContainerStats, now: Timestamp, paint: Paint) -> Vec<Cell> {
    let health = container.health.as_deref().unwrap_or_default();
    let health = match (paint.is_on(), health) {
        (true, "HEALTHY") => Cell::new(health).fg(Color::Green),
        (true, "UNHEALTHY") => Cell::new(health).fg(Color::Red),
        _ => Cell::new(health),
    };
    let figures = match &container.now {
        Some(figures) => [
            percent(figures.cpu_percent),
            of_limit(figures),
            percent(share(figures)),
            pair(figures.received, figures.sent),
            pair(figures.block_read, figures.block_written),
            figures.pids.map(|count| count.to_string()).unwrap_or_default(),
        ],
        None => {
            let words = if container.status == "RUNNING" { "" } else { container.status.as_str() };
            ["-", words, "", "", "", ""].map(str::to_owned)
        }
    };
    let age = container.now.as_ref().map(|figures| age(figures, now)).unwrap_or_default();
    let mut cells = vec![Cell::new(format!("  {}", container.name))];
    cells.extend(figures.map(Cell::new));
    cells.extend([health, Cell::new(container.restarts), Cell::new(age)]);
    cells
}

/// `12.3`, or nothing known.
fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"))
}

fn of_limit(figures: &Figures) -> String {
    let used = text::bytes(figures.memory);
    figures.memory_limit.map_or_else(|| used.clone(), |limit| format!("{used} / {}", text::bytes(limit)))
}

/// Memory in percent of its limit.
fn share(figures: &Figures) -> Option<f64> {
    let limit = figures.memory_limit.filter(|limit| *limit > 0)?;
    Some(figures.memory as f64 * 100.0 / limit as f64)
}

fn pair(left: Option<u64>, right: Option<u64>) -> String {
    match (left, right) {
        (None, None) => "-".to_owned(),
        (left, right) => format!("{} / {}", text::bytes(left.unwrap_or(0)), text::bytes(right.unwrap_or(0))),
    }
}

/// How old figures are that are not of this very moment.
fn age(figures: &Figures, now: Timestamp) -> String {
    match (figures.by, figures.at) {
        (Origin::Telemetry, Some(at)) => text::span(text::between(at, now)),
        _ => String::new(),
    }
}
