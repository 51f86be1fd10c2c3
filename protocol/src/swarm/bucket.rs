//! A bucket of tokens: so many at once, and so many a second for as long as one likes.

use core::time::Duration;

/// What is left, as the time at which the bucket will be full again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bucket {
    full_at: Duration,
}

/// How large a bucket is, and how fast it fills.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    burst: u32,
    /// For one token.
    interval: Duration,
}

impl Rate {
    /// So many tokens at once, and so many a second.
    pub(crate) const fn new(burst: u32, a_second: u32) -> Self {
        Self { burst, interval: Duration::from_nanos(1_000_000_000 / a_second as u64) }
    }

    /// So many tokens at once, and one in each interval.
    pub(crate) const fn every(burst: u32, interval: Duration) -> Self {
        Self { burst, interval }
    }

    /// How long the whole bucket takes to fill.
    fn whole(self) -> Duration {
        self.interval.saturating_mul(self.burst)
    }
}

impl Bucket {
    /// Takes tokens, all of them or none; says whether there were enough.
    pub(crate) fn take(&mut self, tokens: u32, rate: Rate, now: Duration) -> bool {
        let filled = self.after(tokens, rate, now);
        let enough = filled.saturating_sub(now) <= rate.whole();
        if enough {
            self.full_at = filled;
        }
        enough
    }

    /// Takes tokens even where there are not enough.
    pub(crate) fn charge(&mut self, tokens: u32, rate: Rate, now: Duration) {
        self.full_at = self.after(tokens, rate, now);
    }

    /// Gives tokens back.
    pub(crate) fn refund(&mut self, tokens: u32, rate: Rate) {
        self.full_at = self.full_at.saturating_sub(rate.interval.saturating_mul(tokens));
    }

    /// Whether no more was charged than the bucket holds.
    pub(crate) fn is_paid(self, rate: Rate, now: Duration) -> bool {
        self.full_at.saturating_sub(now) <= rate.whole()
    }

    fn after(self, tokens: u32, rate: Rate, now: Duration) -> Duration {
        self.full_at.max(now).saturating_add(rate.interval.saturating_mul(tokens))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate::new(4, 2);
    const START: Duration = Duration::from_secs(100);

    #[test]
    fn tokens_are_taken_whole_come_back_and_may_be_refunded() {
        let mut bucket = Bucket::default();
        assert!(bucket.take(3, RATE, START) && !bucket.take(2, RATE, START) && bucket.take(1, RATE, START));
        assert!(!bucket.take(1, RATE, START));
        bucket.refund(1, RATE);
        assert!(bucket.take(1, RATE, START));
        assert!(
            !bucket.take(3, RATE, START + Duration::from_secs(1))
                && bucket.take(2, RATE, START + Duration::from_secs(1))
        );
        bucket.refund(u32::MAX, RATE);
        let full = (0..10).filter(|_| bucket.take(1, RATE, START)).count();
        assert_eq!(full, 4, "no more than it holds");
    }

    #[test]
    fn a_charge_may_exceed_what_there_is() {
        let mut bucket = Bucket::default();
        bucket.charge(4, RATE, START);
        assert!(bucket.is_paid(RATE, START));
        bucket.charge(2, RATE, START);
        assert!(!bucket.is_paid(RATE, START) && bucket.is_paid(RATE, START + Duration::from_secs(1)));
        bucket.charge(u32::MAX, RATE, START);
        assert!(!bucket.is_paid(RATE, START + Duration::from_secs(3_600)), "nothing overflows");
    }
}
