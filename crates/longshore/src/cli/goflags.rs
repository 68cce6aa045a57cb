//! The reference agent's flags as Go's `flag` package takes them: one dash or two, and values of booleans.

use std::ffi::OsString;

/// Flags without a value.
const BOOLEANS: [&str; 7] =
    ["version", "license", "healthcheck", "ecs-attributes", "k", "blackhole-ec2-metadata", "windows-service"];
/// Flags with a value.
const TEXTS: [&str; 3] = ["loglevel", "loglevel-driver", "loglevel-on-instance"];

/// Rewrites the agent's arguments (without the program's name) so that they have two dashes and booleans have no value.
/// What is no flag of the reference stays as it is, for the parser to complain about.
pub(crate) fn normalize_go_flags(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut normal = Vec::new();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let Some((name, value)) = arg.to_str().and_then(split) else {
            normal.push(arg);
            continue;
        };
        match (name, value) {
            ("h" | "help", None) => normal.push("--help".into()),
            (name, None) if BOOLEANS.contains(&name) => normal.push(format!("--{name}").into()),
            (name, Some(value)) if BOOLEANS.contains(&name) => match go_bool(value) {
                Some(true) => normal.push(format!("--{name}").into()),
                Some(false) => {}
                None => normal.push(arg),
            },
            (name, Some(value)) if TEXTS.contains(&name) => normal.push(format!("--{name}={value}").into()),
            (name, None) if TEXTS.contains(&name) => {
                let mut whole = OsString::from(format!("--{name}"));
                if let Some(value) = args.next() {
                    whole.push("=");
                    whole.push(value);
                }
                normal.push(whole);
            }
            _ => normal.push(arg),
        }
    }
    normal
}

/// Name and value of something that looks like a flag.
fn split(arg: &str) -> Option<(&str, Option<&str>)> {
    let name = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-')).filter(|name| !name.is_empty())?;
    Some(match name.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (name, None),
    })
}

/// As Go's `strconv.ParseBool`.
fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}
