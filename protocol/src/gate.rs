//! A gate for dials that parts of the stack make by themselves: Kademlia on its way to a key, the relay client on its way
//! to a relay, AutoNAT and DCUtR back to a peer. The driver's own dials are announced here first; all others share a few
//! places, so that Kademlia finds nodes without holding a connection to each.
//!
//! # Security
//! Strangers say where these dials lead. So they lead only where this node has company: to this machine and to private
//! networks only while a peer is connected from there, and by number, for a name would have to be looked up; and of one peer a
//! few addresses are tried. Otherwise anybody could have any port of a private network knocked at. The driver asks here too,
//! before it dials what peers say of themselves and of others.

use core::{
    net::IpAddr,
    ops::{Deref, DerefMut},
    task::{Context, Poll},
};
use std::collections::{BTreeMap, BTreeSet};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
        ToSwarm,
    },
};

use crate::{
    address::{self, is_relayed},
    discovery::{is_dialable, split_peer_id},
    reachability::address::global,
    wire::limits::MAX_ADDRESSES,
};

/// Connections to new peers that the stack itself may have at once, in the making or made; a dial above that is refused,
/// which a query takes as a node that does not answer.
const MAX_NEW: usize = 8;
/// Dials to connected peers (AutoNAT, DCUtR) under way at once, and to one of them; above that they fail.
const MAX_AGAIN: usize = 8;
const MAX_AGAIN_TO_ONE: usize = 2;
/// Addresses that may come with a dial of the stack: hole punching has 20 at most.
const MAX_GIVEN: usize = 32;

/// The dial found no place.
#[derive(Debug, thiserror::Error)]
#[error("too many connections that nobody asked for are being made")]
struct NoPlace;

/// A dial of the stack has no address that it may lead to.
#[derive(Debug, thiserror::Error)]
#[error("none of the addresses may be dialled for strangers")]
struct NowhereToGo;

/// Where a direct address leads, as far as that says who can be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    ThisMachine,
    PrivateNetwork,
    Internet,
}

impl Place {
    /// Of an address that begins with a number; of a circuit it is its relay's.
    fn of(address: &Multiaddr) -> Option<Self> {
        let place = |ip: IpAddr| match (ip.is_loopback(), global(ip)) {
            (true, _) => Self::ThisMachine,
            (false, true) => Self::Internet,
            (false, false) => Self::PrivateNetwork,
        };
        address::ip(address).map(place)
    }
}

/// The gate before all other behaviours, for it decides about the addresses that these have for a dial. It never closes a
/// connection: the driver does.
#[derive(Debug)]
pub(crate) struct Gate<B> {
    inner: B,
    /// Dials of the driver that the swarm has not asked about yet.
    announced: BTreeSet<ConnectionId>,
    /// Connections of the stack to new peers, until they end or the driver adopts them. At most [`MAX_NEW`].
    new: BTreeSet<ConnectionId>,
    /// Dials of the stack to connected peers, until they are decided. At most [`MAX_AGAIN`].
    again: BTreeMap<ConnectionId, PeerId>,
    /// Connected peers; as bounded as connections are.
    connected: BTreeSet<PeerId>,
    /// Where the direct connections lead; as bounded.
    places: BTreeMap<ConnectionId, Place>,
}

impl<B> Gate<B> {
    pub(crate) fn new(inner: B) -> Self {
        Self {
            inner,
            announced: BTreeSet::new(),
            new: BTreeSet::new(),
            again: BTreeMap::new(),
            connected: BTreeSet::new(),
            places: BTreeMap::new(),
        }
    }

    /// The driver is about to make this dial: it passes.
    pub(crate) fn announce(&mut self, id: ConnectionId) {
        self.announced.insert(id);
    }

    /// The announced dial did not come.
    pub(crate) fn forget(&mut self, id: ConnectionId) {
        self.announced.remove(&id);
    }

    /// Whether the stack made this connection by itself, to a peer that was not connected.
    pub(crate) fn is_new(&self, id: ConnectionId) -> bool {
        self.new.contains(&id)
    }

    /// The driver wants to keep a connection that the stack made: its place is free again.
    pub(crate) fn adopt(&mut self, id: ConnectionId) {
        self.new.remove(&id);
    }

    /// Takes a place for a dial of the stack.
    fn pass(&mut self, id: ConnectionId, peer: Option<PeerId>) -> Result<(), NoPlace> {
        if let Some(peer) = peer.filter(|peer| self.connected.contains(peer)) {
            let to_it = self.again.values().filter(|other| **other == peer).count();
            if self.again.len() >= MAX_AGAIN || to_it >= MAX_AGAIN_TO_ONE {
                return Err(NoPlace);
            }
            self.again.insert(id, peer);
            return Ok(());
        }
        if self.new.len() >= MAX_NEW {
            return Err(NoPlace);
        }
        self.new.insert(id);
        Ok(())
    }

    /// Whether a dial for a stranger may lead there.
    pub(crate) fn is_open(&self, address: &Multiaddr) -> bool {
        let place = Place::of(address).filter(|_| makes_sense(address));
        place.is_some_and(|place| place == Place::Internet || self.places.values().any(|other| *other == place))
    }

    /// Whether a dial of the stack may have these addresses, which come with it. Those back to a connected peer are from that
    /// peer; they are tried all or none, for hole punching has some that lead to this machine among others. One to a new peer is
    /// to the relay of a circuit that the driver dials.
    fn may_go(&self, id: ConnectionId, addresses: &[Multiaddr]) -> bool {
        let is_back = self.again.contains_key(&id);
        let fits = |address| if is_back { self.is_open(address) } else { makes_sense(address) };
        addresses.len() <= MAX_GIVEN && addresses.iter().any(fits)
    }
}

fn makes_sense(address: &Multiaddr) -> bool {
    is_dialable(&split_peer_id(address.clone()).0)
}

impl<B: NetworkBehaviour> NetworkBehaviour for Gate<B> {
    type ConnectionHandler = B::ConnectionHandler;
    type ToSwarm = B::ToSwarm;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.inner.handle_pending_inbound_connection(id, local, remote)
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner.handle_established_inbound_connection(id, peer, local, remote)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        let ours = self.announced.remove(&id);
        if !ours {
            self.pass(id, peer).map_err(ConnectionDenied::new)?;
        }
        let mut known = self.inner.handle_pending_outbound_connection(id, peer, addresses, role)?;
        if ours {
            return Ok(known);
        }
        known.retain(|address| self.is_open(address));
        known.truncate(MAX_ADDRESSES);
        let leads_somewhere = !known.is_empty() || self.may_go(id, addresses);
        leads_somewhere.then_some(known).ok_or_else(|| ConnectionDenied::new(NowhereToGo))
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner.handle_established_outbound_connection(id, peer, address, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(made) => {
                self.again.remove(&made.connection_id);
                self.connected.insert(made.peer_id);
                let remote = made.endpoint.get_remote_address();
                if let Some(place) = Place::of(remote).filter(|_| !is_relayed(remote)) {
                    self.places.insert(made.connection_id, place);
                }
            }
            FromSwarm::ConnectionClosed(closed) => {
                self.new.remove(&closed.connection_id);
                self.places.remove(&closed.connection_id);
                if closed.remaining_established == 0 {
                    self.connected.remove(&closed.peer_id);
                }
            }
            FromSwarm::DialFailure(failed) => {
                self.announced.remove(&failed.connection_id);
                self.new.remove(&failed.connection_id);
                self.again.remove(&failed.connection_id);
            }
            _ => {}
        }
        self.inner.on_swarm_event(event);
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, id: ConnectionId, event: THandlerOutEvent<Self>) {
        self.inner.on_connection_handler_event(peer, id, event);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.inner.poll(cx)
    }
}

impl<B> Deref for Gate<B> {
    type Target = B;

    fn deref(&self) -> &B {
        &self.inner
    }
}

impl<B> DerefMut for Gate<B> {
    fn deref_mut(&mut self) -> &mut B {
        &mut self.inner
    }
}

#[cfg(test)]
mod tests {
    use libp2p::{
        core::ConnectedPoint,
        swarm::{behaviour::ConnectionEstablished, dummy},
    };

    use super::*;

    fn id(number: usize) -> ConnectionId {
        ConnectionId::new_unchecked(number)
    }

    fn address(text: &str) -> Multiaddr {
        text.parse().expect("a multiaddress")
    }

    fn gate() -> Gate<dummy::Behaviour> {
        Gate::new(dummy::Behaviour)
    }

    /// A peer has come from there.
    fn comes(gate: &mut Gate<dummy::Behaviour>, number: usize, from: &str) {
        let endpoint =
            ConnectedPoint::Listener { local_addr: address("/ip4/10.0.0.1/tcp/1"), send_back_addr: address(from) };
        let made = ConnectionEstablished {
            peer_id: PeerId::random(),
            connection_id: id(number),
            endpoint: &endpoint,
            failed_addresses: &[],
            other_established: 0,
        };
        gate.on_swarm_event(FromSwarm::ConnectionEstablished(made));
    }

    /// Whether a dial back to a connected peer passes with these addresses.
    fn may_dial(gate: &mut Gate<dummy::Behaviour>, addresses: &[&str]) -> bool {
        let addresses: Vec<Multiaddr> = addresses.iter().map(|text| address(text)).collect();
        let peer = PeerId::random();
        gate.connected.insert(peer);
        gate.again.clear();
        gate.handle_pending_outbound_connection(id(1_000), Some(peer), &addresses, Endpoint::Dialer).is_ok()
    }

    #[test]
    fn the_drivers_own_dials_pass_and_the_others_share_a_few_places() {
        let mut gate = gate();
        for number in 0..MAX_NEW {
            assert!(gate.pass(id(number), Some(PeerId::random())).is_ok());
        }
        assert!(gate.pass(id(100), Some(PeerId::random())).is_err());
        assert!(gate.pass(id(100), None).is_err(), "who it leads to does not matter");
        gate.announce(id(101));
        assert!(gate.handle_pending_outbound_connection(id(101), None, &[], Endpoint::Dialer).is_ok());
        assert!(gate.is_new(id(0)) && !gate.is_new(id(101)));
        gate.adopt(id(0));
        assert!(gate.pass(id(102), None).is_ok(), "an adopted connection has left its place");
    }

    #[test]
    fn dials_back_to_connected_peers_have_places_of_their_own_and_nobody_has_them_all() {
        let mut gate = gate();
        let peers: Vec<PeerId> = (0..5).map(|_| PeerId::random()).collect();
        gate.connected.extend(&peers);
        let passes =
            |gate: &mut Gate<dummy::Behaviour>, number, at: usize| gate.pass(id(number), Some(peers[at])).is_ok();
        assert_eq!([1, 2, 3].map(|number| passes(&mut gate, number, 0)), [true, true, false]);
        for number in 4..10 {
            assert!(passes(&mut gate, number, number / 2 - 1));
        }
        assert!(!passes(&mut gate, 100, 4), "all are taken");
        assert!(gate.pass(id(101), Some(PeerId::random())).is_ok());
    }

    #[test]
    fn strangers_have_nothing_dialled_where_nobody_of_ours_is() {
        let mut gate = gate();
        let (here, there, far) = ("/ip4/127.0.0.1/tcp/5000", "/ip4/192.168.1.1/tcp/80", "/ip4/8.8.8.8/tcp/6000");
        for nowhere in [&[][..], &[here], &[there], &["/dns4/example.org/tcp/1"], &["/ip4/224.0.0.1/tcp/1"]] {
            assert!(!may_dial(&mut gate, nowhere), "{nowhere:?}");
        }
        assert!(may_dial(&mut gate, &[far]) && may_dial(&mut gate, &[here, far]) && !may_dial(&mut gate, &[far; 33]));
        comes(&mut gate, 10, "/ip4/192.168.1.7/tcp/3");
        assert!(may_dial(&mut gate, &[there]) && !may_dial(&mut gate, &[here]));
        comes(&mut gate, 11, "/ip6/::ffff:127.0.0.1/tcp/3");
        assert!(may_dial(&mut gate, &[here]));
    }

    #[test]
    fn the_relay_of_a_circuit_may_be_anywhere() {
        let mut gate = gate();
        let mut dial = |addresses: &[Multiaddr]| {
            let relay = Some(PeerId::random());
            gate.handle_pending_outbound_connection(id(1), relay, addresses, Endpoint::Dialer).is_ok()
        };
        assert!(dial(&[address("/dns4/relay.example/tcp/6000")]) && dial(&[address("/ip4/10.0.0.9/tcp/6000")]));
        assert!(!dial(&[]), "nobody here knows where it is");
    }
}
