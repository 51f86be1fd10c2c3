//! Branches that look good until they would become the chain.

use bard_chain::{encoding, hash::Hash32};
use bard_protocol::{RefusedReason, SyncRequest, SyncResponse};
use bard_tests::{
    chain_builder::seal,
    hostile_peer::{Answer, Guise},
    process::wait_until,
};

use crate::{
    arena::{Arena, LITTLE, PATIENCE, attack},
    catch_up::{claim_of, maximum},
    compact::count,
};

/// Waits until the node knows a block that is not on its chain.
fn wait_until_kept(arena: &Arena, id: &str) {
    let answer = || arena.node.get(&format!("/api/v1/blocks/{id}"));
    wait_until("the side branch is kept", PATIENCE, || answer().status == 200);
    assert_eq!(answer().json()["active"], false);
}

#[test]
fn an_invalid_branch_is_refused_when_it_becomes_the_heavier_one() {
    let mut arena = Arena::new();
    let before = arena.look();
    let blocks = arena.chain.active_blocks();
    let rival = arena.chain.rival();
    // As high as the tip, with a state root that is not its own; nobody looks before it has the most work.
    let side = rival.child_of(&blocks[1]);
    let heavier = rival.child_of(&side);
    let first = arena.stranger();
    first.gossip_block(side.bytes());
    let id = side.id().to_string();
    wait_until_kept(&arena, &id);
    arena.assert_blameless(&first);
    let second = arena.stranger();
    second.gossip_block(heavier.bytes());
    arena.assert_banned(&second, &format!("its branch has an invalid block {id}"));
    arena.assert_blameless(&first);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn side_branches_do_not_move_the_chain() {
    let mut arena = Arena::new();
    let before = arena.look();
    let blocks = arena.chain.active_blocks();
    let peer = arena.stranger();
    let mut rival = arena.chain.rival();
    for _ in 0..50 {
        rival = rival.rival();
        let side = rival.child_of(&blocks[1]);
        peer.gossip_block(side.bytes());
        wait_until_kept(&arena, &side.id().to_string());
    }
    // Lower ones cost little and are of no use: they are not stored.
    let low = rival.child_of(&blocks[0]);
    peer.gossip_block(low.bytes());
    let last = rival.rival().child_of(&blocks[1]);
    peer.gossip_block(last.bytes());
    wait_until_kept(&arena, &last.id().to_string());
    assert_eq!(arena.node.get(&format!("/api/v1/blocks/{}", low.id())).status, 404);
    arena.assert_blameless(&peer);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn what_nobody_has_applied_is_neither_forwarded_nor_served() {
    let mut arena = Arena::new();
    let before = arena.look();
    let blocks = arena.chain.active_blocks();
    let side = arena.chain.rival().child_of(&blocks[1]);
    let peer = arena.stranger();
    let ignored = "bard_relay_messages_total{kind=\"block\",verdict=\"ignore\"}";
    let at_first = count(&arena.node, ignored);
    peer.gossip_block(side.bytes());
    wait_until_kept(&arena, &side.id().to_string());
    wait_until("it is not forwarded", PATIENCE, || count(&arena.node, ignored) > at_first);
    let ask = |ids: Vec<_>| peer.ask(&SyncRequest::Blocks { ids }).expect("an answer");
    assert_eq!(ask(vec![side.id()]), SyncResponse::Refused(RefusedReason::Unknown));
    let tip = blocks.last().expect("a block");
    assert_eq!(ask(vec![side.id(), tip.id()]), SyncResponse::Blocks(vec![tip.bytes().to_vec()]));
    let part = peer.ask(&SyncRequest::BlockTransactions { block: side.id(), indices: Vec::new() });
    assert_eq!(part.expect("an answer"), SyncResponse::Refused(RefusedReason::Unknown));
    arena.assert_blameless(&peer);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn a_refused_block_offered_by_headers_bans_whoever_follows_it() {
    let mut arena = Arena::new();
    let before = arena.look();
    let mut draft = arena.chain.draft(Vec::new());
    draft.header.state_root = Hash32::new([7; 32]);
    let bad = seal(arena.chain.spec(), draft);
    let bytes = encoding::encode(&bad);
    let status = claim_of(&arena.chain, maximum());
    let guise = Guise::with_script(move |request| match request {
        SyncRequest::Status(_) => Answer::Message(SyncResponse::Status(status.clone())),
        SyncRequest::Headers { .. } => Answer::Message(SyncResponse::Headers(vec![bad.header.clone()])),
        SyncRequest::Blocks { .. } => Answer::Message(SyncResponse::Blocks(vec![bytes.clone()])),
        _ => Answer::Silence,
    });
    let peer = attack(&arena.node, guise);
    arena.assert_banned(&peer, "the state root does not match");
    arena.assert_unharmed(&before, LITTLE);
}
