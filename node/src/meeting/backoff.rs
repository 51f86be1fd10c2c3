//! When to try again: ever later, never given up, and not all at once.

use std::time::Duration;

/// How long to wait after each failure in a row.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    first: Duration,
    failures: u32,
    /// What the jitter comes from.
    random: u64,
}

/// The longest wait, before jitter.
pub(super) const LONGEST: Duration = Duration::from_secs(60);

impl Backoff {
    /// Waits that begin with `first` and double up to [`LONGEST`].
    pub(super) fn new(first: Duration) -> Self {
        // Without randomness the waits are the same everywhere, which is no more than impolite.
        Self { first, failures: 0, random: getrandom::u64().unwrap_or_default() }
    }

    /// Notes a failure and returns how long to wait now, give or take a quarter.
    pub(super) fn fail(&mut self) -> Duration {
        let wait = self.first.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX)).min(LONGEST);
        self.failures = self.failures.saturating_add(1).min(31);
        // The top bits of a linear congruential generator (Knuth's constants): it need not be unpredictable.
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let thousandths = u32::try_from((self.random >> 32) % 501).unwrap_or_default();
        wait.saturating_mul(750 + thousandths) / 1000
    }

    /// Notes a success.
    pub(super) fn succeed(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute() {
        let mut backoff = Backoff::new(Duration::from_secs(1));
        for expected in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
            let wait = backoff.fail().as_secs_f64();
            assert!((expected * 0.75..=expected * 1.25).contains(&wait), "{wait} instead of {expected}");
        }
        for _ in 0..100 {
            assert!(backoff.fail() <= LONGEST * 5 / 4, "never given up");
        }
        backoff.succeed();
        assert!(backoff.fail() <= Duration::from_millis(1250));
    }
}
