//! What a container waits for: ordering conditions of its task definition (spec 20 §2).

use jiff::Timestamp;

use super::{Container, Dependency, DependencyCondition};
use crate::status::{ContainerStatus, HealthStatus};
use crate::task::Task;

/// How the conditions of a container stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    Satisfied,
    /// Not yet; for people, and when a start time-out will decide.
    Waiting {
        why: String,
        decides_at: Option<Timestamp>,
    },
    /// Never: the text that users see.
    Failed(String),
}

/// Looks at all ordering conditions of one container.
pub fn standing(task: &Task, target: &Container, now: Timestamp, pulls_upfront: bool) -> Standing {
    let desired = target.state.desired;
    if desired != target.steady() && desired != ContainerStatus::Created {
        return Standing::Satisfied;
    }
    let known = target.state.known;
    // Looking up a digest never waits, nor does a pull where the operator says so (spec 20 §2.1).
    let is_exempt = known < ContainerStatus::ManifestPulled || (pulls_upfront && known < ContainerStatus::Pulled);
    let mut waiting: Option<(String, Option<Timestamp>)> = None;
    for dependency in &target.definition.depends_on {
        let Some(on) = task.container(&dependency.container) else {
            return Standing::Failed(format!(
                "dependency graph: container ordering dependency [<nil>] for target [{target}] does not exist."
            ));
        };
        if let Some(text) = failure(dependency, on, target, now) {
            return Standing::Failed(text);
        }
        if !is_exempt && waiting.is_none() && !is_satisfied(&dependency.condition, on, target) {
            let why = format!("waits until {} is {}", dependency.container, dependency.condition);
            // Once it is created no time-out applies, so none may be waited for.
            let decides_at = times_out_at(dependency, on).filter(|_| known < ContainerStatus::Created);
            waiting = Some((why, decides_at));
        }
    }
    match waiting {
        Some((why, decides_at)) => Standing::Waiting { why, decides_at },
        None => Standing::Satisfied,
    }
}

/// Containers that must be stopped before this one may be (spec 20 §2.6).
pub fn dependent_still_up<'a>(task: &'a Task, container: &Container) -> Option<&'a Container> {
    task.containers.iter().find(|other| {
        !other.is_stopped() && other.definition.depends_on.iter().any(|d| *d.container == *container.definition.name)
    })
}

fn times_out_at(dependency: &Dependency, on: &Container) -> Option<Timestamp> {
    let is_timed = matches!(
        dependency.condition,
        DependencyCondition::Success | DependencyCondition::Complete | DependencyCondition::Healthy
    );
    let timeout = on.definition.start_timeout.filter(|_| is_timed)?;
    let span = jiff::SignedDuration::try_from(timeout).ok()?;
    on.state.started_at?.checked_add(span).ok()
}

fn failure(dependency: &Dependency, on: &Container, target: &Container, now: Timestamp) -> Option<String> {
    let is_timed_out = target.state.known < ContainerStatus::Created
        && !on.is_stopped()
        && times_out_at(dependency, on).is_some_and(|at| now > at);
    if is_timed_out {
        return Some(format!(
            "dependency graph: container ordering dependency [{on}] for target [{target}] has timed out."
        ));
    }
    if dependency.condition == DependencyCondition::Success && on.is_stopped() && on.state.exit_code != Some(0) {
        return Some(format!(
            "dependency graph: failed to resolve container ordering dependency [{on}] for target [{target}] as dependency did not exit successfully."
        ));
    }
    let is_starting =
        matches!(on.work, Some(super::Work { stage: super::Stage::Start(_) | super::Stage::StartInspect(_), .. }));
    let will_never_start =
        on.state.known < ContainerStatus::Running && on.state.desired == ContainerStatus::Stopped && !is_starting;
    // The same once it is over, whichever of the two was looked at first.
    if will_never_start || (on.is_stopped() && !has_reached(&dependency.condition, on)) {
        return Some(format!(
            "dependency graph: failed to resolve container ordering dependency [{on}] for target [{target}] because dependency will never start"
        ));
    }
    // The reference waits for ever for what a stopped container cannot become.
    let will_never_hold = on.is_stopped()
        && match &dependency.condition {
            DependencyCondition::Complete | DependencyCondition::Healthy => {
                !is_satisfied(&dependency.condition, on, target)
            }
            DependencyCondition::Create
            | DependencyCondition::Start
            | DependencyCondition::Success
            | DependencyCondition::Other(_) => false,
        };
    will_never_hold.then(|| {
        format!(
            "dependency graph: failed to resolve container ordering dependency [{on}] for target [{target}] because dependency stopped before it was {}",
            dependency.condition
        )
    })
}

/// Whether a container got as far as the condition presumes before it stopped.
fn has_reached(condition: &DependencyCondition, on: &Container) -> bool {
    match condition {
        DependencyCondition::Create => on.state.docker_id.is_some(),
        _ => on.state.started_at.is_some(),
    }
}

fn is_satisfied(condition: &DependencyCondition, on: &Container, target: &Container) -> bool {
    let known = on.state.known;
    match condition {
        DependencyCondition::Create => known >= ContainerStatus::Created,
        DependencyCondition::Start => {
            known == ContainerStatus::Stopped
                || known == on.steady()
                || (target.state.desired == ContainerStatus::Created && known == ContainerStatus::Created)
        }
        DependencyCondition::Complete => on.is_stopped() && on.state.exit_code.is_some(),
        DependencyCondition::Success => on.is_stopped() && on.state.exit_code == Some(0),
        DependencyCondition::Healthy => on.definition.has_health_check && on.health.status == HealthStatus::Healthy,
        DependencyCondition::Other(_) => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;
    use crate::container::Definition;
    use crate::task::TaskDefinition;

    /// `app` waits until `db` is healthy; `db` has three seconds for that, and has run for an hour.
    fn waiting_app(known: ContainerStatus) -> Standing {
        let db = Definition {
            name: "db".into(),
            has_health_check: true,
            start_timeout: Some(Duration::from_secs(3)),
            ..Definition::default()
        };
        let on = Dependency { container: "db".into(), condition: DependencyCondition::Healthy };
        let app = Definition { name: "app".into(), depends_on: vec![on], ..Definition::default() };
        let started = Timestamp::from_second(1_000_000).unwrap();
        let mut task =
            Task::new(TaskDefinition { containers: vec![db.into(), app.into()], ..TaskDefinition::default() }, started);
        for container in &mut task.containers {
            container.state.desired = ContainerStatus::Running;
        }
        task.containers[0].state.known = ContainerStatus::Running;
        task.containers[0].state.started_at = Some(started);
        task.containers[1].state.known = known;
        standing(&task, &task.containers[1], Timestamp::from_second(1_003_600).unwrap(), false)
    }

    #[test]
    fn a_start_timeout_fails_what_is_not_created_and_is_not_waited_for_afterwards() {
        assert!(matches!(waiting_app(ContainerStatus::Pulled), Standing::Failed(text) if text.contains("timed out")));
        assert!(matches!(waiting_app(ContainerStatus::Created), Standing::Waiting { decides_at: None, .. }));
    }
}
