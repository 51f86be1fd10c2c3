//! One question over HTTP, and everything that may come back.

use std::{net::TcpListener, time::Instant};

use bard_chain::hash::ChainId;
use bard_protocol::{Candidate, Origin, PeerId};

use super::{
    CHAIN, described, own,
    server::{Reaction, Server, ok},
};
use crate::meeting::{
    AskError, HostPort,
    http::{Client, TOTAL},
    http_peer::{Own, ask},
};

async fn asked(server: &Server, own: &Own) -> Result<Candidate, AskError> {
    ask(&Client::new(), &server.place(), own, Origin::PeersFile).await
}

/// The error that an answer leads to, as text.
async fn error_of(reaction: impl Fn(&str) -> Reaction + Send + 'static) -> String {
    let problem = asked(&Server::start(reaction), &own()).await.expect_err("no node").to_string();
    assert!(!problem.chars().any(char::is_control), "{problem:?}");
    problem
}

#[tokio::test]
async fn a_node_says_where_it_is() {
    let peer = PeerId::random();
    let listen = ["/ip4/10.0.0.1/tcp/1".to_owned(), format!("/ip4/127.0.0.1/tcp/2/p2p/{peer}")];
    let server = Server::json(described(&peer, CHAIN, &listen));
    let candidate = asked(&server, &own()).await.expect("a node");
    assert_eq!((candidate.peer, candidate.origin), (Some(peer), Origin::PeersFile));
    let addresses: Vec<_> = candidate.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, [listen[1].clone(), format!("{}/p2p/{peer}", listen[0])], "that of its host first");
    let request = server.requests().swap_remove(0);
    assert!(request.starts_with("GET /api/v1/node HTTP/1.1\r\n"), "{request}");
    assert!(request.to_lowercase().contains(&format!("host: {}\r\n", server.place())), "{request}");
}

#[tokio::test]
async fn other_nodes_are_told_apart() {
    let own = own();
    let listen = ["/ip4/10.0.0.1/tcp/1".to_owned()];
    let other = Server::json(described(&PeerId::random(), ChainId::new([8; 32]), &listen));
    let problem = asked(&other, &own).await.expect_err("another chain").to_string();
    assert!(problem.contains("a?chain (0808080808080808), not dev (0707070707070707)"), "{problem}");
    let same = Server::json(described(&own.peer, CHAIN, &listen));
    assert!(matches!(asked(&same, &own).await, Err(AskError::Ourselves { .. })));
    let nowhere = Server::json(described(&PeerId::random(), CHAIN, &[]));
    assert!(matches!(asked(&nowhere, &own).await, Err(AskError::NoAddress { .. })));
}

#[tokio::test]
async fn garbage_is_refused_in_a_line() {
    for body in ["", "{}", "[]", "<html>", "{\"peer_id\": 5}", "null"] {
        let problem = error_of(move |_| Reaction::Json(body.to_owned())).await;
        assert!(problem.contains("is not the API of a BlockBard node"), "{body}: {problem}");
    }
    let good = described(&PeerId::random(), CHAIN, &[]);
    for (old, new) in [("\"id\":\"07", "\"id\":\"xx"), ("\"peer_id\":\"", "\"peer_id\":\"!")] {
        let body = good.replace(old, new);
        assert_ne!(body, good);
        let problem = error_of(move |_| Reaction::Json(body.clone())).await;
        assert!(problem.contains("is not the API of a BlockBard node"), "{problem}");
    }
    let status = error_of(|_| Reaction::Raw(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n".to_vec())).await;
    assert!(status.contains("404"), "{status}");
    for bytes in [b"\x13/multistream/1.0.0\n".to_vec(), Vec::new(), b"HTTP/9 what\r\n\r\n".to_vec(), vec![0xff; 99]] {
        let problem = error_of(move |_| Reaction::Raw(bytes.clone())).await;
        assert!(problem.ends_with("does not speak HTTP"), "{problem}");
    }
}

#[tokio::test]
async fn a_huge_answer_is_not_read() {
    let problem = error_of(|_| Reaction::Raw(ok(&vec![b' '; 10 << 20]))).await;
    assert!(problem.contains("more than 512 KiB"), "{problem}");
    let endless = error_of(|_| Reaction::Raw([b"HTTP/1.1 200 OK\r\n".to_vec(), vec![b'a'; 10 << 20]].concat())).await;
    assert!(endless.contains("does not speak HTTP"), "{endless}");
}

#[tokio::test]
async fn a_redirect_leads_nowhere() {
    let peer = PeerId::random();
    let elsewhere = Server::json(described(&peer, CHAIN, &["/ip4/127.0.0.1/tcp/2".to_owned()]));
    let to = elsewhere.place().url("/api/v1/node");
    for status in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
        let answer = format!("HTTP/1.1 {status}\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
        let problem = error_of(move |_| Reaction::Raw(answer.clone().into_bytes())).await;
        assert!(problem.contains("answered with status 30"), "{problem}");
    }
    assert!(elsewhere.requests().is_empty(), "nobody went there");
}

#[tokio::test]
async fn a_silent_server_is_left() {
    let began = Instant::now();
    let problem = error_of(|_| Reaction::Hang).await;
    assert!(problem.contains("did not answer in time"), "{problem}");
    assert!(began.elapsed() < TOTAL * 2, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_server_that_drips_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let place = HostPort::parse(&listener.local_addr().expect("an address").to_string()).expect("one");
    let dripping = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut dripped = std::io::Write::write_all(&mut stream, b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n");
        while dripped.is_ok() {
            std::thread::sleep(std::time::Duration::from_millis(50));
            dripped = std::io::Write::write_all(&mut stream, b" ");
        }
    });
    let began = Instant::now();
    let problem = ask(&Client::new(), &place, &own(), Origin::Manual).await.expect_err("no answer");
    assert!(matches!(problem, AskError::Silent { .. }), "{problem}");
    assert!(began.elapsed() < TOTAL * 2, "{:?}", began.elapsed());
    dripping.join().expect("it ends when nobody listens");
}

#[tokio::test]
async fn nobody_there_is_said() {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let place = HostPort::parse(&format!("127.0.0.1:{port}")).expect("one");
    let problem = ask(&Client::new(), &place, &own(), Origin::Manual).await.expect_err("nobody");
    assert_eq!(problem, AskError::Unreachable { api: place, reason: "nothing listens there".to_owned() });
    let unknown = HostPort::parse("no-such-host.invalid:1").expect("one");
    let problem = ask(&Client::new(), &unknown, &own(), Origin::Manual).await.expect_err("nobody");
    assert!(matches!(problem, AskError::Unreachable { .. }), "{problem}");
}
