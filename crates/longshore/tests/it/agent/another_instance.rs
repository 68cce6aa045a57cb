//! State that comes with the machine's image: an agent begins on another EC2 instance than the one its data directory
//! was written on (spec 10 §1.8, spec 20 trap 51).

use std::time::Duration;

use anyhow::{Context, Result};
use lab::agent::Signal;
use lab::payload::fast_stop;
use lab::{Bench, Imds};
use serde_json::{Value, json};

use crate::support::bench;

const LIMIT: Duration = Duration::from_secs(20);

/// Kills the agent and starts it again on an instance; how it registers there.
fn restart(bench: &mut Bench, imds: &Imds, instance: &str) -> Result<Value> {
    bench.agent.stop(Signal::Kill)?;
    bench.plane.forget();
    imds.become_instance(instance);
    bench.agent.start()?;
    bench.agent.ready(&bench.plane, LIMIT)?;
    registration(bench)
}

/// The one registration that was heard.
fn registration(bench: &Bench) -> Result<Value> {
    let calls = bench.plane.calls("RegisterContainerInstance");
    assert_eq!(calls.len(), 1, "{calls:?}");
    calls.into_iter().next().context("a registration")
}

fn start_task(bench: &Bench) -> Result<Value> {
    let task = bench.run(&[bench.container("main", json!({ "config": fast_stop() }))])?;
    bench.until(&task, "RUNNING")?;
    Ok(task)
}

/// ARNs of the tasks that the agent knows.
fn known(bench: &Bench) -> Result<Vec<Value>> {
    let answer = bench.agent.introspect("/v1/tasks")?;
    let tasks = answer["Tasks"].as_array().with_context(|| format!("tasks in {answer}"))?;
    Ok(tasks.iter().map(|task| task["Arn"].clone()).collect())
}

/// How often the agent said that its state is of another instance.
fn discards(bench: &Bench) -> usize {
    bench.agent.log().matches("Data mismatch; saved InstanceID 'i-1' does not match current InstanceID 'i-2'").count()
}

#[test]
fn state_of_another_instance_is_discarded_once() -> Result<()> {
    let imds = Imds::start("i-1")?;
    let url = imds.url();
    let mut bench =
        bench(&[("ECS_EXTERNAL", ""), ("AWS_EC2_METADATA_DISABLED", ""), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url)])?;
    let first = registration(&bench)?;
    assert_eq!(first["containerInstanceArn"], Value::Null);
    assert_eq!(first["instanceIdentityDocument"], Imds::identity_document("i-1"));
    assert_eq!(first["instanceIdentityDocumentSignature"], "signed i-1");
    let old = start_task(&bench)?;

    // On the same instance it is the one that it was.
    let again = restart(&mut bench, &imds, "i-1")?;
    assert_eq!(again["containerInstanceArn"], bench.plane.instance_arn());
    assert_eq!((known(&bench)?, discards(&bench)), (vec![old["arn"].clone()], 0));

    let anew = restart(&mut bench, &imds, "i-2")?;
    assert_eq!(anew["containerInstanceArn"], Value::Null);
    assert_eq!(anew["instanceIdentityDocument"], Imds::identity_document("i-2"));
    assert_eq!((known(&bench)?, discards(&bench)), (vec![], 1));
    let new = start_task(&bench)?;
    assert_eq!(known(&bench)?, [new["arn"].clone()]);
    // Nobody's task is neither reported nor ended: it belongs to the instance that the image was made of.
    assert_eq!(bench.statuses(&old), Vec::<String>::new());

    // And from then on it is this instance.
    let again = restart(&mut bench, &imds, "i-2")?;
    assert!(imds.asked().iter().any(|path| path == "/latest/meta-data/instance-id"), "{:?}", imds.asked());
    assert_eq!(again["containerInstanceArn"], bench.plane.instance_arn());
    assert_eq!((known(&bench)?, discards(&bench)), (vec![new["arn"].clone()], 1));
    bench.stop_and_wait(&new)?;
    let newest = start_task(&bench)?;
    bench.stop_and_wait(&newest)?;

    assert_eq!(bench.statuses(&old), Vec::<String>::new());
    assert_eq!(bench.inspect(&old, "main")?["State"]["Running"], true);
    Ok(())
}
