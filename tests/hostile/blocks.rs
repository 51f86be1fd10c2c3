//! Single blocks by gossip, each wrong in one way.

use std::time::{SystemTime, UNIX_EPOCH};

use bard_chain::{
    block::{self, Block},
    encoding,
    hash::{BlockId, Hash32},
    signature::Signature,
    spec::ChainSpec,
    target::CompactTarget,
    units::{Height, Timestamp},
};
use bard_protocol::{SyncRequest, SyncResponse, wire::compact::Compact};
use bard_tests::{
    actions::pay,
    chain_builder::{MemoryNode, easy_spec, seal, transactions_root, unseal},
    hostile_peer::{Answer, Guise, HostilePeer, gossip},
    process::{Node, wait_until},
};

use crate::{
    arena::{Arena, LITTLE, PATIENCE, address, attack, faults, other_spec, wait_for_line},
    catch_up::{after, claim, claim_of, maximum},
};

/// The block after the tip, changed, and sealed again.
fn sealed(chain: &MemoryNode, change: impl FnOnce(&mut Block)) -> Vec<u8> {
    let mut block = chain.draft(vec![chain.sign("alice", 0, 1, pay("bob", 5))]);
    change(&mut block);
    encoding::encode(&seal(chain.spec(), block))
}

/// A block is refused for a reason, and its sender banned.
fn assert_refused(bytes: impl FnOnce(&MemoryNode) -> Vec<u8>, reason: &str) {
    let mut arena = Arena::new();
    let before = arena.look();
    let peer = arena.stranger();
    peer.gossip_block(&bytes(&arena.chain));
    arena.wait_for_line(&["block refused", &peer.id().to_string(), reason]);
    arena.assert_banned(&peer, reason);
    arena.assert_unharmed(&before, LITTLE);
}

/// A block is left aside for a reason, and nobody is blamed.
fn assert_left_aside(bytes: impl FnOnce(&MemoryNode) -> Vec<u8>, logged: &str, reason: &str) {
    let mut arena = Arena::new();
    let before = arena.look();
    let peer = arena.stranger();
    peer.gossip_block(&bytes(&arena.chain));
    arena.wait_for_line(&[logged, reason]);
    arena.assert_blameless(&peer);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn a_block_without_the_work_is_refused() {
    let bytes = |chain: &MemoryNode| encoding::encode(&unseal(chain.spec(), chain.draft(Vec::new())));
    assert_refused(bytes, "does not meet its target: the work is missing");
}

#[test]
fn a_block_with_a_wrong_state_root_is_refused() {
    let bytes = |chain: &MemoryNode| sealed(chain, |block| block.header.state_root = Hash32::new([7; 32]));
    assert_refused(bytes, "the state root does not match");
}

#[test]
fn a_block_with_a_forged_signature_is_refused() {
    let forge = |block: &mut Block| {
        block.transactions[0].signature = Signature::new([9; 64]);
        block.header.transactions_root = transactions_root(block);
    };
    assert_refused(|chain| sealed(chain, forge), "transaction 0: the signature is not the sender's");
}

#[test]
fn a_block_that_spends_too_much_is_refused() {
    let bytes = |chain: &MemoryNode| {
        sealed(chain, |block| {
            block.transactions = vec![chain.sign("alice", 0, 1, pay("bob", 1_000_000))];
            block.header.transactions_root = transactions_root(block);
        })
    };
    assert_refused(bytes, "transaction 0: the sender has 250000 and spends 1000001");
}

#[test]
fn a_block_with_the_same_transaction_twice_is_refused() {
    let bytes = |chain: &MemoryNode| {
        sealed(chain, |block| {
            block.transactions.push(block.transactions[0].clone());
            block.header.transactions_root = transactions_root(block);
        })
    };
    assert_refused(bytes, "transaction 1: nonce 0 was used before");
}

#[test]
fn a_block_whose_transactions_are_not_those_it_commits_to_is_refused() {
    let bytes = |chain: &MemoryNode| sealed(chain, |block| block.transactions.clear());
    assert_refused(bytes, "the transactions root does not match");
}

#[test]
fn a_block_with_another_target_than_the_chain_asks_for_is_refused() {
    let bytes = |chain: &MemoryNode| sealed(chain, |block| block.header.target = CompactTarget::new(0x2000_ffff));
    assert_refused(bytes, "where the chain asks for 207fffff");
}

#[test]
fn a_block_with_a_malformed_target_is_refused() {
    let bytes = |chain: &MemoryNode| {
        let mut block = chain.draft(Vec::new());
        block.header.target = CompactTarget::new(0x2180_0000);
        encoding::encode(&block)
    };
    assert_refused(bytes, "target 21800000 is");
}

#[test]
fn a_block_of_the_wrong_height_is_refused() {
    let bytes = |chain: &MemoryNode| sealed(chain, |block| block.header.height = Height::new(9));
    assert_refused(bytes, "height 9 where 4 follows");
}

#[test]
fn a_block_older_than_the_blocks_before_is_refused() {
    let bytes = |chain: &MemoryNode| sealed(chain, |block| block.header.timestamp = chain.spec().genesis_time);
    assert_refused(bytes, "the median of the blocks before");
}

#[test]
fn a_block_of_an_unknown_version_is_refused() {
    let bytes = |chain: &MemoryNode| sealed(chain, |block| block.header.version = block::VERSION + 1);
    assert_refused(bytes, "block version 2 is unknown");
}

#[test]
fn a_block_with_bytes_behind_it_is_refused() {
    let bytes = |chain: &MemoryNode| [sealed(chain, |_| {}), vec![0]].concat();
    assert_refused(bytes, "not a block: malformed at byte");
}

#[test]
fn a_block_in_another_spelling_is_refused() {
    // The array of two, with its length in a byte of its own.
    let bytes = |chain: &MemoryNode| {
        let block = sealed(chain, |_| {});
        [&[0x98, 2], block.get(1..).expect("more than a byte")].concat()
    };
    assert_refused(bytes, "not a block: not in canonical form");
}

#[test]
fn a_block_from_the_far_future_waits_and_nobody_is_blamed() {
    // By any clock that runs these tests.
    let bytes = |chain: &MemoryNode| sealed(chain, |block| block.header.timestamp = Timestamp::new(4_102_444_800_000));
    assert_left_aside(bytes, "a block waits until it is due", "is too far in the future");
}

/// A block that comes a little early is taken when it is due, by this node and then by others.
fn assert_taken_when_due(announcement: impl FnOnce(&Block) -> Vec<u8>) {
    /// How far ahead of a clock a block may be, in milliseconds, and how much further this one is.
    const DRIFT: u64 = 12_000;
    const EARLY: u64 = 8_000;
    let spec = ChainSpec { name: "punctual".to_owned(), max_drift_ms: DRIFT, ..easy_spec() };
    let builder = || Node::builder().chain(&spec).arg("--no-console").arg("--log").arg("info,bard_node=debug");
    let node = builder().start();
    let other = builder().bootstrap(node.address()).start();
    node.wait_for_peers(1);
    let chain = MemoryNode::new(spec.clone());
    let peer = HostilePeer::connect(&address(&node), &spec, Guise::default()).expect("strangers are let in");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64;
    let mut block = chain.draft(vec![chain.sign("alice", 0, 1, pay("bob", 5))]);
    block.header.timestamp = Timestamp::new(now + DRIFT + EARLY);
    let block = seal(&spec, block);
    peer.gossip_block(&announcement(&block));
    wait_for_line(&node, &["a block waits until it is due", "is too far in the future"]);
    assert_ne!(node.tip(), block.header.id(spec.pow).to_string());
    let id = block.header.id(spec.pow).to_string();
    wait_until("it is taken when it is due", PATIENCE, || node.tip() == id);
    wait_for_line(&node, &["a block that came too early is taken now", &id]);
    wait_until("others hear of it", PATIENCE, || other.tip() == id);
    assert_eq!(faults(&node, &peer.id()), Some(Vec::new()));
}

#[test]
fn a_block_that_is_a_little_early_is_taken_when_it_is_due() {
    assert_taken_when_due(encoding::encode);
}

#[test]
fn a_compact_block_that_is_a_little_early_is_taken_when_it_is_due() {
    assert_taken_when_due(|block| encoding::encode(&Compact::new(block, |_| false)));
}

#[test]
fn a_block_of_another_chain_is_left_aside() {
    let bytes = |_: &MemoryNode| {
        let easiest = CompactTarget::new(0x207f_ffff);
        let foreign = ChainSpec { initial_target: easiest, easiest_target: easiest, ..other_spec() };
        MemoryNode::new(foreign).mine(Vec::new()).bytes().to_vec()
    };
    assert_left_aside(bytes, "refused", "is unknown");
}

#[test]
fn the_genesis_block_is_no_news() {
    let mut arena = Arena::new();
    let peer = arena.stranger();
    peer.gossip_block(&encoding::encode(&arena.chain.spec().genesis()));
    // Blocks are looked at in the order in which they come.
    let next = arena.chain.mine(Vec::new());
    peer.gossip_block(next.bytes());
    wait_until("the block after it is taken", PATIENCE, || arena.node.tip() == next.id().to_string());
    arena.assert_blameless(&peer);
    arena.honest.wait_for_same_tip(&arena.node);
    let before = arena.look();
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn a_block_without_a_known_parent_makes_the_node_ask_and_nobody_is_blamed() {
    let mut arena = Arena::new();
    let before = arena.look();
    let mut ahead = arena.chain.clone();
    let orphan = ahead.extend_by(2).pop().expect("two blocks");
    let status = claim(&ahead);
    let guise = Guise::with_script(move |request| match request {
        SyncRequest::Status(_) => Answer::Message(SyncResponse::Status(status.clone())),
        SyncRequest::Headers { .. } => Answer::Message(SyncResponse::Headers(Vec::new())),
        _ => Answer::Silence,
    });
    let peer = attack(&arena.node, guise);
    let asked = || peer.heard().iter().filter(|one| matches!(one, SyncRequest::Headers { .. })).count();
    wait_until("the node asks for headers on meeting", PATIENCE, || asked() > 0);
    let before_the_orphan = asked();
    peer.gossip_block(orphan.bytes());
    arena.wait_for_line(&["refused", &format!("the parent block {} is unknown", orphan.header().parent)]);
    wait_until("the node asks for headers again", PATIENCE, || asked() > before_the_orphan);
    arena.assert_blameless(&peer);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn a_refused_block_is_not_taken_from_others_either() {
    let mut arena = Arena::new();
    let before = arena.look();
    let bytes = sealed(&arena.chain, |block| block.header.state_root = Hash32::new([7; 32]));
    let first = arena.stranger();
    first.gossip_block(&bytes);
    arena.assert_banned(&first, "the state root does not match");
    // Gossip knows the message: the second serves it as its chain.
    let bad: Block = encoding::decode(&bytes, bytes.len()).expect("a block");
    let mut headers: Vec<_> = arena.chain.active_blocks().iter().map(|block| block.header().clone()).collect();
    headers.retain(|header| header.height > Height::ZERO);
    headers.push(bad.header.clone());
    let (status, chain) = (claim_of(&arena.chain, maximum()), arena.chain.clone());
    let script = move |request: &SyncRequest| match request {
        SyncRequest::Status(_) => Answer::Message(SyncResponse::Status(status.clone())),
        SyncRequest::Blocks { .. } => Answer::Message(SyncResponse::Blocks(vec![bytes.clone()])),
        other => after(&headers, &chain, other),
    };
    let second = attack(&arena.node, Guise::with_script(script));
    arena.wait_for_line(&["catching up was cut short", &second.id().to_string(), "was refused before"]);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn a_known_block_sent_again_and_again_does_nothing() {
    let mut arena = Arena::new();
    let before = arena.look();
    let peer = arena.stranger();
    let tip = arena.chain.active_blocks().pop().expect("a block");
    let rpc = gossip::publication(peer.names().blocks(), tip.bytes());
    for _ in 0..1_000 {
        peer.gossip(&rpc).expect("written");
    }
    peer.ask(&SyncRequest::PoolIds).expect("the node still answers");
    arena.assert_blameless(&peer);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn a_child_of_a_refused_block_makes_nobody_follow() {
    let mut arena = Arena::new();
    let before = arena.look();
    let bad = sealed(&arena.chain, |block| block.header.state_root = Hash32::new([7; 32]));
    let bad_block: Block = encoding::decode(&bad, bad.len()).expect("a block");
    let parent: BlockId = bad_block.header.id(arena.chain.spec().pow);
    let first = arena.stranger();
    first.gossip_block(&bad);
    arena.assert_banned(&first, "the state root does not match");
    let child = sealed(&arena.chain, |block| {
        block.header.parent = parent;
        block.header.height = Height::new(bad_block.header.height.get() + 1);
        block.header.timestamp = Timestamp::new(bad_block.header.timestamp.get() + 1);
    });
    let second = arena.stranger();
    second.gossip_block(&child);
    arena.wait_for_line(&["refused", &format!("the parent block {parent} is unknown")]);
    arena.assert_blameless(&second);
    arena.assert_unharmed(&before, LITTLE);
}
