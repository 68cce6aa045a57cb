//! What is so at this moment: tasks, containers, queues, and what each container and the agent itself use.

use std::fmt;
use std::sync::PoisonError;

use engine::container::Container;
use engine::task::Task;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::{Amount, Labels, Level, Metrics};
use crate::agent::PROTOCOL_VERSION;
use crate::agent::published::Published;
use crate::agent::sampler::{Sampled, Samples};

/// Levels that are set anew for each reader.
#[derive(Debug)]
pub(super) struct Present {
    tasks: Level,
    containers: Level,
    connected: Level,
    reports: Level,
    pulls: Level,
    cpu: Amount,
    memory: Level,
    memory_limit: Level,
    network: Amount,
    block: Amount,
    pids: Level,
    restarts: Amount,
    own_memory: Level,
    own_files: Level,
}

impl Present {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let present = Self {
            tasks: Level::default(),
            containers: Level::default(),
            connected: Level::default(),
            reports: Level::default(),
            pulls: Level::default(),
            cpu: Amount::default(),
            memory: Level::default(),
            memory_limit: Level::default(),
            network: Amount::default(),
            block: Amount::default(),
            pids: Level::default(),
            restarts: Amount::default(),
            own_memory: Level::default(),
            own_files: Level::default(),
        };
        let versions = vec![("version", env!("CARGO_PKG_VERSION")), ("protocol", PROTOCOL_VERSION)];
        registry.register(
            "build",
            "This agent, and the reference version whose protocol it speaks",
            Info::new(versions),
        );
        let mut level = |name: &str, help: &str, level: &Level| registry.register(name, help, level.clone());
        level("tasks", "Tasks by known and desired status", &present.tasks);
        level("containers", "Containers of tasks by known status and health", &present.containers);
        level("connected", "1 while the socket to the control plane is open", &present.connected);
        level("reports", "State changes on their way to the control plane", &present.reports);
        level("pulls", "Pulls of images under way", &present.pulls);
        level("container_pids", "Processes and threads", &present.pids);
        level("agent_open_files", "Open descriptors of the agent", &present.own_files);
        let mut bytes =
            |name: &str, help: &str, level: &Level| registry.register_with_unit(name, help, Unit::Bytes, level.clone());
        bytes("container_memory", "Memory in use, without what the kernel can take back at once", &present.memory);
        bytes("container_memory_limit", "The memory limit, or the machine's memory", &present.memory_limit);
        bytes("agent_memory", "Resident memory of the agent", &present.own_memory);
        let help = "CPU time used";
        registry.register_with_unit("container_cpu", help, Unit::Seconds, present.cpu.clone());
        let help = "Received and sent on all interfaces";
        registry.register_with_unit("container_network", help, Unit::Bytes, present.network.clone());
        let help = "Read from and written to block devices";
        registry.register_with_unit("container_block", help, Unit::Bytes, present.block.clone());
        registry.register("container_restarts", "Restarts by the restart policy", present.restarts.clone());
        present
    }

    fn set(&self, published: &Published, samples: &Samples) {
        for level in [&self.tasks, &self.containers, &self.memory, &self.memory_limit, &self.pids] {
            level.clear();
        }
        for amount in [&self.cpu, &self.network, &self.block, &self.restarts] {
            amount.clear();
        }
        for task in published.tasks() {
            let (known, desired) = (task.state.known.to_string(), task.state.desired.to_string());
            self.tasks.get_or_create(&vec![("known", known), ("desired", desired)]).inc();
            for container in task.containers.iter().filter(|container| !container.definition.kind.is_internal()) {
                self.set_container(&task, container, samples);
            }
        }
        self.set_instance(published);
        set(&self.own_memory, Vec::new(), host::process::resident_memory().unwrap_or(0));
        set(&self.own_files, Vec::new(), host::process::open_files().unwrap_or(0) as u64);
    }

    fn set_instance(&self, published: &Published) {
        let instance = published.instance();
        let instance = instance.as_deref();
        let socket = |name: &str| vec![("socket", name.to_owned())];
        let is_open = |since: Option<engine::Mono>| u64::from(since.is_some());
        set(&self.connected, socket("acs"), is_open(instance.and_then(|view| view.acs_connected_since)));
        set(&self.connected, socket("tcs"), is_open(instance.and_then(|view| view.tcs_connected_since)));
        let state = |name: &str| vec![("state", name.to_owned())];
        set(&self.reports, state("in_flight"), instance.map_or(0, |view| view.reports_in_flight) as u64);
        set(&self.reports, state("waiting"), instance.map_or(0, |view| view.reports_waiting) as u64);
        set(&self.pulls, Vec::new(), published.pulls_under_way() as u64);
    }

    fn set_container(&self, task: &Task, container: &Container, samples: &Samples) {
        let state = &container.state;
        let (known, health) = (state.known.to_string(), container.health.status.to_string());
        self.containers.get_or_create(&vec![("known", known), ("health", health)]).inc();
        let named = || -> Labels {
            let name = &container.definition.name;
            vec![
                ("task", task.id().to_string()),
                ("family", task.definition.family.clone()),
                ("container", name.to_string()),
            ]
        };
        let with = |label: &'static str, value: &str| {
            let mut labels = named();
            labels.push((label, value.to_owned()));
            labels
        };
        if container.definition.restart_policy.is_some() {
            add(&self.restarts, named(), state.restarts.count as f64);
        }
        let Sampled::Some(sample) = samples.of(task, container) else { return };
        let stats = &sample.stats;
        add(&self.cpu, named(), stats.cpu_stats.cpu_usage.total_usage as f64 / 1e9);
        set(&self.memory, named(), sample.memory_in_use());
        set(&self.memory_limit, named(), stats.memory_stats.limit);
        set(&self.pids, named(), stats.pids_stats.current);
        let (received, sent) = stats
            .networks
            .values()
            .fold((0, 0), |(received, sent), network| (received + network.rx_bytes, sent + network.tx_bytes));
        add(&self.network, with("direction", "received"), received as f64);
        add(&self.network, with("direction", "sent"), sent as f64);
        add(&self.block, with("direction", "read"), sample.block_bytes("read") as f64);
        add(&self.block, with("direction", "written"), sample.block_bytes("write") as f64);
    }
}

fn set(level: &Level, labels: Labels, value: u64) {
    level.get_or_create(&labels).set(value as f64);
}

fn add(amount: &Amount, labels: Labels, value: f64) {
    amount.get_or_create(&labels).inc_by(value);
}

impl Metrics {
    /// The whole text, with what is so now.
    ///
    /// # Errors
    /// A value cannot be written as text.
    pub(crate) fn text(&self, published: &Published, samples: &Samples) -> Result<String, fmt::Error> {
        // Held until the text is made, so that readers at one time do not see half of another's levels.
        let present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        present.set(published, samples);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        drop(present);
        Ok(text)
    }
}
