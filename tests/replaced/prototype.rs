//! The production prototype: `/transactions/new`, `GET /mine`, balances, `/nodes/register`.

use bard_tests::process::Node;
use serde_json::{Value, json};

use crate::caller::{Answer, Caller, authority};

const TYPED: &str = r#"curl -X POST -H "Content-Type: application/json" -d"#;

fn new(caller: Caller, node: &Node, body: &str) -> Answer {
    caller.run(node, &format!("{TYPED} '{body}' http://localhost:5000/transactions/new"))
}

fn balance(caller: Caller, node: &Node, name: &str) -> Value {
    let answer = caller.run(node, &format!("curl http://localhost:5000/balance/{name}")).with(200);
    assert_eq!(answer["address"], name);
    answer["balance"].clone()
}

#[test]
fn payments_are_mined() {
    for caller in Caller::all() {
        let node = Node::start();
        let info = caller.run(&node, "curl http://localhost:5000/info").with(200);
        assert_eq!(
            (&info["difficulty"], &info["mining_reward"], &info["is_valid"]),
            (&json!(4), &json!(10), &json!(true))
        );
        assert_eq!(
            (&info["total_blocks"], &info["total_nodes"], &info["pending_transactions"]),
            (&json!(1), &json!(0), &json!(0))
        );
        assert!(info["name"].is_string() && info["version"].is_string(), "{info}");
        assert_eq!(
            caller.run(&node, "curl http://localhost:5000/mine").with(400)["message"],
            "No transactions to mine"
        );

        let sent = new(caller, &node, r#"{"sender": "alice", "recipient": "bob", "amount": 50}"#).with(201);
        assert_eq!(sent["message"], "Transaction will be added to next block");
        assert_eq!((&sent["transaction"]["sender"], &sent["transaction"]["amount"]), (&json!("alice"), &json!(50)));
        new(caller, &node, r#"{"sender": "genesis", "recipient": "alice", "amount": "100"}"#).with(201);
        new(caller, &node, r#"{"sender": "bob", "recipient": "zed", "amount": 2.0}"#).with(201);
        assert_eq!(caller.run(&node, "curl http://localhost:5000/info").with(200)["pending_transactions"], 3);
        let forged = caller.run(&node, "curl http://localhost:5000/mine").with(200);
        assert_eq!((&forged["message"], &forged["index"]), (&json!("New block forged"), &json!(1)));
        assert!(
            forged["hash"].is_string() && forged["previous_hash"].is_string() && forged["nonce"].is_u64(),
            "{forged}"
        );
        let first = &forged["transactions"][0];
        assert!(first["transaction_id"].is_string() && first["timestamp"].is_string(), "{forged}");
        let total: u64 =
            forged["transactions"].as_array().unwrap().iter().map(|one| one["amount"].as_u64().unwrap()).sum();
        assert_eq!(total, 152);

        assert_eq!(balance(caller, &node, "alice"), 250_050);
        assert_eq!(balance(caller, &node, "bob"), 250_048);
        assert_eq!((balance(caller, &node, "zed"), balance(caller, &node, "miner")), (json!(2), json!(10)));
        assert_eq!(balance(caller, &node, "nobody-yet"), 0);
        let wallets = caller.run(&node, "curl http://localhost:5000/wallets").with(200)["wallets"].clone();
        assert_eq!((&wallets["zed"], &wallets["miner"], &wallets["genesis"]), (&json!(2), &json!(10), &json!(249_900)));
        assert!(wallets.get("nobody-yet").is_none(), "looking makes no key: {wallets}");
        assert_eq!(caller.run(&node, "curl http://localhost:5000/validate").with(200), json!({ "valid": true }));
        let chain = caller.run(&node, "curl http://localhost:5000/chain").with(200);
        assert_eq!((&chain["length"], &chain["chain"][1]["hash"]), (&json!(2), &forged["hash"]));
    }
}

#[test]
fn payments_that_cannot_be_made() {
    let node = Node::start();
    let caller = Caller::Bytes;
    for missing in
        ["{}", r#"{"sender": "alice", "recipient": "bob"}"#, r#"{"sender": null, "recipient": "bob", "amount": 1}"#]
    {
        let answer = new(caller, &node, missing);
        assert_eq!((answer.status, answer.body.as_str()), (400, "Missing values"), "{missing}");
        assert!(answer.content_type.starts_with("text/plain"), "{answer:?}");
    }
    for amount in [r#""NaN""#, r#""many""#, "null", "[1]", "0.5", "1e300"] {
        let body = format!(r#"{{"sender": "alice", "recipient": "bob", "amount": {amount}}}"#);
        assert_eq!(new(caller, &node, &body).with(400)["message"], "Invalid amount", "{amount}");
    }
    let invalid = "Invalid transaction or insufficient balance";
    for (sender, recipient, amount) in [
        ("alice", "bob", "0"),
        ("alice", "bob", "-5"),
        ("alice", "alice", "5"),
        ("genesis", "dave", "5"),
        ("alice", "bob", "250001"),
        ("nobody", "bob", "1"),
        ("no such name", "bob", "1"),
        ("alice", "bard1qqqq", "1"),
    ] {
        let body = format!(r#"{{"sender": "{sender}", "recipient": "{recipient}", "amount": {amount}}}"#);
        let refused = new(caller, &node, &body).with(400);
        assert_eq!(refused["message"], invalid, "{body}");
        assert!(refused["error"].as_str().is_some_and(|text| !text.is_empty()), "{refused}");
    }
    // Money is spent once, before it is mined too.
    for status in [201, 400, 400] {
        let body = r#"{"sender": "alice", "recipient": "bob", "amount": 250000}"#;
        assert_eq!(new(caller, &node, body).status, status);
    }
}

#[test]
fn names_are_for_the_dev_chain() {
    let mut spec = bard_chain::presets::dev();
    spec.name = "class".to_owned();
    let node = Node::builder().chain(&spec).start();
    let caller = Caller::Bytes;
    for body in [
        r#"{"sender": "alice", "recipient": "miner", "amount": 1}"#,
        r#"{"sender": "genesis", "recipient": "miner", "amount": 1}"#,
        r#"{"sender": "miner", "recipient": "zed", "amount": 1}"#,
    ] {
        let refused = new(caller, &node, body).with(400);
        assert!(refused["error"].as_str().unwrap().contains("neither a known name"), "{refused}");
    }
    assert_eq!(caller.run(&node, "curl http://localhost:5000/balance/zed").status, 400);
    assert_eq!(balance(caller, &node, "miner"), 0);
    assert_eq!(node.post("/api/v1/wallet/keys", &json!({ "name": "zed" })).status, 201);
    assert_eq!(balance(caller, &node, "zed"), 0, "a key that somebody made has a name");
}

#[test]
fn three_nodes_register_and_resolve() {
    let nodes: Vec<Node> = (0..3).map(|_| Node::start()).collect();
    let caller = Caller::Bytes;
    let (first, others) = nodes.split_first().unwrap();
    new(caller, first, r#"{"sender": "alice", "recipient": "u0", "amount": 20}"#).with(201);
    caller.run(first, "curl http://localhost:5000/mine").with(200);
    for node in others {
        // As the README has it, without a scheme.
        let body = json!({ "nodes": [authority(first)] });
        let command = format!("{TYPED} '{body}' http://localhost:5001/nodes/register");
        let registered = caller.run(node, &command).with(201);
        assert_eq!(registered["message"], "New nodes have been added");
        assert_eq!(registered["total_nodes"], json!([authority(first)]));
        let resolved = caller.run(node, "curl http://localhost:5001/nodes/resolve").with(200);
        let message = resolved["message"].as_str().unwrap();
        assert!(["Our chain was replaced", "Our chain is authoritative"].contains(&message), "{resolved}");
        let chain = resolved.get("new_chain").or(resolved.get("chain")).unwrap();
        assert_eq!(chain.as_array().unwrap().len(), 2, "it has the longer chain then: {resolved}");
        assert_eq!(balance(caller, node, "alice"), 249_980, "and its balances");
    }
    new(caller, &others[1], r#"{"sender": "bob", "recipient": "alice", "amount": 20}"#).with(201);
    caller.run(&others[1], "curl http://localhost:5000/mine").with(200);
    for node in &nodes {
        node.wait_for_same_tip(&others[1]);
        assert_eq!(balance(caller, node, "alice"), 250_000);
    }
}
