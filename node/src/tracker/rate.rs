//! How often one address may ask. Pure: time is passed in.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use super::registry::network;

/// Requests at once, and then so many each second: more than any node needs.
const BURST: u64 = 60;
const PER_SECOND: u64 = 20;
/// Addresses that are counted at once. More within the three seconds that a full burst takes to come back are refused.
const MAX_ADDRESSES: usize = 4096;

/// What is left of one request, in thousandths.
const ONE: u64 = 1000;

/// A bucket for each address.
#[derive(Debug, Default)]
pub(super) struct Rates {
    buckets: BTreeMap<IpAddr, Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: u64,
    at: Duration,
}

impl Bucket {
    const fn full(at: Duration) -> Self {
        Self { left: BURST * ONE, at }
    }

    fn filled(self, now: Duration) -> Self {
        let ms = u64::try_from(now.saturating_sub(self.at).as_millis()).unwrap_or(u64::MAX);
        let left = self.left.saturating_add(ms.saturating_mul(PER_SECOND)).min(BURST * ONE);
        Self { left, at: now }
    }
}

impl Rates {
    /// Whether an address may ask once more. This machine itself always may.
    pub(super) fn allow(&mut self, source: IpAddr, now: Duration) -> bool {
        if source.is_loopback() {
            return true;
        }
        let source = network(source);
        if !self.buckets.contains_key(&source) && self.buckets.len() >= MAX_ADDRESSES {
            self.buckets.retain(|_, bucket| bucket.filled(now).left < BURST * ONE);
            if self.buckets.len() >= MAX_ADDRESSES {
                return false;
            }
        }
        let bucket = self.buckets.entry(source).or_insert_with(|| Bucket::full(now));
        *bucket = bucket.filled(now);
        let allowed = bucket.left >= ONE;
        if allowed {
            bucket.left = bucket.left.saturating_sub(ONE);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_a_steady_rate() {
        let mut rates = Rates::default();
        let (one, two) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let allowed =
            |rates: &mut Rates, ip, at| (0..100).filter(|_| rates.allow(ip, Duration::from_millis(at))).count();
        assert_eq!(allowed(&mut rates, one, 0), 60);
        assert_eq!(allowed(&mut rates, two, 0), 60, "each has its own");
        assert_eq!(allowed(&mut rates, one, 500), 10);
        assert_eq!(allowed(&mut rates, one, 1500), 20);
        assert_eq!(allowed(&mut rates, one, 60_000), 60);
        assert_eq!(allowed(&mut rates, IpAddr::from([127, 0, 0, 1]), 0), 100);
    }

    #[test]
    fn networks_of_six_count_as_one_and_the_table_has_an_end() {
        let mut rates = Rates::default();
        for number in 0..60_u16 {
            assert!(rates.allow(IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, number]), Duration::ZERO));
        }
        assert!(!rates.allow(IpAddr::from([0xfd00, 0, 0, 0, 1, 2, 3, 4]), Duration::ZERO));
        for number in 0..5000_u32 {
            let [_, _, high, low] = number.to_be_bytes();
            rates.allow(IpAddr::from([10, 1, high, low]), Duration::ZERO);
        }
        assert_eq!(rates.buckets.len(), MAX_ADDRESSES);
        assert!(!rates.allow(IpAddr::from([10, 2, 0, 0]), Duration::ZERO));
        assert!(rates.allow(IpAddr::from([10, 2, 0, 0]), Duration::from_secs(4)));
        assert_eq!(rates.buckets.len(), 1);
    }
}
