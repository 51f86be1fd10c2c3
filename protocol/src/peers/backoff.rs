//! When to dial again: ever later, never given up, and not all at once.

use core::time::Duration;

use rand::{RngExt, rngs::StdRng};

/// The wait after the first failure.
const FIRST: Duration = Duration::from_millis(500);
/// The longest wait, before jitter. A node that comes back is found within about a minute.
pub(crate) const LONGEST: Duration = Duration::from_secs(60);

/// How often dialling failed in a row, and when it may be tried again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
    next: Duration,
}

impl Backoff {
    /// Failures since the last success.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether it may be tried at `now`.
    pub(crate) fn is_due(&self, now: Duration) -> bool {
        self.next <= now
    }

    /// Notes a failure: 0.5 s, then twice as long each time up to 60 s, each ±25 % so that nodes that lost the same peer
    /// at the same moment do not all come back at the same moment.
    pub(crate) fn fail(&mut self, now: Duration, random: &mut StdRng) {
        let wait = FIRST.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX)).min(LONGEST);
        self.failures = self.failures.saturating_add(1).min(31);
        self.postpone(now.saturating_add(wait.mul_f64(random.random_range(0.75..=1.25))));
    }

    /// Notes a success.
    pub(crate) fn succeed(&mut self) {
        self.failures = 0;
    }

    /// Not before `time`.
    pub(crate) fn postpone(&mut self, time: Duration) {
        self.next = self.next.max(time);
    }

    /// At once.
    pub(crate) fn hasten(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn waits_double_up_to_a_minute() {
        let mut random = StdRng::seed_from_u64(1);
        let mut backoff = Backoff::default();
        let now = Duration::from_secs(1000);
        assert!(backoff.is_due(now));
        for expected in [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
            backoff.fail(now, &mut random);
            let wait = (backoff.next - now).as_secs_f64();
            assert!((expected * 0.75..=expected * 1.25).contains(&wait), "{wait} instead of {expected}");
        }
        for _ in 0..100 {
            backoff.fail(now, &mut random);
        }
        assert!(backoff.is_due(now + Duration::from_secs(75)), "never given up");
        let later = now + LONGEST * 2;
        backoff.succeed();
        backoff.fail(later, &mut random);
        assert!(backoff.is_due(later + Duration::from_secs(1)));
    }
}
