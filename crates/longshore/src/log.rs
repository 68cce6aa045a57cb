//! The agent's log: every event of the program as one line, in the reference's formats, to the console and to a file
//! with a level each (spec 40 §12).
//!
//! Lines are written by the thread that says them, whole and at once: there is no queue that an exit could lose.
//! An event is *critical* when it is an error with the field `critical`, as in `error!(critical = true, "...")`.
//! Other people's crates are heard from warnings on.

mod line;
mod quote;
mod rolling;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::config::{LogConfig, LogFormat, LogLevel, Severity, Warning};
use line::{Field, Line, Value};
pub(crate) use rolling::RollingFile;

/// The field that makes an error critical.
const CRITICAL: &str = "critical";
/// Our own crates.
const OWN: [&str; 7] = ["longshore", "engine", "plane", "docker", "aws", "host", "wire"];

/// What the console is for this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Console {
    /// Where an agent's log driver listens.
    Stdout,
    /// Lines go to the file alone, if there is one.
    Silent,
}

/// Flushes the log when it is dropped. Keep it until the process ends.
#[must_use]
pub(crate) struct Guard {
    log: Arc<Log>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Nobody is left to tell that the console is gone.
        let _ = lock(&self.log.console).flush();
    }
}

/// Starts logging to standard output and the configured file, for the whole process. A second call changes nothing.
pub(crate) fn init(config: &LogConfig) -> Guard {
    init_on(config, Console::Stdout)
}

/// As [`init`], with a choice of console.
pub(crate) fn init_on(config: &LogConfig, console: Console) -> Guard {
    let sink: Box<dyn Write + Send> = match console {
        Console::Stdout => Box::new(std::io::stdout()),
        Console::Silent => Box::new(std::io::sink()),
    };
    let log = Arc::new(Log::new(config, sink));
    let subscriber = tracing_subscriber::registry().with(LogLayer { log: Arc::clone(&log) });
    // Only a test or a second call finds a subscriber in place, and then that one goes on.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Guard { log }
}

/// Logs what was found while the configuration was read.
pub(crate) fn report(warnings: &[Warning]) {
    for Warning { severity, text } in warnings {
        match severity {
            Severity::Debug => tracing::debug!("{text}"),
            Severity::Warn => tracing::warn!("{text}"),
            Severity::Error => tracing::error!("{text}"),
            Severity::Critical => tracing::error!(critical = true, "{text}"),
        }
    }
}

/// Both sinks and their rules.
struct Log {
    format: LogFormat,
    console_level: LogLevel,
    file_level: LogLevel,
    console: Mutex<Box<dyn Write + Send>>,
    file: Option<Mutex<FileSink>>,
}

struct FileSink {
    path: PathBuf,
    file: RollingFile,
    /// The last line did not get there; what follows goes to the console until one does.
    broken: bool,
}

impl Log {
    fn new(config: &LogConfig, console: Box<dyn Write + Send>) -> Self {
        let file = config.file.as_ref().filter(|_| config.file_level != LogLevel::Off).map(|path| {
            let file = RollingFile::new(path.clone(), config.rollover);
            Mutex::new(FileSink { path: path.clone(), file, broken: false })
        });
        Self {
            format: config.format,
            console_level: config.console_level,
            file_level: if file.is_some() { config.file_level } else { LogLevel::Off },
            console: Mutex::new(console),
            file,
        }
    }

    fn least(&self) -> LogLevel {
        self.console_level.min(self.file_level)
    }

    /// Puts a line where its level belongs. One that the file does not take goes to the console instead.
    fn put(&self, level: LogLevel, line: &str, now: Timestamp) {
        let mut to_console = level >= self.console_level;
        if level >= self.file_level
            && let Some(sink) = &self.file
        {
            let mut sink = lock(sink);
            match sink.file.write(line.as_bytes(), now) {
                Ok(()) if sink.broken => {
                    sink.broken = false;
                    self.notice(LogLevel::Warn, "The log file can be written again", &sink.path, None, now);
                }
                Ok(()) => {}
                Err(error) => {
                    if !sink.broken {
                        let said = "Cannot write the log file; its lines go to the console until it can be written";
                        self.notice(LogLevel::Error, said, &sink.path, Some(&error), now);
                    }
                    sink.broken = true;
                    to_console = true;
                }
            }
        }
        if to_console {
            self.print(line);
        }
    }

    /// A line about the log itself, which only the console can take.
    fn notice(
        &self,
        level: LogLevel,
        message: &str,
        path: &std::path::Path,
        error: Option<&std::io::Error>,
        now: Timestamp,
    ) {
        let mut fields = vec![Field { name: "path", value: Value::Text(path.display().to_string()) }];
        fields.extend(error.map(|error| Field { name: "error", value: Value::Text(error.to_string()) }));
        let mut text = String::new();
        Line { level, message: message.to_owned(), module: None, fields }.render(self.format, now, &mut text);
        self.print(&text);
    }

    fn print(&self, line: &str) {
        // A console that is gone is no reason to stop, and there is nowhere left to say so.
        let _ = lock(&self.console).write_all(line.as_bytes());
    }
}

/// A poisoned lock only means that another thread panicked while it wrote a line.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct LogLayer {
    log: Arc<Log>,
}

/// The level of an event's place in the program; `None` for what is never logged.
fn level_of(metadata: &Metadata<'_>) -> Option<LogLevel> {
    let level = match *metadata.level() {
        Level::ERROR if metadata.fields().field(CRITICAL).is_some() => LogLevel::Critical,
        Level::ERROR => LogLevel::Error,
        Level::WARN => LogLevel::Warn,
        Level::INFO => LogLevel::Info,
        Level::DEBUG => LogLevel::Debug,
        Level::TRACE => return None,
    };
    let krate = metadata.target().split("::").next().unwrap_or_default();
    (level >= LogLevel::Warn || OWN.contains(&krate)).then_some(level)
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // Levels never change, so each place in the program is asked about once.
        match level_of(metadata) {
            Some(level) if metadata.is_event() && level >= self.log.least() => Interest::always(),
            _ => Interest::never(),
        }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        thread_local! {
            static BUFFER: RefCell<String> = const { RefCell::new(String::new()) };
        }
        let metadata = event.metadata();
        let Some(level) = level_of(metadata).filter(|level| *level >= self.log.least()) else { return };
        let now = Timestamp::now();
        let line = Line::of(event, level);
        BUFFER.with(|buffer| match buffer.try_borrow_mut() {
            Ok(mut text) => {
                text.clear();
                line.render(self.log.format, now, &mut text);
                self.log.put(level, &text, now);
            }
            // Something that is written logs itself while it is written.
            Err(_) => {
                let mut text = String::new();
                line.render(self.log.format, now, &mut text);
                self.log.put(level, &text, now);
            }
        });
    }
}
