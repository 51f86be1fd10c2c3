//! A gate for dials that parts of the stack make by themselves: Kademlia on its way to a key, the relay client on its way
//! to a relay, AutoNAT and DCUtR back to a peer. The driver's own dials are announced here first; all others share a few
//! places, so that Kademlia finds nodes without holding a connection to each.

use core::task::{Context, Poll};
use std::collections::BTreeSet;

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
        ToSwarm, dummy,
    },
};

/// Connections to new peers that the stack itself may have at once, in the making or made; a dial above that is refused,
/// which a query takes as a node that does not answer.
const MAX_NEW: usize = 8;
/// Dials to connected peers (AutoNAT, DCUtR) under way at once; above that they fail.
const MAX_AGAIN: usize = 8;

/// The dial found no place.
#[derive(Debug, thiserror::Error)]
#[error("too many connections that nobody asked for are being made")]
struct NoPlace;

/// The gate. It never closes a connection: the driver does.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// Dials of the driver that the swarm has not asked about yet.
    announced: BTreeSet<ConnectionId>,
    /// Connections of the stack to new peers, until they end or the driver adopts them. At most [`MAX_NEW`].
    new: BTreeSet<ConnectionId>,
    /// Dials of the stack to connected peers, until they are decided. At most [`MAX_AGAIN`].
    again: BTreeSet<ConnectionId>,
    /// Connected peers; as bounded as connections are.
    connected: BTreeSet<PeerId>,
}

impl Gate {
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

    fn pass(&mut self, id: ConnectionId, peer: Option<PeerId>) -> Result<(), NoPlace> {
        if self.announced.remove(&id) {
            return Ok(());
        }
        let connected = peer.is_some_and(|peer| self.connected.contains(&peer));
        let (places, most) = if connected { (&mut self.again, MAX_AGAIN) } else { (&mut self.new, MAX_NEW) };
        if places.len() >= most {
            return Err(NoPlace);
        }
        places.insert(id);
        Ok(())
    }
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = core::convert::Infallible;

    fn handle_pending_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.pass(id, peer).map(|()| Vec::new()).map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
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
            FromSwarm::ConnectionEstablished(established) => {
                self.again.remove(&established.connection_id);
                self.connected.insert(established.peer_id);
            }
            FromSwarm::ConnectionClosed(closed) => {
                self.new.remove(&closed.connection_id);
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

    fn id(number: usize) -> ConnectionId {
        ConnectionId::new_unchecked(number)
    }

    #[test]
    fn the_drivers_own_dials_pass_and_the_others_share_a_few_places() {
        let mut gate = Gate::default();
        for number in 0..MAX_NEW {
            assert!(gate.pass(id(number), Some(PeerId::random())).is_ok());
        }
        assert!(gate.pass(id(100), Some(PeerId::random())).is_err());
        assert!(gate.pass(id(100), None).is_err(), "who it leads to does not matter");
        gate.announce(id(101));
        assert!(gate.pass(id(101), None).is_ok());
        assert!(gate.is_new(id(0)) && !gate.is_new(id(101)));
        gate.adopt(id(0));
        assert!(gate.pass(id(102), None).is_ok(), "an adopted connection has left its place");
    }

    #[test]
    fn dials_back_to_connected_peers_have_places_of_their_own() {
        let mut gate = Gate::default();
        let peer = PeerId::random();
        gate.connected.insert(peer);
        for number in 0..MAX_AGAIN {
            assert!(gate.pass(id(number), Some(peer)).is_ok());
        }
        assert!(gate.pass(id(100), Some(peer)).is_err());
        assert!(gate.pass(id(101), Some(PeerId::random())).is_ok());
    }
}
