//! Publishing: metrics and health every 20 s, and how the instance is, on the telemetry socket (spec 10 §5).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::effect::Connection;
use engine::rng::Rng;
use engine::telemetry::{Publisher, Waiting, health_round, metrics_round};
use engine::{Mono, Now, Outcome};
use jiff::Timestamp;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use wire::ecs::EpochSeconds;
use wire::ids::DockerId;
use wire::tcs::{
    ContainerMetric, InstanceStatus, InstanceStatusMetadata, LongStatsSet, NetworkStatsSet, Publish,
    PublishInstanceStatus, RestartStatsSet, StatsSet, StorageStatsSet, TaskMetric,
};

use super::published::Published;
use super::sampler::{ContainerSets, FloatSet, IntegerSet, NetworkSets, Samples};
use super::sockets::Sockets;
use crate::config::Config;

const PERIOD: Duration = Duration::from_secs(20);
/// How long the container engine may take to prove that it is there (spec 10 §5.6).
const PING: Duration = Duration::from_secs(2);

/// What publishing needs.
pub(super) struct Telemetry {
    pub config: Arc<Config>,
    pub credentials: aws::CredentialsSource,
    pub docker: docker::Engine,
    pub published: Published,
    pub samples: Samples,
    pub sockets: Sockets,
    pub began: Instant,
}

/// The one check of the instance: does the container engine answer?
struct RuntimeCheck {
    status: &'static str,
    since: Timestamp,
    /// Of the run before the last one, as the reference has it (spec 10 trap 37).
    updated: Timestamp,
    ran: Timestamp,
    is_told: bool,
}

impl RuntimeCheck {
    fn new(now: Timestamp) -> Self {
        Self { status: "INITIALIZING", since: now, updated: now, ran: now, is_told: false }
    }

    fn apply(&mut self, is_well: bool, now: Timestamp) {
        let status = if is_well { "OK" } else { "IMPAIRED" };
        if status != self.status {
            self.status = status;
            self.since = now;
        }
        self.updated = self.ran;
        self.ran = now;
        self.is_told = false;
    }
}

impl Telemetry {
    /// Publishes until `shutdown`.
    pub(super) async fn run(self, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut connected = self.sockets.telemetry();
        let heartbeats = self.sockets.heartbeats();
        let mut rng = Rng::new(crate::plane::random_seed());
        let mut waiting: Waiting<Vec<Publish>> = Waiting::new();
        let mut check = RuntimeCheck::new(Timestamp::now());
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => self.gather(&mut waiting, &mut rng),
                changed = connected.changed() => if changed.is_err() { return },
                () = heartbeats.notified() => {
                    let is_well = self.docker.within(PING).ping().await.is_ok();
                    check.apply(is_well, Timestamp::now());
                    continue;
                }
            }
            let connection = connected.borrow_and_update().clone();
            if let Some((connection, url)) = connection {
                self.drain(connection, &url, &mut waiting).await;
                self.tell_status(connection, &url, &mut check, &mut rng).await;
            }
        }
    }

    fn publisher(&self) -> Option<Publisher> {
        let instance = self.published.instance()?;
        Some(Publisher {
            cluster: instance.cluster.clone(),
            container_instance: instance.instance.as_ref()?.to_string(),
        })
    }

    /// One round of metrics and one of health.
    fn gather(&self, waiting: &mut Waiting<Vec<Publish>>, rng: &mut Rng) {
        let Some(publisher) = self.publisher() else { return };
        let tasks = self.published.tasks();
        let now = Now { mono: Mono(self.began.elapsed()), wall: Timestamp::now() };
        let at = EpochSeconds::from(now.wall);
        let sets = self.samples.sets();
        let metrics = tasks.iter().map(|task| TaskMetric {
            task_arn: task.arn().to_string(),
            task_definition_family: task.definition.family.clone(),
            task_definition_version: task.definition.version.clone(),
            container_metrics: container_metrics(task, &sets),
        });
        let is_idle = self.config.telemetry.metrics_disabled || self.samples.is_idle();
        let pages = metrics_round(&publisher, &rng.uuid(), is_idle, metrics.collect(), at);
        if !pages.is_empty() {
            self.samples.mark_sent();
        }
        let mut round: Vec<Publish> = pages.into_iter().map(Publish::Metrics).collect();
        if !self.config.telemetry.health_disabled {
            round.extend(health_round(&publisher, &rng.uuid(), &tasks, now).into_iter().map(Publish::Health));
        }
        if !round.is_empty() && !waiting.push(round) {
            debug!("a round of metrics was discarded: the telemetry service has been away for long");
        }
    }

    async fn drain(&self, connection: Connection, url: &str, waiting: &mut Waiting<Vec<Publish>>) {
        while let Some(mut round) = waiting.pop() {
            let now = EpochSeconds::from(Timestamp::now());
            while let Some(mut page) = (!round.is_empty()).then(|| round.remove(0)) {
                match &mut page {
                    Publish::Metrics(page) => page.timestamp = now,
                    Publish::Health(page) => page.timestamp = now,
                    Publish::InstanceStatus(_) => {}
                }
                if !self.send(connection, url, &page).await {
                    return;
                }
            }
        }
    }

    async fn tell_status(&self, connection: Connection, url: &str, check: &mut RuntimeCheck, rng: &mut Rng) {
        if check.is_told {
            return;
        }
        let Some(publisher) = self.publisher() else { return };
        let status = Publish::InstanceStatus(PublishInstanceStatus {
            metadata: InstanceStatusMetadata {
                cluster: publisher.cluster,
                container_instance: publisher.container_instance,
                request_id: rng.uuid(),
            },
            statuses: vec![InstanceStatus {
                kind: "ContainerRuntime".to_owned(),
                status: check.status.to_owned(),
                last_status_change: EpochSeconds::from(check.since),
                last_updated: EpochSeconds::from(check.updated),
            }],
            timestamp: EpochSeconds::from(Timestamp::now()),
        });
        check.is_told = self.send(connection, url, &status).await;
    }

    /// Signs and sends one message; nothing is sent twice (spec 10 §5.2).
    async fn send(&self, connection: Connection, url: &str, message: &Publish) -> bool {
        let Ok(body) = serde_json::to_string(message) else { return false };
        let credentials = match self.credentials.credentials().await {
            Ok(credentials) => credentials,
            Err(error) => {
                warn!("telemetry cannot be signed: {error}");
                return false;
            }
        };
        let region = &self.config.identity.region;
        match aws::sign_frame(url, &body, &credentials, region, Timestamp::now()) {
            Ok(frame) => matches!(self.sockets.send(connection, frame).await, Outcome::Done),
            Err(error) => {
                warn!("telemetry cannot be signed: {error}");
                false
            }
        }
    }
}

fn container_metrics(task: &engine::task::Task, sets: &BTreeMap<DockerId, ContainerSets>) -> Vec<ContainerMetric> {
    let known = task.containers.iter().filter_map(|c| Some((c, sets.get(c.state.docker_id.as_ref()?)?)));
    known
        .map(|(container, sets)| ContainerMetric {
            container_name: container.name().to_owned(),
            cpu_stats_set: float(&sets.cpu),
            memory_stats_set: float(&sets.memory),
            storage_stats_set: Some(StorageStatsSet {
                read_size_bytes: integer(&sets.storage.read),
                write_size_bytes: integer(&sets.storage.written),
            }),
            network_stats_set: sets.network.as_ref().map(network),
            restart_stats_set: sets.restarts.map(|restart_count| RestartStatsSet { restart_count }),
        })
        .collect()
}

fn float(set: &FloatSet) -> StatsSet {
    StatsSet { max: set.max, min: set.min, sample_count: set.count, sum: set.sum }
}

fn integer(set: &IntegerSet) -> LongStatsSet {
    LongStatsSet::new(set.max, set.min, set.sum, set.count)
}

fn network(sets: &NetworkSets) -> NetworkStatsSet {
    NetworkStatsSet {
        rx_bytes: integer(&sets.rx_bytes),
        rx_dropped: integer(&sets.rx_dropped),
        rx_errors: integer(&sets.rx_errors),
        rx_packets: integer(&sets.rx_packets),
        tx_bytes: integer(&sets.tx_bytes),
        tx_dropped: integer(&sets.tx_dropped),
        tx_errors: integer(&sets.tx_errors),
        tx_packets: integer(&sets.tx_packets),
        rx_bytes_per_second: float(&sets.rx_bytes_per_second),
        tx_bytes_per_second: float(&sets.tx_bytes_per_second),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtime_check_tells_each_run_once_and_is_one_run_behind() {
        let at = |second| Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
        let mut check = RuntimeCheck::new(at(0));
        assert_eq!((check.status, check.is_told), ("INITIALIZING", false));
        check.is_told = true;
        check.apply(true, at(10));
        assert_eq!((check.status, check.is_told, check.since, check.updated), ("OK", false, at(10), at(0)));
        check.apply(true, at(20));
        assert_eq!((check.since, check.updated), (at(10), at(10)));
        check.apply(false, at(30));
        assert_eq!((check.status, check.since, check.updated), ("IMPAIRED", at(30), at(20)));
    }
}
