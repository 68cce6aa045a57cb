//! `top` and `stats` on a task that is busy, and what telemetry tells the API.

use std::time::Duration;

use anyhow::Result;
use lab::agent::Signal;
use serde_json::{Value, json};

use crate::support::Home;

/// Three rounds of telemetry.
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn figures_of_a_busy_task() -> Result<()> {
    let home = Home::new()?;
    let mut local = home.local()?;
    let check = json!({ "command": ["CMD-SHELL", "true"], "interval": 5, "timeout": 2 });
    let members = json!({ "stopTimeout": 2, "healthCheck": check });
    let file = home.definition("busy", "while true; do :; done", members)?;
    let ended = home.longshore(&["run", "--detach", &file])?;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let id = ended.stdout.trim().rsplit('/').next().unwrap_or_default().to_owned();

    let container = |command: &[&str]| -> Result<Value> {
        let ended = home.longshore(command)?;
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        let report: Value = serde_json::from_str(&ended.stdout)?;
        assert_eq!(report["tasks"][0]["id"], json!(id), "{report}");
        Ok(report["tasks"][0]["containers"][0].clone())
    };
    let top = lab::wait_for("top to know the processor's share", LIMIT, || {
        let top = container(&["top", "--once", "--json"])?;
        Ok(top["now"]["cpuPercent"].as_f64().is_some_and(|percent| percent > 1.0).then_some(top))
    })?;
    let now = &top["now"];
    assert_eq!((&top["name"], &now["by"], &top["restarts"]), (&json!("main"), &json!("agent"), &json!(0)), "{top}");
    assert_eq!(now["memoryLimit"], 32 << 20, "{top}");
    let number = |name: &str| now[name].as_u64();
    assert!(number("memory").is_some_and(|bytes| bytes > 0 && bytes < 32 << 20), "{top}");
    assert!(number("pids").is_some_and(|count| count >= 1), "{top}");
    assert!(number("received").is_some() && number("blockRead").is_some(), "{top}");

    let plain = home.longshore(&["top"])?;
    for wanted in ["CPU %", "RESTARTS", &id[..8], "busy:1", "main"] {
        assert!(plain.stdout.contains(wanted), "{wanted} is missing:\n{}", plain.stdout);
    }
    assert!(!plain.stdout.contains('\u{1b}'), "a pipe gets no escape sequences");

    let stats = lab::wait_for("a round of telemetry", LIMIT, || {
        let stats = container(&["stats", &id, "--json"])?;
        Ok(stats["lately"]["cpuPercent"]["max"].as_f64().is_some_and(|max| max > 1.0).then_some(stats))
    })?;
    let cpu = &stats["lately"]["cpuPercent"];
    assert!(cpu["min"].as_f64() <= cpu["avg"].as_f64() && cpu["avg"].as_f64() <= cpu["max"].as_f64(), "{stats}");
    let plain = home.longshore(&["stats", "busy"])?;
    for wanted in ["LATELY", "AVG", "MEM", "NET RX"] {
        assert!(plain.stdout.contains(wanted), "{wanted} is missing:\n{}", plain.stdout);
    }

    let described = lab::wait_for("the API to tell of health", LIMIT, || {
        let described = local.call("DescribeTasks", &json!({"cluster": home.cluster, "tasks": [id]}))?;
        let task = described["tasks"][0].clone();
        Ok((task["healthStatus"] == "HEALTHY").then_some(task))
    })?;
    assert_eq!(described["containers"][0]["healthStatus"], "HEALTHY");
    let instance = described["containerInstanceArn"].clone();
    lab::wait_for("the API to tell of the instance's health", LIMIT, || {
        let query = json!({"cluster": home.cluster, "containerInstances": [instance],
            "include": ["CONTAINER_INSTANCE_HEALTH"]});
        let described = local.call("DescribeContainerInstances", &query)?;
        Ok((described["containerInstances"][0]["healthStatus"]["overallStatus"] == "OK").then_some(()))
    })?;

    assert_eq!(home.longshore(&["stop", &id])?.code, Some(0));
    let gone = home.longshore(&["stats", &id])?;
    assert!(gone.code == Some(1) && gone.stderr.contains("has stopped"), "{gone:#?}");
    assert_eq!(local.stop(Signal::Term)?, Some(0));
    Ok(())
}
