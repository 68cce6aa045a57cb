//! A file of lines that begins anew by size or by hour and forgets its oldest parts (spec 40 §12.4).

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::config::LogRollover;

/// A log file and its history, `<file>.<N>` by size or `<file>.YYYY-MM-DD-HH` by hour.
pub(crate) struct RollingFile {
    path: PathBuf,
    rollover: LogRollover,
    zone: TimeZone,
    open: Option<Open>,
    /// The local hour of the lines in the file, as its name will have it. Remembered only here: a file that was
    /// there before is continued (spec 40 §12.4).
    hour: Option<String>,
    /// The last line broke off in its middle.
    torn: bool,
}

struct Open {
    file: File,
    size: u64,
    /// The size at which the file is put away.
    roll_at: u64,
}

impl RollingFile {
    /// Opens nothing yet; the first line does.
    pub(crate) fn new(path: PathBuf, rollover: LogRollover) -> Self {
        Self { path, rollover, zone: TimeZone::system(), open: None, hour: None, torn: false }
    }

    /// Appends one line, which brings its end.
    ///
    /// # Errors
    /// The file cannot be made or written; the next line tries anew.
    pub(crate) fn write(&mut self, line: &[u8], now: Timestamp) -> io::Result<()> {
        self.roll_if_due(now)?;
        let torn = self.torn;
        let open = self.open()?;
        let result = if torn { open.file.write_all(b"\n") } else { Ok(()) }.and_then(|()| open.file.write_all(line));
        match result {
            Ok(()) => {
                open.size += line.len() as u64;
                self.torn = false;
                Ok(())
            }
            Err(error) => {
                // Some of the line may be there; whether, is seen by the size.
                let size = open.size;
                self.torn = open.file.metadata().map_or(torn, |metadata| torn || metadata.len() > size);
                self.open = None;
                Err(error)
            }
        }
    }

    fn roll_if_due(&mut self, now: Timestamp) -> io::Result<()> {
        match self.rollover {
            LogRollover::Never => {}
            LogRollover::Size { keep, max_bytes } => {
                let open = self.open()?;
                if open.size < open.roll_at {
                    return Ok(());
                }
                // A history that cannot be made is no reason to lose lines, nor to try again for each.
                open.roll_at = open.size.saturating_add(max_bytes);
                let last = self.history().filter_map(|(suffix, _)| suffix.parse::<u64>().ok()).max().unwrap_or(0);
                if self.put_away(&(last + 1).to_string()).is_ok() {
                    self.forget(keep, |suffix| suffix.parse::<u64>().ok());
                }
            }
            LogRollover::Hourly { keep } => {
                let hour = self.zone.to_datetime(now).strftime("%Y-%m-%d-%H").to_string();
                let previous = self.hour.replace(hour.clone());
                let Some(previous) = previous.filter(|previous| *previous != hour) else { return Ok(()) };
                // An hour may come twice, by a restart or a change of the clock.
                let name = (1_u32..)
                    .map(|n| if n == 1 { previous.clone() } else { format!("{previous}-{n}") })
                    .find(|name| !self.beside(name).exists())
                    .unwrap_or(previous);
                if self.put_away(&name).is_ok() {
                    self.forget(keep, |suffix| is_hour(suffix).then(|| suffix.to_owned()));
                }
            }
        }
        Ok(())
    }

    fn open(&mut self) -> io::Result<&mut Open> {
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                if let Some(directory) = self.directory() {
                    DirBuilder::new().recursive(true).mode(0o767).create(directory)?;
                }
                let file = OpenOptions::new().append(true).create(true).open(&self.path)?;
                let size = file.metadata()?.len();
                let roll_at = match self.rollover {
                    LogRollover::Size { max_bytes, .. } => max_bytes,
                    LogRollover::Hourly { .. } | LogRollover::Never => u64::MAX,
                };
                Open { file, size, roll_at }
            }
        };
        Ok(self.open.insert(open))
    }

    fn directory(&self) -> Option<&Path> {
        self.path.parent().filter(|directory| !directory.as_os_str().is_empty())
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(".");
        name.push(suffix);
        name.into()
    }

    fn put_away(&mut self, suffix: &str) -> io::Result<()> {
        std::fs::rename(&self.path, self.beside(suffix))?;
        self.open = None;
        self.torn = false;
        Ok(())
    }

    /// Files named after this one, as suffix and path.
    fn history(&self) -> impl Iterator<Item = (String, PathBuf)> {
        let prefix = self.path.file_name().and_then(|name| name.to_str()).map(|name| format!("{name}."));
        std::fs::read_dir(self.directory().unwrap_or(Path::new("."))).into_iter().flatten().flatten().filter_map(
            move |entry| {
                let suffix = entry.file_name().to_str()?.strip_prefix(prefix.as_deref()?)?.to_owned();
                Some((suffix, entry.path()))
            },
        )
    }

    /// Removes the oldest parts beyond `keep`; 0 keeps all. Files that `order` does not know are not ours.
    fn forget<K: Ord>(&self, keep: usize, order: impl Fn(&str) -> Option<K>) {
        if keep == 0 {
            return;
        }
        let mut parts: Vec<_> = self.history().filter_map(|(suffix, path)| Some((order(&suffix)?, path))).collect();
        parts.sort();
        let beyond = parts.len().saturating_sub(keep);
        for (_, path) in parts.into_iter().take(beyond) {
            // What cannot be removed now is tried again with the next part.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Whether a suffix is `YYYY-MM-DD-HH`, perhaps with a number after it.
fn is_hour(suffix: &str) -> bool {
    let parts: Vec<_> = suffix.split('-').collect();
    let lengths: Vec<_> = parts.iter().map(|part| part.len()).collect();
    lengths.starts_with(&[4, 2, 2, 2])
        && parts.len() <= 5
        && parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use std::collections::BTreeMap;

    use super::*;

    struct Place {
        directory: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Self {
            Self { directory: tempfile::tempdir().unwrap() }
        }

        fn file(&self, rollover: LogRollover) -> RollingFile {
            let mut file = RollingFile::new(self.directory.path().join("log").join("agent.log"), rollover);
            file.zone = TimeZone::UTC;
            file
        }

        /// All files as name and content.
        fn content(&self) -> BTreeMap<String, String> {
            std::fs::read_dir(self.directory.path().join("log"))
                .unwrap()
                .map(|entry| {
                    let entry = entry.unwrap();
                    (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap())
                })
                .collect()
        }

        #[track_caller]
        fn check(&self, expected: &[(&str, &str)]) {
            let content = self.content();
            let content: Vec<_> = content.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
            assert_eq!(content, expected);
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn by_size_numbers_grow_and_the_lowest_goes() {
        let place = Place::new();
        let rollover = LogRollover::Size { max_bytes: 6, keep: 2 };
        let mut file = place.file(rollover);
        for line in ["one\n", "two\n", "three\n", "four\n"] {
            file.write(line.as_bytes(), Timestamp::UNIX_EPOCH).unwrap();
        }
        place.check(&[("agent.log", "four\n"), ("agent.log.1", "one\ntwo\n"), ("agent.log.2", "three\n")]);
        // A restart goes on where it was.
        let mut file = place.file(rollover);
        file.write(b"five\n", Timestamp::UNIX_EPOCH).unwrap();
        std::fs::write(place.directory.path().join("log/agent.log.old"), "not ours").unwrap();
        file.write(b"six\n", Timestamp::UNIX_EPOCH).unwrap();
        place.check(&[
            ("agent.log", "six\n"),
            ("agent.log.2", "three\n"),
            ("agent.log.3", "four\nfive\n"),
            ("agent.log.old", "not ours"),
        ]);
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        let place = Place::new();
        let mut file = place.file(LogRollover::Size { max_bytes: 1, keep: 3 });
        for n in 0..12 {
            file.write(format!("{n}\n").as_bytes(), Timestamp::UNIX_EPOCH).unwrap();
        }
        place.check(&[
            ("agent.log", "11\n"),
            ("agent.log.10", "9\n"),
            ("agent.log.11", "10\n"),
            ("agent.log.9", "8\n"),
        ]);
    }

    #[test]
    fn by_hour_the_name_is_the_hour_that_is_over() {
        let place = Place::new();
        let mut file = place.file(LogRollover::Hourly { keep: 2 });
        file.write(b"a\n", at("2031-02-03T04:05:06Z")).unwrap();
        file.write(b"b\n", at("2031-02-03T04:59:59Z")).unwrap();
        file.write(b"c\n", at("2031-02-03T05:00:00Z")).unwrap();
        file.write(b"d\n", at("2031-02-03T09:00:00Z")).unwrap();
        place.check(&[("agent.log", "d\n"), ("agent.log.2031-02-03-04", "a\nb\n"), ("agent.log.2031-02-03-05", "c\n")]);
        let mut file = place.file(LogRollover::Hourly { keep: 2 });
        file.write(b"e\n", at("2031-02-03T11:00:00Z")).unwrap();
        file.write(b"f\n", at("2031-02-03T12:00:00Z")).unwrap();
        place.check(&[("agent.log", "f\n"), ("agent.log.2031-02-03-05", "c\n"), ("agent.log.2031-02-03-11", "d\ne\n")]);
    }

    #[test]
    fn an_hour_that_comes_twice_loses_nothing() {
        let place = Place::new();
        let mut file = place.file(LogRollover::Hourly { keep: 0 });
        file.zone = TimeZone::fixed(jiff::tz::offset(1));
        for (line, time) in [("a\n", "2031-02-03T01:30:00Z"), ("b\n", "2031-02-03T02:30:00Z")] {
            file.write(line.as_bytes(), at(time)).unwrap();
        }
        file.zone = TimeZone::UTC;
        file.write(b"c\n", at("2031-02-03T03:30:00Z")).unwrap();
        file.zone = TimeZone::fixed(jiff::tz::offset(-1));
        file.write(b"d\n", at("2031-02-03T03:30:00Z")).unwrap();
        file.write(b"e\n", at("2031-02-03T04:30:00Z")).unwrap();
        let names: Vec<_> = place.content().into_keys().collect();
        // 02 and 03 in the first zone's hours (the latter goes on in the second zone), then 02 again.
        assert_eq!(
            names,
            ["agent.log", "agent.log.2031-02-03-02", "agent.log.2031-02-03-02-2", "agent.log.2031-02-03-03"]
        );
    }

    #[test]
    fn a_plain_file_only_grows() {
        let place = Place::new();
        let mut file = place.file(LogRollover::Never);
        for _ in 0..3 {
            file.write(b"line\n", Timestamp::UNIX_EPOCH).unwrap();
        }
        place.check(&[("agent.log", "line\nline\nline\n")]);
    }

    #[test]
    fn a_path_that_cannot_be_had_is_tried_again() {
        let place = Place::new();
        let blocked = place.directory.path().join("log");
        std::fs::write(&blocked, "a file where a directory should be").unwrap();
        let mut file = place.file(LogRollover::Size { max_bytes: 100, keep: 1 });
        assert!(file.write(b"lost\n", Timestamp::UNIX_EPOCH).is_err());
        std::fs::remove_file(&blocked).unwrap();
        file.write(b"kept\n", Timestamp::UNIX_EPOCH).unwrap();
        place.check(&[("agent.log", "kept\n")]);
    }
}
