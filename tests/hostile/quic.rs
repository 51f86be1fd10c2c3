//! The same below and above QUIC: junk on its port, strangers that say nothing, faults over it, and many at once.

use std::net::UdpSocket;

use bard_protocol::{SyncRequest, SyncResponse};
use bard_tests::{
    hostile_peer::{Guise, HostilePeer},
    process::wait_until,
};
use libp2p::{Multiaddr, identity::Keypair, multiaddr::Protocol};

use crate::{
    arena::{Arena, LITTLE, MIB, PATIENCE, address, faults, id, other_spec, spec},
    identity::seed_of,
};

/// Sends datagrams to where a node listens over QUIC.
fn throw(address: &Multiaddr, datagrams: impl Iterator<Item = Vec<u8>>) {
    let mut parts = address.iter();
    let (Some(Protocol::Ip4(ip)), Some(Protocol::Udp(port))) = (parts.next(), parts.next()) else {
        panic!("{address} is not IPv4 and UDP")
    };
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for datagram in datagrams {
        // A full buffer loses some.
        let _ = socket.send_to(&datagram, (ip, port));
    }
}

/// Bytes that follow from a number and look like noise.
fn junk(seed: u32, length: usize) -> Vec<u8> {
    let mut state = u64::from(seed) + 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// What looks like the first datagram of a connection: the long header of an initial packet of QUIC version 1, and noise.
fn first(seed: u32) -> Vec<u8> {
    let ids = [&[8][..], &junk(seed, 8), &[8], &junk(seed + 1, 8)].concat();
    // No token; a length of 1,160 bytes, of two bytes itself.
    [&[0xc3, 0, 0, 0, 1][..], &ids, &[0, 0x44, 0x88], &junk(seed + 2, 1_160)].concat()
}

#[test]
fn junk_on_the_port_of_quic_leads_nowhere() {
    let mut arena = Arena::over_quic();
    let before = arena.look();
    let to = address(&arena.node);
    throw(&to, (0..3_000).map(|seed| junk(seed, 1 + seed as usize % 1_400)));
    throw(&to, (0..3_000).map(first));
    // A version that nobody speaks, asked for from an address that may be somebody else's.
    throw(&to, (0..1_000).map(|seed| [&[0xc3, 0xba, 0xad, 0xba, 0xad, 8][..], &junk(seed, 1_194)].concat()));
    let stranger = arena.patient_stranger();
    arena.assert_blameless(&stranger);
    drop(stranger);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn what_bans_over_tcp_bans_over_quic() {
    let mut arena = Arena::over_quic();
    let before = arena.look();
    let peer = arena.stranger();
    peer.gossip_block(&[0xff; 300]);
    arena.assert_banned(&peer, "sent an invalid block: not a block: malformed at byte");
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn streams_held_open_over_quic_cost_only_whoever_holds_them() {
    let mut arena = Arena::over_quic();
    let before = arena.look();
    let peer = arena.stranger();
    let mut held: Vec<_> = peer.open_many(&peer.names().sync(), 150).into_iter().flatten().collect();
    // A length and nothing behind it: the node waits for the rest.
    held.retain_mut(|stream| stream.write(&84_384_u32.to_be_bytes()).is_ok());
    assert!(!held.is_empty(), "some are taken");
    let other = arena.stranger();
    let question = SyncRequest::Headers { locator: vec![arena.chain.engine().chain().into()], limit: 2_000 };
    for _ in 0..20 {
        assert!(matches!(other.ask(&question), Ok(SyncResponse::Headers(_))), "others are answered");
    }
    arena.assert_blameless(&peer);
    drop(held);
    wait_until("the streams are free again", PATIENCE, || peer.ask(&question).is_ok());
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn strangers_that_come_and_go_over_quic_leave_nothing_behind() {
    let mut arena = Arena::over_quic();
    let before = arena.look();
    for _ in 0..30 {
        let peer = arena.patient_stranger();
        let _ = peer.ask(&SyncRequest::PoolIds);
    }
    wait_until("the strangers are gone", PATIENCE, || arena.node.peers().len() == 1);
    arena.assert_unharmed(&before, LITTLE + 8 * MIB);
}

#[test]
fn a_node_of_another_chain_is_left_alone_over_quic() {
    let mut arena = Arena::over_quic();
    let before = arena.look();
    let other = bard_protocol::topics::Names::new(other_spec().chain_id());
    let guise = Guise { protocol_version: Some(other.protocol_version()), ..Guise::default() };
    let id = guise.identity.public().to_peer_id().to_string();
    // It may be gone before it has seen that it was let in.
    if let Ok(peer) = HostilePeer::connect(&address(&arena.node), &spec(), guise) {
        peer.wait_until_disconnected();
    }
    arena.wait_for_line(&["there are nodes of another chain here, they are left alone", &id]);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn the_nodes_own_identity_is_not_let_in_over_quic() {
    let mut arena = Arena::over_quic();
    let before = arena.look();
    let identity = Keypair::ed25519_from_bytes(seed_of(&arena)).expect("a seed");
    let guise = Guise { identity, ..Guise::default() };
    // The twin's own side may see first that nobody connects to himself.
    if let Ok(peer) = HostilePeer::connect(&address(&arena.node), &spec(), guise) {
        peer.wait_until_disconnected();
    }
    arena.wait_for_line(&["an incoming connection failed"]);
    assert_eq!(faults(&arena.node, &id(&arena.node)), None, "the node is no peer of its own");
    arena.assert_unharmed(&before, LITTLE);
}
