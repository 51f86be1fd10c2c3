//! Looks at the nodes behind addresses: who answers there, of which chain, with which software and clock. For people who wonder
//! why two nodes do not meet.
//!
//! It is no node: it says so to whoever it meets, asks one question that everybody is answered, and leaves.

use core::time::Duration;
use std::collections::{BTreeSet, HashMap};

use bard_chain::units::Timestamp;
use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm, connection_limits, identify, mdns, relay,
    request_response::{Event, Message},
    swarm::{ConnectionId, DialError, NetworkBehaviour, SwarmEvent, behaviour::toggle::Toggle, dial_opts::DialOpts},
};
use tokio::time::{Instant, timeout_at};

use crate::{
    admission::{Admission, ChainSecret},
    closing::Doubts,
    config::NetworkError,
    discovery::{self, Candidate},
    identity::Identity,
    swarm::reason,
    sync_behaviour::{self, SyncBehaviour, Watched},
    topics::{INQUIRER, Kinship, Names},
    transport,
    wire::{
        status::{Agent, Status},
        sync::{SyncRequest, SyncResponse},
    },
};

/// Addresses that are looked at, and as many nodes that mDNS finds: of more, some tell enough.
const MAX_NODES: usize = 64;
/// Connections at once, in the making or made.
const MAX_CONNECTIONS: u32 = 64;

/// Where to look, and as whom.
#[derive(Clone, Debug)]
pub struct InspectConfig {
    /// What is said of this side: its chain, software and clock.
    pub status: Status,
    /// The secret of the chain, where it is closed.
    pub secret: Option<ChainSecret>,
    /// The longest block of the chain, in bytes.
    pub max_block_len: usize,
    /// Where nodes may be: with or without `/p2p/<peer id>` at the end. Of more than 64 the first are looked at.
    pub addresses: Vec<Multiaddr>,
    /// How long to look for nodes on the local network; not at all if `None`.
    pub mdns: Option<Duration>,
    /// How long to look at all.
    pub deadline: Duration,
}

/// What is at an address.
#[derive(Clone, Debug)]
pub struct Inspected {
    /// The address, as it was given or as mDNS found it.
    pub address: Multiaddr,
    /// Whether mDNS found it.
    pub announced: bool,
    /// Who is there.
    pub outcome: Result<Found, InspectError>,
}

/// A node that answered.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its id in the network.
    pub peer: PeerId,
    /// Its chain.
    pub kinship: Kinship,
    /// Its software.
    pub agent: Agent,
    /// What its clock said, and when: half-way between the question and the answer.
    pub clock: Option<(Timestamp, Instant)>,
}

/// Why nobody is known to be at an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InspectError {
    /// Another node than the address names.
    #[error("another node answers there: {0}")]
    OtherPeer(PeerId),
    /// There was no connection.
    #[error("{0}")]
    NotConnected(String),
    /// The connection was closed before anything was said.
    #[error("it closed the connection")]
    Closed,
    /// Nothing was said in time.
    #[error("it does not answer")]
    Silent,
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    limits: connection_limits::Behaviour,
    identify: identify::Behaviour,
    sync: SyncBehaviour,
    mdns: Toggle<mdns::tokio::Behaviour>,
    relay_client: relay::client::Behaviour,
}

/// Looks at every address, and at whatever mDNS finds, until all is known or the time is up.
///
/// # Errors
/// Where the network could not be set up.
pub async fn inspect(config: InspectConfig) -> Result<Vec<Inspected>, NetworkError> {
    let swarm = swarm(&config)?;
    let began = Instant::now();
    let looking = config.mdns.map(|time| began + time);
    let mut inspector = Inspector {
        swarm,
        names: Names::new(config.status.chain),
        status: config.status,
        dialled: BTreeSet::new(),
        open: HashMap::new(),
        done: Vec::new(),
    };
    for address in config.addresses.into_iter().take(MAX_NODES) {
        inspector.dial(address, false);
    }
    // An error says that the time is up.
    let _ = timeout_at(began + config.deadline, inspector.run(looking)).await;
    Ok(inspector.results())
}

fn swarm(config: &InspectConfig) -> Result<Swarm<Behaviour>, NetworkError> {
    let identity = Identity::generate();
    let chain = config.status.chain;
    let admission = config.secret.as_ref().map(|secret| Admission::new(chain, secret, identity.peer_id()));
    let names = Names::new(chain);
    transport::swarm(identity.keypair(), admission.as_ref(), &Doubts::default(), |relay_client| {
        let protocol = names.sync_protocol()?;
        let mdns = config.mdns.map(|_| discovery::mdns::behaviour(identity.peer_id())).and_then(Result::ok);
        let limits = connection_limits::ConnectionLimits::default()
            .with_max_pending_outgoing(Some(MAX_CONNECTIONS))
            .with_max_established_outgoing(Some(MAX_CONNECTIONS));
        Ok(Behaviour {
            limits: connection_limits::Behaviour::new(limits),
            identify: identify::Behaviour::new(
                identify::Config::new(INQUIRER.to_owned(), identity.keypair().public())
                    .with_agent_version(config.status.agent.to_string()),
            ),
            sync: sync_behaviour::sync(protocol, config.max_block_len),
            mdns: mdns.into(),
            relay_client,
        })
    })
}

/// An address that is being looked at.
struct Attempt {
    address: Multiaddr,
    announced: bool,
    /// What it said of itself so far, and when it was asked for its clock.
    found: Option<(Found, Instant)>,
}

struct Inspector {
    swarm: Swarm<Behaviour>,
    names: Names,
    status: Status,
    /// Nodes that mDNS found and that were dialled. At most [`MAX_NODES`].
    dialled: BTreeSet<PeerId>,
    /// Attempts under way.
    open: HashMap<ConnectionId, Attempt>,
    /// What came of the others.
    done: Vec<Inspected>,
}

impl Inspector {
    fn dial(&mut self, address: Multiaddr, announced: bool) {
        let (bare, peer) = discovery::split_peer_id(address.clone());
        let options = match peer {
            Some(peer) => DialOpts::peer_id(peer)
                .condition(libp2p::swarm::dial_opts::PeerCondition::Always)
                .addresses(vec![bare])
                .allocate_new_port()
                .build(),
            None => DialOpts::unknown_peer_id().address(bare).allocate_new_port().build(),
        };
        let id = options.connection_id();
        let attempt = Attempt { address, announced, found: None };
        match self.swarm.dial(options) {
            Ok(()) => drop(self.open.insert(id, attempt)),
            Err(error) => self.conclude(attempt, Err(of_dial(&error))),
        }
    }

    /// Runs until every attempt has come to something, and no longer looks for more.
    async fn run(&mut self, looking: Option<Instant>) {
        loop {
            let wait_for_more = looking.filter(|until| *until > Instant::now());
            if self.open.is_empty() && wait_for_more.is_none() {
                return;
            }
            let until = wait_for_more.unwrap_or_else(|| Instant::now() + transport::NEVER);
            if let Ok(event) = timeout_at(until, self.swarm.select_next_some()).await {
                self.handle(event);
            }
        }
    }

    fn handle(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                self.end(connection_id, Err(of_dial(&error)));
            }
            SwarmEvent::ConnectionClosed { connection_id, .. } => self.end(connection_id, Err(InspectError::Closed)),
            SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received {
                connection_id,
                peer_id,
                info,
            })) => self.identified(connection_id, peer_id, &info),
            SwarmEvent::Behaviour(BehaviourEvent::Sync(event)) => self.answered(event),
            SwarmEvent::Behaviour(BehaviourEvent::Mdns(mdns::Event::Discovered(found))) => {
                for Candidate { peer, addresses, .. } in discovery::mdns::candidates(found) {
                    let (Some(peer), Some(address)) = (peer, addresses.into_iter().next()) else { continue };
                    if self.dialled.len() < MAX_NODES && self.dialled.insert(peer) {
                        let whole = address.clone().with_p2p(peer).unwrap_or(address);
                        self.dial(whole, true);
                    }
                }
            }
            _ => {}
        }
    }

    fn identified(&mut self, connection: ConnectionId, peer: PeerId, info: &identify::Info) {
        let kinship = self.names.kinship(&info.protocol_version);
        let found = Found { peer, kinship, agent: Agent::new(&info.agent_version), clock: None };
        if found.kinship != Kinship::Ours {
            return self.end(connection, Ok(found));
        }
        let Some(attempt) = self.open.get_mut(&connection).filter(|attempt| attempt.found.is_none()) else { return };
        attempt.found = Some((found, Instant::now()));
        let question = SyncRequest::Status(self.status.clone());
        self.swarm.behaviour_mut().sync.send_request(&peer, Ok(question.into()));
    }

    fn answered(&mut self, event: Event<Result<Watched, crate::wire::WireError>, SyncResponse>) {
        let (connection, clock) = match event {
            Event::Message { connection_id, message: Message::Response { response, .. }, .. } => match response {
                SyncResponse::Status(status) => (connection_id, Some(status.clock)),
                _ => (connection_id, None),
            },
            Event::OutboundFailure { connection_id, .. } => (connection_id, None),
            Event::Message { .. } | Event::InboundFailure { .. } | Event::ResponseSent { .. } => return,
        };
        let Some((mut found, asked)) = self.open.get_mut(&connection).and_then(|attempt| attempt.found.take()) else {
            return;
        };
        let half = asked.elapsed() / 2;
        found.clock = clock.map(|clock| (clock, asked + half));
        self.end(connection, Ok(found));
    }

    /// Notes what came of an attempt, once, and lets go of the node.
    fn end(&mut self, connection: ConnectionId, outcome: Result<Found, InspectError>) {
        let Some(mut attempt) = self.open.remove(&connection) else { return };
        self.swarm.close_connection(connection);
        // A node that said who it is has answered, whatever came then.
        let outcome = outcome.or_else(|error| attempt.found.take().map(|(found, _)| found).ok_or(error));
        self.conclude(attempt, outcome);
    }

    fn conclude(&mut self, attempt: Attempt, outcome: Result<Found, InspectError>) {
        self.done.push(Inspected { address: attempt.address, announced: attempt.announced, outcome });
    }

    fn results(mut self) -> Vec<Inspected> {
        let open: Vec<Attempt> = self.open.drain().map(|(_, attempt)| attempt).collect();
        for mut attempt in open {
            let found = attempt.found.take().map(|(found, _)| found);
            self.conclude(attempt, found.ok_or(InspectError::Silent));
        }
        self.done
    }
}

fn of_dial(error: &DialError) -> InspectError {
    match error {
        DialError::WrongPeerId { obtained, .. } => InspectError::OtherPeer(*obtained),
        error => InspectError::NotConnected(reason::of_dial(error)),
    }
}
