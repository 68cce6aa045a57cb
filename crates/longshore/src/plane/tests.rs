//! The server over real sockets, with a scripted agent at the other end.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};
use tokio_util::sync::CancellationToken;

use super::{Handle, Storage, Surroundings};

/// Nothing here takes long; a test that hangs fails after this.
const PATIENCE: Duration = Duration::from_secs(20);

struct Server {
    address: String,
    handle: Handle,
    shutdown: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Server {
    async fn start(storage: Storage) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shutdown = CancellationToken::new();
        let settings = plane::Settings::local(&format!("http://{address}"), 1);
        let (handle, driver) = super::open(storage, settings, Surroundings::none(), shutdown.clone()).unwrap();
        let extra = axum::Router::new().route("/longshore/v1/extra", axum::routing::get(|| async { "more" }));
        let server = super::serve(listener, handle.clone(), extra, shutdown.clone());
        let server = tokio::spawn(async move { server.await.unwrap() });
        Self { address, handle, shutdown, tasks: vec![driver, server] }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        for task in self.tasks {
            tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap();
        }
    }

    /// Sends a request as it is and returns status and body.
    async fn raw(&self, head: &str, body: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let head = format!("{head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        // A server that refuses early need not read the rest.
        let _ = stream.write_all(body).await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
    }

    async fn call(&self, operation: &str, body: &str) -> (u16, Value) {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nX-Amz-Target: {}.{operation}",
            self.address,
            wire::ecs::TARGET_PREFIX
        );
        let (status, body) = self.raw(&head, body.as_bytes()).await;
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    async fn agent(&self, path: &str, query: &str) -> Result<Agent, String> {
        let stream = TcpStream::connect(&self.address).await.unwrap();
        let url = format!("ws://{}/{path}/ws?{query}", self.address);
        match client_async(url, stream).await {
            Ok((socket, _)) => Ok(Agent { socket }),
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
                Err(String::from_utf8_lossy(response.body().as_deref().unwrap_or_default()).into_owned())
            }
            Err(other) => panic!("{other}"),
        }
    }
}

struct Agent {
    socket: WebSocketStream<TcpStream>,
}

impl Agent {
    /// The next message of a type; others are passed over.
    async fn next(&mut self, kind: &str) -> Value {
        let find = async {
            loop {
                let message = self.socket.next().await.expect("an open connection").unwrap();
                let envelope: Value = serde_json::from_str(message.to_text().unwrap()).unwrap_or_default();
                if envelope["type"] == kind {
                    return envelope["message"].clone();
                }
            }
        };
        tokio::time::timeout(PATIENCE, find).await.expect(kind)
    }

    async fn say(&mut self, kind: &str, message: Value) {
        let text = json!({"type": kind, "message": message}).to_string();
        self.socket.send(Message::text(text)).await.unwrap();
    }
}

const DEFINITION: &str = r#"{"family": "web", "containerDefinitions": [{"name": "app", "image": "i", "memory": 64}]}"#;

const REGISTRATION: &str = r#"{"cluster": "default",
    "attributes": [{"name": "com.amazonaws.ecs.capability.docker-remote-api.1.18"}],
    "totalResources": [{"name": "CPU", "type": "INTEGER", "integerValue": 1024},
                       {"name": "MEMORY", "type": "INTEGER", "integerValue": 512}]}"#;

#[tokio::test]
async fn a_task_goes_through_sockets_and_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("plane.db");
    let server = Server::start(Storage::open(&file).unwrap()).await;
    server.call("CreateCluster", "{}").await;
    server.call("RegisterTaskDefinition", DEFINITION).await;
    let (_, registered) = server.call("RegisterContainerInstance", REGISTRATION).await;
    let instance = registered["containerInstance"]["containerInstanceArn"].as_str().unwrap().to_owned();
    let query = format!("containerInstanceArn={instance}&clusterArn=default&dockerVersion=DockerVersion%3A+24.0.7");
    let mut agent = server.agent("acs", &query).await.unwrap();
    agent.next("TaskManifestMessage").await;

    let (_, run) = server.call("RunTask", r#"{"taskDefinition": "web"}"#).await;
    let task = run["tasks"][0]["taskArn"].as_str().unwrap().to_owned();
    let payload = agent.next("PayloadMessage").await;
    assert_eq!(payload["tasks"][0]["arn"], json!(task));
    agent.say("AckRequest", json!({"messageId": payload["messageId"]})).await;
    let report = json!({"task": task, "status": "RUNNING", "reason": ""}).to_string();
    assert_eq!(server.call("SubmitTaskStateChange", &report).await.0, 200);
    server.stop().await;

    let server = Server::start(Storage::open(&file).unwrap()).await;
    let described = server.handle.call("DescribeTasks", json!({"tasks": [task]})).await.unwrap();
    assert_eq!(described["tasks"][0]["lastStatus"], "RUNNING");
    let mut agent = server.agent("acs", &query).await.unwrap();
    let manifest = agent.next("TaskManifestMessage").await;
    assert_eq!(manifest["tasks"][0]["taskArn"], json!(task));
    let (_, described) =
        server.call("DescribeContainerInstances", &json!({"containerInstances": [instance]}).to_string()).await;
    let described = &described["containerInstances"][0];
    assert_eq!(
        (&described["agentConnected"], &described["versionInfo"]["dockerVersion"]),
        (&json!(true), &json!("DockerVersion: 24.0.7"))
    );

    let mut telemetry = server.agent("tcs", &format!("containerInstance={instance}&cluster=default")).await.unwrap();
    let signed = format!("Host: x\r\n\r\n{}", json!({"type": "PublishMetricsRequest", "message": {}}));
    telemetry.socket.send(Message::text(signed)).await.unwrap();
    telemetry.next("AckPublishMetric").await;

    drop(agent);
    let gone = async {
        loop {
            let body = json!({"containerInstances": [instance]});
            let answer = server.handle.call("DescribeContainerInstances", body).await.unwrap();
            if answer["containerInstances"][0]["agentConnected"] == json!(false) {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("the agent counts as away");
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_proper_request_is_refused_properly() {
    let server = Server::start(Storage::Memory).await;
    let (status, body) = server.call("RunTask", "{").await;
    assert_eq!((status, &body["__type"]), (400, &json!("SerializationException")));
    let (status, body) = server.call("Nonsense", "").await;
    assert_eq!((status, &body["__type"]), (400, &json!("UnknownOperationException")));
    let (status, body) = server.call("RunTask", &"x".repeat(5 << 20)).await;
    assert!(status == 400 || status == 0, "{status} {body}");

    let health = "GET /longshore/v1/health HTTP/1.1";
    let local = format!("{health}\r\nHost: {}", server.address);
    assert_eq!(server.raw(&local, b"").await, (200, r#"{"status":"ok"}"#.to_owned()));
    let extra = format!("GET /longshore/v1/extra HTTP/1.1\r\nHost: {}", server.address);
    assert_eq!(server.raw(&extra, b"").await, (200, "more".to_owned()));
    for foreign in [format!("{health}\r\nHost: evil.example"), format!("{local}\r\nOrigin: http://evil.example")] {
        assert_eq!(server.raw(&foreign, b"").await.0, 403, "{foreign}");
    }

    let refusal = server.agent("acs", "containerInstanceArn=arn:ghost").await.err().expect("a refusal");
    assert!(refusal.contains("InvalidInstanceException"), "{refusal}");
    server.stop().await;
}
