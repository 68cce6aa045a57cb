//! Other people's clients: AWS's own against the embedded control plane, and below those of the task server.

mod containers;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use lab::agent::Signal;
use serde_json::{Value, json};

use crate::support::{Ended, Home, Local, ended, setting};

/// A program of the Python environment that `cargo xtask test` made, with an account that has no settings.
fn client(home: &Home, program: &str) -> Command {
    let mut command = Command::new(Path::new(&setting("LONGSHORE_TEST_PROGRAMS")).join(program));
    command.env_clear().env("PATH", std::env::var("PATH").unwrap_or_default()).env("HOME", home.path());
    command.env("AWS_ACCESS_KEY_ID", "local").env("AWS_SECRET_ACCESS_KEY", "local");
    command.env("AWS_DEFAULT_REGION", "us-east-1").env("AWS_EC2_METADATA_DISABLED", "true").env("NO_PROXY", "*");
    command
}

fn aws(home: &Home, local: &Local, arguments: &[&str]) -> Result<Ended> {
    let mut command = client(home, "aws");
    command.args(["--endpoint-url", &local.endpoint, "--output", "json", "ecs"]).args(arguments);
    ended(command)
}

fn said(ended: &Ended) -> Result<Value> {
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    Ok(serde_json::from_str(&ended.stdout)?)
}

#[test]
fn aws_cli_runs_a_task() -> Result<()> {
    let home = Home::new()?;
    let mut local = home.local()?;
    let cluster = home.cluster.as_str();
    let file = home.definition("cli", "exec sleep 600", json!({ "stopTimeout": 2 }))?;
    let input = format!("file://{file}");
    let registered = said(&aws(&home, &local, &["register-task-definition", "--cli-input-json", &input])?)?;
    assert_eq!(registered["taskDefinition"]["revision"], 1);

    let run = said(&aws(&home, &local, &["run-task", "--cluster", cluster, "--task-definition", "cli"])?)?;
    let arn = run["tasks"][0]["taskArn"].as_str().unwrap_or("").to_owned();
    let of_task = |operation: &'static str| -> Vec<String> {
        [operation, "--cluster", cluster, "--tasks", &arn].map(str::to_owned).to_vec()
    };
    let call = |words: Vec<String>| aws(&home, &local, &words.iter().map(String::as_str).collect::<Vec<_>>());
    let wait = |what: &'static str| -> Result<Ended> {
        let mut words = of_task(what);
        words.insert(0, "wait".to_owned());
        call(words)
    };
    let waited = wait("tasks-running")?;
    assert_eq!(waited.code, Some(0), "{waited:#?}");
    let described = said(&call(of_task("describe-tasks"))?)?;
    assert_eq!(described["tasks"][0]["lastStatus"], "RUNNING", "{described}");
    assert_eq!(described["tasks"][0]["containers"][0]["lastStatus"], "RUNNING", "{described}");

    let stop = ["stop-task", "--cluster", cluster, "--task", &arn, "--reason", "enough"];
    said(&aws(&home, &local, &stop)?)?;
    let waited = wait("tasks-stopped")?;
    assert_eq!(waited.code, Some(0), "{waited:#?}");
    let described = said(&call(of_task("describe-tasks"))?)?;
    let task = &described["tasks"][0];
    assert_eq!((&task["lastStatus"], &task["stopCode"]), (&json!("STOPPED"), &json!("UserInitiated")), "{task}");
    assert_eq!(task["stoppedReason"], "enough");
    assert_eq!(task["containers"][0]["exitCode"], 137, "{task}");

    let refused = aws(&home, &local, &["describe-task-definition", "--task-definition", "nope"])?;
    assert!(refused.code != Some(0) && refused.stderr.contains("ClientException"), "{refused:#?}");
    assert_eq!(local.stop(Signal::Term)?, Some(0));
    Ok(())
}

#[test]
fn boto3_reads_every_answer() -> Result<()> {
    let home = Home::new()?;
    // A task that was stopped before it had a container has its volumes all the same; they go with it.
    let mut local = home.local_with(&[], &[("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION", "2s")])?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/every_operation.py");
    let mut command = client(&home, "python");
    command.arg(script).args([&local.endpoint, &home.cluster, &setting("LONGSHORE_TEST_IMAGE")]);
    let ended = ended(command)?;
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    lab::wait_for("the tasks' volumes to go", Duration::from_secs(60), || {
        let volumes = home.engine.get("/volumes")?;
        let names = volumes["Volumes"].as_array().into_iter().flatten().filter_map(|volume| volume["Name"].as_str());
        Ok((!names.into_iter().any(|name| name.starts_with("ecs-boto-"))).then_some(()))
    })?;
    assert_eq!(local.stop(Signal::Term)?, Some(0));
    Ok(())
}
