//! Task protection against scale-in (spec 30 §4.1): the task's request, made to ECS in the task's own name.

use std::time::Duration;

use aws::json11::CallErrorKind;
use aws::{CallError, Credentials};
use engine::task::Task;
use http::StatusCode;
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;
use wire::ecs::{GetTaskProtectionRequest, TaskProtectionResponse, UpdateTaskProtectionRequest};
use wire::metadata::{AgentApiError, Protection, ProtectionAnswer, ProtectionFailure};
use wire::task_server::protection::Wish;

use super::Endpoints;
use super::answer::Answer;
use super::ecs::{Ecs, EcsCall};

/// For the call with its retries; below the server's own limit, so that the task hears of it.
const BUDGET: Duration = Duration::from_secs(4);

const ATTEMPTS: u32 = 3;

/// Answers a GET (without `body`) or a PUT.
pub(super) async fn answer(endpoints: &Endpoints, endpoint: &str, body: Option<&[u8]>) -> Answer {
    let wish = match body.map(Wish::parse) {
        Some(None) => {
            return refuse(
                StatusCode::BAD_REQUEST,
                "",
                "InvalidParameterException",
                "UpdateTaskProtection: failed to decode request",
            );
        }
        Some(Some(wish)) => Some(wish),
        None => None,
    };
    let Some(caller) = endpoints.index.caller(&endpoints.published, endpoint) else {
        let text = "Failed to find a task for the request";
        return refuse(StatusCode::NOT_FOUND, "", "ResourceNotFoundException", text);
    };
    let task = &caller.task;
    let arn = task.arn().as_str();
    if wish.is_some_and(|wish| wish.is_protected.is_none()) {
        let text = "Invalid request: does not contain 'ProtectionEnabled' field";
        return refuse(StatusCode::BAD_REQUEST, arn, "InvalidParameterException", text);
    }
    let Some(credentials) = credentials(endpoints, task) else {
        let text = "Invalid Request: no task IAM role credentials available for task";
        return refuse(StatusCode::FORBIDDEN, arn, "AccessDeniedException", text);
    };
    let Some(ecs) = &endpoints.ecs else {
        let text = "the control plane is not connected yet";
        return refuse(StatusCode::INTERNAL_SERVER_ERROR, arn, "ServerException", text);
    };
    let instance = endpoints.published.instance();
    let cluster = super::metadata::place(endpoints, instance.as_ref()).cluster.to_owned();
    match ask(ecs, &credentials, cluster, arn, wish).await {
        Ok(answer) => evaluate(arn, answer),
        Err(error) => failure(arn, &error),
    }
}

fn credentials(endpoints: &Endpoints, task: &Task) -> Option<Credentials> {
    let held = endpoints.vault.get(task.definition.task_credentials.as_ref()?)?;
    let values = &held.credentials;
    let token = Some(values.session_token.expose().clone());
    Some(Credentials::new(values.access_key_id.as_str(), values.secret_access_key.expose().clone(), token))
}

async fn ask(
    ecs: &Ecs,
    credentials: &Credentials,
    cluster: String,
    arn: &str,
    wish: Option<Wish>,
) -> Result<TaskProtectionResponse, CallError> {
    let end = Instant::now() + BUDGET;
    let tasks = vec![arn.to_owned()];
    let mut attempt = 1;
    loop {
        let call = |operation| EcsCall {
            operation,
            input: Value::Null,
            credentials: Some(credentials.clone()),
            user_agent_suffix: None,
            deadline: end.saturating_duration_since(Instant::now()),
        };
        let (cluster, tasks) = (Some(cluster.clone()), tasks.clone());
        let outcome = match wish {
            None => {
                ecs.call(call("GetTaskProtection"), &GetTaskProtectionRequest { cluster, tasks: Some(tasks) }).await
            }
            Some(wish) => {
                let input = UpdateTaskProtectionRequest {
                    cluster,
                    tasks,
                    protection_enabled: wish.is_protected.unwrap_or_default(),
                    expires_in_minutes: wish.minutes.map(narrowed),
                };
                ecs.call(call("UpdateTaskProtection"), &input).await
            }
        };
        match outcome {
            Err(error) if error.is_retryable() && attempt < ATTEMPTS && Instant::now() < end => {
                tokio::time::sleep(Duration::from_millis(100 << attempt).min(end - Instant::now())).await;
                attempt += 1;
            }
            outcome => return outcome,
        }
    }
}

/// To 32 bits, by cutting, as the reference does.
fn narrowed(minutes: i64) -> i64 {
    #[allow(clippy::cast_possible_truncation)]
    let cut = minutes as i32;
    i64::from(cut)
}

fn evaluate(arn: &str, answer: TaskProtectionResponse) -> Answer {
    let mut failures = answer.failures;
    let mut protected = answer.protected_tasks;
    let document = match (failures.len(), protected.len()) {
        (1, _) => {
            let failure = failures.remove(0);
            let failure = ProtectionFailure { arn: failure.arn, detail: failure.detail, reason: failure.reason };
            ProtectionAnswer { failure: Some(failure), ..ProtectionAnswer::default() }
        }
        (0, 1) => {
            let task = protected.remove(0);
            let expires = task.expiration_date.and_then(|at| Timestamp::from_millisecond(at.as_millis()).ok());
            let protection = Protection {
                expiration_date: expires,
                protection_enabled: task.protection_enabled,
                task_arn: task.task_arn,
            };
            ProtectionAnswer { protection: Some(protection), ..ProtectionAnswer::default() }
        }
        _ => {
            let text = "Unexpected error occurred";
            return refuse(StatusCode::INTERNAL_SERVER_ERROR, arn, "ServerException", text);
        }
    };
    Answer::json(StatusCode::OK, &document)
}

fn failure(arn: &str, error: &CallError) -> Answer {
    match &error.kind {
        CallErrorKind::Timeout { .. } => {
            let text = "Timed out calling ECS Task Protection API";
            refuse(StatusCode::GATEWAY_TIMEOUT, arn, "RequestCanceled", text)
        }
        CallErrorKind::Service { code, message, status, request_id } => {
            let error = AgentApiError { arn: arn.to_owned(), code: code.clone(), message: message.clone() };
            let document = ProtectionAnswer {
                request_id: Some(request_id.clone().unwrap_or_default()),
                error: Some(error),
                ..ProtectionAnswer::default()
            };
            Answer::json(StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &document)
        }
        other => refuse(StatusCode::INTERNAL_SERVER_ERROR, arn, "ServerException", &other.to_string()),
    }
}

fn refuse(status: StatusCode, arn: &str, code: &str, message: &str) -> Answer {
    let error = AgentApiError { arn: arn.to_owned(), code: code.to_owned(), message: message.to_owned() };
    Answer::json(status, &ProtectionAnswer { error: Some(error), ..ProtectionAnswer::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_are_cut_to_32_bits() {
        assert_eq!(narrowed(4_294_967_297), 1);
    }
}
