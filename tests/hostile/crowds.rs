//! One that wants too much, and many that want every place.

use std::{thread, time::Duration};

use bard_chain::hash::BlockId;
use bard_protocol::{RefusedReason, SyncRequest, SyncResponse};
use bard_tests::{
    hostile_peer::{Guise, HostilePeer},
    process::{wait_for, wait_until},
};
use libp2p::{PeerId, identity::Keypair};

use crate::arena::{Arena, LITTLE, MIB, PATIENCE, address, attack, faults, id, spec};

/// Peers that a node lets in by default.
const PLACES: usize = 64;
/// What a connection may cost, in bytes.
const PER_PEER: u64 = 300 << 10;

#[test]
fn a_peer_that_asks_for_the_pool_again_and_again_is_told_to_wait() {
    let mut arena = Arena::new();
    let before = arena.look();
    let peer = arena.stranger();
    let mut answered = 0;
    let declined = (0..200).any(|_| match peer.ask(&SyncRequest::PoolIds) {
        Ok(SyncResponse::PoolIds(_)) => {
            answered += 1;
            false
        }
        Ok(SyncResponse::Refused(RefusedReason::Busy)) => true,
        other => panic!("{other:?}"),
    });
    assert!(declined && answered >= 8, "{answered} answers");
    let headers = SyncRequest::Headers { locator: vec![BlockId::from(arena.chain.engine().chain())], limit: 1 };
    assert!(matches!(peer.ask(&headers), Ok(SyncResponse::Headers(_))), "other questions are answered all the same");
    let other = arena.stranger();
    assert!(matches!(other.ask(&SyncRequest::PoolIds), Ok(SyncResponse::PoolIds(_))), "and so are others");
    arena.assert_blameless(&peer);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn a_full_node_lets_newcomers_in_and_keeps_those_that_are_of_use() {
    let mut arena = Arena::new();
    let before = arena.look();
    // The honest node came first; strangers take every other place.
    let mut crowd: Vec<HostilePeer> = Vec::new();
    for _ in 1..PLACES {
        crowd.push(arena.patient_stranger());
    }
    let inbound = || arena.node.peers().len();
    wait_until("every place is taken", PATIENCE, || inbound() >= PLACES);
    for _ in 0..12 {
        let attempt = || HostilePeer::connect(&address(&arena.node), &spec(), Guise::default()).ok();
        crowd.push(wait_for("a newcomer is let in", PATIENCE, attempt));
    }
    wait_until("some are parted from", PATIENCE, || inbound() <= PLACES);
    let answer = arena.node.get("/api/v1/peers").success();
    let departed = answer["departed"].as_array().expect("a list").clone();
    let of_need = departed.iter().filter(|one| one["reason"] == "others have more need of the place").count();
    assert!(of_need > 0, "{departed:?}");
    let honest = id(&arena.honest).to_string();
    let first = departed.iter().find(|one| one["peer_id"] == honest.as_str());
    assert_eq!(first, None, "the honest node was there first");
    drop(crowd);
    wait_until("the crowd has gone", PATIENCE, || inbound() == 1);
    let newcomer = attack(&arena.node, Guise::default());
    arena.assert_blameless(&newcomer);
    drop(newcomer);
    arena.assert_unharmed(&before, LITTLE + PLACES as u64 * PER_PEER + 8 * MIB);
}

/// A key whose peer id is smaller than another, so that its owner is who should close connections that are one too many.
fn smaller_than(other: PeerId) -> Keypair {
    let mut keys = std::iter::repeat_with(Keypair::generate_ed25519);
    keys.find(|key| key.public().to_peer_id() < other).expect("half of all are")
}

#[test]
fn a_few_that_hold_every_place_thrice_do_not_keep_others_out() {
    let mut arena = Arena::new();
    let before = arena.look();
    let node = id(&arena.node);
    let mut crowd: Vec<HostilePeer> = Vec::new();
    for _ in 0..24 {
        let identity = smaller_than(node);
        for _ in 0..3 {
            let guise = Guise { identity: identity.clone(), ..Guise::default() };
            // The last ones find no place.
            crowd.extend(HostilePeer::connect(&address(&arena.node), &spec(), guise).ok());
        }
    }
    assert!(crowd.len() >= PLACES, "only {} connections", crowd.len());
    // Whoever finds no place is connected for a moment, too.
    let attempt = || {
        let peer = HostilePeer::connect(&address(&arena.node), &spec(), Guise::default()).ok()?;
        thread::sleep(Duration::from_secs(1));
        faults(&arena.node, &peer.id()).map(|_| peer)
    };
    let newcomer = wait_for("a newcomer is let in", PATIENCE * 2, attempt);
    wait_until("what is one too many is closed", PATIENCE, || {
        crowd.iter().filter(|peer| peer.is_connected()).count() <= 24
    });
    arena.assert_blameless(&newcomer);
    drop(crowd);
    drop(newcomer);
    arena.assert_unharmed(&before, LITTLE + PLACES as u64 * PER_PEER + 8 * MIB);
}
