//! The tasks of the room, each with a network of its own on loopback.

use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bard_chain::presets;
use bard_protocol::{Agent, Direction, Identity, NetworkConfig, NetworkHandle, Origin, PeerInfo};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    CHAIN, described,
    server::{Reaction, Server},
};
use crate::meeting::{self, Configured, HostPort, Parts, Place, Stopper};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A network, and the room beside it.
struct Node {
    network: NetworkHandle,
    handle: meeting::Handle,
    stopper: Stopper,
    dir: tempfile::TempDir,
    /// Ended with the test.
    _tasks: JoinSet<()>,
}

impl Node {
    async fn start(places: &[Place], trackers: &[HostPort]) -> Self {
        Self::start_on(&["/ip4/127.0.0.1/tcp/0"], places, trackers).await
    }

    async fn start_on(listen: &[&str], places: &[Place], trackers: &[HostPort]) -> Self {
        let config = NetworkConfig {
            chain: CHAIN,
            listen: listen.iter().map(|address| address.parse().expect("one")).collect(),
            ..NetworkConfig::alone(&presets::dev(), Identity::generate(), Agent::new("test"))
        };
        let mut network = bard_protocol::start(config).await.expect("a network");
        let dir = tempfile::tempdir().expect("a directory");
        let parts =
            Parts { network: network.handle.clone(), chain: CHAIN, chain_name: "dev".to_owned(), external: Vec::new() };
        let (files, _) = meeting::open_files(dir.path());
        let configured = Configured { places: places.to_vec(), trackers: trackers.to_vec() };
        let (handle, tasks, stopper) = meeting::new(configured, files, parts, &CancellationToken::new());
        let mut running = JoinSet::new();
        running.spawn(network.driver.run());
        running.spawn(async move { while network.events.recv().await.is_some() {} });
        running.spawn(tasks.run());
        Self { network: network.handle, handle, stopper, dir, _tasks: running }
    }

    /// What this node would say of itself over HTTP.
    fn described(&self) -> String {
        described(&self.network.peer_id(), CHAIN, &self.listen())
    }

    fn listen(&self) -> Vec<String> {
        self.network.listen_addresses().iter().map(ToString::to_string).collect()
    }

    /// Waits until it is connected to `other`.
    async fn met(&self, other: &Self) -> PeerInfo {
        let mut peers = self.network.peers();
        let find = |all: &Arc<Vec<PeerInfo>>| all.iter().find(|peer| peer.id == other.network.peer_id()).cloned();
        let met = tokio::time::timeout(PATIENCE, peers.wait_for(|all| find(all).is_some())).await;
        find(&met.expect("in time").expect("a network")).expect("just seen")
    }
}

/// Waits until a condition holds.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn is(request: &str, start: &str) -> bool {
    request.starts_with(start)
}

#[tokio::test]
async fn a_tracker_is_registered_at_and_believed() {
    let other = Node::start(&[], &[]).await;
    let address = other.listen().swap_remove(0);
    let (own_address, chain) = (address.clone(), CHAIN.to_string());
    let server = Server::start(move |_| {
        let node = serde_json::json!({ "address": own_address, "addresses": [own_address], "chain": chain });
        Reaction::Json(serde_json::json!({ "message": "", "peers": [], "nodes": [node], "ttl_s": 180 }).to_string())
    });
    let mut node = Node::start(&[], &[server.place()]).await;
    assert_eq!(node.met(&other).await.direction, Direction::Outbound);
    let registered = server.requests().swap_remove(0);
    assert!(is(&registered, "POST /register HTTP/1.1"), "{registered}");
    let body: serde_json::Value =
        serde_json::from_str(registered.split_once("\r\n\r\n").expect("a body").1).expect("JSON");
    assert_eq!(body["address"], node.listen()[0]);
    assert_eq!(
        (body["addresses"][0].clone(), body["chain"].clone()),
        (body["address"].clone(), CHAIN.to_string().into())
    );
    // One peer is not enough.
    until("it asks for more", || {
        server.requests().iter().any(|request| is(request, &format!("GET /peers?chain={CHAIN} ")))
    })
    .await;
    node.stopper.stop().await;
    let farewell = server.requests().pop().expect("a request");
    assert!(is(&farewell, "POST /unregister") && farewell.contains(&node.listen()[0]), "{farewell}");
}

#[tokio::test]
async fn an_older_tracker_knows_apis() {
    let other = Node::start(&[], &[]).await;
    let api = Server::json(other.described());
    let url = api.place().url("");
    let server = Server::json(serde_json::json!({ "message": "Registration successful", "peers": [url] }).to_string());
    let node = Node::start(&[], &[server.place()]).await;
    assert_eq!(node.met(&other).await.direction, Direction::Outbound);
}

#[tokio::test]
async fn a_tracker_that_lies_is_asked_again() {
    let other = Node::start(&[], &[]).await;
    let address = other.listen().swap_remove(0);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = Server::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => Reaction::Json("<html>".to_owned()),
        1 => Reaction::Raw(vec![0xff; 300_000]),
        _ => Reaction::Json(serde_json::json!({ "peers": [address] }).to_string()),
    });
    let node = Node::start(&[], &[server.place()]).await;
    node.met(&other).await;
    assert!(asked.load(Ordering::SeqCst) >= 3);
}

/// A tracker that takes nobody and tells of these.
fn full(listed: String) -> Server {
    Server::start(move |request| {
        if is(request, "GET /peers") {
            return Reaction::Json(serde_json::json!({ "peers": [listed] }).to_string());
        }
        let body = r#"{"error": "the tracker is full, try again later"}"#;
        let head = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n";
        Reaction::Raw(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes())
    })
}

#[tokio::test]
async fn a_tracker_that_takes_nobody_tells_of_others_all_the_same() {
    let other = Node::start(&[], &[]).await;
    let server = full(other.listen().swap_remove(0));
    let mut node = Node::start(&[], &[server.place()]).await;
    assert_eq!(node.met(&other).await.direction, Direction::Outbound);
    let registered = || server.requests().iter().filter(|request| is(request, "POST /register ")).count();
    until("it tries again to register", || registered() >= 2).await;
    node.stopper.stop().await;
    assert!(!server.requests().iter().any(|request| is(request, "POST /unregister")), "it is not registered");
}

#[tokio::test]
async fn who_listens_nowhere_hears_of_others_all_the_same() {
    let other = Node::start(&[], &[]).await;
    let server = full(other.listen().swap_remove(0));
    let node = Node::start_on(&[], &[], &[server.place()]).await;
    assert_eq!(node.met(&other).await.direction, Direction::Outbound);
    assert!(server.requests().iter().all(|request| is(request, "GET /peers")), "{:?}", server.requests());
}

#[tokio::test]
async fn a_tracker_that_hangs_delays_no_stop() {
    let server = Server::start(|_| Reaction::Hang);
    let mut node = Node::start(&[], &[server.place()]).await;
    until("it is asked", || !server.requests().is_empty()).await;
    let began = Instant::now();
    node.stopper.stop().await;
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_api_of_the_peers_file_may_answer_later() {
    let other = Node::start(&[], &[]).await;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let place = HostPort::parse(&listener.local_addr().expect("one").to_string()).expect("one");
    drop(listener);
    let node = Node::start(&[Place::Api(place.clone())], &[]).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let listener = TcpListener::bind(place.to_string()).expect("the port is still free");
    let body = other.described();
    let _server = Server::on(listener, move |_| Reaction::Json(body.clone()));
    assert!(node.met(&other).await.origins.contains(&Origin::PeersFile));
}

#[tokio::test]
async fn a_port_of_the_peers_file_may_be_either() {
    let other = Node::start(&[], &[]).await;
    let api = Server::json(other.described());
    let by_api = Node::start(&[Place::HostPort(api.place())], &[]).await;
    let port = other.listen()[0].split('/').nth(4).expect("a port").to_owned();
    let p2p = HostPort::parse(&format!("127.0.0.1:{port}")).expect("one");
    let by_port = Node::start(&[Place::HostPort(p2p)], &[]).await;
    assert!(by_api.met(&other).await.origins.contains(&Origin::PeersFile));
    assert!(by_port.met(&other).await.origins.contains(&Origin::PeersFile));
}

#[tokio::test]
async fn an_api_can_be_added_while_it_runs() {
    let (node, other) = (Node::start(&[], &[]).await, Node::start(&[], &[]).await);
    let api = Server::json(other.described());
    assert!(node.handle.add_http_node("localhost:5000").is_err(), "that is no URL");
    for _ in 0..3 {
        node.handle.add_http_node(&api.place().url("/")).expect("taken");
    }
    assert!(node.met(&other).await.origins.contains(&Origin::Manual));
    let asked = api.requests().len();
    drop(other);
    until("it is asked again", || api.requests().len() > asked).await;
    assert!(node.dir.path().exists());
}

#[tokio::test]
async fn an_api_that_was_just_starting_is_asked_again() {
    let other = Node::start(&[], &[]).await;
    let (asked, body) = (AtomicUsize::new(0), other.described());
    let api = Server::start(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => Reaction::Raw(Vec::new()),
        _ => Reaction::Json(body.clone()),
    });
    let node = Node::start(&[Place::HostPort(api.place())], &[]).await;
    assert!(node.met(&other).await.origins.contains(&Origin::PeersFile));
}

#[tokio::test]
async fn apis_that_hang_do_not_keep_a_tracker_s_others_away() {
    let other = Node::start(&[], &[]).await;
    let (silent, api) = (Server::start(|_| Reaction::Hang), Server::json(other.described()));
    let urls = [silent.place().url("/"), api.place().url("/")];
    let server = Server::json(serde_json::json!({ "peers": urls }).to_string());
    let node = Node::start(&[], &[server.place()]).await;
    node.met(&other).await;
}
