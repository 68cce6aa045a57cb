//! `exp(min, max, ×m, +j)` of the specification: delays that grow, each with a random part on top.

use std::time::Duration;

use crate::rng::Rng;

/// A sequence of growing delays (spec 10, conventions).
#[derive(Debug, Clone)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    times: f64,
    jitter: f64,
    next: Duration,
}

impl Backoff {
    pub const fn new(min: Duration, max: Duration, times: f64, jitter: f64) -> Self {
        Self { min, max, times, jitter, next: min }
    }

    /// The next delay: never shorter than the plain one, at most `jitter` of it longer.
    pub fn next(&mut self, rng: &mut Rng) -> Duration {
        let plain = self.next;
        self.next = plain.mul_f64(self.times).min(self.max);
        plain + rng.within(plain.mul_f64(self.jitter))
    }

    /// Begins anew with the shortest delay.
    pub const fn reset(&mut self) {
        self.next = self.min;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_limit_and_begin_anew() {
        let mut rng = Rng::new(1);
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(3), 2.0, 0.5);
        for plain in [1, 2, 3, 3] {
            let delay = backoff.next(&mut rng);
            let plain = Duration::from_secs(plain);
            assert!(delay >= plain && delay < plain.mul_f64(1.5), "{delay:?}");
        }
        backoff.reset();
        assert!(backoff.next(&mut rng) < Duration::from_millis(1500));
    }
}
