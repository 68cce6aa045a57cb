//! A registry that wants a password, from the agent's own settings (spec 20 §5.4, spec 40 §7.3).

use anyhow::Result;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use lab::{Bench, hex};
use serde_json::{Value, json};

use crate::support::{bench, setting};

const USER: &str = "longshore";
const PASSWORD: &str = "longshore-test";

/// Runs an image that is only in the locked registry, by an agent with these settings; gives what was told of its
/// container.
fn told(kind: &str, data: &Value) -> Result<Value> {
    let bench = bench(&[("ECS_ENGINE_AUTH_TYPE", kind), ("ECS_ENGINE_AUTH_DATA", &data.to_string())])?;
    let repository = format!("{}/private-{}", setting("LONGSHORE_TEST_REGISTRY_LOCKED"), hex(8));
    push(&bench, &repository)?;
    let image = format!("{repository}:v");
    let task = bench.run(&[bench.shell("main", "exit 5", json!({ "image": image }))])?;
    let stopped = bench.until(&task, "STOPPED");
    for id in bench.containers(&task)? {
        bench.engine.remove(&id)?;
    }
    bench.engine.untag(&image)?;
    let mut stopped = stopped?;
    // Nothing of the password is where people may read it.
    let log = bench.agent.log();
    assert!(!log.contains(PASSWORD) && !log.contains(&BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}"))));
    Ok(stopped["containers"][0].take())
}

/// Puts the test image into the locked registry, and leaves it nowhere else.
fn push(bench: &Bench, repository: &str) -> Result<()> {
    let login = json!({ "username": USER, "password": PASSWORD, "serveraddress": repository.split('/').next() });
    bench.engine.tag(&setting("LONGSHORE_TEST_IMAGE"), repository, "v")?;
    let pushed = bench.engine.push(repository, "v", &BASE64_STANDARD.encode(login.to_string()));
    bench.engine.untag(&format!("{repository}:v"))?;
    pushed
}

#[test]
fn a_password_in_the_docker_form() -> Result<()> {
    let registry = format!("http://{}", setting("LONGSHORE_TEST_REGISTRY_LOCKED"));
    let container = told("docker", &json!({ registry: { "username": USER, "password": PASSWORD, "email": "a@b.c" } }))?;
    assert_eq!(container["exitCode"], 5, "{container}");
    Ok(())
}

#[test]
fn a_password_in_the_dockercfg_form() -> Result<()> {
    let auth = BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let container =
        told("dockercfg", &json!({ setting("LONGSHORE_TEST_REGISTRY_LOCKED"): { "auth": auth, "email": "a@b.c" } }))?;
    assert_eq!(container["exitCode"], 5, "{container}");
    Ok(())
}

#[test]
fn a_wrong_password_is_told() -> Result<()> {
    let registry = setting("LONGSHORE_TEST_REGISTRY_LOCKED");
    let container = told("docker", &json!({ registry: { "username": USER, "password": "wrong", "email": "" } }))?;
    let reason = container["reason"].as_str().unwrap_or("");
    assert!(reason.starts_with("CannotPull") && reason.contains("unauthorized"), "{container}");
    Ok(())
}
