//! A driver that nobody runs, for tests: they call it as the swarm would. Once it is there nothing is waited for, so that nothing of
//! what it begins, as looking for a router, leaves this process.

use core::time::Duration;

use bard_chain::presets;
use libp2p::{
    Multiaddr, PeerId,
    core::{
        ConnectedPoint, Endpoint,
        transport::{ListenerId, PortUse},
    },
    identify,
    identity::Keypair,
    ping,
    swarm::ConnectionId,
};

use super::{Driver, start};
use crate::{config::NetworkConfig, identity::Identity, reachability::Reachability, wire::status::Agent};

pub(super) fn address(text: &str) -> Multiaddr {
    text.parse().expect("a multiaddress")
}

pub(super) struct Rig {
    pub(super) driver: Driver,
    pub(super) listener: ListenerId,
    connections: usize,
}

impl Rig {
    /// One that listens there, so it believes.
    pub(super) async fn new(listening: &[&str]) -> Self {
        let config = NetworkConfig::alone(&presets::dev(), Identity::generate(), Agent::new("test"));
        let driver = start(NetworkConfig { autonat: true, ..config }).await.expect("a network").driver;
        let mut rig = Self { driver, listener: ListenerId::next(), connections: 0 };
        for here in listening {
            rig.driver.listens(rig.listener, address(here));
        }
        rig
    }

    /// A connection to a new peer that this node made.
    pub(super) fn dialled(&mut self, at: &str) -> (PeerId, ConnectionId) {
        self.connections += 1;
        let (peer, id) = (PeerId::random(), ConnectionId::new_unchecked(1_000 + self.connections));
        let endpoint =
            ConnectedPoint::Dialer { address: address(at), role_override: Endpoint::Dialer, port_use: PortUse::New };
        self.driver.established(peer, id, &endpoint);
        (peer, id)
    }

    /// A peer says what it is.
    pub(super) fn says(&mut self, (peer_id, connection_id): (PeerId, ConnectionId), protocol_version: &str) {
        let info = identify::Info {
            public_key: Keypair::generate_ed25519().public(),
            protocol_version: protocol_version.to_owned(),
            agent_version: "test".to_owned(),
            listen_addrs: Vec::new(),
            protocols: Vec::new(),
            observed_addr: address("/ip4/127.0.0.1/tcp/1"),
            signed_peer_record: None,
        };
        self.driver.identify_event(identify::Event::Received { connection_id, peer_id, info });
    }

    pub(super) fn answers(&mut self, (peer, connection): (PeerId, ConnectionId)) {
        self.driver.ping_event(ping::Event { peer, connection, result: Ok(Duration::from_millis(1)) });
    }

    pub(super) fn pass(&mut self, seconds: u64) {
        self.driver.started -= Duration::from_secs(seconds);
    }

    pub(super) fn leaves(&mut self, at: &str) {
        self.driver.listens_no_more(self.listener, &address(at));
    }

    /// What is told of how this node is reached.
    pub(super) fn reach(&self) -> Reachability {
        self.driver.reachability.borrow().clone()
    }

    /// The addresses of this node that are told to others.
    pub(super) fn told(&self) -> Vec<Multiaddr> {
        self.driver.swarm.external_addresses().cloned().collect()
    }
}
