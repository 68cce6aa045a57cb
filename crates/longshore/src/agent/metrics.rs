//! What the agent counts and times of its own work, and how that and the present state become text for Prometheus.
//! Nothing is kept unless somebody wants it (`ECS_ENABLE_PROMETHEUS_METRICS`).

mod present;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use engine::fact::{Fact, Note};
use engine::status::TaskStatus;
use engine::{Effect, InstanceView, Mono};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use wire::ids::TaskId;

use present::Present;

/// The media type of [`Metrics::text`].
pub(crate) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;
type Timed = Family<Labels, Histogram, fn() -> Histogram>;
type Counted = Family<Labels, Counter>;
type Amount = Family<Labels, Counter<f64, AtomicU64>>;
type Level = Family<Labels, Gauge<f64, AtomicU64>>;

/// Counters and time spans since the agent started.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    facts: Counted,
    transitions: Timed,
    waits: Histogram,
    pulls: Histogram,
    calls: Timed,
    connections: Counted,
    present: Mutex<Present>,
    seen: Mutex<Seen>,
}

/// What the next observation is compared with.
#[derive(Debug, Default)]
struct Seen {
    /// When each task that has not stopped reached its last status.
    reached: BTreeMap<TaskId, Mono>,
    acs: Option<Mono>,
    tcs: Option<Mono>,
}

/// From a millisecond to some minutes.
fn short() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 3.0, 12))
}

/// From a tenth of a second to some hours.
fn long() -> Histogram {
    Histogram::new(exponential_buckets(0.1, 2.5, 12))
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("longshore");
        let facts = Counted::default();
        registry.register("facts", "What happened to tasks, containers and images, by kind", facts.clone());
        let transitions = Timed::new_with_constructor(long);
        let help = "From one status of a task to the next, the first counted from its acceptance";
        registry.register_with_unit("task_transition", help, Unit::Seconds, transitions.clone());
        let waits = long();
        let help = "How long tasks waited for CPU, memory or ports";
        registry.register_with_unit("task_resource_wait", help, Unit::Seconds, waits.clone());
        let pulls = long();
        registry.register_with_unit("image_pull", "Pulls that succeeded", Unit::Seconds, pulls.clone());
        let calls = Timed::new_with_constructor(short);
        let help = "Calls to Docker and to the control plane";
        registry.register_with_unit("call", help, Unit::Seconds, calls.clone());
        let connections = Counted::default();
        registry.register("connections", "Connections opened to the control plane, by socket", connections.clone());
        let present = Present::register(&mut registry);
        let (present, seen) = (Mutex::new(present), Mutex::default());
        Self { registry, facts, transitions, waits, pulls, calls, connections, present, seen }
    }

    /// Counts a fact, and times what it ends.
    pub(crate) fn observe(&self, now: Mono, note: &Note) {
        self.facts.get_or_create(&vec![("what", note.fact.word().to_owned())]).inc();
        match &note.fact {
            Fact::ResourcesGranted { waited } => self.waits.observe(waited.as_secs_f64()),
            Fact::Pulled { took } => self.pulls.observe(took.as_secs_f64()),
            _ => {}
        }
        let Some(task) = &note.task else { return };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match &note.fact {
            Fact::Accepted => {
                seen.reached.insert(task.clone(), now);
            }
            Fact::TaskReached { status, .. } => {
                let last = match status {
                    TaskStatus::Stopped => seen.reached.remove(task),
                    _ => seen.reached.insert(task.clone(), now),
                };
                if let Some(last) = last {
                    let took = now.0.saturating_sub(last.0).as_secs_f64();
                    self.transitions.get_or_create(&vec![("to", status.to_string())]).observe(took);
                }
            }
            Fact::Removed => {
                seen.reached.remove(task);
            }
            _ => {}
        }
    }

    /// Counts connections that are new in this view.
    pub(crate) fn observe_instance(&self, view: &InstanceView) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Seen { acs, tcs, .. } = &mut *seen;
        for (socket, was, is) in [("acs", acs, view.acs_connected_since), ("tcs", tcs, view.tcs_connected_since)] {
            if is.is_some() && *was != is {
                self.connections.get_or_create(&vec![("socket", socket.to_owned())]).inc();
            }
            *was = is;
        }
    }

    /// Times one call.
    pub(crate) fn observe_call(&self, call: Call, took: Duration, has_succeeded: bool) {
        let outcome = if has_succeeded { "ok" } else { "failed" };
        let labels = [("api", call.api), ("call", call.name), ("outcome", outcome)]
            .map(|(name, value)| (name, value.to_owned()));
        self.calls.get_or_create(&labels.to_vec()).observe(took.as_secs_f64());
    }
}

/// What an effect asks of whom, where it is one call whose duration says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Call {
    pub api: &'static str,
    pub name: &'static str,
}

impl Call {
    /// `None` for what is no call, or lasts as long as it likes.
    pub(crate) fn of(effect: &Effect) -> Option<Self> {
        let (api, name) = match effect {
            Effect::ListContainers { .. } | Effect::ListAllContainers { .. } => ("docker", "list_containers"),
            Effect::Ping { .. } => ("docker", "ping"),
            Effect::ResolveDigest { .. } => ("docker", "inspect_distribution"),
            Effect::InspectImage { .. } => ("docker", "inspect_image"),
            Effect::Pull { .. } => ("docker", "pull_image"),
            Effect::TagImage { .. } => ("docker", "tag_image"),
            Effect::RemoveImage { .. } => ("docker", "remove_image"),
            Effect::ListImages { .. } => ("docker", "list_images"),
            Effect::CreateVolume { .. } => ("docker", "create_volume"),
            Effect::InspectVolume { .. } => ("docker", "inspect_volume"),
            Effect::RemoveVolume { .. } => ("docker", "remove_volume"),
            Effect::CreateContainer { .. } => ("docker", "create_container"),
            Effect::StartContainer { .. } => ("docker", "start_container"),
            Effect::StopContainer { .. } => ("docker", "stop_container"),
            Effect::InspectContainer { .. } => ("docker", "inspect_container"),
            Effect::RemoveContainer { .. } => ("docker", "remove_container"),
            Effect::RegisterInstance { .. } => ("ecs", "RegisterContainerInstance"),
            Effect::CreateCluster { .. } => ("ecs", "CreateCluster"),
            Effect::DiscoverPollEndpoint { .. } => ("ecs", "DiscoverPollEndpoint"),
            Effect::SubmitTask { .. } => ("ecs", "SubmitTaskStateChange"),
            _ => return None,
        };
        Some(Self { api, name })
    }
}
