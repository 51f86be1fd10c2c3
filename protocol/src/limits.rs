//! How many connections there may be: in the making and made, each way, and to one peer.
//!
//! It is our own, for libp2p's keeps an entry for every peer that was ever connected, and peer ids cost nothing.

use core::task::{Context, Poll};
use std::collections::{HashMap, HashSet};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
        ToSwarm, dummy,
    },
};

/// How many of each kind there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most {
    /// Inbound ones that are shaking hands.
    pub(crate) pending_inbound: u32,
    /// Dials under way.
    pub(crate) pending_outbound: u32,
    pub(crate) inbound: u32,
    pub(crate) outbound: u32,
    /// Both ways together.
    pub(crate) to_one_peer: u32,
}

/// There are as many connections as there may be.
#[derive(Debug, thiserror::Error)]
#[error("at most {most} connections {kind} are allowed")]
pub(crate) struct Exceeded {
    most: u32,
    kind: &'static str,
}

/// The gate. It never closes a connection.
#[derive(Debug)]
pub(crate) struct Limits {
    most: Most,
    pending_inbound: HashSet<ConnectionId>,
    pending_outbound: HashSet<ConnectionId>,
    inbound: HashSet<ConnectionId>,
    outbound: HashSet<ConnectionId>,
    /// Who has how many; nobody has none.
    peers: HashMap<PeerId, usize>,
}

fn admit(count: usize, most: u32, kind: &'static str) -> Result<(), ConnectionDenied> {
    let has_room = u32::try_from(count).is_ok_and(|count| count < most);
    has_room.then_some(()).ok_or_else(|| ConnectionDenied::new(Exceeded { most, kind }))
}

impl Limits {
    pub(crate) fn new(most: Most) -> Self {
        Self {
            most,
            pending_inbound: HashSet::new(),
            pending_outbound: HashSet::new(),
            inbound: HashSet::new(),
            outbound: HashSet::new(),
            peers: HashMap::new(),
        }
    }

    fn admit_peer(&self, peer: &PeerId) -> Result<dummy::ConnectionHandler, ConnectionDenied> {
        let count = self.peers.get(peer).copied().unwrap_or_default();
        admit(count, self.most.to_one_peer, "to one peer").map(|()| dummy::ConnectionHandler)
    }

    fn left(&mut self, peer: PeerId, id: ConnectionId) {
        let counted = self.inbound.remove(&id) | self.outbound.remove(&id);
        if let Some(count) = self.peers.get_mut(&peer).filter(|_| counted) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.peers.remove(&peer);
            }
        }
    }
}

impl NetworkBehaviour for Limits {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = core::convert::Infallible;

    /// Before anything is computed for the stranger.
    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        admit(self.pending_inbound.len(), self.most.pending_inbound, "that come and are being made")?;
        self.pending_inbound.insert(id);
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.pending_inbound.remove(&id);
        admit(self.inbound.len(), self.most.inbound, "from others")?;
        self.admit_peer(&peer)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        id: ConnectionId,
        _: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        admit(self.pending_outbound.len(), self.most.pending_outbound, "to others that are being made")?;
        self.pending_outbound.insert(id);
        Ok(Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.pending_outbound.remove(&id);
        admit(self.outbound.len(), self.most.outbound, "to others")?;
        self.admit_peer(&peer)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(made) => {
                let way = if made.endpoint.is_listener() { &mut self.inbound } else { &mut self.outbound };
                way.insert(made.connection_id);
                *self.peers.entry(made.peer_id).or_default() += 1;
            }
            FromSwarm::ConnectionClosed(closed) => self.left(closed.peer_id, closed.connection_id),
            FromSwarm::DialFailure(failed) => drop(self.pending_outbound.remove(&failed.connection_id)),
            FromSwarm::ListenFailure(failed) => drop(self.pending_inbound.remove(&failed.connection_id)),
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
    use libp2p::{
        core::ConnectedPoint,
        swarm::behaviour::{ConnectionClosed, ConnectionEstablished},
    };

    use super::*;

    const MOST: Most = Most { pending_inbound: 2, pending_outbound: 2, inbound: 3, outbound: 2, to_one_peer: 2 };

    fn anywhere() -> Multiaddr {
        "/ip4/10.0.0.1/tcp/1".parse().expect("a multiaddress")
    }

    /// Whether an inbound connection is let in.
    fn comes(limits: &mut Limits, number: usize, peer: PeerId) -> bool {
        let (id, at) = (ConnectionId::new_unchecked(number), anywhere());
        limits.handle_pending_inbound_connection(id, &at, &at).is_ok()
            && limits.handle_established_inbound_connection(id, peer, &at, &at).is_ok()
            && {
                let endpoint = ConnectedPoint::Listener { local_addr: at.clone(), send_back_addr: at };
                let made = ConnectionEstablished {
                    peer_id: peer,
                    connection_id: id,
                    endpoint: &endpoint,
                    failed_addresses: &[],
                    other_established: 0,
                };
                limits.on_swarm_event(FromSwarm::ConnectionEstablished(made));
                true
            }
    }

    fn goes(limits: &mut Limits, number: usize, peer: PeerId) {
        let at = anywhere();
        let closed = ConnectionClosed {
            peer_id: peer,
            connection_id: ConnectionId::new_unchecked(number),
            endpoint: &ConnectedPoint::Listener { local_addr: at.clone(), send_back_addr: at },
            cause: None,
            remaining_established: 0,
        };
        limits.on_swarm_event(FromSwarm::ConnectionClosed(closed));
    }

    #[test]
    fn so_many_in_all_and_so_many_of_one_peer() {
        let mut limits = Limits::new(MOST);
        let [one, other] = [PeerId::random(), PeerId::random()];
        assert_eq!([1, 2, 3].map(|number| comes(&mut limits, number, one)), [true, true, false]);
        assert_eq!([4, 5].map(|number| comes(&mut limits, number, other)), [true, false]);
        goes(&mut limits, 1, one);
        goes(&mut limits, 1, one);
        assert!(comes(&mut limits, 6, one));
    }

    #[test]
    fn those_that_are_being_made_are_bounded() {
        let mut limits = Limits::new(MOST);
        let dial = |limits: &mut Limits, number| {
            let id = ConnectionId::new_unchecked(number);
            limits.handle_pending_outbound_connection(id, None, &[], Endpoint::Dialer).is_ok()
        };
        assert_eq!([1, 2, 3].map(|number| dial(&mut limits, number)), [true, true, false]);
        let refused =
            limits.handle_pending_outbound_connection(ConnectionId::new_unchecked(4), None, &[], Endpoint::Dialer);
        let refused = refused.expect_err("there is no room");
        assert!(refused.downcast_ref::<Exceeded>().is_some_and(|exceeded| exceeded.most == 2));
    }

    #[test]
    fn nothing_is_kept_of_those_who_have_gone() {
        let mut limits = Limits::new(MOST);
        for number in 0..1_000 {
            let peer = PeerId::random();
            assert!(comes(&mut limits, number, peer));
            goes(&mut limits, number, peer);
        }
        assert!(limits.peers.is_empty() && limits.inbound.is_empty() && limits.pending_inbound.is_empty());
    }
}
