//! Role credentials for the tasks of the embedded control plane: where they come from, and the only place beside the
//! agent's vault where their values are. They are joined with a message just before it is written to the socket.

mod file;
mod source;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Mutex, PoisonError};

use aws::Credentials;
use jiff::{SignedDuration, Timestamp};
use plane::{Granted, Refused, RoleKind};
use serde_json::Value;

pub(crate) use source::{Choice, Source};

/// How long credentials count that have no end of their own: they are looked for again before it.
const LEASE: SignedDuration = SignedDuration::from_hours(1);

/// A source, and what it gave.
#[derive(Debug)]
pub(crate) struct Roles {
    source: Source,
    held: Mutex<BTreeMap<String, Credentials>>,
}

impl Roles {
    pub(crate) fn new(source: Source) -> Self {
        Self { source, held: Mutex::default() }
    }

    /// No source: no task gets credentials.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self::new(Source::None)
    }

    /// Obtains credentials for a role of a task and keeps them under `id`, or one that is drawn.
    pub(super) async fn obtain(
        &self,
        task: &str,
        kind: RoleKind,
        role_arn: &str,
        id: Option<String>,
    ) -> Result<Granted, Refused> {
        let mut found = self.source.credentials(task, role_arn).await?;
        let now = Timestamp::now();
        let expires = match found.expires {
            Some(expires) if expires <= now => {
                let reason = format!("they expired at {expires}");
                return Err(Refused { reason, is_final: true });
            }
            Some(expires) => expires,
            None => now.checked_add(LEASE).unwrap_or(now),
        };
        found.expires = Some(expires);
        let id = match id {
            Some(id) => id,
            None => {
                draw().map_err(|error| Refused { reason: format!("no random number: {error}"), is_final: false })?
            }
        };
        tracing::debug!(task, role = role_arn, kind = kind.name(), %expires, "role credentials obtained");
        self.held.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), found);
        Ok(Granted { credentials_id: id, expires })
    }

    pub(super) fn forget(&self, id: &str) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// Adds the values to the credentials that a message names; false when some are not held.
    pub(super) fn fill(&self, envelope: &mut Value) -> bool {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let fill = |named: &mut Value| {
            let id = named.get("credentialsId").and_then(Value::as_str).unwrap_or_default();
            let Some(credentials) = held.get(id) else { return false };
            let expires = credentials.expires.unwrap_or(Timestamp::UNIX_EPOCH);
            let token = credentials.session_token.as_ref().map_or("", |token| token.expose().as_str());
            named["accessKeyId"] = Value::from(credentials.access_key_id.as_str());
            named["secretAccessKey"] = Value::from(credentials.secret.expose().as_str());
            named["sessionToken"] = Value::from(token);
            // Whole seconds, as AWS has it.
            named["expiration"] = Value::from(expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
            true
        };
        let kind = envelope.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let Some(message) = envelope.get_mut("message") else { return true };
        match kind.as_str() {
            "IAMRoleCredentialsMessage" => message.get_mut("roleCredentials").is_some_and(fill),
            "PayloadMessage" => {
                let tasks = message.get_mut("tasks").and_then(Value::as_array_mut).into_iter().flatten();
                let mut is_whole = true;
                for task in tasks {
                    for member in ["roleCredentials", "executionRoleCredentials"] {
                        if let Some(named) = task.get_mut(member) {
                            is_whole &= fill(named);
                        }
                    }
                }
                is_whole
            }
            _ => true,
        }
    }
}

/// An id that nobody can guess: whoever knows it is given the credentials.
fn draw() -> std::io::Result<String> {
    let mut bytes = [0_u8; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    // Version 4, variant 1.
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    Ok(parts.join("-"))
}
