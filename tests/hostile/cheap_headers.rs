//! Headers without end: each is sealed and follows the last, and making them costs next to nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bard_chain::{
    block::Header,
    hash::BlockId,
    pow,
    spec::ChainSpec,
    units::{Height, Timestamp},
};
use bard_protocol::{RefusedReason, Status, SyncRequest, SyncResponse};
use bard_tests::{
    chain_builder::MemoryNode,
    hostile_peer::{Answer, Guise, HostilePeer},
    process::{Node, wait_until},
};
use serde_json::json;

use crate::{
    arena::{Arena, LITTLE, MIB, PATIENCE, assert_relayed, attack, faults, id, memory, start_node},
    catch_up::{claim_of, maximum},
};

/// Headers that the node is made to check, and once more as many, together a million: far more than the 100,000 whose ids it
/// keeps.
const MANY: usize = 500_000;
/// How long it may take over them.
const SHOWN: Duration = Duration::from_secs(120);

/// The header after another, sealed: every second hash does.
fn next(spec: &ChainSpec, last: &Header, id: BlockId) -> (Header, BlockId) {
    let mut header = last.clone();
    header.height = Height::new(last.height.get() + 1);
    header.parent = id;
    header.timestamp = Timestamp::new(last.timestamp.get() + 1);
    let target = header.target.expand().expect("a target").to_be_bytes();
    header.nonce = pow::search(spec.pow, header.digest().as_bytes(), 0, u64::MAX, &target).expect("an easy target");
    let id = header.id(spec.pow);
    (header, id)
}

/// A liar that claims all the work there is at some height, whose chain goes on after the tip of another for as long as
/// somebody asks; and how many headers it has told.
fn endless(node: &Node, chain: &MemoryNode, height: u64) -> (HostilePeer, Arc<AtomicUsize>) {
    let chain = chain.clone();
    let tip = chain.active_blocks().pop().map_or_else(|| chain.spec().genesis().header, |tip| tip.header().clone());
    let tip = (tip, chain.tip());
    let status = Status { height: Height::new(height), ..claim_of(&chain, maximum()) };
    let mut last = tip.clone();
    let told = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&told);
    let peer = attack(
        node,
        Guise::with_script(move |request| match request {
            SyncRequest::Status(_) => Answer::Message(SyncResponse::Status(status.clone())),
            SyncRequest::Headers { limit, locator } => {
                if !locator.contains(&last.1) {
                    last = tip.clone();
                }
                let some: Vec<Header> = (0..*limit)
                    .map(|_| {
                        last = next(chain.spec(), &last.0, last.1);
                        last.0.clone()
                    })
                    .collect();
                count.fetch_add(some.len(), Ordering::Relaxed);
                Answer::Message(SyncResponse::Headers(some))
            }
            _ => Answer::Message(SyncResponse::Refused(RefusedReason::Unknown)),
        }),
    );
    (peer, told)
}

#[test]
fn cheap_headers_without_end_neither_fill_the_memory_nor_hold_up_the_chain() {
    let mut arena = Arena::new();
    let before = memory(&arena.node);
    let (liar, told) = endless(&arena.node, &arena.chain, u64::MAX);
    wait_until("the node listens to a liar", SHOWN, || told.load(Ordering::Relaxed) >= MANY);
    let half = memory(&arena.node);
    assert!(arena.node.is_running(), "the node lives");
    assert_relayed(&arena.honest, &arena.node);
    assert_relayed(&arena.node, &arena.honest);
    wait_until("it goes on", SHOWN, || told.load(Ordering::Relaxed) >= 2 * MANY || !liar.is_connected());
    let whole = memory(&arena.node);
    // Ids of 100,000 headers, and what is under way.
    assert!(half.saturating_sub(before) <= LITTLE + 16 * MIB, "{} MiB more memory", half.saturating_sub(before) / MIB);
    assert!(whole.saturating_sub(half) <= 4 * MIB, "{} KiB more for the second half", whole.saturating_sub(half) >> 10);
    assert_relayed(&arena.honest, &arena.node);
    arena.assert_company();
}

#[test]
fn who_shows_more_headers_than_it_claims_and_less_work_keeps_a_new_node_from_nothing() {
    let (node, honest) = (start_node(&[]), start_node(&[]));
    let tip = honest.mine(40).pop().expect("a tip");
    let (liar, told) = endless(&node, &MemoryNode::default(), 1_000);
    wait_until("the node listens to a liar", PATIENCE, || told.load(Ordering::Relaxed) > 0);
    node.post("/api/v1/peers", &json!({ "address": honest.address() })).success();
    wait_until("it gets the chain from somebody else", SHOWN, || node.tip() == tip);
    assert_eq!(faults(&node, &id(&honest)), Some(Vec::new()), "the honest node is without fault");
    // What it claims may have been true of another branch.
    assert_eq!(faults(&node, &liar.id()), Some(Vec::new()), "nothing is held against who was ahead of itself");
    assert_relayed(&honest, &node);
}
