//! A task as the driver would publish it, the servers in front of it, and a client that speaks plainly.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use engine::ledger::Totals;
use engine::rng::Rng;
use engine::task::Task;
use engine::{Engine, EngineConfig, InstanceView, Mono, Now, StoredRow};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::agent::endpoints::{Audit, Ecs, Endpoints, serve_introspection, serve_tasks};
use crate::agent::published::Published;
use crate::agent::sampler::Samples;
use crate::agent::vault::Vault;
use crate::config::Config;

pub(super) const ARN: &str = "arn:aws:ecs:us-west-2:123456789012:task/lab/0123456789abcdef0123456789abcdef";
pub(in crate::agent) const DOCKER_ID: &str = "5d1c9e0000000000000000000000000000000000000000000000000000000001";
pub(super) const INSTANCE: &str = "arn:aws:ecs:us-west-2:123456789012:container-instance/lab/77";

/// A task of one running container `main`, with these members changed, and with what Docker knows of it.
pub(in crate::agent) fn task(members: Value, container: Value, state: Value) -> Arc<Task> {
    let config = EngineConfig::default();
    let mut main = json!({"name": "main", "image": "busybox:1", "cpu": 10, "memory": 32, "essential": true,
        "portMappings": [{"containerPort": 80, "hostPort": 0, "protocol": "tcp"}],
        "dockerConfig": {"config": "{\"Labels\":{\"a\":\"b\"}}", "hostConfig": "{}", "version": "1.17"}});
    main.as_object_mut().unwrap().extend(container.as_object().unwrap().clone());
    let mut task =
        json!({"arn": ARN, "family": "fam", "version": "7", "desiredStatus": "RUNNING", "containers": [main]});
    task.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let definition = engine::task::admit(wire::gojson::from_value(task).unwrap(), &config, &mut Rng::new(1)).unwrap();
    let mut known = json!({"desired": "RUNNING", "known": "RUNNING", "docker_name": "ecs-fam-7-main-00ff",
        "docker_id": DOCKER_ID, "image_id": "sha256:77", "created_at": "2031-02-03T04:05:06.12Z",
        "started_at": "2031-02-03T04:05:07Z",
        "bindings": [{"container_port": 80, "protocol": "tcp", "bind_ip": "0.0.0.0", "host_port": 32771},
                     {"container_port": 80, "protocol": "tcp", "bind_ip": "::", "host_port": 32771}],
        "network": {"mode": "default", "ipv4": "172.17.0.5"}});
    known.as_object_mut().unwrap().extend(state.as_object().unwrap().clone());
    let id = definition.id.clone();
    let row = |table: &str, key: String, value: String| StoredRow { table: table.into(), key, value };
    let mut task_state = json!({"desired": "RUNNING", "known": "RUNNING", "pull_started_at": "2031-02-03T04:05:05Z"});
    if known["known"] == "STOPPED" {
        task_state = json!({"desired": "STOPPED", "known": "STOPPED"});
    }
    let rows = vec![
        row("task", id.to_string(), serde_json::to_string(&definition).unwrap()),
        row("task_state", id.to_string(), task_state.to_string()),
        row("container", format!("{id}/main"), known.to_string()),
    ];
    Arc::clone(Engine::new(config, 1, rows).tasks().get(&id).expect("the rows make a task"))
}

pub(super) fn endpoint_of(task: &Task) -> String {
    task.container("main").unwrap().definition.endpoint_id.clone()
}

/// The servers and what they answer from.
pub(super) struct World {
    pub published: Published,
    pub vault: Vault,
    pub audit: Receiver<(Timestamp, String)>,
    pub tasks: SocketAddr,
    pub introspection: SocketAddr,
    _shutdown: DropGuard,
}

impl World {
    pub(super) async fn of(tasks: &[Arc<Task>]) -> Self {
        Self::with_ecs(tasks, None).await
    }

    pub(super) async fn with_ecs(tasks: &[Arc<Task>], ecs: Option<Ecs>) -> Self {
        let published = Published::new();
        published.set_tasks(tasks.iter().map(|task| (task.id().clone(), Some(Arc::clone(task)))));
        published.set_instance(InstanceView {
            instance: Some(INSTANCE.into()),
            cluster: "lab".to_owned(),
            availability_zone: "us-west-2a".to_owned(),
            acs_connected_since: Some(Mono(Duration::from_secs(10))),
            tcs_connected_since: None,
            resources: Totals { cpu: 0, memory_mib: 0, used_cpu: 0, used_memory_mib: 0 },
            reports_in_flight: 0,
            reports_waiting: 2,
        });
        let variables = BTreeMap::from([
            ("AWS_DEFAULT_REGION", "us-west-2"),
            ("ECS_CLUSTER", "lab"),
            ("ECS_AUDIT_LOGFILE_DISABLED", "true"),
        ]);
        let lookup = |name: &str| variables.get(name).map(|value| (*value).to_owned());
        let (config, _) = Config::load(lookup, |_| Err(std::io::ErrorKind::NotFound.into())).unwrap();
        let vault = Vault::default();
        let clock = || Now { mono: Mono(Duration::from_secs(70)), wall: "2031-02-03T05:00:00Z".parse().unwrap() };
        let docker = docker::Engine::connect("unix:///no/such/socket").unwrap();
        let mut endpoints = Endpoints::new(
            published.clone(),
            vault.clone(),
            Arc::new(config),
            docker,
            Samples::new(false),
            Box::new(clock),
        );
        let (sender, audit) = Audit::to_channel();
        endpoints.audit = sender;
        endpoints.version = "Amazon ECS Agent - v1.2.3 (0123abcd)".to_owned();
        endpoints.ecs = ecs;
        let endpoints = Arc::new(endpoints);
        let shutdown = CancellationToken::new();
        let listen = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (one, other) = (listen().await, listen().await);
        let (tasks, introspection) = (one.local_addr().unwrap(), other.local_addr().unwrap());
        tokio::spawn(serve_tasks(one, Arc::clone(&endpoints), shutdown.clone()));
        tokio::spawn(serve_introspection(other, endpoints, shutdown.clone()));
        Self { published, vault, audit, tasks, introspection, _shutdown: shutdown.drop_guard() }
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        send(self.tasks, &request("GET", path, "")).await
    }

    pub(super) async fn introspect(&self, path: &str) -> Reply {
        send(self.introspection, &request("GET", path, "")).await
    }
}

pub(super) fn request(method: &str, path: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nUser-Agent: probe\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// An answer in its parts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// All values of a header.
    pub(super) fn header(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(key, _)| *key == name).map(|(_, value)| value.trim()).collect()
    }

    /// Status, media type and body on one line.
    pub(super) fn brief(&self) -> String {
        format!("{} {} {}", self.status, self.header("Content-Type").join("+"), self.body)
    }
}

pub(super) async fn send(address: SocketAddr, request: &str) -> Reply {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut text)).await.expect("an answer").unwrap();
    let text = String::from_utf8(text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Reply { status, head: head.to_owned(), body: body.to_owned() }
}
