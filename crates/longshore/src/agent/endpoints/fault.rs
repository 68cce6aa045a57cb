//! Network fault injection (spec 30 §4.2), as far as it goes without network namespaces of our own: requests are
//! read and judged as the reference does, and refused in its words. The capability is not advertised.

use http::StatusCode;
use wire::metadata::FaultAnswer;
use wire::task_server::route::{FaultKind, FaultOperation};

use super::Endpoints;
use super::answer::Answer;
use engine::task::NetworkMode;

/// Answers a POST.
pub(super) fn answer(
    endpoints: &Endpoints,
    endpoint: &str,
    kind: FaultKind,
    operation: FaultOperation,
    body: &[u8],
) -> Answer {
    let is_read = kind == FaultKind::BlackholePort || operation == FaultOperation::Start;
    if is_read && let Err(text) = wire::task_server::fault::check(kind, body) {
        return refuse(StatusCode::BAD_REQUEST, text);
    }
    let Some(caller) = endpoints.index.caller(&endpoints.published, endpoint) else {
        let text =
            format!("unable to get task arn from request: unable to get task Arn from v3 endpoint ID: {endpoint}");
        return refuse(StatusCode::NOT_FOUND, text);
    };
    let definition = &caller.task.definition;
    if !definition.has_fault_injection {
        let text = format!("enableFaultInjection is not enabled for task: {}", definition.arn);
        return refuse(StatusCode::BAD_REQUEST, text);
    }
    match &definition.network_mode {
        NetworkMode::Host => refuse(StatusCode::INTERNAL_SERVER_ERROR, "internal error".to_owned()),
        // No namespace and no interface of such a task is known (spec 30 trap 30).
        NetworkMode::Bridge | NetworkMode::None | NetworkMode::Awsvpc | NetworkMode::Other(_) => {
            let text = format!("failed to get task metadata due to internal server error for container: {endpoint}");
            refuse(StatusCode::INTERNAL_SERVER_ERROR, text)
        }
    }
}

fn refuse(status: StatusCode, error: String) -> Answer {
    Answer::json(status, &FaultAnswer { status: None, error })
}
