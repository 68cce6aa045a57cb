//! Clusters and the operations on them.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wire::ecs::{self, EpochSeconds};

use crate::error::Fault;
use crate::page::{ascending, page};
use crate::rows::Table;
use crate::{Plane, RETENTION_MS, arn};

/// The cluster that is meant when none is named.
const DEFAULT: &str = "default";

/// A cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Cluster {
    pub(crate) settings: Vec<ecs::KeyValuePair>,
    /// Set once it is deleted.
    pub(crate) inactive_since: Option<EpochSeconds>,
}

impl Cluster {
    pub(crate) fn forgotten_at(&self) -> Option<i64> {
        self.inactive_since.map(|since| since.as_millis() + RETENTION_MS)
    }
}

impl Plane {
    /// The name of an active cluster that a request names, or means by naming none.
    pub(crate) fn active_cluster(&self, named: Option<&str>) -> Result<String, Fault> {
        let name = arn::resource(named.filter(|name| !name.is_empty()).unwrap_or(DEFAULT), "cluster");
        match self.clusters.get(name) {
            Some(cluster) if cluster.inactive_since.is_none() => Ok(name.to_owned()),
            _ => Err(Fault::cluster_not_found()),
        }
    }

    pub(crate) fn create_cluster(&mut self, request: ecs::CreateClusterRequest) -> Result<ecs::ClusterResponse, Fault> {
        let name = request.cluster_name.unwrap_or_else(|| DEFAULT.to_owned());
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 255 || !name.chars().all(legal) {
            return Err(Fault::parameter("Invalid cluster name."));
        }
        let tags = request.tags.unwrap_or_default();
        Self::check_tags(&tags)?;
        let active = self.clusters.get(&name).is_some_and(|cluster| cluster.inactive_since.is_none());
        if !active {
            self.expiries.retain(|(_, table, key)| !(*table == Table::Cluster && *key == name));
            let settings = request.settings.unwrap_or_default();
            self.clusters.insert(name.clone(), Cluster { settings, inactive_since: None });
            self.add_tags(&self.settings.cluster_arn(&name), &tags);
            self.touch(Table::Cluster, &name);
        }
        Ok(ecs::ClusterResponse { cluster: self.describe_cluster(&name, true) })
    }

    /// The cluster's description. It must exist.
    fn describe_cluster(&self, name: &str, all: bool) -> ecs::Cluster {
        let active = self.clusters.get(name).is_some_and(|cluster| cluster.inactive_since.is_none());
        let mut described = ecs::Cluster {
            cluster_arn: self.settings.cluster_arn(name),
            cluster_name: name.to_owned(),
            status: if active { "ACTIVE" } else { "INACTIVE" }.to_owned(),
            ..ecs::Cluster::default()
        };
        for (arn, instance) in self.instances.iter().filter(|(_, i)| i.cluster == name && i.is_registered()) {
            let (running, pending) = self.task_counts(arn);
            described.registered_container_instances_count += 1;
            described.running_tasks_count += running;
            described.pending_tasks_count += pending;
            debug_assert!(instance.is_registered());
        }
        if all {
            described.tags = self.tags_of(&described.cluster_arn);
            described.settings = self.clusters.get(name).map(|cluster| cluster.settings.clone()).unwrap_or_default();
        }
        described
    }

    pub(crate) fn describe_clusters(
        &self,
        request: &ecs::DescribeClustersRequest,
    ) -> Result<ecs::DescribeClustersResponse, Fault> {
        let default = vec![DEFAULT.to_owned()];
        let named = request.clusters.as_ref().filter(|list| !list.is_empty()).unwrap_or(&default);
        if named.len() > 100 {
            return Err(Fault::parameter("At most 100 clusters can be described at once."));
        }
        let include = |field: &str| request.include.iter().flatten().any(|wanted| wanted == field);
        let mut response = ecs::DescribeClustersResponse::default();
        for text in named {
            let name = arn::resource(text, "cluster");
            if self.clusters.contains_key(name) {
                let mut cluster = self.describe_cluster(name, true);
                if !include("TAGS") {
                    cluster.tags.clear();
                }
                if !include("SETTINGS") {
                    cluster.settings.clear();
                }
                response.clusters.push(cluster);
            } else {
                response.failures.push(ecs::Failure {
                    arn: Some(self.settings.cluster_arn(name)),
                    reason: Some("MISSING".into()),
                    detail: None,
                });
            }
        }
        Ok(response)
    }

    pub(crate) fn list_clusters(&self, token: Option<&str>, max: Option<i64>) -> Result<Value, Fault> {
        let mut arns: Vec<String> = self
            .clusters
            .iter()
            .filter(|(_, cluster)| cluster.inactive_since.is_none())
            .map(|(name, _)| self.settings.cluster_arn(name))
            .collect();
        arns.sort();
        let (arns, next) = page(arns, token, max, ascending)?;
        Ok(crate::api::listed("clusterArns", json!(arns), next))
    }

    pub(crate) fn delete_cluster(
        &mut self,
        now: EpochSeconds,
        request: &ecs::DeleteClusterRequest,
    ) -> Result<ecs::ClusterResponse, Fault> {
        let name = self.active_cluster(Some(&request.cluster))?;
        if self.instances.values().any(|i| i.cluster == name && i.is_registered()) {
            return Err(Fault::other(
                "ClusterContainsContainerInstancesException",
                "The Cluster cannot be deleted while Container Instances are active or draining.",
            ));
        }
        if self.tasks.values().any(|task| task.cluster == name && !task.is_stopped()) {
            return Err(Fault::other(
                "ClusterContainsTasksException",
                "The Cluster cannot be deleted while Tasks are active.",
            ));
        }
        if let Some(cluster) = self.clusters.get_mut(&name) {
            cluster.inactive_since = Some(now);
        }
        self.touch(Table::Cluster, &name);
        self.expire_later(now, Table::Cluster, &name);
        Ok(ecs::ClusterResponse { cluster: self.describe_cluster(&name, true) })
    }

    pub(crate) fn forget_cluster(&mut self, name: &str) {
        self.clusters.remove(name);
        self.drop_tags(&self.settings.cluster_arn(name));
        self.touch(Table::Cluster, name);
    }
}
