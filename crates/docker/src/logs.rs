//! What a container wrote.

use bytes::{Buf, Bytes, BytesMut};
use jiff::Timestamp;

use crate::deadlines;
use crate::engine::Engine;
use crate::error::{Cause, Error};
use crate::events::unix_time;
use crate::lines::Chunks;
use crate::request::{Call, named};

/// The longest frame that is accepted; the daemon's are some 16 KiB.
const MAX_FRAME: usize = 16 << 20;
/// Stream, three zeros, and the length in big endian.
const HEADER: usize = 8;

/// Which part of a container's output is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOptions {
    pub stdout: bool,
    pub stderr: bool,
    /// Go on with what is written from now on, until the container ends.
    pub follow: bool,
    /// Begin each line with its time.
    pub timestamps: bool,
    pub since: Option<Timestamp>,
    /// Only so many of the last lines.
    pub tail: Option<u64>,
}

/// All that was written so far.
impl Default for LogOptions {
    fn default() -> Self {
        Self { stdout: true, stderr: true, follow: false, timestamps: false, since: None, tail: None }
    }
}

/// The file descriptor that something was written to. Terminals know one only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogSource {
    Stdout,
    Stderr,
}

/// Output of a container or of an exec, in pieces as the daemon has them, which are not lines.
pub struct LogStream {
    chunks: Chunks,
    frames: Frames,
    id: String,
}

impl Engine {
    /// The container's output, as its log driver kept it.
    pub async fn logs(&self, id: &str, options: &LogOptions) -> Result<LogStream, Error> {
        let name = named("read logs of container", "container", id)?;
        // Whether frames have headers is told by the terminal flag: the content type does not before API 1.42.
        let tty = self.within(self.limit(deadlines::INSPECT)).inspect(id).await?.config.tty;
        let mut call = Call::get(
            "read logs of container",
            id,
            format!("/containers/{name}/logs"),
            self.limit(deadlines::LOGS_OPEN),
        )
        .flag("stdout", options.stdout)
        .flag("stderr", options.stderr)
        .flag("follow", options.follow)
        .flag("timestamps", options.timestamps);
        if let Some(since) = options.since {
            call = call.query("since", unix_time(since));
        }
        if let Some(tail) = options.tail {
            call = call.query("tail", tail.to_string());
        }
        Ok(LogStream { chunks: Chunks::new(self.open(&call).await?), frames: Frames::new(tty), id: id.to_owned() })
    }
}

impl LogStream {
    /// The next piece; `None` at the end. Cancel-safe.
    pub async fn next(&mut self) -> Option<Result<(LogSource, Bytes), Error>> {
        self.advance().await.map_err(|cause| Error::new("read logs of container", self.id.as_str(), cause)).transpose()
    }

    async fn advance(&mut self) -> Result<Option<(LogSource, Bytes)>, Cause> {
        loop {
            if let Some(piece) = self.frames.take()? {
                return Ok(Some(piece));
            }
            match self.chunks.next(None).await? {
                Some(data) => self.frames.add(&data),
                None if self.frames.is_empty() => return Ok(None),
                None => return Err(self.chunks.broken("unexpected EOF")),
            }
        }
    }
}

/// Takes the daemon's multiplexed output apart.
pub(crate) struct Frames {
    raw: bool,
    buffer: BytesMut,
}

impl Frames {
    /// `raw` output, a terminal's, has no frames.
    pub(crate) fn new(raw: bool) -> Self {
        Self { raw, buffer: BytesMut::new() }
    }

    pub(crate) fn add(&mut self, data: &[u8]) {
        self.buffer.extend_from_slice(data);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The next whole frame, if it is there.
    pub(crate) fn take(&mut self) -> Result<Option<(LogSource, Bytes)>, Cause> {
        if self.raw {
            let all = self.buffer.split().freeze();
            return Ok((!all.is_empty()).then_some((LogSource::Stdout, all)));
        }
        let &[stream, _, _, _, a, b, c, d, ..] = &*self.buffer else { return Ok(None) };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let source = match stream {
            0 | 1 => LogSource::Stdout,
            2 => LogSource::Stderr,
            // What the daemon itself has to say in the middle of a stream.
            3 if self.buffer.len() >= HEADER + length => {
                let message = String::from_utf8_lossy(&self.buffer[HEADER..HEADER + length]).trim().to_owned();
                return Err(Cause::InStream { code: 0, message });
            }
            3 => return Ok(None),
            other => return Err(Cause::Malformed(format!("Unrecognized input header: {other}"))),
        };
        if length > MAX_FRAME {
            return Err(Cause::Malformed(format!("a log frame is longer than {MAX_FRAME} bytes")));
        }
        if self.buffer.len() < HEADER + length {
            return Ok(None);
        }
        self.buffer.advance(HEADER);
        Ok(Some((source, self.buffer.split_to(length).freeze())))
    }
}
