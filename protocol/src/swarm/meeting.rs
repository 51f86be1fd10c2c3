//! Meeting others: what each way to find nodes says goes into the peer book, which alone decides whom to dial.

use core::time::Duration;

use libp2p::{
    Multiaddr, PeerId, StreamProtocol, kad,
    rendezvous::{self, Namespace},
    swarm::{
        FromSwarm, NetworkBehaviour,
        behaviour::{ExternalAddrConfirmed, ExternalAddrExpired},
    },
};
use tracing::{debug, info, warn};

use super::Driver;
use crate::discovery::{
    is_dialable, is_loopback, is_relayed, kademlia, mdns,
    rendezvous::{Errand, LIMIT, candidate},
};

impl Driver {
    pub(super) fn mdns_event(&mut self, event: libp2p::mdns::Event) {
        let now = self.now();
        match event {
            libp2p::mdns::Event::Discovered(found) => {
                for candidate in mdns::candidates(found) {
                    debug!(peer = ?candidate.peer, addresses = ?candidate.addresses, "found on the local network");
                    self.learn(candidate);
                }
            }
            libp2p::mdns::Event::Expired(gone) => gone.into_iter().for_each(|(peer, _)| self.book.expired(peer)),
        }
        self.dial_due(now);
    }

    /// Puts a peer that speaks Kademlia into its table, with the addresses it says it has.
    pub(super) fn feed_kademlia(&mut self, peer: PeerId, protocols: &[StreamProtocol], addresses: &[Multiaddr]) {
        let (now, same_machine) = (self.now(), self.is_on_this_machine(&peer));
        let Some(kademlia) = self.swarm.behaviour_mut().kademlia.as_mut() else { return };
        let Some(link) = self.links.get_mut(&peer) else { return };
        let fresh = link.fed_at.is_some_and(|at| now.saturating_sub(at) < kademlia::FEED_INTERVAL);
        if fresh || !protocols.iter().any(|protocol| protocol.as_ref() == self.names.kademlia()) {
            return;
        }
        let usable = |address: &&Multiaddr| is_dialable(address) && (same_machine || !is_loopback(address));
        let addresses: Vec<_> =
            addresses.iter().filter(usable).take(crate::wire::limits::MAX_ADDRESSES).cloned().collect();
        if !addresses.is_empty() {
            link.fed_at = Some(now);
            kademlia::feed(kademlia, peer, addresses);
        }
    }

    pub(super) fn kademlia_event(event: &kad::Event) {
        // Whom it met on the way shows in connections; the rest is for whoever looks closely.
        if let kad::Event::OutboundQueryProgressed { result, .. } = event {
            debug!(?result, "a Kademlia query");
        }
    }

    /// Registers at the rendezvous points and asks them, as is due.
    pub(super) fn visit_points(&mut self, now: Duration) {
        let peers = self.links.values().filter(|link| link.confirmed.is_some()).count();
        let links = &self.links;
        let errands = self.points.due(now, peers, |peer| links.contains_key(peer));
        let Ok(namespace) = Namespace::new(self.names.rendezvous_namespace()) else { return };
        let Some(client) = self.swarm.behaviour_mut().rendezvous.as_mut() else { return };
        for errand in errands {
            match errand {
                Errand::Register(point) => {
                    if let Err(error) = client.register(namespace.clone(), point, None) {
                        debug!(%point, "not registered: {error}");
                    }
                }
                Errand::Discover(point, cookie) => {
                    client.discover(Some(namespace.clone()), cookie, Some(LIMIT), point);
                }
            }
        }
    }

    pub(super) fn rendezvous_event(&mut self, event: rendezvous::client::Event) {
        let now = self.now();
        match event {
            rendezvous::client::Event::Registered { rendezvous_node, ttl, .. } => {
                if self.points.registered(rendezvous_node, Duration::from_secs(ttl), now) {
                    info!(point = %rendezvous_node, "registered at a rendezvous point");
                }
            }
            rendezvous::client::Event::RegisterFailed { rendezvous_node, error, .. } => {
                if self.points.refused(rendezvous_node) {
                    warn!(point = %rendezvous_node, "no longer registered at a rendezvous point: {error:?}");
                } else {
                    debug!(point = %rendezvous_node, "not registered: {error:?}");
                }
            }
            rendezvous::client::Event::Discovered { rendezvous_node, registrations, cookie } => {
                if !self.points.discovered(rendezvous_node, registrations.len(), cookie) {
                    debug!(point = %rendezvous_node, "a rendezvous point tells more than it was asked");
                    return;
                }
                let same_machine = self.is_on_this_machine(&rendezvous_node);
                for registration in registrations {
                    let record = &registration.record;
                    if let Some(found) = candidate(record.peer_id(), record.addresses(), same_machine) {
                        self.learn(found);
                    }
                }
            }
            rendezvous::client::Event::DiscoverFailed { rendezvous_node, error, .. } => {
                debug!(point = %rendezvous_node, "asked in vain: {error:?}");
                self.points.asked_in_vain(rendezvous_node);
            }
            // It has expired at the point; in the book it stays as long as it is of use.
            rendezvous::client::Event::Expired { .. } => {}
        }
    }

    /// Tells the rendezvous client of an address to register, and the relay of one to hand out. libp2p would have them wait
    /// for one that is confirmed from outside, which on a private network never comes; what is listened on is what peers
    /// there can reach.
    pub(super) fn offer(&mut self, address: &Multiaddr, listening: bool) {
        let event = if listening {
            FromSwarm::ExternalAddrConfirmed(ExternalAddrConfirmed { addr: address })
        } else {
            FromSwarm::ExternalAddrExpired(ExternalAddrExpired { addr: address })
        };
        let behaviour = self.swarm.behaviour_mut();
        if let Some(client) = behaviour.rendezvous.as_mut() {
            client.on_swarm_event(event);
        }
        if let Some(relay) = behaviour.relay_server.as_mut()
            && !is_relayed(address)
        {
            relay.on_swarm_event(event);
        }
    }

    /// Takes this node off the rendezvous points' lists. Returns whether there is anything to wait for.
    pub(super) fn leave_points(&mut self) -> bool {
        let registered = self.points.registered_at();
        let Ok(namespace) = Namespace::new(self.names.rendezvous_namespace()) else { return false };
        let Some(client) = self.swarm.behaviour_mut().rendezvous.as_mut() else { return false };
        for point in &registered {
            client.unregister(namespace.clone(), *point);
        }
        !registered.is_empty()
    }
}
