//! Bad input: each has a clear message with the place and what to do, and disturbs nothing.

use std::net::TcpListener;

use anyhow::Result;
use lab::agent::Signal;
use serde_json::json;

use crate::support::{Home, setting};

/// `validate` and `run` refuse a file in the same words.
fn refused(home: &Home, file: &str, wanted: &[&str]) -> Result<()> {
    for arguments in [&["validate", "--offline", file][..], &["run", file]] {
        let ended = home.longshore(arguments)?;
        assert!(ended.code.is_some_and(|code| code != 0), "{arguments:?}: {ended:#?}");
        let said = ended.stdout.clone() + &ended.stderr;
        for wanted in wanted {
            assert!(said.contains(wanted), "{arguments:?} does not say {wanted:?}:\n{said}");
        }
    }
    assert_eq!(home.containers()?, Vec::<String>::new());
    Ok(())
}

#[test]
fn files_that_are_no_task_definition() -> Result<()> {
    let home = Home::new()?;
    let file = home.write("broken.json", "{\n  \"family\": \"x\",\n  oops\n}\n")?;
    refused(&home, &file, &["broken.json:3:"])?;

    let file = home.write("list.json", "[]")?;
    refused(&home, &file, &["list.json", "no task definition"])?;

    let file = home.definition("unknown", "true", json!({ "memmory": 64 }))?;
    refused(&home, &file, &["memmory"])?;

    let image = setting("LONGSHORE_TEST_IMAGE");
    let depends = |on: &str| json!([{ "containerName": on, "condition": "START" }]);
    let cycle = json!({ "family": "cycle", "containerDefinitions": [
        { "name": "a", "image": image, "memory": 16, "dependsOn": depends("b") },
        { "name": "b", "image": image, "memory": 16, "dependsOn": depends("a") },
    ]});
    let file = home.write("cycle.json", &cycle.to_string())?;
    refused(&home, &file, &["ycl"])?;

    let ended = home.longshore(&["run", "no-such-file.json"])?;
    assert!(ended.code != Some(0) && ended.stderr.contains("no-such-file.json"), "{ended:#?}");
    Ok(())
}

#[test]
fn an_image_that_does_not_exist() -> Result<()> {
    let home = Home::new()?;
    let image = format!("{}/no-such-image:v1", setting("LONGSHORE_TEST_REGISTRY"));
    let file = home.definition("imageless", "true", json!({ "image": image }))?;
    let ended = home.longshore(&["run", &file])?;
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.stderr.contains(&image) && ended.stderr.contains("manifest unknown"), "{ended:#?}");
    Ok(())
}

#[test]
fn a_port_in_use() -> Result<()> {
    let home = Home::new()?;
    let taken = TcpListener::bind(("0.0.0.0", 0))?;
    let port = taken.local_addr()?.port();
    let ports = json!([{ "containerPort": 80, "hostPort": port }]);
    let file = home.definition("ported", "exec sleep 600", json!({ "portMappings": ports }))?;
    let ended = home.longshore(&["run", &file])?;
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    // This very process holds it.
    let holder = std::process::id().to_string();
    assert!(ended.stderr.contains(&port.to_string()) && ended.stderr.contains(&holder), "{ended:#?}");
    Ok(())
}

#[test]
fn a_task_too_large_for_this_machine() -> Result<()> {
    let home = Home::new()?;
    let file = home.definition("large", "true", json!({ "memory": 99_000_000 }))?;
    let ended = home.longshore(&["run", &file])?;
    assert!(ended.code == Some(1) && ended.stderr.contains("memory"), "{ended:#?}");
    let ended = home.longshore(&["validate", &file])?;
    assert!(ended.code == Some(1) && ended.stdout.contains("memory"), "{ended:#?}");
    Ok(())
}

#[test]
fn no_docker_engine() -> Result<()> {
    let home = Home::new()?;
    let file = home.definition("dockerless", "true", json!({}))?;
    for arguments in [&["run", &file][..], &["local"]] {
        let mut command = home.command(arguments);
        command.env("DOCKER_HOST", "unix:///nowhere/docker.sock");
        let output = command.output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        // What to do about it depends on whether Docker is installed here.
        assert!(said.contains("unix:///nowhere/docker.sock") && said.contains("sudo"), "{said}");
    }
    Ok(())
}

#[test]
fn nothing_runs_to_look_at() -> Result<()> {
    let home = Home::new()?;
    for arguments in [&["ps"][..], &["describe", "x"], &["logs", "x"], &["stop", "x"]] {
        let ended = home.longshore(arguments)?;
        assert!(ended.code == Some(1) && ended.stderr.contains("longshore local"), "{arguments:?}: {ended:#?}");
    }
    Ok(())
}

#[test]
fn a_second_local_on_the_same_data() -> Result<()> {
    let home = Home::new()?;
    let mut local = home.local()?;
    let ended = home.longshore(&["local", "--port", "0"])?;
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.stderr.contains(&home.data().display().to_string()), "{ended:#?}");
    assert_eq!(home.longshore(&["ps"])?.code, Some(0));
    assert_eq!(local.stop(Signal::Term)?, Some(0));
    Ok(())
}

#[test]
fn a_corrupt_store_is_set_aside() -> Result<()> {
    let home = Home::new()?;
    let mut local = home.local()?;
    assert_eq!(local.stop(Signal::Term)?, Some(0));
    let store = home.data().join("plane.db");
    let damaged = [&std::fs::read(&store)?[..16], &b"no page of a database ".repeat(500)].concat();
    std::fs::write(&store, &damaged)?;
    let mut local = home.local()?;
    let kept = std::fs::read_dir(home.data())?.filter_map(|file| std::fs::read(file.ok()?.path()).ok());
    assert!(kept.into_iter().any(|content| content == damaged), "the old file is gone");
    let log = std::fs::read_to_string(home.data().join("log/agent.log"))?;
    assert!(log.contains("set aside") || log.contains("kept aside"), "{log}");
    assert_eq!(local.stop(Signal::Term)?, Some(0));
    Ok(())
}
