//! Gossip that is none.

use bard_chain::encoding;
use bard_protocol::{
    SyncRequest,
    wire::limits::{gossip_max_len, gossip_transmit_len},
};
use bard_tests::{
    hostile_peer::{
        HostilePeer,
        gossip::{self, PROTOCOL as GOSSIP},
    },
    process::wait_until,
};

use crate::arena::{Arena, LITTLE, MIB, PATIENCE, spec};

/// Whatever is sent before this question is dealt with by the network's task when its answer comes.
fn wait_for_the_network(peer: &HostilePeer) {
    peer.ask(&SyncRequest::PoolIds).expect("the node still answers");
}

/// Bytes where batches of transactions belong are noted as a serious fault for a reason, and nothing else happens.
fn assert_no_batch(bytes: &[u8], reason: &str) {
    let mut arena = Arena::new();
    let before = arena.look();
    let peer = arena.stranger();
    peer.gossip_batch(bytes);
    arena.assert_fault(&peer, "serious", reason);
    assert!(peer.is_connected(), "one such fault does not part");
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn junk_instead_of_a_block_bans() {
    let mut arena = Arena::new();
    let before = arena.look();
    let peer = arena.stranger();
    peer.gossip_block(&[0xff; 300]);
    arena.assert_banned(&peer, "sent an invalid block: not a block: malformed at byte");
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn an_empty_block_is_a_fault() {
    let mut arena = Arena::new();
    let before = arena.look();
    let peer = arena.stranger();
    peer.gossip_block(&[]);
    arena.assert_fault(&peer, "serious", "gossip: an empty message");
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn a_block_longer_than_any_is_a_fault() {
    let mut arena = Arena::new();
    let before = arena.look();
    let peer = arena.stranger();
    let limit = spec().max_block_len();
    peer.gossip_block(&vec![0; limit + 1]);
    arena.assert_fault(&peer, "serious", &format!("gossip: a message of {} bytes, at most {limit}", limit + 1));
    arena.assert_unharmed(&before, LITTLE + 16 * MIB);
}

#[test]
fn junk_instead_of_transactions_is_a_fault() {
    assert_no_batch(&[0xff; 300], "gossip: malformed at byte");
}

#[test]
fn a_batch_of_nothing_is_a_fault() {
    assert_no_batch(&[0x80], "gossip: an empty message");
}

#[test]
fn a_batch_of_empty_transactions_is_a_fault() {
    assert_no_batch(&[0x82, 0x40, 0x40], "gossip: an empty message");
}

#[test]
fn a_batch_of_too_many_transactions_is_a_fault() {
    let batch = encoding::encode(&vec![vec![0_u8; 0]; 513]);
    assert_no_batch(&batch, "gossip: malformed at byte");
}

#[test]
fn a_message_beyond_every_limit_is_cut_off() {
    let mut arena = Arena::new();
    let before = arena.look();
    let peer = arena.stranger();
    let limit = gossip_transmit_len(gossip_max_len(spec().max_block_len()));
    let mut stream = peer.gossip_stream();
    let rpc = gossip::publication(peer.names().blocks(), &vec![0; limit]);
    // The node may hang up while it is still being written.
    let _ = stream.write(&gossip::framed(&rpc));
    arena.wait_for_line(&["Failed to read from inbound stream"]);
    assert!(stream.read_to_end().map_or_else(|error| error.kind() != std::io::ErrorKind::TimedOut, |_| true));
    arena.assert_blameless(&peer);
    arena.assert_unharmed(&before, LITTLE + 8 * MIB);
}

#[test]
fn a_length_that_is_not_kept_holds_up_nobody() {
    let mut arena = Arena::new();
    let before = arena.look();
    let peer = arena.stranger();
    let mut stream = peer.gossip_stream();
    stream.write(&gossip::varint(1 << 20)).expect("written");
    stream.write(&[0x12; 100]).expect("written");
    wait_for_the_network(&peer);
    arena.assert_blameless(&peer);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn messages_of_unknown_topics_are_dropped_and_not_kept() {
    let mut arena = Arena::new();
    let before = arena.look();
    let peer = arena.stranger();
    peer.gossip(&gossip::subscription("/elsewhere")).expect("written");
    for number in 0..96_u32 {
        let mut data = vec![0; MIB as usize];
        data[..4].copy_from_slice(&number.to_be_bytes());
        peer.gossip(&gossip::publication("/elsewhere", &data)).expect("written");
    }
    wait_for_the_network(&peer);
    arena.assert_blameless(&peer);
    arena.assert_unharmed(&before, LITTLE + 8 * MIB);
}

#[test]
fn a_signed_message_is_not_taken() {
    let mut arena = Arena::new();
    let before = arena.look();
    let peer = arena.stranger();
    let block = arena.chain.mine(Vec::new());
    let rpc = gossip::signed_publication(peer.names().blocks(), block.bytes());
    peer.gossip(&rpc).expect("written");
    wait_for_the_network(&peer);
    arena.assert_blameless(&peer);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn offers_of_messages_that_never_come_are_bounded() {
    let mut arena = Arena::new();
    let before = arena.look();
    let peer = arena.stranger();
    peer.gossip(&gossip::subscription(peer.names().blocks())).expect("written");
    for round in 0..200_u64 {
        let ids: Vec<[u8; 8]> = (0..1_000_u64).map(|id| (round << 32 | id).to_be_bytes()).collect();
        peer.gossip(&gossip::offer(peer.names().blocks(), ids.iter().map(|id| &id[..]))).expect("written");
    }
    wait_for_the_network(&peer);
    arena.assert_blameless(&peer);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn junk_where_an_rpc_belongs_ends_the_stream_and_no_more() {
    let mut arena = Arena::new();
    let before = arena.look();
    let peer = arena.stranger();
    let spoilt = || peer.open(GOSSIP).and_then(|mut stream| stream.write(&[0xff; 4096]));
    let refused = || spoilt().is_err_and(|error| error.kind() == std::io::ErrorKind::Unsupported);
    wait_until("this peer's gossip is taken no more", PATIENCE, refused);
    arena.wait_for_line(&["Failed to read from inbound stream"]);
    arena.wait_for_line(&["The maximum number of inbound substreams attempts has been exceeded"]);
    wait_for_the_network(&peer);
    arena.assert_blameless(&peer);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn a_storm_of_junk_transactions_ends_in_a_ban() {
    let mut arena = Arena::new();
    let before = arena.look();
    let peer = arena.stranger();
    for number in 0..2_000_u32 {
        let junk = [vec![0xff; 1_000], number.to_be_bytes().to_vec()].concat();
        if peer.gossip(&gossip::publication(peer.names().transactions(), &junk)).is_err() {
            break;
        }
    }
    arena.assert_banned(&peer, "gossip: malformed at byte");
    arena.assert_unharmed(&before, LITTLE);
}
