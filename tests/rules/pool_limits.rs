//! The pool's limits: nothing in it grows without bound, whoever sends.

use bard_chain::{
    hash::ChainId,
    invalid::TransactionFault,
    mempool::{Admitted, Limits, Mempool, PoolRefusal},
    signature::SecretKey,
    transaction::Transaction,
    units::{Amount, Nonce, Timestamp},
};
use bard_tests::{
    actions::{pay, record},
    chain_builder::MemoryNode,
};

fn admit(pool: &mut Mempool, node: &MemoryNode, transaction: &Transaction) -> Result<Admitted, PoolRefusal> {
    pool.admit(node.check(transaction).expect("right in itself"), Timestamp::ZERO, node.ledger())
}

/// A transaction of somebody who has nothing.
fn by_stranger(chain: ChainId, seed: u8, nonce: u64, text: &str) -> Transaction {
    Transaction::sign(chain, &SecretKey::from_seed(&[seed; 32]), Nonce::new(nonce), Amount::ZERO, record(text))
}

#[test]
fn a_sender_may_have_only_so_many() {
    let node = MemoryNode::default();
    let mut pool = Mempool::new(Limits { per_sender: 3, ..Limits::default() });
    for nonce in 0..3 {
        admit(&mut pool, &node, &node.sign("alice", nonce, 0, record("x"))).expect("admitted");
    }
    let one_more = admit(&mut pool, &node, &node.sign("alice", 3, 1_000, record("x")));
    assert_eq!(one_more, Err(PoolRefusal::SenderFull { limit: 3 }));
    assert_eq!(admit(&mut pool, &node, &node.sign("bob", 0, 0, record("x"))), Ok(Admitted::Ready), "others may");
}

#[test]
fn the_pool_takes_no_more_bytes_than_it_may() {
    let node = MemoryNode::default();
    let first = node.sign("alice", 0, 0, record("x"));
    let length = node.check(&first).expect("right").bytes().len();
    let mut pool = Mempool::new(Limits { bytes: 2 * length, ..Limits::default() });
    admit(&mut pool, &node, &first).expect("admitted");
    admit(&mut pool, &node, &node.sign("bob", 0, 0, record("y"))).expect("exactly full");
    let one_more = node.sign("carol", 0, 0, record("z"));
    assert_eq!(admit(&mut pool, &node, &one_more), Err(PoolRefusal::Full { least: Some(Amount::new(1)) }));
    assert_eq!(pool.bytes(), 2 * length);
    let mut node = node;
    let block = node.mine(vec![first]);
    node.accept_with_pool(&block, &mut pool).expect("accepted");
    assert_eq!(admit(&mut pool, &node, &one_more), Ok(Admitted::Ready), "some of it was mined");
}

#[test]
fn a_gap_may_be_only_so_wide() {
    let node = MemoryNode::default();
    let mut pool = Mempool::new(Limits::default());
    assert_eq!(admit(&mut pool, &node, &node.sign("alice", 1_024, 0, record("x"))), Ok(Admitted::Waiting));
    let (nonce, expected) = (Nonce::new(1_025), Nonce::ZERO);
    let too_wide = admit(&mut pool, &node, &node.sign("alice", 1_025, 0, record("x")));
    assert_eq!(too_wide, Err(TransactionFault::NonceGap { nonce, expected }.into()));
    let absurd = admit(&mut pool, &node, &node.sign("alice", u64::MAX, 0, record("x")));
    assert!(matches!(absurd, Err(PoolRefusal::Fault(TransactionFault::NonceGap { .. }))));
}

#[test]
fn only_so_many_may_wait() {
    let node = MemoryNode::default();
    let mut pool = Mempool::new(Limits { waiting: 2, ..Limits::default() });
    admit(&mut pool, &node, &node.sign("alice", 2, 0, record("x"))).expect("waits");
    admit(&mut pool, &node, &node.sign("bob", 2, 0, record("x"))).expect("waits");
    let one_more = admit(&mut pool, &node, &node.sign("carol", 2, 0, record("x")));
    assert_eq!(one_more, Err(PoolRefusal::WaitingFull { nonce: Nonce::new(2), expected: Nonce::ZERO }));
    assert_eq!(admit(&mut pool, &node, &node.sign("carol", 0, 0, record("x"))), Ok(Admitted::Ready), "ready ones may");
}

#[test]
fn whoever_waits_with_large_records_leaves_room_for_the_others() {
    let node = MemoryNode::default();
    let mut pool = Mempool::new(Limits { bytes: 100_000, ..Limits::default() });
    let large = "x".repeat(10_000);
    for seed in 0..50 {
        // Refused or not: nobody who pays nothing and can never be mined may fill the pool.
        let _admitted = admit(&mut pool, &node, &by_stranger(node.engine().chain(), seed, 5, &large));
    }
    assert!(pool.bytes() <= 50_000, "{} of 100,000 bytes wait for nothing", pool.bytes());
    assert_eq!(admit(&mut pool, &node, &node.sign("alice", 0, 1, pay("bob", 1))), Ok(Admitted::Ready));
}

#[test]
fn a_waiting_transaction_gives_way_to_another_with_its_nonce_that_pays_more() {
    let node = MemoryNode::default();
    let mut pool = Mempool::new(Limits { waiting: 2, ..Limits::default() });
    let (one, two) = (node.sign("alice", 1, 0, record("one")), node.sign("alice", 1, 1, record("two, longer")));
    admit(&mut pool, &node, &one).expect("waits");
    let for_nothing = admit(&mut pool, &node, &node.sign("alice", 1, 0, record("other")));
    let (fee, least) = (Amount::ZERO, Amount::new(1));
    assert_eq!(for_nothing, Err(PoolRefusal::FeeTooLow { nonce: Nonce::new(1), fee, least }));
    admit(&mut pool, &node, &two).expect("waits");
    assert!(!pool.contains(&one.id()) && pool.contains(&two.id()));
    assert_eq!(pool.bytes(), node.check(&two).expect("right").bytes().len());
    admit(&mut pool, &node, &node.sign("bob", 1, 0, record("x"))).expect("it counts once");
}
