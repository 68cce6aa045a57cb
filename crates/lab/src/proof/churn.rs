//! Tasks come and go, and the agent is killed at random moments.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{LIMIT, all_stopped, arn, nothing_left};
use crate::agent::Signal;
use crate::watch::Watch;
use crate::{Bench, payload};

/// No more tasks than this are under way.
const MANY: usize = 12;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Churned {
    pub tasks: usize,
    pub kills: usize,
}

/// A task as the control plane knows it.
struct Ordered {
    task: Value,
    kind: Kind,
    is_told_to_stop: bool,
    /// The last message that spoke of it.
    message: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Runs until it is told to stop.
    Sleeps,
    /// Its main container ends with this code.
    Ends(i64),
}

/// Kills the agent so often while tasks come and go, and checks that every one of them is told of to its end, that no
/// container was made or started twice, and that nothing is left. The bench needs [`super::SETTINGS`].
///
/// # Errors
/// Something of this does not hold; the message names `seed`.
pub fn churn(bench: &mut Bench, kills: usize, seed: u64, until: Option<Instant>) -> Result<Churned> {
    run(bench, kills, &mut Dice(seed.max(1)), until).with_context(|| format!("churn with seed {seed}"))
}

fn run(bench: &mut Bench, kills: usize, dice: &mut Dice, until: Option<Instant>) -> Result<Churned> {
    let watch = Watch::start(&bench.engine, bench.plane.cluster())?;
    let mut ordered: Vec<Ordered> = Vec::new();
    let mut killed = 0;
    while killed < kills && until.is_none_or(|until| Instant::now() < until) {
        order(bench, &mut ordered, dice)?;
        stop_some(bench, &mut ordered, dice)?;
        // The moment is the subject here, not a wait for a condition.
        // Most lives are too short to finish anything; now and then one is not.
        let longest = if dice.below(4) == 0 { 3000 } else { 900 };
        std::thread::sleep(Duration::from_millis(dice.below(longest)));
        bench.agent.stop(Signal::Kill)?;
        killed += 1;
        bench.agent.start()?;
        bench.agent.ready(&bench.plane, LIMIT)?;
        repeat(bench, &mut ordered)?;
    }
    for one in ordered.iter_mut().filter(|one| one.kind == Kind::Sleeps && !one.is_told_to_stop) {
        one.is_told_to_stop = true;
        (one.message, _) = bench.plane.payload(&[payload::stopped(&one.task)])?;
    }
    let until = Instant::now() + LIMIT;
    while !is_all_heard(bench, &ordered) && Instant::now() < until {
        let soon = Duration::from_secs(5);
        if crate::wait_for("acknowledgements", soon, || Ok(is_all_heard(bench, &ordered).then_some(()))).is_err() {
            repeat(bench, &mut ordered)?;
        }
    }
    let tasks: Vec<Value> = ordered.iter().map(|one| one.task.clone()).collect();
    all_stopped(bench, &tasks)?;
    for one in ordered.iter().filter(|one| !one.is_told_to_stop) {
        let story = bench.plane.story(arn(&one.task));
        let mut containers = story.iter().flat_map(|change| change["containers"].as_array().into_iter().flatten());
        let code = containers.rfind(|container| container["containerName"] == "main").map(|main| &main["exitCode"]);
        if let Kind::Ends(wanted) = one.kind
            && code.and_then(Value::as_i64) != Some(wanted)
        {
            bail!("{} ended with {code:?}, not {wanted}:\n{}", arn(&one.task), crate::story::render_all(&story));
        }
    }
    for ((task, name), counts) in watch.counts() {
        if counts.created > 1 || counts.started > 1 {
            bail!("{name} of {task} was created {} and started {} times", counts.created, counts.started);
        }
    }
    nothing_left(bench)?;
    Ok(Churned { tasks: tasks.len(), kills: killed })
}

/// One to four new tasks in one payload, where there is room.
fn order(bench: &Bench, ordered: &mut Vec<Ordered>, dice: &mut Dice) -> Result<()> {
    let stories = bench.plane.stories();
    let is_stopped = |one: &Ordered| {
        stories.get(arn(&one.task)).is_some_and(|story| story.iter().any(|change| change["status"] == "STOPPED"))
    };
    let under_way = ordered.iter().filter(|one| !is_stopped(one)).count();
    let count = (1 + usize::try_from(dice.below(4))?).min(MANY.saturating_sub(under_way));
    let new: Vec<(Value, Kind)> = (0..count).map(|_| task(bench, dice)).collect();
    if new.is_empty() {
        return Ok(());
    }
    let tasks: Vec<Value> = new.iter().map(|(task, _)| task.clone()).collect();
    let (message, _) = bench.plane.payload(&tasks)?;
    let new = new.into_iter();
    ordered.extend(new.map(|(task, kind)| Ordered { task, kind, is_told_to_stop: false, message: message.clone() }));
    Ok(())
}

fn task(bench: &Bench, dice: &mut Dice) -> (Value, Kind) {
    let small = json!({ "cpu": 2, "memory": 16, "config": payload::fast_stop() });
    let with = |members: Value| {
        let mut all = small.clone();
        for (name, value) in members.as_object().into_iter().flatten() {
            all[name] = value.clone();
        }
        all
    };
    let code = i64::try_from(dice.below(5)).unwrap_or(0);
    let (containers, kind) = match dice.below(4) {
        0 => (vec![bench.container("main", small.clone())], Kind::Sleeps),
        1 => {
            let side = bench.shell("side", "exit 7", with(json!({ "essential": false })));
            (vec![side, bench.container("main", small.clone())], Kind::Sleeps)
        }
        2 => (vec![bench.shell("main", &format!("sleep 0.3; exit {code}"), small.clone())], Kind::Ends(code)),
        _ => {
            let first = bench.shell("first", "sleep 0.2", with(json!({ "essential": false })));
            let after = json!({ "dependsOn": [{ "containerName": "first", "condition": "SUCCESS" }] });
            (vec![first, bench.shell("main", &format!("exit {code}"), with(after))], Kind::Ends(code))
        }
    };
    (bench.task(&containers, json!({ "family": "churn" })), kind)
}

/// Some of those that sleep are to stop.
fn stop_some(bench: &Bench, ordered: &mut [Ordered], dice: &mut Dice) -> Result<()> {
    for one in ordered.iter_mut().filter(|one| one.kind == Kind::Sleeps && !one.is_told_to_stop) {
        if dice.below(3) == 0 {
            one.is_told_to_stop = true;
            (one.message, _) = bench.plane.payload(&[payload::stopped(&one.task)])?;
        }
    }
    Ok(())
}

fn is_all_heard(bench: &Bench, ordered: &[Ordered]) -> bool {
    let heard = bench.plane.acknowledgements();
    ordered.iter().all(|one| heard.contains(&one.message))
}

/// A control plane repeats what was not acknowledged, as it wants it by now.
fn repeat(bench: &Bench, ordered: &mut [Ordered]) -> Result<()> {
    let heard = bench.plane.acknowledgements();
    for one in ordered.iter_mut().filter(|one| !heard.contains(&one.message)) {
        let task = if one.is_told_to_stop { payload::stopped(&one.task) } else { one.task.clone() };
        (one.message, _) = bench.plane.payload(&[task])?;
    }
    Ok(())
}

/// Xorshift: good enough to choose moments.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}
