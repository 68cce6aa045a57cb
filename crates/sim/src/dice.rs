//! The world's only source of chance. One seed gives one world.

use std::time::Duration;

use engine::rng::Rng;

/// Seeded chance, in the words in which the world asks for it.
#[derive(Debug, Clone)]
pub(crate) struct Dice(Rng);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(Rng::new(seed))
    }

    /// True with probability `p`.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn chance(&mut self, p: f64) -> bool {
        p > 0.0 && (self.0.below(1 << 30) as f64) < p * (1_u64 << 30) as f64
    }

    /// Uniform in `[low, high]`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.0.below(high.saturating_sub(low) + 1)
    }

    /// Uniform in `[low, high]` milliseconds.
    pub(crate) fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.between(low, high))
    }

    /// Uniform in `[low, high]` seconds, to the millisecond.
    pub(crate) fn seconds(&mut self, low: u64, high: u64) -> Duration {
        self.millis(low * 1000, high * 1000)
    }

    /// One of a non-empty list.
    pub(crate) fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        let index = self.between(0, list.len().saturating_sub(1) as u64);
        &list[usize::try_from(index).unwrap_or_default()]
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0.next_u64()
    }

    pub(crate) fn hex(&mut self, digits: usize) -> String {
        self.0.hex(digits)
    }
}
