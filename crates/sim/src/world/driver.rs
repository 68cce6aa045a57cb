//! The agent's own loop, as its driver has it: take facts, handle them, commit, let effects out.
//!
//! Facts that arrive while a commit is under way wait and then share the next one. While the disk takes nothing,
//! rows are owed, and what needs them waits.

use std::time::Duration;

use engine::{Effect, EffectId, Event, Mono, Now, Rows, Step};

use super::{Happening, Stop, World};
use crate::{oracle, show};

/// How soon rows that the disk did not take are tried again.
const RETRY: Duration = Duration::from_secs(1);

/// The longest that a slow disk takes, in milliseconds.
pub(crate) const SLOWEST_COMMIT: u64 = 4000;

/// What the driver has in its hands.
#[derive(Debug, Default)]
pub(crate) struct Driver {
    /// Facts that wait for the commit that is under way.
    inbox: Vec<Event>,
    /// What that commit is for.
    committing: Option<Step>,
    owed: Rows,
    held: Vec<(EffectId, Effect)>,
    is_retrying: bool,
    pub(crate) is_disk_full: bool,
    /// Whether the wrong cluster is configured for this life.
    pub(crate) is_misconfigured: bool,
}

impl Driver {
    /// Whether nothing waits to be written.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.committing.is_none() && self.owed.is_empty()
    }

    /// The process ends; the disk is as it is.
    pub(super) fn forget(&mut self) {
        *self = Self { is_disk_full: self.is_disk_full, ..Self::default() };
    }

    pub(super) const fn is_committing(&self) -> bool {
        self.committing.is_some()
    }

    pub(crate) fn owes(&self) -> bool {
        !self.owed.is_empty()
    }
}

impl World {
    /// Tells the engine one thing, now or as soon as the commit that is under way is done.
    pub(super) fn tell(&mut self, event: Event) -> Result<(), Stop> {
        if self.engine.is_none() {
            return Ok(());
        }
        self.driver.inbox.push(event);
        if self.driver.committing.is_some() { Ok(()) } else { self.take_inbox() }
    }

    fn take_inbox(&mut self) -> Result<(), Stop> {
        let mut step = Step::default();
        let now = Now { mono: Mono(self.now.saturating_sub(self.life_began)), wall: self.wall() };
        for event in std::mem::take(&mut self.driver.inbox) {
            if let Event::Done { id, .. } = &event
                && self.in_flight.remove(id).is_none()
            {
                continue;
            }
            self.steps += 1;
            self.trace.line(self.now, || show::event(&event));
            self.oracle.count(self.now, &event)?;
            let Some(engine) = &mut self.engine else { return Ok(()) };
            engine.take(now, event, &mut step);
        }
        if let Some(engine) = &mut self.engine {
            // However much there is to hear, what is due is not put off.
            if engine.deadline().is_some_and(|at| at <= now.mono) {
                self.steps += 1;
                self.trace.line(self.now, || show::event(&Event::Tick));
                self.oracle.count(self.now, &Event::Tick)?;
                engine.take(now, Event::Tick, &mut step);
            }
            engine.close(&mut step);
        }
        for (id, effect) in &step.effects {
            if !matches!(effect, Effect::Exit { .. }) && self.in_flight.insert(*id, show::name(effect)).is_some() {
                return Err(format!("effect number {} is used twice", id.0));
            }
        }
        if self.crashes_here(step.effects.len()) {
            return self.crash("before its commit");
        }
        if !step.writes.is_empty() && self.faults.chance(self.profile.slow_disk) {
            let pause = if self.faults.chance(0.8) {
                self.faults.millis(1, 80)
            } else {
                self.faults.millis(80, SLOWEST_COMMIT)
            };
            self.driver.committing = Some(step);
            self.put(self.now + pause, Happening::Committed { life: self.life });
            return Ok(());
        }
        self.commit(step)
    }

    /// A commit that took its time is done.
    pub(super) fn committed(&mut self, life: u64) -> Result<(), Stop> {
        if life != self.life {
            return Ok(());
        }
        let Some(step) = self.driver.committing.take() else { return Ok(()) };
        self.commit(step)?;
        while !self.driver.inbox.is_empty() && self.driver.committing.is_none() && self.engine.is_some() {
            self.take_inbox()?;
        }
        Ok(())
    }

    /// Rows that the disk did not take are tried again.
    pub(super) fn retry_commit(&mut self, life: u64) -> Result<(), Stop> {
        if life != self.life {
            return Ok(());
        }
        self.driver.is_retrying = false;
        if self.driver.committing.is_some() || self.engine.is_none() {
            return Ok(());
        }
        self.commit(Step::default())
    }

    fn write(&mut self, rows: &Rows) {
        for row in rows.iter() {
            self.trace.mix(row.table.as_bytes());
            self.trace.mix(row.key.as_bytes());
            self.trace.mix(row.value.unwrap_or("-").as_bytes());
        }
        self.oracle.rows += rows.len() as u64;
        let mut all = std::mem::take(&mut self.driver.owed);
        all.append(rows);
        if !self.driver.is_disk_full {
            self.store.commit(&all);
            return;
        }
        if all.is_empty() {
            return;
        }
        // Now and then the rows are there although the disk said no.
        if self.faults.chance(0.2) {
            self.store.commit(&all);
        }
        self.driver.owed = all;
        if !std::mem::replace(&mut self.driver.is_retrying, true) {
            self.put(self.now + RETRY, Happening::RetryCommit { life: self.life });
        }
    }

    fn commit(&mut self, step: Step) -> Result<(), Stop> {
        let count = step.effects.len();
        self.write(&step.writes);
        for note in &step.notes {
            self.trace.mix_all(note);
            self.trace.line(self.now, || show::note(note));
        }
        for (request, _) in &step.answers {
            self.oracle.image_answers.insert(*request);
        }
        if !self.driver.owes() {
            self.oracle.check_views(&step.views, &self.store)?;
        }
        if self.crashes_here(count) {
            return self.crash("after its commit");
        }
        let effects = self.let_out(step.effects);
        for (id, effect) in effects {
            self.effects += 1;
            self.trace.mix(&id.0.to_le_bytes());
            self.trace.mix_all(&effect);
            self.trace.line(self.now, || show::effect(id, &effect));
            if let Effect::Exit { code, why } = &effect {
                return self.exit(*code, why);
            }
            oracle::check_effect(self, &effect)?;
            self.start(id, effect);
            if self.crashes_here(count) {
                return self.crash("after an effect");
            }
        }
        oracle::after_step(self)
    }

    /// What may start now; the rest waits for the rows that are owed.
    fn let_out(&mut self, effects: Vec<(EffectId, Effect)>) -> Vec<(EffectId, Effect)> {
        if !self.driver.owes() {
            let mut all = std::mem::take(&mut self.driver.held);
            all.extend(effects);
            return all;
        }
        let (held, free): (Vec<_>, Vec<_>) = effects.into_iter().partition(|(_, effect)| effect.needs_memory());
        self.driver.held.extend(held);
        free
    }

    fn exit(&mut self, code: i32, why: &str) -> Result<(), Stop> {
        if code == 5 && !self.driver.is_misconfigured {
            return Err(format!("the agent ends for good: {why}"));
        }
        self.crash("by its own decision")
    }
}
