//! How times, spans, tables and colours appear.

use std::io::IsTerminal;
use std::time::Duration;

use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A span as people say it: `350ms`, `1.2s`, `2m 5s`, `3h 2m`, `4d 1h`.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 => format!("{}ms", span.as_millis()),
        1..10 => format!("{:.1}s", (span.as_millis() / 100) as f64 / 10.0),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86400 => format!("{}h {}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d {}h", seconds / 86400, seconds % 86400 / 3600),
    }
}

/// How long it is from one moment to a later one; nothing if the clock was set back.
pub(crate) fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// Time of day here.
pub(crate) fn time_of_day(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%H:%M:%S%.3f").to_string()
}

/// Date and time here.
pub(crate) fn date_time(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
}

/// Bytes with a unit.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if count < 1000 {
        return format!("{count}B");
    }
    let (mut value, mut unit) = (count as f64 / 1000.0, UNITS[0]);
    for next in &UNITS[1..] {
        if value < 1000.0 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    format!("{value:.1}{unit}")
}

/// The first eight characters of an id, which nearly always suffice.
pub(crate) fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

/// A count with its noun.
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// A table without rules, for [`lines`].
pub(crate) fn table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table
}

/// A table line by line, its columns two spaces apart.
pub(crate) fn lines(mut table: Table) -> Vec<String> {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// Whether and how things are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint {
    on: bool,
}

/// Told apart on dark and light backgrounds alike.
const PREFIXES: [u8; 6] = [36, 33, 32, 35, 34, 31];

impl Paint {
    /// For standard output: colours on a terminal, unless `NO_COLOR` is set.
    pub(crate) fn stdout() -> Self {
        Self { on: std::io::stdout().is_terminal() && is_wanted() }
    }

    /// Likewise for standard error.
    pub(crate) fn stderr() -> Self {
        Self { on: std::io::stderr().is_terminal() && is_wanted() }
    }

    #[cfg(test)]
    pub(crate) const fn always() -> Self {
        Self { on: true }
    }

    #[cfg(test)]
    pub(crate) const fn never() -> Self {
        Self { on: false }
    }

    pub(crate) const fn is_on(self) -> bool {
        self.on
    }

    /// The colour of the container at this position.
    pub(crate) fn prefix(self, position: usize, text: &str) -> String {
        self.code(PREFIXES[position % PREFIXES.len()], text)
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.code(32, text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.code(31, text)
    }

    pub(crate) fn faint(self, text: &str) -> String {
        self.code(2, text)
    }

    pub(crate) fn strong(self, text: &str) -> String {
        self.code(1, text)
    }

    fn code(self, code: u8, text: &str) -> String {
        if self.on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// <https://no-color.org>: any value but an empty one says no.
fn is_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
