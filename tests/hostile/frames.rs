//! Questions that are none.

use bard_chain::{
    encoding,
    hash::{BlockId, TransactionId},
};
use bard_protocol::{RefusedReason, SyncRequest, SyncResponse};
use bard_tests::{
    hostile_peer::{Guise, HostilePeer, framed},
    process::wait_until,
};

use crate::arena::{Arena, BLOCKS, LITTLE, PATIENCE, address, attack, spec};

/// Bytes sent as a question are answered with "malformed" and noted as a serious fault for a reason; the connection stays.
fn assert_malformed(bytes: &[u8], reason: &str) {
    let mut arena = Arena::new();
    let before = arena.look();
    let peer = arena.stranger();
    let answer = peer.exchange(bytes).expect("an answer");
    assert_eq!(peer.read_answer(&answer).expect("in due form"), SyncResponse::Refused(RefusedReason::Malformed));
    arena.assert_fault(&peer, "serious", reason);
    assert!(peer.is_connected(), "one such fault does not part");
    assert!(matches!(peer.ask(&SyncRequest::PoolIds), Ok(SyncResponse::PoolIds(_))), "the next question is answered");
    arena.assert_unharmed(&before, LITTLE);
}

fn blocks(count: usize) -> Vec<u8> {
    framed(&encoding::encode(&SyncRequest::Blocks { ids: vec![BlockId::ZERO; count] }))
}

#[test]
fn good_questions_are_answered() {
    let arena = Arena::new();
    let peer = arena.stranger();
    let headers = peer.ask(&SyncRequest::Headers { locator: vec![arena.chain.engine().chain().into()], limit: 10 });
    let Ok(SyncResponse::Headers(headers)) = headers else { panic!("{headers:?}") };
    assert_eq!(headers.len(), BLOCKS);
    let ids: Vec<BlockId> = arena.chain.active_blocks().iter().map(|block| block.id()).collect();
    let bodies = peer.ask(&SyncRequest::Blocks { ids });
    let expected = arena.chain.active_blocks().iter().map(|block| block.bytes().to_vec()).collect();
    assert_eq!(bodies.expect("an answer"), SyncResponse::Blocks(expected));
    let unknown = peer.ask(&SyncRequest::Blocks { ids: vec![BlockId::ZERO; 128] });
    assert_eq!(unknown.expect("an answer"), SyncResponse::Refused(RefusedReason::Unknown));
    arena.assert_blameless(&peer);
}

#[test]
fn a_frame_that_claims_four_gigabytes_is_refused() {
    assert_malformed(&[0xff; 64], "request: a message of 4294967295 bytes, at most 84384 are allowed");
}

#[test]
fn a_frame_one_byte_too_long_is_refused() {
    let frame = [&84_385_u32.to_be_bytes()[..], &[1], &[0; 84_384]].concat();
    assert_malformed(&frame, "request: a message of 84385 bytes, at most 84384 are allowed");
}

#[test]
fn a_frame_of_an_unknown_version_is_refused() {
    assert_malformed(&[0, 0, 0, 3, 7, 0x81, 3], "request: frame version 7, only version 1 is known");
}

#[test]
fn an_empty_frame_is_refused() {
    assert_malformed(&[0, 0, 0, 0], "request: an empty message");
}

#[test]
fn a_question_in_another_spelling_is_refused() {
    assert_malformed(&framed(&[0x98, 1, 3]), "request: not in canonical form");
}

#[test]
fn a_question_of_indefinite_length_is_refused() {
    assert_malformed(&framed(&[0x9f, 3, 0xff]), "request: not in canonical form");
}

#[test]
fn a_question_with_bytes_behind_it_is_refused() {
    assert_malformed(&framed(&[0x81, 3, 3]), "request: malformed at byte");
}

#[test]
fn a_question_of_an_unknown_kind_is_refused() {
    assert_malformed(&framed(&[0x81, 9]), "request: malformed at byte");
}

#[test]
fn a_question_nested_a_thousandfold_is_refused() {
    assert_malformed(&framed(&[0x81; 80_000]), "request: malformed at byte");
}

#[test]
fn a_list_that_claims_to_be_endless_is_refused() {
    let claim = [0x82, 2, 0x9b, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff];
    assert_malformed(&framed(&claim), "request: malformed at byte");
}

#[test]
fn a_question_for_too_many_blocks_is_refused() {
    assert_malformed(&blocks(129), "request: malformed at byte");
}

#[test]
fn a_question_for_too_many_transactions_is_refused() {
    let request = SyncRequest::Transactions { ids: vec![TransactionId::ZERO; 2_001] };
    assert_malformed(&framed(&encoding::encode(&request)), "request: malformed at byte");
}

#[test]
fn a_locator_that_is_too_long_is_refused() {
    let request = SyncRequest::Headers { locator: vec![BlockId::ZERO; 65], limit: 1 };
    assert_malformed(&framed(&encoding::encode(&request)), "request: malformed at byte");
}

#[test]
fn a_frame_cut_short_is_nobodys_fault() {
    let mut arena = Arena::new();
    let before = arena.look();
    let peer = arena.stranger();
    for cut in [0, 2, 5, 40] {
        let whole = blocks(2);
        // libp2p itself drops the stream without a word.
        let answer = peer.exchange(whole.get(..cut).expect("shorter"));
        assert!(answer.as_ref().is_ok_and(Vec::is_empty) || answer.is_err(), "an answer to {cut} bytes: {answer:?}");
    }
    assert!(peer.ask(&SyncRequest::PoolIds).is_ok(), "the next question is answered");
    arena.assert_blameless(&peer);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn a_frame_in_single_bytes_is_understood() {
    let arena = Arena::new();
    let peer = arena.stranger();
    let mut stream = peer.open(&peer.names().sync()).expect("a stream");
    for byte in framed(&encoding::encode(&SyncRequest::PoolIds)) {
        stream.write(&[byte]).expect("written");
    }
    let answer = stream.read_to_end().expect("an answer");
    assert_eq!(peer.read_answer(&answer).expect("in due form"), SyncResponse::PoolIds(Vec::new()));
    arena.assert_blameless(&peer);
}

#[test]
fn five_faults_in_short_succession_ban_and_the_door_stays_shut() {
    let mut arena = Arena::new();
    let before = arena.look();
    let guise = Guise::default();
    let identity = guise.identity.clone();
    let peer = attack(&arena.node, guise);
    for _ in 0..5 {
        // The last of them may be cut off before its answer.
        let _ = peer.exchange(&framed(&[0xff]));
    }
    arena.assert_banned(&peer, "request: malformed at byte");
    drop(peer);
    let again = Guise { identity, ..Guise::default() };
    // The node can tell who it is only once the connection stands; then it closes it.
    if let Ok(banned) = HostilePeer::connect(&address(&arena.node), &spec(), again) {
        banned.wait_until_disconnected();
        assert!(banned.ask(&SyncRequest::PoolIds).is_err(), "the banned peer is served");
    }
    let stranger = arena.stranger();
    assert!(stranger.ask(&SyncRequest::PoolIds).is_ok(), "others are let in");
    drop(stranger);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn a_question_about_peers_that_is_none_is_refused() {
    let mut arena = Arena::new();
    let before = arena.look();
    let peer = arena.stranger();
    let mut stream = peer.open(&peer.names().peers()).expect("a stream");
    stream.write(&[0xff; 32]).expect("written");
    assert_eq!(stream.read_to_end().expect("an answer"), framed(&[0x80]), "it knows nobody");
    arena.assert_fault(&peer, "serious", "request for peers: a message of 4294967295 bytes, at most 16 are allowed");
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn protocols_of_other_chains_are_not_spoken() {
    let arena = Arena::new();
    let peer = arena.stranger();
    let refused = peer.open("/blockbard/0123456789abcdef/sync/1").err().map(|error| error.kind());
    assert_eq!(refused, Some(std::io::ErrorKind::Unsupported));
    wait_until("nothing comes of it", PATIENCE, || peer.ask(&SyncRequest::PoolIds).is_ok());
    arena.assert_blameless(&peer);
}
