//! Keys by name: over the API, by the console, and by their first use in an old call.

use std::{fs, os::unix::fs::PermissionsExt};

use bard_tests::process::Node;
use serde_json::{Value, json};

fn names(node: &Node) -> Vec<String> {
    let keys = node.get("/api/v1/wallet/keys").success();
    let name = |key: &Value| {
        assert!(key["address"].as_str().unwrap().starts_with("bard1"), "{keys}");
        let fields: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, ["address", "balance", "name", "nonce", "pending"], "nothing that is secret: {keys}");
        key["name"].as_str().unwrap().to_owned()
    };
    keys["keys"].as_array().unwrap().iter().map(name).collect()
}

#[test]
fn keys_are_made_used_and_kept() {
    let mut node = Node::start();
    assert_eq!(names(&node), ["me", "alice", "bob", "carol", "dave"]);
    let made = node.post("/api/v1/wallet/keys", &json!({ "name": "erin" }));
    assert_eq!((made.status, &made.json()["name"]), (201, &json!("erin")));
    let address = made.json()["address"].as_str().unwrap().to_owned();
    assert!(node.ask_line("wallet new frank").starts_with("frank bard1"));
    for (line, part) in [
        ("wallet new frank", "already"),
        ("wallet new ../frank", "cannot be the name"),
        ("wallet new miner", "stands for another"),
        ("wallet new", "usage"),
    ] {
        let answer = node.ask_line(line);
        assert!(answer.starts_with("error: ") && answer.contains(part), "{line}: {answer}");
    }
    let payment = json!({ "sender": "alice", "receiver": "grace", "amount": 5 });
    assert_eq!(node.post("/add_transaction", &payment).status, 201);
    node.pay("alice", &address, 7);
    node.mine(1);
    node.pay("erin", "frank", 3);
    node.mine(1);
    let expected = ["me", "alice", "bob", "carol", "dave", "erin", "frank", "grace"];
    assert_eq!(names(&node), expected);
    let file = fs::metadata(node.dir().join("keystore.json")).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    node.stop();
    let again = node.builder_of().clone().start();
    assert_eq!(names(&again), expected);
    let balances = again.get("/wallets").success()["wallets"].clone();
    assert_eq!((&balances["erin"], &balances["frank"], &balances["grace"]), (&json!(4), &json!(3), &json!(5)));
}

#[test]
fn keys_that_cannot_be_made() {
    let node = Node::start();
    for (body, status) in [
        (json!({ "name": "alice" }), 409),
        (json!({ "name": "me" }), 409),
        (json!({ "name": "" }), 400),
        (json!({ "name": "a b" }), 400),
        (json!({ "name": "../../etc/passwd" }), 400),
        (json!({ "name": "a".repeat(33) }), 400),
        (json!({ "name": "bard1abc" }), 400),
        (json!({ "name": "genesis" }), 400),
        (json!({ "name": 7 }), 400),
        (json!({ "name": "x", "secret": "y" }), 400),
        (json!({}), 400),
        (json!([]), 400),
    ] {
        let answer = node.post("/api/v1/wallet/keys", &body);
        assert_eq!((answer.status, answer.content_type.as_str()), (status, "application/problem+json"), "{body}");
    }
    let form = node.http().raw(
        b"POST /api/v1/wallet/keys HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
          Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 6\r\n\r\nname=x",
    );
    assert!(form.starts_with("HTTP/1.1 415"), "{form}");
    assert_eq!(names(&node).len(), 5, "none was made");
}
