//! A disk with too little room: the node takes no blocks, says so wherever it is looked for, and goes on answering.

use bard_tests::process::{Node, PATIENCE, wait_until};
use serde_json::{Value, json};

/// More than any disk has, in MiB.
const MORE_THAN_ANY: &str = "1000000000";

#[test]
fn a_node_without_room_answers_and_mines_nothing() {
    let builder = Node::builder();
    let mut node = builder.start();
    node.mine(2);
    node.stop();

    let mut short = builder.clone().arg("--keep-free").arg(MORE_THAN_ANY).arg("--mine").start();
    let answer = short.get("/readyz");
    assert_eq!(answer.status, 503, "{}", answer.body);
    let rule = answer.json()["rules"].as_array().unwrap().iter().find(|rule| rule["rule"] == "free_bytes").cloned();
    assert_eq!(rule.expect("the rule")["ok"], false);
    assert_eq!(short.get("/healthz").status, 200, "it is alive");
    let disk = short.status()["disk"].clone();
    assert_eq!(disk["keep_free_bytes"], json!(1_000_000_000_u64 << 20));
    let why = disk["shortage"].as_str().expect("a reason").to_owned();
    assert!(why.contains("the disk is nearly full"), "{why}");
    assert!(short.ask("status").iter().any(|line| line.contains(&why)), "the console says so, too");

    let refused = short.post("/api/v1/mine", &json!({ "blocks": 1 }));
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.json()["detail"].as_str().unwrap().contains("0 of 1 blocks were mined"), "{}", refused.body);
    assert!(short.ask_line("mine").starts_with("error: "));
    let old = |body: &Value| {
        let refused = short.post("/mine", body);
        assert!(refused.status == 503 && refused.body.contains("the disk is nearly full"), "{body}: {refused:?}");
    };
    old(&json!({ "data": "noted" }));
    old(&json!({ "transactions": ["noted"] }));
    assert_eq!(short.pool().len(), 0, "nothing is put on record that would wait for long");
    assert_eq!(short.get("/api/v1/blocks/2").status, 200, "what is stored is answered");
    let payment = json!({ "from": "alice", "to": "bob", "amount": 5 });
    let unkept = short.post("/api/v1/wallet/transfer", &payment);
    assert_eq!(unkept.status, 503, "{}", unkept.body);
    let why = unkept.json()["detail"].as_str().unwrap().to_owned();
    assert!(why.contains("is in the pool, but would be lost") && why.contains("(--keep-free)"), "{why}");
    assert_eq!(short.pool().len(), 1, "what is held in memory alone is taken");
    old(&json!({}));
    assert_eq!(short.height(), 2);
    short.stop();
    let lines = short.stderr().from(0);
    assert_eq!(lines.iter().filter(|line| line.contains("nearly full")).count(), 1, "said once: {lines:?}");

    let node = builder.start();
    assert_eq!(node.status()["disk"]["shortage"], json!(null));
    node.mine(1);
    assert_eq!(node.height(), 3);
}

/// A block that a peer has is fetched once there is room, which is tried here by starting again with less kept free.
#[test]
fn a_node_without_room_blames_nobody() {
    let full = Node::start();
    full.mine(5);
    let builder = Node::builder().bootstrap(full.address());
    let mut short = builder.clone().arg("--keep-free").arg(MORE_THAN_ANY).start();
    short.wait_for_peers(1);
    full.mine(1);
    wait_until("it hears that it is behind", PATIENCE, || {
        short.get("/metrics").body.contains("bard_sync_lag_blocks 6")
    });
    assert_eq!(short.height(), 0);
    let peers = short.get("/api/v1/peers").success();
    assert_eq!(peers["peers"][0]["faults"], json!([]), "{peers}");
    short.stop();
    builder.start().wait_for_same_tip(&full);
}
