//! A node that has nothing yet, between a liar with a light chain and an honest node with a heavier one: what it took of the
//! light chain it could never give back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bard_chain::{hash::BlockId, rules::isolated::Isolated, spec::ChainSpec, units::Work};
use bard_protocol::{RefusedReason, SyncRequest, SyncResponse};
use bard_tests::{
    chain_builder::{MemoryNode, easy_spec},
    hostile_peer::{Answer, Guise, HostilePeer},
    process::{Node, wait_until},
};
use serde_json::json;

use crate::{
    arena::{PATIENCE, address, faults, id},
    catch_up::{after, claim, claim_of, maximum},
};

/// How far a reorganisation goes back on this chain.
const DEPTH: u64 = 4;
/// Blocks of the liar: more than can be undone.
const LIGHT: usize = 40;
/// Blocks of the honest node.
const HEAVY: u32 = 60;
/// For how long the liar lets the node wait for headers: less than it waits.
const DELAY: Duration = Duration::from_secs(10);

fn shallow() -> ChainSpec {
    ChainSpec { name: "shallow".to_owned(), max_reorg_depth: DEPTH, ..easy_spec() }
}

fn start() -> Node {
    Node::builder().chain(&shallow()).arg("--no-console").arg("--log").arg("info,bard_node=debug").start()
}

/// Serves a chain as an honest node would, but for its claim, and for its headers, which come once `go` is set.
fn liar(node: &Node, chain: MemoryNode, blocks: Vec<Arc<Isolated>>, claimed: Work, go: Arc<AtomicBool>) -> HostilePeer {
    let status = claim_of(&chain, claimed);
    let headers: Vec<_> = blocks.iter().map(|block| block.header().clone()).collect();
    let script = move |request: &SyncRequest| match request {
        SyncRequest::Status(_) => Answer::Message(SyncResponse::Status(status.clone())),
        SyncRequest::Headers { .. } => {
            let step = Duration::from_millis(50);
            (0..DELAY.as_millis() / step.as_millis()).take_while(|_| !go.load(Ordering::Relaxed)).for_each(|_| {
                std::thread::sleep(step);
            });
            after(&headers, &chain, request)
        }
        SyncRequest::Blocks { ids } => {
            let asked = blocks.iter().filter(|block| ids.contains(&block.id()));
            Answer::Message(SyncResponse::Blocks(asked.map(|block| block.bytes().to_vec()).collect()))
        }
        _ => Answer::Message(SyncResponse::Refused(RefusedReason::Unknown)),
    };
    HostilePeer::connect(&address(node), &shallow(), Guise::with_script(script)).expect("strangers are let in")
}

fn was_asked_for_blocks(peer: &HostilePeer) -> bool {
    peer.heard().iter().any(|request| matches!(request, SyncRequest::Blocks { .. }))
}

#[test]
fn a_light_chain_behind_a_large_claim_takes_nobody_along() {
    let (node, honest) = (start(), start());
    let tip = honest.mine(HEAVY).pop().expect("blocks");
    let mut chain = MemoryNode::new(shallow());
    let blocks = chain.extend_by(LIGHT);
    let go = Arc::new(AtomicBool::new(false));
    let liar = liar(&node, chain, blocks, maximum(), Arc::clone(&go));
    let asked = || liar.heard().iter().any(|request| matches!(request, SyncRequest::Headers { .. }));
    wait_until("the liar leads", PATIENCE, asked);
    node.post("/api/v1/peers", &json!({ "address": honest.address() })).success();
    wait_until("the honest node is known", PATIENCE, || faults(&node, &id(&honest)).is_some());
    // It says how far it is within milliseconds.
    std::thread::sleep(Duration::from_secs(1));
    go.store(true, Ordering::Relaxed);
    wait_until("the heavier chain is followed", PATIENCE, || node.tip() == tip);
    assert!(!was_asked_for_blocks(&liar), "nothing was taken from the light one");
    assert_eq!(faults(&node, &liar.id()), Some(Vec::new()), "a claim may be honest");
}

#[test]
fn a_peer_that_shows_less_than_it_claims_is_followed_where_nobody_claims_more() {
    let node = start();
    let mut chain = MemoryNode::new(shallow());
    let blocks = chain.extend_by(LIGHT);
    let tip = chain.tip().to_string();
    let _alone = liar(&node, chain, blocks, maximum(), Arc::new(AtomicBool::new(true)));
    wait_until("there is nobody else", PATIENCE, || node.tip() == tip);
}

#[test]
fn headers_go_on_where_a_broken_line_ended_them() {
    /// Headers in one answer.
    const ANSWER: usize = 2_000;
    let node = start();
    let mut chain = MemoryNode::new(shallow());
    let blocks = chain.extend_by(ANSWER + 500);
    let (tip, status) = (chain.tip().to_string(), claim(&chain));
    let headers: Vec<_> = blocks.iter().map(|block| block.header().clone()).collect();
    let mut questions = 0;
    let script = move |request: &SyncRequest| {
        Answer::Message(match request {
            SyncRequest::Status(_) => SyncResponse::Status(status.clone()),
            SyncRequest::Headers { locator, .. } => {
                questions += 1;
                let known = blocks.iter().position(|block| locator.contains(&block.id())).map_or(0, |at| at + 1);
                let some: Vec<_> = headers.iter().skip(known).take(ANSWER).cloned().collect();
                if questions == 2 { SyncResponse::Refused(RefusedReason::Busy) } else { SyncResponse::Headers(some) }
            }
            SyncRequest::Blocks { ids } => {
                let asked = blocks.iter().filter(|block| ids.contains(&block.id()));
                SyncResponse::Blocks(asked.map(|block| block.bytes().to_vec()).collect())
            }
            _ => SyncResponse::Refused(RefusedReason::Unknown),
        })
    };
    let last = id_at(&chain, ANSWER);
    let peer = HostilePeer::connect(&address(&node), &shallow(), Guise::with_script(script)).expect("it is let in");
    wait_until("the node gets the chain", Duration::from_secs(60), || node.tip() == tip);
    let asked = peer.heard().into_iter().filter_map(|request| match request {
        SyncRequest::Headers { locator, .. } => Some(locator),
        _ => None,
    });
    let asked: Vec<_> = asked.take(3).collect();
    assert_eq!(asked.get(1), Some(&vec![last]));
    assert_eq!(asked.get(2), Some(&vec![last]), "not from the beginning");
}

/// The id of the block at a height of the active chain.
fn id_at(chain: &MemoryNode, height: usize) -> BlockId {
    chain.active_blocks().iter().find(|block| block.header().height.get() == height as u64).expect("a block").id()
}
