//! Compact blocks: their headers are judged at once, the rest when it is there.

use std::time::Duration;

use bard_chain::{
    address::Address,
    block::Block,
    encoding,
    transaction::Transaction,
    units::{Amount, Timestamp},
};
use bard_protocol::{RefusedReason, SyncRequest, SyncResponse, wire::compact::Compact};
use bard_tests::{
    actions::pay,
    chain_builder::{MemoryNode, seal, transactions_root, unseal},
    hostile_peer::{Answer, Guise, HostilePeer},
    process::{Node, wait_until},
};

use crate::arena::{Arena, LITTLE, PATIENCE, attack, faults};

/// How long a block may take although whoever told of it keeps the rest to himself: far less than the 15 s after which nodes
/// ask each other anyway.
const SOON: Duration = Duration::from_secs(4);

/// The block after the tip with two transfers that no pool has, changed, and sealed again.
fn block(chain: &MemoryNode, change: impl FnOnce(&mut Block)) -> Block {
    let transactions = (0..2).map(|nonce| chain.sign("alice", nonce, 1, pay("bob", 5))).collect();
    let mut block = chain.draft(transactions);
    change(&mut block);
    seal(chain.spec(), block)
}

/// Such a block whose second transfer spends what its sender does not have.
fn overspent(chain: &MemoryNode) -> Block {
    block(chain, |block| {
        block.transactions[1] = chain.sign("alice", 1, 1, pay("bob", 1_000_000));
        block.header.transactions_root = transactions_root(block);
    })
}

/// The announcement of a block, as one whose transactions everybody has.
fn compact(block: &Block) -> Vec<u8> {
    encoding::encode(&Compact::new(block, |_| true))
}

/// A peer that tells those of these transactions of a block that it is asked for, and these whole blocks, and refuses all else.
fn teller(node: &Node, some: Vec<Transaction>, whole: Vec<Block>) -> HostilePeer {
    let encoded = |all: &[Transaction]| all.iter().map(encoding::encode).collect::<Vec<_>>();
    let peer = attack(
        node,
        Guise::with_script(move |request| match request {
            SyncRequest::BlockTransactions { indices, .. } => {
                let wanted = indices.iter().filter_map(|index| some.get(*index as usize).cloned());
                Answer::Message(SyncResponse::BlockTransactions(encoded(&wanted.collect::<Vec<_>>())))
            }
            SyncRequest::Blocks { .. } => {
                Answer::Message(SyncResponse::Blocks(whole.iter().map(encoding::encode).collect()))
            }
            _ => Answer::Message(SyncResponse::Refused(RefusedReason::Unknown)),
        }),
    );
    // Nobody is asked before it is known to be of this chain.
    wait_until("the peer is known", PATIENCE, || faults(node, &peer.id()).is_some());
    peer
}

/// What a counter of a node stands at.
pub(crate) fn count(node: &Node, series: &str) -> f64 {
    let text = node.get("/metrics").body;
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    line.and_then(|rest| rest.trim().parse().ok()).unwrap_or_else(|| panic!("no {series} in {text}"))
}

fn asked_for_transactions(peer: &HostilePeer) -> bool {
    peer.heard().iter().any(|request| matches!(request, SyncRequest::BlockTransactions { .. }))
}

#[test]
fn what_is_missing_is_asked_for() {
    let arena = Arena::new();
    let block = block(&arena.chain, |_| ());
    let peer = teller(&arena.node, block.transactions.clone(), Vec::new());
    peer.gossip_block(&compact(&block));
    let id = block.header.id(arena.chain.spec().pow).to_string();
    for node in [&arena.node, &arena.honest] {
        wait_until("the block is there", PATIENCE, || node.tip() == id);
    }
    assert!(asked_for_transactions(&peer));
    assert_eq!(count(&arena.node, "bard_relay_blocks_rebuilt_total{from=\"asked\"}"), 1.0);
    arena.assert_blameless(&peer);
    arena.assert_company();
}

#[test]
fn a_header_without_the_work_is_refused() {
    let mut arena = Arena::new();
    let before = arena.look();
    let peer = arena.stranger();
    peer.gossip_block(&compact(&unseal(arena.chain.spec(), block(&arena.chain, |_| ()))));
    arena.assert_banned(&peer, "does not meet its target: the work is missing");
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn a_header_that_breaks_a_rule_in_its_place_is_refused() {
    let mut arena = Arena::new();
    let before = arena.look();
    let peer = arena.stranger();
    peer.gossip_block(&compact(&block(&arena.chain, |block| block.header.timestamp = Timestamp::ZERO)));
    arena.assert_banned(&peer, "sent an invalid block");
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn a_header_after_an_unknown_one_is_a_hint() {
    let mut arena = Arena::new();
    let before = arena.look();
    let peer = teller(&arena.node, Vec::new(), Vec::new());
    peer.gossip_block(&compact(&block(&arena.chain, |block| {
        block.header.parent = bard_chain::hash::BlockId::new([7; 32]);
    })));
    wait_until("the node asks where that leads", PATIENCE, || {
        peer.heard().iter().any(|request| matches!(request, SyncRequest::Headers { .. } | SyncRequest::Status(_)))
    });
    assert!(!asked_for_transactions(&peer));
    arena.assert_blameless(&peer);
    arena.assert_unharmed(&before, LITTLE);
}

/// A right header whose block never comes together: it is left aside, nobody is blamed.
fn assert_left_aside(some: impl FnOnce(&Arena, &Block) -> Vec<Transaction>) {
    let mut arena = Arena::new();
    let before = arena.look();
    let block = block(&arena.chain, |_| ());
    let peer = teller(&arena.node, some(&arena, &block), Vec::new());
    peer.gossip_block(&compact(&block));
    wait_until("it is given up", PATIENCE, || {
        count(&arena.node, "bard_relay_blocks_rebuilt_total{from=\"not\"}") >= 1.0
    });
    arena.assert_blameless(&peer);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn a_block_whose_rest_is_not_told_is_left_aside() {
    assert_left_aside(|_, _| Vec::new());
}

#[test]
fn a_block_with_other_transactions_than_it_commits_to_is_left_aside() {
    assert_left_aside(|arena, block| {
        vec![block.transactions[0].clone(), arena.chain.sign("carol", 0, 1, pay("bob", 5))]
    });
}

#[test]
fn whoever_serves_an_invalid_block_whole_is_banned() {
    let mut arena = Arena::new();
    let before = arena.look();
    let block = overspent(&arena.chain);
    let peer = teller(&arena.node, Vec::new(), vec![block.clone()]);
    peer.gossip_block(&compact(&block));
    arena.assert_banned(&peer, "served an invalid block: transaction 1");
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn whoever_only_announces_an_invalid_block_is_not_blamed() {
    let mut arena = Arena::new();
    let before = arena.look();
    let block = overspent(&arena.chain);
    let peer = teller(&arena.node, block.transactions.clone(), Vec::new());
    peer.gossip_block(&compact(&block));
    arena.wait_for_line(&["an announced block is refused", "transaction 1"]);
    arena.assert_blameless(&peer);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn of_two_announcements_of_one_header_one_is_forwarded() {
    let mut arena = Arena::new();
    let before = arena.look();
    let block = block(&arena.chain, |_| ());
    let peer = arena.stranger();
    let ignored = "bard_relay_messages_total{kind=\"block\",verdict=\"ignore\"}";
    let at_first = count(&arena.node, ignored);
    peer.gossip_block(&compact(&block));
    let mut other = block.clone();
    other.transactions[1].fee = Amount::new(9);
    peer.gossip_block(&compact(&other));
    wait_until("the second is ignored", PATIENCE, || count(&arena.node, ignored) > at_first);
    arena.assert_blameless(&peer);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn a_known_header_with_another_body_is_not_forwarded() {
    let mut arena = Arena::new();
    let before = arena.look();
    let tip = arena.chain.active_blocks().pop().expect("a block");
    let peer = arena.stranger();
    let ignored = "bard_relay_messages_total{kind=\"block\",verdict=\"ignore\"}";
    let at_first = count(&arena.node, ignored);
    for number in 0..5 {
        let mut other = block(&arena.chain, |_| ());
        other.transactions[1].fee = Amount::new(100 + number);
        other.header = tip.header().clone();
        peer.gossip_block(&compact(&other));
    }
    wait_until("none is forwarded", PATIENCE, || count(&arena.node, ignored) >= at_first + 5.0);
    assert!(!asked_for_transactions(&peer));
    arena.assert_blameless(&peer);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn when_the_first_keeps_the_rest_to_itself_the_next_is_asked() {
    let arena = Arena::new();
    let good = block(&arena.chain, |_| ());
    let mut short = good.clone();
    short.transactions.pop();
    let silent = arena.stranger();
    silent.gossip_block(&compact(&short));
    wait_until("the first is asked", PATIENCE, || asked_for_transactions(&silent));
    let honest = teller(&arena.node, good.transactions.clone(), vec![good.clone()]);
    honest.gossip_block(&compact(&good));
    let id = good.header.id(arena.chain.spec().pow).to_string();
    wait_until("the second tells", PATIENCE, || arena.node.tip() == id);
    arena.honest.wait_for_same_tip(&arena.node);
    arena.assert_blameless(&honest);
    arena.assert_blameless(&silent);
}

#[test]
fn when_the_only_one_who_announced_a_block_is_silent_others_are_asked() {
    let arena = Arena::new();
    let block = block(&arena.chain, |_| ());
    let has_it = teller(&arena.node, block.transactions.clone(), vec![block.clone()]);
    let silent = arena.stranger();
    wait_until("the silent one is known", PATIENCE, || faults(&arena.node, &silent.id()).is_some());
    silent.gossip_block(&compact(&block));
    let id = block.header.id(arena.chain.spec().pow).to_string();
    wait_until("the block is there", SOON, || arena.node.tip() == id);
    assert!(asked_for_transactions(&has_it), "it told what is missing");
    assert_eq!(count(&arena.node, "bard_relay_blocks_rebuilt_total{from=\"asked\"}"), 1.0);
    arena.honest.wait_for_same_tip(&arena.node);
    arena.assert_blameless(&has_it);
    arena.assert_blameless(&silent);
}

#[test]
fn a_block_that_a_silent_peer_forwarded_first_comes_from_an_honest_one() {
    let arena = Arena::new();
    let block = block(&arena.chain, |_| ());
    let silent = arena.stranger();
    wait_until("the silent one is known", PATIENCE, || faults(&arena.node, &silent.id()).is_some());
    let teacher = attack(&arena.honest, Guise::default());
    wait_until("the teacher is known", PATIENCE, || faults(&arena.honest, &teacher.id()).is_some());
    // To gossip, what the honest node tells on are the same bytes again.
    silent.gossip_block(&compact(&block));
    wait_until("the silent one is asked", PATIENCE, || asked_for_transactions(&silent));
    teacher.gossip_block(&encoding::encode(&block));
    let id = block.header.id(arena.chain.spec().pow).to_string();
    wait_until("the block is there", PATIENCE, || arena.node.tip() == id);
    // Told in pieces, or whole where the honest one had it itself only after the last question for pieces.
    let rebuilt = |from| count(&arena.node, &format!("bard_relay_blocks_rebuilt_total{{from=\"{from}\"}}"));
    wait_until("its rest was told", PATIENCE, || rebuilt("asked") + rebuilt("whole") >= 1.0);
    arena.assert_blameless(&silent);
    arena.assert_company();
}

#[test]
fn whoever_says_not_yet_is_asked_for_the_whole_before_whoever_says_nothing() {
    let arena = Arena::new();
    let block = block(&arena.chain, |_| ());
    let whole = encoding::encode(&block);
    let slow = attack(
        &arena.node,
        Guise::with_script(move |request| match request {
            SyncRequest::Blocks { .. } => Answer::Message(SyncResponse::Blocks(vec![whole.clone()])),
            _ => Answer::Message(SyncResponse::Refused(RefusedReason::Unknown)),
        }),
    );
    wait_until("the slow one is known", PATIENCE, || faults(&arena.node, &slow.id()).is_some());
    let silent = arena.stranger();
    wait_until("the silent one is known", PATIENCE, || faults(&arena.node, &silent.id()).is_some());
    silent.gossip_block(&compact(&block));
    let id = block.header.id(arena.chain.spec().pow).to_string();
    wait_until("the block is there", PATIENCE, || arena.node.tip() == id);
    assert!(asked_for_transactions(&slow), "it said that it does not have them");
    let for_whole = |request: &SyncRequest| matches!(request, SyncRequest::Blocks { .. });
    assert!(!silent.heard().iter().any(for_whole), "another said at least something");
    assert_eq!(count(&arena.node, "bard_relay_blocks_rebuilt_total{from=\"whole\"}"), 1.0);
    arena.assert_blameless(&slow);
}

#[test]
fn whoever_serves_another_block_than_was_asked_for_is_at_fault_and_the_next_is_asked() {
    let arena = Arena::new();
    let good = block(&arena.chain, |_| ());
    let known = arena.chain.active_blocks().pop().expect("a block").bytes().to_vec();
    let honest = teller(&arena.node, Vec::new(), vec![good.clone()]);
    let liar = attack(
        &arena.node,
        Guise::with_script(move |request| match request {
            SyncRequest::BlockTransactions { .. } => {
                // Time for somebody else to announce the block, too.
                std::thread::sleep(Duration::from_secs(1));
                Answer::Message(SyncResponse::BlockTransactions(Vec::new()))
            }
            SyncRequest::Blocks { .. } => Answer::Message(SyncResponse::Blocks(vec![known.clone()])),
            _ => Answer::Message(SyncResponse::Refused(RefusedReason::Unknown)),
        }),
    );
    wait_until("the liar is known", PATIENCE, || faults(&arena.node, &liar.id()).is_some());
    liar.gossip_block(&compact(&good));
    wait_until("the liar is asked", PATIENCE, || asked_for_transactions(&liar));
    // In other bytes: gossip takes the same message once.
    let mut short = good.clone();
    short.transactions.pop();
    honest.gossip_block(&compact(&short));
    let id = good.header.id(arena.chain.spec().pow).to_string();
    wait_until("the next tells", PATIENCE, || arena.node.tip() == id);
    arena.assert_fault(&liar, "serious", "served another block than was asked for");
    arena.assert_blameless(&honest);
    arena.honest.wait_for_same_tip(&arena.node);
}

#[test]
fn a_header_on_a_branch_of_less_work_is_ignored() {
    let mut arena = Arena::new();
    let before = arena.look();
    let low = MemoryNode::new(arena.chain.spec().as_ref().clone()).rival();
    let peer = teller(&arena.node, Vec::new(), Vec::new());
    let ignored = "bard_relay_messages_total{kind=\"block\",verdict=\"ignore\"}";
    let at_first = count(&arena.node, ignored);
    peer.gossip_block(&compact(&block(&low, |_| ())));
    wait_until("it is ignored", PATIENCE, || count(&arena.node, ignored) > at_first);
    assert!(!asked_for_transactions(&peer));
    arena.assert_blameless(&peer);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn a_peer_has_few_places_for_blocks_whose_rest_it_keeps_to_itself() {
    let arena = Arena::new();
    let peer = arena.stranger();
    // Nobody is asked before it is known to be of this chain.
    wait_until("the peer is known", PATIENCE, || faults(&arena.node, &peer.id()).is_some());
    for number in 0..8 {
        peer.gossip_block(&compact(&block(&arena.chain, |block| block.header.miner = Address::new([number; 32]))));
    }
    let asked = || peer.heard().iter().filter(|one| matches!(one, SyncRequest::BlockTransactions { .. })).count();
    wait_until("the first of them are asked for", PATIENCE, || asked() == 4);
    let good = block(&arena.chain, |_| ());
    let honest = teller(&arena.node, good.transactions.clone(), Vec::new());
    honest.gossip_block(&compact(&good));
    let id = good.header.id(arena.chain.spec().pow).to_string();
    wait_until("another peer's block is taken meanwhile", PATIENCE, || arena.node.tip() == id);
    arena.assert_blameless(&honest);
    arena.assert_blameless(&peer);
}

#[test]
fn a_compact_block_that_is_none_is_a_fault() {
    for (bytes, reason) in
        [(vec![0x83, 0xff], "gossip: malformed at byte"), (vec![0x83; 300], "gossip: malformed at byte")]
    {
        let mut arena = Arena::new();
        let before = arena.look();
        let peer = arena.stranger();
        peer.gossip_block(&bytes);
        arena.assert_fault(&peer, "serious", reason);
        arena.assert_unharmed(&before, LITTLE);
    }
}
