//! `{"type":…,"message":…}` and how it is read (spec 10 §2.5).

use serde::Deserialize;
use serde_json::Value;

use super::{Inbound, Outbound};
use crate::gojson;

/// Why a frame is dropped: none of these counts as activity, and none is answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    #[error("not a message: {0}")]
    NotAMessage(String),
    #[error("message of unknown type {0:?}")]
    UnknownType(String),
    #[error("{kind} that does not fit its shape: {cause}")]
    Misshapen { kind: String, cause: String },
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Envelope {
    #[serde(rename = "type")]
    kind: String,
    message: Value,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Text {
    message: String,
}

/// Types that carry a text only; the exceptions are also accepted in the short form `{"<Type>":"<text>"}`.
const NOTICES: &[&str] = &[
    "CloseMessage",
    "ErrorMessage",
    "ServerException",
    "BadRequestException",
    "InvalidClusterException",
    "InvalidInstanceException",
    "AccessDeniedException",
    "InactiveInstanceException",
];

/// Types that only agents send; the service echoing one counts as activity and nothing else.
const OURS: &[&str] = &[
    "HeartbeatAckRequest",
    "AckRequest",
    "NackRequest",
    "IAMRoleCredentialsAckRequest",
    "TaskStopVerificationMessage",
];

/// Reads one frame. Typed and all-or-nothing: one member of the wrong kind loses the message.
pub fn inbound(text: &str) -> Result<Inbound, Undecodable> {
    let value: Value = serde_json::from_str(text).map_err(|e| Undecodable::NotAMessage(e.to_string()))?;
    let envelope: Envelope = match gojson::from_value::<Envelope>(value.clone()) {
        Ok(envelope) if !envelope.kind.is_empty() => envelope,
        _ => return short_error(&value),
    };
    let Envelope { kind, message } = envelope;
    let misshapen =
        |cause: gojson::DecodeError| Undecodable::Misshapen { kind: kind.clone(), cause: cause.to_string() };
    macro_rules! read {
        ($variant:path) => {
            gojson::from_value(message).map($variant).map_err(misshapen)
        };
    }
    match kind.as_str() {
        "PayloadMessage" => read!(Inbound::Payload),
        "HeartbeatMessage" => read!(Inbound::Heartbeat),
        "IAMRoleCredentialsMessage" => read!(Inbound::Credentials),
        "TaskManifestMessage" => read!(Inbound::TaskManifest),
        "TaskStopVerificationAck" => read!(Inbound::TaskStopVerificationAck),
        "AttachTaskNetworkInterfacesMessage" => read!(Inbound::AttachTaskNetworkInterfaces),
        "AttachInstanceNetworkInterfacesMessage" => read!(Inbound::AttachInstanceNetworkInterfaces),
        "ConfirmAttachmentMessage" => read!(Inbound::ConfirmAttachment),
        "StageUpdateMessage" => read!(Inbound::StageUpdate),
        "PerformUpdateMessage" => read!(Inbound::PerformUpdate),
        notice if NOTICES.contains(&notice) => {
            let text: Text = gojson::from_value(message).map_err(misshapen)?;
            Ok(Inbound::Notice { kind, message: text.message })
        }
        ours if OURS.contains(&ours) => Ok(Inbound::Notice { kind, message: String::new() }),
        _ => Err(Undecodable::UnknownType(kind)),
    }
}

fn short_error(value: &Value) -> Result<Inbound, Undecodable> {
    if let Value::Object(members) = value
        && members.len() == 1
        && let Some((kind, Value::String(text))) = members.iter().next()
        && kind.ends_with("Exception")
        && NOTICES.contains(&kind.as_str())
    {
        return Ok(Inbound::Notice { kind: kind.clone(), message: text.clone() });
    }
    Err(Undecodable::NotAMessage("no type member".to_owned()))
}

/// Renders one frame.
pub fn outbound(message: &Outbound) -> String {
    serde_json::to_string(message).unwrap_or_default()
}
