//! Nodes that are connected hold the same chain and the same pool.

use std::time::Duration;

use bard_tests::process::{Node, PATIENCE, wait_until};

/// How long a transaction may take to a neighbour's pool.
const PROMPTLY: Duration = Duration::from_secs(5);

/// Whether the console of both says the same height and tip.
fn same_status(one: &Node, two: &Node) -> bool {
    ["height", "tip "].iter().all(|word| one.status_line(word) == two.status_line(word))
}

#[test]
fn blocks_mined_on_one_node_are_on_the_other() {
    let one = Node::start();
    let two = Node::builder().bootstrap(one.address()).start();
    two.wait_for_peers(1);
    let answer = one.ask("mine 3");
    assert_eq!(answer.len(), 3, "{answer:?}");
    assert!(answer.iter().zip(1..).all(|(line, n)| line.starts_with(&format!("mined block {n} "))), "{answer:?}");
    wait_until("the same status", PATIENCE, || same_status(&one, &two));
    assert_eq!(two.status_line("height"), "3");
    wait_until("the news say so", PATIENCE, || two.stdout().contains("* block 3 "));
}

#[test]
fn a_transfer_typed_into_one_node_is_mined_by_the_other() {
    let one = Node::start();
    let two = Node::builder().bootstrap(one.address()).start();
    one.wait_for_peers(1);
    let answer = one.ask_line("send alice bob 5");
    let id = answer.strip_prefix("in the pool: ").and_then(|rest| rest.split(' ').next()).unwrap().to_owned();
    wait_until("the transfer is in the other pool", PROMPTLY, || two.pool().contains(&id));
    assert!(two.ask_line("mine").starts_with("mined block 1 "));
    wait_until("the transfer is in both chains", PATIENCE, || {
        [&one, &two].iter().all(|node| node.mined_at(&id) == Some(1) && node.pool().is_empty())
    });
    for node in [&one, &two] {
        assert!(node.ask_line("balance bob").ends_with(" 250005"));
        assert!(node.ask_line("balance alice").ends_with(" 249995"));
    }
}

#[test]
fn a_third_node_joins_with_nothing_but_a_bootstrap_address() {
    let one = Node::start();
    let two = Node::builder().bootstrap(one.address()).start();
    one.mine(5);
    two.wait_for_same_tip(&one);
    let three = Node::builder().bootstrap(two.bare_address()).start();
    three.wait_for_same_tip(&one);
    wait_until("it is told of the first node too", PATIENCE, || three.peers().contains(&one.peer_id().to_owned()));
    three.mine(1);
    wait_until("its block is everywhere", PATIENCE, || {
        let tip = three.tip();
        [&one, &two].iter().all(|node| node.tip() == tip)
    });
}

#[test]
fn addresses_are_good_with_and_without_a_peer_id() {
    let one = Node::start();
    let wrong = Node::start();
    for address in [one.address(), one.bare_address()] {
        let node = Node::builder().bootstrap(address).start();
        wait_until("the bootstrap node is met", PATIENCE, || node.peers() == [one.peer_id().to_owned()]);
    }
    let port = one.bare_address().rsplit('/').next().unwrap().to_owned();
    for line in
        [format!("connect {}", one.address()), format!("connect 127.0.0.1 {port}"), format!("connect localhost:{port}")]
    {
        let node = Node::start();
        assert_eq!(node.ask_line(&line), format!("connected to {}", one.peer_id()));
    }
    // Somebody else's name on the address: whoever answers there is not who was meant.
    let node = Node::start();
    let answer = node.ask_line(&format!("connect {}/p2p/{}", one.bare_address(), wrong.peer_id()));
    assert!(answer.starts_with("error: "), "{answer}");
}

#[test]
fn quic_serves_as_well_as_tcp() {
    let one = Node::builder().listen("/ip4/127.0.0.1/udp/0/quic-v1").start();
    one.mine(200);
    let two = Node::builder().bootstrap(one.bare_address()).start();
    two.wait_for_same_tip(&one);
    let id = two.pay("alice", "bob", 5);
    wait_until("the transfer is in the other pool", PROMPTLY, || one.pool().contains(&id));
    one.mine(1);
    two.wait_for_same_tip(&one);
    assert_eq!(two.mined_at(&id), Some(201));
}
