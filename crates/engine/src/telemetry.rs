//! Rounds of telemetry: what goes into which page (spec 10 §5.3–5.5). Pure; when a round is due and how it
//! travels is the shell's matter.

use std::collections::VecDeque;
use std::sync::Arc;

use wire::ecs::EpochSeconds;
use wire::tcs::{
    ContainerHealth, HealthMetadata, MetricsMetadata, PublishHealth, PublishMetrics, TaskHealth, TaskMetric,
};

use crate::status::TaskStatus;
use crate::task::Task;
use crate::time::Now;

/// Tasks of one page.
const TASKS_A_PAGE: usize = 10;
/// Bytes of one page's JSON, without envelope and signature.
const PAGE_BYTES: usize = 1 << 20;
/// Rounds that wait while there is no connection.
const ROUNDS: usize = 15;

/// Who publishes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Publisher {
    pub cluster: String,
    pub container_instance: String,
}

/// The pages of one round of metrics; none where containers are watched and nothing is known of them yet.
pub fn metrics_round(
    publisher: &Publisher,
    message_id: &str,
    is_idle: bool,
    tasks: Vec<TaskMetric>,
    at: EpochSeconds,
) -> Vec<PublishMetrics> {
    let page = |task_metrics: Vec<TaskMetric>| PublishMetrics {
        metadata: MetricsMetadata {
            cluster: publisher.cluster.clone(),
            container_instance: publisher.container_instance.clone(),
            idle: is_idle,
            message_id: message_id.to_owned(),
            fin: false,
        },
        task_metrics,
        timestamp: at,
    };
    let mut pages = Vec::new();
    if is_idle {
        pages.push(page(Vec::new()));
    } else {
        let mut tasks = tasks.into_iter().filter(|task| !task.container_metrics.is_empty());
        let (mut current, mut bytes) = (Vec::new(), 0);
        for task in &mut tasks {
            let size = serde_json::to_string(&task).map_or(0, |text| text.len() + 1);
            if current.len() == TASKS_A_PAGE || (!current.is_empty() && bytes + size > PAGE_BYTES - 1024) {
                pages.push(page(std::mem::take(&mut current)));
                bytes = 0;
            }
            bytes += size;
            current.push(task);
        }
        if !current.is_empty() {
            pages.push(page(current));
        }
    }
    if let Some(last) = pages.last_mut() {
        last.metadata.fin = true;
    }
    pages
}

/// The pages of one round of health; none where no container has a health check.
pub fn health_round(publisher: &Publisher, message_id: &str, tasks: &[Arc<Task>], now: Now) -> Vec<PublishHealth> {
    let health: Vec<TaskHealth> = tasks
        .iter()
        .filter(|task| task.state.known < TaskStatus::Stopped)
        .filter_map(|task| {
            let containers: Vec<_> = task
                .containers
                .iter()
                .filter(|c| c.definition.has_health_check && !c.is_stopped() && c.state.docker_id.is_some())
                .map(|c| ContainerHealth {
                    container_name: c.name().to_owned(),
                    health_status: c.health.status.to_string(),
                    status_since: EpochSeconds::from(c.health.since.unwrap_or(now.wall)),
                })
                .collect();
            (!containers.is_empty()).then(|| TaskHealth {
                task_arn: task.arn().to_string(),
                task_definition_family: task.definition.family.clone(),
                task_definition_version: task.definition.version.clone(),
                containers,
            })
        })
        .collect();
    let count = health.len().div_ceil(TASKS_A_PAGE);
    health
        .chunks(TASKS_A_PAGE)
        .enumerate()
        .map(|(index, tasks)| PublishHealth {
            metadata: HealthMetadata {
                cluster: publisher.cluster.clone(),
                container_instance: publisher.container_instance.clone(),
                fin: index + 1 == count,
                message_id: message_id.to_owned(),
            },
            tasks: tasks.to_vec(),
            timestamp: EpochSeconds::from(now.wall),
        })
        .collect()
}

/// Rounds that wait for a connection, oldest first; a round too many is discarded (spec 10 §5.3).
#[derive(Debug, Default)]
pub struct Waiting<T>(VecDeque<T>);

impl<T> Waiting<T> {
    pub const fn new() -> Self {
        Self(VecDeque::new())
    }

    /// `false`: there was no room, and the round is gone.
    pub fn push(&mut self, round: T) -> bool {
        let has_room = self.0.len() < ROUNDS;
        if has_room {
            self.0.push_back(round);
        }
        has_room
    }

    pub fn pop(&mut self) -> Option<T> {
        self.0.pop_front()
    }

    /// Puts a round back that could not be sent.
    pub fn put_back(&mut self, round: T) {
        self.0.push_front(round);
    }
}

#[cfg(test)]
mod tests {
    use wire::tcs::ContainerMetric;

    use super::*;

    fn metric(number: usize, containers: usize) -> TaskMetric {
        TaskMetric {
            task_arn: format!("arn/{number}"),
            container_metrics: vec![ContainerMetric::default(); containers],
            ..TaskMetric::default()
        }
    }

    fn pages(is_idle: bool, tasks: Vec<TaskMetric>) -> Vec<(usize, bool, String)> {
        metrics_round(&Publisher::default(), "m", is_idle, tasks, EpochSeconds::default())
            .into_iter()
            .map(|page| (page.task_metrics.len(), page.metadata.fin, page.metadata.message_id))
            .collect()
    }

    #[test]
    fn ten_tasks_are_one_page_and_the_last_page_says_so() {
        let page = |count, fin| (count, fin, "m".to_owned());
        assert_eq!(pages(false, (0..10).map(|n| metric(n, 1)).collect()), [page(10, true)]);
        assert_eq!(pages(false, (0..11).map(|n| metric(n, 1)).collect()), [page(10, false), page(1, true)]);
    }

    #[test]
    fn an_idle_instance_says_so_and_one_without_figures_says_nothing() {
        assert_eq!(pages(true, vec![]), [(0, true, "m".to_owned())]);
        assert_eq!(pages(false, vec![metric(1, 0)]), []);
    }

    #[test]
    fn a_page_stays_below_its_limit_in_bytes() {
        let heavy = |n| metric(n, 2000);
        let all =
            metrics_round(&Publisher::default(), "m", false, (0..6).map(heavy).collect(), EpochSeconds::default());
        assert!(all.len() > 1);
        for page in &all {
            let bytes = serde_json::to_string(page).unwrap_or_default().len();
            assert!(bytes <= PAGE_BYTES, "{bytes}");
        }
        assert_eq!(all.iter().map(|page| page.task_metrics.len()).sum::<usize>(), 6);
    }

    #[test]
    fn rounds_wait_up_to_a_limit_in_order() {
        let mut waiting = Waiting::new();
        for round in 0..ROUNDS {
            assert!(waiting.push(round));
        }
        assert!(!waiting.push(99));
        assert_eq!(waiting.pop(), Some(0));
        waiting.put_back(0);
        assert_eq!(waiting.pop(), Some(0));
    }
}
