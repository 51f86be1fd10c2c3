//! Nodes of two chains at one tracker, one rendezvous point, one bootstrap node.

use std::time::Duration;

use bard_chain::spec::ChainSpec;
use bard_tests::{
    chain_builder::easy_spec,
    process::{Builder, Node, PATIENCE, TrackerBuilder, holds_for, wait_until},
};

use crate::group::is_one_network;

#[test]
fn two_chains_at_one_tracker_never_mix() {
    let tracker = TrackerBuilder::default().start();
    let other = ChainSpec { name: "other".into(), ..easy_spec() };
    let builder = || {
        let builder = Builder::default().arg("--tracker").arg(tracker.url());
        builder.arg("--rendezvous").arg(tracker.address()).bootstrap(tracker.address())
    };
    let ours: Vec<Node> = (0..3).map(|_| builder().start()).collect();
    let theirs: Vec<Node> = (0..3).map(|_| builder().chain(&other).start()).collect();
    wait_until("each chain is one network", PATIENCE, || is_one_network(&ours) && is_one_network(&theirs));
    ours[0].mine(1);
    theirs[0].mine(2);
    let agree = |nodes: &[Node], height| nodes.iter().all(|node| node.height() == height);
    wait_until("each chain has its blocks", PATIENCE, || agree(&ours, 1) && agree(&theirs, 2));
    let strangers = |nodes: &[Node], others: &[Node]| {
        let ids: Vec<_> = others.iter().map(|node| node.peer_id().to_owned()).collect();
        nodes.iter().flat_map(Node::peers).any(|peer| ids.contains(&peer))
    };
    holds_for("they have nothing to do with each other", Duration::from_secs(2), || {
        !strangers(&ours, &theirs) && !strangers(&theirs, &ours)
    });
    assert!(agree(&ours, 1) && agree(&theirs, 2));
}
