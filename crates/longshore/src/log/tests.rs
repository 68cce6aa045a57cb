#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use expect_test::{Expect, expect};

use super::*;
use crate::config::LogRollover;

/// A console that a test can read.
#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        lock(&self.0).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Screen {
    /// The lines so far, with their times replaced.
    fn text(&self) -> String {
        mask(&String::from_utf8(lock(&self.0).clone()).unwrap())
    }
}

/// Replaces what looks like a time of a line by `T`.
fn mask(text: &str) -> String {
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        let start = ["time=", "\"time\":\""].iter().find_map(|mark| line.find(mark).map(|at| at + mark.len()));
        match start {
            Some(start) => {
                let time = &line[start..start + 20];
                assert!(time.parse::<Timestamp>().is_ok() && time.ends_with('Z'), "{line}");
                out += &format!("{}T{}", &line[..start], &line[start + 20..]);
            }
            None => out += line,
        }
    }
    out
}

fn logging(config: &LogConfig, says: impl FnOnce()) -> String {
    let screen = Screen::default();
    let log = Arc::new(Log::new(config, Box::new(screen.clone())));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(LogLayer { log }), says);
    screen.text()
}

fn with(format: LogFormat, level: LogLevel) -> LogConfig {
    LogConfig { format, console_level: level, file_level: level, ..LogConfig::default() }
}

fn with_file(path: &Path) -> LogConfig {
    LogConfig {
        file: Some(path.to_owned()),
        rollover: LogRollover::Never,
        console_level: LogLevel::Error,
        file_level: LogLevel::Debug,
        ..LogConfig::default()
    }
}

#[derive(Debug)]
#[allow(dead_code)]
enum Status {
    Running,
    Stopped { code: i32 },
}

fn speak() {
    tracing::info!("Polling for \"spot\" notice\n");
    tracing::warn!(image = "repo/app:3", tries = 3, "Slow pull");
    tracing::error!(error = &std::io::Error::other("no <space>") as &dyn std::error::Error, "Cannot write");
    tracing::error!(critical = true, task = %"arn:x", "Giving up");
    tracing::debug!(status = ?Status::Running, full = ?Status::Stopped { code: 1 }, name = ?"a b", empty = %"", ratio = 0.5, "Told");
    tracing::info!(target: "hyper::client", "not ours");
    tracing::warn!(target: "hyper::client", "not ours, but a warning");
    tracing::trace!("never");
}

#[track_caller]
fn check(format: LogFormat, level: LogLevel, expected: Expect) {
    let text = logging(&with(format, level), speak);
    if format == LogFormat::Json {
        for line in text.lines() {
            serde_json::from_str::<serde_json::Value>(line).expect(line);
        }
    }
    expected.assert_eq(&text);
}

#[test]
fn logfmt() {
    check(
        LogFormat::Logfmt,
        LogLevel::Debug,
        expect![[r#"
        level=info time=T msg="Polling for \"spot\" notice\n" module=tests.rs
        level=warn time=T msg="Slow pull" image="repo/app:3" tries=3
        level=error time=T msg="Cannot write" error="no <space>"
        level=critical time=T msg="Giving up" task=arn:x
        level=debug time=T msg="Told" status=Running full="Stopped { code: 1 }" name="a b" empty="" ratio=0.5
        level=warn time=T msg="not ours, but a warning" module=tests.rs
    "#]],
    );
}

#[test]
fn json() {
    check(
        LogFormat::Json,
        LogLevel::Debug,
        expect![[r#"
        {"level":"info","time":"T","msg":"Polling for \"spot\" notice\n","module":"tests.rs"}
        {"level":"warn","time":"T","msg":"Slow pull","image":"repo/app:3","tries":3}
        {"level":"error","time":"T","msg":"Cannot write","error":"no \u003cspace\u003e"}
        {"level":"critical","time":"T","msg":"Giving up","task":"arn:x"}
        {"level":"debug","time":"T","msg":"Told","empty":"","full":"Stopped { code: 1 }","name":"a b","ratio":0.5,"status":"Running"}
        {"level":"warn","time":"T","msg":"not ours, but a warning","module":"tests.rs"}
    "#]],
    );
}

#[test]
fn windows() {
    check(
        LogFormat::Windows,
        LogLevel::Warn,
        expect![[r#"
        Slow pull image="repo/app:3" tries=3
        Cannot write error="no <space>"
        Giving up task=arn:x
        not ours, but a warning
    "#]],
    );
}

#[test]
fn levels() {
    check(
        LogFormat::Logfmt,
        LogLevel::Error,
        expect![[r#"
        level=error time=T msg="Cannot write" error="no <space>"
        level=critical time=T msg="Giving up" task=arn:x
    "#]],
    );
    check(
        LogFormat::Logfmt,
        LogLevel::Critical,
        expect![[r#"
        level=critical time=T msg="Giving up" task=arn:x
    "#]],
    );
    check(LogFormat::Logfmt, LogLevel::Off, expect![""]);
}

#[test]
fn each_sink_has_its_level() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("logs").join("agent.log");
    let console = logging(&with_file(&path), || {
        tracing::info!(number = 1, "one");
        tracing::error!(number = 2, "two");
    });
    let file = mask(&std::fs::read_to_string(&path).unwrap());
    assert_eq!(console, "level=error time=T msg=\"two\" number=2\n");
    assert_eq!(file, format!("level=info time=T msg=\"one\" number=1\n{console}"));
}

#[test]
fn a_file_that_is_off_is_not_made() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("agent.log");
    logging(&LogConfig { file_level: LogLevel::Off, ..with_file(&path) }, speak);
    assert!(!path.exists());
}

#[test]
fn lines_of_a_broken_file_go_to_the_console() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("blocked").join("agent.log");
    let blocked = path.parent().unwrap().to_owned();
    std::fs::write(&blocked, "").unwrap();
    let console = logging(&with_file(&path), || {
        tracing::info!(number = 1, "one");
        tracing::info!(number = 2, "two");
        std::fs::remove_file(&blocked).unwrap();
        tracing::info!(number = 3, "three");
    });
    let console = console.replace(path.to_str().unwrap(), "PATH");
    expect![[r#"
        level=error time=T msg="Cannot write the log file; its lines go to the console until it can be written" path="PATH" error="File exists (os error 17)"
        level=info time=T msg="one" number=1
        level=info time=T msg="two" number=2
        level=warn time=T msg="The log file can be written again" path="PATH"
    "#]].assert_eq(&console);
    assert_eq!(mask(&std::fs::read_to_string(&path).unwrap()), "level=info time=T msg=\"three\" number=3\n");
}

#[test]
fn warnings_of_the_configuration_have_their_level() {
    let warnings = [Severity::Debug, Severity::Warn, Severity::Error, Severity::Critical]
        .map(|severity| Warning { severity, text: "said".to_owned() });
    let text = logging(&with(LogFormat::Logfmt, LogLevel::Debug), || report(&warnings));
    let levels: Vec<_> = text.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(levels, ["level=debug", "level=warn", "level=error", "level=critical"]);
}

#[test]
fn threads_do_not_mix_their_lines() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("agent.log");
    let log = Arc::new(Log::new(&with_file(&path), Box::new(std::io::sink())));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let log = Arc::clone(&log);
            scope.spawn(move || {
                tracing::subscriber::with_default(tracing_subscriber::registry().with(LogLayer { log }), || {
                    for n in 0..250 {
                        tracing::info!(thread, n, "A line");
                    }
                });
            });
        }
    });
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines: Vec<_> = text.lines().map(|line| line.split_once(" thread=").expect(line).1.to_owned()).collect();
    lines.sort();
    lines.dedup();
    assert_eq!(lines.len(), 1000);
}
