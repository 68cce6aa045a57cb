//! What is believed of a container that cannot be looked at.
#![allow(clippy::unwrap_used)]
use expect_test::expect;
use serde_json::json;
use wire::docker::{ContainerStatus as Listed, ContainerSummary};

use crate::Event;
use crate::config::EngineConfig;
use crate::event::{ContainerAction, DockerEvent, FailureKind, Outcome};
use crate::flow::testing::{Bench, failed, image, running};

fn up() -> Bench {
    let mut bench = Bench::new(json!({}), &EngineConfig::default());
    bench.answer("resolve", Outcome::Resolved(None));
    bench.answer("pull", Outcome::Done);
    bench.answer("inspect image", image());
    bench.answer("create web", Outcome::Created("c1".into()));
    bench.answer("start", Outcome::Done);
    bench.answer("inspect", running());
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
