//! The introspection server (spec 30 §5). It has no 404: whatever it does not know is answered with what it does.

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use engine::container::{Container, ContainerPorts};
use engine::status::{ContainerStatus, TaskStatus};
use engine::task::Task;
use futures_util::FutureExt;
use http::header::{CONNECTION, HeaderValue, LOCATION};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use wire::metadata::{
    AgentMetadata, AvailableCommands, IntrospectedContainer, IntrospectedTask, IntrospectedTasks, Port,
};
use wire::task_server::route;

use super::answer::{Answer, TEXT};
use super::documents::{is_listed, ports, protocol, volumes};
use super::metadata::place;
use super::server::Peer;
use super::{Endpoints, health};

const COMMANDS: [&str; 3] = ["/v1/metadata", "/v1/tasks", "/license"];

/// Beyond [`COMMANDS`] with runtime statistics on.
const PROFILING: [&str; 5] =
    ["/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/profile", "/debug/pprof/symbol", "/debug/pprof/trace"];

/// A Docker id of at most this many characters is a prefix.
const SHORT_ID: usize = 12;

pub(super) async fn answer(
    endpoints: &Endpoints,
    _peer: Arc<Peer>,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let answer = AssertUnwindSafe(dispatch(endpoints, &request)).catch_unwind().await;
    let answer = answer.unwrap_or_else(|_| {
        let mut answer = Answer::empty(StatusCode::INTERNAL_SERVER_ERROR);
        answer.headers.push((CONNECTION, HeaderValue::from_static("close")));
        answer
    });
    answer.into_response()
}

async fn dispatch<B>(endpoints: &Endpoints, request: &Request<B>) -> Answer {
    let Some(path) = route::decode(request.uri().path()) else { return Answer::bad_request() };
    let query = request.uri().query();
    if let Some(cleaned) = route::clean(&path) {
        return moved(request.method(), &cleaned, query);
    }
    match path.as_ref() {
        "/v1/metadata" => metadata(endpoints),
        "/v1/tasks" => tasks(endpoints, query),
        "/v1/health" => health::answer(endpoints).await,
        "/metrics" => endpoints.metrics().unwrap_or_else(|| commands(endpoints)),
        "/license" => license(Path::new(".")),
        _ => commands(endpoints),
    }
}

fn moved(method: &Method, cleaned: &str, query: Option<&str>) -> Answer {
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    let target = format!("{}{query}", route::encode(cleaned));
    let mut answer = Answer::empty(StatusCode::MOVED_PERMANENTLY);
    if method == Method::GET || method == Method::HEAD {
        let shown = target.replace('&', "&amp;").replace('"', "&#34;").replace('\'', "&#39;");
        answer.content_type = Some("text/html; charset=utf-8");
        answer.body = format!("<a href=\"{shown}\">Moved Permanently</a>.\n\n").into();
    }
    answer.headers.extend(HeaderValue::from_str(&target).ok().map(|target| (LOCATION, target)));
    answer
}

fn commands(endpoints: &Endpoints) -> Answer {
    let mut available_commands = COMMANDS.to_vec();
    if endpoints.config.telemetry.runtime_stats {
        available_commands.extend(PROFILING);
    }
    let mut answer = Answer::json(StatusCode::OK, &AvailableCommands { available_commands });
    answer.content_type = Some(TEXT);
    answer
}

fn metadata(endpoints: &Endpoints) -> Answer {
    let instance = endpoints.published.instance();
    let document = AgentMetadata {
        cluster: place(endpoints, instance.as_ref()).cluster.to_owned(),
        container_instance_arn: instance.and_then(|view| view.instance.as_ref().map(ToString::to_string)),
        version: endpoints.version.clone(),
    };
    Answer::json(StatusCode::OK, &document)
}

fn license(directory: &Path) -> Answer {
    let read = |name: &str| std::fs::read(directory.join(name));
    let texts: Result<Vec<_>, _> = ["LICENSE", "NOTICE", "THIRD-PARTY"].into_iter().map(read).collect();
    match texts {
        Ok(texts) => {
            Answer::new(StatusCode::OK, "text/plain", texts.join(format!("\n{}\n", "=".repeat(80)).as_bytes()))
        }
        Err(_) => Answer::new(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", Bytes::new()),
    }
}

fn tasks(endpoints: &Endpoints, query: Option<&str>) -> Answer {
    let all = endpoints.published.tasks();
    let found = match (route::parameter(query, "taskarn"), route::parameter(query, "dockerid")) {
        (None, None) => {
            let tasks = all.iter().map(|task| describe(task)).collect();
            return Answer::json(StatusCode::OK, &IntrospectedTasks { tasks });
        }
        (Some(_), Some(_)) => Err(StatusCode::BAD_REQUEST),
        (Some(arn), None) => all.iter().find(|task| task.arn().as_str() == arn).ok_or(StatusCode::NOT_FOUND),
        (None, Some(id)) => by_docker_id(&all, &id),
    };
    match found {
        Ok(task) => Answer::json(StatusCode::OK, &describe(task)),
        Err(status) => Answer::json(status, &IntrospectedTask::default()),
    }
}

/// A short id names the only container that begins with it; names of containers to be created count too.
fn by_docker_id<'t>(tasks: &'t [Arc<Task>], id: &str) -> Result<&'t Arc<Task>, StatusCode> {
    let is_short = id.len() <= SHORT_ID;
    let is_match = |handle: &str| if is_short { handle.starts_with(id) } else { handle == id };
    let containers = tasks.iter().flat_map(|task| task.containers.iter().map(move |container| (task, container)));
    let mut matches = containers.filter(|(_, container)| container.handle().is_some_and(is_match));
    let (task, _) = matches.next().ok_or(StatusCode::NOT_FOUND)?;
    match matches.next() {
        Some(_) if is_short => Err(StatusCode::BAD_REQUEST),
        _ => Ok(task),
    }
}

fn describe(task: &Task) -> IntrospectedTask {
    let (known, desired) = (task.state.known, task.state.desired);
    // What would mislead is left out: a stopped task that should run, a running one that should begin.
    let is_blank = (known == TaskStatus::Stopped && desired != TaskStatus::Stopped)
        || (known == TaskStatus::Running && desired.reported() == "PENDING");
    let containers = task.containers.iter().filter(|c| !c.definition.kind.is_internal() && is_listed(c));
    IntrospectedTask {
        arn: task.arn().to_string(),
        desired_status: if is_blank { "" } else { desired.reported() },
        known_status: known.reported(),
        family: task.definition.family.clone(),
        version: task.definition.version.clone(),
        waits_for: task.waits_for().map(str::to_owned),
        containers: Some(containers.map(|container| describe_container(task, container)).collect()),
    }
}

fn describe_container(task: &Task, container: &Container) -> IntrospectedContainer {
    let definition = &container.definition;
    let state = &container.state;
    let bound = ports(task, container, false);
    let has_started = state.known >= ContainerStatus::Running;
    IntrospectedContainer {
        docker_id: state.docker_id.as_ref().map(ToString::to_string).unwrap_or_default(),
        docker_name: state.docker_name.clone().unwrap_or_default(),
        name: definition.name.to_string(),
        image: definition.image.to_string(),
        image_id: state.image_id.as_ref().map(ToString::to_string).unwrap_or_default(),
        created_at: state.created_at,
        started_at: state.started_at.filter(|_| has_started),
        ports: if bound.is_empty() { requested_ports(container) } else { bound },
        volumes: volumes(task, container),
        restart_count: definition.restart_policy.as_ref().map(|_| state.restarts.count),
    }
}

fn requested_ports(container: &Container) -> Vec<Port> {
    let mappings = container.definition.ports.iter();
    mappings
        .filter_map(|mapping| match mapping.container {
            ContainerPorts::One(port) => Some(Port {
                container_port: port,
                protocol: protocol(mapping.protocol),
                host_port: mapping.host_port,
                host_ip: String::new(),
            }),
            ContainerPorts::Range(_, _) => None,
        })
        .collect()
}
