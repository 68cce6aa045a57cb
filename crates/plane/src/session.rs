//! The agent protocol's other end (spec 10 §2–§3, §5): sessions, heartbeats, manifests, payloads until they
//! are acknowledged, telemetry.
//!
//! A payload has one task only: an agent acknowledges a payload whole or not at all, so a bad task must
//! not hold up its neighbours.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wire::ecs::{EpochSeconds, InstanceHealthCheckResult};

use crate::Plane;
use crate::error::Fault;
use crate::event::{Channel, Note, Outgoing, SessionId, Step};
use crate::instance::Instance;
use crate::rows::Table;
use crate::task::Desired;

/// Agents reconnect after one to two minutes without a message.
const HEARTBEAT_MS: i64 = 30_000;

/// Heartbeats in a row that an agent may leave unanswered.
const UNANSWERED_MAX: u32 = 5;

/// When an unacknowledged message is sent again on the same connection.
pub(crate) const RESEND_MS: i64 = 60_000;

/// Payloads under way at once on one connection; the rest follows as these are acknowledged.
const IN_FLIGHT_MAX: usize = 64;

/// A connection of an agent.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) instance: String,
    channel: Channel,
    next_heartbeat: i64,
    unanswered: u32,
    /// Payloads under way: message id → task, status that it asks for, when to send again.
    in_flight: BTreeMap<String, InFlight>,
    /// The manifest whose stop candidates may still come.
    manifest: Option<String>,
}

#[derive(Debug)]
struct InFlight {
    task: String,
    desired: Desired,
    resend_at: i64,
}

impl Session {
    pub(crate) fn deadline(&self) -> i64 {
        let resends = self.in_flight.values().map(|payload| payload.resend_at);
        resends.chain([self.next_heartbeat]).min().unwrap_or(self.next_heartbeat)
    }
}

/// The text of a member, `""` when it is absent or no text.
fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value.get(member).and_then(Value::as_str).unwrap_or("")
}

impl Plane {
    fn send(&self, step: &mut Step, session: SessionId, kind: &str, message: Value) {
        step.sends.push(Outgoing::Message { session, envelope: json!({"type": kind, "message": message}) });
    }

    /// An agent asks for a session; its query names the instance (spec 10 §2.2).
    pub(crate) fn connected(
        &mut self,
        now: EpochSeconds,
        session: SessionId,
        channel: Channel,
        query: &BTreeMap<String, String>,
        step: &mut Step,
    ) -> Result<Value, Fault> {
        let member = match channel {
            Channel::Acs => "containerInstanceArn",
            Channel::Tcs => "containerInstance",
        };
        let arn = query.get(member).cloned().unwrap_or_default();
        let refusal = match self.instances.get(&arn) {
            Some(instance) if instance.is_registered() => None,
            Some(_) => Some(("InactiveInstanceException", "The container instance is inactive.")),
            None => Some(("InvalidInstanceException", "The container instance is unknown.")),
        };
        if let Some((code, because)) = refusal {
            step.notes.push(Note::SessionRefused { instance: arn, because: because.to_owned() });
            return Err(Fault::other(code, because));
        }
        self.sessions.insert(
            session,
            Session {
                instance: arn.clone(),
                channel,
                next_heartbeat: now.as_millis() + HEARTBEAT_MS,
                unanswered: 0,
                in_flight: BTreeMap::new(),
                manifest: None,
            },
        );
        if channel == Channel::Acs {
            self.agent_connected(now, session, &arn, query, step);
        }
        Ok(json!({}))
    }

    fn agent_connected(
        &mut self,
        now: EpochSeconds,
        session: SessionId,
        arn: &str,
        query: &BTreeMap<String, String>,
        step: &mut Step,
    ) {
        let Some(instance) = self.instances.get_mut(arn) else { return };
        // A newer connection replaces an older one, whose end we may not have noticed.
        if let Some(old) = instance.acs.replace(session) {
            step.sends.push(Outgoing::Close { session: old });
        }
        let before = instance.version_info.clone();
        let info = &mut instance.version_info;
        for (member, field) in [
            ("agentVersion", &mut info.agent_version),
            ("agentHash", &mut info.agent_hash),
            ("dockerVersion", &mut info.docker_version),
        ] {
            if let Some(value) = query.get(member) {
                *field = Some(value.clone());
            }
        }
        if instance.version_info != before {
            instance.version += 1;
            self.touch(Table::Instance, arn);
        }
        // An agent's first session asks for what only its memory holds (spec 10 §6.3).
        if query.get("sendCredentials").is_some_and(|wanted| wanted == "true") {
            self.redeliver_credentials(arn);
        }
        let version = query.get("agentVersion").cloned().unwrap_or_default();
        step.notes.push(Note::AgentConnected { instance: arn.to_owned(), version });
        self.send_manifest(now, session, arn, step);
    }

    /// Tells the agent which tasks it should have; it answers with those that it has beyond them.
    fn send_manifest(&mut self, now: EpochSeconds, session: SessionId, arn: &str, step: &mut Step) {
        let Some(cluster) = self.instances.get(arn).map(|instance| instance.cluster.clone()) else { return };
        let cluster = self.settings.cluster_arn(&cluster);
        let tasks: Vec<Value> = self
            .live
            .get(arn)
            .into_iter()
            .flatten()
            .filter_map(|task| Some((task, self.tasks.get(task)?)))
            .map(|(arn, task)| json!({"taskArn": arn, "taskClusterArn": cluster, "desiredStatus": task.desired.name()}))
            .collect();
        let id = self.dice.uuid();
        let timeline = self.next_sequence(now);
        let message = json!({
            "messageId": id, "clusterArn": cluster, "containerInstanceArn": arn,
            "generatedAt": now.as_millis(), "timeline": timeline, "tasks": tasks,
        });
        if let Some(open) = self.sessions.get_mut(&session) {
            open.manifest = Some(id);
        }
        self.send(step, session, "TaskManifestMessage", message);
    }

    pub(crate) fn closed(&mut self, session: SessionId, step: &mut Step) {
        let Some(gone) = self.sessions.remove(&session) else { return };
        if let Some(instance) = self.instances.get_mut(&gone.instance)
            && instance.acs == Some(session)
        {
            instance.acs = None;
            step.notes.push(Note::AgentDisconnected { instance: gone.instance });
        }
    }

    pub(crate) fn message(&mut self, now: EpochSeconds, session: SessionId, frame: &str, step: &mut Step) {
        let Some(open) = self.sessions.get(&session) else { return };
        let (channel, instance) = (open.channel, open.instance.clone());
        // Telemetry frames are signed: header lines and an empty line come first (spec 10 §5.1).
        let body = frame.split_once("\r\n\r\n").map_or(frame, |(_, body)| body);
        let envelope: Value = serde_json::from_str(body).unwrap_or(Value::Null);
        let kind = text(&envelope, "type").to_owned();
        let message = envelope.get("message").cloned().unwrap_or(Value::Null);
        match (channel, kind.as_str()) {
            (Channel::Acs, "AckRequest") => self.acknowledged(session, text(&message, "messageId")),
            (Channel::Acs, "HeartbeatAckRequest") => {
                if let Some(open) = self.sessions.get_mut(&session) {
                    open.unanswered = 0;
                }
            }
            (Channel::Acs, "TaskStopVerificationMessage") => {
                self.verify_stops(now, session, &message, step);
            }
            (Channel::Acs, "IAMRoleCredentialsAckRequest") => {
                let (id, message_id) = (text(&message, "credentialsId"), text(&message, "messageId"));
                self.credentials_acknowledged(session, id, message_id);
            }
            (Channel::Acs, "NackRequest") => {}
            (Channel::Tcs, "PublishMetricsRequest") => {
                if !self.take_metrics(now, &instance, &message) {
                    step.notes.push(Note::MessageNotUnderstood { instance, kind });
                }
                self.send(step, session, "AckPublishMetric", json!({"message": ""}));
            }
            (Channel::Tcs, "PublishHealthRequest") => {
                if !self.take_health(&instance, &message) {
                    step.notes.push(Note::MessageNotUnderstood { instance, kind });
                }
                self.send(step, session, "AckPublishHealth", json!({"message": ""}));
            }
            (Channel::Tcs, "PublishInstanceStatusRequest") => {
                self.take_instance_status(&instance, &message);
                self.send(step, session, "AckPublishInstanceStatus", json!({"message": ""}));
            }
            _ => step.notes.push(Note::MessageNotUnderstood { instance, kind }),
        }
    }

    fn acknowledged(&mut self, session: SessionId, message_id: &str) {
        let Some(open) = self.sessions.get_mut(&session) else { return };
        let Some(payload) = open.in_flight.remove(message_id) else { return };
        let instance = open.instance.clone();
        if let Some(task) = self.tasks.get_mut(&payload.task) {
            task.acknowledged = task.acknowledged.max(Some(payload.desired));
            if !task.is_owed()
                && let Some(owed) = self.owed.get_mut(&instance)
            {
                owed.remove(&payload.task);
                if owed.is_empty() {
                    self.owed.remove(&instance);
                }
            }
            self.touch(Table::Task, &payload.task);
        }
    }

    /// The agent has tasks that the manifest does not want to run: confirms those that are really to stop.
    fn verify_stops(&mut self, now: EpochSeconds, session: SessionId, message: &Value, step: &mut Step) {
        let Some(open) = self.sessions.get_mut(&session) else { return };
        let manifest = text(message, "messageId");
        if open.manifest.as_deref() != Some(manifest) {
            return;
        }
        open.manifest = None;
        let candidates = message.get("stopCandidates").and_then(Value::as_array).into_iter().flatten();
        let stop: Vec<Value> = candidates
            .filter(|candidate| {
                self.tasks
                    .get(text(candidate, "taskArn"))
                    .is_none_or(|task| task.desired == Desired::Stopped || task.is_stopped())
            })
            .cloned()
            .collect();
        let message = json!({"messageId": manifest, "generatedAt": now.as_millis(), "stopTasks": stop});
        self.send(step, session, "TaskStopVerificationAck", message);
    }

    fn take_instance_status(&mut self, arn: &str, message: &Value) {
        let time = |value: &Value, member: &str| {
            let seconds = value.get(member)?.as_f64()?;
            Some(EpochSeconds::from_millis((seconds * 1000.0).round() as i64))
        };
        let statuses = message.get("statuses").and_then(Value::as_array).into_iter().flatten();
        let health: Vec<InstanceHealthCheckResult> = statuses
            .map(|status| InstanceHealthCheckResult {
                kind: match text(status, "type") {
                    "ContainerRuntime" => "CONTAINER_RUNTIME".to_owned(),
                    other => other.to_owned(),
                },
                status: text(status, "status").to_owned(),
                last_updated: time(status, "lastUpdated"),
                last_status_change: time(status, "lastStatusChange"),
            })
            .collect();
        // Kept in memory only: the agent tells it anew every minute.
        if let Some(instance) = self.instances.get_mut(arn) {
            instance.health = health;
        }
    }

    /// Sends what is due: heartbeats, and payloads that are owed and not under way.
    pub(crate) fn deliver(&mut self, now: EpochSeconds, step: &mut Step) {
        let at = now.as_millis();
        let mut closing = Vec::new();
        for (id, session) in &mut self.sessions {
            session.in_flight.retain(|_, payload| payload.resend_at > at);
            // A heartbeat further away than the interval means that the clock was set back.
            if session.next_heartbeat > at && session.next_heartbeat - at <= HEARTBEAT_MS {
                continue;
            }
            session.next_heartbeat = at + HEARTBEAT_MS;
            let message = match session.channel {
                Channel::Tcs => json!({"healthy": true}),
                Channel::Acs if session.unanswered >= UNANSWERED_MAX => {
                    closing.push(*id);
                    step.notes.push(Note::AgentSilent { instance: session.instance.clone() });
                    continue;
                }
                Channel::Acs => {
                    session.unanswered += 1;
                    json!({"messageId": self.dice.uuid(), "healthy": true})
                }
            };
            let envelope = json!({"type": "HeartbeatMessage", "message": message});
            step.sends.push(Outgoing::Message { session: *id, envelope });
        }
        for id in closing {
            step.sends.push(Outgoing::Close { session: id });
            self.closed(id, step);
        }
        let owing: Vec<(SessionId, String)> =
            self.owed.keys().filter_map(|arn| Some((self.instances.get(arn)?.acs?, arn.clone()))).collect();
        for (session, instance) in owing {
            self.deliver_to(now, session, &instance, step);
        }
    }

    fn deliver_to(&mut self, now: EpochSeconds, session: SessionId, instance: &str, step: &mut Step) {
        let Some(open) = self.sessions.get(&session) else { return };
        let under_way = |arn: &str, desired: Desired| {
            open.in_flight.values().any(|payload| payload.task == arn && payload.desired == desired)
        };
        let room = IN_FLIGHT_MAX.saturating_sub(open.in_flight.len());
        let due: Vec<String> = self
            .owed
            .get(instance)
            .into_iter()
            .flatten()
            .filter(|arn| {
                let Some(task) = self.tasks.get(*arn) else { return false };
                let is_ready = task.desired == Desired::Stopped || self.has_credentials(arn);
                is_ready && !under_way(arn, task.desired)
            })
            .take(room)
            .cloned()
            .collect();
        for arn in due {
            let message_id = self.dice.uuid();
            let sequence = self.next_sequence(now);
            let Some(task) = self.tasks.get(&arn) else { continue };
            let desired = task.desired;
            let mut payload = task.payload.as_object().cloned().unwrap_or_default();
            payload.insert("desiredStatus".into(), json!(desired.name()));
            let cluster = task.shape.cluster_arn.clone();
            if desired == Desired::Running {
                self.put_credentials(now, &arn, session, &message_id, &mut payload);
            }
            let message = json!({
                "messageId": message_id,
                "clusterArn": cluster,
                "containerInstanceArn": instance,
                "generatedAt": now.as_millis(),
                "seqNum": sequence,
                "tasks": [payload],
            });
            if let Some(open) = self.sessions.get_mut(&session) {
                let resend_at = now.as_millis() + RESEND_MS;
                // An order to stop overtakes the order to run that it follows.
                open.in_flight.retain(|_, payload| payload.task != arn);
                open.in_flight.insert(message_id, InFlight { task: arn, desired, resend_at });
            }
            self.send(step, session, "PayloadMessage", message);
        }
    }

    /// Whether the instance's agent is connected; for tools beside the API.
    #[must_use]
    pub fn is_connected(&self, instance: &str) -> bool {
        self.instances.get(instance).is_some_and(|instance: &Instance| instance.acs.is_some())
    }
}
