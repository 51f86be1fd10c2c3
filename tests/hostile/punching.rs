//! Peers behind relays that ask for holes to be punched, and peers that say they are relays and that somebody is to be taken to the
//! node, without end.

use bard_protocol::{PeerId, SyncRequest, SyncResponse};
use bard_tests::{
    hostile_peer::{
        Guise, HostilePeer,
        gossip::{field, framed},
    },
    plain_relay::{PlainRelay, WIDE},
    process::wait_until,
};
use serde_json::json;

use crate::arena::{Arena, LITTLE, PATIENCE, spec};

/// The protocol by which two peers behind a relay agree on a hole.
const PROTOCOL: &str = "/libp2p/dcutr";
/// The protocol by which a relay says that a peer wants to be taken to a node.
const STOP: &str = "/libp2p/circuit/relay/0.2.0/stop";
/// More streams than a count of one byte holds.
const STREAMS: usize = 400;

#[test]
fn holes_asked_for_without_end_neither_break_nor_fill_the_node() {
    let relay = PlainRelay::listen("/ip4/127.0.0.1/tcp/0", WIDE);
    let mut arena = Arena::with_relay(&relay.address());
    let before = arena.look();
    let (peer, _) = HostilePeer::at_relay(&relay.address(), &spec(), Guise::default());
    let circuit = relay.circuit_to(&peer.id().to_string());
    arena.node.post("/api/v1/peers", &json!({ "address": circuit })).success();
    wait_until("the node has come through the relay", PATIENCE, || peer.is_connected());
    // A hole to where nobody is.
    let nowhere: libp2p::Multiaddr = "/ip4/127.0.0.1/tcp/9".parse().expect("an address");
    let connect = framed(&[vec![0x08, 100], field(2, &nowhere.to_vec())].concat());
    for _ in 0..STREAMS / 20 {
        let mut streams: Vec<_> = peer.open_many(PROTOCOL, 20).into_iter().flatten().collect();
        streams.retain_mut(|stream| stream.write(&connect).is_ok());
    }
    let modest = SyncRequest::Headers { locator: vec![arena.chain.engine().chain().into()], limit: 1 };
    assert!(peer.is_connected(), "the circuit stands");
    let answer = peer.ask(&modest);
    assert!(matches!(answer, Ok(SyncResponse::Headers(_))), "the connection is dead: {answer:?}");
    arena.assert_blameless(&peer);
    drop(peer);
    wait_until("the node notices that the peer has gone", PATIENCE, || arena.node.peers().len() == 1);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn circuits_that_no_relay_has_are_refused_without_end() {
    let relay = PlainRelay::listen("/ip4/127.0.0.1/tcp/0", WIDE);
    let mut arena = Arena::with_relay(&relay.address());
    let before = arena.look();
    let peer = arena.stranger();
    let connect = || framed(&[vec![0x08, 0], field(2, &field(1, &PeerId::random().to_bytes()))].concat());
    let mut held = Vec::new();
    for _ in 0..STREAMS / 20 {
        let mut streams: Vec<_> = peer.open_many(STOP, 20).into_iter().flatten().collect();
        // Some say who comes, some say what is nobody's id, and some nothing.
        for (number, stream) in streams.iter_mut().enumerate() {
            let _ = match number % 3 {
                0 => stream.write(&connect()),
                1 => stream.write(&framed(&[vec![0x08, 0], field(2, &field(1, &[0xff; 40]))].concat())),
                _ => Ok(()),
            };
        }
        held.extend(streams);
    }
    assert!(held.len() > STREAMS / 2, "only {} streams were opened", held.len());
    assert!(arena.node.is_running(), "the node lives");
    // The relay that it has is of use to it as before.
    let (other, _) = HostilePeer::at_relay(&relay.address(), &spec(), Guise::default());
    let circuit = relay.circuit_to(&other.id().to_string());
    arena.node.post("/api/v1/peers", &json!({ "address": circuit })).success();
    wait_until("the node has come through the relay", PATIENCE, || other.is_connected());
    assert_eq!(arena.node.peers().iter().filter(|id| **id != peer.id().to_string()).count(), 2, "nobody else has come");
    drop((held, other));
    arena.assert_blameless(&peer);
    drop(peer);
    wait_until("the node notices that the peers have gone", PATIENCE, || arena.node.peers().len() == 1);
    arena.assert_unharmed(&before, LITTLE);
}
