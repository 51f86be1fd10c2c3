//! A meeting point and peers that speak libp2p's own rendezvous, Kademlia and relay to it.

use std::time::Duration;

use bard_protocol::{
    Agent, Identity, Multiaddr, PeerId,
    meeting_point::{self, MeetingPointConfig, MeetingPointHandle},
    topics::{Kinship, Names},
};
use futures::StreamExt;
use libp2p::{
    Swarm, SwarmBuilder, identify,
    identity::Keypair,
    kad,
    multiaddr::Protocol,
    noise, relay, rendezvous,
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};
use rendezvous::{ErrorCode, Namespace};

use super::rig::{CHAIN, DEADLINE, Node, Options, eventually};

const LISTEN: &str = "/ip4/127.0.0.1/tcp/0";

/// Starts a meeting point. It ends with the handle.
async fn point(patience: Duration) -> MeetingPointHandle {
    let config = MeetingPointConfig {
        identity: Identity::generate(),
        listen: vec![LISTEN.parse().expect("a multiaddress")],
        listen_optional: false,
        external: Vec::new(),
        chain: CHAIN,
        agent: Agent::new("bard/test"),
        max_peers: MeetingPointConfig::DEFAULT_MAX_PEERS,
        patience,
        first_number: 1,
    };
    let started = meeting_point::start(config).await.expect("it starts");
    tokio::spawn(started.driver.run());
    started.handle
}

#[derive(NetworkBehaviour)]
struct Everything {
    identify: identify::Behaviour,
    rendezvous: rendezvous::client::Behaviour,
    kademlia: kad::Behaviour<kad::store::MemoryStore>,
    relay: relay::client::Behaviour,
}

/// A peer made of libp2p's own parts, connected to a meeting point.
struct Client {
    swarm: Swarm<Everything>,
    point: PeerId,
}

impl Client {
    async fn meet(point: &MeetingPointHandle) -> Self {
        let behaviour = |keypair: &Keypair, relay| {
            let own = keypair.public().to_peer_id();
            let name = Names::new(CHAIN).kademlia();
            let protocol = libp2p::StreamProtocol::try_from_owned(name).expect("a name");
            let store = kad::store::MemoryStore::new(own);
            let mut kademlia = kad::Behaviour::with_config(own, store, kad::Config::new(protocol));
            kademlia.set_mode(Some(kad::Mode::Server));
            Everything {
                identify: identify::Behaviour::new(identify::Config::new("test/1".into(), keypair.public())),
                rendezvous: rendezvous::client::Behaviour::new(keypair.clone()),
                kademlia,
                relay,
            }
        };
        let mut swarm = SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
            .expect("noise")
            .with_relay_client(noise::Config::new, yamux::Config::default)
            .expect("a relay client")
            .with_behaviour(behaviour)
            .expect("behaviours")
            .with_swarm_config(|config| config.with_idle_connection_timeout(DEADLINE * 10))
            .build();
        swarm.listen_on(LISTEN.parse().expect("a multiaddress")).expect("it listens");
        let mut client = Self { swarm, point: point.peer_id() };
        let own = client.until("it listens", |event| match event {
            SwarmEvent::NewListenAddr { address, .. } => Some(address),
            _ => None,
        });
        let own = own.await;
        client.swarm.add_external_address(own);
        client.swarm.dial(address_of(point)).expect("it dials");
        client
            .until("it is connected", |event| matches!(event, SwarmEvent::ConnectionEstablished { .. }).then_some(()))
            .await;
        client
    }

    fn id(&self) -> PeerId {
        *self.swarm.local_peer_id()
    }

    async fn until<T>(&mut self, what: &str, mut wanted: impl FnMut(SwarmEvent<EverythingEvent>) -> Option<T>) -> T {
        let search = async {
            loop {
                let event = self.swarm.select_next_some().await;
                if let Some(found) = wanted(event) {
                    return found;
                }
            }
        };
        tokio::time::timeout(DEADLINE, search).await.unwrap_or_else(|_| panic!("waited in vain: {what}"))
    }

    /// Registers under a name and returns for how many seconds.
    async fn register(&mut self, namespace: &str, ttl: Option<u64>) -> Result<u64, ErrorCode> {
        let namespace = Namespace::new(namespace.to_owned()).expect("short");
        let point = self.point;
        self.swarm.behaviour_mut().rendezvous.register(namespace, point, ttl).expect("it has an address");
        self.until("an answer to the registration", |event| match event {
            SwarmEvent::Behaviour(EverythingEvent::Rendezvous(rendezvous::client::Event::Registered {
                ttl, ..
            })) => Some(Ok(ttl)),
            SwarmEvent::Behaviour(EverythingEvent::Rendezvous(rendezvous::client::Event::RegisterFailed {
                error,
                ..
            })) => Some(Err(error)),
            _ => None,
        })
        .await
    }

    /// Who is registered under a name, and the cookie.
    async fn discover(
        &mut self,
        namespace: &str,
        cookie: Option<rendezvous::Cookie>,
    ) -> (Vec<PeerId>, rendezvous::Cookie) {
        let namespace = Namespace::new(namespace.to_owned()).expect("short");
        let point = self.point;
        self.swarm.behaviour_mut().rendezvous.discover(Some(namespace), cookie, Some(100), point);
        self.until("an answer to the question", |event| match event {
            SwarmEvent::Behaviour(EverythingEvent::Rendezvous(rendezvous::client::Event::Discovered {
                registrations,
                cookie,
                ..
            })) => Some((registrations.iter().map(|one| one.record.peer_id()).collect(), cookie)),
            _ => None,
        })
        .await
    }

    async fn identity_of_point(&mut self) -> identify::Info {
        self.until("the point says who it is", |event| match event {
            SwarmEvent::Behaviour(EverythingEvent::Identify(identify::Event::Received { info, .. })) => Some(info),
            _ => None,
        })
        .await
    }

    /// Goes on in the background.
    fn live_on(mut self) {
        tokio::spawn(async move {
            loop {
                self.swarm.select_next_some().await;
            }
        });
    }
}

fn address_of(point: &MeetingPointHandle) -> Multiaddr {
    point.listen_addresses().into_iter().next().expect("it listens")
}

#[tokio::test]
async fn peers_register_and_are_found_under_their_name_alone() {
    let point = point(meeting_point::PATIENCE).await;
    let name = Names::new(CHAIN).rendezvous_namespace();
    let (mut one, mut two) = (Client::meet(&point).await, Client::meet(&point).await);
    assert_eq!(one.register(&name, None).await, Ok(7200), "two hours unless it says otherwise");
    assert_eq!(two.register("blockbard/another", Some(60)).await, Ok(60));
    let (found, cookie) = two.discover(&name, None).await;
    assert_eq!(found, [one.id()]);
    assert_eq!(one.discover("blockbard/another", None).await.0, [two.id()]);
    assert_eq!(one.discover("nobody", None).await.0, []);

    // Later only what is new, or was renewed.
    let (found, cookie) = two.discover(&name, Some(cookie)).await;
    assert_eq!(found, []);
    two.register(&name, None).await.expect("room");
    assert_eq!(two.discover(&name, Some(cookie)).await.0, [two.id()]);

    let (point_id, namespace) = (one.point, Namespace::new(name.clone()).expect("short"));
    one.swarm.behaviour_mut().rendezvous.unregister(namespace, point_id);
    one.live_on();
    for _ in 0..100 {
        if two.discover(&name, None).await.0 == [two.id()] {
            return;
        }
    }
    panic!("it is still told of");
}

#[tokio::test]
async fn what_is_too_much_is_refused() {
    let point = point(meeting_point::PATIENCE).await;
    let mut client = Client::meet(&point).await;
    assert_eq!(client.register("short", Some(59)).await, Err(ErrorCode::InvalidTtl));
    assert_eq!(client.register("long", Some(72 * 3600)).await, Err(ErrorCode::InvalidTtl));
    for number in 0..8 {
        assert_eq!(client.register(&number.to_string(), None).await, Ok(7200));
    }
    assert_eq!(client.register("8", None).await, Err(ErrorCode::Unavailable));
    assert_eq!(client.register("7", Some(300)).await, Ok(300), "a renewal needs no room");
    // A record so long is none that others should be made to carry; one still longer is not even read.
    for (addresses, error) in [(17, ErrorCode::InvalidSignedPeerRecord), (20, ErrorCode::Unavailable)] {
        let mut client = Client::meet(&point).await;
        for number in 1..=addresses {
            let address = format!("/dns4/{}/tcp/{number}", "a".repeat(250));
            client.swarm.add_external_address(address.parse().expect("a multiaddress"));
        }
        assert_eq!(client.register("long", None).await, Err(error));
    }
}

#[tokio::test]
async fn it_says_what_it_is_and_offers_a_relay_without_being_told_its_address() {
    let point = point(meeting_point::PATIENCE).await;
    let mut one = Client::meet(&point).await;
    let info = one.identity_of_point().await;
    assert_eq!(Names::new(CHAIN).kinship(&info.protocol_version), Kinship::MeetingPoint);
    let protocols: Vec<_> = info.protocols.iter().map(AsRef::as_ref).collect();
    for offered in [relay::HOP_PROTOCOL_NAME.as_ref(), "/rendezvous/1.0.0", Names::new(CHAIN).kademlia().as_str()] {
        assert!(protocols.contains(&offered), "{offered} in {protocols:?}");
    }

    // One can be reached through it, and two does.
    let circuit = address_of(&point).with(Protocol::P2pCircuit);
    one.swarm.listen_on(circuit.clone()).expect("it listens there");
    one.until("a reservation", |event| match event {
        SwarmEvent::Behaviour(EverythingEvent::Relay(relay::client::Event::ReservationReqAccepted { .. })) => Some(()),
        _ => None,
    })
    .await;
    let id = one.id();
    one.live_on();
    let mut two = Client::meet(&point).await;
    two.swarm.dial(circuit.with(Protocol::P2p(id))).expect("it dials");
    two.until("a connection through the relay", |event| match event {
        SwarmEvent::ConnectionEstablished { peer_id, endpoint, .. } if peer_id == id => {
            assert!(endpoint.is_relayed());
            Some(())
        }
        _ => None,
    })
    .await;
}

#[tokio::test]
async fn kademlia_leads_from_one_peer_to_another() {
    let point = point(meeting_point::PATIENCE).await;
    let one = Client::meet(&point).await;
    let id = one.id();
    one.live_on();
    let mut two = Client::meet(&point).await;
    two.identity_of_point().await;
    let (point_id, address) = (point.peer_id(), address_of(&point));
    two.swarm.behaviour_mut().kademlia.add_address(&point_id, address);
    // Until the point has heard from the first one what it speaks, it has nobody to tell of.
    two.swarm.behaviour_mut().kademlia.get_closest_peers(id);
    loop {
        let found = two.until("an answer to the query", |event| match event {
            SwarmEvent::Behaviour(EverythingEvent::Kademlia(kad::Event::OutboundQueryProgressed {
                result: kad::QueryResult::GetClosestPeers(result),
                ..
            })) => Some(result.map(|found| found.peers).unwrap_or_default()),
            _ => None,
        });
        if found.await.iter().any(|peer| peer.peer_id == id) {
            return;
        }
        two.swarm.behaviour_mut().kademlia.get_closest_peers(id);
    }
}

#[tokio::test]
async fn who_does_nothing_leaves_and_who_is_registered_stays() {
    let patience = Duration::from_secs(1);
    let point = point(patience).await;
    let (mut registered, mut silent) = (Client::meet(&point).await, Client::meet(&point).await);
    registered.register("name", None).await.expect("room");
    let leaves = silent.until("the silent one is sent away", |event| {
        matches!(event, SwarmEvent::ConnectionClosed { .. }).then_some(())
    });
    leaves.await;
    assert!(registered.swarm.is_connected(&point.peer_id()));
    assert_eq!(registered.discover("name", None).await.0, [registered.id()]);
}

#[tokio::test]
async fn it_ends_when_it_is_stopped() {
    let point = point(meeting_point::PATIENCE).await;
    let mut client = Client::meet(&point).await;
    point.stop().await;
    point.stop().await;
    client.until("goodbye", |event| matches!(event, SwarmEvent::ConnectionClosed { .. }).then_some(())).await;
    let address = address_of(&point);
    eventually("the port is free", || {
        let mut parts = address.iter();
        let (Some(Protocol::Ip4(ip)), Some(Protocol::Tcp(port))) = (parts.next(), parts.next()) else { return false };
        std::net::TcpListener::bind((ip, port)).is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_node_registers_finds_others_and_leaves_when_it_stops() {
    let point = point(DEADLINE).await;
    let node = || Options { rendezvous: vec![address_of(&point)], exchange: false, ..Options::default() };
    let one = Node::start(node()).await;
    let two = Node::start(node()).await;
    one.meets(&two).await;
    two.meets(&one).await;
    let found = [&one, &two].map(|node| node.peers().remove(0).origins.contains(&bard_protocol::Origin::Rendezvous));
    assert!(found.contains(&true), "how it was found is known");
    assert!(one.peers().iter().all(|peer| peer.id != point.peer_id()), "a meeting point is no peer");
    let mut asker = Client::meet(&point).await;
    let name = Names::new(CHAIN).rendezvous_namespace();
    let listed = async |asker: &mut Client| {
        let mut listed = asker.discover(&name, None).await.0;
        listed.sort();
        listed
    };
    let mut both = [one.id(), two.id()];
    both.sort();
    let left = two.id();
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while listed(&mut asker).await != both {
        assert!(tokio::time::Instant::now() < deadline, "both are registered");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    one.stop().await;
    assert_eq!(listed(&mut asker).await, [left], "it has left before it stopped");
}
