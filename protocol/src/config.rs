//! What [`start`](crate::start) needs to know, and why it may fail.

use std::sync::Arc;

use bard_chain::{hash::ChainId, spec::ChainSpec};
use libp2p::Multiaddr;

use crate::{
    admission::ChainSecret, discovery::KnownNode, identity::Identity, peers::conduct::Ban, wire::status::Agent,
};

/// Whose network, where to listen, whom to look for.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// The chain: it is in the name of every protocol and topic.
    pub chain: ChainId,
    /// The chain's specification as TOML, told to whoever asks for it.
    pub specification: Arc<str>,
    /// The secret of a closed chain: nobody who does not know it is spoken to.
    pub secret: Option<ChainSecret>,
    /// The longest block of the chain, in bytes; every limit of the wire follows from it.
    pub max_block_len: usize,
    /// Who this node is.
    pub identity: Identity,
    /// Where to listen, TCP and QUIC; port 0 lets the system choose.
    pub listen: Vec<Multiaddr>,
    /// Whether to take any free port of the same transport where the wanted one is taken, instead of failing.
    pub listen_optional: bool,
    /// Nodes to be connected to, for ever: with or without `/p2p/<peer id>` at the end.
    pub bootstrap: Vec<Multiaddr>,
    /// Addresses by which others reach this node and which it cannot see itself.
    pub external: Vec<Multiaddr>,
    /// Whether to look for nodes on the local network.
    pub mdns: bool,
    /// Whether to ask the router to forward the port.
    pub upnp: bool,
    /// Whether to find nodes by Kademlia, and to let others do so by this one.
    pub kademlia: bool,
    /// Whether to ask peers of their peers.
    pub exchange: bool,
    /// Whether to have peers try this node's addresses (AutoNAT v2), and to try theirs.
    pub autonat: bool,
    /// Whether to relay connections between peers that cannot reach each other.
    pub relay_server: bool,
    /// libp2p rendezvous points to register at: with or without `/p2p/<peer id>` at the end.
    pub rendezvous: Vec<Multiaddr>,
    /// Nodes that an earlier run was connected to.
    pub known: Vec<KnownNode>,
    /// Bans of an earlier run that have not ended; at most 1,000 count.
    pub bans: Vec<Ban>,
    /// Inbound connections at most; outbound ones come on top, [`NetworkConfig::target_outbound`] and those to nodes that
    /// people named, in the configuration or later.
    pub max_peers: u32,
    /// How many connections to have that this node itself chose.
    pub target_outbound: usize,
    /// The name and version of this software, shown to peers.
    pub agent: Agent,
    /// Seed of the jitter between dials.
    pub seed: u64,
}

impl NetworkConfig {
    /// A node that listens nowhere and looks for nobody, with the defaults of all else.
    pub fn alone(spec: &ChainSpec, identity: Identity, agent: Agent) -> Self {
        Self {
            chain: spec.chain_id(),
            specification: spec.to_toml().into(),
            secret: None,
            max_block_len: spec.max_block_len(),
            identity,
            listen: Vec::new(),
            listen_optional: false,
            bootstrap: Vec::new(),
            external: Vec::new(),
            mdns: false,
            upnp: false,
            kademlia: false,
            exchange: false,
            autonat: false,
            relay_server: false,
            rendezvous: Vec::new(),
            known: Vec::new(),
            bans: Vec::new(),
            max_peers: Self::DEFAULT_MAX_PEERS,
            target_outbound: Self::DEFAULT_TARGET_OUTBOUND,
            agent,
            seed: 1,
        }
    }

    /// The default of [`NetworkConfig::max_peers`]: a class and its guests, at about 50 KiB a connection.
    pub const DEFAULT_MAX_PEERS: u32 = 64;
    /// The default of [`NetworkConfig::target_outbound`]: enough that nobody can surround a node by dialling it, and
    /// enough for a gossip mesh of 4.
    pub const DEFAULT_TARGET_OUTBOUND: usize = 8;
}

/// Why the network could not be started.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// An address could not be listened on.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address as configured.
        address: Multiaddr,
        /// The reason in a few words.
        reason: String,
    },
    /// A part of the network stack refused its configuration.
    #[error("cannot set up {part}: {reason}")]
    Setup {
        /// Which part.
        part: &'static str,
        /// The reason as that part gives it.
        reason: String,
    },
}
