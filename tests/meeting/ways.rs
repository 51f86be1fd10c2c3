//! One test for each way.

use std::fs;

use bard_tests::process::{Builder, Node, PATIENCE, TrackerBuilder, wait_until};
use serde_json::json;

use crate::group::{SIZE, alone, becomes_one_network, goes_on, group, is_found_by};

/// A node to which only its peers tell of others: where a way leads to one node, that one tells of the rest.
fn told_by_peers() -> Builder {
    Builder::default().arg("--no-kademlia").arg("--no-autonat")
}

/// A group that is brought together by a hub, then is without it.
fn outlives_its_hub(hub: Node, mut nodes: Vec<Node>, way: &str) {
    nodes.push(hub);
    becomes_one_network(&nodes);
    wait_until("what was found how is shown", PATIENCE, || is_found_by(&nodes, way));
    // A peer is told of others when it comes, and again when there are few.
    wait_until("nobody depends on the hub", PATIENCE, || nodes.iter().all(|node| node.peers().len() > 1));
    let mut hub = nodes.pop().unwrap();
    hub.kill9();
    goes_on(nodes, |one| told_by_peers().bootstrap(one.address()));
}

#[test]
fn a_bootstrap_address() {
    let hub = told_by_peers().start();
    let nodes = group(|| told_by_peers().bootstrap(hub.address()));
    outlives_its_hub(hub, nodes, "bootstrap");
}

#[test]
fn kademlia_from_a_bootstrap_address() {
    let only = || Builder::default().arg("--no-exchange").arg("--no-autonat");
    let hub = only().start();
    let nodes = group(|| only().bootstrap(hub.address()));
    outlives_its_hub(hub, nodes, "kademlia");
}

#[test]
fn a_peers_file_of_all_kinds_of_addresses() {
    let hub = told_by_peers().start();
    let port = hub.file().api.trim_end_matches('/').rsplit(':').next().unwrap().to_owned();
    let entries = [hub.address().to_owned(), hub.file().api.clone(), format!("localhost:{port}")];
    let mut turn = entries.iter().cycle();
    let nodes: Vec<_> = (0..SIZE)
        .map(|_| {
            let builder = told_by_peers();
            let file = builder.home().join("nodes.json");
            fs::write(&file, json!({ "nodes": [turn.next().unwrap()] }).to_string()).unwrap();
            builder.arg("--peers-file").arg(file).start()
        })
        .collect();
    outlives_its_hub(hub, nodes, "peers-file");
}

#[test]
fn connect_by_host_and_port_and_by_http_address() {
    let hub = told_by_peers().start();
    let nodes = group(told_by_peers);
    let p2p_port = hub.bare_address().rsplit('/').next().unwrap().to_owned();
    let api = hub.file().api.clone();
    let api_port = api.trim_end_matches('/').rsplit(':').next().unwrap().to_owned();
    let ways = [
        format!("connect localhost {p2p_port}"),
        format!("connect localhost {api_port}"),
        format!("connect {api}"),
        format!("connect 127.0.0.1:{p2p_port}"),
        format!("connect {}", hub.address()),
    ];
    for (node, line) in nodes.iter().zip(&ways) {
        assert_eq!(node.ask_line(line), format!("connected to {}", hub.peer_id()), "{line}");
    }
    outlives_its_hub(hub, nodes, "manual");
}

#[test]
fn an_http_tracker() {
    let mut tracker = TrackerBuilder::default().start();
    let nodes = group(|| alone().arg("--tracker").arg(tracker.url()));
    becomes_one_network(&nodes);
    wait_until("what was found how is shown", PATIENCE, || is_found_by(&nodes, "tracker"));
    tracker.kill9();
    goes_on(nodes, |one| alone().bootstrap(one.address()));
}

#[test]
fn a_node_leaves_the_tracker_when_it_stops() {
    let tracker = TrackerBuilder::default().start();
    let listed = || tracker.http().get("/peers").json()["peers"].as_array().unwrap().len();
    let mut nodes: Vec<Node> = (0..3).map(|_| alone().arg("--tracker").arg(tracker.url()).start()).collect();
    wait_until("all are listed", PATIENCE, || listed() == 3);
    nodes[0].stop();
    assert_eq!(listed(), 2);
    // One that was killed is listed until its registration expires, and harms nobody.
    nodes[1].kill9();
    assert_eq!(listed(), 2);
    let newcomer = alone().arg("--tracker").arg(tracker.url()).start();
    wait_until("a newcomer meets the one that is left", PATIENCE, || {
        newcomer.peers().contains(&nodes[2].peer_id().to_owned())
    });
}

#[test]
fn a_rendezvous_point() {
    let mut point = TrackerBuilder::default().start();
    let nodes = group(|| alone().arg("--rendezvous").arg(point.address()));
    becomes_one_network(&nodes);
    wait_until("what was found how is shown", PATIENCE, || is_found_by(&nodes, "rendezvous"));
    point.kill9();
    goes_on(nodes, |one| alone().bootstrap(one.address()));
}

#[test]
fn kademlia_from_a_tracker_s_address() {
    let only = || Builder::default().arg("--no-exchange").arg("--no-autonat");
    let mut point = TrackerBuilder::default().start();
    let nodes = group(|| only().bootstrap(point.address()));
    becomes_one_network(&nodes);
    wait_until("what was found how is shown", PATIENCE, || is_found_by(&nodes, "kademlia"));
    point.kill9();
    goes_on(nodes, |one| only().bootstrap(one.address()));
}
