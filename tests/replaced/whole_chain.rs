//! The whole chain in one answer, however long it is.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
};

use bard_tests::process::{Node, PATIENCE, wait_until};
use serde_json::json;

use crate::caller::{authority, raw};

/// Records of one block: together nearly as much as one call may bring.
const RECORDS: usize = 16;
const RECORD: usize = 60_000;
const BLOCKS: usize = 48;
/// What reading the chain may add to the memory of the node at its highest, in MiB: a few parts of it on each of the threads
/// that make them. The answer is twice as long, and if it were made whole it would be there as values and as text.
const MOST: u64 = 96;

/// The most memory that a process has held, in MiB.
fn peak(node: &Node) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
}

#[cfg(target_os = "linux")]
#[test]
fn a_long_chain_needs_little_memory() {
    let node = Node::start();
    let texts = vec!["x".repeat(RECORD); RECORDS];
    for _ in 0..BLOCKS {
        assert_eq!(node.post("/mine", &json!({ "transactions": texts })).status, 201);
    }
    let before = peak(&node);
    let request = format!("GET /chain HTTP/1.1\r\nHost: {}\r\n\r\n", authority(&node));
    let answer = raw(authority(&node), request.as_bytes());
    let grown = peak(&node) - before;
    assert!(answer.body.len() > BLOCKS * RECORDS * RECORD * 4, "{} bytes", answer.body.len());
    assert!(grown < MOST, "{grown} MiB more for an answer of {} MiB", answer.body.len() >> 20);
    assert_eq!(answer.body.matches("\"previous_hash\":").count(), BLOCKS + 1);
}

#[test]
fn readers_that_do_not_read_take_no_more_than_their_places() {
    let node = Node::start();
    let texts = vec!["x".repeat(RECORD); RECORDS];
    for _ in 0..8 {
        assert_eq!(node.post("/mine", &json!({ "transactions": texts })).status, 201);
    }
    let request = format!("GET /chain HTTP/1.1\r\nHost: {}\r\n\r\n", authority(&node));
    let stalled: Vec<TcpStream> = (0..16)
        .map(|_| {
            let mut stream = TcpStream::connect(authority(&node)).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            stream.read_exact(&mut [0; 1]).unwrap();
            stream
        })
        .collect();
    let busy = raw(authority(&node), request.as_bytes());
    assert_eq!(busy.status, 503, "{}", busy.body);
    assert_eq!(node.get("/info").status, 200, "the node goes on");
    drop(stalled);
    wait_until("there are places again", PATIENCE, || raw(authority(&node), request.as_bytes()).status == 200);
}

#[test]
fn all_blocks_in_their_order() {
    let node = Node::start();
    node.mine(300);
    let chain = node.get("/get_chain").success();
    let chain = chain.as_array().unwrap();
    assert_eq!(chain.len(), 301);
    assert!(chain.windows(2).all(|pair| pair[1]["previous_hash"] == pair[0]["hash"]));
    assert_eq!(chain[300]["hash"].as_str().unwrap(), node.tip());
}
