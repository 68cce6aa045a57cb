//! CPU time of the whole machine, against which Docker's readers compare a container's.

use std::io;
use std::path::Path;

use super::Source;

/// Reads the machine's CPU time.
#[derive(Debug)]
pub struct SystemClock {
    source: Source,
    buffer: Vec<u8>,
}

/// CPU time of the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SystemCpu {
    /// Nanoseconds over all processors, idle time included.
    pub usage: u64,
    pub online: u64,
}

impl SystemClock {
    /// # Errors
    /// There is no `stat` below `proc`.
    pub fn open(proc: &Path) -> io::Result<Self> {
        Ok(Self { source: Source::open(&proc.join("stat"))?, buffer: vec![0; 16 * 1024] })
    }

    /// # Errors
    /// The file cannot be read.
    pub fn read(&mut self) -> io::Result<SystemCpu> {
        let (usage, online) = super::parse::machine(self.source.read(&mut self.buffer)?);
        Ok(SystemCpu { usage, online })
    }
}
