//! Role credentials (spec 10 §6): which tasks need some, when the shell is asked for them, when they go to the agent
//! and when they are refreshed. Their values never come here: messages name them by id, and the shell fills them in.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use wire::ecs::{self, EpochSeconds, TaskDefinition};

use crate::Plane;
use crate::event::{Granted, Note, Outgoing, Refused, SessionId, Step, Wish};
use crate::rows::Table;
use crate::session::RESEND_MS;
use crate::task::Desired;

/// Refresh comes a quarter of the life before the end, and never earlier than this.
const MARGIN_MAX_MS: i64 = 15 * 60_000;

/// Attempts before a task is given up that cannot start without.
const ATTEMPTS_MAX: u32 = 3;

/// Between attempts while a task waits, doubled each time.
const PAUSE_MS: i64 = 1_000;

/// Between attempts to refresh, at most.
const REFRESH_PAUSE_MAX_MS: i64 = 30_000;

/// How often at most a message that is not acknowledged is sent on one connection.
const SENDS_MAX: u32 = 3;

/// What a role is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RoleKind {
    /// For the task's own code.
    TaskApplication,
    /// For what the agent does on the task's behalf.
    TaskExecution,
}

impl RoleKind {
    /// As messages have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TaskApplication => "TaskApplication",
            Self::TaskExecution => "TaskExecution",
        }
    }

    /// The member of a payload's task.
    const fn member(self) -> &'static str {
        match self {
            Self::TaskApplication => "roleCredentials",
            Self::TaskExecution => "executionRoleCredentials",
        }
    }

    /// For people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::TaskApplication => "task role",
            Self::TaskExecution => "execution role",
        }
    }
}

/// A role of a task.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Role {
    pub(crate) kind: RoleKind,
    pub(crate) arn: String,
    /// Drawn by the shell; the same for the task's whole life, since its containers are created with it.
    pub(crate) credentials_id: Option<String>,
}

impl std::fmt::Debug for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Whoever knows the id can ask for the credentials.
        f.debug_struct("Role").field("kind", &self.kind).field("arn", &self.arn).finish_non_exhaustive()
    }
}

/// How it stands with one role's credentials. Not stored: the values are not either.
#[derive(Debug, Default)]
pub(crate) struct Lease {
    /// The shell was asked and has not answered yet.
    is_asked: bool,
    /// When to ask next.
    ask_at: i64,
    /// Attempts in a row that failed.
    failures: u32,
    /// When what the shell holds ends; `None` while it holds nothing that is still valid.
    expires: Option<i64>,
    /// The shell held something once, so that the agent may have the task, and a refresh that fails must not end it.
    was_held: bool,
    /// The agent has what the shell holds.
    is_delivered: bool,
    sent: Option<Sent>,
}

#[derive(Debug)]
struct Sent {
    session: SessionId,
    message_id: String,
    again_at: i64,
    times: u32,
}

/// What the API says of a role that gives no credentials.
fn not_assumed(role: &str, reason: &str) -> String {
    format!(
        "ECS was unable to assume the role '{role}' that was provided for this task. Please verify that the role \
         being passed has the proper trust relationship and permissions and that your IAM user has permissions to \
         pass this role. ({reason})"
    )
}

/// The roles that a task has by its definition and the overrides of its run.
pub(crate) fn roles(definition: &TaskDefinition, overrides: &ecs::TaskOverride) -> Vec<Role> {
    let own = overrides.task_role_arn.as_ref().or(definition.task_role_arn.as_ref());
    let execution = overrides.execution_role_arn.as_ref().or(definition.execution_role_arn.as_ref());
    let role = |kind, arn: Option<&String>| {
        let arn = arn.filter(|arn| !arn.is_empty())?.clone();
        Some(Role { kind, arn, credentials_id: None })
    };
    let both = [role(RoleKind::TaskApplication, own), role(RoleKind::TaskExecution, execution)];
    both.into_iter().flatten().collect()
}

impl Plane {
    /// A new task has roles: credentials are asked for, or it is said that there will be none.
    pub(crate) fn begin_roles(&mut self, now: EpochSeconds, arn: &str, asked_for: Vec<Role>, step: &mut Step) {
        if self.settings.delivers_credentials {
            if let Some(task) = self.tasks.get_mut(arn) {
                self.leases.extend(asked_for.iter().map(|role| ((arn.to_owned(), role.kind), Lease::default())));
                task.roles = asked_for;
            }
            return;
        }
        // The execution role is for the agent, which has the user's own Docker login instead.
        for role in asked_for.iter().filter(|role| role.kind == RoleKind::TaskApplication) {
            let text = format!(
                "the task asks for role {} and gets no credentials: this control plane was started without a source \
                 of them (--task-credentials)",
                role.arn
            );
            self.remark(now, arn, text.clone(), true);
            step.notes.push(Note::TaskRemark { task: arn.to_owned(), text, is_trouble: true });
        }
    }

    /// A task is over: nobody needs its credentials any more.
    pub(crate) fn end_leases(&mut self, arn: &str, step: &mut Step) {
        let Some(task) = self.tasks.get(arn) else { return };
        for role in &task.roles {
            self.leases.remove(&(arn.to_owned(), role.kind));
            if let Some(credentials_id) = role.credentials_id.clone() {
                step.wishes.push(Wish::Forget { credentials_id });
            }
        }
    }

    /// The agent's process is new and has no credentials.
    pub(crate) fn redeliver_credentials(&mut self, instance: &str) {
        let live = self.live.get(instance).into_iter().flatten();
        for arn in live {
            for kind in [RoleKind::TaskApplication, RoleKind::TaskExecution] {
                if let Some(lease) = self.leases.get_mut(&(arn.clone(), kind)) {
                    lease.is_delivered = false;
                    lease.sent = None;
                }
            }
        }
    }

    /// What the shell found.
    pub(crate) fn credentials_answered(
        &mut self,
        now: EpochSeconds,
        arn: &str,
        kind: RoleKind,
        outcome: Result<Granted, Refused>,
        step: &mut Step,
    ) {
        let key = (arn.to_owned(), kind);
        let role = self.tasks.get_mut(arn).and_then(|task| task.roles.iter_mut().find(|role| role.kind == kind));
        let (Some(lease), Some(role)) = (self.leases.get_mut(&key), role) else {
            // The task ended meanwhile.
            if let Ok(Granted { credentials_id, .. }) = outcome {
                step.wishes.push(Wish::Forget { credentials_id });
            }
            return;
        };
        let role_arn = role.arn.clone();
        lease.is_asked = false;
        let at = now.as_millis();
        match outcome {
            Ok(granted) => {
                let expires = granted.expires.as_millisecond();
                lease.expires = Some(expires);
                let is_refresh = std::mem::replace(&mut lease.was_held, true);
                let life = (expires - at).max(0);
                lease.ask_at = (expires - (life / 4).min(MARGIN_MAX_MS)).max(at + PAUSE_MS);
                lease.failures = 0;
                lease.is_delivered = false;
                lease.sent = None;
                if role.credentials_id.as_ref() != Some(&granted.credentials_id) {
                    role.credentials_id = Some(granted.credentials_id);
                    self.touch(Table::Task, arn);
                }
                let verb = if is_refresh { "refreshed" } else { "obtained" };
                let text = format!(
                    "credentials of the {} {role_arn} were {verb}; they are valid until {}",
                    kind.words(),
                    granted.expires.strftime("%Y-%m-%dT%H:%M:%SZ")
                );
                self.remark(now, arn, text.clone(), false);
                step.notes.push(Note::TaskRemark { task: arn.to_owned(), text, is_trouble: false });
            }
            Err(refused) => {
                lease.failures += 1;
                let failures = lease.failures;
                let may_start = lease.was_held || self.tasks.get(arn).is_some_and(|t| t.acknowledged.is_some());
                if !may_start && (refused.is_final || failures >= ATTEMPTS_MAX) {
                    self.fail_for_role(now, arn, not_assumed(&role_arn, &refused.reason), step);
                    return;
                }
                lease.ask_at = at
                    + match lease.expires {
                        None if !may_start => PAUSE_MS << (failures - 1).min(5),
                        Some(expires) if expires > at => ((expires - at) / 4).clamp(PAUSE_MS, REFRESH_PAUSE_MAX_MS),
                        _ => REFRESH_PAUSE_MAX_MS,
                    };
                // Once is enough to say; the log has each.
                let text =
                    format!("credentials of the {} {role_arn} are not to be had: {}", kind.words(), refused.reason);
                if failures == 1 {
                    self.remark(now, arn, text.clone(), true);
                }
                step.notes.push(Note::TaskRemark { task: arn.to_owned(), text, is_trouble: true });
            }
        }
    }

    fn fail_for_role(&mut self, now: EpochSeconds, arn: &str, reason: String, step: &mut Step) {
        if let Some(task) = self.tasks.get_mut(arn) {
            task.shape.stop_code.get_or_insert_with(|| "TaskFailedToStart".to_owned());
            task.shape.stopped_reason.get_or_insert(reason);
        }
        self.stop_now(now, arn, step);
    }

    /// Whether nothing keeps a task from its agent: the shell holds valid credentials of all its roles.
    pub(crate) fn has_credentials(&self, arn: &str) -> bool {
        let Some(task) = self.tasks.get(arn) else { return false };
        let mut leases = task.roles.iter().map(|role| self.leases.get(&(arn.to_owned(), role.kind)));
        leases.all(|lease| lease.is_some_and(|lease| lease.expires.is_some()))
    }

    /// Puts the roles into a payload's task, without values.
    pub(crate) fn put_credentials(
        &mut self,
        now: EpochSeconds,
        arn: &str,
        session: SessionId,
        message_id: &str,
        payload: &mut Map<String, Value>,
    ) {
        let Some(task) = self.tasks.get(arn) else { return };
        for role in &task.roles {
            let Some(lease) = self.leases.get_mut(&(arn.to_owned(), role.kind)) else { continue };
            payload.insert(role.kind.member().to_owned(), named(role));
            let again_at = now.as_millis() + RESEND_MS;
            lease.is_delivered = false;
            lease.sent = Some(Sent { session, message_id: message_id.to_owned(), again_at, times: 1 });
        }
    }

    /// The agent has taken credentials.
    pub(crate) fn credentials_acknowledged(&mut self, session: SessionId, credentials_id: &str, message_id: &str) {
        for ((arn, kind), lease) in &mut self.leases {
            let is_sent = |sent: &Sent| sent.session == session && sent.message_id == message_id;
            let is_named = || {
                let task = self.tasks.get(arn);
                let role = task.and_then(|task| task.roles.iter().find(|role| role.kind == *kind));
                role.is_some_and(|role| role.credentials_id.as_deref() == Some(credentials_id))
            };
            if lease.sent.as_ref().is_some_and(is_sent) && is_named() {
                lease.is_delivered = true;
                lease.sent = None;
            }
        }
    }

    /// Lets go of what has expired, asks the shell for what is due, and sends agents what is new for tasks that they
    /// have.
    pub(crate) fn tend_credentials(&mut self, now: EpochSeconds, step: &mut Step) {
        let at = now.as_millis();
        for ((arn, kind), lease) in &mut self.leases {
            lease.expires = lease.expires.filter(|expires| *expires > at);
            if lease.is_asked || lease.ask_at > at {
                continue;
            }
            let Some(role) = self.tasks.get(arn).and_then(|task| task.roles.iter().find(|role| role.kind == *kind))
            else {
                continue;
            };
            lease.is_asked = true;
            step.wishes.push(Wish::Obtain {
                task: arn.clone(),
                kind: *kind,
                role_arn: role.arn.clone(),
                credentials_id: role.credentials_id.clone(),
            });
        }
        let due: Vec<(String, RoleKind)> = self
            .leases
            .iter()
            .filter(|(key, lease)| self.delivery_at(&key.0, lease).is_some_and(|due| due <= at))
            .map(|(key, _)| key.clone())
            .collect();
        for (arn, kind) in due {
            self.send_refresh(now, &arn, kind, step);
        }
    }

    fn send_refresh(&mut self, now: EpochSeconds, arn: &str, kind: RoleKind, step: &mut Step) {
        let message_id = self.dice.uuid();
        let Some(task) = self.tasks.get(arn) else { return };
        let Some(session) = self.instances.get(&task.instance).and_then(|instance| instance.acs) else { return };
        let Some(role) = task.roles.iter().find(|role| role.kind == kind) else { return };
        let Some(lease) = self.leases.get_mut(&(arn.to_owned(), kind)) else { return };
        let times = lease.sent.as_ref().filter(|sent| sent.session == session).map_or(0, |sent| sent.times);
        let again_at = now.as_millis() + RESEND_MS;
        lease.sent = Some(Sent { session, message_id: message_id.clone(), again_at, times: times + 1 });
        let message = json!({
            "messageId": message_id,
            "taskArn": arn,
            "taskClusterArn": task.shape.cluster_arn,
            "roleType": kind.name(),
            "roleCredentials": named(role),
        });
        let envelope = json!({"type": "IAMRoleCredentialsMessage", "message": message});
        step.sends.push(Outgoing::Message { session, envelope });
    }

    /// When fresh credentials are to be sent to an agent that has the task; `None` while there is nothing to send.
    fn delivery_at(&self, arn: &str, lease: &Lease) -> Option<i64> {
        let task = self.tasks.get(arn)?;
        let session = self.instances.get(&task.instance)?.acs?;
        let has_task = task.acknowledged == Some(Desired::Running) && task.desired == Desired::Running;
        if lease.expires.is_none() || lease.is_delivered || !has_task {
            return None;
        }
        match &lease.sent {
            Some(sent) if sent.session == session && sent.times >= SENDS_MAX => None,
            Some(sent) if sent.session == session => Some(sent.again_at),
            _ => Some(0),
        }
    }

    /// When something about credentials is due.
    pub(crate) fn credentials_deadline(&self) -> Option<i64> {
        let of = |((arn, _), lease): (&(String, RoleKind), &Lease)| {
            let ask = (!lease.is_asked).then_some(lease.ask_at);
            [ask, self.delivery_at(arn, lease)].into_iter().flatten().min()
        };
        self.leases.iter().filter_map(of).min()
    }
}

/// A role's credentials by name; the shell adds the values.
fn named(role: &Role) -> Value {
    json!({"credentialsId": role.credentials_id, "roleArn": role.arn})
}
