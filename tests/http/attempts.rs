//! Attempts on the API, each with the status that refuses it.

use std::time::{Duration, Instant};

use bard_tests::process::Node;

use crate::{JSON, authority, exchange, send};

/// What the API gives a request that does not get on, with some patience for a busy machine.
const SLOW: std::ops::Range<Duration> = Duration::from_secs(9)..Duration::from_secs(20);

#[test]
fn other_pages() {
    let node = Node::start();
    let form = "Content-Type: application/x-www-form-urlencoded";
    let own = format!("Origin: http://{}", authority(&node));
    for (headers, status) in [
        (vec!["Host: evil.example", JSON], 403),
        (vec!["Host: localhost.evil.example", JSON], 403),
        (vec!["Host: 127.0.0.1", "Host: evil.example", JSON], 400),
        (vec!["Origin: http://evil.example", form], 403),
        (vec!["Origin: http://evil.example", JSON], 403),
        (vec!["Origin: null", JSON], 403),
        (vec!["Sec-Fetch-Site: cross-site", JSON], 403),
        (vec![form], 415),
        (vec!["Content-Type: text/plain"], 415),
        (vec!["Content-Type: multipart/form-data; boundary=x"], 415),
        (vec![own.as_str(), form], 415),
    ] {
        for path in ["/api/v1/mine", "/api/v1/wallet/transfer", "/api/v1/sync", "/api/v1/transactions"] {
            let answer = send(&node, &format!("POST {path}"), &headers, b"{\"blocks\":1}");
            assert_eq!(answer.status, status, "{path} {headers:?}");
        }
    }
    let preflight = ["Origin: http://evil.example", "Access-Control-Request-Method: POST"];
    let answer = send(&node, "OPTIONS /api/v1/mine", &preflight, b"");
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, None), "no page may ask");
    for line in
        ["GET /api/v1/status", "GET /chain", "GET /openapi.json", "GET /metrics", "GET /", "GET /api/v1/nothing"]
    {
        let answer = send(&node, line, &["Origin: http://evil.example"], b"");
        assert!(!answer.head.to_ascii_lowercase().contains("access-control-"), "{line}: {}", answer.head);
    }
    let elsewhere = format!("GET http://evil.example/api/v1/status HTTP/1.1\r\nHost: {}\r\n\r\n", authority(&node));
    assert_eq!(exchange(&node, elsewhere.as_bytes()).expect("an answer").status, 400);
    assert_eq!(node.height(), 0);
}

#[test]
fn tokens() {
    let mut node = Node::builder().arg("--api-token").arg("a-secret-token").arg("--log").arg("debug").start();
    for (headers, status) in [
        (vec![JSON], 401),
        (vec![JSON, "Authorization: a-secret-token"], 401),
        (vec![JSON, "Authorization: Basic YTpi"], 401),
        (vec![JSON, "Authorization: Bearer "], 401),
        (vec![JSON, "Authorization: Bearer a-secret-tokem"], 403),
        (vec![JSON, "Authorization: Bearer a-secret-token-and-more"], 403),
        (vec![JSON, "Authorization: Bearer a-secret-token"], 200),
    ] {
        assert_eq!(send(&node, "POST /api/v1/mine", &headers, b"{}").status, status, "{headers:?}");
    }
    let in_query = send(&node, "POST /api/v1/mine?token=a-secret-token", &[JSON], b"{}");
    assert_eq!(in_query.status, 401, "a token is taken from no query");
    for path in ["/api/v1/status?token=a-secret-token", "/chain?access_token=a-secret-token", "/?a-secret-token"] {
        send(&node, &format!("GET {path}"), &["Authorization: Bearer a-secret-token", "Cookie: a-secret-token"], b"");
    }
    assert_eq!(send(&node, "GET /api/v1/status", &[], b"").status, 200, "reading needs none");
    assert_eq!(node.height(), 1);
    // What is written is on disk once the node has ended.
    node.stop();
    let files: Vec<_> = std::fs::read_dir(node.dir().join("logs")).expect("a directory").flatten().collect();
    let logs: String = files.iter().map(|file| std::fs::read_to_string(file.path()).expect("a log")).collect();
    for log in [logs, node.stderr().text()] {
        assert!(log.contains("answered") && log.contains("/api/v1/mine"), "requests are in the log: {log}");
        assert!(!log.contains("a-secret-token"), "the log does not hold it");
    }
}

#[test]
fn paths() {
    let node = Node::start();
    let long = format!("/{}", "y".repeat(8_000));
    for (path, status) in [
        ("/api/v1/../../etc/passwd", 404),
        ("/api/v1/%2e%2e/%2e%2e/etc/passwd", 404),
        ("/docs/../openapi.json", 404),
        ("//api/v1/status", 404),
        ("/api//v1/status", 404),
        ("/api/v1/status/", 404),
        ("/API/V1/status", 404),
        ("/api/v1/status%00", 404),
        ("/api/v1/items/%00", 404),
        ("/api/v1/items/..", 404),
        ("/api/v1/items/%ff", 400),
        ("/api/v1/blocks/%2e%2e", 400),
        ("/api/v1/status?anything=1", 400),
        ("/\\..\\", 404),
        ("/\0", 400),
        (long.as_str(), 404),
    ] {
        let answer = send(&node, &format!("GET {path}"), &[], b"");
        assert_eq!(answer.status, status, "{path:.60}");
        assert!(answer.body.len() < 500, "little of it is repeated");
    }
    let longer = format!("GET /{}", "y".repeat(20_000));
    assert_eq!(send(&node, &longer, &[], b"").status, 431);
}

#[test]
fn heads_and_bodies_that_are_too_long() {
    let node = Node::start();
    let lines = |count: usize| (0..count).map(|n| format!("x-{n}: y")).collect::<Vec<_>>();
    for (count, status) in [(90, 200), (101, 431), (10_000, 431)] {
        let lines = lines(count);
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        assert_eq!(send(&node, "GET /healthz", &lines, b"").status, status, "{count} lines");
    }
    let long = format!("x: {}", "y".repeat(17 << 10));
    assert_eq!(send(&node, "GET /healthz", &[&long], b"").status, 431);
    let body = vec![b' '; (1 << 20) + 1];
    assert_eq!(send(&node, "POST /api/v1/mine", &[JSON], &body).status, 413);
    assert_eq!(send(&node, "POST /api/v1/transactions", &["Content-Type: application/cbor"], &body).status, 413);
    assert_eq!(node.height(), 0);
}

#[test]
fn those_that_do_not_get_on() {
    let node = Node::start();
    std::thread::scope(|scope| {
        let body = scope.spawn(|| {
            let head = format!("POST /api/v1/mine HTTP/1.1\r\nHost: {}\r\n{JSON}\r\n", authority(&node));
            let began = Instant::now();
            let answer = exchange(&node, format!("{head}Content-Length: 80\r\n\r\n{{").as_bytes());
            (answer.map(|answer| answer.status), began.elapsed())
        });
        let head = scope.spawn(|| {
            let began = Instant::now();
            let answer = exchange(&node, b"POST /api/v1/mine HTTP/1.1\r\nHost: ");
            (answer.map(|answer| answer.status), began.elapsed())
        });
        let (status, took) = body.join().expect("a body");
        assert_eq!(status, Some(408));
        assert!(SLOW.contains(&took), "{took:?}");
        let (status, took) = head.join().expect("a head");
        assert_eq!(status, None, "whoever says nothing is told nothing");
        assert!(SLOW.contains(&took), "{took:?}");
    });
    assert_eq!(node.height(), 0);
}

#[test]
fn connections_without_end() {
    let node = Node::start();
    // More than there are places: the oldest make room, and the node answers all the while.
    let idle: Vec<_> =
        (0..600).map(|_| std::net::TcpStream::connect(authority(&node)).expect("the API listens")).collect();
    assert_eq!(send(&node, "GET /healthz", &[], b"").status, 200);
    assert_eq!(idle.len(), 600);
}

#[test]
fn every_answer_is_for_programs_alone() {
    let node = Node::start();
    for line in ["GET /api/v1/status", "GET /nothing", "POST /api/v1/mine", "OPTIONS /api/v1/blocks"] {
        let answer = send(&node, line, &["X-Request-Id: a-1"], b"");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("x-request-id", "a-1"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{line}: {name}");
        }
    }
    let odd = send(&node, "GET /healthz", &["X-Request-Id: <script>"], b"");
    assert!(odd.header("x-request-id").is_some_and(|id| !id.contains('<')), "{}", odd.head);
}
