//! Tags of the task and the container instance (spec 30 §3.7): two calls for each request, the instance's first.

use std::collections::BTreeMap;
use std::time::Duration;

use aws::CallError;
use tokio::time::Instant;
use wire::ecs::{ListTagsForResourceRequest, ListTagsForResourceResponse};
use wire::metadata::{TagError, TaskDocument};

use super::Endpoints;
use super::ecs::{Ecs, EcsCall};

/// For both calls with their retries. The reference tries for 30 s each and hangs up on the client after 5 s.
const BUDGET: Duration = Duration::from_secs(4);

const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Adds the tags to the document. Failures are told in v4 (`caller` is the asking container's name there) and
/// passed over elsewhere.
pub(super) async fn add(endpoints: &Endpoints, document: &mut TaskDocument, caller: Option<&str>) {
    let end = Instant::now() + BUDGET;
    let instance = endpoints.published.instance().and_then(|view| view.instance.clone());
    let suffix = caller.map(|name| format!(" container/{name}"));
    let instance = instance.map(|arn| arn.to_string()).unwrap_or_default();
    let task = document.task_arn.clone();
    for (field, arn) in [("ContainerInstanceTags", instance), ("TaskTags", task)] {
        let outcome = match &endpoints.ecs {
            Some(ecs) => list(ecs, &arn, suffix.clone(), end).await,
            None => Err((0, None)),
        };
        match outcome {
            Ok(tags) if field == "TaskTags" => document.task_tags = tags,
            Ok(tags) => document.container_instance_tags = tags,
            Err((attempts, error)) if caller.is_some() => {
                document.errors.push(describe(field, arn, attempts, error.as_ref()));
            }
            Err(_) => {}
        }
    }
}

fn describe(field: &'static str, arn: String, attempts: u32, error: Option<&CallError>) -> TagError {
    let why = error.map_or_else(|| "the control plane is not connected yet".to_owned(), ToString::to_string);
    TagError {
        error_field: field,
        error_code: error.and_then(|error| error.code().map(str::to_owned)),
        error_message: format!("GetResourceTags failed for {arn} after {attempts} attempts: {why}"),
        status_code: error.and_then(CallError::status),
        request_id: error.and_then(|error| error.request_id().map(str::to_owned)),
        resource_arn: arn,
    }
}

async fn list(
    ecs: &Ecs,
    arn: &str,
    suffix: Option<String>,
    end: Instant,
) -> Result<BTreeMap<String, String>, (u32, Option<CallError>)> {
    let input = ListTagsForResourceRequest { resource_arn: arn.to_owned() };
    let mut pause = FIRST_PAUSE;
    for attempt in 1.. {
        let call = EcsCall {
            operation: "ListTagsForResource",
            input: serde_json::Value::Null,
            credentials: None,
            user_agent_suffix: suffix.clone(),
            deadline: end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1)),
        };
        match ecs.call::<_, ListTagsForResourceResponse>(call, &input).await {
            Ok(answer) => return Ok(answer.tags.into_iter().map(|tag| (tag.key, tag.value)).collect()),
            Err(error) => {
                let may_pass =
                    matches!(error.code(), Some("ThrottlingException" | "ServerException" | "LimitExceededException"));
                if !may_pass || Instant::now() + pause >= end {
                    return Err((attempt, Some(error)));
                }
                tokio::time::sleep(pause).await;
                pause = pause.mul_f64(1.5);
            }
        }
    }
    Err((0, None))
}
