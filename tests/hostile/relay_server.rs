//! A node that is a relay, and peers that take places and circuits without end.

use bard_protocol::{SyncRequest, SyncResponse};
use bard_tests::{
    hostile_peer::{
        Guise, HostilePeer,
        gossip::{field, framed},
    },
    process::{Node, wait_until},
};
use libp2p::PeerId;
use serde_json::json;

use crate::arena::{Arena, LITTLE, MIB, PATIENCE, spec};

/// The protocol by which a relay is asked for a place, or for a way to who has one.
const HOP: &str = "/libp2p/circuit/relay/0.2.0/hop";
/// Streams at once, and how often: far more than a peer may ask for in a minute.
const STREAMS: usize = 20;
const ROUNDS: usize = 20;

/// Asks for a place.
fn reserve() -> Vec<u8> {
    framed(&[0x08, 0])
}

/// Asks for a way to a peer.
fn connect(to: PeerId) -> Vec<u8> {
    framed(&[&[0x08, 1][..], &field(2, &field(1, &to.to_bytes()))].concat())
}

/// Says this to the relay on many streams and reads what comes back; how many were answered.
fn ask_without_end(peer: &HostilePeer, said: impl Fn() -> Vec<u8>) -> usize {
    let mut answered = 0;
    for _ in 0..ROUNDS {
        let mut streams: Vec<_> = peer.open_many(HOP, STREAMS).into_iter().flatten().collect();
        streams.retain_mut(|stream| stream.write(&said()).is_ok() && stream.finish().is_ok());
        answered += streams.iter_mut().filter_map(|stream| stream.read_to_end().ok()).filter(|a| !a.is_empty()).count();
    }
    answered
}

/// That whoever has nothing to do with it is served, and that the node still is a relay.
fn assert_serves(arena: &Arena) {
    let question = SyncRequest::Headers { locator: vec![arena.chain.engine().chain().into()], limit: 1 };
    let stranger = arena.patient_stranger();
    let answer = stranger.ask(&question);
    assert!(matches!(answer, Ok(SyncResponse::Headers(_))), "{answer:?}");
    arena.assert_blameless(&stranger);
    let (reserved, _) = HostilePeer::at_relay(arena.node.address(), &spec(), Guise::default());
    let visitor = Node::builder().chain(&spec()).arg("--no-console").start();
    let circuit = format!("{}/p2p-circuit/p2p/{}", arena.node.address(), reserved.id());
    visitor.post("/api/v1/peers", &json!({ "address": circuit })).success();
    let came = || visitor.peers().contains(&reserved.id().to_string());
    wait_until("a circuit is granted", PATIENCE, came);
}

#[test]
fn places_asked_for_without_end_cost_the_relay_little() {
    let mut arena = Arena::of_a_relay();
    let before = arena.look();
    let peer = arena.stranger();
    assert!(ask_without_end(&peer, reserve) > 0, "some are answered");
    assert_serves(&arena);
    drop(peer);
    wait_until("all are gone", PATIENCE, || arena.node.peers().len() == 1);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn ways_to_nobody_are_refused_without_end() {
    let mut arena = Arena::of_a_relay();
    let before = arena.look();
    let peer = arena.stranger();
    assert!(ask_without_end(&peer, || connect(PeerId::random())) > 0, "some are answered");
    assert_serves(&arena);
    drop(peer);
    wait_until("all are gone", PATIENCE, || arena.node.peers().len() == 1);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn ways_to_one_that_never_answers_leave_nothing_behind() {
    let mut arena = Arena::of_a_relay();
    let before = arena.look();
    let (silent, _) = HostilePeer::at_relay(arena.node.address(), &spec(), Guise::default());
    let peer = arena.stranger();
    ask_without_end(&peer, || connect(silent.id()));
    assert_serves(&arena);
    drop((peer, silent));
    wait_until("all are gone", PATIENCE, || arena.node.peers().len() == 1);
    arena.assert_unharmed(&before, LITTLE + 8 * MIB);
}

#[test]
fn streams_to_the_relay_that_say_nothing_or_junk_are_borne() {
    let mut arena = Arena::of_a_relay();
    let before = arena.look();
    let peer = arena.stranger();
    let mut held = Vec::new();
    for said in [&[0x90, 0x03][..], &[0xff; 300], &[]] {
        for mut stream in peer.open_many(HOP, 100).into_iter().flatten() {
            if stream.write(said).is_ok() {
                held.push(stream);
            }
        }
    }
    assert_serves(&arena);
    drop(held);
    drop(peer);
    wait_until("all are gone", PATIENCE, || arena.node.peers().len() == 1);
    arena.assert_unharmed(&before, LITTLE);
}
