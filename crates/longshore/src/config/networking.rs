//! Task networking and the limit of the task endpoints (spec 40 §3.5, §5).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::sources::Sources;
use super::values::{is_cidr, parse_int, string_list, string_map};

/// Network of tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Networking {
    /// The `awsvpc` mode.
    pub task_eni: bool,
    pub eni_trunking: bool,
    pub cni_plugins_path: PathBuf,
    /// `awsvpc` tasks cannot reach the metadata service.
    pub block_imds: bool,
    /// Prefixes that tasks reach through the host's bridge.
    pub additional_local_routes: Vec<String>,
    /// Extra labels of pause containers.
    pub pause_labels: BTreeMap<String, String>,
    pub pause_image: PauseImage,
    /// Wait before the pause container of an `awsvpc` task is stopped.
    pub pause_cleanup_delay: Duration,
    /// A fixed address for the bridge's address plugin.
    pub local_ipv4_override: Option<String>,
    pub eni_dns_servers: Vec<String>,
    /// Shared by the task metadata and agent API endpoints.
    pub metadata_rate: RateLimit,
}

/// Where the pause image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PauseImage {
    pub tarball: PathBuf,
    pub name: String,
    pub tag: String,
}

/// A token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RateLimit {
    /// Requests per second.
    pub steady: i64,
    pub burst: i64,
}

const METADATA_RATE: RateLimit = RateLimit { steady: 40, burst: 60 };

impl Networking {
    pub(super) fn read(from: &mut Sources<'_>) -> Self {
        let task_eni = from.boolean("ECS_ENABLE_TASK_ENI", "TaskENIEnabled").unwrap_or(false);
        // The environment overwrites the file's value whenever task ENI is on, and nobody reads it otherwise.
        let _ = from.file_bool("ENITrunkingEnabled");
        let eni_trunking = task_eni && from.env_bool("ECS_ENABLE_HIGH_DENSITY_ENI").unwrap_or(true);
        let cidr_list =
            |value: &serde_json::Value| string_list(value).filter(|list| list.iter().all(|cidr| is_cidr(cidr)));
        let routes_in_file = from.file("AWSVPCAdditionalLocalRoutes", "a list of CIDR blocks", |value| {
            cidr_list(value).map(|list| (!list.is_empty()).then_some(list))
        });
        let routes = from
            .env_json_or_refuse("ECS_AWSVPC_ADDITIONAL_LOCAL_ROUTES", "a json array of CIDRs", cidr_list)
            .filter(|list| !list.is_empty())
            .or(routes_in_file);
        let text = |from: &mut Sources<'_>, key: &str, default: &str| {
            from.file_text(key).unwrap_or_else(|| default.to_owned())
        };
        let delay = from.file_int("ENIPauseContainerCleanupDelaySeconds").unwrap_or(0);
        Self {
            task_eni,
            eni_trunking,
            cni_plugins_path: from
                .text("ECS_CNI_PLUGINS_PATH", "CNIPluginsPath")
                .unwrap_or_else(|| "/amazon-ecs-cni-plugins".to_owned())
                .into(),
            // The key lacks a letter in the reference too (spec 40 §20, 10).
            block_imds: from.boolean("ECS_AWSVPC_BLOCK_IMDS", "AWSVPCBlockInstanceMetdata").unwrap_or(false),
            additional_local_routes: routes.unwrap_or_default(),
            pause_labels: from.env_json("ECS_PAUSE_LABELS", "a JSON object of strings", string_map).unwrap_or_default(),
            pause_image: PauseImage {
                tarball: text(from, "PauseContainerTarballPath", "/images/amazon-ecs-pause.tar").into(),
                name: text(from, "PauseContainerImageName", "amazon/amazon-ecs-pause"),
                tag: text(from, "PauseContainerTag", "0.1.0"),
            },
            pause_cleanup_delay: Duration::from_secs(u64::try_from(delay).unwrap_or(0)),
            local_ipv4_override: from.file("OverrideAWSVPCLocalIPv4Address", "a CIDR block", |value| {
                value.as_str().filter(|text| is_cidr(text)).map(|text| Some(text.to_owned()))
            }),
            eni_dns_servers: from.file_list("InstanceENIDNSServerList").unwrap_or_default(),
            metadata_rate: metadata_rate(from),
        }
    }

    /// The check 9 of spec 40 §6: only a negative half gets here.
    pub(super) fn clamp(&mut self, from: &mut Sources<'_>) {
        if self.metadata_rate.steady <= 0 || self.metadata_rate.burst <= 0 {
            from.warn("ECS_TASK_METADATA_RPS_LIMIT has a negative rate; using 40,60".to_owned());
            self.metadata_rate = METADATA_RATE;
        }
    }
}

/// Each half by itself: a zero one is empty and lets the file or the default speak.
fn metadata_rate(from: &mut Sources<'_>) -> RateLimit {
    const VARIABLE: &str = "ECS_TASK_METADATA_RPS_LIMIT";
    let file = (from.file_int("TaskMetadataSteadyStateRate"), from.file_int("TaskMetadataBurstRate"));
    let environment = from.env(VARIABLE).map(|text| {
        let halves: Vec<_> = text.split(',').map(|half| parse_int(half.trim())).collect();
        if let [Some(steady), Some(burst)] = halves[..] {
            return (steady, burst);
        }
        from.warn(format!("Invalid format for {VARIABLE}: expected a rate and a burst such as 40,60, got {text:?}"));
        (0, 0)
    });
    let (steady, burst) = environment.unwrap_or_default();
    let half = |value: i64, file: Option<i64>, default| if value == 0 { file.unwrap_or(default) } else { value };
    RateLimit { steady: half(steady, file.0, METADATA_RATE.steady), burst: half(burst, file.1, METADATA_RATE.burst) }
}
