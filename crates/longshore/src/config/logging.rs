//! Where the log goes, in which shape, and how much of it (spec 40 §3.8, §12). The environment alone decides.

use std::path::PathBuf;

use super::sources::Sources;
use super::{Severity, values};

/// What a sink lets through: this and everything graver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
    Critical,
    Off,
}

impl LogLevel {
    /// The user's spellings, in any case.
    #[must_use]
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "debug" => Some(Self::Debug),
            "info" => Some(Self::Info),
            "warn" => Some(Self::Warn),
            "error" => Some(Self::Error),
            "crit" => Some(Self::Critical),
            "none" => Some(Self::Off),
            _ => None,
        }
    }
}

/// Shape of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Logfmt,
    Json,
    /// The message alone.
    Windows,
}

/// When a new file is begun. `keep` of 0 keeps every old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogRollover {
    Size { max_bytes: u64, keep: usize },
    Hourly { keep: usize },
    Never,
}

/// The log's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogConfig {
    /// For standard output, which Docker's log driver takes.
    pub console_level: LogLevel,
    /// For the file.
    pub file_level: LogLevel,
    pub file: Option<PathBuf>,
    pub format: LogFormat,
    pub rollover: LogRollover,
}

const MEGABYTE: f64 = 1_000_000.0;
const DEFAULT_MEGABYTES: f64 = 5.0;
const DEFAULT_KEEP: i64 = 24;

impl Default for LogConfig {
    /// Information on the console, no file.
    fn default() -> Self {
        Self {
            console_level: LogLevel::Info,
            file_level: LogLevel::Info,
            file: None,
            format: LogFormat::Logfmt,
            rollover: LogRollover::Size { max_bytes: 5_000_000, keep: 24 },
        }
    }
}

impl LogConfig {
    /// Reads the logging variables alone, for a process whose configuration is refused later or not needed.
    pub(crate) fn load(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let inputs = super::Inputs {
            lookup: &|name| lookup(name).filter(|_| name != "ECS_EXTERNAL"),
            read_file: &|_| Err(std::io::ErrorKind::NotFound.into()),
            user_data: None,
            metadata_region: None,
        };
        // Without external mode the sources are always had.
        Sources::new(inputs).map_or_else(|_| Self::default(), |mut from| Self::read(&mut from))
    }

    pub(super) fn read(from: &mut Sources<'_>) -> Self {
        let console = level(from, "ECS_LOGLEVEL");
        let on_instance = level(from, "ECS_LOGLEVEL_ON_INSTANCE");
        // A log driver takes the console, so the file is not needed; unless asked for (spec 40 §12.2). The reference
        // copies the *text* of ECS_LOGLEVEL here and loses its configuration over `crit` and `WARN`; we do not.
        let file_level = on_instance.unwrap_or_else(|| {
            if from.env("ECS_LOG_DRIVER").is_some() { LogLevel::Off } else { console.unwrap_or(LogLevel::Info) }
        });
        Self {
            console_level: console.unwrap_or(LogLevel::Info),
            file_level,
            file: from.env("ECS_LOGFILE").map(PathBuf::from),
            format: format(from),
            rollover: rollover(from),
        }
    }

    /// Lets the command line's levels win over the environment's; `both` wins over the other two (spec 40 §8).
    /// Texts that are no level are ignored.
    pub(crate) fn override_levels(&mut self, both: Option<&str>, console: Option<&str>, file: Option<&str>) {
        if let Some(level) = both.or(console).and_then(LogLevel::parse) {
            self.console_level = level;
        }
        if let Some(level) = both.or(file).and_then(LogLevel::parse) {
            self.file_level = level;
        }
    }
}

fn level(from: &mut Sources<'_>, variable: &str) -> Option<LogLevel> {
    let text = from.env(variable)?;
    let level = LogLevel::parse(&text);
    if level.is_none() {
        from.note(Severity::Error, format!("{variable} is {text:?}, not one of debug, info, warn, error, crit, none"));
    }
    level
}

fn format(from: &mut Sources<'_>) -> LogFormat {
    match from.env("ECS_LOG_OUTPUT_FORMAT").as_deref() {
        None | Some("logfmt") => LogFormat::Logfmt,
        Some("json") => LogFormat::Json,
        Some("windows") => LogFormat::Windows,
        Some(other) => {
            from.note(
                Severity::Error,
                format!("ECS_LOG_OUTPUT_FORMAT is {other:?}, not logfmt, json or windows; using logfmt"),
            );
            LogFormat::Logfmt
        }
    }
}

fn rollover(from: &mut Sources<'_>) -> LogRollover {
    let keep = from.env("ECS_LOG_MAX_ROLL_COUNT").map_or(DEFAULT_KEEP, |text| {
        values::parse_int(&text).unwrap_or_else(|| {
            from.note(
                Severity::Error,
                format!("ECS_LOG_MAX_ROLL_COUNT is {text:?}, not an integer; using {DEFAULT_KEEP}"),
            );
            DEFAULT_KEEP
        })
    });
    let keep = usize::try_from(keep).unwrap_or(0);
    let megabytes = from.env("ECS_LOG_MAX_FILE_SIZE_MB").map_or(DEFAULT_MEGABYTES, |text| {
        // The reference takes zero and less, and then begins a new file for every line.
        text.parse::<f64>().ok().filter(|size| size.is_finite() && *size > 0.0).unwrap_or_else(|| {
            from.note(
                Severity::Error,
                format!("ECS_LOG_MAX_FILE_SIZE_MB is {text:?}, not a number above 0; using {DEFAULT_MEGABYTES}"),
            );
            DEFAULT_MEGABYTES
        })
    });
    match from.env("ECS_LOG_ROLLOVER_TYPE").as_deref() {
        None | Some("size") => {
            // The conversion saturates, and a fraction of a byte does not matter.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let max_bytes = (megabytes * MEGABYTE) as u64;
            LogRollover::Size { max_bytes, keep }
        }
        Some("none") => LogRollover::Never,
        Some(_) => LogRollover::Hourly { keep },
    }
}
