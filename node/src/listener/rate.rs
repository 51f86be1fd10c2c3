//! How often one address may ask. Pure: time is passed in.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

/// Addresses that are counted at once. More within the seconds that a full burst takes to come back are refused.
const MAX_ADDRESSES: usize = 4096;

/// What is left of one request, in thousandths.
const ONE: u64 = 1000;

/// The network that an address counts as: itself, or the 64 bits that one customer has of IPv6.
pub fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6((u128::from(ip) >> 64 << 64).into()),
    }
}

/// A bucket for each address: at most 4,096 of them.
#[derive(Debug)]
pub struct Rates {
    /// Requests at once.
    burst: u64,
    /// And then so many each second.
    per_second: u64,
    buckets: BTreeMap<IpAddr, Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: u64,
    at: Duration,
}

impl Bucket {
    fn filled(self, now: Duration, rates: (u64, u64)) -> Self {
        let (burst, per_second) = rates;
        let ms = u64::try_from(now.saturating_sub(self.at).as_millis()).unwrap_or(u64::MAX);
        let left = self.left.saturating_add(ms.saturating_mul(per_second)).min(burst.saturating_mul(ONE));
        Self { left, at: now }
    }
}

impl Rates {
    /// Each address may ask `burst` times at once, and `per_second` times a second from then on.
    pub const fn new(burst: u64, per_second: u64) -> Self {
        Self { burst, per_second, buckets: BTreeMap::new() }
    }

    /// Whether an address may ask once more. This machine itself always may. `now` counts from any one moment.
    pub fn allow(&mut self, source: IpAddr, now: Duration) -> bool {
        if source.is_loopback() {
            return true;
        }
        let source = network(source);
        let (rates, full) = ((self.burst, self.per_second), self.burst.saturating_mul(ONE));
        if !self.buckets.contains_key(&source) && self.buckets.len() >= MAX_ADDRESSES {
            self.buckets.retain(|_, bucket| bucket.filled(now, rates).left < full);
            if self.buckets.len() >= MAX_ADDRESSES {
                return false;
            }
        }
        let bucket = self.buckets.entry(source).or_insert(Bucket { left: full, at: now });
        *bucket = bucket.filled(now, rates);
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
        let mut rates = Rates::new(60, 20);
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
        let mut rates = Rates::new(60, 20);
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
