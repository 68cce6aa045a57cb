//! `GET /events`.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::container::HealthStatus;
use super::lenient::{open_enum, reply};

open_enum! {
    /// What an event is about.
    pub enum EventType {
        Container = "container",
        Image = "image",
        Volume = "volume",
        Network = "network",
        Daemon = "daemon",
        Plugin = "plugin",
    }
}

reply! {
    /// Whom an event is about.
    pub struct Actor {
        /// Container id, image reference, volume name.
        "ID" => id: String,
        /// For containers: labels, `image`, `name`, and with `die` also `exitCode`.
        "Attributes" => attributes: BTreeMap<String, String>,
    }

    /// The event's members as sent. `status`, `id` and `from` are the form of old daemons, which new ones omit.
    pub struct EventBody {
        "status" => status: String,
        "id" => id: String,
        "from" => from: String,
        "Type" => kind: EventType,
        "Action" => action: String,
        "Actor" => actor: Actor,
        "scope" => scope: String,
        "time" => time: i64,
        "timeNano" => time_nano: i64,
    }
}

/// What happened. Only actions that somebody decides by have a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Create,
    Start,
    Restart,
    Stop,
    Kill,
    /// The main process ended; attribute `exitCode`.
    Die,
    Oom,
    Pause,
    Unpause,
    Rename,
    Update,
    Destroy,
    /// `health_status: healthy` and its like.
    Health(HealthStatus),
    /// Any other, as sent, for example `exec_start: sh -c true`.
    Other(String),
}

impl From<&str> for Action {
    fn from(text: &str) -> Self {
        match text {
            "create" => Self::Create,
            "start" => Self::Start,
            "restart" => Self::Restart,
            "stop" => Self::Stop,
            "kill" => Self::Kill,
            "die" => Self::Die,
            "oom" => Self::Oom,
            "pause" => Self::Pause,
            "unpause" => Self::Unpause,
            "rename" => Self::Rename,
            "update" => Self::Update,
            "destroy" => Self::Destroy,
            _ => match text.strip_prefix("health_status:") {
                Some(status) => Self::Health(HealthStatus::from(status.trim())),
                None => Self::Other(text.to_owned()),
            },
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Start => "start",
            Self::Restart => "restart",
            Self::Stop => "stop",
            Self::Kill => "kill",
            Self::Die => "die",
            Self::Oom => "oom",
            Self::Pause => "pause",
            Self::Unpause => "unpause",
            Self::Rename => "rename",
            Self::Update => "update",
            Self::Destroy => "destroy",
            Self::Health(status) => return write!(f, "health_status: {status}"),
            Self::Other(text) => text,
        })
    }
}

/// One event of the daemon.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(from = "EventBody", into = "EventBody")]
pub struct Event {
    pub kind: EventType,
    pub action: Action,
    pub actor: Actor,
    /// `local` or `swarm`.
    pub scope: String,
    /// When it happened, by the daemon's clock, to the nanosecond where the daemon says so.
    pub time: Option<Timestamp>,
}

impl Event {
    /// The container's exit code, which `die` carries.
    pub fn exit_code(&self) -> Option<i64> {
        self.actor.attributes.get("exitCode")?.parse().ok()
    }
}

impl From<EventBody> for Event {
    fn from(body: EventBody) -> Self {
        let mut actor = body.actor;
        if actor.id.is_empty() {
            actor.id = body.id;
        }
        let action = if body.action.is_empty() { &body.status } else { &body.action };
        // Before API 1.22 only containers and images had events, and only containers a `from`.
        let kind = match body.kind {
            EventType::Other(text) if text.is_empty() && !body.from.is_empty() => EventType::Container,
            kind => kind,
        };
        let time = match (body.time_nano, body.time) {
            (0, 0) => None,
            (0, seconds) => Timestamp::from_second(seconds).ok(),
            (nanos, _) => Timestamp::from_nanosecond(i128::from(nanos)).ok(),
        };
        Self { kind, action: Action::from(action.as_str()), actor, scope: body.scope, time }
    }
}

impl From<Event> for EventBody {
    fn from(event: Event) -> Self {
        Self {
            kind: event.kind,
            action: event.action.to_string(),
            actor: event.actor,
            scope: event.scope,
            time: event.time.map_or(0, Timestamp::as_second),
            time_nano: event.time.and_then(|time| i64::try_from(time.as_nanosecond()).ok()).unwrap_or_default(),
            ..Self::default()
        }
    }
}
