//! Statistics of a container.

use std::time::Duration;

use bytes::Bytes;
use wire::docker::ApiVersion;

use crate::deadlines;
use crate::engine::Engine;
use crate::error::Error;
use crate::lines::Lines;
use crate::request::{Call, Wish, named};

/// From here on the daemon can answer without waiting for a second sample.
const ONE_SHOT: ApiVersion = ApiVersion::v1(41);

/// Samples of one container, about one a second, until it is removed.
pub struct StatsStream {
    lines: Lines,
    silence: Duration,
    id: String,
}

impl Engine {
    /// One sample as JSON. The daemon takes two, a second apart, so that `precpu_stats` is filled; with `one_shot`
    /// it does not, if it can (API 1.41).
    pub async fn stats(&self, id: &str, one_shot: bool) -> Result<Bytes, Error> {
        let call = |path| Call::get("read statistics of container", id, path, self.limit(deadlines::STATS));
        let path = format!("/containers/{}/stats", named("read statistics of container", "container", id)?);
        let plain = call(path.clone()).query("stream", "0");
        if one_shot {
            let quick = call(path).query("stream", "0").query("one-shot", "1").wish(Wish::AtLeast(ONE_SHOT));
            match self.call(&quick).await {
                Err(error) if error.kind() == crate::Kind::Unsupported => {}
                outcome => return outcome.map(|reply| reply.body),
            }
        }
        Ok(self.call(&plain).await?.body)
    }

    /// Samples as they come. The stream fails with [`crate::Kind::Inactive`] when nothing came for
    /// [`deadlines::STATS`], or for what [`Engine::within`] says.
    pub async fn stats_stream(&self, id: &str) -> Result<StatsStream, Error> {
        let path = format!("/containers/{}/stats", named("read statistics of container", "container", id)?);
        let silence = self.limit(deadlines::STATS);
        let call = Call::get("read statistics of container", id, path, silence).query("stream", "1");
        Ok(StatsStream { lines: Lines::new(self.open(&call).await?), silence, id: id.to_owned() })
    }
}

impl StatsStream {
    /// The next sample, one JSON document ([`wire::docker::Stats`]); `None` at the stream's end. Cancel-safe.
    pub async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        let line = self.lines.next(Some(self.silence)).await;
        line.map_err(|cause| Error::new("read statistics of container", self.id.as_str(), cause)).transpose()
    }
}
