//! The agent's talk with the control plane (spec 10 §1–§4).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Result;
use lab::payload::fast_stop;
use lab::plane::{Channel, What};
use serde_json::{Value, json};

use crate::support::bench;

const SOON: Duration = Duration::from_secs(20);

#[test]
fn registration() -> Result<()> {
    let bench = bench(&[])?;
    let calls = bench.plane.calls("RegisterContainerInstance");
    let [body] = calls.as_slice() else { panic!("{} registrations", calls.len()) };
    assert_eq!(body["cluster"], bench.plane.cluster());

    let names: BTreeSet<&str> = list(&body["attributes"]).filter_map(|one| one["name"].as_str()).collect();
    for wanted in [
        "com.amazonaws.ecs.capability.docker-remote-api.1.24",
        "com.amazonaws.ecs.capability.logging-driver.json-file",
        "com.amazonaws.ecs.capability.privileged-container",
        "com.amazonaws.ecs.capability.task-iam-role",
        "ecs.capability.container-health-check",
        "ecs.capability.container-ordering",
        "ecs.capability.external",
        "ecs.capability.full-sync",
        "ecs.cpu-architecture",
        "ecs.os-family",
        "ecs.os-type",
    ] {
        assert!(names.contains(wanted), "{wanted} is missing in {names:?}");
    }
    let resources: BTreeSet<(&str, &str)> =
        list(&body["totalResources"]).filter_map(|one| Some((one["name"].as_str()?, one["type"].as_str()?))).collect();
    let wanted = [("CPU", "INTEGER"), ("MEMORY", "INTEGER"), ("PORTS", "STRINGSET"), ("PORTS_UDP", "STRINGSET")].into();
    assert_eq!(resources, wanted);

    let (_, query, is_signed) = bench.plane.connected(Channel::Acs, bench.agent.started(), SOON)?;
    let names: Vec<&str> = query.keys().map(String::as_str).collect();
    let wanted = [
        "agentHash",
        "agentVersion",
        "clusterArn",
        "containerInstanceArn",
        "dockerVersion",
        "protocolVersion",
        "sendCredentials",
        "seqNum",
    ];
    assert_eq!(names, wanted);
    assert!(is_signed && query["sendCredentials"] == "true");
    let all_signed = bench.plane.entries().iter().all(|entry| match &entry.what {
        What::Call { is_signed, .. } => *is_signed,
        _ => true,
    });
    assert!(all_signed, "a call without a signature");
    Ok(())
}

#[test]
fn heartbeat_and_junk() -> Result<()> {
    let bench = bench(&[])?;
    bench.plane.send("HeartbeatMessage", &json!({ "messageId": "hb-1", "healthy": true }))?;
    bench.plane.acknowledged("HeartbeatAckRequest", "hb-1", SOON)?;
    bench.plane.send("NoSuchMessage", &json!({ "x": 1 }))?;
    bench.plane.send_text("not json")?;
    bench.plane.send_text("{}")?;
    bench.plane.send("PayloadMessage", &json!({ "tasks": [] }))?;
    let task = bench.run(&[bench.shell("main", "exit 0", json!({}))])?;
    bench.until(&task, "STOPPED")?;
    assert_eq!(bench.plane.acs_connections(), 1);
    Ok(())
}

#[test]
fn duplicate_payload() -> Result<()> {
    let bench = bench(&[])?;
    let task = bench.task(&[bench.container("main", json!({ "config": fast_stop() }))], json!({}));
    let (first, _) = bench.plane.payload(std::slice::from_ref(&task))?;
    let (second, _) = bench.plane.payload(std::slice::from_ref(&task))?;
    bench.plane.acknowledged("AckRequest", &first, SOON)?;
    bench.plane.acknowledged("AckRequest", &second, SOON)?;
    bench.until(&task, "RUNNING")?;
    assert_eq!(bench.containers(&task)?.len(), 1);
    bench.stop_and_wait(&task)?;
    assert_eq!(bench.statuses(&task), ["PENDING", "RUNNING", "STOPPED"]);
    Ok(())
}

#[test]
fn one_bad_task_and_one_good() -> Result<()> {
    let bench = bench(&[])?;
    let bad = bench
        .task(&[bench.container("main", json!({}))], json!({ "volumes": [{ "name": "v", "type": "no-such-type" }] }));
    let good = bench.task(&[bench.shell("main", "exit 4", json!({}))], json!({}));
    bench.plane.payload(&[bad.clone(), good.clone()])?;
    let refused = bench.until(&bad, "STOPPED")?;
    let reason = refused["reason"].as_str().unwrap_or("");
    // The reference's spelling.
    assert!(reason.starts_with("UnrecogniedTaskError: Error loading task - "), "{reason}");
    bench.until(&good, "STOPPED")?;
    assert!(bench.outcome(&good).contains("main STOPPED exit=4"), "{}", bench.outcome(&good));
    assert!(bench.containers(&bad)?.is_empty());
    Ok(())
}

#[test]
fn credentials_are_acknowledged() -> Result<()> {
    let bench = bench(&[])?;
    let credentials = |key: &str| {
        json!({
            "credentialsId": "11111111-2222-3333-4444-555555555555", "accessKeyId": key, "secretAccessKey": "s3cret-text",
            "roleArn": "arn:aws:iam::123456789012:role/app", "sessionToken": "token-text",
            "expiration": "2031-01-01T00:00:00Z",
        })
    };
    let container = bench.container("main", json!({ "config": fast_stop() }));
    let task = bench.run_with(&[container], json!({ "roleCredentials": credentials("AKIA1") }))?;
    bench.until(&task, "RUNNING")?;
    let message = json!({
        "messageId": "credentials-1", "taskArn": task["arn"], "roleType": "TaskApplication",
        "roleCredentials": credentials("AKIA2"),
    });
    bench.plane.send("IAMRoleCredentialsMessage", &message)?;
    bench.plane.acknowledged("IAMRoleCredentialsAckRequest", "credentials-1", SOON)?;
    bench.stop_and_wait(&task)?;
    let mut written = bench.agent.log() + &bench.agent.output();
    for entry in std::fs::read_dir(bench.agent.folder().join("data"))? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            written += &String::from_utf8_lossy(&std::fs::read(entry.path())?);
        }
    }
    for secret in ["s3cret-text", "token-text"] {
        assert!(!written.contains(secret), "a secret was written");
    }
    Ok(())
}

#[test]
fn a_cut_connection_is_opened_again() -> Result<()> {
    let bench = bench(&[])?;
    let before = Instant::now();
    bench.plane.cut();
    bench.plane.connected(Channel::Acs, before, Duration::from_secs(60))?;
    let task = bench.run(&[bench.shell("main", "exit 0", json!({}))])?;
    bench.until(&task, "STOPPED")?;
    assert_eq!(bench.plane.calls("RegisterContainerInstance").len(), 1);
    Ok(())
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
