//! Credentials of roles (spec 30 §2).

use std::sync::Arc;

use engine::status::TaskStatus;
use http::StatusCode;
use wire::ids::CredentialsId;
use wire::metadata::{CredentialsDocument, CredentialsFault};

use super::Endpoints;
use super::answer::Answer;
use crate::agent::vault::Held;

/// The answer, and what was given out.
pub(super) fn answer(endpoints: &Endpoints, version: &str, id: &str) -> (Answer, Option<Arc<Held>>) {
    let refuse = |status: StatusCode, code, text: &str| {
        let message = format!("Credentials{version}Request: {text}");
        (Answer::json(status, &CredentialsFault { code, message, status: status.as_u16() }), None)
    };
    if id.is_empty() {
        return refuse(StatusCode::BAD_REQUEST, "NoIdInRequest", "No Credential ID in the request");
    }
    let id = CredentialsId::from(id);
    if let Some(held) = endpoints.vault.get(&id) {
        return match wire::metadata::to_vec(&CredentialsDocument::from(&held.credentials)) {
            Ok(text) => (Answer::rendered(text.into()), Some(held)),
            Err(_) => {
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                let fault = CredentialsFault {
                    code: "InternalServerError",
                    message: "Internal server error".to_owned(),
                    status: status.as_u16(),
                };
                (Answer::json(status, &fault), None)
            }
        };
    }
    if is_expected(endpoints, &id) {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "CredentialsUninitialized", "Credentials uninitialized for ID");
    }
    refuse(StatusCode::BAD_REQUEST, "InvalidIdInRequest", "Credentials not found")
}

/// Whether a task of ours has this id, so that its values are only late, as after a restart of the agent. A task's
/// own role ends with the task, its execution role with the task's clean-up (spec 30 §2.3).
fn is_expected(endpoints: &Endpoints, id: &CredentialsId) -> bool {
    endpoints.published.tasks().iter().any(|task| {
        let definition = &task.definition;
        (definition.task_credentials.as_ref() == Some(id) && task.state.known != TaskStatus::Stopped)
            || definition.execution_credentials.as_ref() == Some(id)
    })
}
