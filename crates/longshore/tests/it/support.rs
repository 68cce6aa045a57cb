//! What the system tests share.

mod home;

use std::collections::BTreeMap;

use anyhow::Result;
use lab::{Bench, Setup};
use serde_json::Value;

pub(crate) use home::{Ended, Home, Local, ended};

/// The binary under test.
pub(crate) const LONGSHORE: &str = env!("CARGO_BIN_EXE_longshore");

/// A setting of `cargo xtask test`.
pub(crate) fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run the system tests with `cargo xtask test`"))
}

/// A small image with a shell, in the registry on loopback.
pub(crate) fn image() -> String {
    format!("{}/busybox:latest", setting("LONGSHORE_TEST_REGISTRY"))
}

/// Our agent, joined to a scripted control plane.
pub(crate) fn bench(environment: &[(&str, &str)]) -> Result<Bench> {
    Bench::start(&Setup { command: &[LONGSHORE, "agent"], environment, image: &image() })
}

/// The same, not yet started.
pub(crate) fn prepared(environment: &[(&str, &str)]) -> Result<Bench> {
    Bench::prepare(&Setup { command: &[LONGSHORE, "agent"], environment, image: &image() })
}

/// What `want` has and `have` has not, or has otherwise: one line per member. Members that `want` does not name may
/// be anything.
pub(crate) fn differences(have: &Value, want: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(have, want, "", &mut found);
    found
}

fn compare(have: &Value, want: &Value, at: &str, found: &mut Vec<String>) {
    if let (Value::Object(have), Value::Object(want)) = (have, want) {
        for (name, want) in want {
            compare(have.get(name).unwrap_or(&Value::Null), want, &format!("{at}.{name}"), found);
        }
    } else if have != want {
        found.push(format!("{at}: {have}, not {want}"));
    }
}

/// When something ends that holds so long from now, as AWS writes a time.
pub(crate) fn end_of(life: jiff::SignedDuration) -> String {
    (jiff::Timestamp::now() + life).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A container's environment.
pub(crate) fn environment(container: &Value) -> BTreeMap<String, String> {
    let pairs = container["Config"]["Env"].as_array().into_iter().flatten().filter_map(Value::as_str);
    pairs.filter_map(|pair| pair.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
