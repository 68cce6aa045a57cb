//! The printed table.

use std::time::Duration;

use anyhow::Result;
use lab::Engine;

/// One measured thing.
pub(super) struct Row {
    what: String,
    ours: String,
    target: String,
    verdict: &'static str,
    reference: String,
}

impl Row {
    /// A row, with what the reference agent needs on a machine of the kind that the targets were set on.
    pub(super) fn new(what: &str, reference: &str) -> Self {
        let (ours, target) = (String::new(), String::new());
        Self { what: what.to_owned(), ours, target, verdict: "", reference: reference.to_owned() }
    }

    pub(super) fn seconds(self, ours: Duration) -> Self {
        Self { ours: shown(ours.as_secs_f64()), ..self }
    }

    pub(super) fn at_most(self, target: f64, ours: Duration) -> Self {
        self.compared(ours.as_secs_f64(), target, shown)
    }

    pub(super) fn mebibytes_at_most(self, target: f64, ours: f64) -> Self {
        self.compared(ours, target, |size| format!("{size:.1} MiB"))
    }

    pub(super) fn ratio_at_most(self, target: f64, ours: f64) -> Self {
        self.compared(ours, target, |ratio| format!("{ratio:.2} ×"))
    }

    pub(super) fn percent_at_most(self, target: f64, ours: f64) -> Self {
        self.compared(ours, target, |share| format!("{share:.2} %"))
    }

    /// Both in milliseconds.
    pub(super) fn milliseconds_at_most(self, target: f64, ours: f64) -> Self {
        self.compared(ours, target, |time| format!("{time:.3} ms"))
    }

    pub(super) fn at_least(self, target: f64, ours: f64) -> Self {
        let verdict = if ours >= target { "met" } else { "MISSED" };
        Self { ours: format!("{ours:.0}"), target: format!("≥ {target:.0}"), verdict, ..self }
    }

    pub(super) fn kibibytes(self, ours: f64) -> Self {
        Self { ours: format!("{ours:.1} KiB"), ..self }
    }

    fn compared(self, ours: f64, target: f64, show: impl Fn(f64) -> String) -> Self {
        let verdict = if ours <= target { "met" } else { "MISSED" };
        Self { ours: show(ours), target: format!("≤ {}", show(target)), verdict, ..self }
    }
}

/// Seconds, or milliseconds below one second.
fn shown(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1000.0) } else { format!("{seconds:.2} s") }
}

pub(super) fn print(engine: &Engine, rows: &[Row]) -> Result<()> {
    let version = engine.get("/version")?;
    let text = |name: &str| version[name].as_str().unwrap_or("?").to_owned();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    println!("Docker Engine {}, Linux {}, {cores} cores\n", text("Version"), text("KernelVersion"));
    let head = Row {
        what: "what".to_owned(),
        ours: "Longshore".to_owned(),
        target: "target".to_owned(),
        verdict: "",
        reference: "reference agent".to_owned(),
    };
    let width =
        |pick: fn(&Row) -> &str| rows.iter().chain([&head]).map(|row| pick(row).chars().count()).max().unwrap_or(0);
    let widths = (width(|row| &row.what), width(|row| &row.ours), width(|row| &row.target), width(|row| row.verdict));
    for row in std::iter::once(&head).chain(rows) {
        let line = format!(
            "{:<a$}  {:>b$}  {:>c$}  {:<d$}  {}",
            row.what,
            row.ours,
            row.target,
            row.verdict,
            row.reference,
            a = widths.0,
            b = widths.1,
            c = widths.2,
            d = widths.3,
        );
        println!("{}", line.trim_end());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_target_is_said() {
        let met = Row::new("start", "").at_most(0.060, Duration::from_millis(60));
        assert_eq!((met.ours.as_str(), met.target.as_str(), met.verdict), ("60 ms", "≤ 60 ms", "met"));
        let missed = Row::new("ratio", "").ratio_at_most(1.03, 1.2);
        assert_eq!((missed.ours.as_str(), missed.verdict), ("1.20 ×", "MISSED"));
        let slow = Row::new("rate", "").at_least(60_000.0, 59_999.4);
        assert_eq!((slow.ours.as_str(), slow.target.as_str(), slow.verdict), ("59999", "≥ 60000", "MISSED"));
    }
}
