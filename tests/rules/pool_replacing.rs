//! The pool: what takes the place of what, for which fee, and what leaves with time.

use bard_chain::{
    hash::{ChainId, TransactionId},
    invalid::TransactionFault,
    mempool::{Admitted, Departures, Limits, Mempool, PoolRefusal},
    signature::SecretKey,
    transaction::{Action, Transaction},
    units::{Amount, Nonce, Timestamp},
};
use bard_tests::{
    actions::{address, pay, record, release, request},
    chain_builder::MemoryNode,
};

const NOW: Timestamp = Timestamp::new(1_000_000);

fn admit(pool: &mut Mempool, node: &MemoryNode, transaction: &Transaction) -> Result<Admitted, PoolRefusal> {
    pool.admit(node.check(transaction).expect("right in itself"), NOW, node.ledger())
}

fn ready(pool: &mut Mempool, node: &MemoryNode, transaction: &Transaction) -> TransactionId {
    assert_eq!(admit(pool, node, transaction), Ok(Admitted::Ready));
    transaction.id()
}

fn ids(pool: &Mempool) -> Vec<TransactionId> {
    pool.transactions().map(|transaction| transaction.id()).collect()
}

fn length(node: &MemoryNode, transaction: &Transaction) -> usize {
    node.check(transaction).expect("right").bytes().len()
}

fn too_low(nonce: u64, fee: u64, least: u64) -> Result<Admitted, PoolRefusal> {
    Err(PoolRefusal::FeeTooLow { nonce: Nonce::new(nonce), fee: Amount::new(fee), least: Amount::new(least) })
}

/// Somebody of whom nobody has heard.
fn stranger(chain: ChainId, seed: u8, nonce: u64, fee: u64, action: Action) -> Transaction {
    Transaction::sign(chain, &SecretKey::from_seed(&[seed; 32]), Nonce::new(nonce), Amount::new(fee), action)
}

#[test]
fn a_higher_fee_takes_the_place_of_the_same_nonce() {
    let node = MemoryNode::default();
    let mut pool = Mempool::new(Limits::default());
    ready(&mut pool, &node, &node.sign("alice", 0, 100, record("x")));
    let next = ready(&mut pool, &node, &node.sign("alice", 1, 0, record("next")));
    let other = ready(&mut pool, &node, &node.sign("bob", 0, 0, record("other")));
    for fee in [0, 99, 100, 109] {
        let refused = admit(&mut pool, &node, &node.sign("alice", 0, fee, record("y")));
        assert_eq!(refused, too_low(0, 100, 110), "a tenth more is asked for, not {fee}");
    }
    let refusal = admit(&mut pool, &node, &node.sign("alice", 0, 109, record("y"))).expect_err("refused");
    let text = "a transaction of the sender with nonce 0 and fee 100 is in the pool: to take its place, this one's fee must \
                be at least 110";
    assert_eq!(refusal.to_string(), text);
    let new = ready(&mut pool, &node, &node.sign("alice", 0, 110, record("y")));
    assert_eq!(ids(&pool), [new, next, other], "it has the place of what it replaced");
    assert_eq!(pool.bytes(), pool.transactions().map(|one| one.bytes().len()).sum::<usize>());
    let account = pool.account(&address("alice"), node.ledger()).expect("in memory");
    assert_eq!((account.balance, account.nonce), (Amount::new(249_890), Nonce::new(2)));
    assert_eq!(pool.departures(), Departures { replaced: 1, ..Departures::default() });
}

#[test]
fn the_step_grows_with_the_length() {
    let node = MemoryNode::default();
    let mut pool = Mempool::new(Limits::default());
    ready(&mut pool, &node, &node.sign("alice", 0, 0, record("x")));
    let long = |fee| node.sign("alice", 0, fee, record(&"x".repeat(5_000)));
    assert_eq!(admit(&mut pool, &node, &long(5)), too_low(0, 0, 6), "six units for six begun thousands of bytes");
    ready(&mut pool, &node, &long(6));
    ready(&mut pool, &node, &node.sign("alice", 0, 7, record("x")));
    let least = 7_u64 * length(&node, &long(0)) as u64 / length(&node, &node.sign("alice", 0, 7, record("x"))) as u64;
    let Err(PoolRefusal::FeeTooLow { least: asked, .. }) = admit(&mut pool, &node, &long(100)) else {
        panic!("a long one must pay more for a byte, too");
    };
    assert!(asked.get() > least && asked.get() <= least + 2, "{asked} for {least}");
}

#[test]
fn what_depended_on_a_replaced_one_leaves_and_is_paid_for() {
    let node = MemoryNode::default();
    let mut pool = Mempool::new(Limits::default());
    ready(&mut pool, &node, &node.sign("alice", 0, 10, pay("bob", 250_000 - 10)));
    ready(&mut pool, &node, &node.sign("bob", 0, 20, pay("carol", 400_000)));
    let spends_what_it_has = ready(&mut pool, &node, &node.sign("carol", 0, 5, pay("dave", 1)));
    ready(&mut pool, &node, &node.sign("carol", 1, 7, pay("dave", 600_000)));
    let instead = |fee| node.sign("alice", 0, fee, record("nothing for bob"));
    assert_eq!(admit(&mut pool, &node, &instead(37)), too_low(0, 10, 10 + 20 + 7 + 1));
    assert_eq!(pool.len(), 4);
    let new = ready(&mut pool, &node, &instead(38));
    assert_eq!(ids(&pool), [new, spends_what_it_has]);
    assert_eq!(pool.next_nonce(&address("carol"), node.ledger()), Ok(Nonce::new(1)));
    assert_eq!(pool.departures(), Departures { replaced: 1, impossible: 2, ..Departures::default() });
}

#[test]
fn custody_that_rested_on_a_replaced_one_is_looked_at_again() {
    let node = MemoryNode::default();
    let mut pool = Mempool::new(Limits::default());
    ready(&mut pool, &node, &node.sign("alice", 0, 0, request("projector")));
    ready(&mut pool, &node, &node.sign("alice", 1, 0, release("projector")));
    let bob = ready(&mut pool, &node, &node.sign("bob", 0, 0, request("projector")));
    let new = ready(&mut pool, &node, &node.sign("alice", 0, 5, record("never mind")));
    assert_eq!(ids(&pool), [new, bob], "nothing to release any more, and free for another all the same");
    assert_eq!(
        admit(&mut pool, &node, &node.sign("alice", 1, 0, release("projector"))).map_err(|e| e.to_string()),
        Err("item projector is held by another".to_owned())
    );
}

#[test]
fn a_replacement_must_apply_in_its_place() {
    let node = MemoryNode::default();
    let mut pool = Mempool::new(Limits::default());
    ready(&mut pool, &node, &node.sign("alice", 0, 1, pay("bob", 1)));
    let before = ids(&pool);
    let refused = admit(&mut pool, &node, &node.sign("alice", 0, 9, pay("bob", 250_000)));
    let (balance, spent) = (Amount::new(250_000), Amount::new(250_009));
    assert_eq!(refused, Err(TransactionFault::BalanceTooSmall { balance, spent }.into()));
    assert_eq!(ids(&pool), before);
}

#[test]
fn what_too_many_depend_on_is_not_replaced() {
    let node = MemoryNode::default();
    let mut pool = Mempool::new(Limits::default());
    for nonce in 0..=101 {
        ready(&mut pool, &node, &node.sign("alice", nonce, 0, record("x")));
    }
    let refused = admit(&mut pool, &node, &node.sign("alice", 0, 50_000, record("y")));
    assert_eq!(refused, Err(PoolRefusal::TooManyFollow { nonce: Nonce::ZERO, limit: 100 }));
    ready(&mut pool, &node, &node.sign("alice", 1, 1, record("y")));
    assert_eq!(pool.len(), 102);
}

#[test]
fn a_group_replaces_nothing() {
    let node = MemoryNode::default();
    let mut pool = Mempool::new(Limits::default());
    ready(&mut pool, &node, &node.sign("alice", 0, 0, record("x")));
    let group = [node.check(&node.sign("alice", 0, 99, record("y"))).expect("right")];
    let fault = TransactionFault::NonceUsed { nonce: Nonce::ZERO, expected: Nonce::new(1) };
    assert_eq!(pool.admit_all(&group, NOW, node.ledger()), Err((0, fault.into())));
}

/// A pool that is full with what these pay, of equal length, each of another sender.
fn full(node: &MemoryNode, fees: [u64; 3]) -> (Mempool, [TransactionId; 3]) {
    let one = |name: &str, fee| node.sign(name, 0, fee, record("x"));
    let all = [one("alice", fees[0]), one("bob", fees[1]), one("carol", fees[2])];
    let bytes = all.iter().map(|transaction| length(node, transaction)).sum();
    let mut pool = Mempool::new(Limits { bytes, ..Limits::default() });
    let ids = all.each_ref().map(|transaction| ready(&mut pool, node, transaction));
    (pool, ids)
}

#[test]
fn whoever_pays_more_takes_the_place_of_the_cheapest() {
    let node = MemoryNode::default();
    let (mut pool, all) = full(&node, [20, 10, 15]);
    let refused = admit(&mut pool, &node, &node.sign("dave", 0, 10, record("x")));
    let Err(PoolRefusal::Full { least: Some(least) }) = refused else { panic!("{refused:?}") };
    assert_eq!(least, Amount::new(11), "a tenth more than the cheapest");
    let text = PoolRefusal::Full { least: Some(least) }.to_string();
    assert!(
        text.starts_with("the pool is full: with a fee of at least 11 this transaction would take the place"),
        "{text}"
    );
    let new = ready(&mut pool, &node, &node.sign("dave", 0, 11, record("x")));
    assert_eq!(ids(&pool), [all[0], all[2], new]);
    assert_eq!(pool.next_nonce(&address("bob"), node.ledger()), Ok(Nonce::ZERO));
    assert_eq!(pool.departures(), Departures { evicted: 1, ..Departures::default() });
    assert!(pool.bytes() <= pool.limits().bytes);
}

#[test]
fn nobody_turns_a_full_pool_over_for_nothing() {
    let node = MemoryNode::default();
    let (mut pool, all) = full(&node, [0, 0, 0]);
    for seed in 0..50 {
        let refused = admit(&mut pool, &node, &stranger(node.engine().chain(), seed, 0, 0, record("x")));
        assert_eq!(refused, Err(PoolRefusal::Full { least: Some(Amount::new(1)) }));
    }
    assert_eq!(ids(&pool), all);
}

#[test]
fn a_senders_last_one_leaves_first_by_the_least_that_the_sender_pays() {
    let node = MemoryNode::default();
    let all = [
        node.sign("alice", 0, 1, record("x")),
        node.sign("alice", 1, 90, record("x")),
        node.sign("bob", 0, 50, record("x")),
    ];
    let bytes = all.iter().map(|transaction| length(&node, transaction)).sum();
    let mut pool = Mempool::new(Limits { bytes, ..Limits::default() });
    let all = all.each_ref().map(|transaction| ready(&mut pool, &node, transaction));
    let new = ready(&mut pool, &node, &node.sign("carol", 0, 2, record("x")));
    assert_eq!(ids(&pool), [all[0], all[2], new], "the high fee is not paid before the low one: it protects neither");
    let behind = admit(&mut pool, &node, &node.sign("alice", 1, 90, record("x")));
    assert_eq!(behind, Err(PoolRefusal::FullBehind), "nor does it come back that way");
    ready(&mut pool, &node, &node.sign("alice", 0, 60, record("x")));
    ready(&mut pool, &node, &node.sign("alice", 1, 90, record("x")));
    assert!(!pool.contains(&new));
}

#[test]
fn a_long_one_takes_the_place_of_several() {
    let node = MemoryNode::default();
    let (mut pool, all) = full(&node, [30, 1, 2]);
    let room = pool.limits().bytes - length(&node, &node.sign("alice", 0, 30, record("x")));
    let empty = length(&node, &node.sign("dave", 0, 50, record("")));
    let long = node.sign("dave", 0, 50, record(&"x".repeat(room - empty - 4)));
    let new = ready(&mut pool, &node, &long);
    assert_eq!(ids(&pool), [all[0], new]);
    let whole = node.sign("bob", 0, 200_000, record(&"x".repeat(60_000)));
    assert_eq!(admit(&mut pool, &node, &whole), Err(PoolRefusal::Full { least: None }), "longer than the pool");
}

#[test]
fn what_lives_on_an_evicted_one_leaves_with_it_and_cannot_push_it_out() {
    let node = MemoryNode::default();
    let chain = node.engine().chain();
    let key = SecretKey::from_seed(&[7; 32]);
    let gift = Action::Transfer { to: key.address(), amount: Amount::new(1_000) };
    let all =
        [node.sign("alice", 0, 1, gift), stranger(chain, 7, 0, 400, record("x")), node.sign("bob", 0, 50, record("x"))];
    let bytes = all.iter().map(|transaction| length(&node, transaction)).sum::<usize>();
    let mut pool = Mempool::new(Limits { bytes, ..Limits::default() });
    let all = all.each_ref().map(|transaction| ready(&mut pool, &node, transaction));
    // It spends what the cheapest one brings, which would have to leave for it.
    let own = admit(&mut pool, &node, &stranger(chain, 7, 1, 500, record("x")));
    assert_eq!(own, Err(PoolRefusal::Full { least: None }));
    assert_eq!(ids(&pool), all);
    let new = ready(&mut pool, &node, &node.sign("carol", 0, 3, record("x")));
    assert_eq!(ids(&pool), [all[2], new]);
}

#[test]
fn what_is_in_the_pool_too_long_leaves() {
    let node = MemoryNode::default();
    let mut pool = Mempool::new(Limits::default());
    let at = |ms: u64| Timestamp::new(NOW.get() + ms);
    let hour = 60 * 60 * 1000;
    ready(&mut pool, &node, &node.sign("alice", 0, 0, pay("bob", 1)));
    let late = node.check(&node.sign("alice", 1, 0, record("late"))).expect("right");
    pool.admit(late, at(hour), node.ledger()).expect("ready");
    let other = node.check(&node.sign("bob", 0, 0, record("other"))).expect("right");
    pool.admit(other.clone(), at(hour), node.ledger()).expect("ready");
    admit(&mut pool, &node, &node.sign("carol", 5, 0, record("waits"))).expect("waits");

    let mut expire = |now| match pool.expire(now, node.ledger()).expect("in memory") {
        Some(plan) => pool.take(plan, now, node.ledger()).map(|_| pool.departures().expired).expect("in memory"),
        None => 0,
    };
    assert_eq!(expire(at(Limits::WAITING_AGE_MS - 1)), 0);
    assert_eq!(expire(at(Limits::WAITING_AGE_MS)), 1, "what waits for another leaves much sooner");
    assert_eq!(expire(at(Limits::AGE_MS - 1)), 0);
    assert_eq!(expire(at(Limits::AGE_MS)), 2);
    assert_eq!(ids(&pool), [other.id()], "what came after it has nothing to follow");
    assert_eq!(pool.departures(), Departures { expired: 2, impossible: 1, ..Departures::default() });
    assert_eq!(pool.waiting_len(), 0);
}
