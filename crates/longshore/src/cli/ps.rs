//! `longshore ps`: tasks, and their containers below them.

use comfy_table::{Attribute, Cell, Color};
use jiff::Timestamp;

use super::text::{self, Paint};
use super::{Failure, Global, PsArgs, connect};
use crate::local::report::{ContainerReport, PortReport, TaskReport};

pub(super) async fn execute(global: &Global, args: &PsArgs) -> Result<u8, Failure> {
    let connected = connect::connect(global).await?;
    let mut tasks: Vec<TaskReport> = connected.client.get("/longshore/v1/tasks").await?;
    tasks.retain(|task| args.all || !task.is_stopped());
    if global.json {
        println!("{}", serde_json::to_string_pretty(&tasks).unwrap_or_default());
        return Ok(0);
    }
    if tasks.is_empty() {
        let more = if args.all { "" } else { "; `longshore ps --all` shows stopped ones too" };
        eprintln!("No tasks{more}.");
        return Ok(0);
    }
    println!("{}", render(&tasks, Timestamp::now(), Paint::stdout()));
    Ok(0)
}

/// The table.
pub(super) fn render(tasks: &[TaskReport], now: Timestamp, paint: Paint) -> String {
    let is_coloured = paint.is_on();
    let mut table = text::table();
    table.set_header(["TASK", "STATUS", "HEALTH", "PORTS", "IMAGE", "SINCE"]);
    if is_coloured {
        table.enforce_styling();
    }
    let coloured = |text: String, status: &str| {
        let cell = Cell::new(text);
        match (is_coloured, status) {
            (true, "RUNNING" | "HEALTHY") => cell.fg(Color::Green),
            (true, "UNHEALTHY" | "FAILED") => cell.fg(Color::Red),
            (true, "PENDING") => cell.fg(Color::Yellow),
            _ => cell,
        }
    };
    for task in tasks {
        let name = Cell::new(format!("{} {}", text::short(&task.id), task.name()));
        let name = if is_coloured { name.add_attribute(Attribute::Bold) } else { name };
        let mut status = task.last_status.clone();
        if task.desired_status == "STOPPED" && status != "STOPPED" {
            status.push_str(", stopping");
        }
        let status = coloured(status, &task.last_status);
        let since = task.stopped_at.or(task.started_at).or(task.created_at);
        table.add_row([name, status, Cell::new(""), Cell::new(""), Cell::new(""), age(since, now)]);
        for container in task.own_containers() {
            let health = container.health.as_ref().map_or("", |health| health.status.as_str());
            let ports: Vec<_> = shown(&container.ports).map(|port| render_port(&port)).collect();
            let since = container.finished_at.or(container.started_at).or(container.created_at);
            let failed = container.exit_code.is_some_and(|code| code != 0) || container.reason.is_some();
            table.add_row([
                Cell::new(format!("  {}", container.name)),
                coloured(standing(container), if failed { "FAILED" } else { &container.status }),
                coloured(health.to_owned(), health),
                Cell::new(ports.join(", ")),
                Cell::new(&container.image),
                age(since, now),
            ]);
        }
    }
    text::lines(table).join("\n")
}

fn age(since: Option<Timestamp>, now: Timestamp) -> Cell {
    Cell::new(since.map(|since| text::span(text::between(since, now))).unwrap_or_default())
}

/// A container's state in a few words.
pub(super) fn standing(container: &ContainerReport) -> String {
    match container.status.as_str() {
        "STOPPED" => match (container.exit_code, &container.reason) {
            (Some(code), _) => format!("STOPPED ({code})"),
            (None, Some(_)) => "STOPPED (never ran)".to_owned(),
            (None, None) => "STOPPED".to_owned(),
        },
        "RUNNING" | "RESOURCES_PROVISIONED" => match (&container.doing, &container.waiting) {
            (Some(doing), _) if doing.what == "stopping" => "RUNNING: stopping".to_owned(),
            (None, Some(waiting)) => format!("RUNNING: {waiting}"),
            _ => "RUNNING".to_owned(),
        },
        _ => match (&container.doing, &container.waiting) {
            (Some(doing), _) => format!("PENDING: {}", doing.what),
            (None, Some(waiting)) => format!("PENDING: {waiting}"),
            (None, None) => "PENDING".to_owned(),
        },
    }
}

/// Each port once, though the Engine binds it for both families.
pub(super) fn shown(ports: &[PortReport]) -> impl Iterator<Item = PortReport> {
    let mut seen: Vec<PortReport> = Vec::new();
    for port in ports {
        let bind_ip = match port.bind_ip.as_str() {
            "" | "0.0.0.0" | "::" => "127.0.0.1".to_owned(),
            other => other.to_owned(),
        };
        let port = PortReport { bind_ip, ..port.clone() };
        if !seen.contains(&port) {
            seen.push(port);
        }
    }
    seen.into_iter()
}

/// `127.0.0.1:32768 -> 80/tcp`
pub(super) fn render_port(port: &PortReport) -> String {
    format!("{}:{} -> {}/{}", port.bind_ip, port.host_port, port.container_port, port.protocol)
}
