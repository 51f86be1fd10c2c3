//! Each call with what it takes and what it refuses.

use bard_chain::{
    encoding, presets,
    transaction::{Action, Transaction},
    units::{Amount, Nonce},
};
use bard_tests::process::Node;
use serde_json::{Value, json};

use crate::{send, send_json};

fn get(node: &Node, path: &str) -> Value {
    let answer = send(node, &format!("GET {path}"), &[], b"");
    assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
    answer.json()
}

/// Sends what must be refused, and returns what is said of it.
fn refused(node: &Node, line: &str, body: &Value, status: u16) -> String {
    let answer = match body {
        Value::Null => send(node, line, &[], b""),
        body => send_json(node, line, body),
    };
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!(answer.status, status, "{line} {body}: {text}");
    let problem = answer.json();
    assert!(problem["type"].as_str().is_some_and(|kind| kind.starts_with("urn:blockbard:problem:")), "{text}");
    problem["detail"].as_str().expect("a detail").to_owned()
}

pub(crate) fn signed(node: &Node, name: &str, nonce: u64, amount: u64) -> Vec<u8> {
    let chain = get(node, "/api/v1/node")["chain"]["id"].as_str().expect("an id").parse().expect("a chain id");
    let key = presets::dev_key(name).expect("known");
    let to = presets::dev_key("bob").expect("known").address();
    let action = Action::Transfer { to, amount: Amount::new(amount) };
    encoding::encode(&Transaction::sign(chain, &key, Nonce::new(nonce), Amount::ZERO, action))
}

#[test]
fn blocks_in_both_directions() {
    let node = Node::start();
    let ids = node.mine(6);
    let heights = |page: &Value| -> Vec<u64> {
        page["blocks"].as_array().expect("a list").iter().map(|one| one["height"].as_u64().expect("a number")).collect()
    };
    let page = get(&node, "/api/v1/blocks?limit=3&order=desc");
    assert_eq!((heights(&page), &page["next"]), (vec![6, 5, 4], &json!(3)));
    let page = get(&node, "/api/v1/blocks?limit=9&order=desc&from=3");
    assert_eq!((heights(&page), &page["next"]), (vec![3, 2, 1, 0], &json!(null)));
    assert_eq!(heights(&get(&node, "/api/v1/blocks?from=5")), [5, 6]);
    assert_eq!(heights(&get(&node, "/api/v1/blocks?from=7")), [0_u64; 0]);
    for query in ["order=up", "limit=101", "limit=-1", "from=x", "from=1&from=2", "colour=red"] {
        refused(&node, &format!("GET /api/v1/blocks?{query}"), &Value::Null, 400);
    }
    let block = get(&node, "/api/v1/blocks/6");
    let header = get(&node, &format!("/api/v1/blocks/{}/header", ids[5]));
    for field in ["height", "hash", "previous_hash", "timestamp", "state_root", "miner", "nonce"] {
        assert_eq!(block[field], header[field], "{field}");
    }
    let forks = get(&node, "/api/v1/forks?depth=2");
    assert_eq!(forks["blocks"].as_array().map(Vec::len), Some(2));
    assert_eq!(forks["blocks"][1]["verdict"], "valid");
    for line in ["GET /api/v1/forks?depth=0", "GET /api/v1/forks?depth=1001", "GET /api/v1/blocks/x/raw"] {
        refused(&node, line, &Value::Null, 400);
    }
    for line in ["GET /api/v1/blocks/7/header", "GET /api/v1/blocks/7/raw"] {
        refused(&node, line, &Value::Null, 404);
    }
}

#[test]
fn a_block_of_another_node() {
    let (one, two) = (Node::start(), Node::start());
    one.mine(2);
    let raw = |height: u32| send(&one, &format!("GET /api/v1/blocks/{height}/raw"), &[], b"").body;
    let hex = |bytes: &[u8]| json!({ "hex": hex::encode(bytes) });
    let cbor = ["Content-Type: application/cbor"];
    assert_eq!(send(&two, "POST /api/v1/blocks", &cbor, &raw(2)).status, 409, "its parent is not known");
    let first = send(&two, "POST /api/v1/blocks", &cbor, &raw(1));
    assert_eq!((first.status, &first.json()["outcome"]), (201, &json!("extended")));
    assert_eq!(send_json(&two, "POST /api/v1/blocks", &hex(&raw(2))).status, 201);
    assert_eq!(two.tip(), one.tip());
    refused(&two, "POST /api/v1/blocks", &hex(&raw(2)), 409);
    refused(&two, "POST /api/v1/blocks", &hex(b"no block"), 422);
    assert!(refused(&two, "POST /api/v1/blocks", &json!({ "hex": "xy" }), 400).contains("hex"));
    refused(&two, "POST /api/v1/blocks", &json!({}), 400);
}

#[test]
fn signed_transactions_one_and_many() {
    let node = Node::start();
    let line = "POST /api/v1/transactions";
    let hex = |bytes: &[u8]| json!({ "hex": hex::encode(bytes) });
    let first = signed(&node, "alice", 0, 5);
    let answer = send_json(&node, line, &hex(&first));
    assert_eq!((answer.status, &answer.json()["state"]), (201, &json!("ready")));
    let id = answer.json()["id"].as_str().expect("an id").to_owned();
    let location = format!("/api/v1/transactions/{id}");
    assert_eq!(answer.header("location"), Some(location.as_str()));
    assert_eq!(get(&node, &location)["block"], json!(null));
    refused(&node, line, &hex(&first), 409);
    let waiting = send(&node, line, &["Content-Type: application/cbor"], &signed(&node, "alice", 2, 1));
    assert_eq!((waiting.status, &waiting.json()["state"]), (201, &json!("waiting")));
    refused(&node, line, &hex(&signed(&node, "alice", 1, 300_000)), 409);
    refused(&node, line, &hex(b"nothing"), 422);
    refused(&node, line, &hex(&signed(&node, "alice", 1, 0)), 422);
    for body in [json!({}), json!({ "hex": "0" }), json!({ "transactions": [] }), json!({ "transactions": [1] })] {
        refused(&node, line, &body, 400);
    }
    refused(&node, line, &json!({ "transactions": vec!["00"; 1_001] }), 400);
    let both = json!({ "hex": "00", "transactions": ["00"] });
    refused(&node, line, &both, 400);
    let batch: Vec<_> =
        [signed(&node, "carol", 0, 1), first, b"odd".to_vec()].iter().map(hex::encode).chain(["xy".into()]).collect();
    let answer = send_json(&node, line, &json!({ "transactions": batch }));
    assert_eq!(answer.status, 200);
    let answer = answer.json();
    let results = answer["results"].as_array().expect("a list");
    assert_eq!(results[0]["state"], "ready");
    let refused: Vec<_> = results[1..].iter().map(|one| one["problem"]["status"].as_u64()).collect();
    assert_eq!(refused, [Some(409), Some(422), Some(400)]);
    let pool = get(&node, "/api/v1/pool?limit=1");
    assert_eq!(pool["transactions"][0]["id"], json!(id));
    let rest = get(&node, &format!("/api/v1/pool?from={}", pool["next"]));
    assert_eq!((rest["transactions"].as_array().map(Vec::len), &rest["next"]), (Some(1), &json!(null)));
}

#[test]
fn items_by_any_name() {
    let node = Node::start();
    for (name, escaped) in [
        ("hammer", "hammer"),
        ("a/b c", "a%2Fb%20c"),
        ("history", "history"),
        ("..", "%2E%2E"),
        ("%", "%25"),
        ("?#&=+", "%3F%23%26%3D%2B"),
        ("Schlüssel", "Schl%C3%BCssel"),
    ] {
        let wallet = format!("POST /api/v1/wallet/items/{escaped}");
        let path = format!("/api/v1/items/{escaped}");
        refused(&node, &format!("GET {path}"), &Value::Null, 404);
        let taken = send_json(&node, &format!("{wallet}/request"), &json!({ "from": "alice" }));
        assert_eq!((taken.status, &taken.json()["action"]["item"]), (201, &json!(name)));
        refused(&node, &format!("{wallet}/request"), &json!({ "from": "bob" }), 409);
        let given = send_json(&node, &format!("{wallet}/transfer"), &json!({ "from": "alice", "to": "bob" }));
        assert_eq!(given.status, 201, "{name}");
        node.mine(1);
        assert_eq!(get(&node, &path)["holder_name"], "bob", "{name}");
        assert_eq!(send_json(&node, &format!("{wallet}/release"), &json!({ "from": "bob" })).status, 201);
        node.mine(1);
        let history = get(&node, &format!("{path}/history?limit=2"));
        assert_eq!(history["history"][1]["action"], "item_transfer", "{history}");
        let next = history["next"].as_str().expect("more");
        let rest = get(&node, &format!("{path}/history?from={next}"));
        assert_eq!((&rest["history"][0]["action"], &rest["next"]), (&json!("item_release"), &json!(null)));
        assert_eq!(get(&node, &path)["holder"], json!(null));
    }
    assert_eq!(get(&node, "/api/v1/items?state=reserved")["items"], json!([]));
    let page = get(&node, "/api/v1/items?state=available&limit=4");
    let next = page["next"].as_str().expect("more").replace('%', "%25").replace('#', "%23").replace('&', "%26");
    let rest = get(&node, &format!("/api/v1/items?after={}", next.replace('+', "%2B")));
    assert_eq!(rest["items"].as_array().map(Vec::len), Some(3), "{rest}");
    let long = "x".repeat(65);
    refused(&node, &format!("POST /api/v1/wallet/items/{long}/request"), &json!({}), 422);
    refused(&node, "POST /api/v1/wallet/items/x/request", &json!({ "as": "bob" }), 400);
    refused(&node, "POST /api/v1/wallet/items/x/transfer", &json!({}), 400);
    refused(&node, "GET /api/v1/items?state=lost", &Value::Null, 400);
    refused(&node, "GET /api/v1/items/hammer/history?from=x", &Value::Null, 400);
}

#[test]
fn accounts_and_their_transactions() {
    let node = Node::start();
    node.pay("alice", "bob", 5);
    assert_eq!(get(&node, "/api/v1/accounts/alice")["pending"]["balance"], 249_995);
    node.mine(1);
    node.pay("bob", "carol", 1);
    node.mine(1);
    let history = get(&node, "/api/v1/accounts/bob/transactions?limit=1");
    assert_eq!(history["transactions"][0]["block"]["height"], 2, "the newest first");
    let next = history["next"].as_str().expect("more");
    let rest = get(&node, &format!("/api/v1/accounts/bob/transactions?from={next}"));
    assert_eq!((&rest["transactions"][0]["block"]["height"], &rest["next"]), (&json!(1), &json!(null)));
    let mut names = Vec::new();
    let mut path = "/api/v1/accounts?limit=2".to_owned();
    loop {
        let page = get(&node, &path);
        names.extend(page["accounts"].as_array().expect("a list").iter().map(|one| one["name"].to_string()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/v1/accounts?limit=2&after={next}");
    }
    names.sort();
    assert_eq!(names, ["\"alice\"", "\"bob\"", "\"carol\"", "\"dave\"", "\"me\""]);
    let keys = get(&node, "/api/v1/wallet/keys");
    assert_eq!(keys["keys"].as_array().map(Vec::len), Some(5));
    assert!(!keys.to_string().contains("secret") && !keys.to_string().contains("seed"));
    for line in ["GET /api/v1/accounts/mallory", "GET /api/v1/accounts/bard1xyz", "GET /api/v1/accounts?after=x"] {
        refused(&node, line, &Value::Null, 400);
    }
    let detail = refused(&node, "POST /api/v1/wallet/transfer", &json!({ "to": "mallory", "amount": 1 }), 400);
    assert!(detail.starts_with("to: "), "{detail}");
    let detail = refused(&node, "POST /api/v1/wallet/transfer", &json!({ "to": "bob", "amount": "1" }), 400);
    assert!(detail.starts_with("amount: "), "{detail}");
}

#[test]
fn records_by_id_and_digest() {
    let node = Node::start();
    let line = "POST /api/v1/wallet/record";
    let text = send_json(&node, line, &json!({ "from": "alice", "text": "hello" }));
    assert_eq!((text.status, &text.json()["action"]["content_type"]), (201, &json!("text/plain")));
    let bytes = json!({ "hex": "00ff", "content_type": "image/png" });
    assert_eq!(send_json(&node, line, &bytes).json()["action"]["hex"], "00ff");
    let paid = node.pay("alice", "bob", 1);
    node.mine(1);
    let id = text.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(get(&node, &format!("/api/v1/records/{id}"))["action"]["text"], "hello");
    let digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let found = get(&node, &format!("/api/v1/records?digest={digest}"));
    assert_eq!(found["transactions"][0]["id"], json!(id));
    assert_eq!(get(&node, "/api/v1/records")["transactions"].as_array().map(Vec::len), Some(2));
    refused(&node, &format!("GET /api/v1/records/{paid}"), &Value::Null, 404);
    refused(&node, "GET /api/v1/records/x", &Value::Null, 400);
    assert!(refused(&node, "GET /api/v1/records?digest=x", &Value::Null, 400).contains("digest"));
    for body in [json!({}), json!({ "text": "a", "hex": "00" }), json!({ "hex": "0" }), json!({ "text": 1 })] {
        refused(&node, line, &body, 400);
    }
    refused(&node, line, &json!({ "text": "a", "content_type": "" }), 422);
}

#[test]
fn the_node_s_own_work() {
    let (node, other) = (Node::start(), Node::start());
    assert_eq!(send_json(&node, "POST /api/v1/peers", &json!({ "address": other.address() })).status, 201);
    let gone = send(&node, &format!("DELETE /api/v1/peers/{}", other.peer_id()), &[], b"");
    assert_eq!((gone.status, gone.body.len()), (204, 0));
    refused(&node, &format!("DELETE /api/v1/peers/{}", node.peer_id()), &Value::Null, 404);
    refused(&node, "DELETE /api/v1/peers/x", &Value::Null, 400);
    let mining = send_json(&node, "PUT /api/v1/mining", &json!({ "enabled": false, "threads": 2 }));
    assert_eq!((mining.status, &mining.json()["threads"]), (200, &json!(2)));
    for body in [json!({}), json!({ "enabled": 1 }), json!({ "enabled": true, "threads": 0 })] {
        refused(&node, "PUT /api/v1/mining", &body, 400);
    }
    refused(&node, "PUT /api/v1/mining", &json!({ "enabled": true, "threads": 257 }), 400);
    node.mine(2);
    assert_eq!(send(&node, "POST /api/v1/verify", &[], b"").json()["valid"], true);
    assert_eq!(send_json(&node, "POST /api/v1/verify", &json!({})).json()["height"], 2);
    assert_eq!(send(&node, "POST /api/v1/sync", &[], b"").status, 200);
    refused(&node, "POST /api/v1/sync", &json!({ "now": true }), 400);
}

#[test]
fn an_order_to_mine_ends_with_its_client() {
    let node = Node::start();
    let client = bard_tests::process::Http::with_deadline(&node.file().api, std::time::Duration::from_millis(300));
    assert!(client.try_post("/api/v1/mine", &json!({ "blocks": 100_000 })).is_err(), "it takes longer");
    let before = std::cell::Cell::new(0);
    bard_tests::process::wait_until("the miner rests", std::time::Duration::from_secs(30), || {
        let height = node.height();
        let rests = node.status()["hash_rate"] == 0.0 && before.replace(height) == height;
        std::thread::sleep(std::time::Duration::from_millis(200));
        rests
    });
    assert!(node.height() < 100_000);
}
