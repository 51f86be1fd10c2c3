//! Connections: dialling, meeting, parting, and finding out who is there.

use core::time::Duration;

use libp2p::{
    Multiaddr, PeerId,
    core::ConnectedPoint,
    identify,
    swarm::{ConnectionError, ConnectionId, DialError, dial_opts::DialOpts, dial_opts::PeerCondition},
};
use tokio::sync::oneshot;
use tracing::{debug, info};

use super::{
    Driver,
    inflow::Amount,
    links::{Connection, Link, Waiting},
    liveness::MAX_LOST_PINGS,
    reason,
};
use crate::{
    address::is_relayed,
    discovery::{Candidate, Origin, split_peer_id},
    event::Direction,
    handle::ConnectError,
    limits::Exceeded,
    notice::{self, Notice},
    peers::{Dial, Target},
    topics::Kinship,
    wire::status::Agent,
};

/// Meeting points that nobody named and that are kept. Others leave like whoever does not say of which chain he is, unless
/// something goes through them.
const MAX_SERVICES: usize = 1;
/// Calls of `connect` that wait at once. When there are more, the call is declined.
const MAX_WAITING: usize = 64;

impl Driver {
    /// Makes the dials that the peer book asks for.
    pub(super) fn dial_due(&mut self, now: Duration) {
        let gate = self.swarm.behaviour();
        let due = self.book.dials(now, self.target_outbound, &|address| gate.is_open(address));
        for Dial { target, addresses } in due {
            let options = match &target {
                Target::Peer(peer) => dial_peer(*peer, addresses),
                Target::Anchor(address) => dial_address(address.clone()),
            };
            let connection = options.connection_id();
            debug!(?target, "dialling");
            match self.dial(options) {
                Ok(()) => {
                    self.dialing.insert(connection, target);
                }
                Err(error) => {
                    debug!(?target, "not dialled: {}", reason::of_dial(&error));
                    match (&error, &target) {
                        // The swarm leaves out the addresses it listens on itself.
                        (DialError::NoAddresses, Target::Anchor(own)) => {
                            self.book.led_to_ourselves(&target, own, now);
                        }
                        _ => {
                            self.book.failed(&target, now);
                        }
                    }
                }
            }
        }
    }

    /// Dials, past the gate that holds back what the stack dials by itself.
    pub(super) fn dial(&mut self, options: DialOpts) -> Result<(), DialError> {
        let id = options.connection_id();
        self.swarm.behaviour_mut().announce(id);
        self.swarm.dial(options).inspect_err(|_| self.swarm.behaviour_mut().forget(id))
    }

    pub(super) fn connect(
        &mut self,
        address: Multiaddr,
        origin: Origin,
        reply: oneshot::Sender<Result<PeerId, ConnectError>>,
    ) {
        let now = self.now();
        let candidate = Candidate::from_address(address.clone(), origin);
        let refusal = if candidate.peer == Some(self.own) {
            Some(ConnectError::OwnAddress { address: address.clone() })
        } else if candidate.clone().usable(self.own).is_none() {
            Some(ConnectError::Unusable { address: address.clone() })
        } else if self.waiting.len() >= MAX_WAITING {
            Some(ConnectError::Refused { address: address.clone(), reason: "too many attempts at once".into() })
        } else {
            None
        };
        if let Some(refusal) = refusal {
            // Whoever asked may have given up; so below.
            let _ = reply.send(Err(refusal));
            return;
        }
        if let Some(peer) = self.connected_at(&candidate) {
            self.book.keep(candidate, peer, now);
            let _ = reply.send(Ok(peer));
            return;
        }
        let options = match (candidate.peer, candidate.addresses) {
            (Some(peer), addresses) => {
                self.book.hasten(peer);
                DialOpts::peer_id(peer)
                    .addresses(addresses)
                    .condition(PeerCondition::Always)
                    .allocate_new_port()
                    .build()
            }
            (None, _) => dial_address(address.clone()),
        };
        let connection = options.connection_id();
        let waiting = Waiting { connection, address, origin, peer: None, reply };
        match self.dial(options) {
            Ok(()) => self.waiting.push(waiting),
            Err(error) => self.refuse_waiting(waiting, None, &error),
        }
    }

    /// The peer of our chain that is connected already as the candidate asks for, if there is one.
    fn connected_at(&self, candidate: &Candidate) -> Option<PeerId> {
        let met = |connection: &Connection| {
            connection.direction == Direction::Outbound && candidate.addresses.contains(&connection.address)
        };
        let confirmed = self.links.iter().filter(|(_, link)| link.confirmed.is_some());
        let mut matching = confirmed.filter(|(peer, link)| match candidate.peer {
            Some(wanted) => wanted == **peer,
            None => link.connections.iter().any(met),
        });
        matching.next().map(|(peer, _)| *peer)
    }

    pub(super) fn established(&mut self, peer: PeerId, id: ConnectionId, endpoint: &ConnectedPoint) {
        let now = self.now();
        let direction = if endpoint.is_dialer() { Direction::Outbound } else { Direction::Inbound };
        let (address, _) = split_peer_id(remote_of(endpoint).clone());
        let target = self.dialing.remove(&id);
        let link = self.links.entry(peer).or_insert_with(|| Link::new(now));
        let first = link.connections.is_empty();
        link.connections.push(Connection {
            id,
            address: address.clone(),
            direction,
            lost_pings: 0,
            suspected_at: None,
            since: now,
            alive_at: now,
            claims: Vec::new(),
        });
        let confirmed = link.confirmed.is_some();
        // Whoever is being parted from comes back when that is done, not beside it.
        if link.parting.is_some() {
            let _ = self.swarm.close_connection(id);
        }
        if endpoint.is_dialer() && self.points.met(peer, &address) {
            link.service = true;
        }
        // Through a hole that both ends punched anybody comes in.
        let punched = link.connections.iter().any(|connection| is_relayed(&connection.address));
        if direction == Direction::Inbound && !punched {
            self.observer.inbound(&address, now);
        }
        if first {
            debug!(%peer, %address, ?direction, "connected");
            if self.swarm.behaviour().is_new(id) {
                // Of what dials by itself only Kademlia dials peers that are not connected.
                self.book.connected_by(peer, Origin::Kademlia, &address, now);
            } else {
                let dialled = Target::Anchor(address.clone());
                let dialled = endpoint.is_dialer().then(|| (target.as_ref().unwrap_or(&dialled), &address));
                self.book.connected(peer, direction, dialled, now);
            }
            if direction == Direction::Inbound {
                self.book.came_from(peer, &address);
            }
        } else if let Some(target) = target {
            self.book.answered(&target, peer);
        }
        for waiting in self.waiting.iter_mut().filter(|waiting| waiting.connection == id) {
            waiting.peer = Some(peer);
        }
        if confirmed {
            self.welcome_waiting(peer);
            self.publish_peers();
        }
    }

    pub(super) fn closed(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        endpoint: &ConnectedPoint,
        cause: Option<&ConnectionError>,
    ) {
        let now = self.now();
        let why = cause.map_or_else(|| "closed here".to_owned(), reason::of_end);
        if cause.is_some_and(reason::is_silence) {
            self.fell_silent(peer, id);
        }
        let (address, _) = split_peer_id(remote_of(endpoint).clone());
        debug!(%peer, "disconnected: {why}");
        if let Some(link) = self.links.get_mut(&peer) {
            let is_silent = |connection: &Connection| connection.id == id && connection.lost_pings >= MAX_LOST_PINGS;
            let why = if link.connections.iter().any(is_silent) { "it no longer answers".to_owned() } else { why };
            let relay = link.relay();
            link.connections.retain(|connection| connection.id != id);
            match link.connections.first() {
                Some(oldest) => self.book.turned(peer, oldest.direction, &oldest.address),
                None => {
                    let link = self.links.remove(&peer).filter(|link| link.confirmed.is_some());
                    let used_up = |link: &Link, relay| link.carried >= self.circuits.worth_renewing(&relay);
                    let renewed = link.as_ref().zip(relay).is_some_and(|(link, relay)| used_up(link, relay));
                    let by_order = link.as_ref().is_some_and(|link| link.parting.is_some());
                    if let Some(link) = link {
                        self.note_departure(peer, address, link.parting.unwrap_or(why));
                    }
                    self.observer.gone(&peer);
                    self.book.disconnected(peer, now);
                    // A circuit that is used up is no failure: another may follow at once, as far as its relay lets it.
                    if renewed && !by_order {
                        self.book.hasten(peer);
                    }
                }
            }
        }
        let reason = "it closed the connection before it said which chain it is on";
        self.release_waiting(
            |waiting| waiting.connection == id,
            |address| Err(ConnectError::Refused { address, reason: reason.into() }),
        );
        self.publish_peers();
        self.update_reach();
    }

    /// A dial has failed; `peer` is who answered or was looked for, if that is known.
    pub(super) fn dial_failed(&mut self, id: ConnectionId, peer: Option<PeerId>, error: &DialError) {
        let now = self.now();
        match error {
            DialError::LocalPeerId { address } => self.clones.dial_met_own_id(address, now),
            // As by hole punching, which tries the other's loopback addresses, too.
            DialError::WrongPeerId { obtained, address } if *obtained == self.own => {
                self.clones.dial_met_own_id(address, now);
            }
            _ => {}
        }
        let connected = peer.filter(|peer| self.links.get(peer).is_some_and(|link| link.confirmed.is_some()));
        if let Some(target) = self.dialing.remove(&id) {
            let reason = reason::of_dial(error);
            debug!(?target, "dialling failed: {reason}");
            let news = match error {
                DialError::LocalPeerId { address } => {
                    self.book.led_to_ourselves(&target, &split_peer_id(address.clone()).0, now);
                    false
                }
                DialError::WrongPeerId { address, .. } => {
                    self.book.led_elsewhere(&target, &split_peer_id(address.clone()).0, now)
                }
                DialError::Denied { .. } if connected.is_some() => {
                    // One connection more than two to the same peer: the address is good, and not needed.
                    self.book.failed(&target, now);
                    connected.into_iter().for_each(|peer| self.book.answered(&target, peer));
                    false
                }
                _ => self.book.failed(&target, now),
            };
            if news {
                info!("{target} cannot be reached yet ({reason}); it is tried again and again");
            }
        }
        if let Some(at) = self.waiting.iter().position(|waiting| waiting.connection == id) {
            let waiting = self.waiting.swap_remove(at);
            self.refuse_waiting(waiting, connected, error);
        }
    }

    fn refuse_waiting(&mut self, waiting: Waiting, connected: Option<PeerId>, error: &DialError) {
        let Waiting { address, reply, .. } = waiting;
        let result = match error {
            // The swarm leaves out the addresses it listens on itself; all others were found usable before.
            DialError::LocalPeerId { .. } | DialError::NoAddresses => Err(ConnectError::OwnAddress { address }),
            DialError::Denied { cause } => match connected {
                Some(peer) => Ok(peer),
                None if cause.downcast_ref::<Exceeded>().is_some() => {
                    Err(ConnectError::Refused { address, reason: "this node has too many connections already".into() })
                }
                None => Err(ConnectError::Refused { address, reason: "this node has banned that peer".into() }),
            },
            _ => Err(ConnectError::Unreachable { address, reason: reason::of_dial(error) }),
        };
        let _ = reply.send(result);
    }

    /// Tells those who wait for `peer` that it is connected and of our chain, and keeps the addresses they asked for.
    fn welcome_waiting(&mut self, peer: PeerId) {
        let now = self.now();
        let (met, others) = self.waiting.drain(..).partition(|waiting| waiting.peer == Some(peer));
        self.waiting = others;
        let met: Vec<Waiting> = met;
        for waiting in met {
            self.book.keep(Candidate::from_address(waiting.address, waiting.origin), peer, now);
            let _ = waiting.reply.send(Ok(peer));
        }
    }

    fn release_waiting(
        &mut self,
        affected: impl Fn(&Waiting) -> bool,
        outcome: impl Fn(Multiaddr) -> Result<PeerId, ConnectError>,
    ) {
        let (released, others) = self.waiting.drain(..).partition(|waiting| affected(waiting));
        self.waiting = others;
        let released: Vec<Waiting> = released;
        for waiting in released {
            let _ = waiting.reply.send(outcome(waiting.address));
        }
    }

    pub(super) fn identify_event(&mut self, event: identify::Event) {
        match event {
            identify::Event::Received { peer_id, connection_id, info } => {
                let now = self.now();
                let amount = self.links.get_mut(&peer_id).map_or(Amount::Much, |link| link.inflow.introduced(now));
                if !self.bears(peer_id, amount, "says without end who it is") {
                    return;
                }
                self.seen_by(peer_id, connection_id, &info);
                self.look_for_two_places(peer_id, connection_id, &info.listen_addrs);
                self.identified(peer_id, info);
            }
            identify::Event::Error { peer_id, error, .. } => debug!(peer = %peer_id, "no identification: {error}"),
            identify::Event::Sent { .. } | identify::Event::Pushed { .. } => {}
        }
    }

    /// A peer has said who it is: of our chain, a meeting point, or nobody of ours.
    fn identified(&mut self, peer: PeerId, info: identify::Info) {
        match self.names.kinship(&info.protocol_version) {
            Kinship::Ours => {
                self.feed_kademlia(peer, &info.protocols, &info.listen_addrs);
                self.confirm(peer, &info.agent_version, info.listen_addrs);
            }
            Kinship::MeetingPoint => {
                self.feed_kademlia(peer, &info.protocols, &info.listen_addrs);
                self.serves(peer);
            }
            Kinship::Inquirer => debug!(%peer, "somebody looks who is here"),
            // Any libp2p program may serve as a rendezvous point, and as a relay for as long as something goes through it.
            Kinship::OtherChain(_) | Kinship::Stranger(_) if self.points.contains(peer) => self.serves(peer),
            Kinship::Stranger(software) if self.carries(&peer) => {
                debug!(%peer, software, "a relay in use");
                self.book.serves(peer);
                self.refuse_other_chain(peer, &none(&software));
            }
            Kinship::OtherChain(chain) => self.part(peer, &chain.to_string()),
            Kinship::Stranger(software) => self.part(peer, &none(&software)),
        }
    }

    /// A peer is of our chain.
    fn confirm(&mut self, peer: PeerId, agent: &str, addresses: Vec<Multiaddr>) {
        let now = self.now();
        let same_machine = self.is_on_this_machine(&peer);
        let Some(link) = self.links.get_mut(&peer) else { return };
        let known = link.confirmed.replace(Agent::new(agent)).is_some();
        let (open, others) = self.open_and_others(addresses, same_machine);
        self.book.confirmed(peer, open, same_machine, now);
        self.book.doubt(peer, others, now);
        if !known {
            info!(%peer, agent = %Agent::new(agent), "a peer has come");
            self.ask_peer_for_peers(peer);
        }
        self.welcome_waiting(peer);
        self.publish_peers();
        self.update_reach();
    }

    /// A peer is a meeting point: kept, and told to nobody. Whoever comes and says so is no use to this node, and is as silent
    /// as any other that does not say of which chain it is; of those that were dialled but not named one is kept, and the others
    /// are left alone for a while: who says so must not have this node dial on and on.
    fn serves(&mut self, peer: PeerId) {
        // First, for whoever a person asked for is named from then on.
        self.welcome_waiting(peer);
        let unnamed = |peer: &PeerId| !self.points.contains(*peer) && !self.book.is_named(peer);
        let others =
            self.links.iter().filter(|(other, link)| **other != peer && link.service && unnamed(other)).count();
        let has_room = !unnamed(&peer) || others < MAX_SERVICES;
        let Some(link) = self.links.get_mut(&peer) else { return };
        let dialled = link.connections.iter().any(|one| one.direction == Direction::Outbound);
        link.service = has_room && dialled;
        debug!(%peer, kept = link.service, "a meeting point");
        if link.service || self.carries(&peer) {
            self.book.serves(peer);
        } else if dialled {
            self.book.leave_alone(peer, self.now());
        }
    }

    /// A peer is of another chain, or of none: it is left alone. `chain` is its name, which is logged once.
    fn part(&mut self, peer: PeerId, chain: &str) {
        let now = self.now();
        self.forget_in_kademlia(&peer);
        if self.book.foreign(peer, chain, now) {
            let met = self.links.get(&peer).and_then(|link| link.connections.first());
            let address = met.map(|connection| connection.address.clone());
            let shown = address.as_ref().map(ToString::to_string);
            info!(%peer, address = shown, "there are nodes of another chain here, they are left alone: {chain}");
            notice::publish(&self.notices, Notice::OtherChain { chain: chain.to_owned(), address });
        }
        self.refuse_other_chain(peer, chain);
        match self.links.get_mut(&peer) {
            // Who dialled is still to hear from us which chain this is: closing at once would leave it guessing.
            Some(link) if link.is_inbound() => link.foreign = Some(now),
            Some(_) | None => self.disconnect(peer),
        }
    }

    /// Tells those who wait for `peer` that it is of another chain, or of none.
    fn refuse_other_chain(&mut self, peer: PeerId, chain: &str) {
        self.release_waiting(
            |waiting| waiting.peer == Some(peer),
            |address| Err(ConnectError::OtherChain { address, chain: chain.to_owned() }),
        );
    }

    /// Closes the connections to a peer, and keeps the reason for people to see.
    pub(super) fn part_from(&mut self, peer: PeerId, why: &str) {
        debug!(%peer, "parting: {why}");
        if let Some(link) = self.links.get_mut(&peer) {
            link.parting = Some(why.to_owned());
        }
        self.disconnect(peer);
    }

    pub(super) fn disconnect(&mut self, peer: PeerId) {
        // An error means that it is not connected.
        let _ = self.swarm.disconnect_peer_id(peer);
    }
}

/// What is said of the chain of a program that is no node.
fn none(software: &str) -> String {
    format!("none ({software:?})")
}

/// Where a connection leads. Of a peer that has come through a relay, libp2p names the id alone; the address at that relay
/// says that there is one in between.
fn remote_of(endpoint: &ConnectedPoint) -> &Multiaddr {
    match endpoint {
        ConnectedPoint::Listener { local_addr, .. } if endpoint.is_relayed() => local_addr,
        _ => endpoint.get_remote_address(),
    }
}

/// Dials whoever is there, from the listening port: so a router opens that very port to the outside, and whoever is there
/// sees how this node may be reached. Peers of the book are dialled from a port of its own each: were it the same, two
/// nodes that dial each other at once could meet in one TCP connection that both believe to have opened.
fn dial_address(address: Multiaddr) -> DialOpts {
    DialOpts::unknown_peer_id().address(address).build()
}

/// Dials a peer of the book. Where one of its addresses is at a relay, other parts of the stack that are dialling it already
/// are not waited for: they try the direct ones, which nobody reaches, until they time out, and a circuit is made at once.
fn dial_peer(peer: PeerId, addresses: Vec<Multiaddr>) -> DialOpts {
    let condition = match addresses.iter().any(is_relayed) {
        true => PeerCondition::Disconnected,
        false => PeerCondition::default(),
    };
    DialOpts::peer_id(peer).condition(condition).addresses(addresses).allocate_new_port().build()
}

#[cfg(test)]
mod tests;
