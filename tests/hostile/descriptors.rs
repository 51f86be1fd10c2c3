//! A node whose system gives it no more files and connections.

use std::{fs, io::Write, net::TcpStream};

use bard_tests::process::{Node, wait_until};
use libp2p::multiaddr::Protocol;

use crate::arena::{Arena, LITTLE, MIB, PATIENCE, address, memory};

/// Descriptors that the node may have: what it needs by itself, and a few more.
const LIMIT: usize = 64;
/// Connections to each of its ports: far more than that.
const CROWD: usize = 100;

/// Descriptors that a node has.
fn descriptors(node: &Node) -> usize {
    fs::read_dir(format!("/proc/{}/fd", node.pid())).expect("a running process").count()
}

/// Length of a node's chain on the disk, in bytes.
fn stored(node: &Node) -> u64 {
    fs::metadata(node.dir().join("chain.log")).expect("a log").len()
}

/// Connections to where somebody listens, which say nothing.
fn crowd(place: &str) -> Vec<TcpStream> {
    let connect = || TcpStream::connect(place).expect("the system takes it, whoever listens");
    (0..CROWD).map(|_| connect()).collect()
}

/// Where a node listens for others, as a socket's address.
fn place(node: &Node) -> String {
    let address = address(node);
    let mut parts = address.iter();
    let (Some(Protocol::Ip4(ip)), Some(Protocol::Tcp(port))) = (parts.next(), parts.next()) else {
        panic!("{address} is not IPv4 and TCP")
    };
    format!("{ip}:{port}")
}

/// Connects again and again to the API, so that no place there stays free.
fn begin_requests(node: &Node) -> Vec<TcpStream> {
    let mut connections = crowd(node.file().api.trim_start_matches("http://").trim_end_matches('/'));
    for connection in &mut connections {
        let _ = connection.write_all(b"GET /api/v1/status HTTP/1.1\r\n");
    }
    connections
}

#[test]
fn a_node_without_a_free_descriptor_keeps_its_peers_and_its_chain() {
    let mut arena = Arena::with_descriptors(LIMIT);
    let before = memory(&arena.node);
    let others = crowd(&place(&arena.node));
    let requests = begin_requests(&arena.node);
    wait_until("nothing is left", PATIENCE, || descriptors(&arena.node) >= LIMIT);
    let length = stored(&arena.node);
    let mined = arena.honest.mine(1).pop().expect("a block");
    wait_until("blocks are stored all the same", PATIENCE, || stored(&arena.node) > length);
    assert!(arena.node.is_running(), "the node lives");
    drop((others, requests));
    // A connection that waits to be taken is closed by now, and the next one is taken.
    wait_until("the API answers again", PATIENCE, || arena.node.http().try_get("/api/v1/status").is_ok());
    assert_eq!(arena.node.tip(), mined);
    arena.node.mine(1);
    let stranger = arena.patient_stranger();
    arena.assert_blameless(&stranger);
    drop(stranger);
    let grown = memory(&arena.node).saturating_sub(before);
    assert!(grown <= LITTLE, "{} MiB more memory", grown / MIB);
    arena.assert_company();
}
