//! The routes that only Longshore has: beside the ECS API on the control plane's port, and on the socket of an agent
//! whose control plane is elsewhere, which knows only its own tasks.
//!
//! | route | answer |
//! |---|---|
//! | `/longshore/v1/health` | `{"status": "ok"}` |
//! | `/longshore/v1/instance` | whether the agent is registered and connected, and what it has |
//! | `/longshore/v1/tasks` | all tasks, as [`TaskReport`] without history |
//! | `/longshore/v1/tasks/{id}` | one task with its history |
//! | `/longshore/v1/stats` | what the containers use, now and lately, as [`StatsReport`](super::stats::StatsReport) |
//! | `/longshore/v1/images` | which images tasks used, which tasks hold them, when they go |
//! | `POST /longshore/v1/gc` | what clean-up removed, or with `?dryRun=true` would remove |
//! | `/longshore/v1/facts` | the last thousand things that happened |
//! | `/longshore/v1/facts/stream` | from now on, one JSON document a line, with `{"pull": …}` while images are pulled |

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use engine::task::Task;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use wire::ecs;
use wire::ids::TaskId;

use super::report::{self, Context, TaskReport};
use crate::agent::published::{Fact, Published};
use crate::plane::Handle;

/// How often pulls are told about.
const TICK: Duration = Duration::from_millis(250);

/// What the routes read.
#[derive(Clone)]
pub(crate) struct View {
    pub published: Published,
    /// `None` where the control plane is elsewhere.
    pub plane: Option<Handle>,
    pub cluster: String,
    /// When the agent's own clock began.
    pub began: Instant,
    /// Ends the streams.
    pub shutdown: CancellationToken,
}

/// For an agent whose control plane is elsewhere.
pub(crate) fn of_agent(view: View) -> Router {
    router(view).route("/longshore/v1/health", get(|| async { axum::Json(json!({"status": "ok"})) }))
}

/// Beside a control plane, which has a route for its health itself.
pub(super) fn router(view: View) -> Router {
    let images = super::images::router(view.published.clone());
    Router::new()
        .route("/longshore/v1/instance", get(instance))
        .route("/longshore/v1/tasks", get(tasks))
        .route("/longshore/v1/tasks/{id}", get(task))
        .route("/longshore/v1/stats", get(stats))
        .route("/longshore/v1/facts", get(facts))
        .route("/longshore/v1/facts/stream", get(stream))
        .with_state(view)
        .merge(images)
}

async fn instance(State(view): State<View>) -> Response {
    let now = view.published.instance();
    let now = now.as_deref();
    let body = json!({
        "cluster": view.cluster,
        "instanceArn": now.and_then(|now| now.instance.as_ref()),
        "isConnected": now.is_some_and(|now| now.acs_connected_since.is_some()),
        "cpu": now.map(|now| now.resources.cpu),
        "memoryMiB": now.map(|now| now.resources.memory_mib),
        "usedCpu": now.map(|now| now.resources.used_cpu),
        "usedMemoryMiB": now.map(|now| now.resources.used_memory_mib),
    });
    axum::Json(body).into_response()
}

async fn tasks(State(view): State<View>) -> Response {
    match view.all().await {
        Ok(tasks) => axum::Json(tasks).into_response(),
        Err(fault) => failed(&fault),
    }
}

async fn task(State(view): State<View>, Path(id): Path<String>) -> Response {
    let told = match view.described(vec![id.clone()]).await {
        Ok(told) => told,
        Err(fault) => return failed(&fault),
    };
    let seen = view.published.task(&TaskId::from(id.as_str()));
    if told.is_empty() && seen.is_none() {
        let body = json!({"__type": "NotFound", "message": format!("There is no task '{id}'.")});
        return (StatusCode::NOT_FOUND, axum::Json(body)).into_response();
    }
    let context = view.context(true);
    let mut report = report::join(&context, told.first(), seen.as_deref());
    let remarks = match view.known(Some(&report.arn)).await {
        Ok(known) => known.tasks.into_iter().flat_map(|task| task.remarks).collect(),
        Err(_) => Vec::new(),
    };
    report::add_remarks(&mut report, &remarks);
    axum::Json(report).into_response()
}

async fn stats(State(view): State<View>) -> Response {
    let (tasks, known) = match (view.all().await, view.known(None).await) {
        (Ok(tasks), Ok(known)) => (tasks, known),
        (Err(fault), _) | (_, Err(fault)) => return failed(&fault),
    };
    axum::Json(super::stats::report(&tasks, &known, &view.published)).into_response()
}

async fn facts(State(view): State<View>) -> Response {
    axum::Json(view.published.recent()).into_response()
}

async fn stream(State(view): State<View>) -> Response {
    let follower = Follower { facts: view.published.follow(), pulls: BTreeMap::new(), ready: VecDeque::new(), view };
    let lines = futures_util::stream::unfold(follower, |mut follower| async move {
        let line = follower.next().await?;
        Some((Ok::<_, Infallible>(line), follower))
    });
    ([("content-type", "application/x-ndjson")], Body::from_stream(lines)).into_response()
}

fn failed(fault: &plane::Fault) -> Response {
    let status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, axum::Json(fault.body())).into_response()
}

impl View {
    fn context(&self, with_history: bool) -> Context<'_> {
        Context { published: &self.published, began: self.began, with_history }
    }

    /// All tasks that either knows, the oldest first.
    async fn all(&self) -> Result<Vec<TaskReport>, plane::Fault> {
        let arns = self.listed().await?;
        let mut seen: BTreeMap<String, Arc<Task>> =
            self.published.tasks().into_iter().map(|task| (task.arn().to_string(), task)).collect();
        let context = self.context(false);
        let mut reports = Vec::new();
        for chunk in arns.chunks(100) {
            for told in self.described(chunk.to_vec()).await? {
                let seen = seen.remove(&told.task_arn);
                reports.push(report::join(&context, Some(&told), seen.as_deref()));
            }
        }
        reports.extend(seen.values().map(|task| report::join(&context, None, Some(task))));
        reports.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        Ok(reports)
    }

    /// All tasks that the control plane knows.
    async fn listed(&self) -> Result<Vec<String>, plane::Fault> {
        let mut arns: Vec<String> = Vec::new();
        let Some(plane) = &self.plane else { return Ok(arns) };
        for status in ["RUNNING", "STOPPED"] {
            let mut next = Value::Null;
            loop {
                let query = json!({"cluster": self.cluster, "desiredStatus": status, "nextToken": next});
                let page = plane.call("ListTasks", query).await?;
                let listed = page.get("taskArns").and_then(Value::as_array).into_iter().flatten();
                arns.extend(listed.filter_map(|arn| arn.as_str().map(str::to_owned)));
                match page.get("nextToken") {
                    Some(token) if !token.is_null() => next = token.clone(),
                    _ => break,
                }
            }
        }
        Ok(arns)
    }

    /// What telemetry told the control plane, and its remarks.
    async fn known(&self, task: Option<&str>) -> Result<plane::telemetry::Report, plane::Fault> {
        match &self.plane {
            Some(plane) => plane.look(task).await,
            None => Ok(plane::telemetry::Report::default()),
        }
    }

    async fn described(&self, tasks: Vec<String>) -> Result<Vec<ecs::Task>, plane::Fault> {
        let Some(plane) = &self.plane else { return Ok(Vec::new()) };
        let answer = plane.call("DescribeTasks", json!({"cluster": self.cluster, "tasks": tasks})).await?;
        let answer: ecs::TasksResponse =
            serde_json::from_value(answer).map_err(|error| plane::Fault::server(error.to_string()))?;
        Ok(answer.tasks)
    }
}

/// One reader of the stream.
struct Follower {
    view: View,
    facts: Receiver<Arc<Fact>>,
    /// What was last told of each pull.
    pulls: BTreeMap<String, Value>,
    ready: VecDeque<String>,
}

impl Follower {
    /// The next line; `None` when we are shutting down.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(line);
            }
            tokio::select! {
                () = self.view.shutdown.cancelled() => return None,
                fact = self.facts.recv() => match fact {
                    Ok(fact) => self.push(&serde_json::to_value(&*fact).unwrap_or_default()),
                    Err(RecvError::Lagged(missed)) => self.push(&json!({"missed": missed})),
                    Err(RecvError::Closed) => return None,
                },
                () = tokio::time::sleep(TICK) => self.look_at_pulls(),
            }
        }
    }

    fn push(&mut self, value: &Value) {
        self.ready.push_back(format!("{value}\n"));
    }

    fn look_at_pulls(&mut self) {
        let mut now = BTreeMap::new();
        for task in self.view.published.tasks() {
            for container in &task.containers {
                if let Some(pull) = self.view.published.pull_for(container) {
                    let image = container.definition.image.to_string();
                    now.insert(image, serde_json::to_value(&*pull).unwrap_or_default());
                }
            }
        }
        for (image, progress) in &now {
            if self.pulls.get(image) != Some(progress) {
                let mut line = json!({"pull": progress});
                line["pull"]["image"] = json!(image);
                self.push(&line);
            }
        }
        self.pulls = now;
    }
}
