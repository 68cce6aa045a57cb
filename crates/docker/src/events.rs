//! The daemon's event stream.

use jiff::Timestamp;
use wire::docker::Event;

use crate::deadlines;
use crate::engine::Engine;
use crate::error::Error;
use crate::filters::Filters;
use crate::lines::Lines;
use crate::request::Call;

/// Events as they happen. It never ends well: when the connection goes, [`EventStream::next`] fails, and what
/// happened until the next stream must be found by inspection (or by `since`).
pub struct EventStream {
    lines: Lines,
}

impl Engine {
    /// Opens the event stream (`GET /events`). It is open, though not by guarantee subscribed, when this returns: the
    /// daemon sends the headers a moment before it listens. With `since` it first repeats what it still remembers
    /// (up to 256 events) from that time on, by its own clock, which closes that gap.
    pub async fn events(&self, since: Option<Timestamp>, filters: &Filters) -> Result<EventStream, Error> {
        let mut call = Call::get("read events", "", "/events", self.limit(deadlines::EVENTS_OPEN)).filters(filters);
        if let Some(since) = since {
            call = call.query("since", unix_time(since));
        }
        Ok(EventStream { lines: Lines::new(self.open(&call).await?) })
    }
}

impl EventStream {
    /// The next event. Cancel-safe. A line that is no event is skipped with a warning.
    ///
    /// # Errors
    /// [`crate::Kind::Disconnected`] when the daemon ended the stream or the connection broke.
    pub async fn next(&mut self) -> Result<Event, Error> {
        loop {
            let line = self.lines.next(None).await.map_err(|cause| Error::new("read events", "", cause))?;
            let Some(line) = line else {
                return Err(Error::new("read events", "", self.lines.chunks.broken("EOF")));
            };
            match serde_json::from_slice(&line) {
                Ok(event) => return Ok(event),
                Err(error) => tracing::warn!(%error, "skipped an event that could not be read"),
            }
        }
    }
}

/// Seconds with nine decimals, as the daemon takes times.
pub(crate) fn unix_time(time: Timestamp) -> String {
    let nanos = time.as_nanosecond();
    format!("{}.{:09}", nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000))
}
