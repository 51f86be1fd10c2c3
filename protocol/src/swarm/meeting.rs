//! Meeting others: what each way to find nodes says goes into the peer book, which alone decides whom to dial.

use core::time::Duration;

use libp2p::{
    Multiaddr, PeerId, StreamProtocol, kad,
    request_response::{Event, Message, OutboundFailure},
    swarm::{
        FromSwarm, NetworkBehaviour,
        behaviour::{ExternalAddrConfirmed, ExternalAddrExpired},
    },
};
use tracing::{debug, info, warn};

use super::Driver;
use crate::{
    address::{is_loopback, is_relayed},
    discovery::{
        is_dialable, kademlia, mdns,
        rendezvous::{Errand, LIMIT, candidate, registrable},
    },
    rendezvous::client::{self, Request, Response},
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
                self.bound_mdns(now);
            }
            libp2p::mdns::Event::Expired(gone) => gone.into_iter().for_each(|(peer, _)| self.book.expired(peer)),
        }
        self.dial_due(now);
    }

    /// Stops mDNS for a while where somebody makes up nodes without end.
    fn bound_mdns(&mut self, now: Duration) {
        let running = &mut self.swarm.behaviour_mut().mdns;
        if running.as_ref().is_some_and(|mdns| mdns.discovered_nodes().len() > mdns::MAX_FOUND) {
            *running = None.into();
            self.mdns_retry = Some(now.saturating_add(mdns::RETRY_INTERVAL));
            warn!(
                "more nodes announce themselves on the local network than are looked at; it is looked at anew in 30 seconds"
            );
        }
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
        // A loopback address is passed on to other machines, where it leads to somebody else: only where there is no other.
        let (here, elsewhere): (Vec<&Multiaddr>, Vec<&Multiaddr>) =
            addresses.iter().filter(|address| is_dialable(address)).partition(|address| is_loopback(address));
        let usable = if elsewhere.is_empty() && same_machine { here } else { elsewhere };
        let addresses: Vec<_> = usable.into_iter().take(crate::wire::limits::MAX_ADDRESSES).cloned().collect();
        if !addresses.is_empty() {
            link.fed_at = Some(now);
            kademlia::feed(kademlia, peer, addresses);
        }
    }

    /// Takes a peer out of Kademlia's table, so that it is neither asked nor told to others.
    pub(super) fn forget_in_kademlia(&mut self, peer: &PeerId) {
        if let Some(kademlia) = self.swarm.behaviour_mut().kademlia.as_mut() {
            kademlia.remove_peer(peer);
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
        let namespace = self.names.rendezvous_namespace();
        for errand in errands {
            let (point, request) = match &errand {
                Errand::Register(point) => {
                    let record = client::record(self.identity.keypair(), self.registrable());
                    let Some(record) = record else { continue };
                    (*point, Request::Register { namespace: namespace.clone(), record })
                }
                Errand::Discover(point, cookie) => {
                    (*point, Request::Discover { namespace: namespace.clone(), limit: LIMIT, cookie: cookie.clone() })
                }
            };
            let Some(client) = self.swarm.behaviour_mut().rendezvous.as_mut() else { return };
            self.errands.insert(client.send_request(&point, request), errand);
        }
    }

    /// Where others may reach this node, by what it knows now. On a private network nobody confirms an address from outside;
    /// what is listened on is what peers there can reach.
    fn registrable(&self) -> Vec<Multiaddr> {
        let listening: Vec<&Multiaddr> = self.listeners.iter().map(|(_, address)| address).collect();
        registrable(self.swarm.external_addresses().collect(), listening)
    }

    pub(super) fn rendezvous_event(&mut self, event: Event<Request, Response>) {
        match event {
            Event::Message { peer, message: Message::Response { request_id, response }, .. } => {
                if let Some(errand) = self.errands.remove(&request_id) {
                    self.point_answered(peer, &errand, response);
                }
            }
            Event::OutboundFailure { request_id, error, .. } => match self.errands.remove(&request_id) {
                Some(Errand::Register(point)) => {
                    let reason = match error {
                        // Asked lazily, a node that is no point shows only when it should answer.
                        OutboundFailure::UnsupportedProtocols | OutboundFailure::Io(_) => {
                            "what is there does not answer as a rendezvous point does".to_owned()
                        }
                        error => error.to_string(),
                    };
                    self.not_registered(point, &reason);
                }
                Some(Errand::Discover(point, _)) => {
                    debug!(%point, "asked in vain: {error}");
                    self.points.asked_in_vain(point);
                }
                // The word that this node leaves has no answer.
                None => {}
            },
            // A client is asked nothing.
            Event::Message { .. } | Event::InboundFailure { .. } | Event::ResponseSent { .. } => {}
        }
    }

    fn point_answered(&mut self, point: PeerId, errand: &Errand, response: Response) {
        match (errand, response) {
            (Errand::Register(_), Response::Registered(lasts)) => {
                if self.points.registered(point, lasts, self.now()) {
                    info!(%point, "registered at a rendezvous point");
                }
            }
            (Errand::Register(_), Response::NotRegistered(status)) => {
                self.not_registered(point, &format!("it refuses with status {status}"));
            }
            (Errand::Register(_), _) => self.not_registered(point, "its answer makes no sense"),
            (Errand::Discover(..), Response::Found { nodes, cookie }) => {
                if !self.points.discovered(point, nodes.iter().map(|(peer, _)| *peer), cookie) {
                    debug!(%point, "a rendezvous point tells more than it was asked");
                    return;
                }
                let same_machine = self.is_on_this_machine(&point);
                for (peer, addresses) in nodes {
                    if let Some(found) = candidate(peer, &addresses, same_machine) {
                        self.learn(found);
                    }
                }
            }
            (Errand::Discover(..), answer) => {
                debug!(%point, ?answer, "asked in vain");
                self.points.asked_in_vain(point);
            }
        }
    }

    fn not_registered(&mut self, point: PeerId, reason: &str) {
        debug!(%point, "not registered: {reason}");
        if let Some(address) = self.points.refused(point) {
            warn!("not registered at the rendezvous point {address}: {reason}; it is tried again and again");
        }
    }

    /// Tells the relay of an address to hand out. libp2p would have it wait for one that is confirmed from outside, which on a
    /// private network never comes; what is listened on is what peers there can reach.
    pub(super) fn offer(&mut self, address: &Multiaddr, listening: bool) {
        self.points.moved(self.now());
        let event = if listening {
            FromSwarm::ExternalAddrConfirmed(ExternalAddrConfirmed { addr: address })
        } else {
            FromSwarm::ExternalAddrExpired(ExternalAddrExpired { addr: address })
        };
        if let Some(relay) = self.swarm.behaviour_mut().relay_server.as_mut()
            && !is_relayed(address)
        {
            relay.on_swarm_event(event);
        }
    }

    /// Takes this node off the rendezvous points' lists. Returns whether there is anything to wait for.
    pub(super) fn leave_points(&mut self) -> bool {
        let registered = self.points.registered_at();
        let Some(client) = self.swarm.behaviour_mut().rendezvous.as_mut() else { return false };
        for point in &registered {
            let namespace = self.names.rendezvous_namespace();
            client.send_request(point, Request::Unregister { namespace });
        }
        !registered.is_empty()
    }
}
