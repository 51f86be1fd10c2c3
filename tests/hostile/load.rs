//! More than a node can take at once.

use std::sync::atomic::{AtomicBool, Ordering};

use bard_protocol::{RefusedReason, SyncRequest, SyncResponse};
use bard_tests::{
    actions::record,
    hostile_peer::{HostilePeer, RawStream, question},
    process::wait_until,
};

use crate::arena::{Arena, LITTLE, MIB, PATIENCE};

/// More streams than the 64 that a node serves on one connection.
const STREAMS: usize = 150;
/// Peers that ask and do not read.
const CROWD: usize = 8;
/// What all of them together may make the node hold, in bytes: about three answers of the longest kind for each. A megabyte
/// for each question that the node takes at once would be well above 400 MiB.
const UNREAD: u64 = 160 * MIB;

fn headers_question(arena: &Arena) -> SyncRequest {
    SyncRequest::Headers { locator: vec![arena.chain.engine().chain().into()], limit: 2_000 }
}

fn headers(arena: &Arena) -> Vec<u8> {
    question(&headers_question(arena))
}

/// Opens many streams, and asks the same on each; those that the node does not take are left out.
fn ask_on_many<'a>(peer: &'a HostilePeer, question: &[u8]) -> Vec<RawStream<'a>> {
    let opened = peer.open_many(&peer.names().sync(), STREAMS);
    let asked = opened.into_iter().flatten().filter_map(|mut stream| stream.write(question).is_ok().then_some(stream));
    asked.collect()
}

#[test]
fn many_questions_at_once_are_answered_or_declined() {
    let mut arena = Arena::new();
    let before = arena.look();
    let peer = arena.stranger();
    let streams = ask_on_many(&peer, &headers(&arena));
    assert!((32..STREAMS).contains(&streams.len()), "{} streams: some are taken, the others reset", streams.len());
    let (mut answered, mut declined) = (0, 0);
    for mut stream in streams {
        // Beyond its limit of streams the node resets.
        let Ok(bytes) = stream.read_to_end() else { continue };
        match peer.read_answer(&bytes) {
            Ok(SyncResponse::Headers(_)) => answered += 1,
            Ok(SyncResponse::Refused(RefusedReason::Busy)) => declined += 1,
            Ok(other) => panic!("{other:?}"),
            Err(_) => {}
        }
    }
    assert!(answered > 0, "some are answered, {declined} are declined");
    assert!(matches!(peer.ask(&SyncRequest::PoolIds), Ok(SyncResponse::PoolIds(_))), "later ones are answered");
    arena.assert_blameless(&peer);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn streams_held_open_cost_only_whoever_holds_them() {
    let mut arena = Arena::new();
    let before = arena.look();
    let peer = arena.stranger();
    // A length and nothing behind it: the node waits for the rest.
    let held = ask_on_many(&peer, &84_384_u32.to_be_bytes());
    assert!((32..STREAMS).contains(&held.len()), "{} streams: some are taken, the others reset", held.len());
    let other = arena.stranger();
    let question = headers_question(&arena);
    for _ in 0..20 {
        assert!(matches!(other.ask(&question), Ok(SyncResponse::Headers(_))), "others are answered");
    }
    arena.assert_blameless(&peer);
    drop(held);
    wait_until("the streams are free again", PATIENCE, || peer.ask(&question).is_ok());
    arena.assert_unharmed(&before, LITTLE);
}

/// Puts a block of a megabyte on the chain and returns the question for it.
fn with_a_large_block(arena: &mut Arena) -> Vec<u8> {
    let text = "x".repeat(60 << 10);
    let records = (0..18).map(|nonce| arena.chain.sign("dave", nonce, 1, record(&text))).collect();
    let block = arena.chain.extend(records);
    assert!(block.bytes().len() > 1 << 20);
    let teacher = arena.stranger();
    teacher.gossip_block(block.bytes());
    wait_until("the block is taken", PATIENCE, || arena.node.tip() == block.id().to_string());
    arena.honest.wait_for_same_tip(&arena.node);
    question(&SyncRequest::Blocks { ids: vec![block.id()] })
}

#[test]
fn answers_that_nobody_reads_do_not_pile_up() {
    let mut arena = Arena::new();
    let question = with_a_large_block(&mut arena);
    let before = arena.look();
    let peers: Vec<HostilePeer> = (0..CROWD).map(|_| arena.stranger()).collect();
    let asked: Vec<RawStream<'_>> = peers.iter().flat_map(|peer| ask_on_many(peer, &question)).collect();
    assert!(asked.len() >= CROWD * 32, "only {} questions", asked.len());
    let other = arena.stranger();
    let answered = || {
        let answer = other.exchange(&question).and_then(|bytes| other.read_answer(&bytes));
        matches!(answer, Ok(SyncResponse::Blocks(_)))
    };
    wait_until("others are answered", PATIENCE, answered);
    peers.iter().for_each(|peer| arena.assert_blameless(peer));
    arena.assert_unharmed(&before, LITTLE + UNREAD);
    drop(asked);
}

#[test]
fn large_answers_read_by_many_at_once_leave_nothing_behind() {
    let mut arena = Arena::new();
    let question = with_a_large_block(&mut arena);
    let before = arena.look();
    let peer = arena.stranger();
    for _ in 0..5 {
        for mut stream in ask_on_many(&peer, &question).into_iter().take(20) {
            let _ = stream.read_to_end();
        }
    }
    drop(peer);
    arena.assert_unharmed(&before, LITTLE + 80 * MIB);
}

#[test]
fn strangers_that_come_and_go_leave_nothing_behind() {
    let mut arena = Arena::new();
    let before = arena.look();
    for _ in 0..30 {
        let peer = arena.stranger();
        let _ = peer.ask(&SyncRequest::PoolIds);
    }
    wait_until("the strangers are gone", PATIENCE, || arena.node.peers().len() == 1);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn questions_without_end_from_some_peers_leave_room_for_others() {
    let mut arena = Arena::new();
    let large = with_a_large_block(&mut arena);
    let before = arena.look();
    let crowd: Vec<HostilePeer> = (0..9).map(|_| arena.stranger()).collect();
    let (other, modest) = (arena.stranger(), headers_question(&arena));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for peer in &crowd {
            // Each reads some answers, so that its next questions are taken, and goes on.
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let asked = ask_on_many(peer, &large);
                    asked.into_iter().take(20).for_each(|mut stream| drop(stream.read_to_end()));
                }
            });
        }
        let answers: Vec<_> = (0..40).map(|_| other.ask(&modest)).collect();
        is_over.store(true, Ordering::Relaxed);
        let busy = answers.iter().filter(|answer| !matches!(answer, Ok(SyncResponse::Headers(_)))).count();
        assert_eq!(busy, 0, "{answers:?}");
    });
    crowd.iter().chain([&other]).for_each(|peer| arena.assert_blameless(peer));
    drop(crowd);
    arena.assert_unharmed(&before, LITTLE + UNREAD);
}
