//! `longshore stats`: what containers use now, and what they used over the rounds of telemetry that are kept.

use comfy_table::CellAlignment;

use super::text::{self, Paint};
use super::{Failure, Global, StatsArgs, connect, find, top};
use crate::local::stats::{ContainerStats, History, Range, StatsReport};

pub(super) async fn execute(global: &Global, args: &StatsArgs) -> Result<u8, Failure> {
    let connected = connect::connect(global).await?;
    let only = match &args.task {
        Some(wanted) => {
            let task = find::find(&connected.client, wanted).await?;
            if task.is_stopped() {
                return Err(Failure::new(format!("{} {} has stopped", text::short(&task.id), task.name()))
                    .next("Figures are kept while a task lives. `longshore describe` shows what is known of it."));
            }
            Some(task.id)
        }
        None => None,
    };
    let report = top::look(&connected.client, only.as_deref()).await?;
    if global.json {
        println!("{}", serde_json::to_string_pretty(&report).unwrap_or_default());
    } else if report.tasks.is_empty() {
        eprintln!("No tasks.");
    } else {
        println!("{}", render(&report, Paint::stdout()));
    }
    Ok(0)
}

/// Two tables: now, and lately.
pub(super) fn render(report: &StatsReport, paint: Paint) -> String {
    let mut lines = top::render(report, paint);
    lines.push(String::new());
    let containers = || report.tasks.iter().flat_map(|task| task.containers.iter().map(move |one| (task, one)));
    let histories: Vec<_> = containers().filter_map(|(task, one)| Some((task, one, one.lately.as_ref()?))).collect();
    if histories.is_empty() {
        lines.push("No history yet: telemetry comes every 20 seconds.".to_owned());
        return lines.join("\n");
    }
    let mut table = text::table();
    table.set_header(["LATELY", "OVER", "", "MIN", "AVG", "MAX"]);
    for column in table.column_iter_mut().skip(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for (task, container, history) in histories {
        let mut name = format!("{} {}", text::short(&task.id), container.name);
        let mut over = over(history);
        for (what, range, show) in rows(history) {
            let Some(range) = range else { continue };
            table.add_row([
                std::mem::take(&mut name),
                std::mem::take(&mut over),
                what.to_owned(),
                show(range.min),
                show(range.avg),
                show(range.max),
            ]);
        }
    }
    lines.extend(text::lines(table));
    let silent = containers().filter(|(_, one): &(_, &ContainerStats)| one.lately.is_none()).count();
    if silent > 0 {
        lines.push(format!("Nothing yet of {}: telemetry comes every 20 seconds.", text::count(silent, "container")));
    }
    lines.join("\n")
}

type Row = (&'static str, Option<Range>, fn(f64) -> String);

fn rows(history: &History) -> [Row; 4] {
    let percent: fn(f64) -> String = |value| format!("{value:.1}");
    let bytes: fn(f64) -> String = |value| text::bytes(value.max(0.0) as u64);
    let rate: fn(f64) -> String = |value| format!("{}/s", text::bytes(value.max(0.0) as u64));
    [
        ("CPU %", history.cpu_percent, percent),
        ("MEM", history.memory, bytes),
        ("NET RX", history.receive_rate, rate),
        ("NET TX", history.send_rate, rate),
    ]
}

/// The time that the rounds cover; each covers twenty seconds before it came.
fn over(history: &History) -> String {
    let span = match (history.from, history.until) {
        (Some(from), Some(until)) => text::between(from, until),
        _ => std::time::Duration::ZERO,
    };
    let rounds = text::count(history.rounds, "round");
    if span.is_zero() { rounds } else { format!("{rounds}, {}", text::span(span)) }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::local::stats::TaskStats;

    #[test]
    fn history_follows_the_present() {
        let range = |min, avg, max| Some(Range { min, avg, max });
        let history = History {
            rounds: 3,
            from: jiff::Timestamp::from_second(0).ok(),
            until: jiff::Timestamp::from_second(40).ok(),
            cpu_percent: range(0.0, 12.34, 99.96),
            memory: range(1_048_576.0, 2_097_152.0, 4_194_304.0),
            receive_rate: None,
            send_rate: range(0.0, 10.0, 2_000.0),
        };
        let container = |name: &str, lately| ContainerStats {
            name: name.into(),
            status: "RUNNING".into(),
            lately,
            ..ContainerStats::default()
        };
        let task = TaskStats {
            id: "0123456789abcdef".into(),
            name: "web:1".into(),
            last_status: "RUNNING".into(),
            containers: vec![container("web", Some(history)), container("young", None)],
            ..TaskStats::default()
        };
        let report = StatsReport { at: None, tasks: vec![task] };
        expect![[r#"
            TASK            CPU %  MEM / LIMIT  MEM %  NET RX / TX  BLOCK R / W  PIDS  HEALTH  RESTARTS  AGE
            01234567 web:1      -
              web               -                                                                     0
              young             -                                                                     0

            LATELY        OVER                     MIN    AVG      MAX
            01234567 web  3 rounds, 40s  CPU %     0.0   12.3    100.0
                                         MEM     1.0MB  2.1MB    4.2MB
                                         NET TX   0B/s  10B/s  2.0kB/s
            Nothing yet of 1 container: telemetry comes every 20 seconds."#]]
        .assert_eq(&render(&report, Paint::never()));
    }
}
