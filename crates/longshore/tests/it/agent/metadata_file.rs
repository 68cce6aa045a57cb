//! The file that describes a container to itself (spec 30 §6), as the container reads it.

use std::time::Duration;

use anyhow::{Context, Result};
use lab::Bench;
use lab::agent::Signal;
use lab::payload::fast_stop;
use serde_json::{Value, json};

use crate::support::{bench, environment};

const ON: (&str, &str) = ("ECS_ENABLE_CONTAINER_METADATA", "true");
/// The agent runs on the host itself, so that its directory is the host's.
const HOST: (&str, &str) = ("ECS_HOST_DATA_DIR", "/");

/// The file as the host has it, once it says that the container runs.
fn ready(bench: &Bench, task: &Value, container: &str) -> Result<Value> {
    let directory = task["arn"].as_str().and_then(|arn| arn.split_once('/')).context("an ARN")?.1;
    let path = bench.agent.folder().join("data/metadata").join(directory).join(container);
    lab::wait_for("the file to say READY", Duration::from_secs(20), || {
        let text = std::fs::read(path.join("ecs-container-metadata.json")).unwrap_or_default();
        let document: Value = serde_json::from_slice(&text).unwrap_or_default();
        Ok((document["MetadataFileStatus"] == "READY").then_some(document))
    })
}

#[test]
fn a_container_reads_who_it_is() -> Result<()> {
    let mut bench = bench(&[ON, HOST, ("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION", "1s")])?;
    // The container itself waits for the file, and ends well when it says what it should.
    let look = "until grep -q '\"MetadataFileStatus\": \"READY\"' $ECS_CONTAINER_METADATA_FILE; do sleep 0.1; done; \
                grep -q '\"ContainerName\": \"main\"' $ECS_CONTAINER_METADATA_FILE && touch /seen; exec sleep 600";
    let task = bench.run(&[bench.shell("main", look, json!({ "config": fast_stop() }))])?;
    bench.until(&task, "RUNNING")?;
    let document = ready(&bench, &task, "main")?;
    let container = bench.inspect(&task, "main")?;
    assert_eq!(document["ContainerID"], container["Id"]);
    assert_eq!(document["Cluster"], bench.plane.cluster());
    assert_eq!(document["TaskARN"], task["arn"]);
    assert_eq!(document["Networks"][0]["IPv4Addresses"][0], container["NetworkSettings"]["IPAddress"]);
    let id = container["Id"].as_str().unwrap_or_default();
    lab::wait_for("the container to have read it", Duration::from_secs(20), || {
        let changes = bench.engine.get(&format!("/containers/{id}/changes"))?;
        Ok(changes.as_array().is_some_and(|all| all.iter().any(|c| c["Path"] == "/seen")).then_some(()))
    })?;
    let file = environment(&container).remove("ECS_CONTAINER_METADATA_FILE").context("the variable")?;
    let directory = file.strip_suffix("/ecs-container-metadata.json").context("the file's name")?;
    assert!(directory.starts_with("/opt/ecs/metadata/"), "{directory}");
    assert_eq!(container["Mounts"][0]["Destination"], directory);

    // A new agent knows of it, and removes it with the task.
    bench.agent.stop(Signal::Kill)?;
    bench.agent.start()?;
    bench.agent.ready(&bench.plane, Duration::from_secs(20))?;
    assert_eq!(ready(&bench, &task, "main")?, document);
    bench.stop_and_wait(&task)?;
    let all = bench.agent.folder().join("data/metadata").join(bench.plane.cluster());
    lab::wait_for("the files to go", Duration::from_secs(20), || {
        Ok(std::fs::read_dir(&all)?.next().is_none().then_some(()))
    })
}

#[test]
fn a_file_that_cannot_be_written_holds_up_nothing() -> Result<()> {
    let bench = bench(&[ON, HOST])?;
    std::fs::write(bench.agent.folder().join("data/metadata"), "no folder")?;
    let task = bench.run(&[bench.container("main", json!({ "config": fast_stop() }))])?;
    bench.until(&task, "RUNNING")?;
    let container = bench.inspect(&task, "main")?;
    assert_eq!(container["Mounts"], json!([]));
    assert_eq!(environment(&container).remove("ECS_CONTAINER_METADATA_FILE"), None);
    bench.stop_and_wait(&task).map(drop)
}
