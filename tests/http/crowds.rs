//! Crowds that mean ill: what they may cost the node, and what they cannot keep from others.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use bard_chain::presets;
use bard_tests::process::{Node, PATIENCE, wait_until};
use serde_json::json;

use crate::{JSON, authority, calls::signed, send_json};

/// Those who send a large body and do not get on with it.
const SLOW: usize = 200;
/// What each of them has sent, in bytes: all of the longest body but its end.
const SENT: usize = (1 << 20) - 1;
/// What they may cost, in bytes: less than half of what they sent.
const COST: u64 = 96 << 20;
/// How long the console may take, on a machine with much else to do.
const CONSOLE: Duration = Duration::from_secs(5);

/// Sends a body but for its end; the node may refuse it before it has all of that.
fn slow(node: &Node) -> TcpStream {
    let mut stream = TcpStream::connect(authority(node)).expect("the API listens");
    for set in [TcpStream::set_read_timeout, TcpStream::set_write_timeout] {
        set(&stream, Some(PATIENCE)).expect("a timeout");
    }
    let head = format!("POST /api/v1/transactions HTTP/1.1\r\nHost: {}\r\n{JSON}\r\n", authority(node));
    let _ = write!(stream, "{head}Content-Length: {}\r\n\r\n", SENT + 1);
    let _ = stream.write_all(&vec![b' '; SENT]);
    stream
}

/// The status that a connection was answered with; `None` where it was cut off without a word.
fn status(stream: &mut TcpStream) -> Option<u16> {
    let mut start = [0; 12];
    stream.read_exact(&mut start).ok()?;
    std::str::from_utf8(&start).ok()?.split(' ').nth(1)?.parse().ok()
}

#[test]
fn slow_bodies_cost_little_and_keep_nobody_out() {
    let node = Node::start();
    let other = Node::builder().bootstrap(node.address()).start();
    node.wait_for_peers(1);
    node.mine(1);
    other.wait_for_same_tip(&node);
    let before = node.memory();
    let mut crowd: Vec<_> = (0..SLOW).map(|_| slow(&node)).collect();
    let cost = node.memory().saturating_sub(before);
    assert!(cost < COST, "{SLOW} of them cost {} KiB", cost >> 10);
    #[allow(clippy::print_stderr, reason = "a measurement for whoever runs this test alone")]
    {
        eprintln!("{} KiB before, {} KiB more with {SLOW} slow bodies", before >> 10, cost >> 10);
    }
    assert!(!node.ask_bytes(b"status\n", CONSOLE).is_empty(), "the console answers");
    let paid = send_json(&node, "POST /api/v1/wallet/transfer", &json!({ "from": "alice", "to": "bob", "amount": 1 }));
    assert!((200..300).contains(&paid.status), "small bodies are read: {}", paid.status);
    node.mine(1);
    other.wait_for_same_tip(&node);
    let statuses: Vec<_> = crowd.iter_mut().map(status).collect();
    let count = |wanted| statuses.iter().filter(|status| **status == Some(wanted)).count();
    assert!(count(503) > SLOW / 2, "most found no room: {statuses:?}");
    assert!(count(408) > 0, "those that did were too slow: {statuses:?}");
    drop(crowd);
    wait_until("there is room again", PATIENCE, || {
        let body = json!({ "hex": "0".repeat(100_000) });
        send_json(&node, "POST /api/v1/transactions", &body).status == 422
    });
}

#[test]
fn each_of_many_gets_its_own_answer() {
    let node = Node::start();
    std::thread::scope(|scope| {
        for name in presets::DEV_ACCOUNTS {
            let node = &node;
            scope.spawn(move || {
                for nonce in 0..20 {
                    let good = signed(node, name, nonce, 1);
                    let mut bad = good.clone();
                    // The signature comes last.
                    *bad.last_mut().expect("bytes") ^= 1;
                    let submit = |bytes: &[u8]| {
                        send_json(node, "POST /api/v1/transactions", &json!({ "hex": hex::encode(bytes) }))
                    };
                    assert_eq!(submit(&bad).status, 422, "{name} {nonce}");
                    let taken = submit(&good);
                    assert_eq!(taken.status, 201, "{name} {nonce}");
                    let told = node.get(taken.header("location").expect("a place")).success();
                    let address = presets::dev_key(name).expect("known").address().to_string();
                    assert_eq!((&told["sender"], &told["nonce"]), (&json!(address), &json!(nonce)), "{told}");
                }
            });
        }
    });
    assert_eq!(node.pool().len(), 80);
}
