//! The crates' graph, as `ARCHITECTURE.md` draws it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process::cargo;

/// What each crate of ours may depend on, of ours.
const DRAWN: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("engine", &["wire"]),
    ("plane", &["wire"]),
    ("docker", &["wire"]),
    ("aws", &["wire"]),
    ("host", &["wire"]),
    ("longshore", &["docker", "aws", "host", "engine", "plane", "wire"]),
    ("sim", &["engine", "plane", "wire"]),
    ("fuzzed", &["wire", "engine", "plane", "host", "docker"]),
    ("lab", &[]),
    ("xtask", &["lab"]),
];

/// The crates without effects, and all that they may use of others' in what is shipped.
const PURE: &[&str] = &["wire", "engine", "plane"];
const PURE_MAY_USE: &[&str] = &["indexmap", "serde", "serde_json", "jiff", "thiserror"];

pub(crate) fn run() -> Result<()> {
    let output = cargo().args(["metadata", "--format-version=1", "--no-deps", "--locked"]).output()?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).context("reading cargo metadata")?;
    let found = problems(&metadata);
    if !found.is_empty() {
        bail!("the crates do not depend on one another as drawn:\n  {}", found.join("\n  "));
    }
    println!("deps: {} crates depend on one another as drawn", DRAWN.len());
    Ok(())
}

/// Everything in `cargo metadata` that is not as drawn, one line each.
fn problems(metadata: &Value) -> Vec<String> {
    let drawn: BTreeMap<&str, &[&str]> = DRAWN.iter().copied().collect();
    let mut found = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or("");
        let Some(may_use) = drawn.get(name) else {
            found.push(format!("{name} is not drawn: say in xtask/src/deps.rs what it may use"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let other = dependency["name"].as_str().unwrap_or("");
            // Tests may use what they like, except crates of ours that are above; builds run nothing.
            let is_shipped = dependency["kind"].is_null();
            if drawn.contains_key(other) {
                let is_bench = !is_shipped && other == "lab";
                if !may_use.contains(&other) && !is_bench {
                    found.push(format!("{name} must not depend on {other}"));
                }
            } else if is_shipped && PURE.contains(&name) && !PURE_MAY_USE.contains(&other) {
                found.push(format!("{name} is pure and must not depend on {other}"));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn package(name: &str, dependency: &str, kind: Value) -> Value {
        json!({ "packages": [{ "name": name, "dependencies": [{ "name": dependency, "kind": kind }] }] })
    }

    #[test]
    fn arrows_point_down_only() {
        assert!(problems(&package("longshore", "engine", Value::Null)).is_empty());
        assert!(problems(&package("longshore", "lab", json!("dev"))).is_empty());
        assert_eq!(problems(&package("docker", "engine", Value::Null)), ["docker must not depend on engine"]);
        assert_eq!(problems(&package("wire", "engine", json!("dev"))), ["wire must not depend on engine"]);
        assert_eq!(problems(&package("longshore", "lab", Value::Null)), ["longshore must not depend on lab"]);
    }

    #[test]
    fn pure_crates_use_four_others() {
        assert!(problems(&package("engine", "serde", Value::Null)).is_empty());
        assert!(problems(&package("engine", "expect-test", json!("dev"))).is_empty());
        assert_eq!(problems(&package("engine", "tokio", Value::Null)), ["engine is pure and must not depend on tokio"]);
    }

    #[test]
    fn a_new_crate_has_to_be_drawn() {
        assert_eq!(problems(&package("utils", "serde", Value::Null)).len(), 1);
    }
}
