//! Pulling an image.

use std::time::Duration;

use wire::docker::{ImageReference, PullMessage, RegistryAuth};

use crate::deadlines;
use crate::engine::Engine;
use crate::error::{Cause, Error};
use crate::images::{check_line, with_auth};
use crate::lines::Lines;
use crate::request::Call;

/// Limits inside a pull; the whole has [`deadlines::PULL`] or [`Engine::within`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PullLimits {
    /// Until the first progress line.
    pub begin: Duration,
    /// Without any byte after that.
    pub inactivity: Duration,
}

impl Default for PullLimits {
    fn default() -> Self {
        Self { begin: deadlines::PULL_BEGIN, inactivity: deadlines::PULL_INACTIVITY }
    }
}

/// One line of progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullProgress {
    /// Layer, in its short form; empty for lines about the image.
    pub id: String,
    /// `Downloading`, `Pull complete`, …
    pub status: String,
    /// Bytes done.
    pub current: u64,
    /// Bytes to do, 0 when unknown.
    pub total: u64,
}

/// How a pull ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullReport {
    /// `sha256:…`, as the daemon told it.
    pub digest: Option<String>,
    /// `Status: Image is up to date for …`.
    pub status: String,
}

impl Engine {
    /// Pulls one image, by digest, tag or `latest`, once.
    ///
    /// # Errors
    /// [`crate::Kind::BeginTimeout`] and [`crate::Kind::Inactive`] by `limits`; what went wrong inside the stream has
    /// the daemon's text without a prefix, as the reference shows it (spec 20 §5.3).
    pub async fn pull(
        &self,
        image: &str,
        auth: &RegistryAuth,
        limits: PullLimits,
        mut on_progress: impl FnMut(PullProgress) + Send,
    ) -> Result<PullReport, Error> {
        let whole = self.limit(deadlines::PULL);
        let call = Call::post("pull image", image, "/images/create", whole);
        let reference: ImageReference = image.parse().map_err(|invalid| call.fail(Cause::Reference(invalid)))?;
        let call = call.query("fromImage", reference.familiar_name()).query("tag", reference.tag_or_digest());
        let call = with_auth(call, auth);

        let pull = async {
            // The daemon sends its headers with the first line.
            let begin = async {
                let mut lines = Lines::new(self.open(&call).await?);
                let first = lines.next(None).await.map_err(|cause| call.fail(cause))?;
                Ok((lines, first))
            };
            let (mut lines, mut line) = match tokio::time::timeout(limits.begin, begin).await {
                Ok(begun) => begun?,
                Err(_) => return Err(call.fail(Cause::Begin(limits.begin))),
            };
            let mut report = PullReport::default();
            while let Some(text) = line {
                report.read(&text, &mut on_progress).map_err(|cause| call.fail(cause))?;
                line = lines.next(Some(limits.inactivity)).await.map_err(|cause| call.fail(cause))?;
            }
            Ok(report)
        };
        match tokio::time::timeout(whole, pull).await {
            Ok(outcome) => outcome,
            Err(_) => Err(call.fail(Cause::Deadline(whole))),
        }
    }
}

impl PullReport {
    fn read(&mut self, line: &[u8], on_progress: &mut impl FnMut(PullProgress)) -> Result<(), Cause> {
        let message: PullMessage = crate::engine::decode(line)?;
        check_line(&message)?;
        if let Some(digest) = message.status.strip_prefix("Digest: ") {
            self.digest = Some(digest.trim().to_owned());
        } else if message.status.starts_with("Status: ") {
            self.status.clone_from(&message.status);
        }
        // The line `Pulling from library/web` has the tag where others have a layer.
        let is_of_image = message.status.starts_with("Pulling from ");
        on_progress(PullProgress {
            id: if is_of_image { String::new() } else { message.id },
            status: message.status,
            current: u64::try_from(message.progress.current).unwrap_or_default(),
            total: u64::try_from(message.progress.total).unwrap_or_default(),
        });
        Ok(())
    }
}
