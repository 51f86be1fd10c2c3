//! A place to meet that is no node: it has no chain of its own and holds no blocks. Nodes register there and find each other
//! (rendezvous), ask for nodes near a key (Kademlia), and talk through it where they cannot reach each other (relay).
//!
//! [`start`] binds the listeners; nothing else happens before the [`Driver`] runs. Rendezvous serves every chain, each under
//! its own name; Kademlia serves the configured one.

mod behaviour;
mod guests;

use core::time::Duration;
use std::collections::BTreeSet;

use bard_chain::hash::ChainId;
use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm,
    core::{ConnectedPoint, transport::ListenerId},
    identify, kad, ping, relay, request_response,
    swarm::SwarmEvent,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, MissedTickBehavior},
};
use tracing::{debug, info, warn};

pub use self::guests::PATIENCE;
use self::{
    behaviour::{BehaviourEvent, Gated, RelayNews},
    guests::Guests,
};
use crate::{
    address::is_loopback,
    config::NetworkError,
    discovery::{is_dialable, kademlia, split_peer_id},
    identity::Identity,
    listening,
    rendezvous::{Answer, Question, Table},
    swarm::bind,
    topics::Names,
    wire::{limits::MAX_ADDRESSES, status::Agent},
};

/// How often the driver looks at the clock.
const TICK: Duration = Duration::from_secs(1);

/// Who a meeting point is, and where it listens.
#[derive(Clone, Debug)]
pub struct MeetingPointConfig {
    /// Who it is.
    pub identity: Identity,
    /// Where to listen, TCP and QUIC; port 0 lets the system choose.
    pub listen: Vec<Multiaddr>,
    /// Whether to take any free port of the same transport where the wanted one is taken, instead of failing.
    pub listen_optional: bool,
    /// Addresses by which others reach it and which it cannot see itself. Where there are none, those it listens on are told.
    pub external: Vec<Multiaddr>,
    /// The chain whose Kademlia it serves.
    pub chain: ChainId,
    /// The name and version of this software, shown to peers.
    pub agent: Agent,
    /// Inbound connections at most; above that they are refused.
    pub max_peers: u32,
    /// How long a peer may stay that is not registered, has no reservation at the relay, and asks nothing.
    pub patience: Duration,
    /// Where registrations are numbered from: above every number of an earlier run, so that what a node has been told before
    /// a restart hides nothing from it. Milliseconds of the wall clock times 1000 will do.
    pub first_number: u64,
}

impl MeetingPointConfig {
    /// The default of [`MeetingPointConfig::max_peers`]: some classes at once, at about 50 KiB a connection.
    pub const DEFAULT_MAX_PEERS: u32 = 512;
}

/// A started meeting point.
#[derive(Debug)]
pub struct MeetingPoint {
    /// The way to it.
    pub handle: MeetingPointHandle,
    /// The task that makes it work; nothing happens before it is run.
    pub driver: Driver,
}

/// The way to a meeting point. Cheap to clone.
#[derive(Clone, Debug)]
pub struct MeetingPointHandle {
    own: PeerId,
    listening: watch::Receiver<Vec<Multiaddr>>,
    stop: mpsc::Sender<oneshot::Sender<()>>,
}

impl MeetingPointHandle {
    /// Its id.
    pub fn peer_id(&self) -> PeerId {
        self.own
    }

    /// Where it listens now, each address with `/p2p/<peer id>` at the end. It changes with the network interfaces.
    pub fn listen_addresses(&self) -> Vec<Multiaddr> {
        self.listening.borrow().clone()
    }

    /// Closes all connections and ends the driver; returns when that is done.
    pub async fn stop(&self) {
        let (sender, receiver) = oneshot::channel();
        // An error means that the driver has ended already, here and below.
        let _ = self.stop.send(sender).await;
        let _ = receiver.await;
    }
}

/// Starts listening.
///
/// # Errors
/// [`NetworkError`]: an address that cannot be listened on, by name, or a part of the stack that cannot be set up.
pub async fn start(config: MeetingPointConfig) -> Result<MeetingPoint, NetworkError> {
    let own = config.identity.peer_id();
    // Whoever stops it waits for the end; a second one waits for the first.
    let (stop, stopped) = mpsc::channel(1);
    let (publish, listening) = watch::channel(Vec::new());
    let mut driver = Driver {
        swarm: behaviour::swarm(&config)?,
        own,
        kademlia: Names::new(config.chain).kademlia(),
        external: config.external,
        guests: Guests::new(config.max_peers, config.patience),
        table: Table::new(config.first_number),
        listeners: Vec::new(),
        announced: BTreeSet::new(),
        started: Instant::now(),
        listening: publish,
        stop: stopped,
    };
    driver.bind(&config.listen, config.listen_optional).await?;
    Ok(MeetingPoint { handle: MeetingPointHandle { own, listening, stop }, driver })
}

/// The task that makes a meeting point work. It ends when it is stopped or when the last handle is gone.
pub struct Driver {
    swarm: Swarm<Gated>,
    own: PeerId,
    /// The name of the protocol by which Kademlia is spoken here.
    kademlia: String,
    external: Vec<Multiaddr>,
    guests: Guests,
    table: Table,
    /// What is listened on now.
    listeners: Vec<(ListenerId, Multiaddr)>,
    /// What others are told.
    announced: BTreeSet<Multiaddr>,
    started: Instant,
    listening: watch::Sender<Vec<Multiaddr>>,
    stop: mpsc::Receiver<oneshot::Sender<()>>,
}

impl core::fmt::Debug for Driver {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Driver").field("own", &self.own).field("guests", &self.guests).finish_non_exhaustive()
    }
}

impl Driver {
    /// Runs until [`MeetingPointHandle::stop`] is called or no handle is left, and closes all connections before it ends.
    pub async fn run(mut self) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let asked = loop {
            tokio::select! {
                biased;
                _ = tick.tick() => self.tick(),
                asked = self.stop.recv() => break asked,
                event = self.swarm.select_next_some() => self.event(event),
            }
        };
        self.close().await;
        drop(self);
        if let Some(asked) = asked {
            // Whoever asked may have gone meanwhile.
            let _ = asked.send(());
        }
    }

    async fn bind(&mut self, wanted: &[Multiaddr], optional: bool) -> Result<(), NetworkError> {
        let mut silent: Vec<ListenerId> = Vec::new();
        for address in wanted {
            silent.push(listening::listen(&mut self.swarm, address, optional)?);
        }
        let deadline = Instant::now() + bind::PATIENCE;
        loop {
            silent.retain(|id| !self.listeners.iter().any(|(listening, _)| listening == id));
            if silent.is_empty() {
                return Ok(());
            }
            match tokio::time::timeout_at(deadline, self.swarm.select_next_some()).await {
                Ok(event) => self.event(event),
                Err(_) => {
                    warn!("there is no network interface to listen on yet");
                    return Ok(());
                }
            }
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn tick(&mut self) {
        let now = self.now();
        self.table.expire(now);
        for peer in self.guests.overdue(|peer| self.table.contains(peer), now) {
            debug!(%peer, "asks nothing and makes room");
            // An error means that it has gone already.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
    }

    fn event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.behaviour_event(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                let (from, inbound) = match &endpoint {
                    ConnectedPoint::Dialer { address, .. } => (address, false),
                    ConnectedPoint::Listener { send_back_addr, .. } => (send_back_addr, true),
                };
                let now = self.now();
                if !self.guests.came(peer_id, connection_id, from, inbound, now) {
                    debug!(peer = %peer_id, %from, "too many connections from one address");
                    self.swarm.close_connection(connection_id);
                }
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, .. } => self.guests.left(&peer_id, connection_id),
            SwarmEvent::NewListenAddr { listener_id, address } => {
                info!(%address, "listening");
                self.listeners.push((listener_id, address));
                self.publish();
            }
            SwarmEvent::ExpiredListenAddr { listener_id, address } => {
                self.listeners.retain(|known| *known != (listener_id, address.clone()));
                self.publish();
            }
            SwarmEvent::ListenerClosed { listener_id, .. } => {
                warn!("a listener has ended");
                self.listeners.retain(|(listening, _)| *listening != listener_id);
                self.publish();
            }
            _ => {}
        }
    }

    fn behaviour_event(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. }) => self.identified(peer_id, info),
            BehaviourEvent::Rendezvous(event) => self.rendezvous_event(event),
            BehaviourEvent::Relay(event) => self.relay_event(&event),
            BehaviourEvent::Ping(ping::Event { peer, connection, result }) => {
                let lost = matches!(result, Err(ping::Failure::Timeout | ping::Failure::Other { .. }));
                if self.guests.pinged(&peer, connection, lost) {
                    self.swarm.close_connection(connection);
                }
            }
            BehaviourEvent::Kademlia(kad::Event::InboundRequest { request }) => debug!(?request, "Kademlia was asked"),
            BehaviourEvent::Identify(_) | BehaviourEvent::Kademlia(_) => {}
            BehaviourEvent::Limits(never) | BehaviourEvent::Ranges(never) => match never {},
        }
    }

    /// A peer has said where it listens: if it speaks our Kademlia, others may be told.
    fn identified(&mut self, peer: PeerId, info: identify::Info) {
        let now = self.now();
        if !info.protocols.iter().any(|protocol| protocol.as_ref() == self.kademlia)
            || !self.guests.feed(&peer, kademlia::FEED_INTERVAL, now)
        {
            return;
        }
        let near = self.guests.source(&peer).is_some_and(|ip| ip.is_loopback());
        let plain = info.listen_addrs.into_iter().map(|address| split_peer_id(address).0);
        let addresses: Vec<_> = plain
            .filter(|address| is_dialable(address) && (near || !is_loopback(address)))
            .take(MAX_ADDRESSES)
            .collect();
        if !addresses.is_empty() {
            kademlia::feed(&mut self.swarm.behaviour_mut().kademlia, peer, addresses);
        }
    }

    fn rendezvous_event(&mut self, event: request_response::Event<Question, Answer>) {
        let request_response::Event::Message { peer, message, .. } = event else { return };
        let request_response::Message::Request { request, channel, .. } = message else { return };
        let now = self.now();
        if !self.guests.asked(&peer, now) {
            return;
        }
        let answer = match request {
            Question::Register { namespace, record, ttl } => {
                let source = self.guests.source(&peer);
                debug!(%peer, namespace, "registers");
                self.table.register(peer, source, (namespace, record, ttl), now)
            }
            Question::Discover { namespace, limit, cookie } => self.table.discover(namespace, limit, cookie, now),
            // No answer, by the specification.
            Question::Unregister { namespace } => return self.table.unregister(peer, namespace),
        };
        // An error means that the peer no longer waits.
        let _ = self.swarm.behaviour_mut().rendezvous.send_response(channel, answer);
    }

    fn relay_event(&mut self, event: &relay::Event) {
        let now = self.now();
        match RelayNews::of(event) {
            Some(RelayNews::Reserved(peer)) => self.guests.reserved(&peer, now),
            Some(RelayNews::Joined(from, to)) => [from, to].iter().for_each(|peer| self.guests.joined(peer)),
            Some(RelayNews::Parted(from, to)) => [from, to].iter().for_each(|peer| self.guests.parted(peer, now)),
            None => {}
        }
    }

    fn publish(&mut self) {
        let own = self.own;
        let addresses = self.listeners.iter().map(|(_, address)| listening::with_peer_id(address, own)).collect();
        self.listening.send_replace(addresses);
        self.announce();
    }

    /// Tells others where this place is: without an address a reservation at the relay is of no use to them. As configured;
    /// else where it listens, this machine's own addresses only where there are no others.
    fn announce(&mut self) {
        let listening = || self.listeners.iter().map(|(_, address)| address.clone());
        let mut wanted: BTreeSet<Multiaddr> = self.external.iter().cloned().collect();
        if wanted.is_empty() {
            wanted = listening().filter(|address| !is_loopback(address)).collect();
        }
        if wanted.is_empty() {
            wanted = listening().collect();
        }
        for gone in self.announced.difference(&wanted) {
            self.swarm.remove_external_address(gone);
        }
        for new in wanted.difference(&self.announced) {
            self.swarm.add_external_address(new.clone());
        }
        self.announced = wanted;
    }

    /// Says goodbye to every peer, so that it knows at once instead of after a time-out.
    async fn close(&mut self) {
        listening::close(&mut self.swarm).await;
    }
}
