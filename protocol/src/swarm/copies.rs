//! Copies of an identity: two nodes that run with one `identity.key`, as when a data directory is copied. Each connection to
//! one of them is taken for a connection to the other, so both get half of what is said. Nothing can mend that but people;
//! here it is noticed and named.

use core::time::Duration;

use libp2p::{
    Multiaddr, PeerId,
    swarm::{ConnectionId, ListenError, dial_opts::DialOpts},
};
use tracing::{debug, warn};

use super::Driver;
use crate::{
    address,
    discovery::split_peer_id,
    notice::{self, Notice},
    peers::clones::{self, CloneFound},
};

/// What to do about it.
const REMEDY: &str = "stop one of the two, delete identity.key in its data directory, and start it again";

impl Driver {
    /// Somebody tells of our own id. Where that is not us, it is looked at who is there.
    pub(super) fn told_of_ourselves(&mut self, addresses: &[Multiaddr]) {
        let now = self.now();
        let ours: Vec<Multiaddr> = self.listeners.iter().map(|(_, address)| split_peer_id(address.clone()).0).collect();
        let external: Vec<Multiaddr> = self.swarm.external_addresses().map(|at| split_peer_id(at.clone()).0).collect();
        for address in addresses.iter().map(|address| split_peer_id(address.clone()).0) {
            let is_ours = ours.contains(&address) || external.contains(&address);
            if !is_ours && self.clones.heard_of_ourselves(&address, &ours, now) {
                debug!(%address, "somebody tells of this node at an address that it does not have");
                let options = DialOpts::unknown_peer_id().address(address).allocate_new_port().build();
                // An error means that there is nothing to look at.
                let _ = self.dial(options);
            }
        }
    }

    pub(super) fn incoming_failed(&mut self, from: &Multiaddr, error: &ListenError) {
        debug!(%from, "an incoming connection failed: {error}");
        let now = self.now();
        match (error, address::ip(from)) {
            (ListenError::LocalPeerId { .. }, Some(ip)) => self.clones.incoming_met_own_id(ip, now),
            (ListenError::Transport(_) | ListenError::Aborted, Some(ip)) => self.clones.incoming_broke(ip, now),
            _ => {}
        }
    }

    /// Names the copies of our own identity that are certain by now.
    pub(super) fn name_copies(&mut self, now: Duration) {
        for CloneFound { address } in self.clones.tick(now) {
            warn!("another node runs with a copy of this node's identity, at {address}: {REMEDY}");
            notice::publish(&self.notices, Notice::OwnCopy { address });
        }
    }

    /// Compares what the connections of one peer say of where it listens.
    pub(super) fn look_for_two_places(&mut self, peer: PeerId, id: ConnectionId, claims: &[Multiaddr]) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        if let Some(connection) = link.connections.iter_mut().find(|connection| connection.id == id) {
            connection.claims = claims.iter().take(crate::wire::limits::MAX_ADDRESSES).cloned().collect();
        }
        let others = link.connections.iter().filter(|connection| connection.id != id);
        let other = others.map(|connection| &connection.claims).find(|other| clones::two_places(claims, other));
        if let (Some(other), false) = (other, link.two_places) {
            warn!(%peer, first = ?other.first(), second = ?claims.first(), "two nodes run with one identity: {REMEDY}");
            link.two_places = true;
            notice::publish(&self.notices, Notice::Copies { peer });
        }
    }
}
