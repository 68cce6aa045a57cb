//! `longshore run`, alone and on a running `longshore local`.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use lab::agent::Signal;
use serde_json::{Value, json};

use crate::support::{Home, setting};

const LIMIT: Duration = Duration::from_secs(60);

/// The example that people meet first, under a family that nobody else has.
fn example(home: &Home, name: &str) -> Result<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let family = format!("web{}", lab::hex(8));
    // Families are written alike in JSON and YAML but for their quotes.
    let text = text.replacen("\"family\": \"web\"", &format!("\"family\": \"{family}\""), 1);
    let text = text.replacen("\nfamily: web\n", &format!("\nfamily: {family}\n"), 1);
    assert!(text.contains(&family), "{name} has another family");
    assert_eq!(setting("LONGSHORE_TEST_IMAGE"), "longshore/demo:latest", "the image of the examples");
    Ok((home.write(name, &text)?, family))
}

#[test]
fn example_runs_to_its_end() -> Result<()> {
    let home = Home::new()?;
    for name in ["web.json", "web.yaml"] {
        let (file, family) = example(&home, name)?;
        let ended = home.longshore(&["run", &file])?;
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        assert!(ended.stdout.contains("Hello from a task on this machine."), "{ended:#?}");
        assert_eq!(home.containers()?, Vec::<String>::new(), "{name} left containers");
        let volumes = home.engine.get("/volumes")?;
        assert!(!volumes.to_string().contains(&family), "{name} left volumes");
    }
    Ok(())
}

#[test]
fn exit_code_is_the_essential_containers() -> Result<()> {
    let home = Home::new()?;
    let file = home.definition("seven", "echo to-stdout; exit 7", json!({}))?;
    let ended = home.longshore(&["run", &file])?;
    assert_eq!(ended.code, Some(7), "{ended:#?}");
    assert!(ended.stdout.contains("to-stdout"), "{ended:#?}");
    let id = ended.stderr.split_once("is task ").and_then(|(_, rest)| rest.get(..8)).context("no task")?;
    assert!(!groups()?.iter().any(|group| group.contains(id)), "{id} left a cgroup");
    Ok(())
}

/// The cgroups of tasks, with either of Docker's drivers.
fn groups() -> Result<Vec<String>> {
    let hierarchies = std::fs::read_dir("/sys/fs/cgroup")?.map(|entry| Ok(entry?.path()));
    let roots = hierarchies.chain([Ok(PathBuf::from("/sys/fs/cgroup"))]).collect::<Result<Vec<PathBuf>>>()?;
    let parents = roots.iter().flat_map(|root| ["ecs", "ecstasks.slice"].map(|name| root.join(name)));
    let groups = parents.filter_map(|parent| std::fs::read_dir(parent).ok()).flatten().flatten();
    Ok(groups.map(|group| group.path().display().to_string()).collect())
}

#[test]
fn json_is_one_document_a_line() -> Result<()> {
    let home = Home::new()?;
    let file = home.definition("json", "echo hello; exit 3", json!({}))?;
    let ended = home.longshore(&["--json", "run", &file])?;
    assert_eq!(ended.code, Some(3), "{ended:#?}");
    let documents: Vec<Value> = ended.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let kinds: Vec<&str> = documents.iter().filter_map(|document| document["type"].as_str()).collect();
    assert_eq!((kinds.first(), kinds.last()), (Some(&"begin"), Some(&"end")), "{kinds:?}");
    assert_eq!(documents.last().map(|end| &end["exitCode"]), Some(&json!(3)));
    Ok(())
}

#[test]
fn interrupt_stops_the_task() -> Result<()> {
    let home = Home::new()?;
    let script = "trap 'exit 42' TERM; touch /tmp/ready; while true; do sleep 0.1; done";
    let check = json!({ "command": ["CMD-SHELL", "test -e /tmp/ready"], "interval": 5, "timeout": 2 });
    let file = home.definition("trapped", script, json!({ "healthCheck": check }))?;
    let child = home.command(&["run", &file]).spawn()?;
    lab::wait_for("the trap to be set", LIMIT, || {
        // Docker lists a container a moment before it can be inspected.
        let container = home.containers()?.pop().and_then(|id| home.engine.inspect(&id).ok());
        Ok(container.filter(|one| one["State"]["Health"]["Status"] == "healthy").map(drop))
    })?;
    lab::agent::send(&child, Signal::Int)?;
    let output = child.wait_with_output()?;
    assert_eq!(output.status.code(), Some(42), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(home.containers()?, Vec::<String>::new());
    Ok(())
}

#[test]
fn uses_the_running_local() -> Result<()> {
    let home = Home::new()?;
    let mut local = home.local()?;
    let file = home.definition("guest", "echo from-local; exit 5", json!({}))?;
    let ended = home.longshore(&["run", &file])?;
    assert_eq!(ended.code, Some(5), "{ended:#?}");
    assert!(ended.stdout.contains("from-local"), "{ended:#?}");
    let tasks = local.get("/longshore/v1/tasks")?;
    assert_eq!(tasks[0]["family"], "guest", "{tasks}");

    // Once more by its name, with a variable.
    let file = home.definition("named", "exit $CODE", json!({}))?;
    assert_eq!(home.longshore(&["run", &file, "--env", "CODE=8"])?.code, Some(8));
    assert_eq!(home.longshore(&["run", "named", "-e", "main:CODE=9"])?.code, Some(9));
    assert_eq!(local.stop(Signal::Term)?, Some(0));
    Ok(())
}

/// A running `longshore run` of a task that sleeps, with its container. Dropping it kills it.
struct Sleeper {
    child: Child,
    container: String,
}

impl Sleeper {
    fn start(home: &Home, family: &str) -> Result<Self> {
        let label = format!("com.amazonaws.ecs.task-definition-family={family}");
        let definition = json!({
            "family": family,
            "containerDefinitions": [{
                "name": "main", "image": setting("LONGSHORE_TEST_IMAGE"), "memory": 32, "essential": true,
                "command": ["sleep", "600"], "mountPoints": [{ "sourceVolume": "own", "containerPath": "/own" }],
            }],
            "volumes": [{ "name": "own", "dockerVolumeConfiguration": { "scope": "task" } }],
        });
        let file = home.write(&format!("{family}.json"), &definition.to_string())?;
        let mut command = home.command(&["run", &file]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut sleeper = Self { child, container: String::new() };
        sleeper.container = lab::wait_for("the sleeper's container", LIMIT, || {
            Ok(home.engine.labelled(&label)?.pop().filter(|id| is_running(home, id)))
        })?;
        Ok(sleeper)
    }

    fn kill(mut self) -> Result<String> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(std::mem::take(&mut self.container))
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn is_running(home: &Home, id: &str) -> bool {
    home.engine.inspect(id).is_ok_and(|container| container["State"]["Running"] == true)
}

/// The folders of runs.
fn folders(home: &Home) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(home.path())?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let is_runs =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"longshore-"));
    Ok(entries.into_iter().filter(is_runs).collect())
}

#[test]
fn the_next_run_clears_what_a_killed_one_left() -> Result<()> {
    let home = Home::new()?;
    let family = format!("killed{}", lab::hex(8));
    let killed = Sleeper::start(&home, &family)?;
    let killed_folder = folders(&home)?;
    assert_eq!(killed_folder.len(), 1, "{killed_folder:?}");
    let live = Sleeper::start(&home, "live")?;
    let killed = killed.kill()?;
    assert!(is_running(&home, &killed) && killed_folder[0].exists());
    let labels = home.engine.inspect(&killed)?["Config"]["Labels"].clone();
    let arn = labels["com.amazonaws.ecs.task-arn"].as_str().context("no ARN")?;
    let id = arn.rsplit('/').next().unwrap_or_default();
    let has_group = || Ok::<_, anyhow::Error>(groups()?.iter().any(|group| group.contains(id)));
    let had_group = has_group()?;
    assert!(had_group || !rustix::process::geteuid().is_root(), "no cgroup for {id}");
    let volumes = || Ok::<_, anyhow::Error>(home.engine.get("/volumes")?.to_string());
    assert!(volumes()?.contains(&family));

    let file = home.definition("next", "echo next", json!({}))?;
    let ended = home.longshore(&["run", &file])?;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let told = "longshore: cleared what 1 killed run left: 1 container, 1 volume, 1 folder\n";
    assert!(ended.stderr.contains(told), "{ended:#?}");
    assert_eq!(home.containers()?, [live.container.as_str()]);
    assert!(is_running(&home, &live.container));
    assert!(!killed_folder[0].exists() && !volumes()?.contains(&family) && !has_group()?);
    assert_eq!(folders(&home)?.len(), 1, "the live run's");

    let ended = home.longshore(&["run", &file])?;
    assert!(!ended.stderr.contains("cleared"), "{ended:#?}");

    // `local` clears as well.
    live.kill()?;
    let mut local = home.local()?;
    assert_eq!((home.containers()?, folders(&home)?), (vec![], vec![]));
    assert_eq!(local.stop(Signal::Term)?, Some(0));
    Ok(())
}

#[test]
fn what_a_killed_run_was_to_keep_stays() -> Result<()> {
    let home = Home::new()?;
    let file = home.definition("kept", "exec sleep 600", json!({}))?;
    let mut child = home.command(&["run", "--keep", &file]).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let started =
        lab::wait_for("the container", LIMIT, || Ok(home.containers()?.pop().filter(|id| is_running(&home, id))));
    child.kill()?;
    child.wait()?;
    let container = started?;
    let file = home.definition("next", "echo next", json!({}))?;
    let ended = home.longshore(&["run", &file])?;
    assert!(ended.stderr.contains("longshore: cleared what 1 killed run left: 1 folder\n"), "{ended:#?}");
    assert!(is_running(&home, &container));
    assert_eq!(folders(&home)?, Vec::<PathBuf>::new());
    Ok(())
}
