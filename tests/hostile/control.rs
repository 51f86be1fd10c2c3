//! What gossip says about itself, without end: wishes, refusals, comings and goings, and news that is none.

use bard_chain::{block::Block, encoding};
use bard_protocol::{
    SyncRequest,
    wire::{
        compact::{Compact, ShortIds},
        gossip::encode_batches,
    },
};
use bard_tests::{
    actions::record,
    hostile_peer::{
        HostilePeer,
        gossip::{self, framed},
    },
    process::wait_until,
};

use crate::arena::{Arena, LITTLE, MIB, PATIENCE};

/// RPCs that are written at once.
const AT_ONCE: usize = 100;

/// Waits until the node has dealt with all gossip that was sent before.
fn wait_for_the_network(peer: &HostilePeer) {
    peer.ask(&SyncRequest::PoolIds).expect("the node still answers");
}

/// Sends RPCs on one stream, many in one piece.
fn flood(peer: &HostilePeer, rpcs: impl IntoIterator<Item = Vec<u8>>) {
    let mut stream = peer.gossip_stream();
    let mut rpcs = rpcs.into_iter().peekable();
    while rpcs.peek().is_some() {
        let piece: Vec<u8> = rpcs.by_ref().take(AT_ONCE).flat_map(|rpc| framed(&rpc)).collect();
        stream.write(&piece).expect("the node reads on");
    }
    wait_for_the_network(peer);
}

/// So many ids of messages that do not exist, of this length.
fn ids(count: u64, length: usize) -> Vec<Vec<u8>> {
    let id = |number: u64| {
        let mut id = vec![7; length];
        id[..8].copy_from_slice(&number.to_be_bytes());
        id
    };
    (0..count).map(id).collect()
}

fn as_slices(ids: &[Vec<u8>]) -> impl Iterator<Item = &[u8]> {
    ids.iter().map(Vec::as_slice)
}

/// Whatever a stranger says of this kind, the node is as before and nobody is to blame.
fn assert_borne(growth: u64, rpcs: impl FnOnce(&HostilePeer) -> Vec<Vec<u8>>) {
    let mut arena = Arena::terse();
    let before = arena.look();
    let peer = arena.stranger();
    flood(&peer, rpcs(&peer));
    arena.assert_blameless(&peer);
    arena.assert_unharmed(&before, growth);
}

#[test]
fn wishes_for_messages_that_do_not_exist_cost_nothing() {
    let wish = ids(400, 32);
    let rpc = gossip::wish(as_slices(&wish));
    assert_borne(LITTLE, |_| vec![rpc; 3_000]);
}

/// The id of a message by the published rule.
fn message_id(topic: &str, data: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("blockbard 2026 v1 gossip message id");
    hasher.update(&(topic.len() as u64).to_be_bytes());
    hasher.update(topic.as_bytes());
    hasher.update(data);
    *hasher.finalize().as_bytes()
}

#[test]
fn a_message_that_is_wished_for_again_and_again_is_told_a_few_times() {
    let mut arena = Arena::terse();
    let text = "x".repeat(60 << 10);
    let records = (0..4).map(|nonce| arena.chain.sign("dave", nonce, 1, record(&text))).collect();
    let block = arena.chain.extend(records);
    let teacher = arena.stranger();
    teacher.gossip_block(block.bytes());
    wait_until("the block is taken", PATIENCE, || arena.node.tip() == block.id().to_string());
    arena.honest.wait_for_same_tip(&arena.node);
    let before = arena.look();
    let peer = arena.stranger();
    let id = message_id(peer.names().blocks(), block.bytes());
    let wish = gossip::wish([&id[..]]);
    flood(&peer, vec![wish; 2_000]);
    wait_until("it is told", PATIENCE, || peer.told() >= block.bytes().len());
    wait_for_the_network(&peer);
    // Three times in answer to wishes, once more than that at most, and what else there is to tell.
    let most = 5 * block.bytes().len();
    assert!(peer.told() <= most, "{} bytes were told, at most {most} are due", peer.told());
    arena.assert_blameless(&peer);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn refusals_without_end_are_kept_in_bounds() {
    // Of 40,000 refusals of 1.5 KiB the node keeps 10,000 for three seconds.
    let refused = ids(40_000, 1_536);
    assert_borne(LITTLE + 20 * MIB, |_| refused.chunks(10).map(|ids| gossip::refusal(as_slices(ids))).collect());
}

#[test]
fn refusals_longer_than_any_are_cut_off() {
    let mut arena = Arena::terse();
    let before = arena.look();
    let peer = arena.stranger();
    let mut stream = peer.gossip_stream();
    let refused = ids(1, 20 << 10);
    // The node may hang up while it is still being written.
    let _ = stream.write(&framed(&gossip::refusal(as_slices(&refused))));
    let ended = stream.read_to_end().map_or_else(|error| error.kind() != std::io::ErrorKind::TimedOut, |_| true);
    assert!(ended, "the node still listens");
    arena.assert_blameless(&peer);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn who_joins_and_leaves_the_mesh_without_end_harms_only_himself() {
    assert_borne(LITTLE, |peer| {
        let topics = [peer.names().blocks(), peer.names().transactions()];
        let subscribed = topics.iter().map(|topic| gossip::subscription(topic));
        // For ever, for no time, and for as long as a number allows.
        let leave = |topic: &str, round: u64| gossip::prune(topic, [u64::MAX, 0, 1 << 40][(round % 3) as usize]);
        let rounds = (0..5_000)
            .flat_map(|round| topics.iter().flat_map(move |topic| [gossip::graft(topic), leave(topic, round)]));
        subscribed.chain(rounds).collect()
    });
}

#[test]
fn who_subscribes_and_leaves_without_end_harms_nobody() {
    assert_borne(LITTLE, |peer| {
        let topics = [peer.names().blocks(), peer.names().transactions()];
        let round = || topics.iter().flat_map(|topic| [gossip::subscription(topic), gossip::unsubscription(topic)]);
        (0..5_000).flat_map(|_| round()).collect()
    });
}

#[test]
fn subscriptions_to_topics_without_end_are_not_kept() {
    // 90,000 topics of 160 bytes, ninety in each RPC.
    let topics =
        |start: u32| (start..start + 90).flat_map(|number| gossip::subscription(&format!("/elsewhere/{number:0>150}")));
    assert_borne(LITTLE, |_| (0..1_000).map(|part| topics(part * 90).collect()).collect());
}

#[test]
fn comings_and_goings_of_unknown_topics_are_not_kept() {
    let topic = |number: u32| format!("/elsewhere/{number:0>150}");
    assert_borne(LITTLE, |_| {
        (0..20_000).map(|number| [gossip::graft(&topic(number)), gossip::prune(&topic(number), 60)].concat()).collect()
    });
}

#[test]
fn a_block_in_ever_other_words_is_news_once() {
    let mut arena = Arena::terse();
    let teacher = arena.stranger();
    let transaction = arena.chain.sign("dave", 0, 1, record("told in other words"));
    let short = transaction.id();
    let draft = arena.chain.draft(vec![transaction]);
    let block = arena.chain.seal(draft);
    arena.chain.accept(&block).expect("a good block");
    teacher.gossip_block(block.bytes());
    wait_until("the block is taken", PATIENCE, || arena.node.tip() == block.id().to_string());
    arena.honest.wait_for_same_tip(&arena.node);
    let before = arena.look();
    let peer = arena.stranger();
    let whole = encoding::decode::<Block>(block.bytes(), block.bytes().len()).expect("a block");
    let short = ShortIds::of(&whole.header).short(&short);
    let words = encoding::encode(&Compact::new(&whole, |_| true));
    let at = words.windows(short.len()).position(|window| window == short).expect("the short id of its transaction");
    // Each names another transaction, so each is another message, and all are of the same block.
    let announcement = |number: u32| {
        let mut words = words.clone();
        words[at..at + 4].copy_from_slice(&number.to_be_bytes());
        gossip::publication(peer.names().blocks(), &words)
    };
    flood(&peer, (0..1_500).map(announcement));
    arena.assert_blameless(&peer);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn transactions_that_come_too_late_are_nobodys_fault() {
    let mut arena = Arena::terse();
    let (first, second) =
        (arena.chain.sign("alice", 0, 1, record("first")), arena.chain.sign("alice", 1, 1, record("second")));
    let bytes = [&first, &second].map(encoding::encode);
    let block = arena.chain.extend(vec![first, second]);
    let teacher = arena.stranger();
    teacher.gossip_block(block.bytes());
    wait_until("the block is taken", PATIENCE, || arena.node.tip() == block.id().to_string());
    arena.honest.wait_for_same_tip(&arena.node);
    let before = arena.look();
    let late = arena.stranger();
    // What is in the chain already, alone, together, and the other way round.
    for batch in [&bytes[..1], &bytes[1..], &bytes[..], &[bytes[1].clone(), bytes[0].clone()]] {
        encode_batches(batch.to_vec()).iter().for_each(|batch| late.gossip_batch(batch));
    }
    wait_for_the_network(&late);
    arena.assert_blameless(&late);
    arena.assert_unharmed(&before, LITTLE);
}
