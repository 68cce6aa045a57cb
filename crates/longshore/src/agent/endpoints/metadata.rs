//! Task metadata v2, v3 and v4, and associations (spec 30 §3).

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use engine::InstanceView;
use engine::task::Task;
use http::StatusCode;
use wire::metadata::{AssociationList, TaskDocument};
use wire::task_server::route::{Subject, SubjectV2, Version};

use super::answer::{Answer, JSON};
use super::documents::{Form, NoNetwork, Place, container_document, is_listed, task_document};
use super::lookup::{Caller, Text, by_docker_id, task_by_address};
use super::{Endpoints, stats, tags};

/// A v3 or v4 request.
pub(super) async fn answer(endpoints: &Endpoints, version: Version, endpoint: &str, subject: Subject<'_>) -> Answer {
    let Some(caller) = endpoints.index.caller(&endpoints.published, endpoint) else {
        return unknown(version, endpoint, subject);
    };
    let text = match (version, subject) {
        (Version::V3, Subject::Container) => Text::ContainerV3,
        (Version::V4, Subject::Container) => Text::ContainerV4,
        (Version::V3, Subject::Task) => Text::TaskV3,
        (Version::V4, Subject::Task) => Text::TaskV4,
        (_, Subject::TaskWithTags) => return with_tags(endpoints, version, &caller).await,
        (_, Subject::ContainerStats) => return stats::of_container(endpoints, version, &caller),
        (_, Subject::TaskStats) => return stats::of_task(endpoints, &caller.task, version == Version::V4),
        (_, Subject::Associations(kind)) => return associations(&caller, kind),
        (_, Subject::Association(kind, name)) => return association(&caller.task, version, kind, name),
    };
    let instance = endpoints.published.instance();
    if let Some(text) = caller.text(text, instance.as_ref()) {
        return Answer::rendered(text);
    }
    let answer = match text {
        Text::ContainerV3 | Text::ContainerV4 => container(endpoints, version, &caller, instance.as_ref()),
        Text::TaskV3 | Text::TaskV4 => {
            match task_document(&caller.task, form(version), place(endpoints, instance.as_ref())) {
                Ok(document) => Answer::json(StatusCode::OK, &document),
                Err(missing) => no_network(version, &missing),
            }
        }
    };
    if answer.status == StatusCode::OK {
        caller.keep_text(text, instance, &answer.body);
    }
    answer
}

const fn form(version: Version) -> Form {
    match version {
        Version::V3 => Form::V3,
        Version::V4 => Form::V4,
    }
}

fn container(endpoints: &Endpoints, version: Version, caller: &Caller, instance: Option<&Arc<InstanceView>>) -> Answer {
    let cluster = place(endpoints, instance).cluster;
    match container_document(&caller.task, caller.container(), form(version), cluster) {
        Ok(document) => Answer::json(StatusCode::OK, &document),
        Err(missing) => no_network(version, &missing),
    }
}

/// What documents tell of the instance. Before registration the configuration has to do.
pub(super) fn place<'a>(endpoints: &'a Endpoints, instance: Option<&'a Arc<InstanceView>>) -> Place<'a> {
    let identity = &endpoints.config.identity;
    let configured = identity.cluster.as_deref().unwrap_or_default();
    let cluster = instance.map(|view| view.cluster.as_str()).filter(|name| !name.is_empty()).unwrap_or(configured);
    let is_hidden = identity.hide_zone;
    Place {
        cluster: if cluster.is_empty() { "default" } else { cluster },
        zone: instance.filter(|_| !is_hidden).map(|view| view.availability_zone.as_str()).unwrap_or_default(),
        zone_id: if is_hidden { "" } else { &endpoints.availability_zone_id },
        vpc_id: &endpoints.vpc_id,
    }
}

fn no_network(version: Version, missing: &NoNetwork) -> Answer {
    let word = if version == Version::V4 { "unable" } else { "Unable" };
    let text = format!("{word} to generate network response for container '{}'", missing.0);
    Answer::complaint(StatusCode::INTERNAL_SERVER_ERROR, &text)
}

/// Nobody has this id; each version says so in its own way (spec 30 §3.8).
fn unknown(version: Version, endpoint: &str, subject: Subject<'_>) -> Answer {
    const BY_TASK: &str = "unable to get task arn from request: unable to get task Arn from v3 endpoint ID: ";
    const BY_CONTAINER: &str = "unable to get docker ID from v3 endpoint ID: ";
    let (handler, why) = match subject {
        Subject::Container => {
            ("container metadata handler", format!("unable to get container ID from request: {BY_CONTAINER}"))
        }
        Subject::Task | Subject::TaskWithTags => ("task metadata handler", BY_TASK.to_owned()),
        Subject::ContainerStats => ("container stats handler", BY_TASK.to_owned()),
        Subject::TaskStats => ("task stats handler", BY_TASK.to_owned()),
        Subject::Associations(_) => {
            ("container associations handler", format!("unable to get container id from request: {BY_CONTAINER}"))
        }
        Subject::Association(_, _) => ("container associations handler", BY_TASK.to_owned()),
    };
    let status = match (version, subject) {
        (_, Subject::Associations(_) | Subject::Association(_, _)) => StatusCode::BAD_REQUEST,
        (Version::V4, _) => StatusCode::NOT_FOUND,
        (Version::V3, Subject::ContainerStats | Subject::TaskStats) => StatusCode::BAD_REQUEST,
        (Version::V3, _) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Answer::complaint(status, &format!("{} {handler}: {why}{endpoint}", version.label()))
}

async fn with_tags(endpoints: &Endpoints, version: Version, caller: &Caller) -> Answer {
    let instance = endpoints.published.instance();
    match task_document(&caller.task, form(version), place(endpoints, instance.as_ref())) {
        Ok(mut document) => {
            let name = (version == Version::V4).then(|| caller.container().name());
            add_tags(endpoints, &caller.task, &mut document, name).await;
            Answer::json(StatusCode::OK, &document)
        }
        Err(missing) => no_network(version, &missing),
    }
}

/// A task without containers has no tags either (spec 30 §3.6).
async fn add_tags(endpoints: &Endpoints, task: &Task, document: &mut TaskDocument, caller: Option<&str>) {
    if task.containers.iter().any(is_listed) {
        tags::add(endpoints, document, caller).await;
    }
}

fn associations(caller: &Caller, kind: &str) -> Answer {
    let name = caller.container().name();
    let names: Vec<String> = caller
        .task
        .definition
        .associations
        .iter()
        .filter(|association| association.kind == kind && association.containers.iter().any(|c| c == name))
        .map(|association| association.name.clone())
        .collect();
    let associations = (!names.is_empty()).then_some(names);
    Answer::json(StatusCode::OK, &AssociationList { associations })
}

fn association(task: &Task, version: Version, kind: &str, name: &str) -> Answer {
    if name.is_empty() {
        let text =
            format!("{} container associations handler: unable to get association name from request", version.label());
        return Answer::complaint(StatusCode::BAD_REQUEST, &text);
    }
    let found = task.definition.associations.iter().find(|a| a.kind == kind && a.name == name);
    match found.and_then(|association| association.content.as_ref()) {
        // Whatever its encoding, it is the reader's to decode.
        Some(content) => Answer::new(StatusCode::OK, JSON, Bytes::from(content.value.clone())),
        None => Answer::complaint(
            StatusCode::BAD_REQUEST,
            &format!(
                "Unable to write container association response: unable to get association from association type {kind} and association name {name}"
            ),
        ),
    }
}

/// A v2 request, whose sender is known by its address.
pub(super) async fn answer_v2(endpoints: &Endpoints, address: IpAddr, subject: SubjectV2<'_>) -> Answer {
    let Some(task) = task_by_address(&endpoints.published, address) else {
        let text = format!("Unable to get task arn from request: unable to associate '{address}' with task");
        return Answer::complaint(StatusCode::BAD_REQUEST, &text);
    };
    let instance = endpoints.published.instance();
    let place = place(endpoints, instance.as_ref());
    match subject {
        SubjectV2::Container(id) => {
            let found = by_docker_id(&endpoints.published, id);
            let document = found
                .and_then(|(task, at)| container_document(&task, &task.containers[at], Form::V2, place.cluster).ok());
            match document {
                Some(document) => Answer::json(StatusCode::OK, &document),
                None => Answer::complaint(
                    StatusCode::BAD_REQUEST,
                    &format!("Unable to generate metadata for container '{id}'"),
                ),
            }
        }
        SubjectV2::Task | SubjectV2::TaskWithTags => {
            let Ok(mut document) = task_document(&task, Form::V2, place) else {
                let text = format!("Unable to generate metadata for task: '{}'", task.arn());
                return Answer::complaint(StatusCode::BAD_REQUEST, &text);
            };
            if subject == SubjectV2::TaskWithTags {
                add_tags(endpoints, &task, &mut document, None).await;
            }
            Answer::json(StatusCode::OK, &document)
        }
        SubjectV2::ContainerStats(id) => stats::of_id(endpoints, &task, id),
        SubjectV2::TaskStats => stats::of_task(endpoints, &task, false),
    }
}
