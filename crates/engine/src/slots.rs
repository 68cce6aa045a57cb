//! Effects of which only so many run at once, since more would only make each slower.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::core::{Core, Route, Timer};
use crate::effect::{Effect, EffectId};
use crate::step::Step;
use crate::time::{Mono, Now};

/// How long an effect counts against the limit: a few stuck calls hold back nobody.
const LEASE: Duration = Duration::from_secs(5);
/// Containers that take their time to end cost the Engine nothing. When none has ended for so long, as many more as
/// are out get their signal.
const NO_END: Duration = Duration::from_secs(1);
/// After so long a wait for the signal it is the same, though some end.
const LONG_WAIT: Duration = Duration::from_secs(10);

/// What kind of effect waits for a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// Creates and starts.
    Launch,
    /// The Engine's work is the clean-up after an end, so as many as can end at once get their signal.
    Stop,
    /// Removals of stopped containers: tasks that stopped together are due together.
    Remove,
}

impl Turn {
    const ALL: [Self; 3] = [Self::Launch, Self::Stop, Self::Remove];
}

/// The slots for one kind of effect.
#[derive(Debug)]
pub struct Slots {
    limit: usize,
    /// What runs, and how long it counts.
    running: BTreeMap<EffectId, Mono>,
    /// First come, first served, and so in the order of their ids.
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    id: EffectId,
    effect: Effect,
    since: Mono,
}

impl Slots {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), running: BTreeMap::new(), waiting: VecDeque::new() }
    }

    /// Since when the first in line waits.
    pub fn waiting_since(&self) -> Option<Mono> {
        self.waiting.front().map(|waiting| waiting.since)
    }

    /// Whether some wait although none is out: nobody would let them go.
    pub fn is_stuck(&self) -> bool {
        !self.waiting.is_empty() && self.running.is_empty()
    }

    fn is_waiting(&self, id: EffectId) -> bool {
        self.place(id).is_some()
    }

    fn place(&self, id: EffectId) -> Option<usize> {
        // Mostly it came just now, or went.
        if self.waiting.back()?.id <= id || self.waiting.front()?.id > id {
            return self.waiting.len().checked_sub(1).filter(|last| self.waiting[*last].id == id);
        }
        self.waiting.binary_search_by_key(&id, |waiting| waiting.id).ok()
    }

    /// Takes one out of the line.
    fn take(&mut self, id: EffectId) -> Option<Waiting> {
        self.place(id).and_then(|place| self.waiting.remove(place))
    }
}

impl Core {
    /// Asks for an effect as soon as there is a slot for it.
    pub fn ask_in_turn(&mut self, step: &mut Step, now: Now, turn: Turn, route: Route, effect: Effect) -> EffectId {
        let id = self.expect(route);
        let slots = self.slots(turn);
        if slots.waiting.is_empty() && slots.running.len() < slots.limit {
            slots.running.insert(id, now.mono + LEASE);
            step.effects.push((id, effect));
            return id;
        }
        slots.waiting.push_back(Waiting { id, effect, since: now.mono });
        self.wait_on(turn);
        if turn == Turn::Stop {
            self.set_no_later(Timer::Stops, now.mono + NO_END);
        }
        id
    }

    /// For an effect that waits for a slot, how many there are. `None`: it is out already.
    pub fn slots_awaited(&self, id: EffectId) -> Option<usize> {
        let slots = [&self.launches, &self.stops, &self.removals];
        slots.into_iter().find(|slots| slots.is_waiting(id)).map(|slots| slots.limit)
    }

    /// Takes back an effect that still waits for a slot. `false`: it is out already.
    pub fn recall(&mut self, id: EffectId) -> bool {
        let Some(turn) = Turn::ALL.into_iter().find(|turn| self.slots(*turn).take(id).is_some()) else { return false };
        self.forget_route(id);
        self.wait_on(turn);
        true
    }

    /// Lets a stop go that still waits for a slot.
    pub(crate) fn hasten(&mut self, id: EffectId, step: &mut Step, now: Now) {
        if let Some(Waiting { effect, .. }) = self.stops.take(id) {
            self.let_go(step, now, Turn::Stop, id, effect);
            self.wait_on(Turn::Stop);
        }
    }

    /// An effect was answered.
    pub(crate) fn slot_is_free(&mut self, id: EffectId, step: &mut Step, now: Now) {
        let is_stop = self.stops.running.contains_key(&id);
        for turn in Turn::ALL {
            if self.slots(turn).running.remove(&id).is_some() {
                self.fill_slots(step, now, turn);
            }
        }
        if is_stop && let Some(since) = self.stops.waiting_since() {
            let overdue = since + LONG_WAIT;
            // Past that only the timer tells how long ago the last were let go.
            if overdue > now.mono {
                self.set(Timer::Stops, overdue.min(now.mono + NO_END));
            }
        }
    }

    /// The lease of some effects is over: they count no more.
    pub(crate) fn leases_due(&mut self, step: &mut Step, now: Now, turn: Turn) {
        self.slots(turn).running.retain(|_, until| *until > now.mono);
        self.fill_slots(step, now, turn);
    }

    /// No container ended for a while, or one has waited long. Never all at once: a hundred ends at the same moment take
    /// longer than in turns, and Docker Engines before 23 can hang over them.
    pub(crate) fn let_stops_go(&mut self, step: &mut Step, now: Now) {
        self.clear(&Timer::Stops);
        for _ in 0..self.stops.running.len().max(self.stops.limit) {
            let Some(Waiting { id, effect, .. }) = self.stops.waiting.pop_front() else { break };
            self.let_go(step, now, Turn::Stop, id, effect);
        }
        self.wait_on(Turn::Stop);
        if !self.stops.waiting.is_empty() {
            self.set(Timer::Stops, now.mono + NO_END);
        }
    }

    fn slots(&mut self, turn: Turn) -> &mut Slots {
        match turn {
            Turn::Launch => &mut self.launches,
            Turn::Stop => &mut self.stops,
            Turn::Remove => &mut self.removals,
        }
    }

    fn fill_slots(&mut self, step: &mut Step, now: Now, turn: Turn) {
        while self.slots(turn).running.len() < self.slots(turn).limit {
            let Some(Waiting { id, effect, .. }) = self.slots(turn).waiting.pop_front() else { break };
            self.let_go(step, now, turn, id, effect);
        }
        self.wait_on(turn);
    }

    /// One that waited may go; its container says so no more.
    fn let_go(&mut self, step: &mut Step, now: Now, turn: Turn, id: EffectId, effect: Effect) {
        self.slots(turn).running.insert(id, now.mono + LEASE);
        if let Some(Route::Container(task, index)) = self.route(id) {
            let served = (task.clone(), *index);
            self.turns.push(served);
        }
        step.effects.push((id, effect));
    }

    /// Timers are for those that wait.
    fn wait_on(&mut self, turn: Turn) {
        let slots = self.slots(turn);
        let until = slots.running.values().min().copied().filter(|_| !slots.waiting.is_empty());
        match until {
            Some(until) => self.set(Timer::Lease(turn), until),
            None => self.clear(&Timer::Lease(turn)),
        }
        if turn == Turn::Stop && until.is_none() {
            self.clear(&Timer::Stops);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::EngineConfig;

    struct Line {
        core: Core,
        now: Now,
    }

    impl Line {
        fn new() -> Self {
            let config = EngineConfig { parallel_launches: 1, parallel_stops: 2, ..EngineConfig::default() };
            Self {
                core: Core::new(config, 1),
                now: Now { mono: Mono(Duration::ZERO), wall: "2026-01-01T00:00:00Z".parse().unwrap() },
            }
        }

        /// Asks; true when the effect went out at once.
        fn ask(&mut self, turn: Turn) -> (EffectId, bool) {
            let mut step = Step::default();
            let effect = Effect::Ping { deadline: Duration::ZERO };
            let id = self.core.ask_in_turn(&mut step, self.now, turn, Route::Nobody, effect);
            (id, !step.effects.is_empty())
        }

        /// Answers an effect, and tells what that let go.
        fn answer(&mut self, id: EffectId) -> Vec<EffectId> {
            let mut step = Step::default();
            assert_eq!(self.core.answered(id, &mut step, self.now), Some(Route::Nobody));
            step.effects.into_iter().map(|(id, _)| id).collect()
        }

        /// Lets time pass, as the engine does, and tells what went out.
        fn pass(&mut self, millis: u64) -> Vec<EffectId> {
            let mut step = Step::default();
            self.now.mono = self.now.mono + Duration::from_millis(millis);
            while let Some(timer) = self.core.next_due(self.now.mono) {
                match timer {
                    Timer::Stops => self.core.let_stops_go(&mut step, self.now),
                    Timer::Lease(turn) => self.core.leases_due(&mut step, self.now, turn),
                    other => panic!("{other:?}"),
                }
            }
            step.effects.into_iter().map(|(id, _)| id).collect()
        }
    }

    #[test]
    fn stops_take_turns_while_containers_end() {
        let mut line = Line::new();
        let ids: Vec<EffectId> = (0..5).map(|_| line.ask(Turn::Stop).0).collect();
        assert_eq!(line.pass(400), []);
        assert_eq!(line.answer(ids[0]), [ids[2]]);
        assert_eq!(line.pass(400), []);
        assert_eq!(line.answer(ids[2]), [ids[3]]);
        assert_eq!(line.answer(ids[1]), [ids[4]]);
        assert_eq!(line.answer(ids[3]), []);
        assert_eq!(line.answer(ids[4]), []);
        assert_eq!(line.core.deadline(), None);
    }

    #[test]
    fn containers_that_take_their_time_hold_back_no_signal() {
        let mut line = Line::new();
        let ids: Vec<EffectId> = (0..20).map(|_| line.ask(Turn::Stop).0).collect();
        assert_eq!(line.pass(600), []);
        assert_eq!(line.answer(ids[0]), [ids[2]]);
        assert_eq!(line.pass(999), []);
        // None ends: twice as many are out after each second.
        assert_eq!(line.pass(1), ids[3..5]);
        assert_eq!(line.pass(999), []);
        assert_eq!(line.pass(1), ids[5..9]);
        assert_eq!(line.pass(1000), ids[9..17]);
        assert_eq!(line.pass(1000), ids[17..]);
        assert!(!line.core.has_timer(&Timer::Stops));
    }

    #[test]
    fn a_stop_that_has_waited_for_ten_seconds_goes_though_others_end() {
        let mut line = Line::new();
        let ids: Vec<EffectId> = (0..40).map(|_| line.ask(Turn::Stop).0).collect();
        for (number, id) in ids.iter().enumerate().take(16) {
            assert_eq!(line.pass(600), []);
            assert_eq!(line.answer(*id), [ids[number + 2]]);
        }
        assert_eq!(line.pass(400), ids[18..20]);
        // Nor are they all let go now.
        assert_eq!(line.pass(500), []);
        assert_eq!(line.answer(ids[16]), []);
        assert_eq!(line.pass(500), ids[20..23]);
    }

    #[test]
    fn a_stop_goes_at_once_when_its_container_has_ended() {
        let mut line = Line::new();
        let ids: Vec<EffectId> = (0..3).map(|_| line.ask(Turn::Stop).0).collect();
        let mut step = Step::default();
        line.core.hasten(ids[2], &mut step, line.now);
        assert_eq!(step.effects[0].0, ids[2]);
        assert!(!line.core.has_timer(&Timer::Stops));
    }

    #[test]
    fn launches_wait_for_launches_alone() {
        let mut line = Line::new();
        let (first, is_out) = line.ask(Turn::Launch);
        assert!(is_out);
        assert!(line.ask(Turn::Stop).1);
        let (second, is_out) = line.ask(Turn::Launch);
        assert!(!is_out);
        let (third, _) = line.ask(Turn::Launch);
        assert!(line.core.recall(second));
        assert!(!line.core.recall(first));
        assert_eq!(line.answer(first), [third]);
        // A lease is over: the next one does not wait for a call that is stuck.
        let (fourth, _) = line.ask(Turn::Launch);
        assert_eq!(line.pass(5000), [fourth]);
    }
}
