//! What is believed of a container that cannot be looked at.
#![allow(clippy::unwrap_used)]
use expect_test::expect;
use serde_json::json;
use wire::docker::{ContainerStatus as Listed, ContainerSummary};

use crate::config::EngineConfig;
use crate::event::{ContainerAction, DockerEvent, FailureKind, Outcome};
use crate::flow::testing::{Bench, failed, running};
use crate::time::{Mono, Now};
use crate::{Effect, Engine, Event};

fn up() -> Bench {
    let mut bench = Bench::new(json!({}), &EngineConfig::default());
    bench.fetch();
    bench.launch();
    bench.asked.clear();
    bench
}

fn hear_of_end(bench: &mut Bench) {
    let action = ContainerAction::Die { exit_code: Some(3) };
    bench.handle(Event::Docker(DockerEvent { id: "c1".into(), action }));
}

fn listed(state: Listed) -> Outcome {
    Outcome::Listed(vec![ContainerSummary { id: "c1".into(), state, ..ContainerSummary::default() }])
}

#[test]
fn an_end_that_cannot_be_seen_is_not_believed() {
    let mut bench = up();
    hear_of_end(&mut bench);
    bench.answer("inspect", failed(FailureKind::Timeout));
    bench.check(expect![[r#"
        inspect
        RUNNING -> RUNNING"#]]);
    bench.pass(5);
    bench.answer("list", listed(Listed::Running));
    bench.check(expect![[r#"
        list
        RUNNING -> RUNNING"#]]);
}

#[test]
fn an_end_that_is_listed_is_believed_without_a_look() {
    let mut bench = up();
    hear_of_end(&mut bench);
    bench.answer("inspect", failed(FailureKind::Timeout));
    bench.pass(5);
    bench.answer("list", listed(Listed::Exited));
    bench.answer("inspect", failed(FailureKind::Timeout));
    bench.check(expect![[r#"
        inspect
        list
        inspect
        STOPPED -> STOPPED"#]]);
    assert_eq!(bench.task().containers[0].state.exit_code, Some(3));
}

/// Docker lists what has just ended as running until it has cleaned up.
#[test]
fn a_list_that_lags_settles_no_doubt() {
    let mut bench = up();
    hear_of_end(&mut bench);
    bench.answer("inspect", failed(FailureKind::Timeout));
    bench.pass(5);
    bench.answer("list", listed(Listed::Running));
    bench.pass(5);
    bench.answer("list", listed(Listed::Exited));
    bench.answer("inspect", failed(FailureKind::Timeout));
    bench.check(expect![[r#"
        inspect
        list
        list
        inspect
        STOPPED -> STOPPED"#]]);
    assert_eq!(bench.task().containers[0].state.exit_code, Some(3));
}

#[test]
fn a_later_list_settles_the_doubt() {
    let mut bench = up();
    hear_of_end(&mut bench);
    bench.answer("inspect", failed(FailureKind::Timeout));
    bench.pass(5);
    bench.answer("list", listed(Listed::Running));
    bench.pass(5);
    bench.answer("list", listed(Listed::Running));
    bench.pass(60);
    bench.check(expect![[r#"
        inspect
        list
        list
        RUNNING -> RUNNING"#]]);
    assert_eq!(bench.task().containers[0].doubt, None);
}

/// An end that is heard while there is doubt already is a doubt of its own: a list may lag behind this end too.
#[test]
fn an_end_that_is_heard_in_doubt_begins_the_doubt_anew() {
    let mut bench = up();
    hear_of_start(&mut bench);
    bench.answer("inspect", failed(FailureKind::Timeout));
    bench.pass(5);
    bench.answer("list", listed(Listed::Running));
    bench.pass(4);
    hear_of_end(&mut bench);
    bench.answer("inspect", failed(FailureKind::Timeout));
    bench.pass(1);
    bench.answer("list", listed(Listed::Running));
    bench.pass(9);
    bench.answer("list", listed(Listed::Exited));
    bench.answer("inspect", failed(FailureKind::Timeout));
    bench.check(expect![[r#"
        inspect
        list
        inspect
        list
        list
        inspect
        STOPPED -> STOPPED"#]]);
    assert_eq!(bench.task().containers[0].state.exit_code, Some(3));
}

#[test]
fn a_list_of_before_proves_nothing() {
    let mut bench = up();
    hear_of_end(&mut bench);
    bench.handle(Event::EventsOpened);
    bench.pass(1);
    bench.answer("inspect", failed(FailureKind::Timeout));
    bench.answer("list", listed(Listed::Exited));
    bench.answer("inspect", failed(FailureKind::Timeout));
    bench.check(expect![[r#"
        inspect
        list
        inspect
        RUNNING -> RUNNING"#]]);
}

#[test]
fn one_that_is_gone_needs_no_list() {
    let mut bench = up();
    hear_of_end(&mut bench);
    bench.answer("inspect", failed(FailureKind::NotFound));
    bench.check(expect![[r#"
        inspect
        STOPPED -> STOPPED"#]]);
}

fn hear_of_start(bench: &mut Bench) {
    bench.handle(Event::Docker(DockerEvent { id: "c1".into(), action: ContainerAction::Start }));
}

fn ended() -> Outcome {
    let inspect = json!({"Id": "c1", "State": {"Running": false, "Status": "exited", "ExitCode": 3,
        "StartedAt": "2026-01-01T00:00:00Z", "FinishedAt": "2026-01-01T00:00:01Z"}});
    Outcome::Inspected(Box::new(serde_json::from_value(inspect).unwrap()))
}

#[test]
fn an_old_start_that_is_told_again_stops_nothing() {
    let mut bench = up();
    hear_of_end(&mut bench);
    bench.answer("inspect", ended());
    hear_of_start(&mut bench);
    bench.answer("inspect", ended());
    bench.check(expect![[r#"
        inspect
        inspect
        STOPPED -> STOPPED"#]]);
}

#[test]
fn one_that_came_back_is_stopped() {
    let mut bench = up();
    hear_of_end(&mut bench);
    bench.answer("inspect", ended());
    hear_of_start(&mut bench);
    bench.answer("inspect", running());
    bench.check(expect![[r#"
        inspect
        inspect
        stop
        STOPPED -> STOPPED"#]]);
}

/// Docker lists what has just ended as running, and tells of the end before it listens for a new stream.
#[test]
fn an_end_that_neither_stream_nor_list_shows_is_found_by_a_second_list() {
    let mut bench = up().restart();
    bench.asked.clear();
    bench.handle(Event::EventsOpened);
    bench.answer("list", listed(Listed::Running));
    bench.answer("inspect", running());
    bench.pass(10);
    bench.answer("list", listed(Listed::Exited));
    bench.answer("inspect", ended());
    bench.check(expect![[r#"
        list
        inspect
        list
        inspect
        STOPPED -> STOPPED"#]]);
}

#[test]
fn a_stream_begins_with_what_happened_just_before() {
    let now = Now { mono: Mono::default(), wall: "2026-01-01T00:00:00Z".parse().unwrap() };
    let step = Engine::new(EngineConfig::default(), 1, vec![]).handle(now, Event::Start);
    let since = step.effects.iter().find_map(|(_, effect)| match effect {
        Effect::FollowEvents { since } => Some(*since),
        _ => None,
    });
    assert_eq!(since, Some("2025-12-31T23:59:50Z".parse().unwrap()));
}

/// The Engine may still carry out a start that nobody waits for any more.
#[test]
fn a_start_that_is_heard_while_a_stop_is_looked_at_is_stopped_too() {
    let mut bench = Bench::new(json!({}), &EngineConfig::default());
    bench.fetch();
    bench.answer("create web", Outcome::Created("c1".into()));
    bench.answer("start", failed(FailureKind::Timeout));
    bench.answer("stop", Outcome::Done);
    bench.asked.clear();
    bench.handle(Event::Docker(DockerEvent { id: "c1".into(), action: ContainerAction::Start }));
    bench.answer("inspect", not_started());
    bench.check(expect![[r#"
        inspect
        CREATED -> STOPPED"#]]);
    bench.answer("inspect", running());
    bench.pass(2);
    bench.answer("stop", Outcome::Done);
    bench.answer("inspect", not_started());
    bench.check(expect![[r#"
        stop
        inspect
        STOPPED -> STOPPED"#]]);
}

fn not_started() -> Outcome {
    let inspect = json!({"Id": "c1", "State": {"Running": false, "Status": "created"}});
    Outcome::Inspected(Box::new(serde_json::from_value(inspect).unwrap()))
}
