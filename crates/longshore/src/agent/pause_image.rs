//! The image whose container holds namespaces that a task's containers share. It is in the binary, and is given to
//! the Engine when the first task needs it: nothing has to be installed, and whoever removes it does no harm.
//!
//! Knows Docker's archive format. Which task needs it is the engine's decision.

mod program;

use std::path::Path;

use bytes::Bytes;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use tracing::{info, warn};

use program::Processor;

/// The image's name, which cannot be changed (spec 20 §1.5).
pub(crate) const NAME: &str = "amazon/amazon-ecs-pause:0.1.0";
/// An archive beyond this is not a pause image.
const MOST_BYTES: u64 = 64 << 20;

/// Loads the image, one caller at a time.
#[derive(Debug, Default)]
pub(crate) struct PauseImage {
    loading: Mutex<()>,
}

/// Why the image cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum PauseImageError {
    #[error(transparent)]
    Docker(#[from] docker::Error),
    #[error("there is no pause image for this processor ({})", std::env::consts::ARCH)]
    Processor,
}

impl PauseImage {
    /// Sees to it that the image is there: it may be already; else `tarball` is loaded where the operator has one,
    /// else the one in this binary.
    ///
    /// # Errors
    /// The Engine does not answer, or does not take it.
    pub(super) async fn ensure(&self, docker: &docker::Engine, tarball: &Path) -> Result<(), PauseImageError> {
        let _turn = self.loading.lock().await;
        if is_there(docker).await? {
            return Ok(());
        }
        if let Some(archive) = read(tarball).await {
            match docker.load(archive).await {
                Ok(()) if is_there(docker).await? => {
                    info!(archive = %tarball.display(), "pause image loaded");
                    return Ok(());
                }
                Ok(()) => warn!(archive = %tarball.display(), "archive does not hold {NAME}; using the built-in image"),
                Err(error) => warn!(
                    archive = %tarball.display(), %error,
                    "pause image could not be loaded; using the built-in image"
                ),
            }
        }
        docker.load(archive(Processor::current().ok_or(PauseImageError::Processor)?, NAME)).await?;
        info!("built-in pause image loaded");
        Ok(())
    }
}

/// Whether there is an image for this processor.
pub(super) fn is_available() -> bool {
    Processor::current().is_some()
}

async fn is_there(docker: &docker::Engine) -> Result<bool, docker::Error> {
    match docker.inspect_image(NAME).await {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == docker::Kind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

async fn read(tarball: &Path) -> Option<Bytes> {
    let size = tokio::fs::metadata(tarball).await.ok()?.len();
    if size > MOST_BYTES {
        warn!(archive = %tarball.display(), size, "archive is too large for a pause image; using the built-in image");
        return None;
    }
    tokio::fs::read(tarball).await.ok().map(Bytes::from)
}

/// The image as `docker save` would write it; the same bytes each time.
fn archive(processor: Processor, name: &str) -> Bytes {
    let mut layer = Tar::default();
    layer.add("pause", 0o755, &processor.program());
    let layer = layer.finish();
    let config = json!({
        "architecture": processor.name(),
        "os": "linux",
        // No clock: the same image everywhere.
        "created": "1970-01-01T00:00:00Z",
        "config": {"Entrypoint": ["/pause"]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", sha256(&layer))]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "longshore"}],
    })
    .to_string();
    let config_name = format!("{}.json", sha256(config.as_bytes()));
    let manifest = json!([{"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]}]).to_string();
    let mut archive = Tar::default();
    archive.add(&config_name, 0o644, config.as_bytes());
    archive.add("layer.tar", 0o644, &layer);
    archive.add("manifest.json", 0o644, manifest.as_bytes());
    archive.finish().into()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes plain files of root's, from the beginning of time, in the ustar format.
#[derive(Debug, Default)]
struct Tar {
    bytes: Vec<u8>,
}

const BLOCK: usize = 512;

impl Tar {
    /// Adds a file. Invariant: names are ours, of at most 100 letters, and sizes below 8 GiB.
    fn add(&mut self, name: &str, mode: u32, content: &[u8]) {
        let mut header = [0; BLOCK];
        let mut put = |at: usize, value: &[u8]| {
            for (slot, byte) in header.iter_mut().skip(at).zip(value) {
                *slot = *byte;
            }
        };
        put(0, name.as_bytes());
        put(100, format!("{mode:07o}\0").as_bytes());
        put(108, b"0000000\0"); // owner
        put(116, b"0000000\0"); // group
        put(124, format!("{:011o}\0", content.len()).as_bytes());
        put(136, b"00000000000\0"); // time
        put(148, b"        "); // checksum, as it counts in itself
        put(156, b"0"); // plain file
        put(257, b"ustar\x0000");
        let sum: u32 = header.iter().copied().map(u32::from).sum();
        for (slot, byte) in header.iter_mut().skip(148).zip(format!("{sum:06o}\0 ").bytes()) {
            *slot = byte;
        }
        self.bytes.extend(header);
        self.bytes.extend(content);
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.bytes.extend([0; 2 * BLOCK]);
        self.bytes
    }
}

#[cfg(test)]
mod tests;
