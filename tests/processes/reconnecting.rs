//! Connections come back by themselves, and only between nodes of one chain.

use std::{net::TcpListener, time::Duration};

use bard_chain::spec::ChainSpec;
use bard_tests::{
    chain_builder::easy_spec,
    process::{Node, PATIENCE, holds_for, wait_until},
};

/// An address on a port that is free now.
fn free_address() -> String {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("/ip4/127.0.0.1/tcp/{port}")
}

#[test]
fn a_node_that_was_killed_is_met_again() {
    let address = free_address();
    let mut one = Node::builder().listen(&address).start();
    let two = Node::builder().bootstrap(&address).start();
    let three = Node::start();
    three.ask(&format!("connect {address}"));
    for node in [&two, &three] {
        node.wait_for_peers(1);
    }
    one.kill9();
    wait_until("its end is noticed", PATIENCE, || !two.peers().contains(&one.peer_id().to_owned()));
    wait_until("its end is told", PATIENCE, || two.stdout().contains(&format!("* lost {}", one.peer_id())));
    let one = one.builder_of().start();
    for node in [&two, &three] {
        wait_until("it is met again", PATIENCE, || node.peers().contains(&one.peer_id().to_owned()));
    }
    one.mine(1);
    two.wait_for_same_tip(&one);
    three.wait_for_same_tip(&one);
}

#[test]
fn a_bootstrap_node_may_come_later() {
    let address = free_address();
    let two = Node::builder().bootstrap(&address).start();
    two.mine(2);
    wait_until("it says that nobody is there", PATIENCE, || two.stderr().contains("cannot be reached yet"));
    let one = Node::builder().listen(&address).start();
    one.wait_for_same_tip(&two);
}

#[test]
fn a_node_of_another_chain_is_left_alone() {
    let other = ChainSpec { name: "other".into(), ..easy_spec() };
    let stranger = Node::builder().chain(&other).start();
    stranger.mine(5);
    let node = Node::builder().bootstrap(stranger.bare_address()).start();
    wait_until("the log says so", PATIENCE, || node.stderr().contains("another chain"));
    let answer = node.ask_line(&format!("connect {}", stranger.address()));
    assert!(answer.starts_with("error: ") && answer.contains("another chain"), "{answer}");
    holds_for("they have nothing to do with each other", Duration::from_secs(1), || {
        node.peers().is_empty() && stranger.peers().is_empty() && node.height() == 0
    });
    // It still serves its own chain.
    let friend = Node::builder().bootstrap(node.address()).start();
    friend.mine(1);
    node.wait_for_same_tip(&friend);
    assert_eq!(stranger.height(), 5);
}
