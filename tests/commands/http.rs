//! The HTTP API.

use bard_tests::process::Node;
use serde_json::json;

/// The largest body that is read, in bytes.
const MAX_BODY: usize = 1 << 20;

/// Sends a request with these header lines and body and returns the status.
fn status_of(node: &Node, line: &str, headers: &[&str], body: &[u8]) -> u16 {
    let head: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = format!("Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let answer = node.http().raw(&[format!("{line} HTTP/1.1\r\n{head}{length}").as_bytes(), body].concat());
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    code.unwrap_or_else(|| panic!("{line} {headers:?}: {answer:?}"))
}

const HOST: &str = "Host: 127.0.0.1";
const JSON: &str = "Content-Type: application/json";

fn post(node: &Node, path: &str, body: &[u8]) -> u16 {
    status_of(node, &format!("POST {path}"), &[HOST, JSON], body)
}

#[test]
fn bodies_that_cannot_be_understood() {
    let node = Node::start();
    let deep = "[".repeat(100_000);
    for body in [
        "",
        "{",
        "[]",
        "7",
        "null",
        "{\"blocks\": -1}",
        "{\"blocks\": 1.5}",
        "{\"blocks\": 4294967296}",
        "{\"blocks\": \"1\"}",
        "{\"block\": 1}",
        "{\"blocks\": 0}",
        "{\"blocks\": 100001}",
        "{} {}",
        deep.as_str(),
    ] {
        assert_eq!(post(&node, "/api/v1/mine", body.as_bytes()), 400, "{:.40}", body);
    }
    assert_eq!(post(&node, "/api/v1/mine", b"{\"blocks\": \xff}"), 400);
    assert_eq!(post(&node, "/api/v1/wallet/transfer", b"{\"to\": \"bob\"}"), 400);
    assert_eq!(post(&node, "/api/v1/wallet/transfer", b"{\"to\": \"bob\", \"amount\": 1.5}"), 400);
    assert_eq!(post(&node, "/api/v1/peers", b"{\"address\": \"moon\"}"), 400);
    assert_eq!(node.height(), 0, "nothing was mined");
}

#[test]
fn bodies_of_another_type_or_size() {
    let node = Node::start();
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp", ""] {
        let kind = format!("Content-Type: {kind}");
        assert_eq!(status_of(&node, "POST /api/v1/mine", &[HOST, &kind], b"{}"), 415, "{kind}");
    }
    assert_eq!(status_of(&node, "POST /api/v1/mine", &[HOST], b"{}"), 415);
    assert_eq!(post(&node, "/api/v1/mine", &vec![b' '; MAX_BODY + 1]), 413);
    // Nobody waits for a body that is announced as too long.
    let announced = format!("POST /api/v1/mine HTTP/1.1\r\n{HOST}\r\n{JSON}\r\nContent-Length: 99999999999\r\n\r\n");
    assert!(node.http().raw(announced.as_bytes()).starts_with("HTTP/1.1 413"));
    let mut chunked =
        format!("POST /api/v1/mine HTTP/1.1\r\n{HOST}\r\n{JSON}\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes();
    for _ in 0..20 {
        chunked.extend(b"10000\r\n");
        chunked.extend([b' '; 0x10000]);
        chunked.extend(b"\r\n");
    }
    let answer = node.http().raw(&chunked);
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer:?}");
    assert_eq!(
        status_of(&node, "POST /api/v1/mine", &[HOST, "Content-Type: Application/JSON; charset=utf-8"], b"{}"),
        200
    );
}

#[test]
fn places_and_methods_that_are_not_there() {
    let node = Node::start();
    for path in ["/api/v1/nothing", "/api/v2/status", "/api/v1/blocks/1", "/%00", "/api/v1/../../etc/passwd"] {
        assert_eq!(node.get(path).status, 404, "{path}");
    }
    assert_eq!(node.get(&format!("/api/v1/blocks/{}", "0".repeat(64))).status, 404);
    for path in [
        "/api/v1/blocks/moon",
        "/api/v1/blocks/-1",
        "/api/v1/blocks/%ff",
        "/api/v1/blocks?limit=0",
        "/api/v1/blocks?limit=1001",
        "/api/v1/blocks?from=moon",
        "/api/v1/blocks?colour=red",
    ] {
        assert_eq!(node.get(path).status, 400, "{path}");
    }
    for (method, path) in
        [("GET", "/api/v1/mine"), ("POST", "/api/v1/status"), ("DELETE", "/api/v1/blocks/0"), ("BREW", "/healthz")]
    {
        assert_eq!(status_of(&node, &format!("{method} {path}"), &[HOST, JSON], b"{}"), 405, "{method} {path}");
    }
}

#[test]
fn problems_are_told_to_programs() {
    let node = Node::start();
    let answers = [
        (node.get("/api/v1/nothing"), 404, "not-found"),
        (node.get("/api/v1/blocks/moon"), 400, "malformed"),
        (node.post("/api/v1/mine", &json!({ "blocks": "x" })), 400, "malformed"),
        (node.post("/api/v1/status", &json!({})), 405, "method"),
        (
            node.post("/api/v1/wallet/transfer", &json!({ "from": "mallory", "to": "bob", "amount": 1 })),
            400,
            "malformed",
        ),
        (node.post("/api/v1/wallet/transfer", &json!({ "from": "alice", "to": "bob", "amount": 0 })), 422, "invalid"),
        (
            node.post("/api/v1/wallet/transfer", &json!({ "from": "alice", "to": "bob", "amount": 250_001 })),
            409,
            "conflict",
        ),
    ];
    for (answer, status, kind) in answers {
        assert_eq!(answer.status, status, "{}", answer.body);
        assert_eq!(answer.content_type, "application/problem+json");
        let problem = answer.json();
        assert_eq!(
            (&problem["type"], &problem["status"]),
            (&json!(format!("urn:blockbard:problem:{kind}")), &json!(status))
        );
        for field in ["title", "detail"] {
            assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{field} of {problem}");
        }
    }
    let answer = node.post("/api/v1/mine", &json!({ "blocks": 1, "colour": 2 })).json();
    assert!(answer["detail"].as_str().unwrap().contains("colour"), "the detail names the field: {answer}");
}

#[test]
fn pages_of_others_may_not_ask() {
    let node = Node::start();
    let authority = node.file().api.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let own = format!("Host: {authority}");
    for host in ["Host: evil.example", "Host: evil.example:80", "Host: ", "Host: localhost.evil.example"] {
        assert_eq!(status_of(&node, "GET /api/v1/status", &[host], b""), 403, "{host}");
    }
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1", "https://localhost"] {
        let origin = format!("Origin: {origin}");
        assert_eq!(status_of(&node, "POST /api/v1/mine", &[&own, JSON, &origin], b"{}"), 403, "{origin}");
    }
    let origin = format!("Origin: http://{authority}");
    assert_eq!(status_of(&node, "POST /api/v1/mine", &[&own, JSON, &origin], b"{}"), 200);
    assert_eq!(node.height(), 1);
}

#[test]
fn requests_that_are_none_do_no_harm() {
    let node = Node::start();
    let long = format!("GET /{} HTTP/1.1\r\n{HOST}\r\n\r\n", "x".repeat(1 << 20));
    let many: String = (0..5_000).map(|n| format!("X-{n}: y\r\n")).collect();
    let many = format!("GET /healthz HTTP/1.1\r\n{HOST}\r\n{many}\r\n");
    let both =
        format!("POST /api/v1/mine HTTP/1.1\r\n{HOST}\r\n{JSON}\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}");
    for request in [
        "\r\n\r\n",
        "GET",
        "GET / HTTP/9.9\r\n\r\n",
        "GET /api/v1/status HTTP/1.1\r\n\r\n",
        "\0\u{1}\u{2}\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        "/multistream/1.0.0\n",
        long.as_str(),
        many.as_str(),
        both.as_str(),
    ] {
        let answer = node.http().raw(request.as_bytes());
        let status = answer.split(' ').nth(1).and_then(|code| code.parse::<u16>().ok());
        assert!(status.is_none_or(|status| (400..500).contains(&status)), "{request:.40}: {answer:.200}");
    }
    assert_eq!(node.get("/healthz").status, 200);
    assert_eq!(node.height(), 0);
}

#[test]
fn what_was_sent_is_what_happens() {
    let node = Node::start();
    let id = node.pay("alice", "bob", 5);
    assert_eq!(node.pool(), [id]);
    let mined = node.post("/api/v1/mine", &json!({ "data": { "any": ["json", 1] } })).success();
    assert_eq!(mined["blocks"].as_array().map(Vec::len), Some(1));
    let block = node.get("/api/v1/blocks/tip").success();
    assert_eq!((&block["height"], &block["hash"]), (&json!(1), &mined["blocks"][0]["hash"]));
    let kinds: Vec<_> =
        block["transactions"].as_array().unwrap().iter().map(|one| one["action"]["type"].clone()).collect();
    assert!(kinds.contains(&json!("transfer")) && kinds.contains(&json!("record")), "{block}");
    node.mine(24);
    let page = node.get("/api/v1/blocks?from=3&limit=5").success();
    let heights: Vec<_> =
        page["blocks"].as_array().unwrap().iter().map(|block| block["height"].as_u64().unwrap()).collect();
    assert_eq!((heights, &page["next"]), (vec![3, 4, 5, 6, 7], &json!(8)));
    assert_eq!(node.get("/api/v1/blocks?from=24").success()["next"], json!(null));
}
