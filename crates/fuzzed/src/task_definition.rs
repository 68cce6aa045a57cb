//! Task definitions as people write them: checked, registered, run, and taken by the agent.

use plane::{ProblemKind, validate_task_definition};
use serde_json::{Value, json};

use crate::engine_frames;
use crate::plane_calls::World;

/// A definition can be registered exactly when nothing but unknown members is found wrong with it. The payload made
/// of it reads, and the agent takes it or says why not.
pub fn task_definition(data: &[u8]) {
    let Ok(definition) = serde_json::from_slice::<Value>(data) else { return };
    let problems = validate_task_definition(&definition);
    let is_good = problems.iter().all(|problem| problem.kind == ProblemKind::UnknownMember);
    let mut world = World::ready();
    let registered = world.call("RegisterTaskDefinition", definition).expect("an answer");
    assert_eq!(registered.is_ok(), is_good, "{problems:?} {registered:?}");
    let Ok(registered) = registered else { return };
    let arn = registered["taskDefinition"]["taskDefinitionArn"].clone();
    let _ = world.call("RunTask", json!({ "taskDefinition": arn }));
    world.restores();
    engine_frames(world.payloads.join("\n").as_bytes());
}
