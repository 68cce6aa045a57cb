#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use engine::container::{Stage, Work};
use engine::rng::Rng;
use engine::task::Task;
use engine::{Engine, EngineConfig, Mono, StoredRow};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use wire::ids::TaskId;

use super::home::{Home, Running};
use super::report::{LayerReport, PullReport, TaskReport};
use super::settings::overlay;
use super::*;
use crate::agent::published::LayerProgress;
use crate::cli::Client;
use crate::plane::Surroundings;

fn choose(named: Option<&str>, is_root: bool, variables: &[(&str, &str)]) -> Result<PathBuf, Failure> {
    let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
    Home::choose_from(named.map(Path::new), is_root, &variable).map(|home| home.path().to_owned())
}

#[test]
fn the_data_directory_is_the_users_own() {
    assert_eq!(choose(Some("/x"), true, &[]), Ok("/x".into()));
    assert_eq!(choose(None, true, &[("HOME", "/root")]), Ok("/var/lib/longshore".into()));
    assert_eq!(choose(None, false, &[("HOME", "/h")]), Ok("/h/.local/state/longshore".into()));
    assert_eq!(choose(None, false, &[("HOME", "/h"), ("XDG_STATE_HOME", "/s")]), Ok("/s/longshore".into()));
    assert_eq!(choose(None, false, &[("HOME", "/h"), ("XDG_STATE_HOME", "s")]), Ok("/h/.local/state/longshore".into()));
    assert!(choose(None, false, &[]).is_err());
}

#[test]
fn an_announcement_is_found_while_it_lasts() {
    let directory = tempfile::tempdir().unwrap();
    let home = Home::at(directory.path().to_owned());
    assert_eq!(home.running(), None);
    let running = Running {
        endpoint: "http://127.0.0.1:1".into(),
        pid: 7,
        started: jiff::Timestamp::UNIX_EPOCH,
        docker: "unix:///d".into(),
        cluster: "default".into(),
    };
    let announcement = home.announce(&running).unwrap();
    assert_eq!(home.running(), Some(running));
    drop(announcement);
    assert_eq!(home.running(), None);
}

#[test]
fn the_environment_is_heard_where_it_may_be() {
    let home = Home::at("/state".into());
    let environment = |name: &str| match name {
        "ECS_CLUSTER" => Some("mine".to_owned()),
        "AWS_REGION" => Some("eu-west-1".to_owned()),
        "ECS_BACKEND_HOST" => Some("https://ecs.example".to_owned()),
        "AWS_SECRET_ACCESS_KEY" | "AWS_SESSION_TOKEN" | "AWS_ENDPOINT_URL" => Some("real".to_owned()),
        "ECS_IMAGE_PULL_BEHAVIOR" => Some("always".to_owned()),
        _ => None,
    };
    let lookup = overlay(&home, "http://127.0.0.1:9", environment);
    let value = |name: &str| lookup(name).unwrap_or_default();
    assert_eq!(value("ECS_CLUSTER"), "mine");
    assert_eq!(value("AWS_DEFAULT_REGION"), "eu-west-1");
    assert_eq!(value("ECS_IMAGE_PULL_BEHAVIOR"), "always");
    assert_eq!(value("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION"), "10m");
    assert_eq!(value("ECS_BACKEND_HOST"), "http://127.0.0.1:9");
    assert_eq!(value("ECS_DATADIR"), "/state/agent/data");
    assert_eq!(value("AWS_SECRET_ACCESS_KEY"), "local", "real keys stay out of it");
    assert_eq!((value("AWS_SESSION_TOKEN"), value("AWS_ENDPOINT_URL")), (String::new(), String::new()));
    let bare = overlay(&home, "http://127.0.0.1:9", |_| None);
    assert_eq!(bare("AWS_DEFAULT_REGION").as_deref(), Some("us-east-1"));
    assert_eq!(bare("ECS_CLUSTER").as_deref(), Some("default"));
}

#[tokio::test]
async fn without_a_docker_engine_it_is_said_how_to_get_one() {
    let directory = tempfile::tempdir().unwrap();
    let endpoint = format!("unix://{}/docker.sock", directory.path().display());
    let failure = check_docker(&endpoint).await.unwrap_err();
    assert_eq!(failure.what, format!("no Docker Engine answers at {endpoint}"));
    let next = failure.next.unwrap();
    assert!(next.contains("apt-get install docker.io") || next.contains("systemctl start docker"), "{next}");
    assert!(next.contains("DOCKER_HOST="), "{next}");
    assert_eq!(failure.code, 1);
    let failure = check_docker("gopher://x").await.unwrap_err();
    assert!(failure.next.unwrap().contains("unix:///PATH"));
}

#[tokio::test]
async fn a_port_in_use_is_told_with_its_holder() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let failure = bind(Some(port)).await.unwrap_err();
    let wanted = format!("port {port} is in use, by process {} (", std::process::id());
    assert!(failure.what.starts_with(&wanted), "{failure}");
    assert!(bind(Some(0)).await.is_ok());
}

#[test]
fn a_second_one_on_a_data_directory_is_told_who_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("plane.db");
    let _held = Storage::open(&path).unwrap();
    let failure = store_failure(Storage::open(&path).err().unwrap());
    let wanted = format!("process {} runs `longshore local` on {}", std::process::id(), directory.path().display());
    assert!(failure.what.starts_with(&wanted), "{failure}");
}

/// The routes on a control plane without an agent of ours.
struct Served {
    client: Client,
    published: Published,
    endpoint: String,
    shutdown: CancellationToken,
}

impl Served {
    async fn start() -> Self {
        let listener = bind(Some(0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        let settings = plane::Settings::local(&endpoint, 1);
        let (handle, _) =
            crate::plane::open(Storage::Memory, settings, Surroundings::none(), shutdown.clone()).unwrap();
        let published = Published::new();
        let view = routes::View {
            published: published.clone(),
            plane: Some(handle.clone()),
            cluster: "default".into(),
            began: Instant::now(),
            shutdown: shutdown.clone(),
        };
        tokio::spawn(crate::plane::serve(listener, handle, routes::router(view), shutdown.clone()));
        let client = Client::new(&endpoint).unwrap();
        client.call("CreateCluster", &json!({})).await.unwrap();
        Self { client, published, endpoint, shutdown }
    }

    /// An instance with a session that is open while the answer lives.
    async fn join(&self) -> TcpStream {
        let resource = |name: &str, value: i64| json!({"name": name, "type": "INTEGER", "integerValue": value});
        let ports = |name: &str| json!({"name": name, "type": "STRINGSET", "stringSetValue": ["22"]});
        let registration = json!({
            "cluster": "default",
            "totalResources": [resource("CPU", 1024), resource("MEMORY", 1024), ports("PORTS"), ports("PORTS_UDP")],
            "attributes": [{"name": "com.amazonaws.ecs.capability.docker-remote-api.1.18"}],
        });
        let answer = self.client.call("RegisterContainerInstance", &registration).await.unwrap();
        let arn = answer.pointer("/containerInstance/containerInstanceArn").and_then(Value::as_str).unwrap();
        let mut socket = TcpStream::connect(self.endpoint.strip_prefix("http://").unwrap()).await.unwrap();
        let handshake = format!(
            "GET /acs/ws?clusterArn=default&containerInstanceArn={arn}&seqNum=1 HTTP/1.1\r\nHost: localhost\r\n\
             Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        socket.write_all(handshake.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        socket.read_exact(&mut status).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 101");
        socket
    }
}

#[tokio::test]
async fn routes_tell_of_tasks_that_only_the_control_plane_knows() {
    let served = Served::start().await;
    let client = &served.client;
    assert_eq!(client.get::<Vec<TaskReport>>("/longshore/v1/tasks").await.unwrap(), []);
    assert_eq!(client.get::<Value>("/longshore/v1/facts").await.unwrap(), json!([]));
    let instance: Value = client.get("/longshore/v1/instance").await.unwrap();
    assert_eq!((&instance["isConnected"], &instance["cluster"]), (&json!(false), &json!("default")));

    let _session = served.join().await;
    let definition = json!({"family": "web", "containerDefinitions": [{"name": "a", "image": "i", "memory": 4}]});
    client.call("RegisterTaskDefinition", &definition).await.unwrap();
    let answer = client.call("RunTask", &json!({"taskDefinition": "web"})).await.unwrap();
    let arn = answer.pointer("/tasks/0/taskArn").and_then(Value::as_str).unwrap();
    let tasks: Vec<TaskReport> = client.get("/longshore/v1/tasks").await.unwrap();
    assert_eq!((tasks.len(), tasks[0].arn.as_str(), tasks[0].name().as_str()), (1, arn, "web:1"));
    let task: TaskReport = client.get(&format!("/longshore/v1/tasks/{}", tasks[0].id)).await.unwrap();
    assert_eq!((task.last_status.as_str(), task.containers[0].name.as_str()), ("PENDING", "a"));
    assert!(!task.has_ended());

    let missing = client.get::<Value>("/longshore/v1/tasks/none").await.unwrap_err();
    assert_eq!(missing.to_string(), "There is no task 'none'.");
    served.shutdown.cancel();
}

/// A task whose container waits for the pull of `r:5000/web:2`, of which the digest is known.
fn pulling() -> Arc<Task> {
    let config = EngineConfig::default();
    let payload = json!({"arn": "arn:aws:ecs:us-east-1:000000000000:task/default/0f", "family": "web", "version": "1",
        "desiredStatus": "RUNNING", "containers": [{"name": "a", "image": "r:5000/web:2", "essential": true}]});
    let definition =
        engine::task::admit(wire::gojson::from_value(payload).unwrap(), &config, &mut Rng::new(1)).unwrap();
    let row = |table: &str, key: &str, value: String| StoredRow { table: table.into(), key: key.into(), value };
    let rows = vec![
        row("task", "0f", serde_json::to_string(&definition).unwrap()),
        row("task_state", "0f", json!({"desired": "RUNNING", "known": "MANIFEST_PULLED"}).to_string()),
        row(
            "container",
            "0f/a",
            json!({"desired": "RUNNING", "known": "MANIFEST_PULLED", "image_digest": "sha256:07"}).to_string(),
        ),
    ];
    let mut task = Arc::clone(&Engine::new(config, 1, rows).tasks()[&TaskId::from("0f")]);
    let container = &mut Arc::make_mut(&mut task).containers[0];
    container.work = Some(Work { stage: Stage::Pull, since: Mono::default(), attempt: 1 });
    task
}

#[tokio::test]
async fn layers_of_a_pull_are_told_by_the_name_that_the_task_has_for_it() {
    let served = Served::start().await;
    let mut lines = served.client.follow("/longshore/v1/facts/stream").await.unwrap();
    served.published.set_tasks(vec![("0f".into(), Some(pulling()))]);
    let told = |status: &str, current, total| {
        let layer = LayerProgress { status: status.into(), current, total };
        served.published.set_layer("r:5000/web@sha256:07", "77", layer);
    };
    told("Downloading", 3, 8);
    let task: TaskReport = served.client.get("/longshore/v1/tasks/0f").await.unwrap();
    let layer = LayerReport { id: "77".into(), status: "Downloading".into(), current: 3, total: 8 };
    assert_eq!(task.containers[0].pull, Some(PullReport { layers: vec![layer] }));
    let line = tokio::time::timeout(std::time::Duration::from_secs(10), lines.next()).await.unwrap().unwrap();
    let line: Value = serde_json::from_slice(&line).unwrap();
    assert_eq!(line["pull"]["image"], "r:5000/web:2");
    assert_eq!(line["pull"]["layers"]["77"]["current"], 3);
    told("Download complete", 0, 0);
    let task: TaskReport = served.client.get("/longshore/v1/tasks/0f").await.unwrap();
    let layer = &task.containers[0].pull.as_ref().unwrap().layers[0];
    assert_eq!((layer.loaded(), layer.total), (8, 8), "its size is not told again");
    served.shutdown.cancel();
}

#[tokio::test]
async fn the_stream_ends_with_the_control_plane() {
    let served = Served::start().await;
    let mut lines = served.client.follow("/longshore/v1/facts/stream").await.unwrap();
    served.shutdown.cancel();
    let end = tokio::time::timeout(std::time::Duration::from_secs(10), lines.next()).await;
    assert_eq!(end.unwrap(), None);
}
