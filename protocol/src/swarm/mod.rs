//! The event loop: the one task that owns the swarm and the peer book.
//!
//! It takes commands from a bounded queue, hands events to a bounded queue without ever waiting for it, and looks at the
//! clock four times a second. All state of connections is here; what others need of it is published by `watch`.

mod bans;
pub(crate) mod bind;
pub(crate) mod bucket;
pub(crate) mod circuits;
mod copies;
pub(crate) mod crowd;
mod forwarding;
mod gossip;
mod inflow;
mod links;
mod liveness;
mod measure;
mod meeting;
mod moving;
mod peering;
mod pruning;
mod quota;
mod reach;
pub(crate) mod reason;
mod requests;
#[cfg(test)]
mod rig;
mod spec;
mod start;

use core::time::Duration;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm,
    core::transport::ListenerId,
    request_response::OutboundRequestId,
    swarm::{ConnectionId, FromSwarm, NetworkBehaviour, SwarmEvent, behaviour::NewListenAddr},
};
use rand::rngs::StdRng;
use tokio::{
    sync::{Semaphore, mpsc, watch},
    time::{Instant, MissedTickBehavior},
};
use tracing::{debug, info, warn};

pub use self::start::start;
use self::{
    circuits::Circuits,
    forwarding::Forwarding,
    gossip::Outbox,
    links::{Link, Waiting},
    measure::Measures,
    moving::Leaving,
    reach::Reservations,
    requests::Requests,
};
use crate::{
    address::{ip, is_relayed},
    behaviour::{BehaviourEvent, Gated},
    closing::Doubts,
    discovery::{
        Candidate, mdns,
        rendezvous::{Errand, Points},
    },
    event::{Departure, NetworkEvent, PeerInfo},
    handle::{Bans, Command, NetworkHandle},
    identity::Identity,
    listening,
    notice::Notice,
    peers::{PeerBook, Target, clones::Clones},
    reachability::{Reachability, observer::Observer},
    topics::Names,
};

/// KiB of gossip that the node may hold unexamined. When used up, further gossip is dropped until a verdict frees some.
pub(crate) const UNEXAMINED_KIB: usize = 64 << 10;
/// How often the driver looks at the clock: for dials that are due, bans that end, peers that never said who they are.
const TICK: Duration = Duration::from_millis(250);
/// How long the word to the rendezvous points may take that this node leaves.
const FLUSHING: Duration = Duration::from_millis(300);

/// A started network.
#[derive(Debug)]
pub struct Network {
    /// The way to it.
    pub handle: NetworkHandle,
    /// What it tells; at most 1024 events wait, see [`NetworkEvent`].
    pub events: mpsc::Receiver<NetworkEvent>,
    /// The task that makes it work; nothing happens before it is run.
    pub driver: Driver,
}

/// The task that makes the network work. It ends when it is stopped or when the last handle is gone.
pub struct Driver {
    swarm: Swarm<Gated>,
    /// Whether its connections live.
    doubts: Doubts,
    own: PeerId,
    /// Signs what is registered at rendezvous points.
    identity: Identity,
    names: Names,
    /// Told to whoever asks.
    specification: Arc<str>,
    max_block_len: usize,
    target_outbound: usize,
    /// Inbound peers at most.
    max_peers: u32,
    book: PeerBook,
    /// Decides where one choice is as good as another.
    lots: StdRng,
    /// The connected peers, known to be of our chain or not yet.
    links: BTreeMap<PeerId, Link>,
    /// What is being dialled by the book's advice.
    dialing: BTreeMap<ConnectionId, Target>,
    /// People who wait for a connection; bounded where it grows.
    waiting: Vec<Waiting>,
    outbox: Outbox,
    requests: Requests,
    /// Room for unexamined gossip, in KiB.
    space: Arc<Semaphore>,
    /// What is listened on now.
    listeners: Vec<(ListenerId, Multiaddr)>,
    /// Rendezvous points.
    points: Points,
    /// What they were asked and have not answered; a few each, for libp2p gives up after 10 seconds.
    errands: HashMap<OutboundRequestId, Errand>,
    /// Whether to ask peers of their peers.
    exchange: bool,
    /// What is known of how others reach this node.
    observer: Observer,
    /// Port forwarding by the router.
    forwarding: Forwarding,
    /// Whether this machine may be moving.
    leaving: Option<Leaving>,
    reservations: Reservations,
    /// What goes through relays.
    circuits: Circuits,
    /// Signs of copies of our own identity.
    clones: Clones,
    /// How many addresses are announced because the configuration says so.
    configured_external: usize,
    /// When to try mDNS again, if it could not be started.
    mdns_retry: Option<Duration>,
    /// When a peer was last asked for its peers.
    asked_at: Duration,
    started: Instant,
    /// What is counted, if somebody wants to know.
    measures: Option<Measures>,
    commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<NetworkEvent>,
    peers: watch::Sender<Arc<Vec<PeerInfo>>>,
    listening: watch::Sender<Vec<Multiaddr>>,
    reachability: watch::Sender<Reachability>,
    notices: watch::Sender<Arc<Vec<Notice>>>,
    bans: watch::Sender<Bans>,
    departures: watch::Sender<Arc<Vec<Departure>>>,
}

impl core::fmt::Debug for Driver {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Driver").field("own", &self.own).field("links", &self.links.len()).finish_non_exhaustive()
    }
}

impl Driver {
    /// Runs until [`NetworkHandle::stop`] is called or no handle is left, and closes all connections before it ends.
    pub async fn run(mut self) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stopped = loop {
            tokio::select! {
                biased;
                _ = tick.tick() => self.tick(),
                command = self.commands.recv() => match command {
                    None => break None,
                    Some(Command::Stop(stopped)) => break Some(stopped),
                    Some(command) => self.command(command),
                },
                Some(answer) = self.requests.answers.recv() => self.send_answer(answer),
                event = self.swarm.select_next_some() => self.swarm_event(event),
            }
        };
        self.close().await;
        drop(self);
        if let Some(stopped) = stopped {
            // Whoever asked may have gone meanwhile.
            let _ = stopped.send(());
        }
    }

    /// Time since the network was started.
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::PublishBlock(bytes) => self.publish_block(bytes),
            Command::PublishTransactions(transactions) => self.publish_transactions(transactions),
            Command::Report(id, verdict) => self.report(&id, verdict),
            Command::Request(peer, request, answer) => self.request(peer, request, answer),
            Command::Connect(address, origin, reply) => self.connect(address, origin, reply),
            Command::AddCandidates(candidates) => candidates.into_iter().for_each(|candidate| self.learn(candidate)),
            Command::Penalise(peer, fault, reason) => self.penalise(peer, fault, &reason),
            Command::Disconnect(peer) => self.part_from(peer, "by order"),
            Command::Woke => {
                self.suspect_connections(None);
                self.book.hasten_all(self.now());
            }
            Command::Ban(ban, reply) => self.ban_by_order(ban, reply),
            Command::LiftBans(peer, reply) => self.lift_bans(peer, reply),
            Command::KnownNodes(reply) => {
                // Whoever asked may have gone.
                let _ = reply.send(self.book.known(self.now()));
            }
            // Whoever asked may have lost patience.
            Command::Answer(reply) => drop(reply.send(())),
            // The loop takes it out before.
            Command::Stop(_) => {}
        }
    }

    fn tick(&mut self) {
        let now = self.now();
        self.end_bans(now);
        self.waiting.retain(|waiting| !waiting.reply.is_closed());
        self.drop_silent_peers(now);
        self.decide_move(now);
        self.close_suspects(now);
        self.ask_router(now);
        self.prune(now);
        self.thin_out(now);
        self.dial_due(now);
        self.visit_points(now);
        self.seek_relays(now);
        self.name_copies(now);
        self.ask_for_peers(now);
        self.open_circuits();
        if self.mdns_retry.is_some_and(|at| at <= now) {
            self.retry_mdns(now);
        }
    }

    fn swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        if let Some(measures) = &self.measures {
            measures.record(&event);
        }
        match event {
            SwarmEvent::Behaviour(event) => self.behaviour_event(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.established(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, endpoint, cause, .. } => {
                self.closed(peer_id, connection_id, &endpoint, cause.as_ref());
            }
            SwarmEvent::OutgoingConnectionError { connection_id, peer_id, error } => {
                self.dial_failed(connection_id, peer_id, &error);
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                self.incoming_failed(&send_back_addr, &error);
            }
            SwarmEvent::NewListenAddr { listener_id, address } => self.listens(listener_id, address),
            SwarmEvent::ExpiredListenAddr { listener_id, address } => self.listens_no_more(listener_id, &address),
            SwarmEvent::ListenerClosed { listener_id, reason, .. } => {
                self.listeners.retain(|(id, _)| *id != listener_id);
                self.publish_listening();
                let at_relay = self.reservation_ended(listener_id);
                if let (Err(error), false) = (reason, at_relay) {
                    warn!("stopped listening: {error}");
                }
            }
            SwarmEvent::ExternalAddrConfirmed { address } => self.external_confirmed(&address),
            SwarmEvent::ExternalAddrExpired { .. } => {
                self.points.moved(self.now());
                self.update_reach();
            }
            SwarmEvent::ListenerError { error, .. } => debug!("listening: {error}"),
            _ => {}
        }
    }

    fn behaviour_event(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Gossip(event) => self.gossip_event(event),
            BehaviourEvent::Sync(event) => self.sync_event(event),
            BehaviourEvent::Peers(event) => self.peers_event(event),
            BehaviourEvent::Spec(event) => self.spec_event(event),
            BehaviourEvent::Identify(event) => self.identify_event(event),
            BehaviourEvent::Ping(event) => self.ping_event(event),
            BehaviourEvent::Mdns(event) => self.mdns_event(event),
            BehaviourEvent::Kademlia(event) => Self::kademlia_event(&event),
            BehaviourEvent::Rendezvous(event) => self.rendezvous_event(event),
            BehaviourEvent::Upnp(event) => self.upnp_event(event),
            BehaviourEvent::Probes(event) => self.probed(&event),
            BehaviourEvent::Probed(event) => {
                debug!(peer = %event.client, address = %event.tested_addr, "tried a peer's address");
            }
            BehaviourEvent::RelayClient(event) => self.relay_event(&event),
            BehaviourEvent::RelayServer(event) => debug!(?event, "relaying"),
            BehaviourEvent::HolePunching(event) => Self::hole_punching_event(&event),
            BehaviourEvent::Limits(never) => match never {},
            BehaviourEvent::Banned(never) => match never {},
            BehaviourEvent::Ranges(never) => match never {},
        }
    }

    /// Tries to start mDNS that could not be started before, and tells it what it has missed.
    fn retry_mdns(&mut self, now: Duration) {
        match mdns::behaviour(self.own) {
            Ok(mut behaviour) => {
                for (listener_id, addr) in &self.listeners {
                    let listening = NewListenAddr { listener_id: *listener_id, addr };
                    behaviour.on_swarm_event(FromSwarm::NewListenAddr(listening));
                }
                self.swarm.behaviour_mut().mdns = Some(behaviour).into();
                self.mdns_retry = None;
                info!("looking for nodes on the local network");
            }
            Err(error) => {
                debug!("mDNS still cannot be started: {error}");
                self.mdns_retry = Some(now.saturating_add(mdns::RETRY_INTERVAL));
            }
        }
    }

    /// Notes a candidate from whatever way to find nodes.
    fn learn(&mut self, candidate: Candidate) {
        if candidate.peer == Some(self.own) {
            self.told_of_ourselves(&candidate.addresses);
        } else {
            self.book.add(candidate, self.now());
        }
    }

    fn listens(&mut self, listener: ListenerId, address: Multiaddr) {
        if self.listeners.iter().any(|(id, known)| (*id, known) == (listener, &address)) {
            return;
        }
        if is_relayed(&address) {
            return self.listens_at_relay(listener, address);
        }
        info!(%address, "listening");
        self.offer(&address, true);
        // The network may have come back.
        self.book.hasten_all(self.now());
        self.may_have_router(&address);
        self.listeners.push((listener, address));
        self.publish_listening();
    }

    /// An address has gone, as when a cable is pulled or a network is left.
    fn listens_no_more(&mut self, listener: ListenerId, address: &Multiaddr) {
        info!(%address, "no longer listening");
        self.offer(address, false);
        self.listeners.retain(|(id, known)| (*id, known) != (listener, address));
        self.left(address);
        self.publish_listening();
        self.suspect_connections(ip(address));
    }

    fn publish_listening(&mut self) {
        let own = self.own;
        let addresses = self.listeners.iter().map(|(_, address)| bind::with_peer_id(address, own)).collect();
        self.listening.send_replace(addresses);
        self.update_reach();
    }

    fn publish_peers(&self) {
        let describe = |(peer, link): (&PeerId, &Link)| link.describe(*peer, &self.book, &self.circuits, self.now());
        let mut peers: Vec<_> = self.links.iter().filter_map(describe).collect();
        peers.sort_by_key(|peer| (peer.since, peer.id));
        self.peers.send_if_modified(|published| {
            let changed = **published != peers;
            if changed {
                *published = Arc::new(peers);
            }
            changed
        });
    }

    /// Says goodbye to every peer, so that it knows at once instead of after a time-out.
    async fn close(&mut self) {
        if self.leave_points() {
            // There is no answer to wait for; the few bytes take as long as the way to the point.
            let flushed = async {
                loop {
                    self.swarm.select_next_some().await;
                }
            };
            let _: Result<(), _> = tokio::time::timeout(FLUSHING, flushed).await;
        }
        listening::close(&mut self.swarm).await;
    }
}
