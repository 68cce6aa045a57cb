//! Clusters.

use super::{Failure, KeyValuePair, Tag};
use serde::{Deserialize, Serialize};

shapes! {
    /// A cluster as the API describes it.
    pub struct Cluster {
        pub cluster_arn: String,
        pub cluster_name: String,
        /// `ACTIVE` or `INACTIVE`.
        pub status: String,
        pub registered_container_instances_count: i64,
        pub running_tasks_count: i64,
        pub pending_tasks_count: i64,
        pub active_services_count: i64,
        pub statistics: Vec<KeyValuePair>,
        pub tags: Vec<Tag>,
        pub settings: Vec<KeyValuePair>,
        pub capacity_providers: Vec<String>,
        pub default_capacity_provider_strategy: Vec<serde_json::Value>,
        pub attachments: Option<Vec<serde_json::Value>>,
    }

    /// CreateCluster: the request. Without a name the cluster is called `default`.
    pub struct CreateClusterRequest {
        pub cluster_name: Option<String>,
        pub tags: Option<Vec<Tag>>,
        pub settings: Option<Vec<KeyValuePair>>,
    }

    /// CreateCluster and DeleteCluster: the answer.
    pub struct ClusterResponse {
        pub cluster: Cluster,
    }

    /// DescribeClusters: the request. Without a list it means `default`.
    pub struct DescribeClustersRequest {
        pub clusters: Option<Vec<String>>,
        pub include: Option<Vec<String>>,
    }

    /// DescribeClusters: the answer.
    pub struct DescribeClustersResponse {
        pub clusters: Vec<Cluster>,
        pub failures: Vec<Failure>,
    }

    /// DeleteCluster: the request.
    pub struct DeleteClusterRequest {
        pub cluster: String,
    }
}
