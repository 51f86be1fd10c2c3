//! Liars and stallers while a node catches up: an honest node has the blocks, and the node gets them from it.

use std::{sync::Arc, time::Duration};

use bard_chain::{
    block::{Block, Header},
    encoding,
    rules::isolated::Isolated,
    units::Height,
    units::{Timestamp, Work},
};
use bard_protocol::{Agent, RefusedReason, Status, SyncRequest, SyncResponse};
use bard_tests::{
    chain_builder::{MemoryNode, unseal},
    hostile_peer::{Answer, Guise, HostilePeer, framed},
    process::{Node, wait_until},
};
use serde_json::json;

use crate::arena::{LITTLE, MIB, PATIENCE, assert_relayed, attack, faults, id, memory, start_node, wait_for_line};

/// Blocks that the honest node has and the node under attack lacks.
const AHEAD: usize = 40;
/// Blocks on the chain of a liar that makes its own: more work than the honest one.
const LONGER: usize = 60;
/// How long catching up may take in spite of two liars: a missed deadline for headers (15 s) each, and what is usual.
const CAUGHT_UP: Duration = Duration::from_secs(60);

/// The most work that can be claimed.
pub(crate) fn maximum() -> Work {
    Work::from_be_bytes([0xff; 32])
}

/// What a node at the tip of a chain says of itself.
pub(crate) fn claim(chain: &MemoryNode) -> Status {
    claim_of(chain, chain.engine().tip().work)
}

/// The same, with other work.
pub(crate) fn claim_of(chain: &MemoryNode, work: Work) -> Status {
    let tip = chain.engine().tip();
    let clock = Timestamp::new(tip.timestamp.get());
    let (chain, blocks_from) = (chain.engine().chain(), Height::new(1));
    Status { chain, height: tip.height, tip: tip.id, work, agent: Agent::new("liar"), clock, blocks_from }
}

/// A chain of blocks that a liar knows and may hand out.
struct Goods {
    chain: MemoryNode,
    blocks: Vec<Arc<Isolated>>,
}

impl Goods {
    fn headers(&self) -> Vec<Header> {
        self.blocks.iter().map(|block| block.header().clone()).collect()
    }
}

/// The node under attack, not yet connected to the honest node, which is ahead.
struct Ambush {
    node: Node,
    honest: Node,
    goods: Goods,
}

impl Ambush {
    /// The honest node has a chain that the test knows; the node under attack has nothing.
    fn new() -> Self {
        let node = start_node(&[]);
        let honest = start_node(&[]);
        let mut chain = MemoryNode::default();
        let blocks = chain.extend_by(AHEAD);
        let teacher = attack(&honest, Guise::default());
        for block in &blocks {
            teacher.gossip_block(block.bytes());
            wait_until("the honest node learns", PATIENCE, || honest.tip() == block.id().to_string());
        }
        Self { node, honest, goods: Goods { chain, blocks } }
    }

    /// Lets a liar have the node for itself until it was asked for headers or bodies, then brings in the honest node. The
    /// node gets the honest chain all the same, and goes on.
    fn spring(
        &mut self,
        answer: impl FnMut(&SyncRequest) -> Answer + Send + 'static,
        bitten: impl Fn(&SyncRequest) -> bool,
    ) -> HostilePeer {
        let before = memory(&self.node);
        let liar = self.lure(answer);
        wait_until("the node falls for the liar", PATIENCE, || liar.heard().iter().any(&bitten));
        self.bring_honest();
        self.assert_caught_up();
        let grown = memory(&self.node).saturating_sub(before);
        assert!(grown <= LITTLE, "{} MiB more memory", grown / MIB);
        liar
    }

    /// Connects a liar that claims all the work there is.
    fn lure(&self, mut answer: impl FnMut(&SyncRequest) -> Answer + Send + 'static) -> HostilePeer {
        let status = claim_of(&self.goods.chain, maximum());
        let script = move |request: &SyncRequest| match request {
            SyncRequest::Status(_) => Answer::Message(SyncResponse::Status(status.clone())),
            other => answer(other),
        };
        attack(&self.node, Guise::with_script(script))
    }

    fn bring_honest(&self) {
        self.node.post("/api/v1/peers", &json!({ "address": self.honest.address() })).success();
    }

    fn assert_caught_up(&mut self) {
        let tip = self.goods.chain.tip().to_string();
        wait_until("the node gets the honest chain", CAUGHT_UP, || self.node.tip() == tip);
        assert!(self.node.is_running());
        assert_eq!(faults(&self.node, &id(&self.honest)), Some(Vec::new()), "the honest node is not blamed");
        assert_relayed(&self.honest, &self.node);
        assert_relayed(&self.node, &self.honest);
    }

    fn assert_banned(&self, liar: &HostilePeer, reason: &str) {
        wait_for_line(&self.node, &["banned for an hour", &liar.id().to_string(), reason]);
        liar.wait_until_disconnected();
    }

    fn assert_blameless(&self, liar: &HostilePeer) {
        assert_eq!(faults(&self.node, &liar.id()), Some(Vec::new()));
    }
}

fn for_headers(request: &SyncRequest) -> bool {
    matches!(request, SyncRequest::Headers { .. })
}

fn for_bodies(request: &SyncRequest) -> bool {
    matches!(request, SyncRequest::Blocks { .. })
}

/// Serves these headers as an honest node would: those after the locator.
pub(crate) fn after(headers: &[Header], chain: &MemoryNode, request: &SyncRequest) -> Answer {
    let SyncRequest::Headers { locator, .. } = request else { return Answer::Silence };
    let pow = chain.spec().pow;
    let known = |id| headers.iter().position(|header| header.id(pow) == id).map(|at| at + 1);
    let from = locator.iter().find_map(|id| if *id == chain.engine().chain().into() { Some(0) } else { known(*id) });
    Answer::Message(SyncResponse::Headers(headers.get(from.unwrap_or(0)..).unwrap_or_default().to_vec()))
}

/// Has no headers, and nothing else.
fn no_headers(request: &SyncRequest) -> Answer {
    Answer::Message(match request {
        SyncRequest::Headers { .. } => SyncResponse::Headers(Vec::new()),
        _ => SyncResponse::Refused(RefusedReason::Unknown),
    })
}

#[test]
fn a_liar_that_never_sends_headers_is_passed_over() {
    let mut ambush = Ambush::new();
    let liar = ambush.spring(|_| Answer::Silence, for_headers);
    wait_for_line(&ambush.node, &["catching up was cut short", &liar.id().to_string(), "did not answer in time"]);
    ambush.assert_blameless(&liar);
}

#[test]
fn a_liar_that_has_no_headers_is_passed_over() {
    let mut ambush = Ambush::new();
    let liar = ambush.spring(no_headers, for_headers);
    ambush.assert_blameless(&liar);
}

#[test]
fn a_liar_that_is_always_busy_is_passed_over() {
    let mut ambush = Ambush::new();
    let liar = ambush.spring(|_| Answer::Message(SyncResponse::Refused(RefusedReason::Busy)), for_headers);
    wait_for_line(&ambush.node, &["catching up was cut short", &liar.id().to_string(), "the peer is busy"]);
    ambush.assert_blameless(&liar);
}

#[test]
fn headers_without_work_ban() {
    let mut ambush = Ambush::new();
    let mut headers = ambush.goods.headers();
    let block = Block { header: headers[5].clone(), transactions: Vec::new() };
    headers[5] = unseal(ambush.goods.chain.spec(), block).header;
    let answer = move |_: &SyncRequest| Answer::Message(SyncResponse::Headers(headers.clone()));
    let liar = ambush.spring(answer, for_headers);
    ambush.assert_banned(&liar, "sent an invalid header: block");
    ambush.assert_banned(&liar, "the work is missing");
}

#[test]
fn headers_that_do_not_link_ban() {
    let mut ambush = Ambush::new();
    let mut headers = ambush.goods.headers();
    headers.remove(3);
    let answer = move |_: &SyncRequest| Answer::Message(SyncResponse::Headers(headers.clone()));
    let liar = ambush.spring(answer, for_headers);
    ambush.assert_banned(&liar, "sent an invalid header: the parent block");
}

#[test]
fn headers_from_nowhere_are_passed_over() {
    let mut ambush = Ambush::new();
    let headers = ambush.goods.headers().split_off(10);
    let answer = move |_: &SyncRequest| Answer::Message(SyncResponse::Headers(headers.clone()));
    let liar = ambush.spring(answer, for_headers);
    wait_for_line(&ambush.node, &["catching up was cut short", &liar.id().to_string(), "its chain left ours"]);
}

#[test]
fn a_loop_of_headers_bans() {
    let mut ambush = Ambush::new();
    let mut headers = ambush.goods.headers();
    headers.truncate(4);
    let looped: Vec<Header> = headers.iter().cycle().take(400).cloned().collect();
    let answer = move |_: &SyncRequest| Answer::Message(SyncResponse::Headers(looped.clone()));
    let liar = ambush.spring(answer, for_headers);
    ambush.assert_banned(&liar, "sent an invalid header: the parent block");
}

#[test]
fn more_headers_than_asked_for_are_a_fault() {
    let mut ambush = Ambush::new();
    let headers = vec![ambush.goods.headers()[0].clone(); 2_001];
    let answer = move |_: &SyncRequest| Answer::Message(SyncResponse::Headers(headers.clone()));
    let liar = ambush.spring(answer, for_headers);
    wait_for_line(&ambush.node, &["a fault", &liar.id().to_string(), "fault=serious", "answer: malformed at byte"]);
}

#[test]
fn answers_to_another_question_are_a_fault() {
    let mut ambush = Ambush::new();
    let liar = ambush.spring(|_| Answer::Message(SyncResponse::Transactions(Vec::new())), for_headers);
    wait_for_line(&ambush.node, &["a fault", &liar.id().to_string(), "answer: not what was asked for"]);
}

#[test]
fn junk_for_an_answer_is_a_fault() {
    let mut ambush = Ambush::new();
    let liar = ambush.spring(|_| Answer::Bytes(vec![0xff; 5_000]), for_headers);
    wait_for_line(&ambush.node, &["a fault", &liar.id().to_string(), "answer: a message of 4294967295 bytes"]);
}

/// A chain of a liar's own, with more work than the honest one, of which it shows the headers.
fn private_chain() -> Goods {
    let mut chain = MemoryNode::default().rival();
    let blocks = chain.extend_by(LONGER);
    Goods { chain, blocks }
}

#[test]
fn a_liar_that_says_it_lacks_the_bodies_is_passed_over() {
    let mut ambush = Ambush::new();
    let private = private_chain();
    let headers = private.headers();
    let answer = move |request: &SyncRequest| match request {
        SyncRequest::Headers { .. } => after(&headers, &private.chain, request),
        _ => Answer::Message(SyncResponse::Refused(RefusedReason::Unknown)),
    };
    let liar = ambush.spring(answer, for_bodies);
    wait_for_line(
        &ambush.node,
        &["catching up was cut short", &liar.id().to_string(), "no connected peer has the blocks"],
    );
    ambush.assert_blameless(&liar);
}

#[test]
fn a_liar_that_withholds_the_bodies_is_passed_over() {
    let mut ambush = Ambush::new();
    let private = private_chain();
    let headers = private.headers();
    let answer = move |request: &SyncRequest| match request {
        SyncRequest::Headers { .. } => after(&headers, &private.chain, request),
        _ => Answer::Silence,
    };
    let liar = ambush.spring(answer, for_bodies);
    wait_for_line(
        &ambush.node,
        &["catching up was cut short", &liar.id().to_string(), "no connected peer has the blocks"],
    );
    ambush.assert_blameless(&liar);
}

#[test]
fn a_liar_that_answers_no_bodies_of_the_honest_chain_is_passed_over() {
    let mut ambush = Ambush::new();
    let (headers, chain) = (ambush.goods.headers(), ambush.goods.chain.clone());
    let answer = move |request: &SyncRequest| match request {
        SyncRequest::Headers { .. } => after(&headers, &chain, request),
        _ => Answer::Message(SyncResponse::Blocks(Vec::new())),
    };
    let liar = ambush.spring(answer, for_bodies);
    ambush.assert_blameless(&liar);
}

#[test]
fn bodies_that_are_not_those_of_their_headers_ban() {
    let mut ambush = Ambush::new();
    let (headers, chain) = (ambush.goods.headers(), ambush.goods.chain.clone());
    let stuffed: Vec<Vec<u8>> = ambush.goods.blocks.iter().map(|block| stuff(block, &chain)).collect();
    let answer = move |request: &SyncRequest| match request {
        SyncRequest::Blocks { ids } => {
            let asked = |bytes: &&Vec<u8>| {
                let id = bard_chain::block::claimed_id(bytes, bytes.len(), chain.spec().pow);
                id.is_some_and(|id| ids.contains(&id))
            };
            Answer::Message(SyncResponse::Blocks(stuffed.iter().filter(asked).cloned().collect()))
        }
        other => after(&headers, &chain, other),
    };
    let liar = ambush.spring(answer, for_bodies);
    ambush.assert_banned(&liar, "the transactions root does not match");
}

/// A block with a transaction that its header does not commit to.
fn stuff(block: &Isolated, chain: &MemoryNode) -> Vec<u8> {
    let transaction = chain.sign("alice", 0, 1, bard_tests::actions::pay("bob", 1));
    encoding::encode(&Block { header: block.header().clone(), transactions: vec![transaction] })
}

#[test]
fn bodies_that_nobody_asked_for_are_a_fault() {
    let mut ambush = Ambush::new();
    let (headers, chain) = (ambush.goods.headers(), ambush.goods.chain.clone());
    let unasked = private_chain().blocks[0].bytes().to_vec();
    let answer = move |request: &SyncRequest| match request {
        SyncRequest::Blocks { .. } => Answer::Message(SyncResponse::Blocks(vec![unasked.clone()])),
        other => after(&headers, &chain, other),
    };
    let liar = ambush.spring(answer, for_bodies);
    wait_for_line(&ambush.node, &["a fault", &liar.id().to_string(), "sent a block nobody asked for"]);
}

#[test]
fn a_block_twice_in_one_answer_is_a_fault() {
    let mut ambush = Ambush::new();
    let (headers, chain) = (ambush.goods.headers(), ambush.goods.chain.clone());
    let first = ambush.goods.blocks[0].bytes().to_vec();
    let answer = move |request: &SyncRequest| match request {
        SyncRequest::Blocks { .. } => Answer::Message(SyncResponse::Blocks(vec![first.clone(); 2])),
        other => after(&headers, &chain, other),
    };
    let liar = ambush.spring(answer, for_bodies);
    wait_for_line(&ambush.node, &["a fault", &liar.id().to_string(), "sent a block nobody asked for"]);
}

#[test]
fn a_body_longer_than_a_block_may_be_is_a_fault() {
    let mut ambush = Ambush::new();
    let (headers, chain) = (ambush.goods.headers(), ambush.goods.chain.clone());
    let mut long = ambush.goods.blocks[0].bytes().to_vec();
    long.resize(chain.spec().max_block_len() + 1, 0);
    let answer = move |request: &SyncRequest| match request {
        SyncRequest::Blocks { .. } => Answer::Message(SyncResponse::Blocks(vec![long.clone()])),
        other => after(&headers, &chain, other),
    };
    let liar = ambush.spring(answer, for_bodies);
    wait_for_line(&ambush.node, &["a fault", &liar.id().to_string(), "fault=serious"]);
}

#[test]
fn a_peer_that_dribbles_is_passed_over() {
    let mut ambush = Ambush::new();
    let (headers, chain) = (ambush.goods.headers(), ambush.goods.chain.clone());
    let bytes = ambush.goods.blocks.iter().map(|block| block.bytes().to_vec()).collect();
    let slow = framed(&encoding::encode(&SyncResponse::Blocks(bytes)));
    let answer = move |request: &SyncRequest| match request {
        SyncRequest::Blocks { .. } => Answer::Dribble(slow.clone()),
        other => after(&headers, &chain, other),
    };
    let liar = ambush.spring(answer, for_bodies);
    ambush.assert_blameless(&liar);
}

#[test]
fn a_peer_that_is_busy_for_a_while_is_asked_again() {
    let ambush = Ambush::new();
    let (headers, chain, blocks) = (ambush.goods.headers(), ambush.goods.chain.clone(), ambush.goods.blocks.clone());
    let mut busy = 6;
    let peer = ambush.lure(move |request| match request {
        SyncRequest::Blocks { .. } if busy > 0 => {
            busy -= 1;
            Answer::Message(SyncResponse::Refused(RefusedReason::Busy))
        }
        SyncRequest::Blocks { ids } => {
            let asked = blocks.iter().filter(|block| ids.contains(&block.id()));
            Answer::Message(SyncResponse::Blocks(asked.map(|block| block.bytes().to_vec()).collect()))
        }
        other => after(&headers, &chain, other),
    });
    let tip = ambush.goods.chain.tip().to_string();
    wait_until("it is asked until it has time", CAUGHT_UP, || ambush.node.tip() == tip);
    ambush.assert_blameless(&peer);
    let cut = format!("catching up was cut short peer={} accepted=0 reason=no connected peer", peer.id());
    assert!(!ambush.node.stderr().from(0).iter().any(|line| line.contains(&cut)), "in one session");
}

#[test]
fn a_leader_that_leaves_in_the_middle_is_replaced() {
    let mut ambush = Ambush::new();
    let (headers, chain) = (ambush.goods.headers(), ambush.goods.chain.clone());
    let liar = ambush.lure(move |request| match request {
        SyncRequest::Headers { .. } => after(&headers, &chain, request),
        _ => Answer::Silence,
    });
    wait_until("the node asks for bodies", PATIENCE, || liar.heard().iter().any(for_bodies));
    drop(liar);
    ambush.bring_honest();
    ambush.assert_caught_up();
}

#[test]
fn liars_that_failed_are_followed_after_a_peer_that_did_not() {
    let mut ambush = Ambush::new();
    let liars = [(); 2].map(|()| ambush.lure(|_| Answer::Silence));
    wait_until("the node falls for a liar", PATIENCE, || liars.iter().any(|liar| liar.heard().iter().any(for_headers)));
    ambush.bring_honest();
    ambush.assert_caught_up();
}

#[test]
fn one_honest_node_among_liars_is_enough() {
    let mut ambush = Ambush::new();
    let private = private_chain();
    let headers = private.headers();
    let withholder = ambush.lure(move |request| match request {
        SyncRequest::Headers { .. } => after(&headers, &private.chain, request),
        _ => Answer::Silence,
    });
    let empty = ambush.lure(no_headers);
    let busy = ambush.lure(|_| Answer::Message(SyncResponse::Refused(RefusedReason::Busy)));
    let liars = [&withholder, &empty, &busy];
    let asked = || liars.iter().all(|liar| liar.heard().iter().any(for_headers));
    wait_until("the node tries them all", CAUGHT_UP, asked);
    ambush.bring_honest();
    ambush.assert_caught_up();
}
