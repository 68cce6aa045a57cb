//! `longshore stop`.

use std::time::Duration;

use serde_json::json;

use super::client::{CallError, Client};
use super::{Failure, Global, StopArgs, connect, find, text};
use crate::local::report::TaskReport;

/// How often a stopping task is looked at.
const TICK: Duration = Duration::from_millis(200);

pub(super) async fn execute(global: &Global, args: &StopArgs) -> Result<u8, Failure> {
    let connected = connect::connect(global).await?;
    let client = &connected.client;
    let task = find::find(client, &args.task).await?;
    if task.is_stopped() {
        say(global, &task, "was stopped already");
        return Ok(0);
    }
    if client.is_agent() {
        let cluster = cluster(&task);
        return Err(Failure::new("tasks of an agent are stopped by its control plane")
            .next(format!("aws ecs stop-task --cluster {cluster} --task {}", task.arn)));
    }
    stop(client, &task, &args.reason).await?;
    if args.no_wait {
        say(global, &task, "is stopping");
        return Ok(0);
    }
    let mut last_said = String::new();
    loop {
        let now: TaskReport = client.get(&format!("/longshore/v1/tasks/{}", task.id)).await?;
        if now.is_stopped() {
            say(global, &now, "is stopped");
            return Ok(0);
        }
        let left: Vec<_> =
            now.own_containers().filter(|c| c.status != "STOPPED").map(|container| container.name.as_str()).collect();
        let saying = format!("stopping {}", left.join(", "));
        if !global.json && !left.is_empty() && saying != last_said {
            eprintln!("{saying}");
            last_said = saying;
        }
        tokio::time::sleep(TICK).await;
    }
}

/// Asks the control plane to stop a task.
pub(super) async fn stop(client: &Client, task: &TaskReport, reason: &str) -> Result<(), CallError> {
    let request = json!({"cluster": cluster(task), "task": task.arn, "reason": reason});
    client.call("StopTask", &request).await.map(drop)
}

/// An ARN says its cluster; the API wants it beside.
fn cluster(task: &TaskReport) -> &str {
    task.arn.rsplit('/').nth(1).unwrap_or("default")
}

fn say(global: &Global, task: &TaskReport, what: &str) {
    if global.json {
        println!("{}", json!({"task": task}));
    } else {
        println!("{} ({}) {what}", text::short(&task.id), task.name());
    }
}
