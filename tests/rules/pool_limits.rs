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
    actions::{address, pay, record},
    chain_builder::{MemoryNode, easy_spec},
};

fn admit(pool: &mut Mempool, node: &MemoryNode, transaction: &Transaction) -> Result<Admitted, PoolRefusal> {
    pool.admit(node.check(transaction).expect("right in itself"), Timestamp::ZERO, node.ledger())
}

/// The key of one of many.
fn one_of_many(number: u64) -> SecretKey {
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    SecretKey::from_seed(&seed)
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
fn many_that_pay_one_who_spends_much_do_not_bar_the_pool_to_who_pays_more() {
    const PAYERS: u64 = 1_500;
    let mut spec = easy_spec();
    spec.allocations.extend((0..PAYERS).map(|number| (one_of_many(number).address(), Amount::new(9))));
    spec.allocations.sort_unstable();
    let node = MemoryNode::new(spec);
    let chain = node.engine().chain();
    let paying = |number| Transaction::sign(chain, &one_of_many(number), Nonce::ZERO, Amount::ZERO, pay("alice", 1));
    let spending = (0..101).map(|nonce| node.sign("alice", nonce, 5, record("x")));
    let all: Vec<_> = (0..PAYERS).map(paying).chain(spending).collect();
    let bytes = all.iter().map(|one| node.check(one).expect("right").bytes().len()).sum();
    let mut pool = Mempool::new(Limits { bytes, ..Limits::default() });
    for one in &all {
        admit(&mut pool, &node, one).expect("there is room");
    }
    assert_eq!(admit(&mut pool, &node, &node.sign("bob", 0, 1_000, record("y"))), Ok(Admitted::Ready));
    let mut payers = all.iter().take(PAYERS as usize);
    assert!(payers.all(|one| pool.contains(&one.id())), "none of the payers can leave, the last of who is paid can");
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

/// A full room of `waiting` places, held by a stranger or more, each with this many.
fn crowded(node: &MemoryNode, held: &[(u8, u64)]) -> Mempool {
    let waiting = usize::try_from(held.iter().map(|(_, count)| count).sum::<u64>()).expect("few");
    let mut pool = Mempool::new(Limits { waiting, ..Limits::default() });
    for (seed, count) in held {
        for nonce in 1..=*count {
            let one = by_stranger(node.engine().chain(), *seed, nonce, "x");
            assert_eq!(admit(&mut pool, node, &one), Ok(Admitted::Waiting));
        }
    }
    pool
}

/// How many of a stranger wait, and the furthest of them.
fn waiting_of(pool: &Mempool, seed: u8) -> (usize, Option<u64>) {
    let sender = SecretKey::from_seed(&[seed; 32]).address();
    let own = pool.waiting().filter(|one| one.transaction().sender == sender);
    let nonces: Vec<_> = own.map(|one| one.transaction().nonce.get()).collect();
    (nonces.len(), nonces.last().copied())
}

#[test]
fn whoever_has_most_waiting_makes_way_with_its_furthest() {
    let node = MemoryNode::default();
    let chain = node.engine().chain();
    let mut pool = crowded(&node, &[(1, 3), (2, 6), (3, 3)]);
    let full = Err(PoolRefusal::WaitingFull { nonce: Nonce::new(7), expected: Nonce::ZERO });
    assert_eq!(admit(&mut pool, &node, &by_stranger(chain, 2, 7, "x")), full, "not for whoever has most itself");
    for nonce in 1..=3 {
        assert_eq!(admit(&mut pool, &node, &by_stranger(chain, 4, nonce, "x")), Ok(Admitted::Waiting));
    }
    let held = [1, 2, 3, 4].map(|seed| waiting_of(&pool, seed));
    assert_eq!(held, [(3, Some(3)), (3, Some(3)), (3, Some(3)), (3, Some(3))]);
    assert_eq!((pool.waiting_len(), pool.departures().evicted), (12, 3));
    let full = Err(PoolRefusal::WaitingFull { nonce: Nonce::new(4), expected: Nonce::ZERO });
    assert_eq!(admit(&mut pool, &node, &by_stranger(chain, 4, 4, "x")), full, "all have as much");
    assert_eq!(admit(&mut pool, &node, &by_stranger(chain, 5, 1, "x")), Ok(Admitted::Waiting), "but for one with none");
    let bytes: usize = pool.contents().map(|(_, one)| one.bytes().len()).sum();
    assert_eq!(pool.bytes(), bytes);
}

#[test]
fn an_account_that_the_ledger_knows_goes_before_all_that_it_does_not() {
    let node = MemoryNode::default();
    let mut pool = crowded(&node, &[(1, 1), (2, 1), (3, 1)]);
    for nonce in 1..=3 {
        assert_eq!(admit(&mut pool, &node, &node.sign("alice", nonce, 0, record("x"))), Ok(Admitted::Waiting));
    }
    let senders: Vec<_> = pool.waiting().map(|one| one.transaction().sender).collect();
    assert_eq!(senders, [address("alice"); 3], "with however many");
    let refused = admit(&mut pool, &node, &by_stranger(node.engine().chain(), 4, 1, "x"));
    assert!(matches!(refused, Err(PoolRefusal::WaitingFull { .. })), "no key that costs nothing moves it");
    assert_eq!(admit(&mut pool, &node, &node.sign("bob", 1, 0, record("x"))), Ok(Admitted::Waiting));
    let ready = node.sign("alice", 0, 0, record("x"));
    assert_eq!(admit(&mut pool, &node, &ready), Ok(Admitted::Ready));
    assert_eq!((pool.len(), pool.waiting_len()), (3, 1), "alice's third made way for bob's first");
}

#[test]
fn room_for_a_long_one_is_made_by_several_of_one_sender_or_not_at_all() {
    let node = MemoryNode::default();
    let chain = node.engine().chain();
    let length = |text: &str| node.check(&by_stranger(chain, 1, 1, text)).expect("right").bytes().len();
    let (short, long) = (length("x"), length(&"x".repeat(150)));
    // Waiting ones may take up an eighth of the bytes: here ten short ones and no byte more.
    let mut pool = Mempool::new(Limits { bytes: 80 * short, ..Limits::default() });
    for (seed, nonces) in [(1, 1..=6), (2, 1..=4)] {
        for nonce in nonces {
            admit(&mut pool, &node, &by_stranger(chain, seed, nonce, "x")).expect("waits");
        }
    }
    let before: Vec<_> = pool.waiting().map(|one| one.id()).collect();
    assert_eq!(long.div_ceil(short), 3, "{long} against {short}");
    let longest = by_stranger(chain, 3, 1, &"x".repeat(7 * short));
    assert!(matches!(admit(&mut pool, &node, &longest), Err(PoolRefusal::WaitingFull { .. })));
    assert!(pool.waiting().map(|one| one.id()).eq(before), "a refusal changes nothing");
    admit(&mut pool, &node, &by_stranger(chain, 3, 1, &"x".repeat(150))).expect("waits");
    assert_eq!([1, 2, 3].map(|seed| waiting_of(&pool, seed).0), [3, 4, 1]);
    assert!(pool.bytes() <= 10 * short);
}
