//! A group of nodes, and what is asked of every group.

use std::collections::{BTreeMap, BTreeSet};

use bard_tests::process::{Builder, Node, PATIENCE, wait_until};

/// Nodes of a group.
pub(crate) const SIZE: usize = 5;

/// A node that neither Kademlia nor its peers tell of other nodes.
pub(crate) fn alone() -> Builder {
    Builder::default().arg("--no-kademlia").arg("--no-exchange").arg("--no-autonat")
}

/// Starts a group.
pub(crate) fn group(builder: impl Fn() -> Builder) -> Vec<Node> {
    (0..SIZE).map(|_| builder().start()).collect()
}

/// Whether connections lead from each node to every other.
pub(crate) fn is_one_network(nodes: &[Node]) -> bool {
    let peers: BTreeMap<String, Vec<String>> =
        nodes.iter().map(|node| (node.peer_id().to_owned(), node.peers())).collect();
    let mut reached = BTreeSet::new();
    let mut next: Vec<&String> = peers.keys().take(1).collect();
    while let Some(id) = next.pop() {
        if reached.insert(id) {
            next.extend(peers.get(id).into_iter().flatten().filter(|peer| peers.contains_key(*peer)));
        }
    }
    reached.len() == nodes.len()
}

/// The nodes become one network, and a block of the last one reaches all.
pub(crate) fn becomes_one_network(nodes: &[Node]) {
    wait_until("they are one network", PATIENCE, || is_one_network(nodes));
    carries_a_block(nodes);
}

/// A block of the last node reaches all.
pub(crate) fn carries_a_block(nodes: &[Node]) {
    let (last, others) = nodes.split_last().unwrap();
    last.mine(1);
    for node in others {
        node.wait_for_same_tip(last);
    }
}

/// What brought the nodes together is gone: they stay one network, and a newcomer that knows one of them is admitted.
pub(crate) fn goes_on(mut nodes: Vec<Node>, newcomer: impl FnOnce(&Node) -> Builder) {
    wait_until("they stay one network", PATIENCE, || is_one_network(&nodes));
    carries_a_block(&nodes);
    let newcomer = newcomer(nodes.first().unwrap()).start();
    newcomer.wait_for_same_tip(nodes.first().unwrap());
    nodes.push(newcomer);
    carries_a_block(&nodes);
}

/// Whether some node of the group says that it found another in this way.
pub(crate) fn is_found_by(nodes: &[Node], way: &str) -> bool {
    nodes.iter().any(|node| {
        let peers = node.get("/api/v1/peers").success();
        let origins = peers["peers"].as_array().unwrap().iter().flat_map(|peer| peer["origins"].as_array().unwrap());
        origins.into_iter().any(|origin| origin == way)
    })
}
