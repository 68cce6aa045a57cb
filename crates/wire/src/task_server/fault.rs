//! Bodies of fault injection requests: which are refused, and in which words (spec 30 §4.2.3).

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::route::FaultKind;
use crate::gojson::kind_of;

/// What a member must be.
#[derive(Clone, Copy)]
enum Type {
    Text,
    Texts,
    Port,
    Unsigned,
    Int,
}

impl Type {
    const fn name(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Texts => "[]*string",
            Self::Port => "uint16",
            Self::Unsigned => "uint64",
            Self::Int => "int",
        }
    }

    fn admits(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Texts => value.is_array(),
            Self::Port => value.as_u64().is_some_and(|n| u16::try_from(n).is_ok()),
            Self::Unsigned => value.is_u64(),
            Self::Int => value.is_i64(),
        }
    }
}

const BLACKHOLE: &[(&str, Type)] =
    &[("Port", Type::Port), ("Protocol", Type::Text), ("TrafficType", Type::Text), ("SourcesToFilter", Type::Texts)];
const LATENCY: &[(&str, Type)] = &[
    ("DelayMilliseconds", Type::Unsigned),
    ("JitterMilliseconds", Type::Unsigned),
    ("Sources", Type::Texts),
    ("SourcesToFilter", Type::Texts),
    ("FlowsPercent", Type::Int),
];
const PACKET_LOSS: &[(&str, Type)] = &[
    ("LossPercent", Type::Unsigned),
    ("Sources", Type::Texts),
    ("SourcesToFilter", Type::Texts),
    ("FlowsPercent", Type::Int),
];

/// Judges a body.
///
/// # Errors
/// The text for the one who asked.
pub fn check(kind: FaultKind, body: &[u8]) -> Result<(), String> {
    if body.is_empty() {
        return Err("required request body is missing".to_owned());
    }
    let (name, members) = match kind {
        FaultKind::BlackholePort => ("NetworkBlackholePortRequest", BLACKHOLE),
        FaultKind::Latency => ("NetworkLatencyRequest", LATENCY),
        FaultKind::PacketLoss => ("NetworkPacketLossRequest", PACKET_LOSS),
    };
    let request = decode(body, name, members)?;
    match kind {
        FaultKind::BlackholePort => blackhole(&request),
        FaultKind::Latency => latency(&request),
        FaultKind::PacketLoss => packet_loss(&request),
    }
}

/// Reads the first JSON value; members under their proper names, `null` and unknown ones left out.
fn decode(body: &[u8], name: &str, known: &[(&'static str, Type)]) -> Result<Map<String, Value>, String> {
    let mut values = serde_json::Deserializer::from_slice(body).into_iter::<Value>();
    let value = match values.next() {
        None => return Err("EOF".to_owned()),
        Some(Err(error)) if error.is_eof() => return Err("unexpected EOF".to_owned()),
        Some(Err(error)) => return Err(syntax(body, &error)),
        Some(Ok(value)) => value,
    };
    let members = match value {
        Value::Null => return Ok(Map::new()),
        Value::Object(members) => members,
        other => {
            return Err(format!("json: cannot unmarshal {} into Go value of type types.{name}", kind_of(&other)));
        }
    };
    let mut request = Map::new();
    for (key, value) in members {
        let Some((proper, kind)) = known.iter().find(|(proper, _)| proper.eq_ignore_ascii_case(&key)) else { continue };
        if value.is_null() {
            continue;
        }
        let wrong = |value: &Value, kind: &str| {
            Err(format!(
                "json: cannot unmarshal {} into Go struct field {name}.{proper} of type {kind}",
                described(value)
            ))
        };
        if !kind.admits(&value) {
            return wrong(&value, kind.name());
        }
        let misfit = value.as_array().and_then(|items| items.iter().find(|item| !item.is_string() && !item.is_null()));
        if let Some(misfit) = misfit {
            return wrong(misfit, "string");
        }
        request.insert((*proper).to_owned(), value);
    }
    Ok(request)
}

/// Where the text stops being JSON, in the reference's words.
fn syntax(body: &[u8], error: &serde_json::Error) -> String {
    let line = body.split(|byte| *byte == b'\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
    match line.get(error.column().saturating_sub(1)) {
        Some(byte) => format!("invalid character {:?} looking for beginning of value", char::from(*byte)),
        None => "unexpected EOF".to_owned(),
    }
}

/// Numbers are shown.
fn described(value: &Value) -> String {
    match value {
        Value::Number(number) => format!("number {number}"),
        other => kind_of(other).to_owned(),
    }
}

fn missing(name: &str) -> String {
    format!("required parameter {name} is missing")
}

fn invalid(value: &str, name: &str) -> String {
    format!("invalid value {value} for parameter {name}")
}

fn blackhole(request: &Map<String, Value>) -> Result<(), String> {
    let text = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default();
    if !request.contains_key("Port") {
        return Err(missing("Port"));
    }
    let choices = [("Protocol", ["tcp", "udp"]), ("TrafficType", ["ingress", "egress"])];
    if let Some((name, _)) = choices.iter().find(|(name, _)| text(name).is_empty()) {
        return Err(missing(name));
    }
    if let Some((name, _)) = choices.iter().find(|(name, choices)| !choices.contains(&text(name))) {
        return Err(invalid(text(name), name));
    }
    addresses(request, "SourcesToFilter")
}

fn latency(request: &Map<String, Value>) -> Result<(), String> {
    let number = |name: &str| request.get(name).and_then(Value::as_u64).ok_or_else(|| missing(name));
    if number("DelayMilliseconds")? == 0 && number("JitterMilliseconds")? == 0 {
        return Err("required either DelayMilliseconds or JitterMilliseconds to be non-zero".to_owned());
    }
    number("JitterMilliseconds")?;
    traffic(request)
}

fn packet_loss(request: &Map<String, Value>) -> Result<(), String> {
    let loss = request.get("LossPercent").and_then(Value::as_u64).ok_or_else(|| missing("LossPercent"))?;
    if !(1..=100).contains(&loss) {
        return Err(invalid(&loss.to_string(), "LossPercent"));
    }
    traffic(request)
}

fn traffic(request: &Map<String, Value>) -> Result<(), String> {
    if request.get("Sources").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        return Err(missing("Sources"));
    }
    addresses(request, "Sources")?;
    addresses(request, "SourcesToFilter")?;
    match request.get("FlowsPercent").and_then(Value::as_i64) {
        Some(percent) if !(1..=100).contains(&percent) => Err(invalid(&percent.to_string(), "flowsPercent")),
        _ => Ok(()),
    }
}

fn addresses(request: &Map<String, Value>, name: &str) -> Result<(), String> {
    let all = request.get(name).and_then(Value::as_array).into_iter().flatten();
    let mut texts = all.map(|item| item.as_str().unwrap_or_default());
    texts.find(|text| !is_address_or_block(text)).map_or(Ok(()), |text| Err(invalid(text, name)))
}

fn is_address_or_block(text: &str) -> bool {
    let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let longest = if address.is_ipv4() { 32 } else { 128 };
    length.is_none_or(|length| {
        length.bytes().all(|byte| byte.is_ascii_digit()) && length.parse::<u8>().is_ok_and(|length| length <= longest)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn check_text(kind: FaultKind, body: &str, expected: &str) {
        let found = check(kind, body.as_bytes()).err().unwrap_or_default();
        assert_eq!(found, expected, "{body}");
    }

    #[test]
    fn blackhole_bodies() {
        let check = |body, expected| check_text(FaultKind::BlackholePort, body, expected);
        check(r#"{"port":80,"Protocol":"tcp","TrafficType":"egress","x":1}"#, "");
        check("", "required request body is missing");
        check("null", "required parameter Port is missing");
        check("{", "unexpected EOF");
        check("x", "invalid character 'x' looking for beginning of value");
        check("[]", "json: cannot unmarshal array into Go value of type types.NetworkBlackholePortRequest");
        check(
            r#"{"Port":"80"}"#,
            "json: cannot unmarshal string into Go struct field NetworkBlackholePortRequest.Port of type uint16",
        );
        check(
            r#"{"Port":-1}"#,
            "json: cannot unmarshal number -1 into Go struct field NetworkBlackholePortRequest.Port of type uint16",
        );
        check(r#"{"Port":80,"Protocol":""}"#, "required parameter Protocol is missing");
        check(r#"{"Port":80,"Protocol":"icmp"}"#, "required parameter TrafficType is missing");
        check(r#"{"Port":80,"Protocol":"icmp","TrafficType":"egress"}"#, "invalid value icmp for parameter Protocol");
        check(r#"{"Port":80,"Protocol":"udp","TrafficType":"out"}"#, "invalid value out for parameter TrafficType");
        check(
            r#"{"Port":80,"Protocol":"udp","TrafficType":"ingress","SourcesToFilter":["10.0.0.0/8","10.0.0.0/33"]}"#,
            "invalid value 10.0.0.0/33 for parameter SourcesToFilter",
        );
    }

    #[test]
    fn latency_bodies() {
        let check = |body, expected| check_text(FaultKind::Latency, body, expected);
        check(r#"{"DelayMilliseconds":0,"JitterMilliseconds":1,"Sources":["::1"],"FlowsPercent":100}"#, "");
        check("{}", "required parameter DelayMilliseconds is missing");
        check(r#"{"DelayMilliseconds":1}"#, "required parameter JitterMilliseconds is missing");
        check(
            r#"{"DelayMilliseconds":0,"JitterMilliseconds":0}"#,
            "required either DelayMilliseconds or JitterMilliseconds to be non-zero",
        );
        check(
            r#"{"DelayMilliseconds":1,"JitterMilliseconds":0,"Sources":[]}"#,
            "required parameter Sources is missing",
        );
        check(
            r#"{"DelayMilliseconds":1,"JitterMilliseconds":0,"Sources":[null]}"#,
            "invalid value  for parameter Sources",
        );
        check(
            r#"{"DelayMilliseconds":1,"JitterMilliseconds":0,"Sources":["1.1.1.1"],"FlowsPercent":0}"#,
            "invalid value 0 for parameter flowsPercent",
        );
    }

    #[test]
    fn packet_loss_bodies() {
        let check = |body, expected| check_text(FaultKind::PacketLoss, body, expected);
        check(r#"{"LossPercent":100,"Sources":["1.1.1.1"]}"#, "");
        check(r#"{"LossPercent":101,"Sources":["1.1.1.1"]}"#, "invalid value 101 for parameter LossPercent");
        check(
            r#"{"LossPercent":1.5}"#,
            "json: cannot unmarshal number 1.5 into Go struct field NetworkPacketLossRequest.LossPercent of type uint64",
        );
    }
}
