//! Streams of JSON, one document per line.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::connection::Connection;
use crate::engine::{Open, Place};
use crate::error::Cause;

/// The longest line that is accepted: an event with all its labels, a sample of a machine with many CPUs.
const MAX_LINE: usize = 16 << 20;

/// A body that is still coming. Reading is cancel-safe: what was read stays here.
pub(crate) struct Chunks {
    body: Incoming,
    place: Place,
    last_read: Instant,
    /// Holds the connection open.
    _connection: Connection,
}

impl Chunks {
    pub(crate) fn new(open: Open) -> Self {
        Self {
            body: open.response.into_body(),
            place: open.place,
            last_read: Instant::now(),
            _connection: open.connection,
        }
    }

    /// The next bytes; `None` when the daemon ended the body properly. With `silence`, it fails when there were none
    /// for so long.
    pub(crate) async fn next(&mut self, silence: Option<Duration>) -> Result<Option<Bytes>, Cause> {
        loop {
            let frame = match silence {
                None => self.body.frame().await,
                Some(limit) => tokio::time::timeout_at(self.last_read + limit, self.body.frame())
                    .await
                    .map_err(|_| Cause::Inactive(limit))?,
            };
            self.last_read = Instant::now();
            match frame {
                None => return Ok(None),
                Some(Err(_)) => return Err(self.broken("unexpected EOF")),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    pub(crate) fn broken(&self, detail: &str) -> Cause {
        self.place.broken(detail)
    }
}

/// Lines of a body that is still coming.
pub(crate) struct Lines {
    pub(crate) chunks: Chunks,
    buffer: BytesMut,
    /// Up to here the buffer has no line end.
    searched: usize,
    ended: bool,
}

impl Lines {
    pub(crate) fn new(open: Open) -> Self {
        Self { chunks: Chunks::new(open), buffer: BytesMut::new(), searched: 0, ended: false }
    }

    /// The next line that is not empty, without its end. Cancel-safe.
    pub(crate) async fn next(&mut self, silence: Option<Duration>) -> Result<Option<Bytes>, Cause> {
        loop {
            if let Some(line) = self.take_line() {
                if line.iter().any(|byte| !byte.is_ascii_whitespace()) {
                    return Ok(Some(line));
                }
                continue;
            }
            if self.ended {
                return Ok(None);
            }
            if self.buffer.len() > MAX_LINE {
                return Err(Cause::Malformed(format!("a line is longer than {MAX_LINE} bytes")));
            }
            match self.chunks.next(silence).await? {
                Some(data) => self.buffer.extend_from_slice(&data),
                None => self.ended = true,
            }
        }
    }

    fn take_line(&mut self) -> Option<Bytes> {
        match self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
            Some(offset) => {
                let mut line = self.buffer.split_to(self.searched + offset + 1);
                line.truncate(line.len() - 1);
                self.searched = 0;
                Some(line.freeze())
            }
            None if self.ended && !self.buffer.is_empty() => {
                self.searched = 0;
                Some(self.buffer.split().freeze())
            }
            None => {
                self.searched = self.buffer.len();
                None
            }
        }
    }
}
