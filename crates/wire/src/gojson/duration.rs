//! Durations as Go writes and reads them: `30s`, `1m0s`, `2h0m0s`, `1.5s`, `100ms`.

use std::time::Duration;

/// A text that is no Go duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration such as 30s, 1m30s or 2h")]
pub struct DurationError(String);

/// Renders as Go's `Duration.String`, which user-visible reasons quote (spec 20, conventions).
pub fn render_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    if nanos < 1_000_000_000 {
        let (unit, per) = match nanos {
            n if n < 1_000 => return format!("{n}ns"),
            n if n < 1_000_000 => ("µs", 1_000),
            _ => ("ms", 1_000_000),
        };
        return format!("{}{}{unit}", nanos / per, fraction(nanos % per, per));
    }
    let (secs, rest) = (duration.as_secs(), u128::from(duration.subsec_nanos()));
    let seconds = format!("{}{}s", secs % 60, fraction(rest, 1_000_000_000));
    match (secs / 3600, secs / 60 % 60) {
        (0, 0) => seconds,
        (0, minutes) => format!("{minutes}m{seconds}"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
    }
}

fn fraction(rest: u128, per: u128) -> String {
    if rest == 0 {
        return String::new();
    }
    let digits = per.ilog10() as usize;
    let text = format!("{rest:0digits$}");
    format!(".{}", text.trim_end_matches('0'))
}

/// Reads a Go duration. Negative ones are read as zero, which every caller clamps anyway.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let wrong = || DurationError(text.to_owned());
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total = 0f64;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let number: f64 = rest[..end].parse().map_err(|_| wrong())?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let seconds = match &rest[..end] {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(wrong()),
        };
        total += number * seconds;
        rest = &rest[end..];
    }
    if negative {
        return Ok(Duration::ZERO);
    }
    Duration::try_from_secs_f64(total).map_err(|_| wrong())
}
