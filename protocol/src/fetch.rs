//! Asks for the specification of a chain, by the chain's id alone: what somebody who was invited does before there is a node.
//!
//! Every address of the invitation is dialled, and on the local network everybody whom mDNS finds; whoever answers is asked.
//! What comes is compared with the id, so that it does not matter who sends it.

use core::time::Duration;
use std::collections::{BTreeSet, HashMap};

use bard_chain::{hash::ChainId, spec::ChainSpec};
use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm, connection_limits, mdns, relay,
    request_response::{Event, Message, OutboundFailure},
    swarm::{ConnectionId, NetworkBehaviour, SwarmEvent, behaviour::toggle::Toggle, dial_opts::DialOpts},
};
use tracing::debug;

use crate::{
    admission::{Admission, ChainSecret},
    closing::Doubts,
    config::NetworkError,
    discovery::{self, Candidate},
    identity::Identity,
    swarm::reason,
    sync_behaviour::{self, SpecBehaviour},
    topics::Names,
    transport,
    wire::{
        limits::MAX_ADDRESSES,
        spec::{SpecRequest, SpecResponse},
    },
};

/// Nodes that are dialled: of more on one network, some answer.
const MAX_NODES: usize = 64;
/// Connections at once, in the making or made. Each may bring a long specification.
const MAX_CONNECTIONS: u32 = 16;
/// Reasons that a failure lists.
const REASONS_SHOWN: usize = 3;
/// What a connection that ends too early may mean.
const CLOSED: &str = "it closed the connection, as a node of a closed chain does with those who lack its secret";
/// What a stream that ends without an answer may mean. Asked lazily, a node that does not know the protocol shows only when it
/// should answer.
const SILENT: &str = "it does not answer: it follows another chain, or closes its own to those who lack its secret";

/// What to ask for, and whom.
#[derive(Clone, Debug)]
pub struct FetchConfig {
    /// The chain.
    pub chain: ChainId,
    /// Its secret, where it is closed.
    pub secret: Option<ChainSecret>,
    /// Where its nodes may be: with or without `/p2p/<peer id>` at the end.
    pub addresses: Vec<Multiaddr>,
    /// Whether to look for nodes on the local network.
    pub mdns: bool,
    /// How long to look.
    pub deadline: Duration,
}

/// Why there is no specification: one line for a person.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nobody to ask.
    #[error("there is nobody to ask: the invitation names no address, and mDNS is off")]
    Nobody,
    /// Everybody was asked in vain.
    #[error("no node told the chain's specification: {0}")]
    InVain(String),
    /// The network could not be set up.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    limits: connection_limits::Behaviour,
    spec: SpecBehaviour,
    mdns: Toggle<mdns::tokio::Behaviour>,
    relay_client: relay::client::Behaviour,
}

/// Asks until somebody tells the specification that belongs to the id.
///
/// # Errors
/// [`FetchError`], with the reasons of those who were asked.
pub async fn fetch(config: FetchConfig) -> Result<ChainSpec, FetchError> {
    if config.addresses.is_empty() && !config.mdns {
        return Err(FetchError::Nobody);
    }
    let identity = Identity::generate();
    let admission = config.secret.as_ref().map(|secret| Admission::new(config.chain, secret, identity.peer_id()));
    let names = Names::new(config.chain);
    let swarm = transport::swarm(identity.keypair(), admission.as_ref(), &Doubts::default(), |relay_client| {
        let protocol = names.spec_protocol()?;
        let mdns = config.mdns.then(|| discovery::mdns::behaviour(identity.peer_id())).and_then(Result::ok);
        Ok(Behaviour {
            limits: connection_limits::Behaviour::new(
                connection_limits::ConnectionLimits::default()
                    .with_max_pending_outgoing(Some(MAX_CONNECTIONS))
                    .with_max_established_outgoing(Some(MAX_CONNECTIONS)),
            ),
            spec: sync_behaviour::spec(protocol),
            mdns: mdns.into(),
            relay_client,
        })
    })?;
    let mut fetcher =
        Fetcher { swarm, chain: config.chain, dialled: BTreeSet::new(), open: HashMap::new(), failed: Vec::new() };
    for address in config.addresses.into_iter().take(MAX_ADDRESSES) {
        let (bare, peer) = discovery::split_peer_id(address.clone());
        fetcher.dial(peer, vec![bare], address.to_string());
    }
    // An error says that the time is up.
    let found = tokio::time::timeout(config.deadline, fetcher.run(config.mdns)).await;
    found.ok().flatten().ok_or_else(|| FetchError::InVain(fetcher.reasons(config.mdns)))
}

struct Fetcher {
    swarm: Swarm<Behaviour>,
    chain: ChainId,
    /// Nodes known by their ids that were dialled. At most [`MAX_NODES`].
    dialled: BTreeSet<PeerId>,
    /// Attempts under way, each with what to call it.
    open: HashMap<ConnectionId, String>,
    /// What came of the others.
    failed: Vec<String>,
}

impl Fetcher {
    fn dial(&mut self, peer: Option<PeerId>, addresses: Vec<Multiaddr>, name: String) {
        let options = match (peer, addresses.first()) {
            (Some(peer), _) if self.dialled.len() >= MAX_NODES || !self.dialled.insert(peer) => return,
            (Some(peer), _) => DialOpts::peer_id(peer).addresses(addresses).allocate_new_port().build(),
            (None, Some(address)) => DialOpts::unknown_peer_id().address(address.clone()).allocate_new_port().build(),
            (None, None) => return,
        };
        let id = options.connection_id();
        match self.swarm.dial(options) {
            Ok(()) => drop(self.open.insert(id, name)),
            Err(error) => self.failed.push(format!("{name}: {}", reason::of_dial(&error))),
        }
    }

    /// Runs until somebody has told; without mDNS also until there is nobody left to wait for.
    async fn run(&mut self, mdns: bool) -> Option<ChainSpec> {
        while mdns || !self.open.is_empty() {
            match self.swarm.select_next_some().await {
                SwarmEvent::ConnectionEstablished { peer_id, .. } => {
                    self.swarm.behaviour_mut().spec.send_request(&peer_id, Ok(SpecRequest));
                }
                SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                    self.fail(connection_id, &reason::of_dial(&error));
                }
                SwarmEvent::ConnectionClosed { connection_id, .. } => {
                    self.fail(connection_id, CLOSED);
                }
                SwarmEvent::Behaviour(BehaviourEvent::Spec(event)) => {
                    if let Some(spec) = self.answered(event) {
                        return Some(spec);
                    }
                }
                SwarmEvent::Behaviour(BehaviourEvent::Mdns(mdns::Event::Discovered(found))) => {
                    for Candidate { peer, addresses, .. } in discovery::mdns::candidates(found) {
                        let name = addresses.first().map_or_else(String::new, ToString::to_string);
                        self.dial(peer, addresses, name);
                    }
                }
                _ => {}
            }
        }
        None
    }

    fn answered(
        &mut self,
        event: Event<Result<SpecRequest, crate::wire::WireError>, SpecResponse>,
    ) -> Option<ChainSpec> {
        let (connection, why) = match event {
            Event::Message {
                connection_id, message: Message::Response { response: SpecResponse(text), .. }, ..
            } => match ChainSpec::from_toml(&text) {
                Ok(spec) if spec.chain_id() == self.chain => return Some(spec),
                Ok(spec) => {
                    let other = spec.chain_id();
                    (connection_id, format!("it told the specification of another chain ({})", other.short()))
                }
                Err(_) if text.is_empty() => (connection_id, "it does not tell it now".to_owned()),
                Err(error) => (connection_id, format!("it told none that can be read: {error}")),
            },
            Event::OutboundFailure { connection_id, error, .. } => (
                connection_id,
                match error {
                    OutboundFailure::UnsupportedProtocols => "it follows another chain".to_owned(),
                    OutboundFailure::ConnectionClosed => CLOSED.to_owned(),
                    OutboundFailure::Io(_) => SILENT.to_owned(),
                    error => error.to_string(),
                },
            ),
            Event::Message { .. } | Event::InboundFailure { .. } | Event::ResponseSent { .. } => return None,
        };
        self.fail(connection, &why);
        None
    }

    /// Notes why one did not tell, once for each attempt, and lets go of it.
    fn fail(&mut self, connection: ConnectionId, why: &str) {
        let Some(name) = self.open.remove(&connection) else { return };
        debug!(name, why, "no specification");
        self.failed.push(format!("{name}: {why}"));
        self.swarm.close_connection(connection);
    }

    fn reasons(&self, mdns: bool) -> String {
        let unanswered = self.open.values().map(|name| format!("{name}: no answer"));
        let all: Vec<String> = self.failed.iter().cloned().chain(unanswered).collect();
        match all.len() {
            0 if mdns => "nobody was found on the local network".to_owned(),
            count if count > REASONS_SHOWN => {
                let shown: Vec<_> = all.into_iter().take(REASONS_SHOWN).collect();
                format!("{}; and {} more", shown.join("; "), count.saturating_sub(REASONS_SHOWN))
            }
            _ => all.join("; "),
        }
    }
}
