//! A relay of libp2p's own making, whose circuits carry as much as a test says.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm, SwarmBuilder, identify,
    identity::Keypair,
    multiaddr::Protocol,
    noise, ping, relay,
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};
use tokio::runtime::{Builder, Runtime};

/// Bytes that a circuit carries, both ways together, where nobody says otherwise (`libp2p-relay` 0.22, `Config::default`).
pub const NARROW: usize = 1 << 17;
/// Bytes that one of BlockBard's own relays carries.
pub const WIDE: usize = 64 << 20;

#[derive(NetworkBehaviour)]
struct Behaviour {
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    relay: relay::Behaviour,
}

/// Such a relay. Dropped, it is gone.
pub struct PlainRelay {
    address: Multiaddr,
    circuits: Arc<AtomicUsize>,
    _runtime: Runtime,
}

impl PlainRelay {
    /// Lets it listen at an address, with circuits that carry so many bytes for two minutes.
    ///
    /// # Panics
    /// Where it cannot.
    pub fn listen(address: &str, circuit: usize) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let circuits = Arc::new(AtomicUsize::new(0));
        let (key, listen): (_, Multiaddr) = (Keypair::generate_ed25519(), address.parse().expect("an address"));
        let own = key.public().to_peer_id();
        let counted = Arc::clone(&circuits);
        let address = runtime.block_on(async {
            let mut swarm = swarm(key, circuit);
            swarm.listen_on(listen).expect("it listens");
            let address = loop {
                if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                    break address;
                }
            };
            // It relays only once it knows where it is reached.
            swarm.add_external_address(address.clone());
            tokio::spawn(drive(swarm, counted));
            address.with(Protocol::P2p(own))
        });
        Self { address, circuits, _runtime: runtime }
    }

    /// Where it listens, with `/p2p/`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Where a peer is reached through it.
    pub fn circuit_to(&self, peer: &str) -> String {
        format!("{}/p2p-circuit/p2p/{peer}", self.address)
    }

    /// Circuits that it has granted so far.
    pub fn circuits(&self) -> usize {
        self.circuits.load(Ordering::Relaxed)
    }
}

fn swarm(key: Keypair, circuit: usize) -> Swarm<Behaviour> {
    let behaviour = |key: &Keypair| {
        let own: PeerId = key.public().to_peer_id();
        let config = relay::Config { max_circuit_bytes: circuit as u64, ..relay::Config::default() };
        let about = identify::Config::new("plain relay".to_owned(), key.public());
        Behaviour {
            identify: identify::Behaviour::new(about),
            ping: ping::Behaviour::default(),
            relay: relay::Behaviour::new(own, config),
        }
    };
    SwarmBuilder::with_existing_identity(key)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
        .expect("tcp")
        .with_behaviour(behaviour)
        .expect("behaviour")
        .with_swarm_config(|config| config.with_idle_connection_timeout(std::time::Duration::from_secs(3600)))
        .build()
}

async fn drive(mut swarm: Swarm<Behaviour>, circuits: Arc<AtomicUsize>) {
    loop {
        let event = swarm.select_next_some().await;
        if let SwarmEvent::Behaviour(BehaviourEvent::Relay(relay::Event::CircuitReqAccepted { .. })) = event {
            circuits.fetch_add(1, Ordering::Relaxed);
        }
    }
}
