//! Transactions by gossip.

use bard_chain::{encoding, signature::Signature, transaction::Transaction};
use bard_protocol::wire::gossip::encode_batches;
use bard_tests::{
    actions::{pay, record, release, request},
    chain_builder::MemoryNode,
    hostile_peer::gossip,
    process::wait_until,
};

use crate::{
    arena::{Arena, LITTLE, MIB, PATIENCE},
    compact::count,
};

/// A batch as it is gossiped.
fn batch(transactions: &[Transaction]) -> Vec<u8> {
    encode_batches(transactions.iter().map(encoding::encode).collect()).remove(0)
}

/// A transaction whose signature is another's.
fn forged(chain: &MemoryNode) -> Transaction {
    Transaction { signature: Signature::new([9; 64]), ..chain.sign("bob", 0, 1, pay("carol", 5)) }
}

/// A stranger sends a good transaction, and both nodes have it in their pools.
fn with_a_pool() -> (Arena, Transaction) {
    let arena = Arena::new();
    let good = arena.chain.sign("alice", 0, 1, pay("bob", 5));
    let peer = arena.stranger();
    peer.gossip_batch(&batch(std::slice::from_ref(&good)));
    let id = good.id().to_string();
    wait_until("a good transaction is taken and passed on", PATIENCE, || arena.honest.pool().contains(&id));
    arena.assert_blameless(&peer);
    (arena, good)
}

fn assert_banned_for(transactions: impl FnOnce(&MemoryNode) -> Vec<u8>, reason: &str) {
    let (mut arena, _) = with_a_pool();
    let before = arena.look();
    let peer = arena.stranger();
    peer.gossip_batch(&transactions(&arena.chain));
    arena.wait_for_line(&["batch refused", &peer.id().to_string(), reason]);
    arena.assert_banned(&peer, reason);
    arena.assert_unharmed(&before, LITTLE);
}

fn assert_not_admitted(transaction: impl FnOnce(&MemoryNode) -> Transaction, reason: &str) {
    let (mut arena, _) = with_a_pool();
    let before = arena.look();
    let peer = arena.stranger();
    peer.gossip_batch(&batch(&[transaction(&arena.chain)]));
    arena.wait_for_line(&["a gossiped transaction is not admitted", &peer.id().to_string(), reason]);
    arena.assert_blameless(&peer);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn a_forged_signature_bans() {
    assert_banned_for(|chain| batch(&[forged(chain)]), "the signature is not the sender's");
}

#[test]
fn a_forged_signature_among_good_ones_bans_and_none_of_them_is_taken() {
    let mixed = |chain: &MemoryNode| batch(&[chain.sign("carol", 0, 1, record("good")), forged(chain)]);
    assert_banned_for(mixed, "the signature is not the sender's");
}

#[test]
fn a_transaction_for_another_chain_bans() {
    let foreign = |_: &MemoryNode| {
        let elsewhere = MemoryNode::new(crate::arena::other_spec());
        batch(&[elsewhere.sign("carol", 0, 1, pay("dave", 5))])
    };
    assert_banned_for(foreign, "the signature is not the sender's over this transaction on this chain");
}

#[test]
fn what_is_no_transaction_bans() {
    assert_banned_for(|_| encode_batches(vec![vec![0xff; 40]]).remove(0), "not a transaction: malformed");
}

#[test]
fn a_transfer_of_nothing_bans() {
    assert_banned_for(
        |chain| batch(&[chain.sign("bob", 0, 1, pay("carol", 0))]),
        "a transfer must be of more than nothing",
    );
}

#[test]
fn another_transaction_with_the_same_nonce_must_pay_more_and_nobody_is_blamed() {
    let enough = "this one's fee must be at least 2";
    assert_not_admitted(|chain| chain.sign("alice", 0, 1, pay("carol", 7)), enough);
}

#[test]
fn a_transaction_that_overspends_is_not_admitted_and_nobody_is_blamed() {
    assert_not_admitted(
        |chain| chain.sign("carol", 0, 1, pay("bob", 300_000)),
        "the sender has 250000 and spends 300001",
    );
}

#[test]
fn a_transaction_that_was_mined_is_not_admitted_again_and_nobody_is_blamed() {
    let (mut arena, good) = with_a_pool();
    arena.node.mine(1);
    assert_eq!(arena.node.pool(), Vec::<String>::new());
    let before = arena.look();
    let peer = arena.stranger();
    // In other bytes than before: gossip takes the same message once.
    let padding = arena.chain.sign("carol", 5, 1, pay("bob", 1));
    peer.gossip_batch(&batch(&[padding, good]));
    arena.wait_for_line(&["a gossiped transaction is not admitted", &peer.id().to_string(), "nonce 0 was used before"]);
    arena.assert_blameless(&peer);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn an_amount_that_would_overflow_bans() {
    let too_much = |chain: &MemoryNode| batch(&[chain.sign("bob", 0, 1, pay("carol", u64::MAX))]);
    assert_banned_for(too_much, "is larger than any supply");
}

#[test]
fn a_transaction_after_a_gap_waits_and_is_not_mined() {
    let (arena, good) = with_a_pool();
    let peer = arena.stranger();
    let gap = arena.chain.sign("carol", 1, 1, pay("bob", 5));
    peer.gossip_batch(&batch(std::slice::from_ref(&gap)));
    let waiting = || count(&arena.node, "bard_pool_waiting ");
    wait_until("it waits", PATIENCE, || waiting() >= 1.0);
    arena.node.mine(1);
    assert!(waiting() >= 1.0, "the one before it is missing");
    assert!(!arena.node.pool().contains(&good.id().to_string()));
    peer.gossip_batch(&batch(&[arena.chain.sign("carol", 0, 1, pay("bob", 5))]));
    wait_until("both are ready", PATIENCE, || arena.node.pool().len() == 2);
    arena.node.mine(1);
    assert_eq!(arena.node.pool(), Vec::<String>::new());
    arena.assert_blameless(&peer);
}

#[test]
fn an_item_is_not_released_twice() {
    let (mut arena, _) = with_a_pool();
    let sign = |nonce, action| arena.chain.sign("bob", nonce, 1, action);
    let (take, first, second) = (sign(0, request("lamp")), sign(1, release("lamp")), sign(2, release("lamp")));
    let peer = arena.stranger();
    peer.gossip_batch(&batch(&[take, first.clone(), second]));
    arena.wait_for_line(&["a gossiped transaction is not admitted", &peer.id().to_string(), "item lamp"]);
    let id = first.id().to_string();
    wait_until("the first is passed on", PATIENCE, || arena.honest.pool().contains(&id));
    assert_eq!(arena.node.pool().len(), 3);
    arena.assert_blameless(&peer);
    let before = arena.look();
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn two_requests_for_one_item_are_not_both_admitted() {
    let (mut arena, _) = with_a_pool();
    let first = arena.chain.sign("bob", 0, 1, request("lamp"));
    let second = arena.chain.sign("carol", 0, 1, request("lamp"));
    let peer = arena.stranger();
    peer.gossip_batch(&batch(&[first.clone(), second]));
    arena.wait_for_line(&["a gossiped transaction is not admitted", "item lamp is not available"]);
    let id = first.id().to_string();
    wait_until("the first is passed on", PATIENCE, || arena.honest.pool().contains(&id));
    assert_eq!(arena.node.pool().len(), 2);
    arena.assert_blameless(&peer);
    let before = arena.look();
    arena.assert_unharmed(&before, LITTLE);
}

/// A batch of eight out of four transactions, by its number: each number is another message.
fn shuffled(transactions: &[Transaction; 4], number: usize) -> Vec<u8> {
    let digits = (0..8).map(|place| transactions[number >> (2 * place) & 3].clone());
    batch(&digits.collect::<Vec<_>>())
}

#[test]
fn who_sends_without_end_what_nobody_can_use_is_parted_from() {
    let (mut arena, _) = with_a_pool();
    let before = arena.look();
    let useless = [1, 2, 3, 4].map(|fee| arena.chain.sign("carol", 0, fee, pay("bob", 300_000)));
    let mut messages = (0..60_000).map(|number| shuffled(&useless, number));
    let peer = arena.stranger();
    // Well formed, rightly signed: a few hundred are nobody's fault.
    let few: Vec<Vec<u8>> = messages.by_ref().take(500).collect();
    few.iter().for_each(|message| peer.gossip_batch(message));
    arena.wait_for_line(&["a gossiped transaction is not admitted", &peer.id().to_string()]);
    arena.assert_blameless(&peer);
    while peer.is_connected() {
        let many: Vec<Vec<u8>> = messages.by_ref().take(250).collect();
        assert!(!many.is_empty(), "it is still connected");
        let publications = many.iter().map(|message| gossip::publication(peer.names().transactions(), message));
        if peer.gossip(&publications.collect::<Vec<_>>().concat()).is_err() {
            break;
        }
    }
    arena.assert_fault(&peer, "serious", "gossip without end");
    peer.wait_until_disconnected();
    arena.assert_unharmed(&before, LITTLE + 24 * MIB);
}
