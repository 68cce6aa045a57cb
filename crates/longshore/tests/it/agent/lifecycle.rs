//! From payload to STOPPED (spec 10 §4, 20 §2).

use std::time::Duration;

use anyhow::Result;
use expect_test::expect;
use lab::payload::fast_stop;
use serde_json::{Value, json};

use crate::support::bench;

#[test]
fn run_then_stop() -> Result<()> {
    let bench = bench(&[])?;
    let ports = json!([{ "containerPort": 80, "hostPort": 0, "protocol": "tcp" }]);
    let task = bench.run(&[bench.container("main", json!({ "portMappings": ports, "config": fast_stop() }))])?;
    bench.until(&task, "RUNNING")?;
    bench.stop_and_wait(&task)?;
    expect![[r#"
        PENDING
          main PENDING digest
        RUNNING pulled
          main RUNNING digest id 0.0.0.0:<dynamic>->80/tcp
        STOPPED pulled ended
          main STOPPED exit=137 digest id 0.0.0.0:<dynamic>->80/tcp
    "#]]
    .assert_eq(&bench.story(&task));
    Ok(())
}

#[test]
fn exit_code() -> Result<()> {
    let bench = bench(&[])?;
    let task = bench.run(&[bench.shell("main", "exit 3", json!({}))])?;
    bench.until(&task, "STOPPED")?;
    expect![[r#"
        STOPPED pulled ended
          main STOPPED exit=3 digest id
    "#]]
    .assert_eq(&bench.outcome(&task));
    Ok(())
}

#[test]
fn nonessential_exits_first() -> Result<()> {
    let bench = bench(&[])?;
    let main = bench.container("main", json!({ "config": fast_stop() }));
    let task = bench.run(&[main, bench.shell("side", "exit 0", json!({ "essential": false }))])?;
    bench.until(&task, "RUNNING")?;
    lab::wait_for("the side container's end", Duration::from_secs(20), || {
        Ok((bench.inspect(&task, "side")?["State"]["Running"] == false).then_some(()))
    })?;
    assert_eq!(bench.inspect(&task, "main")?["State"]["Running"], true);
    bench.stop_and_wait(&task)?;
    expect![[r#"
        STOPPED pulled ended
          main STOPPED exit=137 digest id
          side STOPPED exit=0 digest id
    "#]]
    .assert_eq(&bench.outcome(&task));
    Ok(())
}

#[test]
fn depends_success_chain() -> Result<()> {
    let bench = bench(&[])?;
    let task = bench.run(&[
        bench.shell("one", "exit 0", json!({ "essential": false })),
        bench.shell("two", "exit 0", json!({ "essential": false, "dependsOn": depends("one", "SUCCESS") })),
        bench.shell("main", "exit 5", json!({ "dependsOn": depends("two", "COMPLETE") })),
    ])?;
    bench.until(&task, "STOPPED")?;
    let [one, two, main] = ["one", "two", "main"].map(|name| bench.inspect(&task, name));
    let (one, two, main) = (one?, two?, main?);
    assert!(one["State"]["FinishedAt"].as_str() <= two["State"]["StartedAt"].as_str());
    assert!(two["State"]["FinishedAt"].as_str() <= main["State"]["StartedAt"].as_str());
    assert_eq!(main["State"]["ExitCode"], 5);
    expect![[r#"
        STOPPED pulled ended
          main STOPPED exit=5 digest id
          one STOPPED exit=0 digest id
          two STOPPED exit=0 digest id
    "#]]
    .assert_eq(&bench.outcome(&task));
    Ok(())
}

#[test]
fn depends_success_fails() -> Result<()> {
    let bench = bench(&[])?;
    let task = bench.run(&[
        bench.shell("init", "exit 1", json!({ "essential": false })),
        bench.shell("main", "sleep 60", json!({ "dependsOn": depends("init", "SUCCESS") })),
    ])?;
    bench.until(&task, "STOPPED")?;
    expect![[r#"
        STOPPED pulled ended
          init STOPPED exit=1 digest id
          main STOPPED exit=143 digest "CannotStartContainerError: dependency graph: failed to resolve container ordering dependency [init(<image>) (STOPPED->RUNNING) - Exit: 1] for target [main(<image>) (MANIFEST_PULLED->RUNNING)] as dependency did not exit successfully."
    "#]]
    .assert_eq(&bench.outcome(&task));
    Ok(())
}

#[test]
fn depends_healthy() -> Result<()> {
    let bench = bench(&[])?;
    let check = json!({
        "Healthcheck": {
            "Test": ["CMD-SHELL", "test -e /tmp/ok"], "Interval": 1_000_000_000, "Timeout": 2_000_000_000, "Retries": 9,
        },
        "StopSignal": "SIGKILL",
    });
    let script = "sleep 2; touch /tmp/ok; sleep 600";
    let task = bench.run(&[
        bench.shell("dep", script, json!({ "healthCheckType": "docker", "config": check })),
        bench.container("main", json!({ "config": fast_stop(), "dependsOn": depends("dep", "HEALTHY") })),
    ])?;
    bench.until(&task, "RUNNING")?;
    let (dep, main) = (bench.inspect(&task, "dep")?, bench.inspect(&task, "main")?);
    assert_eq!(dep["State"]["Health"]["Status"], "healthy");
    let healthy_since = dep["State"]["Health"]["Log"].as_array().into_iter().flatten();
    let first = healthy_since.filter(|check| check["ExitCode"] == 0).filter_map(|check| check["Start"].as_str()).min();
    // Docker writes check times with a zone and container times in UTC; this machine's zone may be any.
    let first = first.map(|time| time.parse::<jiff::Timestamp>()).transpose()?;
    let started: jiff::Timestamp = main["State"]["StartedAt"].as_str().unwrap_or("").parse()?;
    assert!(first.is_some_and(|first| first <= started), "healthy at {first:?}, main started at {started}");
    bench.stop_and_wait(&task)?;
    expect![[r#"
        STOPPED pulled ended
          dep STOPPED exit=137 digest id
          main STOPPED exit=137 digest id
    "#]]
    .assert_eq(&bench.outcome(&task));
    Ok(())
}

#[test]
fn pull_not_found() -> Result<()> {
    let bench = bench(&[])?;
    let image = format!("{}/nope:latest", crate::support::setting("LONGSHORE_TEST_REGISTRY"));
    let task = bench.run(&[bench.container("main", json!({ "image": image }))])?;
    bench.until(&task, "STOPPED")?;
    expect![[r#"
        STOPPED pulled ended
          main STOPPED "CannotPullImageManifestError: Error response from daemon: manifest unknown: manifest unknown"
    "#]]
    .assert_eq(&bench.outcome(&task));
    Ok(())
}

#[test]
fn start_fails() -> Result<()> {
    let bench = bench(&[])?;
    let task = bench.run(&[bench.container("main", json!({ "command": ["/no/such/binary"] }))])?;
    bench.until(&task, "STOPPED")?;
    // What follows is the Engine's own text, which differs from version to version.
    let last = bench.outcome(&task);
    assert!(
        last.contains(r#"main STOPPED digest id "CannotStartContainerError: Error response from daemon: "#),
        "{last}"
    );
    assert!(last.contains("/no/such/binary"), "{last}");
    Ok(())
}

#[test]
fn port_conflict() -> Result<()> {
    let bench = bench(&[])?;
    let port = lab::free_port()?;
    let ports = json!([{ "containerPort": 80, "hostPort": port, "protocol": "tcp" }]);
    let container = bench.container("main", json!({ "portMappings": ports, "config": fast_stop() }));
    let first = bench.run(std::slice::from_ref(&container))?;
    bench.until(&first, "RUNNING")?;
    let second = bench.run(&[container])?;
    // A task that came later runs, and the second one has still not begun: it waits for the port.
    let third = bench.run(&[bench.shell("main", "exit 0", json!({}))])?;
    bench.until(&third, "STOPPED")?;
    assert_eq!(bench.story(&second), "");
    bench.stop_and_wait(&first)?;
    bench.until(&second, "RUNNING")?;
    bench.stop_and_wait(&second)?;
    assert_eq!(bench.statuses(&second), ["PENDING", "RUNNING", "STOPPED"]);
    Ok(())
}

#[test]
fn stop_timeout() -> Result<()> {
    let bench = bench(&[])?;
    let script = "trap '' TERM; while true; do sleep 0.1; done";
    let task = bench.run(&[bench.shell("main", script, json!({ "stopTimeout": 3 }))])?;
    bench.until(&task, "RUNNING")?;
    let asked = std::time::Instant::now();
    bench.stop_and_wait(&task)?;
    let taken = asked.elapsed();
    assert!((Duration::from_secs(3)..Duration::from_secs(15)).contains(&taken), "{taken:?}");
    assert!(bench.outcome(&task).contains("main STOPPED exit=137"), "{}", bench.outcome(&task));
    Ok(())
}

#[test]
fn sigterm_graceful() -> Result<()> {
    let bench = bench(&[])?;
    let script = "trap 'exit 42' TERM; touch /tmp/ready; while true; do sleep 0.1; done";
    let check = json!({ "Healthcheck": { "Test": ["CMD-SHELL", "test -e /tmp/ready"], "Interval": 1_000_000_000 } });
    let task = bench.run(&[bench.shell("main", script, json!({ "healthCheckType": "docker", "config": check }))])?;
    bench.until(&task, "RUNNING")?;
    lab::wait_for("the trap to be set", Duration::from_secs(20), || {
        Ok((bench.inspect(&task, "main")?["State"]["Health"]["Status"] == "healthy").then_some(()))
    })?;
    bench.stop_and_wait(&task)?;
    assert!(bench.outcome(&task).contains("main STOPPED exit=42"), "{}", bench.outcome(&task));
    Ok(())
}

fn depends(name: &str, condition: &str) -> Value {
    json!([{ "containerName": name, "condition": condition }])
}
