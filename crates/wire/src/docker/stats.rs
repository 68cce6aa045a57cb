//! `GET /containers/{id}/stats`.
//!
//! The serialised form is the fixed schema that the metadata endpoints show (spec 30 §3.10): members in this order,
//! unknown ones dropped, absent ones as zero values.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serializer;

use super::lenient::reply;

reply! {
    /// One sample of a container's statistics.
    pub struct Stats {
        #[serde(serialize_with = "go_time")]
        "read" => read: Option<Timestamp>,
        #[serde(serialize_with = "go_time")]
        "preread" => preread: Option<Timestamp>,
        "pids_stats" => pids_stats: PidsStats,
        "blkio_stats" => blkio_stats: BlkioStats,
        "num_procs" => num_procs: u64,
        "storage_stats" => storage_stats: StorageStats,
        "cpu_stats" => cpu_stats: CpuStats,
        "precpu_stats" => precpu_stats: CpuStats,
        "memory_stats" => memory_stats: MemoryStats,
        /// With a leading slash.
        #[serde(skip_serializing_if = "String::is_empty")]
        "name" => name: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        "id" => id: String,
        /// By interface in the container; absent in host mode.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        "networks" => networks: BTreeMap<String, NetworkStats>,
    }

    pub struct PidsStats {
        #[serde(skip_serializing_if = "is_zero")]
        "current" => current: u64,
        /// Absent for no limit, which some daemons send as the largest number.
        #[serde(skip_serializing_if = "is_zero")]
        "limit" => limit: u64,
    }

    pub struct BlkioStats {
        "io_service_bytes_recursive" => io_service_bytes_recursive: Option<Vec<BlkioEntry>>,
        "io_serviced_recursive" => io_serviced_recursive: Option<Vec<BlkioEntry>>,
        "io_queue_recursive" => io_queue_recursive: Option<Vec<BlkioEntry>>,
        "io_service_time_recursive" => io_service_time_recursive: Option<Vec<BlkioEntry>>,
        "io_wait_time_recursive" => io_wait_time_recursive: Option<Vec<BlkioEntry>>,
        "io_merged_recursive" => io_merged_recursive: Option<Vec<BlkioEntry>>,
        "io_time_recursive" => io_time_recursive: Option<Vec<BlkioEntry>>,
        "sectors_recursive" => sectors_recursive: Option<Vec<BlkioEntry>>,
    }

    pub struct BlkioEntry {
        "major" => major: u64,
        "minor" => minor: u64,
        /// `Read` under cgroup v1, `read` under v2.
        "op" => op: String,
        "value" => value: u64,
    }

    /// Windows only; empty on Linux.
    pub struct StorageStats {
        #[serde(skip_serializing_if = "is_zero")]
        "read_count_normalized" => read_count_normalized: u64,
        #[serde(skip_serializing_if = "is_zero")]
        "read_size_bytes" => read_size_bytes: u64,
        #[serde(skip_serializing_if = "is_zero")]
        "write_count_normalized" => write_count_normalized: u64,
        #[serde(skip_serializing_if = "is_zero")]
        "write_size_bytes" => write_size_bytes: u64,
    }

    pub struct CpuStats {
        "cpu_usage" => cpu_usage: CpuUsage,
        #[serde(skip_serializing_if = "is_zero")]
        "system_cpu_usage" => system_cpu_usage: u64,
        #[serde(skip_serializing_if = "is_zero")]
        "online_cpus" => online_cpus: u64,
        "throttling_data" => throttling_data: ThrottlingData,
    }

    /// Nanoseconds of CPU time.
    pub struct CpuUsage {
        "total_usage" => total_usage: u64,
        /// cgroup v1 only.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        "percpu_usage" => percpu_usage: Vec<u64>,
        "usage_in_kernelmode" => usage_in_kernelmode: u64,
        "usage_in_usermode" => usage_in_usermode: u64,
    }

    pub struct ThrottlingData {
        "periods" => periods: u64,
        "throttled_periods" => throttled_periods: u64,
        "throttled_time" => throttled_time: u64,
    }

    /// Bytes.
    pub struct MemoryStats {
        #[serde(skip_serializing_if = "is_zero")]
        "usage" => usage: u64,
        #[serde(skip_serializing_if = "is_zero")]
        "max_usage" => max_usage: u64,
        /// The kernel's own counters, whose names differ between cgroup v1 and v2.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        "stats" => stats: BTreeMap<String, u64>,
        #[serde(skip_serializing_if = "is_zero")]
        "failcnt" => failcnt: u64,
        #[serde(skip_serializing_if = "is_zero")]
        "limit" => limit: u64,
        #[serde(skip_serializing_if = "is_zero")]
        "commitbytes" => commitbytes: u64,
        #[serde(skip_serializing_if = "is_zero")]
        "commitpeakbytes" => commitpeakbytes: u64,
        #[serde(skip_serializing_if = "is_zero")]
        "privateworkingset" => privateworkingset: u64,
    }

    pub struct NetworkStats {
        "rx_bytes" => rx_bytes: u64,
        "rx_packets" => rx_packets: u64,
        "rx_errors" => rx_errors: u64,
        "rx_dropped" => rx_dropped: u64,
        "tx_bytes" => tx_bytes: u64,
        "tx_packets" => tx_packets: u64,
        "tx_errors" => tx_errors: u64,
        "tx_dropped" => tx_dropped: u64,
        #[serde(skip_serializing_if = "String::is_empty")]
        "endpoint_id" => endpoint_id: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        "instance_id" => instance_id: String,
    }
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

fn go_time<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_str("0001-01-01T00:00:00Z"),
    }
}
