#![allow(clippy::unwrap_used)]
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::*;

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Inner {
    host_port: u16,
    names: Vec<String>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Outer {
    the_name: String,
    inner: Option<Inner>,
    list: Vec<Option<Inner>>,
    map: std::collections::BTreeMap<String, String>,
}

#[test]
fn names_match_in_any_case_at_every_depth() {
    let got: Outer = from_str(
        r#"{"THENAME":"x","Inner":{"HostPort":80,"NAMES":["a"]},"LIST":[{"hostport":1},null],"map":{"Key":"v"},"other":1}"#,
    )
    .unwrap();
    assert_eq!(got.the_name, "x");
    assert_eq!(got.inner, Some(Inner { host_port: 80, names: vec!["a".into()] }));
    assert_eq!(got.list, [Some(Inner { host_port: 1, names: vec![] }), None]);
    assert_eq!(got.map["Key"], "v", "a map's keys are data and keep their case");
}

#[test]
fn null_counts_as_absent() {
    let got: Outer = from_str(r#"{"theName":null,"inner":null,"list":null,"map":null}"#).unwrap();
    assert_eq!(got, Outer::default());
}

#[test]
fn a_wrong_kind_spoils_the_whole() {
    for text in
        [r#"{"theName":1}"#, r#"{"inner":{"hostPort":1.0}}"#, r#"{"inner":{"hostPort":70000}}"#, r#"{"list":{}}"#, "[]"]
    {
        assert!(from_str::<Outer>(text).is_err(), "{text}");
    }
}

#[test]
fn durations_read_and_print_as_go_does() {
    for (text, nanos) in [
        ("30s", 30_000_000_000u64),
        ("1m0s", 60_000_000_000),
        ("2m30s", 150_000_000_000),
        ("2h0m0s", 7_200_000_000_000),
        ("1m0.0012s", 60_001_200_000),
        ("1.5s", 1_500_000_000),
        ("100ms", 100_000_000),
        ("1.5ms", 1_500_000),
        ("20µs", 20_000),
        ("7ns", 7),
        ("0s", 0),
    ] {
        assert_eq!(parse_duration(text).unwrap(), Duration::from_nanos(nanos), "{text}");
        assert_eq!(render_duration(Duration::from_nanos(nanos)), text);
    }
    assert_eq!(parse_duration("1h").unwrap(), Duration::from_secs(3600));
    assert_eq!(parse_duration("-1h").unwrap(), Duration::ZERO);
    for wrong in ["", "10", "1x", "s", "1s2", "1 s"] {
        assert!(parse_duration(wrong).is_err(), "{wrong}");
    }
}

const NESTED: &[Member] = &[Member("Type", Shape::Text), Member("Config", Shape::Map)];
const MEMBERS: &[Member] = &[
    Member("User", Shape::Text),
    Member("Memory", Shape::Int),
    Member("Tty", Shape::Bool),
    Member("Env", Shape::List),
    Member("Labels", Shape::Map),
    Member("Init", Shape::Pointer),
    Member("LogConfig", Shape::Struct(NESTED)),
    Member("Cmd", Shape::TextOrList),
];

fn laid(base: Value, over: Value) -> Result<Value, String> {
    let Value::Object(mut base) = base else {
        return Err("base".into());
    };
    overlay(&mut base, &over, MEMBERS).map(|()| Value::Object(base))
}

#[test]
fn overlay_replaces_scalars_and_lists_and_merges_maps() {
    let base = json!({"User":"a","Env":["A=1"],"Labels":{"x":"1"},"LogConfig":{"Type":"json-file","Config":{"k":"v"}},"Memory":5});
    let got = laid(
        base,
        json!({"user":"b","ENV":["B=2"],"labels":{"X":"2"},"logconfig":{"config":{"m":"n"}},"memory":null,"nobody":1,"init":true,"cmd":"sh"}),
    );
    assert_eq!(
        got.unwrap(),
        json!({"User":"b","Env":["B=2"],"Labels":{"x":"1","X":"2"},"LogConfig":{"Type":"json-file","Config":{"k":"v","m":"n"}},"Memory":5,"Init":true,"Cmd":["sh"]})
    );
}

#[test]
fn overlay_null_clears_what_can_be_nil() {
    let got = laid(
        json!({"User":"a","Env":["A"],"Labels":{"x":"1"},"Init":true}),
        json!({"User":null,"Env":null,"Labels":null,"Init":null}),
    );
    assert_eq!(got.unwrap(), json!({"User":"a","Env":null,"Labels":null,"Init":null}));
}

#[test]
fn overlay_says_what_does_not_fit_in_gos_words() {
    let mut base = Map::new();
    assert_eq!(
        overlay(&mut base, &json!([1]), MEMBERS).unwrap_err(),
        "json: cannot unmarshal array into Go value of type struct"
    );
    assert_eq!(
        laid(json!({}), json!({"Memory":"x"})).unwrap_err(),
        "json: cannot unmarshal string into Go struct field Memory of type int64"
    );
}
