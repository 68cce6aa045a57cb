//! Look-ups and pulls, each made once for all containers that wait for the same (spec 20 §5.2–5.3).

use std::time::Duration;

use wire::docker::ImageInspect;
use wire::ids::{Digest, ImageId, ImageRef, TaskId};

use crate::backoff::Backoff;
use crate::container::NamedError;
use crate::effect::{EffectId, RegistryAccess};
use crate::time::Mono;

/// What makes two fetches the same: the reference, who vouches for it, and the digest if known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FetchKey {
    pub image: ImageRef,
    pub digest: Option<Digest>,
    /// The registry access, rendered.
    pub access: String,
}

impl FetchKey {
    pub fn new(image: &ImageRef, digest: Option<&Digest>, access: &RegistryAccess) -> Self {
        let rendered = match access {
            RegistryAccess { authentication: None, execution_credentials: None } => String::new(),
            other => format!("{other:?}"),
        };
        Self { image: image.clone(), digest: digest.cloned(), access: rendered }
    }
}

/// What an image says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFacts {
    pub id: ImageId,
    pub repo_digests: Vec<String>,
    pub size: i64,
    pub has_region: bool,
}

impl From<&ImageInspect> for ImageFacts {
    fn from(inspect: &ImageInspect) -> Self {
        let has_region = inspect
            .config
            .env
            .iter()
            .any(|entry| matches!(entry.split_once('='), Some(("AWS_REGION" | "AWS_DEFAULT_REGION", _))));
        Self {
            id: inspect.id.as_str().into(),
            repo_digests: inspect.repo_digests.clone(),
            size: inspect.size,
            has_region,
        }
    }
}

impl ImageFacts {
    /// The digest under which this image is known in the reference's repository. The reference calls an image
    /// that is here under another repository's digest an error and goes on; that put a false reason on containers
    /// that ran well, so here it is simply an image without a digest (spec 20 §5.2).
    pub fn digest_for(&self, image: &ImageRef) -> Option<Digest> {
        let wanted = image.normalized_repository();
        self.repo_digests
            .iter()
            .map(|text| ImageRef::from(text.as_str()))
            .find(|known| known.normalized_repository() == wanted)
            .and_then(|known| known.digest())
    }
}

/// A digest look-up under way.
#[derive(Debug, Clone)]
pub struct Resolution {
    pub access: RegistryAccess,
    pub waiters: Vec<(TaskId, usize)>,
    pub stage: ResolutionStage,
    pub attempt: u32,
    /// When the registry was first asked.
    pub since: Mono,
    pub backoff: Backoff,
}

/// Where a look-up is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResolutionStage {
    /// The image is just being removed: look when that is over.
    AfterRemoval,
    /// Is the image here?
    Local(EffectId),
    Registry(EffectId),
    Pause,
}

/// How a look-up ended.
#[derive(Debug, Clone, Default)]
pub struct ResolutionResult {
    pub digest: Option<Digest>,
    pub error: Option<NamedError>,
    /// The image as it is here, where no pull is needed.
    pub local: Option<ImageFacts>,
}

/// A pull under way.
#[derive(Debug, Clone)]
pub struct Pull {
    pub access: RegistryAccess,
    pub waiters: Vec<(TaskId, usize)>,
    /// `false`: the image ought to be here, only its facts are wanted.
    pub is_needed: bool,
    pub stage: PullStage,
    pub attempt: u32,
    /// When its turn came, and then when the tagging began; waiting in line does not count.
    pub began: Mono,
    pub backoff: Backoff,
    pub error: Option<NamedError>,
}

/// Where a pull is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullStage {
    /// In line for a slot.
    Waiting,
    Pulling(EffectId),
    Pause,
    Tagging(EffectId),
    TagPause,
    /// Which image is it now?
    Looking(EffectId),
}

impl Pull {
    /// Whether it counts against the limit on parallel pulls. One that nobody waits for any more goes on to its end,
    /// since it cannot be called back, but holds up no other.
    pub fn has_slot(&self) -> bool {
        !self.waiters.is_empty() && matches!(self.stage, PullStage::Pulling(_) | PullStage::Pause)
    }
}

/// How a pull ended.
#[derive(Debug, Clone, Default)]
pub struct PullResult {
    pub error: Option<NamedError>,
    pub image: Option<ImageFacts>,
    /// Whether anything was fetched, rather than found here.
    pub was_pulled: bool,
}

/// Delays between attempts at a digest (spec 20 §5.2).
pub(crate) const fn resolution_backoff() -> Backoff {
    Backoff::new(Duration::from_millis(10), Duration::from_secs(5), 3.0, 0.2)
}

/// Delays between attempts at a pull (spec 20 §5.3).
pub(crate) const fn pull_backoff() -> Backoff {
    Backoff::new(Duration::from_millis(1100), Duration::from_secs(5), 2.0, 0.2)
}
