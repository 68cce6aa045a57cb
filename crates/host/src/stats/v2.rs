//! cgroup v2: one directory for all.

use std::io;
use std::path::PathBuf;

use wire::docker::ThrottlingData;

use super::{Detail, Reading, Source, number, parse, text};

/// What Docker shows of `memory.stat`.
const MEMORY: [&str; 31] = [
    "active_anon",
    "active_file",
    "anon",
    "anon_thp",
    "file",
    "file_dirty",
    "file_mapped",
    "file_writeback",
    "inactive_anon",
    "inactive_file",
    "kernel_stack",
    "pgactivate",
    "pgdeactivate",
    "pgfault",
    "pglazyfree",
    "pglazyfreed",
    "pgmajfault",
    "pgrefill",
    "pgscan",
    "pgsteal",
    "shmem",
    "slab",
    "slab_reclaimable",
    "slab_unreclaimable",
    "sock",
    "thp_collapse_alloc",
    "thp_fault_alloc",
    "unevictable",
    "workingset_activate",
    "workingset_nodereclaim",
    "workingset_refault",
];

#[derive(Debug)]
pub(super) struct Group {
    cpu: Source,
    memory_current: Source,
    memory_stat: Source,
    /// Absent without the controller.
    block: Option<Source>,
    directory: PathBuf,
}

impl Group {
    pub(super) fn open(directory: PathBuf) -> io::Result<Self> {
        let open = |name: &str| Source::open(&directory.join(name));
        Ok(Self {
            cpu: open("cpu.stat")?,
            memory_current: open("memory.current")?,
            memory_stat: open("memory.stat")?,
            block: open("io.stat").ok(),
            directory,
        })
    }

    pub(super) fn read(&self, buffer: &mut Vec<u8>, reading: &mut Reading) -> io::Result<()> {
        for (name, microseconds) in parse::pairs(self.cpu.read(buffer)?) {
            match name {
                "usage_usec" => reading.cpu.total_usage = microseconds * 1000,
                "user_usec" => reading.cpu.usage_in_usermode = microseconds * 1000,
                "system_usec" => reading.cpu.usage_in_kernelmode = microseconds * 1000,
                _ => {}
            }
        }
        reading.memory = self.memory_current.read(buffer)?.trim().parse().map_err(io::Error::other)?;
        reading.reclaimable = parse::value(self.memory_stat.read(buffer)?, "inactive_file");
        if let Some(block) = &self.block {
            for (_, _, operation, bytes) in parse::block_v2(block.read(buffer)?) {
                match operation {
                    "read" => reading.block_read += bytes,
                    _ => reading.block_written += bytes,
                }
            }
        }
        Ok(())
    }

    pub(super) fn detail(&self) -> io::Result<Detail> {
        let file = |name: &str| self.directory.join(name);
        let stat = std::fs::read_to_string(file("memory.stat"))?;
        let cpu = text(&file("cpu.stat"));
        let events = text(&file("memory.events"));
        let mut throttling = ThrottlingData::default();
        for (name, value) in parse::pairs(&cpu) {
            match name {
                "nr_periods" => throttling.periods = value,
                "nr_throttled" => throttling.throttled_periods = value,
                "throttled_usec" => throttling.throttled_time = value * 1000,
                _ => {}
            }
        }
        Ok(Detail {
            throttling,
            memory: number(&file("memory.current")).unwrap_or_default(),
            memory_peak: 0,
            memory_failures: parse::value(&events, "oom"),
            memory_limit: number(&file("memory.max")),
            memory_stats: memory_stats(&stat),
            pids: number(&file("pids.current")).unwrap_or_default(),
            pids_limit: number(&file("pids.max")).unwrap_or_default(),
            block_bytes: parse::entries(parse::block_v2(&text(&file("io.stat")))),
            block_operations: None,
        })
    }
}

/// Newer kernels tell refaults of anonymous and file pages apart; Docker's names are the old ones.
fn memory_stats(stat: &str) -> std::collections::BTreeMap<String, u64> {
    let mut shown: std::collections::BTreeMap<String, u64> =
        MEMORY.iter().map(|name| ((*name).to_owned(), 0)).collect();
    for (name, value) in parse::pairs(stat) {
        let name = match name {
            "workingset_refault_file" => "workingset_refault",
            "workingset_activate_file" => "workingset_activate",
            name => name,
        };
        if let Some(slot) = shown.get_mut(name) {
            *slot = value;
        }
    }
    shown
}
