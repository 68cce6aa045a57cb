//! Starts that cannot succeed: each says why, and disturbs nothing.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context, Result};
use lab::agent::Signal;
use lab::payload::fast_stop;
use serde_json::json;

use crate::support::{LONGSHORE, bench, prepared};

const SOON: Duration = Duration::from_secs(30);

#[test]
fn ports_taken() -> Result<()> {
    let mut bench = prepared(&[])?;
    let _taken = TcpListener::bind(("127.0.0.1", 51679)).context("taking the agent's port")?;
    bench.agent.start()?;
    let status = bench.agent.ended(SOON)?;
    assert_eq!(status.code(), Some(1));
    let said = bench.agent.output() + &bench.agent.log();
    // This very process holds it.
    assert!(said.contains("51679"), "{said}");
    assert!(said.contains(&std::process::id().to_string()), "{said}");
    Ok(())
}

#[test]
fn second_agent_on_the_same_data() -> Result<()> {
    let bench = bench(&[])?;
    let task = bench.run(&[bench.container("main", json!({ "config": fast_stop() }))])?;
    bench.until(&task, "RUNNING")?;
    let mut second = bench.agent.command()?.spawn()?;
    let status = lab::agent::wait(&mut second, SOON);
    drop(second.kill());
    assert_ne!(status?.code(), Some(0));
    let said = bench.agent.output();
    assert!(said.contains("in use by"), "{said}");
    bench.stop_and_wait(&task)?;
    Ok(())
}

#[test]
fn corrupt_store_is_set_aside() -> Result<()> {
    let mut bench = bench(&[])?;
    bench.agent.stop(Signal::Term)?;
    let data = bench.agent.folder().join("data");
    let store = data.join("longshore.db");
    let damaged = [&std::fs::read(&store)?[..16], &b"no page of a database ".repeat(500)].concat();
    std::fs::write(&store, &damaged)?;
    bench.agent.start()?;
    bench.agent.ready(&bench.plane, SOON)?;
    let said = bench.agent.log() + &bench.agent.output();
    assert!(said.contains("kept aside") || said.contains("set aside"), "{said}");
    let kept = std::fs::read_dir(&data)?.filter_map(|file| std::fs::read(file.ok()?.path()).ok());
    assert!(kept.into_iter().any(|content| content == damaged), "the old file is gone");
    let task = bench.run(&[bench.shell("main", "exit 0", json!({}))])?;
    bench.until(&task, "STOPPED")?;
    Ok(())
}

#[test]
fn foreign_store_is_refused() -> Result<()> {
    let mut bench = prepared(&[])?;
    let data = bench.agent.folder().join("data");
    std::fs::create_dir_all(&data)?;
    let content = "notes of somebody, under a name that we happen to use";
    std::fs::write(data.join("longshore.db"), content)?;
    bench.agent.start()?;
    assert_eq!(bench.agent.ended(SOON)?.code(), Some(5));
    let said = bench.agent.output();
    assert!(said.contains("longshore.db is not a store of kind agent: it is no SQLite database"), "{said}");
    assert_eq!(std::fs::read_to_string(data.join("longshore.db"))?, content);
    let names = std::fs::read_dir(&data)?.filter_map(|file| file.ok()?.file_name().into_string().ok());
    assert_eq!(names.filter(|name| name.contains("corrupt")).count(), 0);
    Ok(())
}

#[test]
fn no_docker_engine() -> Result<()> {
    let mut bench = prepared(&[("DOCKER_HOST", "unix:///nowhere/docker.sock")])?;
    bench.agent.start()?;
    let status = bench.agent.ended(Duration::from_secs(60))?;
    assert_eq!(status.code(), Some(1));
    let said = bench.agent.output() + &bench.agent.log();
    assert!(said.contains("/nowhere/docker.sock"), "{said}");
    Ok(())
}

#[test]
fn no_region() -> Result<()> {
    let mut bench = prepared(&[("AWS_DEFAULT_REGION", "")])?;
    bench.agent.start()?;
    assert_eq!(bench.agent.ended(SOON)?.code(), Some(1));
    assert!(bench.agent.output().contains("AWS_DEFAULT_REGION"), "{}", bench.agent.output());
    assert!(bench.plane.entries().is_empty(), "{LONGSHORE} called the control plane");
    Ok(())
}
