//! Peers behind relays that ask for holes to be punched, without end.

use bard_protocol::{SyncRequest, SyncResponse};
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
