//! Nodes that run in the test's own runtime, and conditions to wait for.

pub(crate) mod hostile;

use std::time::Duration;

use bard_chain::hash::ChainId;
use bard_protocol::{
    Agent, ChainSecret, Identity, Multiaddr, Network, NetworkConfig, NetworkError, NetworkEvent, NetworkHandle, PeerId,
    PeerInfo, start,
};
use tokio::{sync::mpsc, time::Instant};

/// The chain of all nodes that are not told otherwise.
pub(crate) const CHAIN: ChainId = ChainId::new([1; 32]);
/// The longest block of these chains, in bytes.
pub(crate) const MAX_BLOCK_LEN: usize = 1 << 20;
/// How long anything may take before a test fails; far above what it takes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// What is particular about a node.
pub(crate) struct Options {
    pub(crate) chain: ChainId,
    pub(crate) listen: Vec<&'static str>,
    pub(crate) listen_at: Option<Multiaddr>,
    pub(crate) bootstrap: Vec<Multiaddr>,
    pub(crate) identity: Option<Identity>,
    pub(crate) mdns: bool,
    pub(crate) kademlia: bool,
    pub(crate) exchange: bool,
    pub(crate) target_outbound: usize,
    pub(crate) rendezvous: Vec<Multiaddr>,
    pub(crate) secret: Option<ChainSecret>,
    pub(crate) specification: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            chain: CHAIN,
            listen: vec!["/ip4/127.0.0.1/tcp/0"],
            listen_at: None,
            bootstrap: Vec::new(),
            identity: None,
            mdns: false,
            kademlia: false,
            exchange: true,
            target_outbound: NetworkConfig::DEFAULT_TARGET_OUTBOUND,
            rendezvous: Vec::new(),
            secret: None,
            specification: String::new(),
        }
    }
}

/// A running node. It stops when dropped.
pub(crate) struct Node {
    pub(crate) handle: NetworkHandle,
    pub(crate) identity: Identity,
    events: mpsc::Receiver<NetworkEvent>,
}

fn config(listen: Vec<Multiaddr>, identity: Identity) -> NetworkConfig {
    NetworkConfig {
        chain: CHAIN,
        specification: "".into(),
        secret: None,
        max_block_len: MAX_BLOCK_LEN,
        identity,
        listen,
        listen_optional: false,
        bootstrap: Vec::new(),
        external: Vec::new(),
        mdns: false,
        upnp: false,
        kademlia: false,
        exchange: true,
        autonat: false,
        relay_server: false,
        rendezvous: Vec::new(),
        known: Vec::new(),
        bans: Vec::new(),
        max_peers: NetworkConfig::DEFAULT_MAX_PEERS,
        target_outbound: NetworkConfig::DEFAULT_TARGET_OUTBOUND,
        agent: Agent::new("bard/test"),
        seed: 1,
    }
}

/// Starts a network at an address without running it.
pub(crate) async fn start_at(listen: Multiaddr, listen_optional: bool) -> Result<Network, NetworkError> {
    start(NetworkConfig { listen_optional, ..config(vec![listen], Identity::generate()) }).await
}

/// An address of this machine where nothing listens.
pub(crate) fn closed_port() -> Multiaddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    format!("/ip4/127.0.0.1/tcp/{port}").parse().expect("a multiaddress")
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

impl Node {
    pub(crate) async fn start(options: Options) -> Self {
        let identity = options.identity.clone().unwrap_or_else(Identity::generate);
        let listen = match &options.listen_at {
            Some(address) => vec![address.clone()],
            None => options.listen.iter().map(|text| text.parse().expect("a multiaddress")).collect(),
        };
        let Options { chain, bootstrap, mdns, kademlia, exchange, target_outbound, rendezvous, secret, .. } = options;
        let specification = options.specification.into();
        let config = config(listen, identity.clone());
        let config =
            NetworkConfig { chain, bootstrap, mdns, kademlia, exchange, target_outbound, rendezvous, ..config };
        let config = NetworkConfig { secret, specification, ..config };
        let Network { handle, events, driver } = start(config).await.expect("it starts");
        tokio::spawn(driver.run());
        Self { handle, identity, events }
    }

    pub(crate) fn id(&self) -> PeerId {
        self.handle.peer_id()
    }

    /// Where it listens, with its peer id.
    pub(crate) fn address(&self) -> Multiaddr {
        self.handle.listen_addresses().into_iter().next().expect("it listens")
    }

    /// Where it listens, without its peer id.
    pub(crate) fn bare_address(&self) -> Multiaddr {
        let mut address = self.address();
        address.pop();
        address
    }

    pub(crate) fn peers(&self) -> Vec<PeerInfo> {
        self.handle.peers().borrow().to_vec()
    }

    /// Waits until `other` is among the peers.
    pub(crate) async fn meets(&self, other: &Self) {
        self.meets_id(other.id()).await;
    }

    pub(crate) async fn meets_id(&self, other: PeerId) {
        let mut peers = self.handle.peers();
        let met = peers.wait_for(|peers| peers.iter().any(|peer| peer.id == other));
        tokio::time::timeout(DEADLINE, met).await.expect("they meet in time").expect("the driver runs");
    }

    /// The next event.
    pub(crate) async fn event(&mut self) -> NetworkEvent {
        tokio::time::timeout(DEADLINE, self.events.recv()).await.expect("an event in time").expect("the driver runs")
    }

    /// Whether no event comes for a while.
    pub(crate) async fn hears_nothing_for(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.events.recv()).await.is_err()
    }

    pub(crate) async fn stop(self) {
        tokio::time::timeout(DEADLINE, self.handle.stop()).await.expect("it stops in time");
    }
}
