//! What must hold: after every step, now and then, and at the end.

mod images;
mod memory;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use engine::container::Stage;
use engine::core::Timer;
use engine::image::{FullName, PullStage, ResolutionStage};
use engine::status::{ContainerStatus, TaskStatus};
use engine::task::{Admission, CgroupWork, Task};
use engine::{Effect, EffectId, Engine, Event, Mono, Outcome};
use wire::ids::{TaskArn, TaskId};

use crate::daemon::{Daemon, Later, Owner, Performed, Status};
use crate::service::Service;
use crate::store::Store;
use crate::workload::Order;
use crate::world::World;
use crate::world::driver::SLOWEST_COMMIT;

pub(crate) use images::{check_gone, images_left};

/// What the world remembers for its judgements.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    checks_rows: bool,
    pub(crate) rows: u64,
    minute: u64,
    steps_in_minute: u64,
    past: BTreeMap<Owner, Past>,
    /// When containers were removed.
    removed: BTreeMap<String, Duration>,
    /// Whether the wall clock ever went back, so that ages mean little.
    pub(crate) has_gone_back: bool,
    /// Questions about images: in which life, and when.
    image_questions: BTreeMap<u64, (u64, Duration)>,
    pub(crate) image_answers: BTreeSet<u64>,
    /// When an image was last found or fetched by a name.
    found: BTreeMap<FullName, Duration>,
}

/// What one container of a task went through, over all its Docker containers.
#[derive(Debug, Default, Clone)]
pub(crate) struct Past {
    was_created: bool,
    was_started: bool,
    exit_code: Option<i64>,
    /// Once is enough, whatever a stranger who starts it again makes of it.
    has_succeeded: bool,
    ended_at: Option<Duration>,
    was_healthy: bool,
}

/// More steps than this in one simulated minute is a busy loop.
const MOST_STEPS: u64 = 4000;

impl Oracle {
    pub(crate) fn new(checks_rows: bool) -> Self {
        Self { checks_rows, ..Self::default() }
    }

    pub(crate) fn count(&mut self, now: Duration, event: &Event) -> Result<(), String> {
        let minute = now.as_secs() / 60;
        if minute != self.minute {
            self.minute = minute;
            self.steps_in_minute = 0;
        }
        self.steps_in_minute += 1;
        if self.steps_in_minute > MOST_STEPS {
            return Err(format!(
                "busy loop: more than {MOST_STEPS} steps in a minute, now {}",
                crate::show::event(event)
            ));
        }
        Ok(())
    }

    pub(crate) fn saw(&mut self, later: &Later, daemon: &Daemon, now: Duration) {
        match later {
            Later::Exit { id, code, is_oom, .. } => {
                if daemon.containers.get(id).is_some_and(|c| c.status == Status::Exited) {
                    self.saw_exit(id, if *is_oom { 137 } else { *code }, daemon, now);
                }
            }
            Later::Health { id, is_healthy: true, .. } => {
                if let Some(container) = daemon.containers.get(id) {
                    self.past.entry(container.owner.clone()).or_default().was_healthy = true;
                }
            }
            Later::Health { .. } => {}
        }
    }

    pub(crate) fn saw_exit(&mut self, id: &str, code: i64, daemon: &Daemon, now: Duration) {
        if let Some(container) = daemon.containers.get(id)
            && container.run > 0
        {
            // A later report of an earlier run does not count.
            let code = if container.status == Status::Exited { container.exit_code } else { code };
            let past = self.past.entry(container.owner.clone()).or_default();
            past.exit_code = Some(code);
            past.has_succeeded |= code == 0;
            past.ended_at = Some(now);
        }
    }

    pub(crate) fn removed(&mut self, id: &str, now: Duration) {
        self.removed.insert(id.to_owned(), now);
    }

    pub(crate) fn performed(&mut self, effect: &Effect, done: &Performed, daemon: &Daemon, now: Duration) {
        match (effect, &done.outcome) {
            (Effect::CreateContainer { .. }, Outcome::Created(id)) => {
                if let Some(container) = daemon.containers.get(id.as_str()) {
                    self.past.entry(container.owner.clone()).or_default().was_created = true;
                }
            }
            (Effect::RemoveContainer { id, .. }, Outcome::Done) => self.removed(id, now),
            _ => {}
        }
    }

    /// Broken rules that others found.
    pub(crate) fn blame(&self, daemon: &mut Daemon, service: &mut Service) -> Result<(), String> {
        match daemon.offences.pop().or_else(|| service.offences.pop()) {
            Some(offence) => Err(offence),
            None => Ok(()),
        }
    }

    /// What is stored of a task is what the task is.
    pub(crate) fn check_views(&self, views: &[(TaskId, Option<Arc<Task>>)], store: &Store) -> Result<(), String> {
        if !self.checks_rows {
            return Ok(());
        }
        // Of several views of a task in one commit the last one is what is stored.
        let last: BTreeMap<&TaskId, &Option<Arc<Task>>> = views.iter().map(|(id, task)| (id, task)).collect();
        for (id, task) in last {
            let Some(task) = task else { continue };
            let same = |table: &str, key: &str, value: Option<String>| {
                if store.get(table, key) == value.as_deref() {
                    return Ok(());
                }
                let stored = store.get(table, key).unwrap_or("nothing");
                Err(format!("row {table} {key} is {stored}, the engine has {}", value.unwrap_or_default()))
            };
            same("task_state", id.as_str(), serde_json::to_string(&task.state).ok())?;
            for container in &task.containers {
                let key = format!("{id}/{}", container.name());
                same("container", &key, serde_json::to_string(&container.state).ok())?;
            }
        }
        Ok(())
    }
}

/// An effect is about to go out: nothing is made or said before it is stored, and nothing in use is removed.
pub(crate) fn check_effect(world: &World, effect: &Effect) -> Result<(), String> {
    images::check_effect(world, effect)?;
    memory::check_effect(world, effect)?;
    let Effect::SendFrame { text, .. } = effect else { return Ok(()) };
    for (arn, is_stop) in world.service.acknowledges(text) {
        if world.service.is_stopped(&arn) {
            continue;
        }
        let id = TaskArn::from(arn.as_str()).task_id();
        let Some(state) = world.store.get("task_state", id.as_str()) else {
            return Err(format!("task {id} is acknowledged and not stored"));
        };
        if world.store.get("task", id.as_str()).is_none() {
            return Err(format!("task {id} is acknowledged and its definition is not stored"));
        }
        if is_stop && !state.contains("\"desired\":\"STOPPED\"") {
            return Err(format!("the stop of task {id} is acknowledged and not stored"));
        }
    }
    Ok(())
}

/// A container starts for the first time: its conditions hold, or held.
pub(crate) fn check_start(world: &mut World, owner: &Owner) -> Result<(), String> {
    let past = &mut world.oracle.past;
    past.entry(owner.clone()).or_default().was_started = true;
    let Some(order) = world.service.orders.iter().find(|order| order.arn == owner.0) else { return Ok(()) };
    let Some(container) = order.task.containers.iter().flatten().find(|c| c.name == owner.1) else { return Ok(()) };
    let mut conditions: Vec<(String, String)> =
        container.depends_on.iter().map(|d| (d.container_name.clone(), d.condition.clone())).collect();
    conditions.extend(container.volumes_from.iter().map(|v| (v.source_container.clone(), "CREATE".to_owned())));
    conditions.extend(
        container.links.iter().map(|link| (link.split(':').next().unwrap_or_default().to_owned(), "START".to_owned())),
    );
    for (name, condition) in conditions {
        let on = past.get(&(owner.0.clone(), name.clone())).cloned().unwrap_or_default();
        let holds = match condition.as_str() {
            "CREATE" => on.was_created,
            "START" => on.was_started,
            "COMPLETE" => on.exit_code.is_some(),
            "SUCCESS" => on.has_succeeded,
            "HEALTHY" => on.was_healthy,
            _ => false,
        };
        if !holds {
            return Err(format!("{owner:?} started before {name} was {condition}: {on:?}"));
        }
    }
    Ok(())
}

/// A stop in line goes after ten seconds, or with those that are twice as many after each second more.
const LONGEST_IN_LINE: Duration = Duration::from_secs(20);

/// Nothing waits for what is not pending.
pub(crate) fn after_step(world: &World) -> Result<(), String> {
    let Some(engine) = &world.engine else { return Ok(()) };
    let totals = engine.core().ledger.totals();
    if totals.used_cpu > totals.cpu || totals.used_memory_mib > totals.memory_mib {
        return Err(format!("more is given out than there is: {totals:?}"));
    }
    if let Some(since) = engine.core().stops.waiting_since()
        && Mono(world.now.saturating_sub(world.life_began)) - since
            > LONGEST_IN_LINE + Duration::from_millis(SLOWEST_COMMIT)
    {
        return Err(format!("a stop waits for a slot since {since:?}"));
    }
    let core = engine.core();
    if let Some(slots) = [&core.launches, &core.stops, &core.removals].into_iter().find(|slots| slots.is_stuck()) {
        return Err(format!("nobody lets go those in line: {slots:?}"));
    }
    for (id, task) in engine.tasks() {
        check_task(world, engine, id, task).map_err(|why| format!("task {id}: {why}"))?;
    }
    Ok(())
}

fn check_task(world: &World, engine: &Engine, id: &TaskId, task: &Task) -> Result<(), String> {
    let core = engine.core();
    let is_out = |effect: EffectId| world.in_flight.contains_key(&effect);
    let is_pending = |effect: EffectId| core.is_awaited(effect);
    let is_removing = world.in_flight.values().any(|name| *name == "RemoveImage");
    for (index, container) in task.containers.iter().enumerate() {
        let waiter = (id.clone(), index);
        let name = container.name();
        if let Some(observation) = &container.observation
            && !(is_out(observation.effect) && is_pending(observation.effect))
        {
            return Err(format!("{name} waits for an observation that is not out"));
        }
        let Some(work) = &container.work else { continue };
        let holds = match work.stage {
            // May stand in line for a slot.
            Stage::Create(effect) | Stage::Start(effect) => is_pending(effect),
            Stage::Stop(effect) => is_pending(effect) && (is_out(effect) || core.has_timer(&Timer::Stops)),
            Stage::StartInspect(effect)
            | Stage::StopInspect(effect)
            | Stage::StopPing(effect)
            | Stage::Load(effect)
            | Stage::Metadata(effect)
            | Stage::Verify(effect) => is_pending(effect) && is_out(effect),
            Stage::Remove(effect) => is_pending(effect) && (is_out(effect) || core.slots_awaited(effect).is_some()),
            Stage::Resolve => core.images.resolutions.iter().any(|(key, resolution)| {
                resolution.waiters.contains(&waiter)
                    && match resolution.stage {
                        ResolutionStage::Local(effect) | ResolutionStage::Registry(effect) => is_out(effect),
                        ResolutionStage::AfterRemoval => is_removing,
                        ResolutionStage::Pause => core.has_timer(&Timer::Resolution(key.clone())),
                    }
            }),
            Stage::Pull => core.images.pulls.iter().any(|(key, pull)| {
                pull.waiters.contains(&waiter)
                    && match pull.stage {
                        PullStage::Waiting => is_removing || core.images.pulls.values().any(|other| other.has_slot()),
                        PullStage::Pulling(effect) | PullStage::Tagging(effect) | PullStage::Looking(effect) => {
                            is_out(effect)
                        }
                        PullStage::Pause | PullStage::TagPause => core.has_timer(&Timer::Pull(key.clone())),
                    }
            }),
            Stage::Ports { .. } => world.in_flight.values().any(|name| *name == "FindHostPorts"),
            Stage::StopPause { .. } => core.has_timer(&Timer::Task(id.clone())),
            Stage::VerifyPause { .. } => {
                core.has_timer(&Timer::Task(id.clone()))
                    || core.has_timer(&Timer::List)
                    || core.has_timer(&Timer::FollowEvents)
                    || world.in_flight.values().any(|name| matches!(*name, "FollowEvents" | "ListContainers"))
            }
        };
        if let Some((effect, _)) = work.stage.turn()
            && core.slots_awaited(effect).is_some() != container.waiting.is_some()
        {
            return Err(format!("{name} is in {:?} and says {:?}", work.stage, container.waiting));
        }
        if !holds {
            return Err(format!("{name} waits in {:?} for what is not pending", work.stage));
        }
    }
    for volume in &task.volumes {
        if volume.work.is_some_and(|effect| !is_out(effect)) {
            return Err(format!("volume {} waits for what is not out", volume.definition.name));
        }
    }
    let holds = match task.cgroup.work {
        CgroupWork::None => true,
        CgroupWork::Create(effect) | CgroupWork::Remove { effect, .. } => is_out(effect),
        CgroupWork::RemovePause { .. } => core.has_timer(&Timer::Task(id.clone())),
    };
    if !holds {
        return Err("the cgroup waits for what is not pending".into());
    }
    check_progress(engine, id, task)
}

/// A task that is not where it should be is on its way there, or waits for something that can come.
fn check_progress(engine: &Engine, id: &TaskId, task: &Task) -> Result<(), String> {
    let core = engine.core();
    let stopped = task.containers.iter().find(|c| c.definition.is_essential && c.is_stopped());
    if let Some(container) = stopped.filter(|_| task.state.desired != TaskStatus::Stopped) {
        return Err(format!("the essential {container} has stopped, and the task is not to stop"));
    }
    if task.state.known == TaskStatus::Stopped {
        if core.ledger.holds(id) || core.ledger.is_waiting(id) || core.ports.holds(id) {
            return Err("is stopped and holds or awaits a share of the host".into());
        }
        let has_plan = task.state.is_being_removed || core.has_timer(&Timer::Cleanup(id.clone()));
        return if has_plan { Ok(()) } else { Err("is stopped and nothing will remove it".into()) };
    }
    if task.containers.is_empty() {
        return Ok(());
    }
    let is_busy = task.containers.iter().any(|c| c.work.is_some() || c.observation.is_some())
        || task.volumes.iter().any(|v| v.work.is_some());
    if task.state.desired == TaskStatus::Stopped {
        return if is_busy { Ok(()) } else { Err("is to stop and nothing is under way".into()) };
    }
    if task.admission != Admission::Granted {
        let waits = core.ledger.is_waiting(id) && core.has_timer(&Timer::Ledger);
        return if waits { Ok(()) } else { Err(format!("is {:?} and not in line", task.admission)) };
    }
    for container in &task.containers {
        if container.work.is_some() || container.state.known >= container.state.desired {
            continue;
        }
        let name = container.name();
        let Some(why) = &container.waiting else {
            return Err(format!("{name} is {} and neither moves nor waits", container.state.known));
        };
        if let Some(rest) = why.strip_prefix("waits until ") {
            let on = rest.split(' ').next().and_then(|on| task.container(on));
            if on.is_some_and(|on| on.is_stopped()) {
                return Err(format!("{name} {why}, which it will never be"));
            }
        } else if why.starts_with("waits for volume") && task.volumes.iter().all(|v| v.work.is_none()) {
            return Err(format!("{name} {why}, which nobody makes"));
        } else if let Some(on) = why.strip_prefix("stops after ")
            && task.container(on).is_none_or(|on| on.is_stopped())
        {
            return Err(format!("{name} {why}, which is stopped"));
        }
    }
    Ok(())
}

/// What the agent believes of containers is so, or was so until a moment ago.
pub(crate) fn compare_with_truth(world: &World) -> Result<(), String> {
    let Some(engine) = &world.engine else { return Ok(()) };
    let calm_for = world.now.saturating_sub(world.calm_at);
    let patience = if calm_for > Duration::from_secs(660) {
        Duration::from_secs(400)
    } else if let Some(patience) = world.profile.patience().filter(|_| world.calm_at > world.now) {
        patience
    } else {
        return Ok(());
    };
    if world.now.saturating_sub(world.life_began) < patience + Duration::from_secs(20) {
        return Ok(());
    }
    for (id, task) in engine.tasks() {
        if task.state.is_being_removed {
            continue;
        }
        for container in &task.containers {
            let Some(docker_id) = &container.state.docker_id else { continue };
            if container.work.is_some() || container.observation.is_some() {
                continue;
            }
            let name = container.name();
            let real = world.daemon.containers.get(docker_id.as_str());
            let since = real.map(|c| c.since).or_else(|| world.oracle.removed.get(docker_id.as_str()).copied());
            if world.now.saturating_sub(since.unwrap_or_default()) < patience {
                continue;
            }
            let runs = real.is_some_and(|c| c.status == Status::Running);
            if container.state.known.is_running() && !runs {
                return Err(format!("{name} of {id} ended and the agent does not know"));
            }
            // One that came back is stopped once per task, as in the reference; a later one at its removal.
            let is_given_up =
                container.state.error.as_ref().is_some_and(|error| error.name == "CannotStopContainerError");
            if container.is_stopped() && runs && !task.state.has_stopped_revenant && !is_given_up {
                return Err(format!("{name} of {id} is called stopped and runs"));
            }
            if container.state.known == ContainerStatus::Created && runs {
                return Err(format!("{name} of {id} is called created and runs"));
            }
        }
    }
    Ok(())
}

/// Whether an essential container of a task ended and does not run again, so that the task stops though nobody asks
/// for it; where it ended long ago the plane has been told.
pub(crate) fn stops_by_itself(world: &World, order: &Order) -> Result<bool, String> {
    let is_running =
        |owner: &Owner| world.daemon.containers.values().any(|c| c.owner == *owner && c.status == Status::Running);
    let mut stops = false;
    for container in order.task.containers.iter().flatten().filter(|c| c.essential) {
        let owner = (order.arn.clone(), container.name.clone());
        let Some(at) = world.oracle.past.get(&owner).and_then(|past| past.ended_at).filter(|_| !is_running(&owner))
        else {
            continue;
        };
        if at < world.calm_at && !world.service.is_stopped(&order.arn) {
            let why = not_at_rest(world);
            return Err(format!(
                "the essential {} of {} ended at {at:?}, and nobody was told: {why}",
                owner.1, owner.0
            ));
        }
        // One that ended a moment ago may still be on its way to a restart by its policy.
        stops |= container.restart_policy.as_ref().is_none_or(|policy| !policy.enabled);
    }
    Ok(stops)
}

/// Everything is over: nothing may be left.
pub(crate) fn at_end(world: &World) -> Result<(), String> {
    let Some(engine) = &world.engine else { return Err("no engine at the end".into()) };
    if let Some(container) = world.daemon.containers.values().find(|c| !c.is_strange()) {
        return Err(format!("container {} of {:?} is left, {:?}", container.name, container.owner, container.status));
    }
    let is_left = |(name, is_strange): &(&String, &bool)| name.starts_with("ecs-") && !**is_strange;
    if let Some((name, _)) = world.daemon.volumes.iter().find(is_left) {
        return Err(format!("volume {name} is left"));
    }
    if let Some(cgroup) = world.host.cgroups.first() {
        return Err(format!("cgroup {cgroup} is left"));
    }
    images::at_end(world)?;
    for table in ["task", "task_state", "container", "moment"] {
        if let Some(key) = world.store.keys(table).next() {
            return Err(format!("row {key} of table {table} is left"));
        }
    }
    if !engine.core().ledger.is_at_rest() {
        return Err(format!("shares are still given out or waited for: {:?}", engine.core().ledger));
    }
    if !engine.core().ports.is_at_rest() {
        return Err(format!("ports are still given out or looked for: {:?}", engine.core().ports));
    }
    if !engine.core().images.pulls.is_empty() || !engine.core().images.resolutions.is_empty() {
        return Err("pulls or look-ups are left".into());
    }
    if world.is_without_faults {
        check_exit_codes(world)?;
    }
    Ok(())
}

/// Without faults the plane knows the last exit code of everything that ran.
fn check_exit_codes(world: &World) -> Result<(), String> {
    for ((arn, name), past) in &world.oracle.past {
        let told = world.service.told.get(arn).and_then(|told| told.containers.get(name));
        if let (Some((_, code)), Some(real)) = (told, past.exit_code)
            && *code != Some(real)
        {
            return Err(format!("{name} of {arn} ended with {real} and was reported with {code:?}"));
        }
    }
    Ok(())
}

/// Everything should be over and is not: who is left, and why.
pub(crate) fn not_at_rest(world: &World) -> String {
    let mut left: Vec<String> = world
        .service
        .orders
        .iter()
        .filter(|order| !world.service.is_stopped(&order.arn))
        .map(|order| format!("{} is not reported STOPPED", order.arn))
        .collect();
    if let Some(engine) = &world.engine {
        for (id, task) in engine.tasks() {
            let containers: Vec<String> = task
                .containers
                .iter()
                .map(|c| format!("{c} {:?} {:?}", c.work.as_ref().map(|w| w.stage), c.waiting))
                .collect();
            left.push(format!(
                "{id} is {}->{} removing {} reports {} {containers:?}",
                task.state.known,
                task.state.desired,
                task.state.is_being_removed,
                task.state.reports.len()
            ));
        }
    }
    left.extend(images_left(world));
    left.push(format!("in flight: {:?}", world.in_flight));
    format!("not at rest: {}", left.join("; "))
}
