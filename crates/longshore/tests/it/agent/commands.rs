//! Commands that ask an agent whose control plane is elsewhere, on the socket in its data directory.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use lab::Bench;
use lab::agent::Signal;
use lab::payload::fast_stop;
use serde_json::{Value, json};

use crate::support::{Ended, LONGSHORE, bench, ended, image};

const LIMIT: Duration = Duration::from_secs(60);

/// The command line beside an agent, of a user without state of its own.
pub(super) struct Beside<'a>(pub(super) &'a Bench);

impl Beside<'_> {
    fn data(&self) -> PathBuf {
        self.0.agent.folder().join("data")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(LONGSHORE);
        command.args(arguments).env("HOME", self.0.agent.folder()).env_remove("ECS_DATADIR");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end; it is told the data directory.
    pub(super) fn longshore(&self, arguments: &[&str]) -> Result<Ended> {
        let mut command = self.command(arguments);
        command.arg("--data-dir").arg(self.data());
        ended(command)
    }

    /// The answer of a command that succeeds.
    pub(super) fn json(&self, arguments: &[&str]) -> Result<Value> {
        let ended = self.longshore(arguments)?;
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:#?}");
        serde_json::from_str(&ended.stdout).context("not JSON")
    }
}

#[test]
fn an_agent_answers_for_itself() -> Result<()> {
    let mut bench = bench(&[])?;
    let script = "echo said; exec sleep 600";
    let task = bench.run(&[bench.shell("main", script, json!({ "config": fast_stop() }))])?;
    bench.until(&task, "RUNNING")?;
    let arn = task["arn"].as_str().context("no ARN")?.to_owned();
    let id = arn.rsplit('/').next().context("no id")?.to_owned();
    let short = &id[..8];
    let beside = Beside(&bench);

    let socket = beside.data().join("longshore.sock");
    assert_eq!(std::fs::metadata(&socket)?.permissions().mode() & 0o777, 0o600);

    let images = beside.json(&["images", "--json"])?;
    let held =
        images["images"].as_array().into_iter().flatten().find(|held| held["names"].to_string().contains(&image()));
    let held = held.with_context(|| format!("{} is not listed: {images}", image()))?;
    assert_eq!(held["holders"], json!([{ "task": id, "container": "main" }]), "{held}");
    assert!(images["nextCycle"].is_string(), "{images}");
    let images = beside.longshore(&["images"])?;
    assert!(images.stdout.contains(short) && images.stdout.contains("held by"), "{images:#?}");

    let collection = beside.json(&["gc", "--dry-run", "--all", "--json"])?;
    assert_eq!((&collection["isDryRun"], &collection["removed"]), (&json!(true), &json!([])), "{collection}");
    let collection = beside.longshore(&["gc", "--dry-run"])?;
    assert!(collection.code == Some(0) && collection.stdout.contains("Nothing to remove"), "{collection:#?}");

    let described = beside.longshore(&["describe", short])?;
    for wanted in [arn.as_str(), "RUNNING", "main", "started"] {
        assert!(described.stdout.contains(wanted), "{wanted} is missing: {described:#?}");
    }
    assert_eq!(beside.json(&["ps", "--json"])?[0]["arn"], arn.as_str());
    assert_eq!(beside.json(&["top", "--json"])?["tasks"][0]["containers"][0]["name"], "main");
    lab::wait_for("the container's line", LIMIT, || {
        Ok(beside.longshore(&["logs", short])?.stdout.contains("said").then_some(()))
    })?;

    // By the variable, and by name.
    let by_variable = ended({
        let mut command = beside.command(&["describe", short]);
        command.env("ECS_DATADIR", beside.data()).arg("--json");
        command
    })?;
    assert!(by_variable.code == Some(0) && by_variable.stdout.contains(&arn), "{by_variable:#?}");
    let endpoint = format!("unix://{}", socket.display());
    let by_name = ended(beside.command(&["ps", "--endpoint", &endpoint]))?;
    assert!(by_name.code == Some(0) && by_name.stdout.contains(short), "{by_name:#?}");

    // What is its control plane's.
    let stop = beside.longshore(&["stop", short])?;
    assert_eq!(stop.code, Some(1), "{stop:#?}");
    assert!(stop.stderr.contains("aws ecs stop-task --cluster") && stop.stderr.contains(&arn), "{stop:#?}");
    let run = ended(beside.command(&["run", "web:1", "--endpoint", &endpoint]))?;
    assert!(run.code == Some(2) && run.stderr.contains("is an agent"), "{run:#?}");
    bench.stop_and_wait(&task)?;

    bench.agent.stop(Signal::Kill)?;
    let beside = Beside(&bench);
    let nobody = beside.longshore(&["images"])?;
    assert_eq!(nobody.code, Some(1), "{nobody:#?}");
    let wanted = format!("no `longshore agent` at {}", socket.display());
    assert!(nobody.stderr.contains(&wanted) && nobody.stderr.contains("--endpoint"), "{nobody:#?}");
    bench.agent.start()?;
    lab::wait_for("the next agent to answer", LIMIT, || {
        Ok((Beside(&bench).longshore(&["ps"])?.code == Some(0)).then_some(()))
    })?;
    bench.agent.stop(Signal::Term)?;
    assert!(!socket.exists(), "it goes with its agent");
    Ok(())
}
