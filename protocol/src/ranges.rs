//! How many inbound connections one range of addresses may have: a stranger with a hosting account has a whole one to himself.
//! Private networks, this machine and relays have no limit but that of all connections: a class shares one address. Only of those
//! that are being made a host of a private network has as few at once as a range: each takes a moment, or leads nowhere.

use core::{
    net::IpAddr,
    task::{Context, Poll},
};
use std::collections::{BTreeMap, HashMap};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
        ToSwarm, dummy,
    },
};

use crate::{
    address::{self, is_relayed},
    reachability::address::global,
};

/// Inbound connections of one range at least, however few there may be at all; beyond that half of all. A class behind the
/// router of its school is one range, and must fit; where there are too many in all, the fullest range makes room first.
const LEAST_PER_RANGE: usize = 16;
/// Inbound connections of one range, or of one host of a private network, that are being made, half of all: half-open ones are
/// cheap, and have few places together.
const MAX_PENDING_PER_RANGE: usize = 16;

/// Addresses that are likely one party's: the first 24 bits of IPv4, the first 48 of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Range {
    V4([u8; 3]),
    V6([u16; 3]),
}

impl Range {
    /// The range of an address of the internet; `None` of any other.
    pub(crate) fn of(address: &Multiaddr) -> Option<Self> {
        Self::of_ip(address::ip(address).filter(|_| !is_relayed(address))?)
    }

    /// The same, of the address of a host.
    pub(crate) fn of_ip(ip: IpAddr) -> Option<Self> {
        Some(match ip.to_canonical() {
            ip if !global(ip) => return None,
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                Self::V4([a, b, c])
            }
            IpAddr::V6(ip) => {
                let [a, b, c, ..] = ip.segments();
                Self::V6([a, b, c])
            }
        })
    }
}

/// Who is likely one party while connections are being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// A range of the internet.
    Range(Range),
    /// A host of a private network.
    Host(IpAddr),
}

impl Origin {
    /// Whose an address is; `None` of this machine, where many nodes may start at once, and of relays.
    fn of(address: &Multiaddr) -> Option<Self> {
        let ip = address::ip(address).filter(|ip| !ip.to_canonical().is_loopback() && !is_relayed(address))?;
        Some(Range::of_ip(ip).map_or(Self::Host(ip.to_canonical()), Self::Range))
    }
}

/// The range has as many connections as it may.
#[derive(Debug, thiserror::Error)]
#[error("too many connections from one range of addresses")]
struct RangeIsFull;

/// The gate. It never closes a connection.
#[derive(Debug)]
pub(crate) struct Ranges {
    /// Connections of one range at most.
    most: usize,
    /// Inbound connections from ranges; as bounded as connections are.
    connections: HashMap<ConnectionId, Range>,
    counts: BTreeMap<Range, usize>,
    /// Those that are being made; as bounded as these are.
    pending: HashMap<ConnectionId, Origin>,
}

impl Ranges {
    /// For a node that lets in so many connections.
    pub(crate) fn new(max_peers: u32) -> Self {
        let half = usize::try_from(max_peers / 2).unwrap_or(usize::MAX);
        Self {
            most: half.max(LEAST_PER_RANGE),
            connections: HashMap::new(),
            counts: BTreeMap::new(),
            pending: HashMap::new(),
        }
    }

    fn admit(&self, remote: &Multiaddr) -> Result<(), RangeIsFull> {
        let full = |range| self.counts.get(&range).is_some_and(|count| *count >= self.most);
        if Range::of(remote).is_some_and(full) { Err(RangeIsFull) } else { Ok(()) }
    }

    /// A connection is being made.
    fn begin(&mut self, id: ConnectionId, remote: &Multiaddr) -> Result<(), RangeIsFull> {
        let Some(origin) = Origin::of(remote) else { return Ok(()) };
        self.admit(remote)?;
        if self.pending.values().filter(|pending| **pending == origin).count() >= MAX_PENDING_PER_RANGE {
            return Err(RangeIsFull);
        }
        self.pending.insert(id, origin);
        Ok(())
    }

    fn came(&mut self, id: ConnectionId, remote: &Multiaddr) {
        if let Some(range) = Range::of(remote) {
            self.connections.insert(id, range);
            *self.counts.entry(range).or_default() += 1;
        }
    }

    fn left(&mut self, id: ConnectionId) {
        let Some(range) = self.connections.remove(&id) else { return };
        if let Some(count) = self.counts.get_mut(&range) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.counts.remove(&range);
            }
        }
    }
}

impl NetworkBehaviour for Ranges {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = core::convert::Infallible;

    /// Before anything is computed for the stranger.
    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.begin(id, remote).map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit(remote).map(|()| dummy::ConnectionHandler).map_err(ConnectionDenied::new)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(established) if established.endpoint.is_listener() => {
                self.pending.remove(&established.connection_id);
                self.came(established.connection_id, established.endpoint.get_remote_address());
            }
            FromSwarm::ConnectionClosed(closed) => self.left(closed.connection_id),
            FromSwarm::ListenFailure(failure) => drop(self.pending.remove(&failure.connection_id)),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Multiaddr {
        text.parse().expect("a multiaddress")
    }

    #[test]
    fn ranges_are_of_the_internet_alone() {
        let one = Range::of(&address("/ip4/8.8.8.1/tcp/1"));
        assert!(one.is_some() && one == Range::of(&address("/ip4/8.8.8.200/udp/9/quic-v1")));
        assert_eq!(one, Range::of(&address("/ip6/::ffff:8.8.8.7/tcp/1")), "the same host in other words");
        assert_ne!(one, Range::of(&address("/ip4/8.8.9.1/tcp/1")));
        let six = Range::of(&address("/ip6/2606:4700:10::1/tcp/1"));
        assert!(six.is_some() && six == Range::of(&address("/ip6/2606:4700:10:ffff::1/tcp/1")));
        assert_ne!(six, Range::of(&address("/ip6/2606:4700:11::1/tcp/1")));
        let relayed = format!("/ip4/8.8.8.1/tcp/1/p2p/{}/p2p-circuit", PeerId::random());
        for exempt in
            ["/ip4/127.0.0.1/tcp/1", "/ip4/192.168.1.2/tcp/1", "/ip6/::1/tcp/1", "/ip6/fd00::1/tcp/1", &relayed]
        {
            assert_eq!(Range::of(&address(exempt)), None, "{exempt}");
        }
    }

    #[test]
    fn half_open_connections_of_a_range_leave_places_to_others() {
        let mut ranges = Ranges::new(64);
        let id = ConnectionId::new_unchecked;
        for number in 0..MAX_PENDING_PER_RANGE {
            assert!(ranges.begin(id(number), &address(&format!("/ip4/8.8.8.{number}/tcp/1"))).is_ok());
        }
        assert!(ranges.begin(id(98), &address("/ip4/8.8.8.99/tcp/1")).is_err());
        assert!(ranges.begin(id(99), &address("/ip4/8.8.9.1/tcp/1")).is_ok());
        let mut begin = |number, from: &str| ranges.begin(id(number), &address(from)).is_ok();
        for number in 100..200 {
            assert_eq!(begin(number, "/ip4/10.0.0.1/tcp/1"), number < 100 + MAX_PENDING_PER_RANGE, "a few at once");
            assert!(begin(1_000 + number, "/ip4/127.0.0.1/tcp/1"), "nodes of this machine");
        }
        assert!(begin(200, "/ip4/10.0.0.2/tcp/1"), "another machine of the same network");
        assert_eq!(ranges.pending.len(), 2 * MAX_PENDING_PER_RANGE + 2);
    }

    #[test]
    fn a_range_that_is_full_keeps_no_other_out() {
        let mut ranges = Ranges::new(64);
        let id = ConnectionId::new_unchecked;
        for number in 0..32 {
            let from = address(&format!("/ip4/8.8.8.{number}/tcp/1"));
            assert!(ranges.admit(&from).is_ok());
            ranges.came(id(number), &from);
        }
        assert!(ranges.admit(&address("/ip4/8.8.8.99/tcp/1")).is_err());
        assert!(ranges.admit(&address("/ip4/8.8.9.1/tcp/1")).is_ok());
        for number in 100..200 {
            let class = address(&format!("/ip4/10.0.0.1/tcp/{number}"));
            assert!(ranges.admit(&class).is_ok(), "a class behind one address");
            ranges.came(id(number), &class);
        }
        ranges.left(id(0));
        ranges.left(id(0));
        assert!(ranges.admit(&address("/ip4/8.8.8.99/tcp/1")).is_ok());
        (0..300).for_each(|number| ranges.left(id(number)));
        assert!(ranges.connections.is_empty() && ranges.counts.is_empty());
    }
}
