//! The program with a menu of four entries: `app.py PORT`, `nodes.json`, `/mine` with transactions, `/nodes/resolve`.

use std::fs;

use bard_tests::process::{Builder, Node, PATIENCE, wait_until};
use serde_json::{Value, json};

use crate::caller::{Caller, authority};

const MINE: &str = r#"curl -X POST -H "Content-Type: application/json" -d '{"transactions": ["Alice pays Bob 10 BTC", "Bob pays Charlie 5 BTC"]}' http://127.0.0.1:5000/mine"#;

fn chain(caller: Caller, node: &Node) -> Vec<Value> {
    let answer = caller.run(node, "curl http://127.0.0.1:5000/chain").with(200);
    let chain = answer["chain"].as_array().unwrap().clone();
    assert_eq!(answer["length"], json!(chain.len()));
    chain
}

fn has_time_and_load(answer: &Value) {
    assert!(answer["time_taken"].as_str().unwrap().ends_with(" seconds"), "{answer}");
    let load = answer["cpu_utilization"].as_str().unwrap().strip_suffix('%').unwrap().parse::<f64>().unwrap();
    assert!((0.0..=100.0).contains(&load), "{answer}");
}

#[test]
fn texts_are_mined_and_verified() {
    for caller in Caller::all() {
        let node = Node::start();
        assert_eq!(chain(caller, &node).len(), 1);
        let mined = caller.run(&node, MINE).with(201);
        assert_eq!(mined["message"], "New block mined and broadcasted");
        has_time_and_load(&mined);
        let block = &mined["block"];
        assert_eq!(block["data"], json!(["Alice pays Bob 10 BTC", "Bob pays Charlie 5 BTC"]));
        assert_eq!(block["transactions"][1]["data"], "Bob pays Charlie 5 BTC");
        assert_eq!((&block["index"], &block["nonce"].is_u64()), (&json!(1), &true));
        assert_eq!(chain(caller, &node)[1], *block);
        let verified = caller.run(&node, "curl http://127.0.0.1:5000/verify").with(200);
        assert_eq!(
            (&verified["valid"], &verified["message"]),
            (&json!(true), &json!("Chain validation completed successfully"))
        );
        has_time_and_load(&verified);
        let resolved = caller.run(&node, "curl http://127.0.0.1:5000/nodes/resolve").with(200);
        assert_eq!(resolved["message"], "Our chain is authoritative");
        assert_eq!(resolved["chain"].as_array().unwrap().len(), 2);
        has_time_and_load(&resolved);
        for empty in ["{}", r#"{"transactions": []}"#, r#"{"transactions": ""}"#, r#"{"transactions": null}"#] {
            let command =
                format!("curl -X POST -H 'Content-Type: application/json' -d '{empty}' http://127.0.0.1:5000/mine");
            let error = caller.run(&node, &command).with(400)["error"].clone();
            assert!(error == "Transactions are required" || empty == "{}", "{empty}: {error}");
        }
        let old = json!({
            "index": 2, "timestamp": "2025-01-01 00:00:00", "transactions": ["x"], "nonce": 1,
            "previous_hash": block["hash"], "hash": "0000".repeat(16),
        });
        let command =
            format!("curl -X POST -H 'Content-Type: application/json' -d '{old}' http://127.0.0.1:5000/add_block");
        let refused = caller.run(&node, &command).with(400);
        assert_eq!(
            (&refused["error"], &refused["message"]),
            (&json!("Invalid block"), &json!("Attempted to resolve conflicts"))
        );
        assert_eq!(refused["resolve_response"]["message"], "Our chain is authoritative");
        assert_eq!(chain(caller, &node).len(), 2, "nothing of that was mined");
    }
}

#[test]
fn three_nodes_of_a_nodes_json() {
    let first = Node::start();
    let beside = |others: &[&Node]| {
        let builder = Builder::default();
        let file = builder.home().join("nodes.json");
        let urls: Vec<String> = others.iter().map(|node| format!("http://{}", authority(node))).collect();
        fs::write(&file, json!({ "nodes": urls }).to_string()).unwrap();
        builder.arg("--peers-file").arg(file).start()
    };
    let caller = Caller::Bytes;
    caller.run(&first, MINE).with(201);
    let second = beside(&[&first]);
    let third = beside(&[&first, &second]);
    for node in [&second, &third] {
        let resolved = caller.run(node, "curl http://127.0.0.1:5000/nodes/resolve").with(200);
        let shown = resolved.get("new_chain").or(resolved.get("chain")).unwrap().as_array().unwrap().len();
        assert_eq!(resolved["replaced"] == true, resolved.get("new_chain").is_some(), "{resolved}");
        assert_eq!(shown, 2, "{resolved}");
    }
    caller.run(&third, MINE).with(201);
    wait_until("everybody has it", PATIENCE, || [&first, &second].iter().all(|node| chain(caller, node).len() == 3));
    assert_eq!(chain(caller, &first), chain(caller, &third));
    caller.run(&second, "curl http://127.0.0.1:5000/verify").with(200);
}
