//! AutoNAT v2, asking side: has peers dial addresses that this node may have, to learn whether they can.
//!
//! libp2p's own behaviour keeps every address that any peer claims to have seen, without end. Here the driver says which
//! are worth a probe, and no more than a few.

use core::task::{Context, Poll};
use std::collections::{BTreeSet, HashMap};

use libp2p::{
    Multiaddr, PeerId,
    autonat::v2::client,
    core::{ConnectedPoint, Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NewExternalAddrCandidate, THandler,
        THandlerInEvent, THandlerOutEvent, ToSwarm, behaviour::ConnectionEstablished,
    },
};
use rand::{Rng, SeedableRng, rngs::StdRng};

/// Addresses probed in one network; more are not tried. A machine has a few there, and changes them now and then.
const MAX_CANDIDATES: usize = 64;

/// The asking side of AutoNAT v2, for a few addresses.
pub(crate) struct Probes {
    inner: client::Behaviour,
    candidates: BTreeSet<Multiaddr>,
    /// Where each begins anew.
    lots: StdRng,
    /// What `inner` is told of; as bounded as connections are.
    connections: HashMap<ConnectionId, PeerId>,
}

impl Probes {
    /// `seed` decides which peer is asked.
    pub(crate) fn new(seed: u64) -> Self {
        let mut lots = StdRng::seed_from_u64(seed);
        Self { inner: fresh(&mut lots), candidates: BTreeSet::new(), lots, connections: HashMap::new() }
    }

    /// The machine is in another network: what was tried says nothing any longer, and may be tried again. libp2p's own keeps
    /// what it knows for ever, so another takes its place; it asks peers that connect from now on.
    pub(crate) fn moved(&mut self) {
        self.candidates.clear();
        self.inner = fresh(&mut self.lots);
        let endpoint = ConnectedPoint::Listener { local_addr: Multiaddr::empty(), send_back_addr: Multiaddr::empty() };
        for (id, peer) in &self.connections {
            let made = ConnectionEstablished {
                peer_id: *peer,
                connection_id: *id,
                endpoint: &endpoint,
                failed_addresses: &[],
                other_established: 0,
            };
            self.inner.on_swarm_event(FromSwarm::ConnectionEstablished(made));
        }
    }

    /// An address that peers may be able to dial. Each is probed once in a network.
    pub(crate) fn candidate(&mut self, address: &Multiaddr) {
        if self.candidates.len() < MAX_CANDIDATES && self.candidates.insert(address.clone()) {
            let candidate = NewExternalAddrCandidate { addr: address };
            self.inner.on_swarm_event(FromSwarm::NewExternalAddrCandidate(candidate));
        }
    }
}

fn fresh(lots: &mut StdRng) -> client::Behaviour {
    client::Behaviour::new(StdRng::seed_from_u64(lots.next_u64()), client::Config::default())
}

impl NetworkBehaviour for Probes {
    type ConnectionHandler = <client::Behaviour as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = <client::Behaviour as NetworkBehaviour>::ToSwarm;

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner.handle_established_inbound_connection(id, peer, local, remote)
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
        match &event {
            FromSwarm::ConnectionEstablished(made) => {
                self.connections.insert(made.connection_id, made.peer_id);
            }
            FromSwarm::ConnectionClosed(closed) => drop(self.connections.remove(&closed.connection_id)),
            _ => {}
        }
        if !matches!(event, FromSwarm::NewExternalAddrCandidate(_)) {
            self.inner.on_swarm_event(event);
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, id: ConnectionId, event: THandlerOutEvent<Self>) {
        self.inner.on_connection_handler_event(peer, id, event);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.inner.poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use libp2p::swarm::behaviour::ConnectionClosed;

    use super::*;

    #[test]
    fn in_another_network_all_is_tried_anew() {
        let mut probes = Probes::new(1);
        let (peer_id, connection_id) = (PeerId::random(), ConnectionId::new_unchecked(1));
        let here = || "/ip4/10.0.0.1/tcp/1".parse::<Multiaddr>().expect("a multiaddress");
        let endpoint = ConnectedPoint::Listener { local_addr: here(), send_back_addr: here() };
        let made = ConnectionEstablished {
            peer_id,
            connection_id,
            endpoint: &endpoint,
            failed_addresses: &[],
            other_established: 0,
        };
        probes.on_swarm_event(FromSwarm::ConnectionEstablished(made));
        for port in 1..=MAX_CANDIDATES + 5 {
            probes.candidate(&format!("/ip4/8.8.8.8/tcp/{port}").parse().expect("a multiaddress"));
        }
        assert_eq!(probes.candidates.len(), MAX_CANDIDATES);
        probes.moved();
        probes.candidate(&here());
        assert_eq!(probes.candidates.len(), 1);
        let closed =
            ConnectionClosed { peer_id, connection_id, endpoint: &endpoint, cause: None, remaining_established: 0 };
        probes.on_swarm_event(FromSwarm::ConnectionClosed(closed));
        assert!(probes.connections.is_empty());
    }
}
