//! cgroup v1: one directory for each controller.

use std::io;
use std::path::{Path, PathBuf};

use super::{Detail, Reading, Source, number, parse, text};

/// What Docker shows of `memory.stat`; the same again with `total_` in front.
const MEMORY: [&str; 14] = [
    "active_anon",
    "active_file",
    "cache",
    "dirty",
    "inactive_anon",
    "inactive_file",
    "mapped_file",
    "pgfault",
    "pgmajfault",
    "pgpgin",
    "pgpgout",
    "rss",
    "rss_huge",
    "unevictable",
];

const MEMORY_ALONE: [&str; 3] = ["hierarchical_memory_limit", "hierarchical_memsw_limit", "writeback"];

#[derive(Debug)]
pub(super) struct Groups {
    per_cpu: Source,
    cpu_modes: Source,
    memory_usage: Source,
    memory_stat: Source,
    /// Absent without the controller.
    block: Option<Source>,
    cpu: Option<PathBuf>,
    memory: PathBuf,
    block_directory: Option<PathBuf>,
    pids: Option<PathBuf>,
}

impl Groups {
    /// `path_of` has the group's path in a controller's hierarchy.
    pub(super) fn open(root: &Path, path_of: impl Fn(&str) -> Option<PathBuf>) -> io::Result<Self> {
        let directory = |controller: &str| path_of(controller).map(|path| root.join(controller).join(path));
        let accounting = directory("cpuacct").ok_or(io::ErrorKind::NotFound)?;
        let memory = directory("memory").ok_or(io::ErrorKind::NotFound)?;
        let block_directory = directory("blkio");
        let block = block_directory
            .as_deref()
            .and_then(|directory| Source::open(&directory.join("blkio.throttle.io_service_bytes")).ok());
        Ok(Self {
            per_cpu: Source::open(&accounting.join("cpuacct.usage_percpu"))?,
            cpu_modes: Source::open(&accounting.join("cpuacct.stat"))?,
            memory_usage: Source::open(&memory.join("memory.usage_in_bytes"))?,
            memory_stat: Source::open(&memory.join("memory.stat"))?,
            block,
            cpu: directory("cpu"),
            memory,
            block_directory,
            pids: directory("pids"),
        })
    }

    pub(super) fn read(&self, buffer: &mut Vec<u8>, reading: &mut Reading) -> io::Result<()> {
        // One buffer serves both files, so the first one's text is kept.
        let per_cpu = self.per_cpu.read(buffer)?.to_owned();
        reading.cpu = parse::processor_v1(&per_cpu, self.cpu_modes.read(buffer)?);
        reading.memory = self.memory_usage.read(buffer)?.trim().parse().map_err(io::Error::other)?;
        reading.reclaimable = parse::value(self.memory_stat.read(buffer)?, "cache");
        if let Some(block) = &self.block {
            (reading.block_read, reading.block_written) = parse::block_totals(parse::block_v1(block.read(buffer)?));
        }
        Ok(())
    }

    pub(super) fn detail(&self) -> io::Result<Detail> {
        let memory = |name: &str| number(&self.memory.join(name));
        let stat = std::fs::read_to_string(self.memory.join("memory.stat"))?;
        let is_shown = |name: &str| {
            let plain = name.strip_prefix("total_").unwrap_or(name);
            MEMORY.contains(&plain) || plain == "writeback" || MEMORY_ALONE.contains(&name)
        };
        let block = |name: &str| {
            let text = self.block_directory.as_ref().map(|directory| text(&directory.join(name)));
            parse::entries(parse::block_v1(&text.unwrap_or_default()))
        };
        let cpu = self.cpu.as_ref().map(|directory| text(&directory.join("cpu.stat"))).unwrap_or_default();
        let pids = |name: &str| self.pids.as_ref().and_then(|directory| number(&directory.join(name)));
        Ok(Detail {
            throttling: parse::throttling(&cpu),
            memory: memory("memory.usage_in_bytes").unwrap_or_default(),
            memory_peak: memory("memory.max_usage_in_bytes").unwrap_or_default(),
            memory_failures: memory("memory.failcnt").unwrap_or_default(),
            memory_limit: memory("memory.limit_in_bytes"),
            memory_stats: parse::pairs(&stat)
                .filter(|(name, _)| is_shown(name))
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            pids: pids("pids.current").unwrap_or_default(),
            pids_limit: pids("pids.max").unwrap_or_default(),
            block_bytes: block("blkio.throttle.io_service_bytes"),
            block_operations: Some(block("blkio.throttle.io_serviced")),
        })
    }
}
