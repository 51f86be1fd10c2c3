//! Who is connected to a meeting point, and who may stay. Pure: time is passed in.
//!
//! Those who are registered, can be reached through the relay, or talk through it may stay for ever. Others have come with
//! a question: when they have not asked any for a while, they make room.

use core::{net::IpAddr, time::Duration};
use std::collections::BTreeMap;

use libp2p::{Multiaddr, PeerId, swarm::ConnectionId};

use super::behaviour::MAX_PER_PEER;
use crate::{address, relaying::RESERVATION};

/// How long a peer that asks nothing may stay.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// How long where most places are taken, and how long where this side has dialled: Kademlia's questions are short.
const LITTLE_PATIENCE: Duration = Duration::from_secs(10);
/// Questions of one peer: so many at once, and then so many each second. A node that renews all its registrations for each
/// of its addresses asks no more than that; others are not answered.
const BURST: u64 = 200;
const PER_SECOND: u64 = 10;
/// Pings lost in a row after which a connection over QUIC is dead: about a minute and a half.
const MAX_LOST_PINGS: u32 = 3;

/// The connected peers; as bounded as connections are.
#[derive(Debug)]
pub(super) struct Guests {
    guests: BTreeMap<PeerId, Guest>,
    max_peers: usize,
    patience: Duration,
}

#[derive(Debug)]
struct Guest {
    connections: BTreeMap<ConnectionId, Connection>,
    /// When it came or last asked something.
    active: Duration,
    reserved_until: Duration,
    circuits: u32,
    /// Questions that it has left, in thousandths, and since when.
    left: (u64, Duration),
    /// When its addresses were last given to Kademlia.
    fed: Option<Duration>,
}

#[derive(Debug)]
struct Connection {
    source: Option<IpAddr>,
    inbound: bool,
    /// Whether the bytes tell that it is dead ([`crate::closing`]): on a slow and busy line pings are only late.
    tells_by_bytes: bool,
    lost_pings: u32,
}

impl Guests {
    /// Nobody yet. `max_peers` inbound connections are let in.
    pub(super) fn new(max_peers: u32, patience: Duration) -> Self {
        Self { guests: BTreeMap::new(), max_peers: usize::try_from(max_peers).unwrap_or(usize::MAX), patience }
    }

    /// A connection was made. Returns whether it may stay: from one address at most half of all places are taken, or a single
    /// stranger could shut everybody else out. This machine itself is trusted.
    pub(super) fn came(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        from: &Multiaddr,
        inbound: bool,
        now: Duration,
    ) -> bool {
        let source = ip_of(from);
        let guest = self.guests.entry(peer).or_insert_with(|| Guest {
            connections: BTreeMap::new(),
            active: now,
            reserved_until: Duration::ZERO,
            circuits: 0,
            left: (BURST * 1000, now),
            fed: None,
        });
        let tells_by_bytes = address::tells_by_bytes(from);
        guest.connections.insert(id, Connection { source, inbound, tells_by_bytes, lost_pings: 0 });
        let most = (self.max_peers / 2).max(MAX_PER_PEER as usize);
        !inbound || source.is_some_and(|ip| ip.is_loopback()) || self.inbound_from(source) <= most
    }

    /// A connection has ended.
    pub(super) fn left(&mut self, peer: &PeerId, id: ConnectionId) {
        if let Some(guest) = self.guests.get_mut(peer) {
            guest.connections.remove(&id);
            if guest.connections.is_empty() {
                self.guests.remove(peer);
            }
        }
    }

    /// A peer has asked something. Returns whether it is to be answered.
    pub(super) fn asked(&mut self, peer: &PeerId, now: Duration) -> bool {
        let Some(guest) = self.guests.get_mut(peer) else { return false };
        guest.active = now;
        let (left, since) = guest.left;
        let ms = u64::try_from(now.saturating_sub(since).as_millis()).unwrap_or(u64::MAX);
        let left = left.saturating_add(ms.saturating_mul(PER_SECOND)).min(BURST * 1000);
        guest.left = (left.saturating_sub(1000), now);
        left >= 1000
    }

    /// A peer can be reached through the relay from now on.
    pub(super) fn reserved(&mut self, peer: &PeerId, now: Duration) {
        self.with(peer, |guest| guest.reserved_until = now.saturating_add(RESERVATION));
    }

    /// A circuit of a peer begins.
    pub(super) fn joined(&mut self, peer: &PeerId) {
        self.with(peer, |guest| guest.circuits = guest.circuits.saturating_add(1));
    }

    /// A circuit of a peer ends.
    pub(super) fn parted(&mut self, peer: &PeerId, now: Duration) {
        self.with(peer, |guest| {
            guest.circuits = guest.circuits.saturating_sub(1);
            guest.active = now;
        });
    }

    /// Where a peer is connected from, as far as addresses are told apart: the first connection first.
    pub(super) fn source(&self, peer: &PeerId) -> Option<IpAddr> {
        self.guests.get(peer)?.connections.values().find_map(|connection| connection.source)
    }

    /// Whether it is time to take a peer's addresses for Kademlia, which it then is not again for `interval`.
    pub(super) fn feed(&mut self, peer: &PeerId, interval: Duration, now: Duration) -> bool {
        let Some(guest) = self.guests.get_mut(peer) else { return false };
        let due = guest.fed.is_none_or(|fed| now.saturating_sub(fed) >= interval);
        if due {
            guest.fed = Some(now);
        }
        due
    }

    /// A ping was answered or lost. Returns whether the connection is dead.
    pub(super) fn pinged(&mut self, peer: &PeerId, id: ConnectionId, lost: bool) -> bool {
        let connection = self.guests.get_mut(peer).and_then(|guest| guest.connections.get_mut(&id));
        connection.is_some_and(|connection| {
            let counts = u32::from(!connection.tells_by_bytes);
            connection.lost_pings = if lost { connection.lost_pings.saturating_add(counts) } else { 0 };
            connection.lost_pings >= MAX_LOST_PINGS
        })
    }

    /// Those who are to leave.
    pub(super) fn overdue(&self, registered: impl Fn(&PeerId) -> bool, now: Duration) -> Vec<PeerId> {
        let inbound = self.guests.values().flat_map(|guest| guest.connections.values()).filter(|one| one.inbound);
        let crowded = inbound.count() >= self.max_peers.saturating_mul(3) / 4;
        let overdue = |(peer, guest): &(&PeerId, &Guest)| {
            let dialled = guest.connections.values().all(|connection| !connection.inbound);
            let patience = if crowded || dialled { LITTLE_PATIENCE.min(self.patience) } else { self.patience };
            let of_use = guest.circuits > 0 || guest.reserved_until > now || (!dialled && registered(peer));
            !of_use && now.saturating_sub(guest.active) > patience
        };
        self.guests.iter().filter(overdue).map(|(peer, _)| *peer).collect()
    }

    fn inbound_from(&self, source: Option<IpAddr>) -> usize {
        let connections = self.guests.values().flat_map(|guest| guest.connections.values());
        connections.filter(|connection| connection.inbound && connection.source == source).count()
    }

    fn with(&mut self, peer: &PeerId, change: impl FnOnce(&mut Guest)) {
        if let Some(guest) = self.guests.get_mut(peer) {
            change(guest);
        }
    }
}

fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    Some(match address::ip(address)? {
        // One customer has 64 bits of them.
        IpAddr::V6(ip) if !ip.is_loopback() => IpAddr::V6((u128::from(ip) >> 64 << 64).into()),
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn id(number: usize) -> ConnectionId {
        ConnectionId::new_unchecked(number)
    }

    fn address(text: &str) -> Multiaddr {
        text.parse().expect("a multiaddress")
    }

    #[test]
    fn who_does_nothing_leaves_and_who_is_of_use_stays() {
        let mut guests = Guests::new(512, PATIENCE);
        let from = address("/ip4/10.0.0.1/tcp/1");
        let [idle, asking, registered, reserved, talking, dialled] = core::array::from_fn(|_| PeerId::random());
        for (number, peer) in [idle, asking, registered, reserved, talking, dialled].into_iter().enumerate() {
            assert!(guests.came(peer, id(number), &from, peer != dialled, Duration::ZERO));
        }
        let overdue = |guests: &Guests, now| guests.overdue(|peer| *peer == registered, now);
        assert_eq!(overdue(&guests, 10 * SECOND), []);
        assert_eq!(overdue(&guests, 11 * SECOND), [dialled]);
        guests.left(&dialled, id(5));
        guests.asked(&asking, 100 * SECOND);
        guests.reserved(&reserved, SECOND);
        guests.joined(&talking);
        assert_eq!(overdue(&guests, PATIENCE), []);
        assert_eq!(overdue(&guests, PATIENCE + SECOND), [idle]);
        guests.left(&idle, id(0));
        guests.parted(&talking, 200 * SECOND);
        assert_eq!(overdue(&guests, 250 * SECOND), [asking]);
        guests.left(&asking, id(1));
        assert_eq!(overdue(&guests, 330 * SECOND), [talking]);
        guests.left(&talking, id(4));
        assert_eq!(overdue(&guests, RESERVATION), []);
        assert_eq!(overdue(&guests, RESERVATION + 2 * SECOND), [reserved], "not renewed");
    }

    #[test]
    fn one_address_cannot_take_all_places_and_a_crowd_is_hurried() {
        let mut guests = Guests::new(8, PATIENCE);
        let (far, here) = (address("/ip4/10.0.0.1/tcp/1"), address("/ip4/127.0.0.1/tcp/1"));
        for number in 0..4 {
            assert!(guests.came(PeerId::random(), id(number), &far, true, Duration::ZERO));
        }
        let refused = PeerId::random();
        assert!(!guests.came(refused, id(4), &far, true, Duration::ZERO));
        guests.left(&refused, id(4));
        assert!(guests.came(PeerId::random(), id(5), &here, true, Duration::ZERO));
        assert!(guests.overdue(|_| false, 11 * SECOND).is_empty());
        assert!(guests.came(PeerId::random(), id(6), &here, true, Duration::ZERO));
        assert_eq!(guests.overdue(|_| false, 11 * SECOND).len(), 6);
    }

    #[test]
    fn lost_pings_end_a_connection_and_addresses_are_taken_seldom() {
        let mut guests = Guests::new(8, PATIENCE);
        let peer = PeerId::random();
        guests.came(peer, id(0), &address("/ip4/10.0.0.1/udp/1/quic-v1"), true, Duration::ZERO);
        guests.came(peer, id(1), &address("/ip4/10.0.0.1/tcp/1"), true, Duration::ZERO);
        assert_eq!(guests.source(&peer), Some(IpAddr::from([10, 0, 0, 1])));
        let pings = [true, true, false, true, true, true].map(|lost| guests.pinged(&peer, id(0), lost));
        assert_eq!(pings, [false, false, false, false, false, true]);
        let over_tcp = [true; 10].map(|lost| guests.pinged(&peer, id(1), lost));
        assert_eq!(over_tcp, [false; 10], "where something comes, a line may be as slow as it likes");
        guests.left(&peer, id(1));
        let feeds = [0, 59, 60, 61].map(|at| guests.feed(&peer, 60 * SECOND, at * SECOND));
        assert_eq!(feeds, [true, false, true, false]);
        let asked = |guests: &mut Guests, at| (0..500).filter(|_| guests.asked(&peer, at)).count();
        assert_eq!([asked(&mut guests, SECOND), asked(&mut guests, 3 * SECOND)], [200, 20]);
        assert!(!guests.asked(&PeerId::random(), SECOND), "nobody who is here");
    }
}
