#![allow(clippy::unwrap_used)]
use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::effect::Protocol;
use crate::ports::Search;

fn now() -> Now {
    Now { mono: Mono(Duration::from_secs(1)), wall: Timestamp::UNIX_EPOCH }
}

fn list_effect(step: &Step) -> Option<EffectId> {
    step.effects.iter().find_map(|(id, effect)| matches!(effect, Effect::ListContainers { .. }).then_some(*id))
}

#[test]
fn events_that_open_during_a_list_lead_to_another_list() {
    let mut engine = Engine::new(EngineConfig::default(), 1, Vec::new());
    engine.handle(now(), Event::Start);
    let first = list_effect(&engine.handle(now(), Event::EventsOpened)).unwrap();
    assert_eq!(list_effect(&engine.handle(now(), Event::EventsOpened)), None, "one list at a time");
    let answer = Event::Done { id: first, outcome: Outcome::Listed(Vec::new()) };
    let second = list_effect(&engine.handle(now(), answer)).unwrap();
    let answer = Event::Done { id: second, outcome: Outcome::Listed(Vec::new()) };
    assert_eq!(list_effect(&engine.handle(now(), answer)), None);
}

#[test]
fn ports_found_for_a_task_that_is_gone_are_free_again() {
    let mut engine = Engine::new(EngineConfig::default(), 1, Vec::new());
    let first = engine.core.config.dynamic_host_ports.0;
    let search = |engine: &mut Engine| {
        let wanted = Search { task: TaskId::from("gone"), container: 0, mapping: 0, protocol: Protocol::Tcp, count: 1 };
        engine.core.ports.want(wanted);
        let mut step = Step::default();
        engine.core.search_ports(&mut step);
        let (id, _) = step.effects.pop().unwrap();
        engine.handle(now(), Event::Done { id, outcome: Outcome::PortsFound(first) })
    };
    for _ in 0..2 {
        let step = search(&mut engine);
        let looks_again = step.effects.iter().any(|(_, effect)| matches!(effect, Effect::FindHostPorts { .. }));
        assert!(!looks_again, "a leaked port would be searched past");
    }
}
