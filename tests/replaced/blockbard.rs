//! BlockBard as it was: `main.py tracker`, `main.py node --tracker URL`, `/mine` with data, `/get_chain`.

use bard_tests::process::{Node, PATIENCE, TrackerBuilder, wait_until};
use serde_json::{Value, json};

use crate::caller::{Caller, authority};

const FIELDS: [&str; 7] = ["index", "timestamp", "transactions", "data", "previous_hash", "nonce", "hash"];

fn chain(caller: Caller, node: &Node) -> Vec<Value> {
    let answer = caller.run(node, "curl http://localhost:5501/get_chain").with(200);
    let chain = answer.as_array().unwrap_or_else(|| panic!("a bare list: {answer}")).clone();
    for (index, block) in chain.iter().enumerate() {
        assert!(FIELDS.iter().all(|field| block.get(field).is_some()), "{block}");
        assert_eq!(block["index"], json!(index));
        assert!(index == 0 || block["previous_hash"] == chain[index - 1]["hash"], "{block}");
    }
    chain
}

fn data(chain: &[Value]) -> Vec<Value> {
    let data = chain.iter().map(|block| block["data"].clone());
    data.flat_map(|one| if let Value::Array(all) = one { all } else { vec![one] }).collect()
}

#[test]
fn data_is_mined_and_the_chain_is_shown() {
    for caller in Caller::all() {
        let node = Node::start();
        assert_eq!(chain(caller, &node)[0]["data"], "Genesis Block");
        let mine = [
            r#"curl -X POST -H "Content-Type: application/json" -d '{"data": "Hello, BlockBard!"}' http://localhost:5501/mine"#,
            r#"curl -X POST http://localhost:5501/mine -H "Content-Type: application/json" -d '{"data": {"from": "A", "n": 1.5}}'"#,
            r#"curl -X POST http://localhost:5501/mine -H "Content-Type: application/json" -d '{"data": null}'"#,
        ];
        for (done, command) in (1..).zip(mine) {
            assert_eq!(caller.run(&node, command).with(202), json!({ "message": "Mining triggered" }));
            wait_until("it is mined", PATIENCE, || chain(caller, &node).len() > done && node.pool().is_empty());
        }
        let expected =
            [json!("Genesis Block"), json!("Hello, BlockBard!"), json!({ "from": "A", "n": 1.5 }), json!(null)];
        assert_eq!(data(&chain(caller, &node)), expected);
        let block = node.get("/api/v1/blocks/1").success();
        assert_eq!(block["data"], "Hello, BlockBard!", "the same in the API");
        let sender = &block["transactions"][0]["sender"];
        assert_eq!(*sender, node.get("/api/v1/node").success()["address"], "by the node's own key");
        let missing =
            caller.run(&node, r#"curl -X POST -H "Content-Type: application/json" -d '{}' http://localhost:5501/mine"#);
        assert_eq!(missing.with(400)["error"], "Missing 'data' field in request body");
    }
}

#[test]
fn nothing_of_many_calls_at_once_is_lost() {
    let node = Node::start();
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let node = &node;
            scope.spawn(move || {
                for n in 0..10 {
                    let mined = node.post("/mine", &json!({ "data": format!("{thread}-{n}") }));
                    assert_eq!(mined.status, 202, "{}", mined.body);
                }
            });
        }
    });
    wait_until("all is mined", PATIENCE, || node.pool().is_empty());
    let chain = chain(Caller::Bytes, &node);
    let mut all: Vec<String> = data(&chain).iter().filter_map(Value::as_str).map(str::to_owned).collect();
    all.retain(|one| one != "Genesis Block");
    all.sort_unstable();
    let mut expected: Vec<String> = (0..6).flat_map(|thread| (0..10).map(move |n| format!("{thread}-{n}"))).collect();
    expected.sort_unstable();
    assert_eq!(all, expected);
}

#[test]
fn a_tracker_and_three_nodes_as_the_readme_starts_them() {
    let tracker = TrackerBuilder::default().start();
    let nodes: Vec<Node> = (0..3).map(|_| Node::builder().arg("--tracker").arg(tracker.url()).start()).collect();
    let caller = Caller::Bytes;
    wait_until("all are registered", PATIENCE, || {
        let peers = caller.run_on(&tracker, "curl http://localhost:5500/peers").with(200);
        peers["peers"].as_array().unwrap().len() == 3
    });
    for (n, node) in nodes.iter().enumerate() {
        node.wait_for_peers(1);
        let command = format!(
            r#"curl -X POST -H "Content-Type: application/json" -d '{{"data": "Block {n}"}}' http://localhost:5501/mine"#
        );
        caller.run(node, &command).with(202);
        for other in &nodes {
            wait_until("it is mined, and everybody has it", PATIENCE, || {
                data(&chain(caller, other)).contains(&json!(format!("Block {n}")))
            });
        }
    }
    let chains: Vec<_> = nodes.iter().map(|node| chain(caller, node)).collect();
    wait_until("all have one chain", PATIENCE, || chain(caller, &nodes[0]) == chain(caller, &nodes[2]));
    assert!(chains.iter().all(|chain| data(chain).len() == 4), "{chains:?}");
    assert_eq!(caller.run_on(&tracker, "curl http://localhost:5500/").with(200)["peer_count"], 3);
}

#[test]
fn blocks_are_handed_on() {
    let one = Node::start();
    let two = Node::start();
    let caller = Caller::Bytes;
    one.mine(3);
    let post = |node: &Node, path: &str, body: &Value| {
        let command =
            format!("curl -X POST -H 'Content-Type: application/json' -d '{body}' http://localhost:5501{path}");
        caller.run(node, &command)
    };
    let block = chain(caller, &one)[2].clone();
    assert_eq!(post(&one, "/add_block", &block).with(201)["message"], "Block 2 added", "it is known");
    assert_eq!(post(&one, "/add_block", &one.get("/api/v1/blocks/2").success()).status, 201, "as the API shows it");
    assert!(post(&two, "/add_block", &block).status >= 400, "nobody has it");

    let old = json!({
        "index": 1, "timestamp": "2025-01-01 00:00:00", "data": "x", "previous_hash": "0",
        "hash": "1e72680c46209994b64be9cd3454cbcf1da4188c55f0ed7c4a727d156f3ea033",
    });
    assert_eq!(post(&one, "/add_block", &old).with(409)["message"], "Block invalid or already present");
    assert_eq!(post(&one, "/add_block", &json!({})).with(400)["error"], "Invalid block data");
    for (field, value) in
        [("index", json!(1)), ("nonce", json!(7)), ("data", json!("forged")), ("transactions", json!([1]))]
    {
        let mut forged = block.clone();
        forged[field] = value;
        assert_eq!(post(&one, "/add_block", &forged).status, 400, "another {field} under a known hash");
    }

    let peers = json!({ "peers": [format!("http://{}", authority(&one)), format!("http://{}/", authority(&two))] });
    assert_eq!(post(&two, "/update_peers", &peers).with(200), json!({ "message": "Peers updated" }));
    assert_eq!(post(&two, "/add_block", &block).with(201)["message"], "Block 2 added", "it is fetched");
    let address = json!({ "address": format!("http://{}", authority(&two)) });
    let discovered = post(&one, "/discover", &address).with(200);
    assert_eq!((&discovered["message"], &discovered["chain_length"]), (&json!("Discovery successful"), &json!(4)));
    assert_eq!(discovered["peers"], json!([format!("http://{}", authority(&two))]));
    let nodes = caller.run(&two, "curl http://localhost:5501/nodes").with(200);
    assert_eq!(nodes["nodes"], json!([format!("http://{}", authority(&one))]), "its own address is left out");
    two.wait_for_same_tip(&one);
}
