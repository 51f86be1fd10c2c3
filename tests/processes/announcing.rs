//! Blocks are announced by the short ids of their transactions.

use bard_tests::process::{Node, PATIENCE, wait_until};

/// How many compact blocks a node put together, by where their last part came from.
fn rebuilt(node: &Node, from: &str) -> u64 {
    let series = format!("bard_relay_blocks_rebuilt_total{{from=\"{from}\"}} ");
    let text = node.get("/metrics").body;
    let line = text.lines().find_map(|line| line.strip_prefix(&series));
    line.and_then(|rest| rest.parse::<f64>().ok()).unwrap_or_else(|| panic!("no {series} in {text}")) as u64
}

#[test]
fn a_block_of_known_transactions_is_put_together_from_the_pool() {
    let one = Node::start();
    let two = Node::builder().bootstrap(one.address()).start();
    two.wait_for_peers(1);
    for _ in 0..100 {
        one.pay("alice", "bob", 1);
    }
    wait_until("the pool is on both", PATIENCE, || two.pool().len() == 100);
    one.mine(1);
    two.wait_for_same_tip(&one);
    assert_eq!((rebuilt(&two, "pool"), rebuilt(&two, "asked"), rebuilt(&two, "whole")), (1, 0, 0));
    assert!(two.pool().is_empty());
}

#[test]
fn a_block_with_a_transaction_that_nobody_heard_of_arrives_too() {
    let one = Node::start();
    let two = Node::builder().bootstrap(one.address()).start();
    let three = Node::builder().bootstrap(two.address()).start();
    wait_until("all know each other", PATIENCE, || [&one, &two, &three].iter().all(|node| node.peers().len() == 2));
    // It goes into the block at once, before gossip has told of it.
    one.post("/api/v1/mine", &serde_json::json!({ "blocks": 1, "data": "x".repeat(20_000) })).success();
    for node in [&two, &three] {
        node.wait_for_same_tip(&one);
        let all: u64 = ["pool", "asked", "whole"].iter().map(|from| rebuilt(node, from)).sum();
        assert_eq!((all, rebuilt(node, "not")), (1, 0));
    }
}
