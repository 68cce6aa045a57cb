//! Statistics of containers and tasks (spec 30 §3.10), from the last samples: nothing is asked for a request.

use std::collections::BTreeMap;

use bytes::Bytes;
use engine::container::Container;
use engine::task::Task;
use http::StatusCode;
use serde_json::value::RawValue;
use wire::task_server::route::Version;

use super::Endpoints;
use super::answer::Answer;
use super::documents::is_listed;
use super::lookup::Caller;
use crate::agent::sampler::Sampled;

pub(super) fn of_container(endpoints: &Endpoints, version: Version, caller: &Caller) -> Answer {
    let container = caller.container();
    let status = match version {
        Version::V3 => StatusCode::BAD_REQUEST,
        Version::V4 => StatusCode::INTERNAL_SERVER_ERROR,
    };
    of(endpoints, &caller.task, container, version == Version::V4, status)
}

/// By Docker id, which must be one of the task's.
pub(super) fn of_id(endpoints: &Endpoints, task: &Task, id: &str) -> Answer {
    match task.containers.iter().find(|container| container.handle() == Some(id)) {
        Some(container) => of(endpoints, task, container, false, StatusCode::BAD_REQUEST),
        None => untracked(StatusCode::BAD_REQUEST, id),
    }
}

fn of(endpoints: &Endpoints, task: &Task, container: &Container, with_rates: bool, status: StatusCode) -> Answer {
    let sampled = endpoints.samples.of(task, container);
    match sampled {
        Sampled::Untracked => untracked(status, container.handle().unwrap_or_default()),
        Sampled::NotYet | Sampled::Some(_) => Answer::rendered(text(&sampled, with_rates)),
    }
}

fn untracked(status: StatusCode, id: &str) -> Answer {
    Answer::complaint(status, &format!("Unable to get container stats for: {id}"))
}

/// By Docker id, all containers that Docker knows.
pub(super) fn of_task(endpoints: &Endpoints, task: &Task, is_v4: bool) -> Answer {
    let mut all: BTreeMap<&str, Box<RawValue>> = BTreeMap::new();
    for container in task.containers.iter().filter(|container| is_listed(container)) {
        let text = text(&endpoints.samples.of(task, container), is_v4);
        let raw = String::from_utf8(text.into()).ok().and_then(|text| RawValue::from_string(text).ok());
        if let (Some(id), Some(raw)) = (container.handle(), raw) {
            all.insert(id, raw);
        }
    }
    if all.is_empty() {
        let status = if is_v4 { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::BAD_REQUEST };
        return Answer::complaint(status, &format!("Unable to get task stats for: {}", task.arn()));
    }
    Answer::json(StatusCode::OK, &all)
}

fn text(sampled: &Sampled, is_v4: bool) -> Bytes {
    let text = match sampled {
        Sampled::Some(sample) => sample.text(is_v4),
        Sampled::NotYet | Sampled::Untracked => None,
    };
    text.unwrap_or(Bytes::from_static(if is_v4 { b"{}" } else { b"null" }))
}
