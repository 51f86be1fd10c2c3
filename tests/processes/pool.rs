//! The pool from one run to the next, and what it tells those whom it refuses.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bard_chain::{
    encoding, presets,
    transaction::{Action, Transaction},
    units::{Amount, Nonce},
};
use bard_tests::{
    actions::{key, pay, record},
    process::{Answer, Node, PATIENCE, wait_until},
};
use serde_json::{Value, json};

fn sign(sender: &str, nonce: u64, fee: u64, action: Action) -> Transaction {
    let chain = presets::dev().chain_id();
    Transaction::sign(chain, &key(sender), Nonce::new(nonce), Amount::new(fee), action)
}

fn hex_of(transaction: &Transaction) -> String {
    encoding::encode(transaction).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn submit(node: &Node, transaction: &Transaction) -> Answer {
    node.post("/api/v1/transactions", &json!({ "hex": hex_of(transaction) }))
}

/// What an answer says is wrong: its status, the type of the problem, and the sentence for a person.
fn problem(answer: &Answer) -> (u16, String, String) {
    let json = answer.json();
    let text = |field: &str| json[field].as_str().unwrap_or_default().to_owned();
    (answer.status, text("type").replace("urn:blockbard:problem:", ""), text("detail"))
}

fn waiting(node: &Node) -> f64 {
    let metrics = node.get("/metrics").body;
    let line = metrics.lines().find_map(|line| line.strip_prefix("bard_pool_waiting "));
    line.and_then(|value| value.parse().ok()).expect("a number")
}

fn file(node: &Node) -> PathBuf {
    node.dir().join("pool.log")
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    let mut node = Node::start();
    let mut expected = vec![node.pay("alice", "bob", 5)];
    for nonce in 0..20 {
        let one = sign("carol", nonce, 1, record(&format!("number {nonce}")));
        assert_eq!(submit(&node, &one).status, 201);
        expected.push(one.id().to_string());
    }
    let all: Vec<String> = (0..3).map(|nonce| hex_of(&sign("dave", nonce, 0, pay("bob", 1)))).collect();
    let answer = node.post("/api/v1/transactions", &json!({ "transactions": all })).success();
    expected.extend(answer["results"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()));
    assert_eq!(submit(&node, &sign("bob", 3, 0, record("waits"))).success()["state"], "waiting");
    let items = node.post("/api/v1/wallet/items/drill/request", &json!({ "from": "alice" }));
    expected.push(items.success()["id"].as_str().expect("an id").to_owned());
    node.kill9();

    let mut node = node.builder_of().start();
    assert_eq!(node.pool(), expected, "all of them, in their order");
    assert!((waiting(&node) - 1.0).abs() < 0.5, "and the one that waits");
    node.kill9();
    let node = node.builder_of().start();
    assert_eq!(node.pool(), expected, "a start loses nothing either");
    node.mine(1);
    assert!(node.pool().is_empty(), "all of it could be mined");
}

#[test]
fn what_was_mined_does_not_come_back() {
    let mut node = Node::start();
    node.pay("alice", "bob", 5);
    node.mine(1);
    let left = node.pay("alice", "bob", 6);
    node.kill9();
    let node = node.builder_of().start();
    assert_eq!(node.pool(), [left]);
}

#[test]
fn what_a_reorganisation_gave_back_is_there_after_a_kill() {
    let (mut node, mut other) = (Node::start(), Node::start());
    let first = node.pay("alice", "bob", 5);
    node.mine(1);
    let second = node.pay("alice", "bob", 6);
    let confirmed = sign("carol", 0, 1, pay("bob", 7));
    assert_eq!(submit(&node, &confirmed).status, 201);
    node.mine(1);
    // The file of this run is that of an empty pool.
    node.stop();
    assert_eq!(submit(&other, &confirmed).status, 201);
    other.mine(3);
    let mut node = node.builder_of().clone().bootstrap(other.address()).start();
    node.wait_for_same_tip(&other);
    let expected = [first, second];
    wait_until("what was undone waits again", PATIENCE, || node.pool() == expected);
    node.kill9();
    other.kill9();

    let node = node.builder_of().start();
    assert_eq!(node.pool(), expected, "in their order, and nothing that another block confirmed");
    node.mine(1);
    assert!(node.pool().is_empty(), "all of it could be mined");
}

#[test]
fn what_is_called_known_is_on_the_disk_too() {
    let mut other = Node::start();
    let mut node = Node::builder().bootstrap(other.address()).start();
    node.wait_for_peers(1);
    let one = sign("alice", 0, 1, pay("bob", 5));
    assert_eq!(submit(&other, &one).status, 201);
    wait_until("it has come", PATIENCE, || node.pool() == [one.id().to_string()]);
    let (status, _, detail) = problem(&submit(&node, &one));
    assert_eq!((status, detail.as_str()), (409, "the transaction is in the pool already"));
    let length = fs::metadata(file(&node)).expect("there").len();
    for _ in 0..5 {
        assert_eq!(submit(&node, &one).status, 409);
    }
    assert_eq!(fs::metadata(file(&node)).expect("there").len(), length, "once is enough");
    node.kill9();
    other.kill9();
    let node = node.builder_of().start();
    assert_eq!(node.pool(), [one.id().to_string()]);
}

#[test]
fn what_the_disk_does_not_take_is_not_called_known() {
    let mut node = Node::start();
    node.stop();
    // Where the file is to be written anew there is something in the way.
    let in_the_way = node.dir().join("pool.log.new");
    fs::create_dir(&in_the_way).expect("made");
    let mut node = node.builder_of().start();
    let one = sign("alice", 0, 1, pay("bob", 5));
    for _ in 0..3 {
        let (status, kind, detail) = problem(&submit(&node, &one));
        assert_eq!((status, kind.as_str()), (503, "unavailable"));
        assert!(detail.contains("is in the pool, but would be lost"), "{detail}");
    }
    fs::remove_dir(&in_the_way).expect("removed");
    assert_eq!(submit(&node, &one).status, 409, "it is in the pool, and can be written now");
    node.kill9();
    let node = node.builder_of().start();
    assert_eq!(node.pool(), [one.id().to_string()]);
}

#[test]
fn what_others_sent_is_there_after_a_stop() {
    let mut other = Node::start();
    let mut node = Node::builder().bootstrap(other.address()).start();
    node.wait_for_peers(1);
    let id = other.pay("alice", "bob", 5);
    wait_until("it has come", PATIENCE, || node.pool() == [id.clone()]);
    node.stop();
    other.stop();
    let node = node.builder_of().start();
    assert_eq!(node.pool(), [id]);
}

/// Starts again on a pool file that was changed, and returns the lines of the log that warn.
fn with_file(node: &mut Node, change: impl Fn(&mut Vec<u8>)) -> (Node, Vec<String>) {
    node.stop();
    let path = file(node);
    let mut bytes = fs::read(&path).expect("the pool was written");
    change(&mut bytes);
    fs::write(&path, bytes).expect("written");
    let node = node.builder_of().start();
    let warnings = node.stderr().from(0).into_iter().filter(|line| line.contains("WARN")).collect();
    (node, warnings)
}

fn assert_set_aside(dir: &Path, warnings: &[String]) {
    assert_eq!(warnings.len(), 1, "one line: {warnings:?}");
    assert!(warnings[0].contains("set aside as") && warnings[0].contains("pool.log.damaged"), "{}", warnings[0]);
    assert!(dir.join("pool.log.damaged").exists());
}

#[test]
fn a_damaged_file_is_a_line_of_the_log_and_no_more() {
    let mut node = Node::start();
    let first = node.pay("alice", "bob", 5);
    node.pay("alice", "bob", 6);
    let (mut node, warnings) = with_file(&mut node, |bytes| bytes.truncate(bytes.len() - 1));
    assert_set_aside(node.dir(), &warnings);
    assert_eq!(node.pool(), [first], "what comes before the damage");
    let (mut node, warnings) = with_file(&mut node, |bytes| bytes[3] ^= 1);
    assert_set_aside(node.dir(), &warnings);
    assert!(node.pool().is_empty());
    let again = node.pay("alice", "bob", 7);
    let (node, warnings) = with_file(&mut node, |_| {});
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(node.pool(), [again], "the file is whole again");
}

#[test]
fn a_higher_fee_replaces_and_a_lower_one_is_told_what_would_do() {
    let node = Node::start();
    let first = sign("alice", 0, 20, pay("bob", 5));
    assert_eq!(submit(&node, &first).status, 201);
    let (status, kind, detail) = problem(&submit(&node, &sign("alice", 0, 21, pay("bob", 6))));
    assert_eq!((status, kind.as_str()), (409, "fee-too-low"));
    assert!(detail.ends_with("this one's fee must be at least 22"), "{detail}");
    let (status, kind, _) = problem(&submit(&node, &first));
    assert_eq!((status, kind.as_str()), (409, "conflict"), "known");
    let has = |line: &str| {
        let metrics = node.get("/metrics").body;
        assert!(metrics.lines().any(|found| found.starts_with(line)), "{line} is not in {metrics}");
    };
    // Before there is another, which may offer the first again.
    has("bard_pool_refused_total{reason=\"fee_too_low\"} 1");
    let second = sign("alice", 0, 22, pay("bob", 6));
    let other = Node::builder().bootstrap(node.address()).start();
    wait_until("they meet", PATIENCE, || other.pool() == [first.id().to_string()]);
    assert_eq!(submit(&node, &second).status, 201);
    wait_until("others hear of it", PATIENCE, || other.pool() == [second.id().to_string()]);
    assert_eq!(node.pool(), [second.id().to_string()]);
    has("bard_pool_left_total{reason=\"replaced\"} 1");
}

#[test]
fn a_full_pool_says_which_fee_would_do() {
    let node = Node::builder().arg("--pool-size").arg("1").start();
    let large = "x".repeat(60_000);
    let mut refused = None;
    for nonce in 0..20 {
        let answer = submit(&node, &sign("alice", nonce, 600, record(&large)));
        if answer.status != 201 {
            refused = Some(problem(&answer));
            break;
        }
    }
    let (status, kind, detail) = refused.expect("a MiB is full of 18 such records");
    assert_eq!((status, kind.as_str()), (503, "pool-full"), "{detail}");
    assert!(detail.contains("what is in it cannot make room"), "one's own leave no gap: {detail}");
    let before = node.pool().len();
    let (status, kind, detail) = problem(&submit(&node, &sign("bob", 0, 600, record(&large))));
    assert_eq!((status, kind.as_str()), (503, "pool-full"));
    let (_, rest) = detail.split_once("a fee of at least ").expect("the fee is named");
    let least: u64 = rest.split(' ').next().and_then(|number| number.parse().ok()).expect("a number");
    assert!((655..=662).contains(&least), "a tenth more: {least}");
    assert_eq!(submit(&node, &sign("bob", 0, least - 1, record(&large))).status, 503);
    let bob = sign("bob", 0, least, record(&large));
    assert_eq!(submit(&node, &bob).status, 201, "that fee does");
    assert_eq!(node.pool().len(), before, "one made room");
    assert!(node.pool().contains(&bob.id().to_string()));
    let status: Value = node.status();
    assert!(status["pool"]["bytes"].as_u64().expect("a number") <= 1 << 20);
}
