//! Requests that are framed in odd ways: none confuses a node about where one ends, and none ends a node.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use bard_tests::process::Node;

use crate::{JSON, PATIENCE, authority, exchange, send};

/// Sends bytes, and may say, once an answer begins or none does, that no more will come; the statuses of all answers, in their order.
fn statuses(node: &Node, request: &str, ends: bool) -> Vec<u16> {
    let request = request.replace("HOST", &format!("Host: {}", authority(node)));
    let mut stream = TcpStream::connect(authority(node)).expect("the API listens");
    let _ = stream.write_all(request.as_bytes());
    let mut bytes = Vec::new();
    if ends {
        // Not before an answer begins: to a client that is gone, none need be given. To half a request, none comes.
        stream.set_read_timeout(Some(Duration::from_secs(2))).expect("a timeout");
        let mut first = [0];
        if stream.read(&mut first).is_ok_and(|length| length == 1) {
            bytes.extend_from_slice(&first);
        }
        let _ = stream.shutdown(Shutdown::Write);
    }
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    text.split("HTTP/1.").skip(1).filter_map(|answer| answer.split(' ').nth(1)?.parse().ok()).collect()
}

#[test]
fn lengths_and_chunks() {
    let node = Node::start();
    let mine = format!("POST /api/v1/mine HTTP/1.1\r\nHOST\r\n{JSON}\r\n");
    for (rest, expected, mined) in [
        // Chunks, with extensions and a trailer, are a body like any other.
        (
            "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\nX-Trailer: y\r\n\r\n",
            &[200][..],
            true,
        ),
        ("Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nXX\r\n\r\n", &[400], false),
        ("Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n{}\r\n0\r\n\r\n", &[400], false),
        ("Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", &[400], false),
        ("Transfer-Encoding: gzip\r\n\r\n{}", &[400], false),
        // Two lengths that differ, and lengths that are none.
        ("Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ", &[400], false),
        ("Content-Length: -2\r\n\r\n{}", &[400], false),
        ("Content-Length: +2\r\n\r\n{}", &[400], false),
        ("Content-Length: 99999999999999999999999\r\n\r\n{}", &[400], false),
        // Longer than what comes; shorter: what is left over is no request.
        ("Content-Length: 20\r\n\r\n{}", &[400], false),
        ("Content-Length: 2\r\n\r\n{}XX\r\n\r\n", &[200, 400], true),
        ("Content-Length: 1\r\n\r\n{}", &[400], false),
    ] {
        let before = node.height();
        let mut statuses = statuses(&node, &format!("{mine}{rest}"), !mined);
        // A connection that breaks off in the middle of a request may end without a word.
        if statuses.is_empty() && !mined {
            statuses = vec![400];
        }
        let fits = statuses == expected || (expected.len() == 1 && statuses.first() == expected.first());
        assert!(fits, "{rest:?}: {statuses:?}");
        assert_eq!(node.height() > before, mined, "{rest:?}");
    }
    let trailers: String = (0..10_000).map(|n| format!("x-{n}: y\r\n")).collect();
    let flood = format!("{mine}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n{trailers}\r\n");
    assert!(statuses(&node, &flood, true).first().is_none_or(|status| *status >= 400), "trailers have an end too");
    assert_eq!(send(&node, "GET /healthz", &[], b"").status, 200);
}

#[test]
fn a_length_beside_chunks_hides_no_second_request() {
    let node = Node::start();
    let hidden = "POST /api/v1/mine HTTP/1.1\r\nHOST\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    let outer = format!(
        "POST /api/v1/sync HTTP/1.1\r\nHOST\r\n{JSON}\r\nContent-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n\
         2\r\n{{}}\r\n0\r\n\r\n{hidden}",
        12 + hidden.len()
    );
    let statuses = statuses(&node, &outer, true);
    assert!(statuses.len() <= 1, "one request, one answer at most: {statuses:?}");
    assert_eq!(node.height(), 0, "{statuses:?}");
}

#[test]
fn methods_and_versions() {
    let node = Node::start();
    let host = authority(&node).to_owned();
    for (request, expected) in [
        ("GET /api/v1/status HTTP/1.0\r\nHOST\r\n\r\n".to_owned(), vec![200]),
        // Without a name no host can be told from another.
        ("GET /api/v1/status HTTP/1.0\r\n\r\n".to_owned(), vec![403]),
        ("GET /api/v1/status HTTP/1.1\r\n\r\n".to_owned(), vec![403]),
        (format!("CONNECT {host} HTTP/1.1\r\nHOST\r\n\r\n"), vec![404]),
        ("CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n".to_owned(), vec![403]),
        ("CONNECT evil.example:443 HTTP/1.1\r\nHOST\r\n\r\n".to_owned(), vec![400]),
        ("TRACE /api/v1/status HTTP/1.1\r\nHOST\r\n\r\n".to_owned(), vec![405]),
        ("TRACE / HTTP/1.1\r\nHOST\r\nCookie: secret\r\n\r\n".to_owned(), vec![405]),
        ("get /api/v1/status HTTP/1.1\r\nHOST\r\n\r\n".to_owned(), vec![405]),
        (format!("GET http://{host}/api/v1/status HTTP/1.1\r\nHOST\r\n\r\n"), vec![200]),
        ("OPTIONS * HTTP/1.1\r\nHOST\r\n\r\n".to_owned(), vec![404]),
        ("GET /api/v1/status HTTP/1.1\r\nHOST\r\nx: a\0b\r\n\r\n".to_owned(), vec![400]),
        ("GET /api/v1/status HTTP/1.1\r\nHOST\r\nx : y\r\n\r\n".to_owned(), vec![400]),
        ("GET /api/v1/status HTTP/1.1\r\nHOST\r\nx: a\r\n b\r\n\r\n".to_owned(), vec![400]),
        ("GET /api/v1/status HTTP/3.0\r\nHOST\r\n\r\n".to_owned(), vec![400]),
        ("GET  /api/v1/status  HTTP/1.1\r\nHOST\r\n\r\n".to_owned(), vec![400]),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), vec![400]),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}\x03\x03".to_owned(), vec![400]),
    ] {
        // What is no HTTP at all may be refused without a word.
        let statuses = statuses(&node, &request, true);
        assert!(statuses == expected || (statuses.is_empty() && expected == [400]), "{request:?}: {statuses:?}");
    }
    let echoed = exchange(
        &node,
        format!("TRACE / HTTP/1.1\r\nHost: {host}\r\nCookie: secret\r\nConnection: close\r\n\r\n").as_bytes(),
    );
    let echoed = echoed.expect("an answer");
    assert!(!String::from_utf8_lossy(&echoed.body).contains("secret"), "nothing is echoed");
    assert_eq!(node.height(), 0);
}
