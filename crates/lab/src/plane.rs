//! A scripted control plane: it answers the ECS API's agent calls and the two websockets on one loopback port, notes
//! all that the agent says, and says what the test tells it to.

pub(crate) mod http;
mod socket;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::ids::hex;
use socket::Writer;

pub const REGION: &str = "us-west-2";
pub const ACCOUNT: &str = "123456789012";

/// How often both sockets get a heartbeat.
const HEARTBEAT: Duration = Duration::from_secs(25);

/// One of the agent's two websockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    Acs,
    Tcs,
}

/// Something that the agent did.
#[derive(Debug, Clone)]
pub struct Entry {
    pub at: Instant,
    pub what: What,
}

#[derive(Debug, Clone)]
pub enum What {
    /// It called an operation of the ECS API.
    Call { operation: String, body: Value, is_signed: bool },
    /// It opened a websocket.
    Connected { channel: Channel, query: BTreeMap<String, String>, is_signed: bool },
    /// A websocket ended.
    Closed { channel: Channel },
    /// It said something on a websocket.
    Said { channel: Channel, kind: String, message: Value },
}

/// The control plane. It serves until it is dropped.
pub struct Plane {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    address: SocketAddr,
    cluster: String,
    cluster_arn: String,
    instance_arn: String,
    state: Mutex<State>,
    grew: Condvar,
}

#[derive(Default)]
struct State {
    entries: Vec<Entry>,
    /// Errors to answer before any success, by operation: status and type.
    failures: BTreeMap<String, VecDeque<(u16, String)>>,
    writers: BTreeMap<Channel, Writer>,
    sequence: u64,
    is_over: bool,
    task_arns: Vec<String>,
}

impl Plane {
    /// Listens on a free port, with a cluster name that nobody else has.
    ///
    /// # Errors
    /// The port cannot be had.
    pub fn start() -> Result<Self> {
        Self::on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listening on loopback")?)
    }

    /// Listens on a socket that may be of another network namespace.
    ///
    /// # Errors
    /// The socket has no address.
    pub fn on(listener: TcpListener) -> Result<Self> {
        let cluster = format!("lab-{}", hex(8));
        let shared = Arc::new(Shared {
            address: listener.local_addr()?,
            cluster_arn: format!("arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{cluster}"),
            instance_arn: format!("arn:aws:ecs:{REGION}:{ACCOUNT}:container-instance/{cluster}/{}", hex(32)),
            cluster,
            state: Mutex::default(),
            grew: Condvar::new(),
        });
        let server = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if server.state().is_over {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let server = Arc::clone(&server);
                std::thread::spawn(move || http::serve(&server, stream));
            }
        });
        let ticker = Arc::clone(&shared);
        std::thread::spawn(move || ticker.beat());
        Ok(Self { shared })
    }

    /// Where it listens, as `http://address:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.shared.address)
    }

    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.shared.cluster
    }

    #[must_use]
    pub fn cluster_arn(&self) -> &str {
        &self.shared.cluster_arn
    }

    #[must_use]
    pub fn instance_arn(&self) -> &str {
        &self.shared.instance_arn
    }

    /// An ARN for a new task.
    #[must_use]
    pub fn task_arn(&self) -> String {
        let arn = format!("arn:aws:ecs:{REGION}:{ACCOUNT}:task/{}/{}", self.shared.cluster, hex(32));
        self.shared.state().task_arns.push(arn.clone());
        arn
    }

    /// All that were given out.
    #[must_use]
    pub fn task_arns(&self) -> Vec<String> {
        self.shared.state().task_arns.clone()
    }

    /// Everything so far, in order.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.shared.state().entries.clone()
    }

    /// Bodies of the calls of one operation so far.
    #[must_use]
    pub fn calls(&self, wanted: &str) -> Vec<Value> {
        let calls = self.entries().into_iter().filter_map(|entry| match entry.what {
            What::Call { operation, body, .. } if operation == wanted => Some(body),
            _ => None,
        });
        calls.collect()
    }

    /// State changes of one task so far, without their token.
    #[must_use]
    pub fn story(&self, task: &str) -> Vec<Value> {
        self.calls("SubmitTaskStateChange").into_iter().filter(|body| body["task"] == task).collect()
    }

    /// State changes of all tasks so far, by task.
    #[must_use]
    pub fn stories(&self) -> BTreeMap<String, Vec<Value>> {
        let mut stories: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for entry in &self.shared.state().entries {
            if let What::Call { operation, body, .. } = &entry.what
                && operation == "SubmitTaskStateChange"
                && let Some(task) = body["task"].as_str()
            {
                stories.entry(task.to_owned()).or_default().push(body.clone());
            }
        }
        stories
    }

    /// Ids of the payloads that the agent has acknowledged.
    #[must_use]
    pub fn acknowledgements(&self) -> BTreeSet<String> {
        let state = self.shared.state();
        let ids = state.entries.iter().filter_map(|entry| match &entry.what {
            What::Said { channel: Channel::Acs, kind, message } if kind == "AckRequest" => {
                message["messageId"].as_str()
            }
            _ => None,
        });
        ids.map(str::to_owned).collect()
    }

    /// Forgets what it heard. Nobody may be waiting.
    pub fn forget(&self) {
        self.shared.state().entries.clear();
    }

    /// Answers the next `times` calls of `operation` with an error.
    pub fn fail(&self, operation: &str, times: usize, status: u16, kind: &str) {
        let mut state = self.shared.state();
        let failures = state.failures.entry(operation.to_owned()).or_default();
        failures.extend(std::iter::repeat_n((status, kind.to_owned()), times));
    }

    /// Waits for an entry, past or to come, from which `pick` takes something.
    ///
    /// # Errors
    /// There was none within `limit`; the message names `what` and what was heard last.
    pub fn wait<T>(&self, what: &str, limit: Duration, pick: impl Fn(&Entry) -> Option<T>) -> Result<T> {
        let end = Instant::now() + limit;
        let mut seen = 0;
        let mut state = self.shared.state();
        loop {
            for entry in state.entries.get(seen..).unwrap_or_default() {
                if let Some(found) = pick(entry) {
                    return Ok(found);
                }
            }
            seen = state.entries.len();
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let heard: Vec<String> = state.entries.iter().rev().take(8).rev().map(brief).collect();
                bail!("waited {} s for {what}; heard last:\n  {}", limit.as_secs(), heard.join("\n  "));
            }
            state = match self.shared.grew.wait_timeout(state, left) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    /// Waits for a task's state change and gives its body and when it came.
    ///
    /// # Errors
    /// See [`Self::wait`].
    pub fn until(&self, task: &str, status: &str, limit: Duration) -> Result<(Value, Instant)> {
        self.wait(&format!("task {task} {status}"), limit, |entry| match &entry.what {
            What::Call { operation, body, .. }
                if operation == "SubmitTaskStateChange" && body["task"] == task && body["status"] == status =>
            {
                Some((body.clone(), entry.at))
            }
            _ => None,
        })
    }

    /// Waits for a websocket opened after `since`; gives when, its query, and whether it was signed.
    ///
    /// # Errors
    /// See [`Self::wait`].
    pub fn connected(
        &self,
        wanted: Channel,
        since: Instant,
        limit: Duration,
    ) -> Result<(Instant, BTreeMap<String, String>, bool)> {
        self.wait(&format!("the {wanted:?} connection"), limit, |entry| match &entry.what {
            What::Connected { channel, query, is_signed } if *channel == wanted && entry.at >= since => {
                Some((entry.at, query.clone(), *is_signed))
            }
            _ => None,
        })
    }

    /// Waits until the agent answers a message by this kind and message id.
    ///
    /// # Errors
    /// See [`Self::wait`].
    pub fn acknowledged(&self, wanted: &str, id: &str, limit: Duration) -> Result<Value> {
        self.wait(&format!("{wanted} of {id}"), limit, |entry| match &entry.what {
            What::Said { channel: Channel::Acs, kind, message } if kind == wanted && message["messageId"] == id => {
                Some(message.clone())
            }
            _ => None,
        })
    }

    /// Sends a message on ACS and gives the moment of sending.
    ///
    /// # Errors
    /// The agent is not connected.
    pub fn send(&self, kind: &str, message: &Value) -> Result<Instant> {
        self.send_text(&json!({ "type": kind, "message": message }).to_string())
    }

    /// Sends any text on ACS.
    ///
    /// # Errors
    /// The agent is not connected.
    pub fn send_text(&self, text: &str) -> Result<Instant> {
        let writer = self.shared.state().writers.get(&Channel::Acs).cloned().context("no ACS connection")?;
        let at = Instant::now();
        writer.send(text)?;
        Ok(at)
    }

    /// Sends tasks; gives the message's id and the moment of sending.
    ///
    /// # Errors
    /// The agent is not connected.
    pub fn payload(&self, tasks: &[Value]) -> Result<(String, Instant)> {
        let id = hex(32);
        let sequence = {
            let mut state = self.shared.state();
            state.sequence += 1;
            state.sequence
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let message = json!({
            "clusterArn": self.shared.cluster_arn, "containerInstanceArn": self.shared.instance_arn,
            "generatedAt": u64::try_from(now).unwrap_or(0), "messageId": id, "seqNum": sequence, "tasks": tasks,
        });
        Ok((id, self.send("PayloadMessage", &message)?))
    }

    /// How many ACS connections there were.
    #[must_use]
    pub fn acs_connections(&self) -> usize {
        let is_acs = |entry: &Entry| matches!(entry.what, What::Connected { channel: Channel::Acs, .. });
        self.shared.state().entries.iter().filter(|entry| is_acs(entry)).count()
    }

    /// Cuts the ACS connection without a word.
    pub fn cut(&self) {
        if let Some(writer) = self.shared.state().writers.remove(&Channel::Acs) {
            writer.cut();
        }
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.is_over = true;
        for (_, writer) in std::mem::take(&mut state.writers) {
            writer.cut();
        }
        drop(state);
        self.shared.grew.notify_all();
        // Wakes the listener, which then sees that it is over.
        drop(TcpStream::connect(self.shared.address));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, what: What) {
        self.state().entries.push(Entry { at: Instant::now(), what });
        self.grew.notify_all();
    }

    fn beat(&self) {
        let mut next = Instant::now() + HEARTBEAT;
        let mut state = self.state();
        while !state.is_over {
            let now = Instant::now();
            if now >= next {
                next = now + HEARTBEAT;
                let beat = json!({ "type": "HeartbeatMessage", "message": { "messageId": hex(32), "healthy": true } });
                for writer in state.writers.values() {
                    // A socket that just ended is noticed by its reader.
                    drop(writer.send(&beat.to_string()));
                }
            }
            state = match self.grew.wait_timeout(state, next - now.min(next)) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    /// The answer to an operation: status and body.
    fn answer(&self, operation: &str, body: &Value) -> (u16, Value) {
        if let Some((status, kind)) = self.state().failures.get_mut(operation).and_then(VecDeque::pop_front) {
            return (status, json!({ "__type": kind, "message": "injected" }));
        }
        let ok = match operation {
            "RegisterContainerInstance" => json!({ "containerInstance": {
                "containerInstanceArn": self.instance_arn, "status": "ACTIVE", "agentConnected": true,
                "attributes": body["attributes"], "registeredResources": body["totalResources"],
                "remainingResources": body["totalResources"], "tags": [],
            }}),
            "DiscoverPollEndpoint" => {
                let base = format!("http://{}", self.address);
                json!({ "endpoint": format!("{base}/acs/"), "telemetryEndpoint": format!("{base}/tcs/"),
                        "serviceConnectEndpoint": format!("{base}/sc/") })
            }
            "CreateCluster" => json!({ "cluster": {
                "clusterArn": self.cluster_arn, "clusterName": self.cluster, "status": "ACTIVE",
            }}),
            "SubmitTaskStateChange" | "SubmitContainerStateChange" | "SubmitAttachmentStateChanges" => {
                json!({ "acknowledgment": "ACK" })
            }
            "ListTagsForResource" => json!({ "tags": [{ "key": "team", "value": "lab" }] }),
            "UpdateContainerInstancesState" => json!({ "containerInstances": [], "failures": [] }),
            _ => return (400, json!({ "__type": "InvalidAction", "message": operation })),
        };
        (200, ok)
    }
}

fn brief(entry: &Entry) -> String {
    match &entry.what {
        What::Call { operation, body, .. } => {
            let text = body.to_string();
            format!("{operation} {}", text.chars().take(300).collect::<String>())
        }
        What::Connected { channel, .. } => format!("{channel:?} connected"),
        What::Closed { channel } => format!("{channel:?} closed"),
        What::Said { channel, kind, .. } => format!("{channel:?}: {kind}"),
    }
}
