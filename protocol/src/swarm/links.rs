//! What is known of connected peers, and who waits for them.

use core::time::Duration;

use libp2p::{Multiaddr, PeerId, multiaddr::Protocol, swarm::ConnectionId};
use tokio::sync::oneshot;

use super::{
    circuits::{Circuits, relay_in},
    inflow::Inflow,
    quota::Quota,
};
use crate::{
    address::is_relayed,
    discovery::Origin,
    event::{Direction, PeerInfo},
    handle::ConnectError,
    peers::PeerBook,
    wire::status::Agent,
};

/// A connected peer.
pub(super) struct Link {
    /// The oldest first; never empty while the link is in the table.
    pub(super) connections: Vec<Connection>,
    /// Its software, once it has said that it is of our chain.
    pub(super) confirmed: Option<Agent>,
    pub(super) since: Duration,
    pub(super) rtt: Option<Duration>,
    /// When it was found to be of another chain, if it is.
    pub(super) foreign: Option<Duration>,
    /// Since when it has been told of other peers how often.
    pub(super) told: Option<(Duration, u32)>,
    /// Since when it has been told the specification how often.
    pub(super) spec_told: Option<(Duration, u32)>,
    /// Whether it is a meeting point: of use, and no peer.
    pub(super) service: bool,
    /// Whether two nodes have been seen to run with its identity.
    pub(super) two_places: bool,
    /// How often it has said where it sees this node.
    pub(super) sightings: u32,
    /// Whether it relays connections.
    pub(super) relays: bool,
    /// When news of it was last worth forwarding.
    pub(super) useful_at: Option<Duration>,
    /// Bytes of answers about the chain that went through a relay since it is connected.
    pub(super) carried: u64,
    /// What it may still ask.
    pub(super) quota: Quota,
    /// What it may still send unasked.
    pub(super) inflow: Inflow,
    /// Why this node closes its connections, once it does.
    pub(super) parting: Option<String>,
    /// When its addresses were last put into Kademlia's table.
    pub(super) fed_at: Option<Duration>,
}

/// One of its connections.
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) address: Multiaddr,
    pub(super) direction: Direction,
    /// Pings in a row without an answer.
    pub(super) lost_pings: u32,
    /// Since when there is reason to doubt that it lives, and it has not shown that it does.
    pub(super) suspected_at: Option<Duration>,
    pub(super) since: Duration,
    /// When it was last known to be alive: made, pinged, or something said about the chain.
    pub(super) alive_at: Duration,
    /// Where the peer says it listens, as said on this connection.
    pub(super) claims: Vec<Multiaddr>,
}

/// Somebody who waits for the outcome of a dial.
pub(super) struct Waiting {
    pub(super) connection: ConnectionId,
    /// As asked for.
    pub(super) address: Multiaddr,
    pub(super) origin: Origin,
    /// Who answered, while it has not yet said which chain it is on.
    pub(super) peer: Option<PeerId>,
    pub(super) reply: oneshot::Sender<Result<PeerId, ConnectError>>,
}

impl Link {
    pub(super) fn new(since: Duration) -> Self {
        Self {
            connections: Vec::new(),
            confirmed: None,
            since,
            rtt: None,
            foreign: None,
            told: None,
            spec_told: None,
            service: false,
            relays: false,
            sightings: 0,
            two_places: false,
            useful_at: None,
            carried: 0,
            quota: Quota::default(),
            inflow: Inflow::default(),
            parting: None,
            fed_at: None,
        }
    }

    /// Whether the peer opened the oldest connection.
    pub(super) fn is_inbound(&self) -> bool {
        self.connections.first().is_some_and(|oldest| oldest.direction == Direction::Inbound)
    }

    /// How many connections the peer has opened.
    pub(super) fn inbound(&self) -> usize {
        self.connections.iter().filter(|connection| connection.direction == Direction::Inbound).count()
    }

    /// The relay through which it is reached, where there is no other way to it.
    pub(super) fn relay(&self) -> Option<PeerId> {
        let mut relays = self.connections.iter().map(|connection| relay_in(&connection.address));
        let first = relays.next()??;
        relays.all(|relay| relay.is_some()).then_some(first)
    }

    /// Whether one of its connections goes through `relay`.
    pub(super) fn leads_through(&self, relay: &PeerId) -> bool {
        self.connections.iter().any(|connection| relay_in(&connection.address) == Some(*relay))
    }

    /// What is published of it: nothing before it is known to be of our chain.
    pub(super) fn describe(&self, id: PeerId, book: &PeerBook, circuits: &Circuits, now: Duration) -> Option<PeerInfo> {
        let agent = self.confirmed.clone()?;
        let oldest = self.connections.first()?;
        Some(PeerInfo {
            id,
            addresses: self.connections.iter().map(|connection| connection.address.clone()).collect(),
            origins: book.origins(&id),
            direction: oldest.direction,
            transport: transport(&oldest.address),
            relayed: self.relay().map(|relay| circuits.describe(&relay, now)),
            agent,
            since: self.since,
            rtt: self.rtt,
            faults: book.conduct.faults(&id),
        })
    }
}

fn transport(address: &Multiaddr) -> &'static str {
    if is_relayed(address) {
        return "relay";
    }
    if address.iter().any(|part| part == Protocol::QuicV1) { "quic" } else { "tcp" }
}
