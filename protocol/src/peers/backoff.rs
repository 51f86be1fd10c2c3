//! When to dial again: ever later, never given up, and not all at once.

use core::time::Duration;

use rand::{RngExt, rngs::StdRng};

/// The wait after the first failure.
const FIRST: Duration = Duration::from_millis(500);
/// The longest wait, before jitter. A node that comes back is found within about a minute.
pub(crate) const LONGEST: Duration = Duration::from_secs(60);
/// Failures after which a peer that was met once is left to rest for longer than that, as long as others are connected.
pub(super) const TIRED: u32 = 12;
/// The longest rest, before jitter.
pub(super) const LONGEST_REST: Duration = Duration::from_secs(600);
/// When the network has come back, what waits is tried again within this time, spread over it.
const SOON: Duration = Duration::from_secs(2);
/// Failures that are remembered then: the next wait is 8 s, and those after it double as ever.
const REMEMBERED: u32 = 4;

/// How often dialling failed in a row, and when it may be tried again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
    next: Duration,
    /// Not before this time either while other peers are connected.
    rest: Duration,
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

    /// Whether it has rested long enough; this counts only while other peers are connected.
    pub(crate) fn is_rested(&self, now: Duration) -> bool {
        self.rest <= now
    }

    /// Notes a failure: 0.5 s, then twice as long each time up to 60 s, each ±25 % so that nodes that lost the same peer
    /// at the same moment do not all come back at the same moment.
    pub(crate) fn fail(&mut self, now: Duration, random: &mut StdRng) {
        let wait = FIRST.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX)).min(LONGEST);
        self.failures = self.failures.saturating_add(1).min(31);
        self.postpone(now.saturating_add(wait.mul_f64(random.random_range(0.75..=1.25))));
    }

    /// Lets it rest if it has failed often: 2 minutes, then twice as long each time up to 10 minutes, each ±25 %.
    pub(crate) fn tire(&mut self, now: Duration, random: &mut StdRng) {
        if let Some(beyond) = self.failures.checked_sub(TIRED).filter(|beyond| *beyond > 0) {
            let rest = LONGEST.saturating_mul(1_u32.checked_shl(beyond).unwrap_or(u32::MAX)).min(LONGEST_REST);
            self.rest = now.saturating_add(rest.mul_f64(random.random_range(0.75..=1.25)));
        }
    }

    /// Not before `time` while other peers are connected.
    pub(crate) fn rest_until(&mut self, time: Duration) {
        self.rest = self.rest.max(time);
    }

    /// Notes a success.
    pub(crate) fn succeed(&mut self) {
        self.failures = 0;
    }

    /// Not before `time`.
    pub(crate) fn postpone(&mut self, time: Duration) {
        self.next = self.next.max(time);
    }

    /// Takes back what it was postponed for; the failures count as ever.
    pub(crate) fn release(&mut self) {
        self.next = Duration::ZERO;
    }

    /// At once.
    pub(crate) fn hasten(&mut self) {
        *self = Self::default();
    }

    /// Within two seconds, if it waits: what failed before may work now.
    pub(crate) fn hasten_soon(&mut self, now: Duration, random: &mut StdRng) {
        if !self.is_due(now) || !self.is_rested(now) {
            let soon = now.saturating_add(SOON.mul_f64(random.random_range(0.0..1.0)));
            *self = Self { failures: self.failures.min(REMEMBERED), next: soon, rest: Duration::ZERO };
        }
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

    #[test]
    fn the_tired_rest_up_to_ten_minutes() {
        let mut random = StdRng::seed_from_u64(1);
        let mut backoff = Backoff::default();
        let now = Duration::from_secs(1000);
        for _ in 0..TIRED {
            backoff.fail(now, &mut random);
            backoff.tire(now, &mut random);
            assert!(backoff.is_rested(now));
        }
        for expected in [120.0, 240.0, 480.0, 600.0, 600.0] {
            backoff.fail(now, &mut random);
            backoff.tire(now, &mut random);
            let rest = (backoff.rest - now).as_secs_f64();
            assert!((expected * 0.75..=expected * 1.25).contains(&rest), "{rest} instead of {expected}");
            assert!(backoff.is_due(now + Duration::from_secs(75)), "but for the rest it is due as ever");
        }
    }

    #[test]
    fn hastening_spreads_and_remembers_some_failures() {
        let mut random = StdRng::seed_from_u64(1);
        let now = Duration::from_secs(1000);
        let mut at_once = Backoff::default();
        at_once.hasten_soon(now, &mut random);
        assert!(at_once.is_due(now), "what does not wait is left as it is");
        let mut times = std::collections::BTreeSet::new();
        for _ in 0..20 {
            let mut backoff = Backoff::default();
            (0..20).for_each(|_| backoff.fail(now, &mut random));
            backoff.tire(now, &mut random);
            backoff.hasten_soon(now, &mut random);
            assert!(backoff.is_due(now + SOON) && backoff.is_rested(now + SOON));
            times.insert(backoff.next);
            backoff.fail(now + SOON, &mut random);
            assert!(!backoff.is_due(now + SOON + Duration::from_secs(5)), "the next failure counts");
            assert!(backoff.is_due(now + SOON + Duration::from_secs(11)));
        }
        assert_eq!(times.len(), 20, "not all at once");
    }
}
