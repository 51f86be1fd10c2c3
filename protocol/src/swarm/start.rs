//! How the network begins: the ends by which others reach the driver, the driver itself, and what it knows from the start.

use core::time::Duration;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use libp2p::{Multiaddr, PeerId, Swarm};
use rand::{SeedableRng, rngs::StdRng};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    time::Instant,
};

use super::{
    Driver, Network, UNEXAMINED_KIB, circuits::Circuits, forwarding::Forwarding, gossip::Outbox, reach::Reservations,
    requests::Requests,
};
use crate::{
    behaviour::{self, Gated},
    closing::Doubts,
    config::{NetworkConfig, NetworkError},
    discovery::{bootstrap, mdns, rendezvous::Points},
    event::{Departure, NetworkEvent, PeerInfo},
    handle::{Bans, Command, NetworkHandle},
    notice::Notice,
    peers::{PeerBook, clones::Clones},
    reachability::{Reachability, Router, observer::Observer},
    topics::Names,
};

/// Commands that wait for the driver. When full, the caller waits.
const COMMANDS: usize = 256;
/// Events that wait for the node. When full, gossip is dropped and requests are answered "busy".
const EVENTS: usize = 1024;

/// Starts listening and looks up nothing yet: dialling begins when the driver runs.
///
/// # Errors
/// [`NetworkError`]: an address that cannot be listened on, by name, or a part of the stack that cannot be set up.
pub async fn start(config: NetworkConfig) -> Result<Network, NetworkError> {
    let names = Names::new(config.chain);
    let doubts = Doubts::default();
    let swarm = behaviour::swarm(&config, &names, &doubts)?;
    let (ends, handle, events) = ends(config.identity.peer_id());
    let mut driver = Driver::new(&config, names, (swarm, doubts), ends);
    driver.restore_bans(config.bans);
    driver.bind(&config.listen, config.listen_optional).await?;
    driver.observer.configured(&config.external);
    if driver.swarm.behaviour().probes.is_enabled() {
        driver.observer.probing();
    }
    if config.upnp {
        driver.observer.router(Router::Asked);
    }
    for address in config.external {
        driver.swarm.add_external_address(address);
    }
    // What was told while it began to listen was before all this was known.
    driver.update_reach();
    // A rendezvous point is dialled for ever, like a node that one wants to be connected to.
    for candidate in
        bootstrap::candidates(&config.bootstrap).into_iter().chain(bootstrap::candidates(&config.rendezvous))
    {
        driver.book.add(candidate, Duration::ZERO);
    }
    for point in bootstrap::candidates(&config.rendezvous).into_iter().filter_map(|candidate| candidate.peer) {
        driver.book.serves(point);
    }
    driver.book.restore(config.known, Duration::ZERO);
    Ok(Network { handle, events, driver })
}

/// The driver's ends of all that leads out of it.
struct Ends {
    commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<NetworkEvent>,
    peers: watch::Sender<Arc<Vec<PeerInfo>>>,
    listening: watch::Sender<Vec<Multiaddr>>,
    reachability: watch::Sender<Reachability>,
    notices: watch::Sender<Arc<Vec<Notice>>>,
    bans: watch::Sender<Bans>,
    departures: watch::Sender<Arc<Vec<Departure>>>,
}

/// Both ends: the driver's, and those of everybody else.
fn ends(own: PeerId) -> (Ends, NetworkHandle, mpsc::Receiver<NetworkEvent>) {
    let (commands_in, commands) = mpsc::channel(COMMANDS);
    let (events, events_out) = mpsc::channel(EVENTS);
    let (peers, peers_seen) = watch::channel(Arc::new(Vec::new()));
    let (listening, listening_seen) = watch::channel(Vec::new());
    let (reachability, reachability_seen) = watch::channel(Reachability::default());
    let (notices, notices_seen) = watch::channel(Arc::new(Vec::new()));
    let (departures, departures_seen) = watch::channel(Arc::new(Vec::new()));
    let (bans, bans_seen) = watch::channel(Bans::default());
    let handle = NetworkHandle {
        own,
        commands: commands_in,
        peers: peers_seen,
        listening: listening_seen,
        reachability: reachability_seen,
        notices: notices_seen,
        bans: bans_seen,
        departures: departures_seen,
    };
    (Ends { commands, events, peers, listening, reachability, notices, bans, departures }, handle, events_out)
}

impl Driver {
    /// One that has not begun: it knows nobody and listens nowhere.
    fn new(config: &NetworkConfig, names: Names, (swarm, doubts): (Swarm<Gated>, Doubts), ends: Ends) -> Self {
        let mdns_missing = config.mdns && !swarm.behaviour().mdns.is_enabled();
        let own = config.identity.peer_id();
        Self {
            swarm,
            doubts,
            own,
            identity: config.identity.clone(),
            names,
            specification: Arc::clone(&config.specification),
            max_block_len: config.max_block_len,
            target_outbound: config.target_outbound,
            max_peers: config.max_peers,
            book: PeerBook::new(own, config.seed),
            lots: StdRng::seed_from_u64(config.seed),
            links: BTreeMap::new(),
            dialing: BTreeMap::new(),
            waiting: Vec::new(),
            outbox: Outbox::default(),
            requests: Requests::new(),
            space: Arc::new(Semaphore::new(UNEXAMINED_KIB)),
            listeners: Vec::new(),
            points: Points::new(&config.rendezvous),
            errands: HashMap::new(),
            exchange: config.exchange,
            observer: Observer::default(),
            clones: Clones::default(),
            forwarding: Forwarding::default(),
            leaving: None,
            reservations: Reservations::default(),
            circuits: Circuits::default(),
            configured_external: config.external.len(),
            mdns_retry: mdns_missing.then_some(mdns::RETRY_INTERVAL),
            asked_at: Duration::ZERO,
            started: Instant::now(),
            measures: None,
            commands: ends.commands,
            events: ends.events,
            peers: ends.peers,
            listening: ends.listening,
            reachability: ends.reachability,
            notices: ends.notices,
            bans: ends.bans,
            departures: ends.departures,
        }
    }
}
