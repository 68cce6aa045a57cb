//! `longshore describe`: all that is known of a task, and its time line.

use std::fmt::Write;

use jiff::Timestamp;

use super::text::{self, Paint};
use super::{Failure, Global, TaskArgs, connect, find, ps};
use crate::local::report::{ContainerReport, LayerReport, MomentReport, TaskReport};

pub(super) async fn execute(global: &Global, args: &TaskArgs) -> Result<u8, Failure> {
    let connected = connect::connect(global).await?;
    let task = find::find(&connected.client, &args.task).await?;
    if global.json {
        println!("{}", serde_json::to_string_pretty(&task).unwrap_or_default());
    } else {
        print!("{}", render(&task, Timestamp::now(), Paint::stdout()));
    }
    Ok(0)
}

/// The whole description.
pub(super) fn render(task: &TaskReport, now: Timestamp, paint: Paint) -> String {
    let mut out = String::new();
    let mut say = |name: &str, value: &str| {
        if !value.is_empty() {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{name:<11} {value}");
        }
    };
    say("Task", &paint.strong(&task.name()));
    say("ARN", &task.arn);
    let mut status = task.last_status.clone();
    if task.desired_status != task.last_status {
        let _ = write!(status, " (wanted: {})", task.desired_status);
    }
    say("Status", &status);
    say("Reason", task.reason.as_deref().unwrap_or_default());
    say("Stop code", task.stop_code.as_deref().unwrap_or_default());
    say("Waits for", task.waits_for.as_deref().unwrap_or_default());
    say("Network", &task.network_mode);
    let ago = |at: Option<Timestamp>| match at {
        Some(at) => format!("{} ({} ago)", text::date_time(at), text::span(text::between(at, now))),
        None => String::new(),
    };
    say("Created", &ago(task.created_at));
    say("Started", &ago(task.started_at));
    say("Stopped", &ago(task.stopped_at));
    if task.reports_waiting > 0 {
        say("Reports", &format!("{} not acknowledged by the control plane", task.reports_waiting));
    }
    for volume in &task.volumes {
        say("Volume", &format!("{} = {}", volume.name, volume.source));
    }
    for container in task.own_containers() {
        out.push('\n');
        describe_container(&mut out, container, now, paint);
    }
    if !task.history.is_empty() {
        out.push('\n');
        time_line(&mut out, task, now, paint);
    }
    out
}

fn describe_container(out: &mut String, container: &ContainerReport, now: Timestamp, paint: Paint) {
    let essential = if container.is_essential { ", essential" } else { "" };
    let _ = writeln!(out, "{} {}{essential}", paint.strong(&container.name), ps::standing(container));
    let mut say = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(out, "  {name:<9} {value}");
        }
    };
    say("image", &container.image);
    say("digest", container.image_digest.as_deref().unwrap_or_default());
    say("docker id", container.docker_id.as_deref().unwrap_or_default());
    say("name", container.docker_name.as_deref().unwrap_or_default());
    say("address", &container.ipv4);
    for port in ps::shown(&container.ports) {
        say("port", &ps::render_port(&port));
    }
    if let Some(health) = &container.health {
        let since = health.since.map(|since| format!(" for {}", text::span(text::between(since, now))));
        let output = health.output.trim();
        let output = if output.is_empty() { String::new() } else { format!(": {output}") };
        say("health", &format!("{}{}{output}", health.status, since.unwrap_or_default()));
    }
    if let Some(doing) = &container.doing {
        let since = doing.since.map(|since| format!(" for {}", text::span(text::between(since, now))));
        let attempt = if doing.attempt > 1 { format!(", attempt {}", doing.attempt) } else { String::new() };
        say("doing", &format!("{}{}{attempt}", doing.what, since.unwrap_or_default()));
    }
    if let Some(pull) = &container.pull {
        let done: u64 = pull.layers.iter().map(LayerReport::loaded).sum();
        let total: u64 = pull.layers.iter().map(|layer| layer.total).sum();
        say("pull", &format!("{} of {}", text::bytes(done), text::bytes(total)));
        for layer in &pull.layers {
            say("", &format!("{} {}", layer.id, layer.status));
        }
    }
    say("waiting", container.waiting.as_deref().unwrap_or_default());
    if container.restarts > 0 {
        say("restarts", &container.restarts.to_string());
    }
    if let (Some(started), Some(finished)) = (container.started_at, container.finished_at) {
        say("ran", &text::span(text::between(started, finished)));
    }
    say("reason", &container.reason.as_deref().map(|reason| paint.bad(reason)).unwrap_or_default());
}

/// One row per event: when, how long until the next event of the same container, who, what.
fn time_line(out: &mut String, task: &TaskReport, now: Timestamp, paint: Paint) {
    let moments = &task.history;
    let Some(first) = moments.first() else { return };
    let width =
        moments.iter().filter_map(|moment| moment.container.as_ref()).map(String::len).max().unwrap_or(0).max(4);
    let _ = writeln!(
        out,
        "{}",
        paint.strong(&format!("{:<12}  {:>8}  {:>8}  {:<width$}  EVENT", "TIME", "AFTER", "LASTED", "OF"))
    );
    for (index, moment) in moments.iter().enumerate() {
        let lasted = lasted(task, &moments[index..], now).map(text::span).unwrap_or_default();
        let _ = writeln!(
            out,
            "{}  {:>8}  {:>8}  {:<width$}  {}",
            paint.faint(&text::time_of_day(moment.at)),
            format!("+{}", text::span(text::between(first.at, moment.at))),
            lasted,
            moment.container.as_deref().unwrap_or("task"),
            words(moment),
        );
    }
}

/// How long what this moment began went on; `None` for what begins nothing.
fn lasted(task: &TaskReport, from: &[MomentReport], now: Timestamp) -> Option<std::time::Duration> {
    let (moment, later) = from.split_first()?;
    let is_same = |later: &&MomentReport| later.container == moment.container;
    let mut later = later.iter().filter(is_same);
    let end = match (moment.container.is_some(), moment.what.as_str()) {
        (false, "task_reached") => later.find(|later| later.what == "task_reached"),
        (false, "accepted" | "restored" | "waits_for_resources") => later.next(),
        (false, _) => return None,
        (true, "exited" | "vanished" | "removed" | "dependency_failed") => return None,
        (true, "health_changed") => {
            later.find(|later| matches!(later.what.as_str(), "health_changed" | "stopping" | "exited" | "vanished"))
        }
        (true, _) => later.find(|later| later.what != "health_changed"),
    };
    match end {
        Some(end) => Some(text::between(moment.at, end.at)),
        // The last word of something that is over lasts for ever.
        None if task.has_ended() => None,
        None => Some(text::between(moment.at, now)),
    }
}

/// An event for people.
pub(super) fn words(moment: &MomentReport) -> String {
    if moment.detail.is_empty() { moment.what.replace('_', " ") } else { moment.detail.clone() }
}
