//! Pages of others, and strangers without the token.

use bard_tests::process::Node;

use crate::caller::{authority, raw};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";
const PAYMENT: &str = "sender=alice&receiver=bob&amount=10";

fn status(node: &Node, line: &str, headers: &[&str], body: &str) -> u16 {
    let head: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let request = format!("{line} HTTP/1.1\r\n{head}Content-Length: {}\r\n\r\n{body}", body.len());
    raw(authority(node), request.as_bytes()).status
}

#[test]
fn a_page_of_another_site_changes_nothing() {
    let node = Node::start();
    let own = format!("Host: {}", authority(&node));
    let own_origin = format!("Origin: http://{}", authority(&node));
    node.pay("carol", "dave", 1);
    for from in [
        "Origin: http://evil.example",
        "Origin: null",
        "Origin: http://127.0.0.1:1",
        "Origin: \u{e9}",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
        "Referer: http://evil.example/page",
    ] {
        for (line, body) in [
            ("POST /add_transaction", PAYMENT),
            ("POST /mine", ""),
            ("POST /register_node", "node=localhost:1"),
            ("POST /consensus", ""),
            ("GET /mine", ""),
            ("GET /nodes/resolve", ""),
            ("GET /validate", ""),
            ("GET /verify", ""),
        ] {
            assert_eq!(status(&node, line, &[&own, FORM, from], body), 403, "{line} {from}");
        }
    }
    for host in ["Host: evil.example", "Host: evil.example:80"] {
        for line in ["GET /chain", "GET /mine", "GET /wallets", "POST /mine"] {
            assert_eq!(status(&node, line, &[host, FORM], ""), 403, "{line} {host}");
        }
    }
    assert_eq!((node.height(), node.pool().len()), (0, 1), "nothing came of it");
    for path in ["/mine", "/validate", "/verify"] {
        let head = node.http().raw(format!("HEAD {path} HTTP/1.1\r\n{own}\r\nConnection: close\r\n\r\n").as_bytes());
        assert!(head.starts_with("HTTP/1.1 405"), "{path}: {head}");
    }
    assert_eq!(node.height(), 0, "whoever asks by HEAD wants nothing done");
    assert_eq!(status(&node, "POST /add_transaction", &[&own, FORM, &own_origin], PAYMENT), 201);
    for line in ["GET /mine", "GET /validate", "GET /verify"] {
        assert_eq!(status(&node, line, &[&own, "Sec-Fetch-Site: none"], ""), 200, "{line}");
        assert_eq!(
            status(&node, line, &[&own, &own_origin], ""),
            if line == "GET /mine" { 400 } else { 200 },
            "{line}"
        );
    }
    // What only looks is open to whoever may look.
    assert_eq!(status(&node, "GET /chain", &[&own, "Sec-Fetch-Site: cross-site"], ""), 200);
}

#[test]
fn off_loopback_whatever_changes_something_needs_the_token() {
    let node = Node::builder().arg("--host").arg("0.0.0.0").arg("--api-token").arg("sesame").start();
    let port = authority(&node).rsplit(':').next().unwrap().to_owned();
    let send = |line: &str, headers: &[&str]| {
        let head: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let request = format!("{line} HTTP/1.1\r\nHost: node.lan:{port}\r\n{head}Content-Length: 0\r\n\r\n");
        raw(&format!("127.0.0.1:{port}"), request.as_bytes()).status
    };
    for line in [
        "POST /mine",
        "GET /mine",
        "GET /nodes/resolve",
        "POST /consensus",
        "POST /add_block",
        "POST /update_peers",
        "POST /discover",
        "POST /nodes/register",
        "POST /register_node",
        "POST /transactions/new",
        "POST /add_transaction",
        "POST /api/v1/wallet/keys",
    ] {
        assert_eq!(send(line, &[]), 401, "{line}");
        assert_eq!(send(line, &["Authorization: Bearer wrong"]), 403, "{line}");
        assert!(![401, 403].contains(&send(line, &["Authorization: Bearer sesame"])), "{line}");
    }
    for line in ["GET /chain", "GET /wallets", "GET /nodes", "GET /info", "GET /validate", "GET /verify"] {
        assert_eq!(send(line, &[]), 200, "{line}");
    }
    assert!(!node.builder_of().dir().join("keys").exists(), "and no key was made");
}
