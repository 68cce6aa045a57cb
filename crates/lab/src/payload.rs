//! Tasks and containers as the control plane sends them (spec 10 §3.4).

use serde_json::{Map, Value, json};

/// Ends at once when asked to.
#[must_use]
pub fn fast_stop() -> Value {
    json!({ "StopSignal": "SIGKILL" })
}

/// A container that sleeps, with `members` laid over it. `config` and `hostConfig` become the JSON texts of
/// `dockerConfig`.
#[must_use]
pub fn container(name: &str, image: &str, members: Value) -> Value {
    let mut members = match members {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    let mut text = |member: &str| members.remove(member).unwrap_or_else(|| json!({})).to_string();
    let docker = json!({ "config": text("config"), "hostConfig": text("hostConfig"), "version": "1.17" });
    let mut container = json!({
        "name": name, "image": image, "command": ["sleep", "600"], "cpu": 10, "memory": 32, "essential": true,
        "environment": {}, "portMappings": [], "mountPoints": [], "volumesFrom": [], "overrides": "{}",
        "dockerConfig": docker,
    });
    for (member, value) in members {
        container[member] = value;
    }
    container
}

/// A container that runs a shell script.
#[must_use]
pub fn shell(name: &str, image: &str, script: &str, members: Value) -> Value {
    let mut container = container(name, image, members);
    container["command"] = json!(["sh", "-c", script]);
    container
}

/// A task of these containers that is to run, with `members` laid over it.
#[must_use]
pub fn task(arn: &str, cluster: &str, containers: &[Value], members: Value) -> Value {
    let mut task = json!({
        "arn": arn, "family": "fam", "version": "7", "desiredStatus": "RUNNING", "taskClusterArn": cluster,
        "containers": containers,
    });
    if let Value::Object(members) = members {
        for (member, value) in members {
            task[member] = value;
        }
    }
    task
}

/// The same task, to be stopped.
#[must_use]
pub fn stopped(task: &Value) -> Value {
    let mut task = task.clone();
    task["desiredStatus"] = json!("STOPPED");
    task
}
