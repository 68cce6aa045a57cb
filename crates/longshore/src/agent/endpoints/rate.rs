//! Limits of requests (spec 30 §1.3): a token bucket for each peer and path.
//!
//! Unlike the reference's buckets these do not live for ever: a full bucket says nothing and is forgotten, so that
//! ten thousand paths cost nothing for long.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderValue;

use crate::config::RateLimit;

/// More buckets than this are never kept.
const MOST_BUCKETS: usize = 16_384;

/// Credentials have a limit of their own, which no well-meaning client reaches: a task that lacks them fails.
const CREDENTIALS: (f64, f64) = (500.0, 1000.0);

/// For each operation of fault injection (spec 30 §4.2.2).
const FAULTS: (f64, f64) = (0.2, 1.0);

/// The limits of the task server.
pub(crate) struct Limits {
    pub(super) metadata: Limiter,
    pub(super) credentials: Limiter,
    pub(super) faults: Limiter,
}

impl Limits {
    pub(crate) fn new(metadata: RateLimit) -> Self {
        // Numbers of requests, far below what a float cannot tell apart.
        #[allow(clippy::cast_precision_loss)]
        let (steady, burst) = (metadata.steady as f64, metadata.burst as f64);
        Self {
            metadata: Limiter::new((steady, burst)),
            credentials: Limiter::new((CREDENTIALS.0.max(steady), CREDENTIALS.1.max(burst))),
            faults: Limiter::new(FAULTS),
        }
    }
}

/// Token buckets with one rate.
pub(super) struct Limiter {
    steady: f64,
    burst: f64,
    header: HeaderValue,
    hasher: RandomState,
    buckets: Mutex<HashMap<u64, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Limiter {
    fn new((steady, burst): (f64, f64)) -> Self {
        let header = HeaderValue::from_str(&format!("{steady:.2}"));
        Self {
            steady,
            burst,
            header: header.unwrap_or_else(|_| HeaderValue::from_static("")),
            hasher: RandomState::new(),
            buckets: Mutex::default(),
        }
    }

    /// Requests per second, with two decimals.
    pub(super) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// Takes a token; false when there is none.
    pub(super) fn admit(&self, peer: IpAddr, path: &str, now: Instant) -> bool {
        let key = self.hasher.hash_one((peer, path));
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MOST_BUCKETS && !buckets.contains_key(&key) {
            self.forget(&mut buckets, now);
        }
        let full = Bucket { tokens: self.burst, at: now };
        let bucket = buckets.entry(key).or_insert(full);
        let tokens = self.filled(*bucket, now);
        let is_admitted = tokens >= 1.0;
        *bucket = Bucket { tokens: if is_admitted { tokens - 1.0 } else { tokens }, at: now };
        is_admitted
    }

    fn filled(&self, bucket: Bucket, now: Instant) -> f64 {
        let passed: Duration = now.saturating_duration_since(bucket.at);
        passed.as_secs_f64().mul_add(self.steady, bucket.tokens).min(self.burst)
    }

    /// Drops what has filled up; if that is not much, then everything: a flood then gains a moment, others lose nothing.
    fn forget(&self, buckets: &mut HashMap<u64, Bucket>, now: Instant) {
        buckets.retain(|_, bucket| self.filled(*bucket, now) < self.burst);
        if buckets.len() > MOST_BUCKETS / 2 {
            buckets.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([172, 17, 0, last])
    }

    #[test]
    fn a_burst_then_the_steady_rate_for_each_peer_and_path() {
        let limiter = Limiter::new((40.0, 60.0));
        let start = Instant::now();
        let admitted = (0..100).filter(|_| limiter.admit(ip(2), "/v4/a", start)).count();
        assert_eq!(admitted, 60);
        assert!(limiter.admit(ip(2), "/v4/b", start), "another path");
        assert!(limiter.admit(ip(3), "/v4/a", start), "another peer");
        let later = start + Duration::from_millis(500);
        assert_eq!((0..100).filter(|_| limiter.admit(ip(2), "/v4/a", later)).count(), 20);
        assert_eq!(limiter.header(), "40.00");
    }

    #[test]
    fn many_paths_do_not_grow_memory() {
        let limiter = Limiter::new((40.0, 60.0));
        let start = Instant::now();
        for n in 0..100_000 {
            assert!(limiter.admit(ip(2), &n.to_string(), start));
        }
        assert!(limiter.buckets.lock().unwrap().len() <= MOST_BUCKETS);
    }

    #[test]
    fn a_fault_operation_has_one_token_in_five_seconds() {
        let limiter = Limiter::new(FAULTS);
        let start = Instant::now();
        assert!(limiter.admit(ip(2), "/x", start));
        assert!(!limiter.admit(ip(2), "/x", start + Duration::from_millis(4900)));
        assert!(limiter.admit(ip(2), "/x", start + Duration::from_millis(5100)));
        assert_eq!(limiter.header(), "0.20");
    }
}
