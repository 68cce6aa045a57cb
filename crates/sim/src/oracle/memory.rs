//! The rule about the store: nothing goes out that only the process knows of.

use engine::Effect;
use engine::task::TaskState;
use wire::ids::TaskArn;

use crate::world::World;

/// An effect is about to go out: after a crash right behind it the store tells whose it is.
pub(super) fn check_effect(world: &World, effect: &Effect) -> Result<(), String> {
    let stored = |table: &str, text: &str, what: &str| {
        // JSON's own form of the text, without its quotes.
        let quoted = serde_json::to_string(text).unwrap_or_default();
        if world.store.values(table).any(|value| value.contains(quoted.as_str())) {
            Ok(())
        } else {
            Err(format!("{what} {text} is made and not stored"))
        }
    };
    match effect {
        Effect::CreateContainer { name, .. } => stored("container", name, "container"),
        Effect::CreateVolume { name, .. } => stored("task", name, "volume"),
        Effect::CreateCgroup { parent, .. } => stored("task", parent, "cgroup"),
        Effect::SubmitTask { request, .. } => {
            let arn = request.task.clone().unwrap_or_default();
            let id = TaskArn::from(arn.as_str()).task_id();
            let state = world.store.get("task_state", id.as_str());
            let state = state.and_then(|text| serde_json::from_str::<TaskState>(text).ok());
            let Some(state) = state else { return Err(format!("task {id} is reported and not stored")) };
            let front = state.reports.front().map(|report| report.status.reported());
            if front != request.status.as_deref() {
                return Err(format!("task {id} is reported {:?}, the store has {front:?} to report", request.status));
            }
            Ok(())
        }
        Effect::RemoveVolume { .. } | Effect::RemoveCgroup { .. } if !world.driver.owes() => {
            let is_removing = world.store.values("task_state").any(|text| text.contains("\"is_being_removed\":true"));
            if is_removing { Ok(()) } else { Err(format!("{effect:?} of a task that is not stored as being removed")) }
        }
        _ => Ok(()),
    }
}
