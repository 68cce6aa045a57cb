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
        Ok(parse(self.source.read(&mut self.buffer)?))
    }
}

fn parse(text: &str) -> SystemCpu {
    const TICK: u64 = 10_000_000;
    // user, nice, system, idle, iowait, irq, softirq
    const COLUMNS: usize = 7;
    let mut cpu = SystemCpu::default();
    for line in text.lines().take_while(|line| line.starts_with("cpu")) {
        match line.strip_prefix("cpu ") {
            Some(columns) => {
                let ticks =
                    columns.split_ascii_whitespace().take(COLUMNS).filter_map(|ticks| ticks.parse::<u64>().ok());
                cpu.usage = ticks.sum::<u64>() * TICK;
            }
            None => cpu.online += 1,
        }
    }
    cpu
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guest_time_is_not_counted_twice() {
        let text = "cpu  1 2 3 4 5 6 7 100 200 300\ncpu0 1 2 3 4\ncpu1 0 0 0 0\nintr 5\n";
        assert_eq!(parse(text), SystemCpu { usage: 280_000_000, online: 2 });
    }
}
