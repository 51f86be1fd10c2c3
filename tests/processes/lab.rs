//! The laboratory of a class: a node cut off, a slow one, a rival; and that none of it is there on other chains.

use std::time::Duration;

use bard_chain::{presets, spec::ChainSpec, target::Target};
use bard_tests::process::{Events, Node, PATIENCE, holds_for, wait_until};
use serde_json::{Value, json};

const LAB: &str = "/api/v1/lab";
/// How long nothing comes through while a node is cut off.
const APART: Duration = Duration::from_secs(2);

fn pair() -> (Node, Node) {
    let one = Node::start();
    let two = Node::builder().bootstrap(one.address()).start();
    one.wait_for_peers(1);
    two.wait_for_peers(1);
    one.mine(1);
    two.wait_for_same_tip(&one);
    (one, two)
}

fn switch(node: &Node, what: &Value) -> Value {
    node.http().put(LAB, what).success()
}

#[test]
fn a_node_that_is_cut_off_goes_its_own_way_and_comes_back() {
    let (one, two) = pair();
    let mut reorgs = Events::follow(&one, "types=reorg", None);
    let lab = switch(&one, &json!({ "apart": true }));
    assert_eq!(lab, json!({ "teaching": true, "apart": true, "delay_ms": 0, "rival": false }));
    let (paid_here, paid_there) = (one.pay("alice", "bob", 7), two.pay("carol", "dave", 9));
    let (lost, won) = (one.mine(2).pop().unwrap(), two.mine(3).pop().unwrap());
    let (waits_here, waits_there) = (one.pay("alice", "bob", 1), two.pay("carol", "dave", 2));
    assert!(one.ask_line("sync").contains("0 answered"));
    holds_for("each has its own chain and its own pool, and they stay connected", APART, || {
        let chains = one.tip() == lost && two.tip() == won;
        let pools = one.pool() == [waits_here.clone()] && two.pool() == [waits_there.clone()];
        chains && pools && one.peers().len() == 1 && two.peers().len() == 1
    });
    switch(&one, &json!({ "apart": false }));
    one.wait_for_same_tip(&two);
    let reorg = reorgs.next_of("reorg").data;
    assert_eq!(
        (&reorg["outcome"], &reorg["disconnected"], &reorg["connected"]),
        (&json!("adopted"), &json!(2), &json!(3))
    );
    assert_eq!(one.mined_at(&paid_there), Some(2));
    wait_until("both can mine what waited at either, and what the lost branch held", PATIENCE, || {
        [&one, &two].iter().all(|node| {
            let pool = node.pool();
            [&paid_here, &waits_here, &waits_there].iter().all(|wanted| pool.contains(wanted))
        })
    });
}

#[test]
fn a_node_that_is_ahead_tells_the_others_when_it_is_no_longer_cut_off() {
    let (one, two) = pair();
    switch(&one, &json!({ "apart": true }));
    let won = one.mine(2).pop().unwrap();
    let paid = two.pay("alice", "bob", 7);
    let lost = two.mine(1).pop().unwrap();
    holds_for("the other hears nothing of it", APART, || two.tip() == lost);
    switch(&one, &json!({ "apart": false }));
    two.wait_for_same_tip(&one);
    assert_eq!(two.tip(), won);
    wait_until("what the other's lost branch held can be mined by either", PATIENCE, || {
        [&one, &two].iter().all(|node| node.pool() == [paid.clone()])
    });
}

#[test]
fn blocks_and_transactions_are_held_back_in_both_directions() {
    let (one, two) = pair();
    // Longer than it is watched, so that only a node that does not hold back can fail.
    assert_eq!(switch(&one, &json!({ "delay_ms": 5_000 }))["delay_ms"], json!(5_000));
    let paid = two.pay("alice", "bob", 7);
    two.mine(1);
    holds_for("nothing comes in at once", APART, || one.height() == 1 && one.pool().is_empty());
    one.wait_for_same_tip(&two);
    assert_eq!(one.mined_at(&paid), Some(2));
    one.mine(1);
    holds_for("nothing goes out at once", APART, || two.height() == 2);
    two.wait_for_same_tip(&one);
    assert_eq!(switch(&one, &json!({ "delay_ms": 0 }))["delay_ms"], json!(0));
    two.mine(1);
    one.wait_for_same_tip(&two);
}

#[test]
fn what_is_switched_is_told_to_whoever_watches() {
    let node = Node::start();
    let mut told = Events::follow(&node, "types=lab,block", None);
    switch(&node, &json!({ "apart": true }));
    let first = told.next().unwrap();
    assert_eq!((first.kind.as_str(), first.data), ("lab", json!({ "apart": true, "delay_ms": 0, "rival": false })));
    // What stays as it is is no news: the next that is told is another switch.
    switch(&node, &json!({ "apart": true }));
    switch(&node, &json!({}));
    switch(&node, &json!({ "delay_ms": 500 }));
    assert_eq!(told.next().unwrap().data, json!({ "apart": true, "delay_ms": 500, "rival": false }));
    switch(&node, &json!({ "apart": false, "delay_ms": 0 }));
    // Whoever comes back hears of what came after the last that it knows.
    let mut again = Events::follow(&node, "types=lab", Some(&first.id));
    assert_eq!(again.next().unwrap().data["delay_ms"], json!(500));
    assert_eq!(again.next().unwrap().data, json!({ "apart": false, "delay_ms": 0, "rival": false }));
}

#[test]
fn a_rival_makes_forks_and_reorganisations() {
    let node = Node::start();
    let mut reorgs = Events::follow(&node, "types=reorg", None);
    assert_eq!(switch(&node, &json!({ "rival": true }))["rival"], json!(true));
    let keys = node.get("/api/v1/wallet/keys").success();
    let named = |key: &&Value| key["name"] == json!("rival");
    let rival = keys["keys"].as_array().unwrap().iter().find(named).unwrap()["address"].clone();
    // Whoever of the two finds the first block, the rival goes on with its own last one.
    node.mine(1);
    let reorg = reorgs.next_of("reorg").data;
    assert_eq!(reorg["outcome"], json!("adopted"));
    let fork = reorg["fork_height"].as_u64().unwrap();
    let joined = node.get(&format!("/api/v1/blocks/{}", fork + 1)).success();
    assert_eq!(joined["miner"], rival);
    let forks = node.get("/api/v1/forks").success();
    let stale = forks["blocks"].as_array().unwrap().iter().any(|block| block["hash"] == reorg["old_tip"]);
    assert!(stale, "the branch that was left is still known: {forks}");
    assert!(node.ask_line("verify").starts_with("the chain is valid"));
    // Clearly behind, it begins anew from the tip.
    let height = node.height();
    node.mine(5);
    wait_until("it builds on what was mined meanwhile", PATIENCE, || node.height() > height + 5);
    switch(&node, &json!({ "rival": false }));
    // Whatever it had found goes through the keeper's door before this block.
    node.mine(1);
    let tip = node.tip();
    holds_for("it has stopped", Duration::from_millis(2 * presets::dev().target_interval_ms), || node.tip() == tip);
}

#[test]
fn there_is_no_laboratory_where_blocks_cost_something() {
    let spec = ChainSpec {
        name: "consortium".to_owned(),
        initial_target: Target::of_hashes(1 << 26).compact(),
        target_interval_ms: 60_000,
        ..presets::dev()
    };
    let node = Node::builder().chain(&spec).start();
    let off = json!({ "teaching": false, "apart": false, "delay_ms": 0, "rival": false });
    assert_eq!(node.get(LAB).success(), off);
    for wanted in [json!({ "apart": true }), json!({ "delay_ms": 1 }), json!({ "rival": true }), json!({})] {
        let refused = node.http().put(LAB, &wanted);
        assert_eq!((refused.status, refused.content_type.as_str()), (409, "application/problem+json"), "{wanted}");
        assert!(refused.json()["detail"].as_str().unwrap().contains("teaching"), "{}", refused.body);
    }
    assert_eq!(node.get(LAB).success(), off);
}

#[test]
fn what_cannot_be_switched_is_refused_by_name() {
    let node = Node::start();
    for (wanted, field) in [
        (json!({ "delay_ms": 5_001 }), "delay_ms"),
        (json!({ "delay_ms": -1 }), "delay_ms"),
        (json!({ "apart": "yes" }), "apart"),
        (json!({ "speed": 1 }), "speed"),
    ] {
        let refused = node.http().put(LAB, &wanted);
        assert_eq!(refused.status, 400, "{wanted}: {}", refused.body);
        assert!(refused.json()["detail"].as_str().unwrap().contains(field), "{}", refused.body);
    }
    let off = json!({ "teaching": true, "apart": false, "delay_ms": 0, "rival": false });
    assert_eq!(node.get(LAB).success(), off);
}
