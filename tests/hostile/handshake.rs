//! What peers say when they meet: another version, something else each time, or what cannot be.

use bard_chain::{hash::ChainId, units::Height};
use bard_protocol::{RefusedReason, SyncRequest, SyncResponse, topics::Names};
use bard_tests::{
    hostile_peer::{Answer, Guise, HostilePeer, gossip::PROTOCOL as GOSSIP},
    process::wait_until,
};

use crate::{
    arena::{Arena, LITTLE, PATIENCE, address, attack, faults, memory, spec},
    catch_up::{claim, claim_of, maximum},
};

fn names() -> Names {
    Names::new(spec().chain_id())
}

fn is_status(request: &SyncRequest) -> bool {
    matches!(request, SyncRequest::Status(_))
}

/// The protocols that a node of a later version of the same chain might offer.
fn later_protocols() -> Vec<String> {
    let names = names();
    let later = [names.sync(), names.peers(), names.spec(), names.kademlia()];
    let later = later.map(|name| name.strip_suffix('1').map(|name| format!("{name}2")).expect("a version"));
    later.into_iter().chain([GOSSIP.to_owned()]).collect()
}

#[test]
fn a_node_of_a_later_version_is_left_alone() {
    let mut arena = Arena::new();
    let before = arena.look();
    let version = names().protocol_version().replacen("blockbard/1 ", "blockbard/2 ", 1);
    let guise = Guise { protocol_version: Some(version), offers: Some(later_protocols()), ..Guise::default() };
    let peer_id = guise.identity.public().to_peer_id();
    // It may be gone before it has seen that it was let in.
    if let Ok(peer) = HostilePeer::connect(&address(&arena.node), &spec(), guise) {
        peer.wait_until_disconnected();
        assert_eq!(peer.heard(), Vec::new(), "it was asked nothing");
    }
    arena.wait_for_line(&["they are left alone", &peer_id.to_string(), "blockbard/2"]);
    assert_eq!(faults(&arena.node, &peer_id), None, "it is no peer");
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn a_peer_of_this_chain_that_speaks_no_protocol_of_it_is_borne() {
    let mut arena = Arena::new();
    let before = arena.look();
    let guise = Guise { offers: Some(later_protocols()), ..Guise::default() };
    let peer = HostilePeer::connect(&address(&arena.node), &spec(), guise).expect("it is of this chain");
    wait_until("it is known", PATIENCE, || faults(&arena.node, &peer.id()).is_some());
    for protocol in later_protocols().iter().filter(|name| *name != GOSSIP) {
        let refused = peer.open(protocol).map(drop).expect_err("nobody speaks it");
        assert_eq!(refused.kind(), std::io::ErrorKind::Unsupported, "{protocol}: {refused}");
    }
    arena.assert_blameless(&peer);
    assert_eq!(peer.heard(), Vec::new(), "there is nothing it could be asked");
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn a_status_told_again_and_again_is_answered_for_a_while_and_no_fault() {
    let mut arena = Arena::new();
    let before = arena.look();
    let peer = arena.stranger();
    let status = claim(&arena.chain);
    let (mut answered, mut declined) = (0, 0);
    for _ in 0..300 {
        match peer.ask(&SyncRequest::Status(status.clone())) {
            Ok(SyncResponse::Status(told)) => {
                assert_eq!(told.tip, status.tip);
                answered += 1;
            }
            Ok(SyncResponse::Refused(RefusedReason::Busy)) => declined += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(answered >= 64 && declined > 0, "{answered} answered, {declined} declined");
    arena.assert_blameless(&peer);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn a_status_that_changes_each_time_moves_nothing() {
    let mut arena = Arena::new();
    let before = memory(&arena.node);
    let (rival, chain) = (arena.chain.rival(), arena.chain.clone());
    let mut round = 0_u64;
    // The most work of all, none, that of a chain that is not there, and heights to which no work belongs.
    let mut lie = move || {
        round += 1;
        let mut status = match round % 3 {
            0 => claim_of(&chain, maximum()),
            1 => claim(&rival),
            _ => claim(&chain),
        };
        status.height = Height::new(if round.is_multiple_of(2) { u64::MAX } else { 0 });
        status
    };
    let guise = Guise::with_script(move |request| match request {
        SyncRequest::Status(_) => Answer::Message(SyncResponse::Status(lie())),
        SyncRequest::Headers { .. } => Answer::Message(SyncResponse::Headers(Vec::new())),
        _ => Answer::Message(SyncResponse::Refused(RefusedReason::Unknown)),
    });
    let peer = attack(&arena.node, guise);
    let asked = || peer.heard().iter().filter(|request| is_status(request)).count();
    wait_until("the liar is asked", PATIENCE, || asked() > 0);
    for _ in 0..5 {
        arena.honest.mine(1);
        arena.node.wait_for_same_tip(&arena.honest);
        // What it says unasked counts as little.
        let status = claim_of(&arena.chain, maximum());
        peer.ask(&SyncRequest::Status(status)).expect("an answer");
    }
    arena.assert_blameless(&peer);
    let grown = memory(&arena.node).saturating_sub(before);
    assert!(grown <= LITTLE, "{} KiB more memory", grown >> 10);
    let now = arena.look();
    arena.assert_unharmed(&now, LITTLE);
}

#[test]
fn a_status_of_another_chain_leads_nowhere() {
    let mut arena = Arena::new();
    let mut foreign = claim_of(&arena.chain, maximum());
    foreign.chain = ChainId::new([9; 32]);
    let told = foreign.clone();
    let guise = Guise::with_script(move |request| match request {
        SyncRequest::Status(_) => Answer::Message(SyncResponse::Status(told.clone())),
        _ => Answer::Message(SyncResponse::Refused(RefusedReason::Unknown)),
    });
    let peer = attack(&arena.node, guise);
    wait_until("it is asked how far it is", PATIENCE, || peer.heard().iter().any(is_status));
    let answer = peer.ask(&SyncRequest::Status(foreign)).expect("an answer");
    assert!(matches!(answer, SyncResponse::Status(status) if status.chain == spec().chain_id()), "it tells its own");
    // Whatever the node would want of that chain it would ask for before it hears of this block and the next.
    for _ in 0..2 {
        arena.honest.mine(1);
        arena.node.wait_for_same_tip(&arena.honest);
    }
    let others =
        peer.heard().into_iter().filter(|request| !is_status(request) && !matches!(request, SyncRequest::PoolIds));
    assert_eq!(others.collect::<Vec<_>>(), Vec::new(), "nothing else is wanted of it");
    arena.assert_blameless(&peer);
    let now = arena.look();
    arena.assert_unharmed(&now, LITTLE);
}
