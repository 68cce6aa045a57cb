//! What containers write, brought together: one stream per container, lines out, each with who wrote it.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use docker::{LogOptions, LogSource};
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::local::report::{ContainerReport, TaskReport};

/// Lines that may wait for a slow terminal before containers' streams do.
const WAITING: usize = 1024;

/// A longer line is told in pieces.
const LINE_MAX: usize = 64 * 1024;

/// A line that a container wrote, or something about its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Its position in the task.
    pub position: usize,
    pub container: String,
    pub is_stderr: bool,
    pub at: Option<Timestamp>,
    /// Without line feed.
    pub text: String,
}

/// What is wanted of each log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    pub follow: bool,
    pub tail: Option<u64>,
    pub since: Option<Timestamp>,
}

/// Follows the logs of a task's containers as they come up.
pub(crate) struct Pump {
    engine: docker::Engine,
    wish: Wish,
    only: Option<String>,
    lines: mpsc::Sender<Line>,
    readers: JoinSet<Ended>,
    /// By container name: how many runs of it were opened.
    opened: BTreeMap<String, u64>,
    open: usize,
    /// Until when a container was read, for when it is restarted.
    read_until: BTreeMap<String, Timestamp>,
}

struct Ended {
    container: String,
    last: Option<Timestamp>,
}

impl Pump {
    /// A pump for all containers, or for the one that is named.
    pub(crate) fn new(engine: docker::Engine, wish: Wish, only: Option<String>) -> (Self, mpsc::Receiver<Line>) {
        let (lines, received) = mpsc::channel(WAITING);
        let readers = JoinSet::new();
        let (opened, read_until) = (BTreeMap::new(), BTreeMap::new());
        (Self { engine, wish, only, lines, readers, opened, open: 0, read_until }, received)
    }

    /// Opens the logs of containers that have begun to run since the last look.
    pub(crate) fn look(&mut self, task: &TaskReport) {
        while let Some(ended) = self.readers.try_join_next() {
            self.close(ended.ok());
        }
        for (position, container) in task.own_containers().enumerate() {
            let is_wanted = self.only.as_ref().is_none_or(|only| *only == container.name);
            let Some(id) = container.docker_id.clone().filter(|_| is_wanted && has_run(container)) else { continue };
            let runs = container.restarts + 1;
            let seen = self.opened.get(&container.name).copied().unwrap_or(0);
            // A later run's stream is a new one; the former must have ended, or lines come twice.
            if runs <= seen || (seen > 0 && !self.read_until.contains_key(&container.name)) {
                continue;
            }
            self.opened.insert(container.name.clone(), runs);
            let mut wish = self.wish;
            if let Some(until) = self.read_until.remove(&container.name) {
                wish = Wish { tail: None, since: until.checked_add(jiff::SignedDuration::from_nanos(1)).ok(), ..wish };
            }
            self.open += 1;
            let (engine, lines, name) = (self.engine.clone(), self.lines.clone(), container.name.clone());
            self.readers.spawn(async move {
                let last = read(&engine, &id, wish, position, &name, &lines).await;
                Ended { container: name, last: last.or(wish.since) }
            });
        }
    }

    /// Waits until all logs that are open have been read to their end.
    pub(crate) async fn drain(&mut self) {
        while let Some(ended) = self.readers.join_next().await {
            self.close(ended.ok());
        }
    }

    fn close(&mut self, ended: Option<Ended>) {
        self.open = self.open.saturating_sub(1);
        if let Some(Ended { container, last }) = ended {
            self.read_until.insert(container, last.unwrap_or(Timestamp::UNIX_EPOCH));
        }
    }
}

fn has_run(container: &ContainerReport) -> bool {
    // The control plane, where it alone knows the container, has no moment of its start.
    container.started_at.is_some() || matches!(container.status.as_str(), "RUNNING" | "STOPPED")
}

async fn read(
    engine: &docker::Engine,
    id: &str,
    wish: Wish,
    position: usize,
    container: &str,
    lines: &mpsc::Sender<Line>,
) -> Option<Timestamp> {
    let options = LogOptions {
        follow: wish.follow,
        tail: wish.tail,
        since: wish.since,
        timestamps: true,
        ..LogOptions::default()
    };
    let line = |is_stderr, (at, text): (Option<Timestamp>, String)| Line {
        position,
        container: container.to_owned(),
        is_stderr,
        at,
        text,
    };
    let mut stream = match engine.logs(id, &options).await {
        Ok(stream) => stream,
        Err(error) => {
            let text = format!("(its log cannot be read: {})", error.reference_text());
            // Nobody to tell when the receiver is gone.
            let _ = lines.send(line(true, (None, text))).await;
            return None;
        }
    };
    let mut parts = [Assembler::default(), Assembler::default()];
    let mut last = None;
    while let Some(piece) = stream.next().await {
        let Ok((source, bytes)) = piece else { break };
        let is_stderr = source == LogSource::Stderr;
        for whole in parts[usize::from(is_stderr)].add(bytes) {
            last = whole.0.or(last);
            if lines.send(line(is_stderr, whole)).await.is_err() {
                return last;
            }
        }
    }
    for (index, part) in parts.iter_mut().enumerate() {
        if let Some(rest) = part.end() {
            last = rest.0.or(last);
            let _ = lines.send(line(index == 1, rest)).await;
        }
    }
    last
}

/// Makes lines of pieces, each of which begins with its time.
#[derive(Default)]
pub(super) struct Assembler {
    at: Option<Timestamp>,
    part: BytesMut,
}

impl Assembler {
    /// Lines that this piece completes.
    pub(super) fn add(&mut self, piece: Bytes) -> Vec<(Option<Timestamp>, String)> {
        let mut lines = Vec::new();
        for chunk in piece.split_inclusive(|byte| *byte == b'\n') {
            let (at, rest) = take_time(chunk);
            if self.part.is_empty() || self.at.is_none() {
                self.at = at.or(self.at);
            }
            self.part.extend_from_slice(rest);
            if self.part.ends_with(b"\n") || self.part.len() >= LINE_MAX {
                lines.extend(self.end());
            }
        }
        lines
    }

    /// What is left without a line feed.
    pub(super) fn end(&mut self) -> Option<(Option<Timestamp>, String)> {
        if self.part.is_empty() {
            return None;
        }
        let bytes = self.part.split();
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        Some((self.at.take(), String::from_utf8_lossy(bytes).into_owned()))
    }
}

/// Takes the Engine's time, as in `2030-01-31T12:00:00.123456789Z `, from the front.
fn take_time(chunk: &[u8]) -> (Option<Timestamp>, &[u8]) {
    let Some(space) = chunk.iter().take(40).position(|byte| *byte == b' ') else { return (None, chunk) };
    let time = std::str::from_utf8(&chunk[..space]).ok().filter(|text| text.len() >= 20);
    match time.and_then(|text| text.parse().ok()) {
        Some(at) => (Some(at), &chunk[space + 1..]),
        None => (None, chunk),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn texts(lines: Vec<(Option<Timestamp>, String)>) -> Vec<String> {
        lines.into_iter().map(|(at, text)| format!("{}|{text}", at.is_some())).collect()
    }

    #[test]
    fn pieces_become_lines() {
        let mut part = Assembler::default();
        assert_eq!(texts(part.add(Bytes::from_static(b"2030-01-31T12:00:00.000000001Z one\r\n"))), ["true|one"]);
        // A long line comes in pieces, each with a time of its own.
        assert!(part.add(Bytes::from_static(b"2030-01-31T12:00:00.000000002Z two ")).is_empty());
        assert_eq!(texts(part.add(Bytes::from_static(b"2030-01-31T12:00:00.000000003Z more\n"))), ["true|two more"]);
        // A terminal's output is not framed at all.
        let several = b"2030-01-31T12:00:00.000000004Z three\n2030-01-31T12:00:00.000000005Z four\nfive";
        assert_eq!(texts(part.add(Bytes::from_static(several))), ["true|three", "true|four"]);
        assert_eq!(part.end().unwrap().1, "five");
        assert_eq!(part.end(), None);
    }

    #[test]
    fn what_is_no_time_stays() {
        let mut part = Assembler::default();
        assert_eq!(texts(part.add(Bytes::from_static(b"hello world\n\n"))), ["false|hello world", "false|"]);
        assert_eq!(
            texts(part.add(Bytes::from_static(b"2030-01-31T12:00:00Z 2031-01-01T00:00:00Z x\n"))),
            ["true|2031-01-01T00:00:00Z x"]
        );
    }
}
