//! Every protocol that a node speaks, with streams that stay open, end at once, or carry junk.

use bard_protocol::{SyncRequest, SyncResponse};
use bard_tests::{
    hostile_peer::{
        HostilePeer,
        gossip::{field, framed},
    },
    process::wait_until,
};
use libp2p::PeerId;

use crate::arena::{Arena, LITTLE, MIB, PATIENCE};

/// Streams of one protocol at once, and how often: together fewer than the 256 that Yamux lets wait for an answer.
const STREAMS: usize = 100;
const ROUNDS: usize = 2;

/// The protocols of libp2p's own that a node takes streams of. Faults in those are its library's to bear, and no peer's.
const PROTOCOLS: [&str; 6] = [
    "/ipfs/ping/1.0.0",
    "/ipfs/id/1.0.0",
    "/ipfs/id/push/1.0.0",
    "/libp2p/autonat/2/dial-request",
    "/libp2p/autonat/2/dial-back",
    "/libp2p/circuit/relay/0.2.0/stop",
];

/// That a peer is answered.
fn assert_answered(arena: &Arena, peer: &HostilePeer) {
    let question = SyncRequest::Headers { locator: vec![arena.chain.engine().chain().into()], limit: 1 };
    let answer = peer.ask(&question);
    assert!(matches!(answer, Ok(SyncResponse::Headers(_))), "{answer:?}");
}

/// Opens streams of each protocol again and again and says this on each.
fn assert_borne(bytes: &[u8], held: bool) {
    let mut arena = Arena::terse();
    let before = arena.look();
    let other = arena.stranger();
    for protocol in PROTOCOLS {
        let peer = arena.stranger();
        let mut kept = Vec::new();
        for _ in 0..ROUNDS {
            // Beyond what the node takes at once it resets.
            for mut stream in peer.open_many(protocol, STREAMS).into_iter().flatten() {
                if stream.write(bytes).is_ok() && held {
                    kept.push(stream);
                }
            }
        }
        // Whatever becomes of the connection on which this happened: others are served.
        assert_answered(&arena, &other);
    }
    arena.assert_blameless(&other);
    let banned = arena.node.stderr().from(0).into_iter().find(|line| line.contains("banned"));
    assert_eq!(banned, None, "nobody is to blame");
    arena.assert_unharmed(&before, LITTLE + 8 * MIB);
}

#[test]
fn streams_of_every_protocol_that_end_at_once_are_borne() {
    assert_borne(&[], false);
}

#[test]
fn junk_on_every_protocol_is_borne() {
    assert_borne(&[0xff; 300], false);
}

#[test]
fn streams_of_every_protocol_that_stay_open_are_borne() {
    // A length, and nothing behind it.
    assert_borne(&[0x90, 0x03], true);
}

#[test]
fn circuits_through_a_peer_that_is_no_relay_are_not_taken() {
    let mut arena = Arena::terse();
    let before = arena.look();
    let peer = arena.stranger();
    for _ in 0..ROUNDS {
        for mut stream in peer.open_many(PROTOCOLS[5], STREAMS).into_iter().flatten() {
            let somebody = field(2, &field(1, &PeerId::random().to_bytes()));
            let _ = stream.write(&framed(&[&[0x08, 0][..], &somebody].concat()));
        }
    }
    assert_answered(&arena, &peer);
    arena.assert_blameless(&peer);
    wait_until("nobody has come that way", PATIENCE, || arena.node.peers().len() == 2);
    arena.assert_unharmed(&before, LITTLE);
}
