//! What one peer may send unasked in a while: who it is, and news.
//!
//! There are two bounds for each. Above the lower one what comes is not heeded, and nobody is to blame: what a node misses it
//! learns from others, or asks for. The upper one is far beyond whatever honest software sends; who exceeds it only wants to
//! keep this node busy, and is parted from.

use core::time::Duration;

use super::bucket::{Bucket, Rate};

/// A peer says who it is on each connection, every five minutes, and when its addresses change, each change by itself.
const INTRODUCTIONS: [Rate; 2] = [Rate::every(32, Duration::from_secs(5)), Rate::new(256, 1)];
/// News that was of no use: what was admitted and forwarded is not counted. 2,000 transactions a second, each in a message of
/// its own, are what a network can do at most.
const MESSAGES: [Rate; 2] = [Rate::new(2_048, 512), Rate::new(8_192, 2_048)];
/// KiB of such news: a block of the greatest length has 4 MiB.
const KIB: [Rate; 2] = [Rate::new(64 << 10, 16 << 10), Rate::new(256 << 10, 64 << 10)];

/// What becomes of what a peer sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Amount {
    /// It is heeded.
    Fair,
    /// It is left alone.
    Much,
    /// Its sender is parted from.
    Flood,
}

/// What a peer has left.
#[derive(Clone, Debug, Default)]
pub(super) struct Inflow {
    introductions: [Bucket; 2],
    messages: [Bucket; 2],
    kib: [Bucket; 2],
}

impl Inflow {
    /// The peer has said who it is.
    pub(super) fn introduced(&mut self, now: Duration) -> Amount {
        take(&mut self.introductions, 1, INTRODUCTIONS, now)
    }

    /// A message of gossip of so many KiB has come from the peer.
    pub(super) fn told(&mut self, kib: u32, now: Duration) -> Amount {
        let messages = take(&mut self.messages, 1, MESSAGES, now);
        match (messages, take(&mut self.kib, kib, KIB, now)) {
            (Amount::Flood, _) | (_, Amount::Flood) => Amount::Flood,
            (Amount::Much, _) | (_, Amount::Much) => Amount::Much,
            (Amount::Fair, Amount::Fair) => Amount::Fair,
        }
    }

    /// A message of gossip of so many KiB was worth forwarding: it does not count.
    pub(super) fn was_of_use(&mut self, kib: u32) {
        for (bucket, rate) in self.messages.iter_mut().zip(MESSAGES) {
            bucket.refund(1, rate);
        }
        for (bucket, rate) in self.kib.iter_mut().zip(KIB) {
            bucket.refund(kib, rate);
        }
    }
}

/// Takes tokens from both buckets, as far as there are enough.
fn take(buckets: &mut [Bucket; 2], tokens: u32, rates: [Rate; 2], now: Duration) -> Amount {
    let [lower, upper] = buckets;
    let [heeded, borne] = rates;
    let fair = lower.take(tokens, heeded, now);
    match (fair, upper.take(tokens, borne, now)) {
        (_, false) => Amount::Flood,
        (false, true) => Amount::Much,
        (true, true) => Amount::Fair,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(100);

    #[test]
    fn who_sends_much_is_not_heeded_and_who_floods_is_known() {
        let mut inflow = Inflow::default();
        let amounts: Vec<Amount> = (0..8_193).map(|_| inflow.told(1, START)).collect();
        assert_eq!(amounts.iter().position(|amount| *amount == Amount::Much), Some(2_048));
        assert_eq!(amounts.iter().position(|amount| *amount == Amount::Flood), Some(8_192));
        assert_eq!(inflow.told(1, START + Duration::from_secs(1)), Amount::Fair);
    }

    #[test]
    fn useful_news_is_never_too_much() {
        let mut inflow = Inflow::default();
        for _ in 0..100_000 {
            assert_eq!(inflow.told(8, START), Amount::Fair);
            inflow.was_of_use(8);
        }
    }

    #[test]
    fn long_messages_count_by_their_length() {
        let mut inflow = Inflow::default();
        let amounts: Vec<Amount> = (0..65).map(|_| inflow.told(4 << 10, START)).collect();
        assert_eq!(amounts.iter().position(|amount| *amount == Amount::Much), Some(16));
        assert_eq!(amounts.iter().position(|amount| *amount == Amount::Flood), Some(64));
    }

    #[test]
    fn a_peer_may_say_again_who_it_is() {
        let mut inflow = Inflow::default();
        let mut told = |times: usize, now| (0..times).filter(|_| inflow.introduced(now) == Amount::Fair).count();
        assert_eq!([told(100, START), told(100, START + Duration::from_secs(10))], [32, 2]);
        let mut flood = Inflow::default();
        assert_eq!((0..300).filter(|_| flood.introduced(START) == Amount::Flood).count(), 300 - 256);
    }
}
