//! cgroup v2: one directory for all.

use std::io;
use std::path::PathBuf;

use super::{Detail, Reading, Source, number, parse, text};

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
        reading.cpu = parse::processor_v2(self.cpu.read(buffer)?);
        reading.memory = self.memory_current.read(buffer)?.trim().parse().map_err(io::Error::other)?;
        reading.reclaimable = parse::value(self.memory_stat.read(buffer)?, "inactive_file");
        if let Some(block) = &self.block {
            (reading.block_read, reading.block_written) = parse::block_totals(parse::block_v2(block.read(buffer)?));
        }
        Ok(())
    }

    pub(super) fn detail(&self) -> io::Result<Detail> {
        let file = |name: &str| self.directory.join(name);
        let stat = std::fs::read_to_string(file("memory.stat"))?;
        let cpu = text(&file("cpu.stat"));
        let events = text(&file("memory.events"));
        Ok(Detail {
            throttling: parse::throttling(&cpu),
            memory: number(&file("memory.current")).unwrap_or_default(),
            memory_peak: 0,
            memory_failures: parse::value(&events, "oom"),
            memory_limit: number(&file("memory.max")),
            memory_stats: parse::memory_v2(&stat),
            pids: number(&file("pids.current")).unwrap_or_default(),
            pids_limit: number(&file("pids.max")).unwrap_or_default(),
            block_bytes: parse::entries(parse::block_v2(&text(&file("io.stat")))),
            block_operations: None,
        })
    }
}
