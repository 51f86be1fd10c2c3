//! Nonsense for each call: an answer that says so, soon, and a node that goes on.

use std::time::{Duration, Instant};

use bard_tests::process::Node;
use serde_json::Value;

use crate::caller::{Answer, authority, raw};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
/// An answer that takes longer hangs.
const SOON: Duration = Duration::from_secs(30);

const CALLS: &[&str] = &[
    "/mine",
    "/add_block",
    "/update_peers",
    "/discover",
    "/nodes/register",
    "/register_node",
    "/transactions/new",
    "/add_transaction",
];

fn post(node: &Node, path: &str, kind: &str, body: &[u8]) -> Answer {
    let host = authority(node);
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let began = Instant::now();
    let answer = raw(host, &[head.as_bytes(), body].concat());
    assert!(began.elapsed() < SOON, "{path} {:.1} s", began.elapsed().as_secs_f64());
    answer
}

/// A refusal with something to read.
fn refused(answer: &Answer, what: &str) {
    assert!((400..500).contains(&answer.status), "{what}: {answer:?}");
    if answer.content_type.starts_with(JSON) {
        let says = |field: &str| answer.json()[field].as_str().is_some_and(|text| !text.is_empty());
        assert!(says("error") && says("message"), "{what}: {answer:?}");
    } else {
        assert!(answer.content_type.starts_with("text/plain") && !answer.body.is_empty(), "{what}: {answer:?}");
    }
}

#[test]
fn bodies_that_cannot_be_understood() {
    let node = Node::start();
    let deep = format!("{{\"data\": {}", "[".repeat(100_000));
    let long = format!("{{\"data\": \"{}\"}}", "x".repeat(70_000));
    for path in CALLS {
        for body in ["{", "null", "[]", "7", "\"x\"", "{} {}", "{\"data\": NaN}", "{}", " ", "", deep.as_str()] {
            refused(&post(&node, path, JSON, body.as_bytes()), &format!("{path} {body:.40}"));
        }
        refused(&post(&node, path, JSON, b"{\"data\": \"\xff\"}"), path);
        refused(&post(&node, path, FORM, b"{\"data\": 1, \"nodes\": [\"a:1\"]}"), path);
        refused(&post(&node, path, FORM, b"%ff=%00&=&=&;;"), path);
        refused(&post(&node, path, FORM, "a=1&".repeat(2_000).as_bytes()), path);
        for kind in ["text/plain", "multipart/form-data", "", "application/jsonp"] {
            let answer = post(&node, path, kind, b"{\"data\": 1}");
            assert_eq!(answer.status, 415, "{path} {kind}");
            refused(&answer, path);
        }
        let announced = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: {JSON}\r\nContent-Length: 99999999999\r\n\r\n",
            authority(&node)
        );
        assert_eq!(raw(authority(&node), announced.as_bytes()).status, 413, "{path}");
    }
    refused(&post(&node, "/mine", JSON, long.as_bytes()), "a record that is too long");
    assert_eq!((node.height(), node.pool().len()), (0, 0), "nothing came of it");
    assert_eq!(node.get("/nodes").success()["nodes"], Value::Array(Vec::new()));
}

#[test]
fn fields_that_make_no_sense() {
    let node = Node::start();
    let junk = [
        "7",
        "true",
        "{}",
        "[[]]",
        "[7]",
        "[null]",
        "\"moon\"",
        "[\"moon\"]",
        "\"http://\"",
        "[\"localhost:99999\"]",
        "\"ftp://localhost:1\"",
        "\"http://localhost:1/path\"",
        "\"/ip4/127.0.0.1/tcp/1\"",
        "\"\\u0000:1\"",
        "\"user@host:1\"",
    ];
    for value in junk {
        for (path, field) in [
            ("/update_peers", "peers"),
            ("/discover", "address"),
            ("/nodes/register", "nodes"),
            ("/register_node", "node"),
        ] {
            refused(
                &post(&node, path, JSON, format!("{{\"{field}\": {value}}}").as_bytes()),
                &format!("{path} {value}"),
            );
        }
    }
    let named = post(&node, "/nodes/register", JSON, b"{\"nodes\": [\"localhost:5001\", \"moon\"]}");
    assert!(named.status == 400 && named.body.contains("moon"), "{named:?}");
    let many = format!("{{\"nodes\": [{}\"a:1\"]}}", "\"a:1\",".repeat(1_000));
    refused(&post(&node, "/nodes/register", JSON, many.as_bytes()), "too many");
    assert_eq!(node.get("/nodes").success()["nodes"], Value::Array(Vec::new()), "all or none");

    for body in [
        r#"{"index": "1", "hash": "x", "previous_hash": "y", "data": 1}"#,
        r#"{"index": -1, "hash": "x", "previous_hash": "y", "data": 1}"#,
        r#"{"index": 1, "hash": 5, "previous_hash": "y", "data": 1}"#,
        r#"{"index": 1, "hash": "x", "previous_hash": "y"}"#,
        r#"{"index": 1, "hash": "x", "previous_hash": "y", "data": 1}"#,
        r#"{"index": 1, "hash": "x", "previous_hash": "y", "transactions": 1, "nonce": []}"#,
        r#"{"hash": "x"}"#,
    ] {
        refused(&post(&node, "/add_block", JSON, body.as_bytes()), body);
    }
    for value in ["7", "[]", "{}", "true", "\"\"", "\"a b\"", "\"../x\"", "\"bard1x\"", "\"\\u0000\""] {
        for path in ["/transactions/new", "/add_transaction"] {
            let body = format!("{{\"sender\": {value}, \"recipient\": \"bob\", \"amount\": 1}}");
            refused(&post(&node, path, JSON, body.as_bytes()), &body);
            let body = format!("{{\"sender\": \"alice\", \"receiver\": {value}, \"amount\": 1}}");
            refused(&post(&node, path, JSON, body.as_bytes()), &body);
        }
    }
    let texts = format!("{{\"transactions\": [{}1]}}", "1,".repeat(5_000));
    refused(&post(&node, "/mine", JSON, texts.as_bytes()), "too many texts");
    for path in ["/balance/%ff", "/balance/a%20b", "/balance/bard1x", "/balance/..%2f..", "/balance/%00"] {
        let answer = node.get(path);
        assert_eq!(answer.status, 400, "{path}: {}", answer.body);
    }
    assert_eq!((node.height(), node.pool().len()), (0, 0), "nothing came of it");
    assert!(!node.dir().join("keys").exists(), "and no key was made");
}

#[test]
fn methods_that_do_not_fit() {
    let node = Node::start();
    for path in CALLS.iter().filter(|path| **path != "/mine").chain(&["/consensus"]) {
        assert_eq!(node.get(path).status, 405, "GET {path}");
    }
    for path in
        ["/chain", "/get_chain", "/nodes", "/nodes/resolve", "/info", "/validate", "/verify", "/wallets", "/balance/a"]
    {
        assert_eq!(post(&node, path, JSON, b"{}").status, 405, "POST {path}");
    }
}
