//! `longshore run`, alone and on a running `longshore local`.

use std::path::Path;
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
    Ok(())
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
