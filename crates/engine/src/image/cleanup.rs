//! Removal of images that no task needs (spec 20 §6.2, §6.3), in cycles of one call after the other.
//!
//! It knows the order in which images go, what keeps them, and what to do when the Engine refuses. Where it differs
//! from the reference it does so to never get stuck and never to remove what is needed: an image that cannot be removed
//! does not use up the cycle's number and is left alone for a growing while; a name is looked at before it is removed,
//! so that one that was moved by hand stays; and only a pull of the very image that is being removed waits for it.

mod cycle;
mod keep;
mod report;
mod tracked;
mod untracked;

#[cfg(test)]
mod tests;

pub use report::{Collection, CollectionEntry, Holder, ImageAnswer, ImageReport, ImageRequest, ImagesReport, Options};

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use wire::ids::{Digest, ImageId, ImageRef};

use super::Images;
use super::name::{FullName, digest_of};
use crate::time::Mono;
use cycle::Cycle;

/// No pause after failures is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 3600);

/// What clean-up knows between cycles. None of it outlives the process: a new one tries everything once more.
#[derive(Debug, Clone, Default)]
pub struct Cleanup {
    pub(super) cycle: Option<Cycle>,
    /// Cycles that were asked for while one ran.
    asked: VecDeque<(u64, report::Options)>,
    /// Invariant: the names and digests of the one removal that is out, so that no pull of them begins.
    removing: Option<Removing>,
    troubles: BTreeMap<Subject, Trouble>,
    next_at: Option<Mono>,
    /// When the last cycle for room on the disk ended without finding any.
    full_since: Option<Mono>,
    /// Percent, as last measured.
    disk_used: Option<u8>,
    has_warned_of_disk: bool,
    last: Option<Collection>,
}

/// What a removal may take away.
#[derive(Debug, Clone, Default)]
struct Removing {
    names: BTreeSet<FullName>,
    /// `sha256:…`, under whatever repository.
    digests: BTreeSet<String>,
}

/// What could not be removed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Image(ImageId),
    Container(String),
}

/// How often, and when it is tried again.
#[derive(Debug, Clone)]
struct Trouble {
    failures: u32,
    until: Mono,
    error: String,
}

impl Images {
    /// Whether a removal is out that may take this image away.
    pub(crate) fn is_being_removed(&self, image: &ImageRef, digest: Option<&Digest>) -> bool {
        let Some(removing) = &self.cleanup.removing else { return false };
        removing.names.contains(&FullName::of(image.as_str()))
            || digest.is_some_and(|digest| removing.digests.contains(digest.as_str()))
    }
}

impl Removing {
    fn new<'a>(names: impl IntoIterator<Item = &'a String>, digests: &'a [String]) -> Self {
        Self {
            names: names.into_iter().chain(digests).map(|name| FullName::of(name)).collect(),
            digests: digests.iter().filter_map(|name| digest_of(name)).map(str::to_owned).collect(),
        }
    }
}

impl Cleanup {
    /// A failure: the first one costs nothing but this cycle, each further one doubles the pause.
    fn stumble(&mut self, subject: Subject, error: &str, cycle_began: Mono, interval: Duration) -> &Trouble {
        let trouble =
            self.troubles.entry(subject).or_insert(Trouble { failures: 0, until: cycle_began, error: String::new() });
        let pause = interval.saturating_mul(1 << trouble.failures.min(16)).min(LONGEST_PAUSE);
        trouble.failures += 1;
        trouble.until = cycle_began + pause;
        error.clone_into(&mut trouble.error);
        trouble
    }

    fn trouble(&self, subject: &Subject, now: Mono) -> Option<&Trouble> {
        self.troubles.get(subject).filter(|trouble| trouble.until > now)
    }

    fn forgive(&mut self, subject: &Subject) {
        self.troubles.remove(subject);
    }
}
