//! Each way to meet, alone.

use bard_protocol::Origin;

use crate::rig::{Node, Options, eventually};

/// Neither Kademlia nor peers that tell of their peers, unless asked for.
fn alone() -> Options {
    Options { exchange: false, ..Options::default() }
}

#[tokio::test]
async fn kademlia_alone_leads_from_one_node_to_the_others() {
    let hub = Node::start(Options { kademlia: true, ..alone() }).await;
    let others = || Options { kademlia: true, bootstrap: vec![hub.address()], ..alone() };
    let nodes = [Node::start(others()).await, Node::start(others()).await, Node::start(others()).await];
    for one in &nodes {
        for other in nodes.iter().filter(|other| other.id() != one.id()) {
            one.meets(other).await;
        }
    }
    let found = |node: &Node| node.peers().iter().any(|peer| peer.origins.contains(&Origin::Kademlia));
    assert!(nodes.iter().any(found), "how it was found is known");
    // What holds the others together is no longer the hub.
    let ids = nodes.each_ref().map(Node::id);
    hub.stop().await;
    for node in &nodes {
        eventually("the hub is gone", || node.peers().len() == 2).await;
        assert!(node.peers().iter().all(|peer| ids.contains(&peer.id)));
    }
}

#[tokio::test]
async fn without_kademlia_and_exchange_only_the_hub_is_known() {
    let hub = Node::start(alone()).await;
    let others = || Options { bootstrap: vec![hub.address()], ..alone() };
    let nodes = [Node::start(others()).await, Node::start(others()).await];
    for node in &nodes {
        node.meets(&hub).await;
    }
    assert!(nodes.iter().all(|node| node.peers().len() == 1));
}

#[tokio::test]
async fn kademlia_finds_more_nodes_than_it_holds_connections_to() {
    let hub = Node::start(Options { kademlia: true, ..alone() }).await;
    let mut nodes = Vec::new();
    for _ in 0..8 {
        let options = Options { kademlia: true, bootstrap: vec![hub.address()], target_outbound: 2, ..alone() };
        nodes.push(Node::start(options).await);
    }
    for node in &nodes {
        eventually("as many as are wanted", || outbound(node) >= 2).await;
    }
    // Each in its own time: those that look for somebody still may dial one that has enough already.
    for node in &nodes {
        eventually("no more than are wanted, besides the hub", || outbound(node) <= 3).await;
    }
}

fn outbound(node: &Node) -> usize {
    node.peers().iter().filter(|peer| peer.direction == bard_protocol::Direction::Outbound).count()
}

#[tokio::test]
async fn of_two_connections_to_one_peer_one_remains() {
    let one = Node::start(alone()).await;
    let two = Node::start(alone()).await;
    // At once from both sides.
    let (from_one, from_two) = (one.address(), two.address());
    let dials =
        tokio::join!(one.handle.connect(from_two, Origin::Manual), two.handle.connect(from_one, Origin::Manual));
    assert_eq!((dials.0.as_ref(), dials.1.as_ref()), (Ok(&two.id()), Ok(&one.id())));
    let single = |node: &Node| node.peers().iter().all(|peer| peer.addresses.len() == 1);
    eventually("one connection remains", || single(&one) && single(&two)).await;
    assert_eq!((one.peers().len(), two.peers().len()), (1, 1));
}
