//! How others reach this node: addresses that peers see and try, the router's forwarding, relays, and holes through
//! routers.

use core::time::Duration;

use libp2p::{
    Multiaddr, PeerId, autonat, core::transport::ListenerId, dcutr, identify, multiaddr::Protocol, relay,
    swarm::ConnectionId,
};
use rand::seq::IteratorRandom;
use tracing::{debug, info};

use super::{
    Driver,
    links::{Connection, Link},
};
use crate::{address::is_relayed, event::Direction, peers::conduct::Fault};

/// Relays that a node which cannot be reached is reachable through at once.
const RELAYS: usize = 2;
/// How long a relay that refused is left alone.
const RELAY_PAUSE: Duration = Duration::from_secs(60);
/// Relays that refused; more are not remembered.
const MAX_PAUSED: usize = 32;
/// Addresses of this node at one relay; an honest one has at most 20. One that names more is left.
const MAX_RELAY_ADDRESSES: usize = 32;
/// How often what a peer sees of this node, while it is connected, may lead to a probe.
const MAX_SIGHTINGS: u32 = 4;
/// Addresses believed and told to others at once.
const MAX_EXTERNAL: usize = 8;

/// Reservations at relays.
#[derive(Default)]
pub(super) struct Reservations {
    /// At most [`RELAYS`].
    held: Vec<Reservation>,
    /// Relays that refused or were lost, and until when they are left alone. At most [`MAX_PAUSED`].
    paused: Vec<(PeerId, Duration)>,
}

struct Reservation {
    relay: PeerId,
    /// Where others reach this node through it.
    address: Multiaddr,
    listener: ListenerId,
}

impl Driver {
    /// What a peer sees of this node: the address from which it is connected.
    pub(super) fn seen_by(&mut self, peer: PeerId, connection: ConnectionId, info: &identify::Info) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        link.relays = info.protocols.contains(&relay::HOP_PROTOCOL_NAME);
        let Some(known) = link.connections.iter().find(|known| known.id == connection) else { return };
        if is_relayed(&known.address) {
            return;
        }
        let (remote, outbound) = (known.address.clone(), known.direction == Direction::Outbound);
        let listening = self.listening_on();
        self.observer.observed(peer, &remote, &info.observed_addr, outbound, &listening);
        // A peer that names ever new addresses must not use up what may be probed.
        let Some(link) = self.links.get_mut(&peer) else { return };
        link.sightings = link.sightings.saturating_add(1);
        if link.sightings <= MAX_SIGHTINGS
            && let Some(probes) = self.swarm.behaviour_mut().probes.as_mut()
        {
            self.observer.candidates().keys().for_each(|address| probes.candidate(address));
        }
        self.update_reach();
    }

    pub(super) fn probed(&mut self, event: &autonat::v2::client::Event) {
        let reachable = event.result.is_ok();
        debug!(address = %event.tested_addr, peer = %event.server, reachable, "a peer has tried an address of this node");
        self.observer.probed(&event.tested_addr, event.server, reachable);
        self.update_reach();
    }

    pub(super) fn relay_event(&mut self, event: &relay::client::Event) {
        match event {
            relay::client::Event::ReservationReqAccepted { relay_peer_id, renewal, limit } => {
                let limit = limit.as_ref().and_then(|limit| limit.data_in_bytes());
                self.circuits.limited(*relay_peer_id, limit, self.now());
                if !renewal {
                    info!(relay = %relay_peer_id, "reachable through a relay");
                }
                if let Some(held) = self.reservations.held.iter().find(|held| held.relay == *relay_peer_id) {
                    self.observer.reserved(*relay_peer_id, &held.address);
                }
                self.update_reach();
            }
            relay::client::Event::OutboundCircuitEstablished { relay_peer_id, limit } => {
                let limit = limit.as_ref().and_then(|limit| limit.data_in_bytes());
                self.circuits.limited(*relay_peer_id, limit, self.now());
                debug!(relay = %relay_peer_id, "connected through a relay");
            }
            relay::client::Event::InboundCircuitEstablished { src_peer_id, .. } => {
                debug!(peer = %src_peer_id, "a peer has come through a relay");
            }
        }
    }

    pub(super) fn hole_punching_event(event: &dcutr::Event) {
        match &event.result {
            Ok(_) => info!(peer = %event.remote_peer_id, "a direct connection instead of a relayed one"),
            Err(error) => debug!(peer = %event.remote_peer_id, "no direct connection: {error}"),
        }
    }

    /// Asks for as many relays as are needed: none where the node can be reached without. What is held already is kept as
    /// long as the relay is connected, for libp2p panics when a relay grants what is no longer wanted.
    pub(super) fn seek_relays(&mut self, now: Duration) {
        self.reservations.paused.retain(|(_, until)| *until > now);
        if self.reservations.held.len() >= RELAYS || !self.observer.wants_relay(&self.listening_on()) {
            return;
        }
        let reservations = &self.reservations;
        let fit = |peer: &PeerId| {
            reservations.held.iter().all(|held| held.relay != *peer)
                && reservations.paused.iter().all(|(paused, _)| paused != peer)
        };
        let relays = self.links.iter().filter(|(peer, link)| link.relays && fit(peer)).filter_map(|(peer, link)| {
            let direct = |address: &&Multiaddr| !is_relayed(address);
            let ours = link.connections.iter().filter(|connection| connection.direction == Direction::Outbound);
            let address = ours.map(|connection| &connection.address).find(direct)?;
            Some((*peer, address.clone().with(Protocol::P2p(*peer)).with(Protocol::P2pCircuit)))
        });
        // By lot: a peer id can be made to be the first of all, and every node would be behind the same relay.
        let Some((relay, address)) = relays.choose(&mut self.lots) else { return };
        match self.swarm.listen_on(address.clone()) {
            Ok(listener) => self.reservations.held.push(Reservation { relay, address, listener }),
            Err(error) => {
                debug!(%relay, "no reservation: {error}");
                self.reservations.pause(relay, now);
            }
        }
    }

    /// Tells when there is room again in what may go through relays.
    pub(super) fn open_circuits(&self) {
        if self.links.values().any(|link| link.relay().is_some()) {
            self.publish_peers();
        }
    }

    /// A relay has said where this node is reached through it. It may say so again with each renewal.
    pub(super) fn listens_at_relay(&mut self, listener: ListenerId, address: Multiaddr) {
        let known = self.listeners.iter().filter(|(id, _)| *id == listener).count();
        if known < MAX_RELAY_ADDRESSES {
            debug!(%address, "reachable through a relay at an address");
            self.listeners.push((listener, address));
            self.points.moved(self.now());
            return self.publish_listening();
        }
        // libp2p keeps them all as long as the connection lasts, and tells them to every peer.
        let relay = self.reservations.held.iter().find(|held| held.listener == listener).map(|held| held.relay);
        if let Some(relay) = relay.filter(|_| known == MAX_RELAY_ADDRESSES) {
            self.listeners.push((listener, address));
            self.penalise(relay, Fault::Serious, "a relay that names ever more addresses");
            self.disconnect(relay);
        }
    }

    /// A listener has ended; if it was at a relay, that relay is left alone for a while. Returns whether it was.
    pub(super) fn reservation_ended(&mut self, listener: ListenerId) -> bool {
        let Some(at) = self.reservations.held.iter().position(|held| held.listener == listener) else { return false };
        let Reservation { relay, .. } = self.reservations.held.swap_remove(at);
        debug!(%relay, "no longer reachable through a relay");
        let now = self.now();
        self.reservations.pause(relay, now);
        self.observer.lost(&relay);
        self.update_reach();
        true
    }

    /// An address has been confirmed by a part of the stack. A peer that lies could confirm one after another: beyond a few
    /// they are not told to others.
    pub(super) fn external_confirmed(&mut self, address: &Multiaddr) {
        if self.swarm.external_addresses().count() > MAX_EXTERNAL + self.configured_external {
            self.swarm.remove_external_address(address);
            return;
        }
        debug!(%address, "an address by which others reach this node");
        self.points.moved(self.now());
        self.update_reach();
    }

    /// Tells others the addresses that enough peers have seen, and publishes the verdict.
    pub(super) fn update_reach(&mut self) {
        let known: Vec<Multiaddr> = self.swarm.external_addresses().cloned().collect();
        let room = (MAX_EXTERNAL + self.configured_external).saturating_sub(known.len());
        let believed = self.observer.believed();
        for address in believed.into_iter().filter(|address| !known.contains(address)).take(room) {
            info!(%address, "peers see this node at an address");
            self.points.moved(self.now());
            self.swarm.add_external_address(address);
        }
        let dialled = |link: &&Link| {
            let ours = |one: &Connection| one.direction == Direction::Outbound && !is_relayed(&one.address);
            link.confirmed.is_some() && link.connections.iter().any(ours)
        };
        self.observer.dialled(self.links.values().filter(dialled).count());
        let external = self.swarm.external_addresses().cloned().collect();
        let reachability = self.observer.verdict(&self.listening_on(), external);
        self.reachability.send_if_modified(|published| {
            let changed = *published != reachability;
            if changed {
                *published = reachability;
            }
            changed
        });
    }

    /// What is listened on, without what is listened on at relays.
    pub(super) fn listening_on(&self) -> Vec<Multiaddr> {
        self.listeners.iter().map(|(_, address)| address).filter(|address| !is_relayed(address)).cloned().collect()
    }
}

impl Reservations {
    /// Whether one is held at `relay`.
    pub(super) fn are_at(&self, relay: &PeerId) -> bool {
        self.held.iter().any(|held| held.relay == *relay)
    }

    fn pause(&mut self, relay: PeerId, now: Duration) {
        if self.paused.len() >= MAX_PAUSED {
            self.paused.remove(0);
        }
        self.paused.push((relay, now.saturating_add(RELAY_PAUSE)));
    }
}
