//! Answers that a client has already, and compressed ones.

use bard_tests::process::Node;
use serde_json::json;

use crate::send;

#[test]
fn what_is_there_already_is_not_sent_again() {
    let node = Node::start();
    let id = node.mine(1).pop().expect("a block");
    let tag = format!("\"{id}\"");
    for (path, kept) in [
        (format!("/api/v1/blocks/{id}"), "no-cache"),
        (format!("/api/v1/blocks/{id}/header"), "public, max-age=31536000, immutable"),
        (format!("/api/v1/blocks/{id}/raw"), "public, max-age=31536000, immutable"),
        ("/api/v1/blocks/tip/header".to_owned(), "no-cache"),
        ("/api/v1/blocks/1/raw".to_owned(), "no-cache"),
    ] {
        let line = format!("GET {path}");
        let whole = send(&node, &line, &[], b"");
        assert_eq!((whole.status, whole.header("etag")), (200, Some(tag.as_str())), "{path}");
        assert_eq!(whole.header("cache-control"), Some(kept), "{path}");
        let same = send(&node, &line, &[&format!("If-None-Match: W/\"x\", {tag}")], b"");
        assert_eq!((same.status, same.body.len()), (304, 0), "{path}");
        assert_eq!(same.header("etag"), Some(tag.as_str()), "{path}");
        assert_eq!(send(&node, &line, &["If-None-Match: \"x\""], b"").status, 200, "{path}");
        let head = send(&node, &format!("HEAD {path}"), &[], b"");
        assert_eq!((head.status, head.body.len(), head.header("etag")), (200, 0, Some(tag.as_str())), "{path}");
    }
    let unknown = send(&node, &format!("GET /api/v1/blocks/{}", "0".repeat(64)), &["If-None-Match: *"], b"");
    assert_eq!(unknown.status, 404);
    assert_eq!(unknown.header("cache-control"), Some("no-store"));
}

#[test]
fn long_answers_are_compressed_for_those_who_ask() {
    let node = Node::start();
    node.mine(5);
    let gzip = ["Accept-Encoding: gzip"];
    let long = send(&node, "GET /api/v1/blocks", &gzip, b"");
    assert_eq!((long.status, long.header("content-encoding")), (200, Some("gzip")));
    assert_eq!(send(&node, "GET /api/v1/blocks", &[], b"").header("content-encoding"), None);
    assert_eq!(send(&node, "GET /healthz", &gzip, b"").header("content-encoding"), None);
    let block = send(&node, "GET /openapi.json", &gzip, b"");
    assert_eq!(block.header("vary"), Some("accept-encoding"));
}

#[test]
fn what_is_kept_follows_the_chain() {
    let (node, other) = (Node::start(), Node::start());
    let left = node.mine(1).pop().expect("a block");
    let miner = node.get("/api/v1/blocks/1").success()["miner"].clone();
    let account = format!("/api/v1/accounts/{}", miner.as_str().expect("an address"));
    let by_id = format!("/api/v1/blocks/{left}");
    for _ in 0..2 {
        for path in ["/api/v1/blocks/1", "/api/v1/blocks/tip", &by_id] {
            let block = node.get(path).success();
            assert_eq!((&block["hash"], &block["active"]), (&json!(left), &json!(true)), "{path}");
        }
        assert_eq!(node.get(&account).success()["balance"], json!(10));
    }
    let ids = other.mine(3);
    node.post("/api/v1/peers", &json!({ "address": other.address() })).success();
    node.wait_for_same_tip(&other);
    for (path, hash, active) in
        [("/api/v1/blocks/1", &ids[0], true), ("/api/v1/blocks/tip", &ids[2], true), (by_id.as_str(), &left, false)]
    {
        let block = node.get(path).success();
        assert_eq!((&block["hash"], &block["active"]), (&json!(hash), &json!(active)), "{path}");
    }
    let side = send(&node, &format!("GET {by_id}"), &[], b"");
    assert_eq!(side.header("etag"), Some(format!("\"{left}-side\"").as_str()));
    assert_eq!(node.get(&account).success()["balance"], json!(0));
}
