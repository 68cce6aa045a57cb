//! The AWS SDK's standard retries, which the control plane's calls are made with (spec 10 §1.6):
//! which failures are worth another attempt, how many there are, and how long to wait between them.

use std::time::Duration;

use crate::event::{Failure, FailureKind};
use crate::rng::Rng;

/// How long one attempt of a control plane call may take (spec 10 §1.6).
pub const CALL_DEADLINE: Duration = Duration::from_secs(42);

/// Attempts that one call consists of.
const MOST: u32 = 3;

/// The attempts of one call.
///
/// The reference also counts tokens, 500 of them for all calls of a client. Registration and discovery
/// alone cannot use them up within their own limits, so they are not counted here.
#[derive(Debug, Clone)]
pub struct Attempts {
    /// Attempts that failed.
    failed: u32,
}

impl Attempts {
    pub const fn new() -> Self {
        Self { failed: 0 }
    }

    /// How long to wait before the next attempt, now that one failed; `None` when the call has failed for good.
    pub fn next(&mut self, failure: &Failure, rng: &mut Rng) -> Option<Duration> {
        self.failed += 1;
        (self.failed < MOST && is_retryable(failure)).then(|| rng.within(Duration::from_secs(1 << self.failed)))
    }
}

impl Default for Attempts {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether the same call may succeed soon.
pub fn is_retryable(failure: &Failure) -> bool {
    match failure.kind {
        FailureKind::Throttled | FailureKind::Unreachable | FailureKind::Timeout => true,
        FailureKind::NotFound
        | FailureKind::Conflict
        | FailureKind::Denied
        | FailureKind::Stalled
        | FailureKind::Invalid
        | FailureKind::NoCredentials
        | FailureKind::Panicked
        | FailureKind::Other => matches!(
            failure.code.as_str(),
            "ServerException"
                | "InternalFailure"
                | "ServiceUnavailable"
                | "ServiceUnavailableException"
                | "RequestTimeout"
                | "RequestTimeoutException"
                | "ThrottlingException"
                | "LimitExceededException"
                | "TooManyRequestsException"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_three_attempts_with_growing_pauses() {
        let mut rng = Rng::new(3);
        let lost = Failure::new(FailureKind::Unreachable, "connection refused");
        for seed in 0..50 {
            let mut attempts = Attempts::new();
            rng = Rng::new(rng.next_u64() ^ seed);
            assert!(attempts.next(&lost, &mut rng).is_some_and(|wait| wait < Duration::from_secs(2)));
            assert!(attempts.next(&lost, &mut rng).is_some_and(|wait| wait < Duration::from_secs(4)));
            assert_eq!(attempts.next(&lost, &mut rng), None);
        }
    }

    #[test]
    fn what_will_fail_again_is_not_tried_again() {
        let denied = Failure {
            kind: FailureKind::Denied,
            code: "AccessDeniedException".into(),
            text: "AccessDeniedException: no".into(),
        };
        assert_eq!(Attempts::new().next(&denied, &mut Rng::new(1)), None);
        let broken =
            Failure { kind: FailureKind::Other, code: "ServerException".into(), text: "ServerException: sorry".into() };
        assert!(Attempts::new().next(&broken, &mut Rng::new(1)).is_some());
    }
}
