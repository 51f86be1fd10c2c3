//! What goes through relays: so much in a while, in pieces that a circuit carries. Pure; the driver tells the time.
//!
//! A relay is somebody else's line. It says how many bytes it lets through a circuit before it cuts it off; libp2p's own
//! relays say 128 KiB, ours 64 MiB. So answers about the chain are short where a circuit is, or none would ever come whole; and
//! of blocks only so many bytes in a while are asked for, and served, through one relay.

use core::time::Duration;
use std::collections::BTreeMap;

use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};

use crate::wire::limits::ANSWER_TARGET_LEN;

/// Bytes of answers about the chain through one relay in [`WINDOW`], each way: 70 KB a second, which the smallest line of a
/// relay does not notice, and of which all 64 circuits of one together are 4.5 MB a second. A class's chain of 20 MB comes
/// over in five minutes.
pub const RELAYED_BYTES: u64 = 4 << 20;
/// The time in which that many go through.
pub const RELAYED_WINDOW: Duration = Duration::from_secs(60);
/// The longest that nothing more goes through, whatever has gone.
const MOST_OWED: Duration = Duration::from_secs(60);
/// How long one byte takes at that rate, in nanoseconds.
const NANOS: u64 = (RELAYED_WINDOW.as_secs() * 1_000_000_000).div_ceil(RELAYED_BYTES);
/// What a circuit carries where its relay has not said: what libp2p's own let through.
const UNTOLD: u64 = 128 << 10;
/// An answer is at most this part of a circuit, so that no more than that is lost when it is cut off.
const PART: u64 = 8;
/// The shortest and the longest answer that is aimed at, in bytes: below, the questions would be longer than the answers;
/// above, an answer would be more than a relay's line takes in some seconds.
const SHORTEST: u64 = 4 << 10;
const LONGEST: u64 = 256 << 10;
/// Relays that are remembered; of more, the one used longest ago is forgotten. A node has places at two, and meets those of
/// its peers.
const MAX_RELAYS: usize = 32;

/// What may be asked of a peer that is reached through a relay alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relayed {
    /// Bytes that an answer should have at most. A single longer block is sent alone.
    pub answer_len: usize,
    /// Whether blocks may be asked for now: the budget of its relay is not used up.
    pub open: bool,
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Answers to this node.
    Fetched,
    /// Answers of this node.
    Served,
}

/// The relays through which peers are reached.
#[derive(Debug, Default)]
pub(super) struct Circuits {
    relays: BTreeMap<PeerId, Relay>,
}

#[derive(Clone, Copy, Debug)]
struct Relay {
    /// Bytes that one of its circuits carries, both ways together.
    limit: u64,
    /// When the budget will be whole again.
    fetched: Duration,
    served: Duration,
    used_at: Duration,
}

impl Relay {
    fn budget(&mut self, way: Way) -> &mut Duration {
        match way {
            Way::Fetched => &mut self.fetched,
            Way::Served => &mut self.served,
        }
    }
}

impl Circuits {
    /// A relay says what a circuit carries, in bytes; nothing said is no limit.
    pub(super) fn limited(&mut self, relay: PeerId, limit: Option<u64>, now: Duration) {
        self.relay(relay, now).limit = limit.filter(|limit| *limit > 0).unwrap_or(u64::MAX);
    }

    /// So many bytes went through it. Of what is too much only [`MOST_OWED`] is to be made up for: headers are not held back, and
    /// those of a long chain would keep blocks waiting for longer than anybody waits.
    pub(super) fn charge(&mut self, relay: PeerId, way: Way, bytes: u64, now: Duration) {
        let budget = self.relay(relay, now).budget(way);
        let spent = (*budget).max(now).saturating_add(Duration::from_nanos(bytes.saturating_mul(NANOS)));
        *budget = spent.min(now.saturating_add(RELAYED_WINDOW + MOST_OWED));
    }

    /// Whether more may go through it: less than the budget has gone in the last while. What goes last may be more than is
    /// left of it, and is made up for before anything else goes.
    pub(super) fn is_open(&self, relay: &PeerId, way: Way, now: Duration) -> bool {
        let mut known = self.relays.get(relay).copied();
        known.as_mut().is_none_or(|relay| relay.budget(way).saturating_sub(now) < RELAYED_WINDOW)
    }

    /// Bytes that an answer through it should have at most.
    pub(super) fn answer_len(&self, relay: &PeerId) -> usize {
        let limit = self.relays.get(relay).map_or(UNTOLD, |relay| relay.limit);
        usize::try_from((limit / PART).clamp(SHORTEST, LONGEST)).unwrap_or(ANSWER_TARGET_LEN)
    }

    /// Bytes of answers after which the end of a circuit is its due, and no failure. Half of what it carries: it carries more
    /// than answers. However little a relay says, some bytes must have come.
    pub(super) fn worth_renewing(&self, relay: &PeerId) -> u64 {
        (self.relays.get(relay).map_or(UNTOLD, |relay| relay.limit) / 2).max(SHORTEST)
    }

    /// What is told of a peer behind it.
    pub(super) fn describe(&self, relay: &PeerId, now: Duration) -> Relayed {
        Relayed { answer_len: self.answer_len(relay), open: self.is_open(relay, Way::Fetched, now) }
    }

    fn relay(&mut self, id: PeerId, now: Duration) -> &mut Relay {
        if self.relays.len() >= MAX_RELAYS && !self.relays.contains_key(&id) {
            let oldest = self.relays.iter().min_by_key(|(_, relay)| relay.used_at).map(|(id, _)| *id);
            oldest.and_then(|oldest| self.relays.remove(&oldest));
        }
        let fresh = Relay { limit: UNTOLD, fetched: now, served: now, used_at: now };
        let relay = self.relays.entry(id).or_insert(fresh);
        relay.used_at = now;
        relay
    }
}

/// The relay in an address through one.
pub(super) fn relay_in(address: &Multiaddr) -> Option<PeerId> {
    let mut before = None;
    for part in address {
        match part {
            Protocol::P2p(id) => before = Some(id),
            Protocol::P2pCircuit => return before,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(1_000);

    fn seconds(number: u64) -> Duration {
        START + Duration::from_secs(number)
    }

    #[test]
    fn so_many_bytes_in_a_while_and_each_way_for_itself() {
        let (relay, mut circuits) = (PeerId::random(), Circuits::default());
        assert!(circuits.is_open(&relay, Way::Fetched, START));
        for _ in 0..15 {
            assert!(circuits.is_open(&relay, Way::Fetched, START));
            circuits.charge(relay, Way::Fetched, RELAYED_BYTES / 15 + 1, START);
        }
        assert!(!circuits.is_open(&relay, Way::Fetched, START), "used up");
        assert!(circuits.is_open(&relay, Way::Served, START), "the other way is not");
        assert!(circuits.is_open(&PeerId::random(), Way::Fetched, START), "nor another relay");
        circuits.charge(relay, Way::Fetched, RELAYED_BYTES / 2, START);
        assert!(!circuits.is_open(&relay, Way::Fetched, seconds(29)), "what was too much is made up for");
        assert!(circuits.is_open(&relay, Way::Fetched, seconds(31)));
        circuits.charge(relay, Way::Fetched, u64::MAX, START);
        assert!(!circuits.is_open(&relay, Way::Fetched, seconds(60)), "nothing overflows");
        assert!(circuits.is_open(&relay, Way::Fetched, seconds(61)), "nor is it made up for without end");
    }

    #[test]
    fn over_a_long_time_no_more_than_the_rate() {
        let (relay, mut circuits, mut gone) = (PeerId::random(), Circuits::default(), 0_u64);
        for second in 0..600 {
            while circuits.is_open(&relay, Way::Served, seconds(second)) {
                circuits.charge(relay, Way::Served, 16 << 10, seconds(second));
                gone += 16 << 10;
            }
        }
        let least = RELAYED_BYTES * 10;
        assert!((least..least + RELAYED_BYTES + (32 << 10)).contains(&gone), "{gone} bytes in ten minutes");
    }

    #[test]
    fn answers_are_a_part_of_a_circuit() {
        let (relay, mut circuits) = (PeerId::random(), Circuits::default());
        assert_eq!(circuits.answer_len(&relay), 16 << 10, "as libp2p's own relays let through");
        for (limit, expected) in [
            (Some(128 << 10), 16 << 10),
            (Some(64 << 20), 256 << 10),
            (Some(1), 4 << 10),
            (Some(0), 256 << 10),
            (None, 256 << 10),
        ] {
            circuits.limited(relay, limit, START);
            assert_eq!(circuits.answer_len(&relay), expected, "{limit:?}");
        }
        circuits.limited(relay, Some(128 << 10), START);
        assert_eq!(circuits.describe(&relay, START), Relayed { answer_len: 16 << 10, open: true });
        assert_eq!(circuits.worth_renewing(&relay), 64 << 10);
        circuits.limited(relay, Some(1), START);
        assert_eq!(circuits.worth_renewing(&relay), 4 << 10, "nobody makes this node dial on and on for nothing");
    }

    #[test]
    fn relays_are_bounded() {
        let mut circuits = Circuits::default();
        let first = PeerId::random();
        circuits.charge(first, Way::Fetched, RELAYED_BYTES * 2, START);
        for number in 0..100 {
            circuits.limited(PeerId::random(), Some(9), seconds(number + 1));
        }
        assert_eq!(circuits.relays.len(), MAX_RELAYS);
        assert!(circuits.is_open(&first, Way::Fetched, START), "forgotten");
    }

    #[test]
    fn the_relay_of_an_address() {
        let (relay, peer) = (PeerId::random(), PeerId::random());
        let through = format!("/ip4/10.0.0.1/tcp/1/p2p/{relay}/p2p-circuit");
        for (address, expected) in [
            (through.clone(), Some(relay)),
            (format!("{through}/p2p/{peer}"), Some(relay)),
            (format!("/ip4/10.0.0.1/tcp/1/p2p/{peer}"), None),
            ("/p2p-circuit".to_owned(), None),
        ] {
            assert_eq!(relay_in(&address.parse().expect("an address")), expected, "{address}");
        }
    }
}
