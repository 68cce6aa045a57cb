//! Images: which are known here, and the look-ups and pulls that containers share (spec 20 §5, §6.1).

mod fetch;
mod record;

pub use fetch::{FetchKey, ImageFacts, Pull, PullResult, PullStage, Resolution, ResolutionResult, ResolutionStage};
pub(crate) use fetch::{pull_backoff, resolution_backoff};
pub use record::{ImageRecord, Images};
