//! Where credentials live: in memory only, joined with a call at the last moment (spec 10 §6).

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use wire::acs::{Inbound, RoleCredentials};
use wire::ids::{CredentialsId, TaskArn};

/// What a task's credentials are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RoleKind {
    /// For the task's own code.
    Application,
    /// For what the agent does on the task's behalf.
    Execution,
}

/// Credentials, and whose they are.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub task: TaskArn,
    pub kind: RoleKind,
    pub credentials: RoleCredentials,
}

/// All credentials that the control plane sent.
#[derive(Clone, Default)]
pub(crate) struct Vault(Arc<RwLock<BTreeMap<CredentialsId, Arc<Held>>>>);

impl Vault {
    pub(crate) fn get(&self, id: &CredentialsId) -> Option<Arc<Held>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    pub(crate) fn forget(&self, id: &CredentialsId) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// Takes the secret values out of a message and keeps them, so that the engine never sees them.
    pub(crate) fn keep_secrets_of(&self, message: &mut Inbound) {
        match message {
            Inbound::Payload(payload) => {
                for task in payload.tasks.iter_mut().flatten() {
                    let arn = TaskArn::from(task.arn.as_str());
                    self.take(&arn, RoleKind::Application, task.role_credentials.as_mut());
                    self.take(&arn, RoleKind::Execution, task.execution_role_credentials.as_mut());
                }
            }
            Inbound::Credentials(refresh) => {
                let kind = match refresh.role_type.as_str() {
                    "TaskApplication" => RoleKind::Application,
                    "TaskExecution" => RoleKind::Execution,
                    _ => return,
                };
                let arn = TaskArn::from(refresh.task_arn.as_str());
                self.take(&arn, kind, refresh.role_credentials.as_mut());
            }
            _ => {}
        }
    }

    fn take(&self, task: &TaskArn, kind: RoleKind, credentials: Option<&mut RoleCredentials>) {
        let Some(credentials) = credentials else { return };
        let without_secrets = RoleCredentials {
            credentials_id: credentials.credentials_id.clone(),
            role_arn: credentials.role_arn.clone(),
            expiration: credentials.expiration.clone(),
            ..RoleCredentials::default()
        };
        let credentials = std::mem::replace(credentials, without_secrets);
        if credentials.credentials_id.is_empty() {
            return;
        }
        let id = CredentialsId::from(credentials.credentials_id.as_str());
        let held = Arc::new(Held { task: task.clone(), kind, credentials });
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(id, held);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn secrets_leave_the_message_and_stay_in_the_vault() {
        let vault = Vault::default();
        let text = r#"{"type":"PayloadMessage","message":{"tasks":[{"arn":"arn:a/1","roleCredentials":
            {"credentialsId":"c-1","accessKeyId":"AKIA","secretAccessKey":"hush","sessionToken":"t","expiration":"2031"}}]}}"#;
        let mut message = wire::acs::inbound(text).unwrap();
        vault.keep_secrets_of(&mut message);
        let Inbound::Payload(payload) = &message else { panic!() };
        let left = payload.tasks[0].as_ref().unwrap().role_credentials.as_ref().unwrap();
        assert_eq!((left.credentials_id.as_str(), left.expiration.as_str()), ("c-1", "2031"));
        assert!(left.access_key_id.is_empty() && left.secret_access_key.expose().is_empty());
        let held = vault.get(&CredentialsId::from("c-1")).unwrap();
        assert_eq!(held.credentials.secret_access_key.expose(), "hush");
        vault.forget(&CredentialsId::from("c-1"));
        assert!(vault.get(&CredentialsId::from("c-1")).is_none());
    }
}
