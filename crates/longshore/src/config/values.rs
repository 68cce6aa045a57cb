//! The grammars of single values (spec 40 §1): Go's booleans, durations and numbers, and what JSON makes of them.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::Value;
use wire::gojson::{parse_duration, render_duration};

/// Go's spellings of a boolean, around which white space is allowed.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text.trim() {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// A Go duration with its sign, which decides between "unset" (zero) and "too small" (negative).
pub(super) fn parse_signed_duration(text: &str) -> Option<SignedDuration> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest.starts_with(['-', '+']) {
        return None;
    }
    let size = SignedDuration::try_from(parse_duration(rest).ok()?).ok()?;
    // What does not fit into Go's 64 bits of nanoseconds is no duration there.
    i64::try_from(size.as_nanos()).ok()?;
    Some(if negative { -size } else { size })
}

/// As Go prints it.
pub(super) fn duration_text(duration: SignedDuration) -> String {
    let sign = if duration.is_negative() { "-" } else { "" };
    format!("{sign}{}", render_duration(duration.unsigned_abs()))
}

/// A duration for use: a negative one has passed at once.
pub(super) fn or_at_once(duration: SignedDuration) -> Duration {
    Duration::try_from(duration).unwrap_or(Duration::ZERO)
}

/// Digits only, as Go's `ParseUint` reads them.
pub(super) fn parse_uint16(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Go's `Atoi`: an optional sign and digits.
pub(super) fn parse_int(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// The first JSON value of a text; what follows is ignored, as a stream decoder does.
pub(super) fn first_json(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::Deserializer::from_str(text).into_iter().next().unwrap_or(Ok(Value::Null))
}

/// A JSON list of strings; `null` is an empty list, and a `null` member an empty string, as in Go.
pub(super) fn string_list(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::Array(items) => items.iter().map(string).collect(),
        _ => None,
    }
}

/// A JSON object of strings.
pub(super) fn string_map(value: &Value) -> Option<BTreeMap<String, String>> {
    match value {
        Value::Null => Some(BTreeMap::new()),
        Value::Object(members) => members.iter().map(|(name, value)| Some((name.clone(), string(value)?))).collect(),
        _ => None,
    }
}

fn string(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// The ports of a JSON list and whether all its members were ports; a bad member loses only itself.
pub(super) fn port_list(value: &Value) -> Option<(Vec<u16>, bool)> {
    let items = match value {
        Value::Null => return Some((Vec::new(), true)),
        Value::Array(items) => items,
        _ => return None,
    };
    let ports: Vec<u16> =
        items.iter().filter_map(|item| item.as_u64().and_then(|number| u16::try_from(number).ok())).collect();
    let all = ports.len() == items.len();
    Some((ports, all))
}

/// Whether the text is an address with a prefix length, such as `10.0.0.0/8`.
pub(super) fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let longest = match address.parse() {
        Ok(std::net::IpAddr::V4(_)) => 32,
        Ok(std::net::IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    parse_uint16(length).is_some_and(|length| !text.ends_with('/') && length <= longest)
}
