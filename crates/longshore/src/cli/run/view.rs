//! How a running task looks: a line per container that changes on a terminal, plain lines in a pipe, documents with
//! `--json`. What containers write goes to standard output; all else, without `--json`, to standard error.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde_json::json;

use super::super::describe::words;
use super::super::logs::Printer;
use super::super::ps::{self, standing};
use super::super::pump::Line;
use super::super::text::{self, Paint};
use super::outcome::Outcome;
use crate::local::report::{ContainerReport, LayerReport, MomentReport, PullReport, TaskReport};

/// Events that only explain.
const QUIET: [&str; 13] = [
    "accepted",
    "creating",
    "created",
    "reported",
    "digest_resolved",
    "uses_local_image",
    "volume_created",
    "cgroup_created",
    "resources_granted",
    "adopted",
    "not_restarted",
    "removed",
    "credentials",
];

/// Events that are told even where containers have a line of their own.
const LOUD: [&str; 11] = [
    "image_failed",
    "volume_failed",
    "start_failed",
    "failed",
    "dependency_failed",
    "out_of_memory",
    "stop_failed",
    "vanished",
    "report_failed",
    "waits_for_resources",
    "no_credentials",
];

/// Cells of the bar of a pull.
const BAR: usize = 24;

enum Mode {
    Json,
    Plain,
    Live { all: MultiProgress, lines: BTreeMap<String, ProgressBar> },
}

/// What was shown so far, and how.
pub(super) struct View {
    mode: Mode,
    printer: Printer,
    paint: Paint,
    /// How many moments of the history were told.
    told: usize,
    ports: BTreeSet<String>,
    /// Errors that were told; an end that repeats one is told shortly.
    errors: BTreeSet<String>,
    began: Option<Timestamp>,
}

impl View {
    pub(super) fn new(is_json: bool, printer: Printer) -> Self {
        let is_live = std::io::stderr().is_terminal() && std::io::stdout().is_terminal();
        let mode = match (is_json, is_live) {
            (true, _) => Mode::Json,
            (false, false) => Mode::Plain,
            (false, true) => Mode::Live { all: MultiProgress::new(), lines: BTreeMap::new() },
        };
        Self {
            mode,
            printer,
            paint: Paint::stderr(),
            told: 0,
            ports: BTreeSet::new(),
            errors: BTreeSet::new(),
            began: None,
        }
    }

    pub(super) fn begin(&mut self, task: &TaskReport) {
        self.began = task.created_at;
        match self.mode {
            Mode::Json => println!("{}", json!({"type": "begin", "task": task})),
            _ => self.say(&format!("{} is task {}", task.name(), text::short(&task.id))),
        }
    }

    /// Shows what is new.
    pub(super) fn update(&mut self, task: &TaskReport) {
        let new = task.history.get(self.told..).unwrap_or_default();
        for moment in new {
            self.tell(moment);
            self.errors.insert(moment.detail.clone());
        }
        self.told = self.told.max(task.history.len());
        for container in task.own_containers() {
            for port in ps::shown(&container.ports) {
                let line = format!("{}: {}", container.name, ps::render_port(&port));
                if self.ports.insert(line.clone()) && !matches!(self.mode, Mode::Json) {
                    self.say(&self.paint.strong(&line));
                }
            }
        }
        if let Mode::Live { all, lines } = &mut self.mode {
            let width = width(task);
            for (position, container) in task.own_containers().enumerate() {
                let line = lines.entry(container.name.clone()).or_insert_with(|| {
                    let line = all.add(ProgressBar::new_spinner());
                    if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {wide_msg}") {
                        line.set_style(style);
                    }
                    let name = format!("{:<width$}", container.name);
                    line.set_prefix(self.paint.prefix(position, &name));
                    line.enable_steady_tick(Duration::from_millis(100));
                    line
                });
                let message = state(container, self.paint);
                if line.is_finished() {
                    line.set_message(message);
                } else if container.status == "STOPPED" {
                    line.finish_with_message(message);
                } else {
                    line.set_message(message);
                }
            }
        }
    }

    fn tell(&self, moment: &MomentReport) {
        if let Mode::Json = self.mode {
            let MomentReport { at, container, what, detail } = moment;
            let event = json!({"type": "event", "at": at, "container": container, "what": what, "detail": detail});
            println!("{event}");
            return;
        }
        let is_loud = LOUD.contains(&moment.what.as_str());
        if QUIET.contains(&moment.what.as_str()) || (matches!(self.mode, Mode::Live { .. }) && !is_loud) {
            return;
        }
        let after = self.began.map(|began| format!("+{}", text::span(text::between(began, moment.at))));
        let after = self.paint.faint(&format!("{:>7}", after.unwrap_or_default()));
        let who = moment.container.as_deref().unwrap_or("task");
        let words = words(moment);
        let words = if moment.container.is_none() { words.strip_prefix("task is ").unwrap_or(&words) } else { &words };
        let words = match words.split_once(": ") {
            Some((end, error)) if moment.what == "exited" && self.errors.contains(error) => end,
            _ => words,
        };
        let words = if is_loud { self.paint.bad(words) } else { words.to_owned() };
        self.say(&format!("{after} {who}: {words}"));
    }

    /// A line of our own.
    pub(super) fn say(&self, text: &str) {
        match &self.mode {
            Mode::Json => eprintln!("{text}"),
            Mode::Plain => eprintln!("{text}"),
            Mode::Live { all, .. } => all.suspend(|| eprintln!("{text}")),
        }
    }

    /// A line of a container.
    pub(super) fn log(&self, line: &Line) {
        match &self.mode {
            Mode::Json | Mode::Plain => self.printer.print(line),
            Mode::Live { all, .. } => all.suspend(|| self.printer.print(line)),
        }
    }

    /// The end.
    pub(super) fn end(&mut self, task: &TaskReport, outcome: &Outcome) {
        match &self.mode {
            Mode::Json => {
                let end = json!({"type": "end", "exitCode": outcome.code, "text": outcome.text, "task": task});
                println!("{end}");
                return;
            }
            Mode::Plain => {}
            // What moved is taken away, and the last state of each stays on the screen.
            Mode::Live { lines, .. } => {
                lines.values().for_each(ProgressBar::finish_and_clear);
                let width = width(task);
                for (position, container) in task.own_containers().enumerate() {
                    let name = self.paint.prefix(position, &format!("{:<width$}", container.name));
                    eprintln!("  {name} {}", state(container, self.paint));
                }
            }
        }
        let reason = task.reason.as_ref().filter(|reason| !outcome.text.contains(reason.as_str()));
        let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        let text = format!("{}{reason}", outcome.text);
        eprintln!("{}", if outcome.code == 0 { self.paint.good(&text) } else { self.paint.bad(&text) });
        if let Some(advice) = &outcome.advice {
            eprintln!("  {advice}");
        }
    }
}

/// Of the longest name.
fn width(task: &TaskReport) -> usize {
    task.own_containers().map(|container| container.name.chars().count()).max().unwrap_or(0)
}

/// What a container's line says.
pub(super) fn state(container: &ContainerReport, paint: Paint) -> String {
    let words = standing(container);
    let words = match container.status.as_str() {
        "STOPPED" if container.exit_code == Some(0) => paint.good(&words),
        "STOPPED" => paint.bad(&words),
        "RUNNING" => paint.good(&words),
        _ => words,
    };
    let mut line = words;
    if let Some(health) = container.health.as_ref().filter(|_| container.status == "RUNNING") {
        line = format!("{line}, {}", health.status);
    }
    if let Some(pull) = &container.pull {
        line = format!("{line} {}", bar(pull));
    }
    if let (Some(started), Some(finished)) = (container.started_at, container.finished_at) {
        line = format!("{line} after {}", text::span(text::between(started, finished)));
    }
    line
}

/// `[=====>      ] 3.2MB of 10.0MB`
pub(super) fn bar(pull: &PullReport) -> String {
    let total: u64 = pull.layers.iter().map(|layer| layer.total).sum();
    let done: u64 = pull.layers.iter().map(LayerReport::loaded).sum();
    if total == 0 {
        return String::new();
    }
    let cells = usize::try_from(done.saturating_mul(BAR as u64) / total).unwrap_or(BAR).min(BAR);
    let head = if cells < BAR { ">" } else { "" };
    let filled = "=".repeat(cells);
    format!("[{:<BAR$}] {} of {}", format!("{filled}{head}"), text::bytes(done), text::bytes(total))
}
