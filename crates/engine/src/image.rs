//! Images: which are known here, the look-ups and pulls that containers share, and their removal (spec 20 §5, §6).

pub mod cleanup;
mod fetch;
mod name;
mod record;

pub use cleanup::{Collection, CollectionEntry, Holder, ImageAnswer, ImageReport, ImageRequest, ImagesReport};
pub use fetch::{FetchKey, ImageFacts, Pull, PullResult, PullStage, Resolution, ResolutionResult, ResolutionStage};
pub(crate) use fetch::{pull_backoff, resolution_backoff};
pub use name::FullName;
pub(crate) use name::pull_reference;
pub use record::{ImageRecord, Images};
