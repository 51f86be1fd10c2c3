//! AutoNAT v2, asking side: has peers dial addresses that this node may have, to learn whether they can.
//!
//! libp2p's own behaviour keeps every address that any peer claims to have seen, without end. Here the driver says which
//! are worth a probe, and no more than a few.

use core::task::{Context, Poll};
use std::collections::BTreeSet;

use libp2p::{
    Multiaddr, PeerId,
    autonat::v2::client,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NewExternalAddrCandidate, THandler,
        THandlerInEvent, THandlerOutEvent, ToSwarm,
    },
};
use rand::{SeedableRng, rngs::StdRng};

/// Addresses probed in a run; more are not tried. A machine has a few addresses, and changes them now and then.
const MAX_CANDIDATES: usize = 64;

/// The asking side of AutoNAT v2, for a few addresses.
pub(crate) struct Probes {
    inner: client::Behaviour,
    candidates: BTreeSet<Multiaddr>,
}

impl Probes {
    /// `seed` decides which peer is asked.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            inner: client::Behaviour::new(StdRng::seed_from_u64(seed), client::Config::default()),
            candidates: BTreeSet::new(),
        }
    }

    /// An address that peers may be able to dial. Each is probed once.
    pub(crate) fn candidate(&mut self, address: &Multiaddr) {
        if self.candidates.len() < MAX_CANDIDATES && self.candidates.insert(address.clone()) {
            let candidate = NewExternalAddrCandidate { addr: address };
            self.inner.on_swarm_event(FromSwarm::NewExternalAddrCandidate(candidate));
        }
    }
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
