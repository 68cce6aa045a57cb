//! What happened, one line each, for those who look at a failing seed; and its hash for comparing runs.

use std::fmt::{self, Write};
use std::time::Duration;

/// The hash always, the lines where somebody wants them.
#[derive(Debug)]
pub(crate) struct Trace {
    lines: Option<Vec<String>>,
    hash: u64,
}

impl Trace {
    pub(crate) fn new(keeps_lines: bool) -> Self {
        Self { lines: keeps_lines.then(Vec::new), hash: 0xcbf2_9ce4_8422_2325 }
    }

    pub(crate) fn line(&mut self, at: Duration, text: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            let millis = at.as_millis();
            let (hours, minutes, seconds) = (millis / 3_600_000, millis / 60_000 % 60, millis / 1000 % 60);
            lines.push(format!("{hours:02}:{minutes:02}:{seconds:02}.{:03} {}", millis % 1000, text()));
        }
    }

    /// Mixes bytes into the hash (FNV-1a).
    pub(crate) fn mix(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    /// Mixes all that `Debug` shows into the hash.
    pub(crate) fn mix_all(&mut self, what: &impl fmt::Debug) {
        // Writing into a number cannot fail.
        let _ = write!(self, "{what:?}");
    }

    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }
}

impl Write for Trace {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.mix(text.as_bytes());
        Ok(())
    }
}
