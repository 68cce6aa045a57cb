//! Which task is meant.

use super::client::Client;
use super::{Failure, text};
use crate::local::report::TaskReport;

/// The task that `wanted` names: ARN, id, unique beginning of an id, or family with one task.
pub(crate) async fn find(client: &Client, wanted: &str) -> Result<TaskReport, Failure> {
    let tasks: Vec<TaskReport> = client.get("/longshore/v1/tasks").await?;
    let id = choose(&tasks, wanted)?.id.clone();
    Ok(client.get(&format!("/longshore/v1/tasks/{id}")).await?)
}

/// Chooses among all tasks. A running task is meant before a stopped one.
pub(crate) fn choose<'a>(tasks: &'a [TaskReport], wanted: &str) -> Result<&'a TaskReport, Failure> {
    let id = wanted.rsplit('/').next().unwrap_or(wanted);
    if let Some(task) = tasks.iter().find(|task| task.arn == wanted || task.id == id) {
        return Ok(task);
    }
    let by_id: Vec<_> = tasks.iter().filter(|task| !id.is_empty() && task.id.starts_with(id)).collect();
    let by_family: Vec<_> = tasks.iter().filter(|task| task.family == wanted || task.name() == wanted).collect();
    for candidates in [by_family, by_id] {
        let alive: Vec<_> = candidates.iter().copied().filter(|task| !task.is_stopped()).collect();
        match (candidates[..].len(), &alive[..], &candidates[..]) {
            (0, ..) => {}
            (_, [only], _) | (_, [], [only]) => return Ok(only),
            _ => return Err(ambiguous(wanted, if alive.is_empty() { &candidates } else { &alive })),
        }
    }
    let failure = Failure::new(format!("no task is called '{wanted}'"));
    Err(if tasks.is_empty() {
        failure.next("There are no tasks. Start one with `longshore run FILE`.")
    } else {
        failure.next("`longshore ps --all` lists them.")
    })
}

fn ambiguous(wanted: &str, candidates: &[&TaskReport]) -> Failure {
    let list: Vec<_> = candidates
        .iter()
        .take(10)
        .map(|task| format!("{}  {}  {}", text::short(&task.id), task.name(), task.last_status))
        .collect();
    Failure::new(format!("'{wanted}' may be any of {}", text::count(candidates.len(), "task"))).next(list.join("\n"))
}
