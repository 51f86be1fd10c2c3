//! Twenty nodes from one address.

use std::time::Duration;

use bard_tests::process::{Builder, Node, wait_until};

use crate::group::is_one_network;

const CROWD: usize = 20;
/// The default caps of a node.
const INBOUND: usize = 64;
const OUTBOUND: usize = 8;
/// Generous, because all share this machine with other tests; how long it takes on a quiet one is measured elsewhere.
const SOON: Duration = Duration::from_secs(60);

fn directions(node: &Node) -> (usize, usize) {
    let peers = node.get("/api/v1/peers").success();
    let inbound = |peer: &&serde_json::Value| peer["direction"] == "inbound";
    let all = peers["peers"].as_array().unwrap();
    let inbound = all.iter().filter(inbound).count();
    (inbound, all.len() - inbound)
}

#[test]
fn twenty_nodes_from_one_address_are_one_network_within_their_caps() {
    let hub = Node::start();
    let nodes: Vec<Node> = (1..CROWD).map(|_| Builder::default().bootstrap(hub.address()).spawn()).collect();
    let mut nodes: Vec<Node> = nodes
        .into_iter()
        .map(|mut node| {
            node.wait_ready(SOON);
            node
        })
        .collect();
    nodes.push(hub);
    wait_until("they are one network", SOON, || is_one_network(&nodes));
    nodes[0].mine(1);
    for node in &nodes {
        node.wait_for_same_tip(&nodes[0]);
    }
    // A bootstrap address is kept besides those of its own choice, and a passing connection may be on its way out.
    wait_until("each is within its caps", SOON, || {
        nodes.iter().map(directions).all(|(inbound, outbound)| inbound <= INBOUND && outbound <= OUTBOUND + 1)
    });
}
