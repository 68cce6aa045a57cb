//! State that was made elsewhere.
#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;
use std::time::Duration;

use crate::step::{Step, StoredRow};
use crate::{Effect, Engine, EngineConfig, Event, Mono, Now, Outcome};

fn now() -> Now {
    Now { mono: Mono(Duration::from_secs(1)), wall: "2026-01-01T00:00:00Z".parse().unwrap() }
}

fn on(instance: Option<&str>) -> EngineConfig {
    let mut config = EngineConfig::default();
    config.host.ec2_instance_id = instance.map(str::to_owned);
    config
}

#[derive(Default)]
struct Rows(BTreeMap<(String, String), String>);

impl Rows {
    fn commit(&mut self, step: &Step) {
        for row in step.writes.iter() {
            let key = (row.table.to_owned(), row.key.to_owned());
            match row.value {
                Some(value) => self.0.insert(key, value.to_owned()),
                None => self.0.remove(&key),
            };
        }
    }

    fn stored(&self) -> Vec<StoredRow> {
        let row = |((table, key), value): (&(String, String), &String)| StoredRow {
            table: table.clone(),
            key: key.clone(),
            value: value.clone(),
        };
        self.0.iter().map(row).collect()
    }

    fn meta(&self, key: &str) -> Option<&str> {
        self.0.get(&("meta".to_owned(), key.to_owned())).map(String::as_str)
    }
}

/// Starts an agent on the rows; the ARN that it asks to renew.
fn start(rows: &mut Rows, config: EngineConfig, answered_arn: &str) -> (Engine, Option<String>) {
    let mut engine = Engine::new(config, 1, rows.stored());
    let step = engine.handle(now(), Event::Start);
    rows.commit(&step);
    let (id, renewed) = step
        .effects
        .iter()
        .find_map(|(id, effect)| match effect {
            Effect::RegisterInstance { request, .. } => Some((*id, request.clone())),
            _ => None,
        })
        .unwrap();
    let instance = wire::ecs::ContainerInstance {
        container_instance_arn: answered_arn.to_owned(),
        attributes: renewed.attributes.clone().unwrap_or_default(),
        ..Default::default()
    };
    rows.commit(&engine.handle(now(), Event::Done { id, outcome: Outcome::Registered(Box::new(instance)) }));
    (engine, renewed.container_instance_arn)
}

fn with_task_of_old_times(rows: &mut Rows) {
    for (table, key, value) in [
        ("task", "0f", "{}"),
        ("task_state", "0f", "{}"),
        ("container", "0f/web", "{}"),
        ("moment", "0f/0000", "{}"),
        ("image", "sha256:1", "{}"),
        ("meta", "task-manifest-seq-num", "7"),
        ("meta", "reference-txid", "3"),
    ] {
        rows.0.insert((table.to_owned(), key.to_owned()), value.to_owned());
    }
}

#[test]
fn the_instance_is_remembered_and_renewed() {
    let mut rows = Rows::default();
    let (_, renewed) = start(&mut rows, on(Some("i-1")), "arn:one");
    assert_eq!((renewed.as_deref(), rows.meta("ec2-instance-id")), (None, Some("i-1")));
    // Also while metadata does not answer.
    for instance in [None, Some(""), Some("i-1")] {
        let (_, renewed) = start(&mut rows, on(instance), "arn:two");
        assert_eq!((renewed.as_deref(), rows.meta("ec2-instance-id")), (Some("arn:one"), Some("i-1")));
    }
}

#[test]
fn on_another_instance_nothing_is_known() {
    let mut rows = Rows::default();
    start(&mut rows, on(Some("i-1")), "arn:one");
    with_task_of_old_times(&mut rows);
    // Another cluster is no obstacle: the state is not of this machine.
    let config = EngineConfig { cluster: "other".into(), ..on(Some("i-2")) };
    let (engine, renewed) = start(&mut rows, config, "arn:two");
    assert_eq!(renewed, None);
    assert_eq!(engine.latest_sequence, -1);
    let meta =
        ["container-instance-arn", "cluster-name", "ec2-instance-id", "reference-txid"].map(|key| rows.meta(key));
    assert_eq!(meta, [Some("arn:two"), Some("other"), Some("i-2"), Some("3")]);
    let left: Vec<_> = rows.0.keys().filter(|(table, _)| table != "meta").collect();
    assert!(left.is_empty(), "{left:?}");
    // And from then on it is.
    assert_eq!(
        start(&mut rows, EngineConfig { cluster: "other".into(), ..on(Some("i-2")) }, "").1.as_deref(),
        Some("arn:two")
    );
}

#[test]
fn without_a_saved_instance_the_state_holds() {
    let mut rows = Rows::default();
    start(&mut rows, on(None), "arn:one");
    assert_eq!(rows.meta("ec2-instance-id"), None);
    assert_eq!(start(&mut rows, on(Some("i-1")), "").1.as_deref(), Some("arn:one"));
}

#[test]
fn another_cluster_ends_the_agent_and_changes_nothing() {
    let mut rows = Rows::default();
    start(&mut rows, on(Some("i-1")), "arn:one");
    let config = EngineConfig { cluster: "other".into(), ..on(Some("i-1")) };
    let step = Engine::new(config, 1, rows.stored()).handle(now(), Event::Start);
    assert!(matches!(&step.effects[..], [(_, Effect::Exit { code: 5, why })] if why.contains("'other'")));
    assert!(step.writes.is_empty());
}
