//! The pool: what is admitted, what waits, and how it follows the chain.

use std::sync::Arc;

use bard_chain::{
    engine::Outcome,
    hash::TransactionId,
    invalid::TransactionFault,
    mempool::{Admitted, Limits, Mempool, PoolRefusal},
    transaction::Transaction,
    units::{Amount, Nonce, Timestamp},
};
use bard_tests::{
    actions::{address, pay, record, release, request},
    chain_builder::MemoryNode,
};

fn admit(pool: &mut Mempool, node: &MemoryNode, transaction: &Transaction) -> Result<Admitted, PoolRefusal> {
    pool.admit(node.check(transaction).expect("right in itself"), Timestamp::ZERO, node.ledger())
}

fn ids(pool: &Mempool) -> Vec<TransactionId> {
    pool.transactions().map(|transaction| transaction.id()).collect()
}

/// Everything that can be seen of a pool.
fn contents(pool: &Mempool, node: &MemoryNode) -> (Vec<TransactionId>, usize, Vec<Nonce>) {
    let nonce = |name: &&str| pool.next_nonce(&address(name), node.ledger()).expect("in memory");
    (ids(pool), pool.bytes(), ["alice", "bob", "carol", "dave"].iter().map(nonce).collect())
}

#[test]
fn transactions_are_kept_in_the_order_of_arrival() {
    let node = MemoryNode::default();
    let mut pool = Mempool::new(Limits::default());
    let all = [
        node.sign("bob", 0, 1, record("1")),
        node.sign("alice", 0, 9, record("2")),
        node.sign("bob", 1, 5, record("3")),
    ];
    for transaction in &all {
        assert_eq!(admit(&mut pool, &node, transaction), Ok(Admitted::Ready));
    }
    assert_eq!(ids(&pool), all.each_ref().map(Transaction::id));
    assert_eq!(pool.len(), 3);
    assert_eq!(pool.next_nonce(&address("bob"), node.ledger()), Ok(Nonce::new(2)));
    let bytes: usize = pool.transactions().map(|transaction| transaction.bytes().len()).sum();
    assert_eq!(pool.bytes(), bytes);
}

#[test]
fn money_that_is_still_in_the_pool_can_be_spent() {
    let node = MemoryNode::default();
    let mut pool = Mempool::new(Limits::default());
    assert_eq!(admit(&mut pool, &node, &node.sign("alice", 0, 0, pay("bob", 250_000))), Ok(Admitted::Ready));
    assert_eq!(admit(&mut pool, &node, &node.sign("bob", 0, 0, pay("carol", 500_000))), Ok(Admitted::Ready));
    let account = pool.account(&address("carol"), node.ledger()).expect("in memory");
    assert_eq!(account.balance, Amount::new(750_000));
    let overdrawn = admit(&mut pool, &node, &node.sign("alice", 1, 0, pay("bob", 1)));
    assert!(matches!(overdrawn, Err(PoolRefusal::Fault(TransactionFault::BalanceTooSmall { .. }))));
}

#[test]
fn what_is_known_is_not_taken_twice() {
    let node = MemoryNode::default();
    let mut pool = Mempool::new(Limits::default());
    let ready = node.sign("alice", 0, 0, record("x"));
    let waiting = node.sign("bob", 3, 0, record("x"));
    for transaction in [&ready, &waiting] {
        admit(&mut pool, &node, transaction).expect("admitted");
        assert_eq!(admit(&mut pool, &node, transaction), Err(PoolRefusal::AlreadyKnown));
        assert!(pool.contains(&transaction.id()));
    }
    assert!(pool.get(&ready.id()).is_some());
    assert!(pool.get(&waiting.id()).is_none(), "what waits cannot be mined");
}

#[test]
fn a_gap_waits_until_it_is_filled() {
    let node = MemoryNode::default();
    let mut pool = Mempool::new(Limits::default());
    let four: Vec<_> = (0..4).map(|nonce| node.sign("alice", nonce, 0, record("x"))).collect();
    for late in [3, 1, 2] {
        assert_eq!(admit(&mut pool, &node, &four[late]), Ok(Admitted::Waiting));
    }
    assert!(pool.is_empty());
    assert_eq!(admit(&mut pool, &node, &four[0]), Ok(Admitted::Ready));
    assert_eq!(ids(&pool), four.iter().map(Transaction::id).collect::<Vec<_>>(), "all of them, by nonce");
    let bytes: usize = pool.transactions().map(|transaction| transaction.bytes().len()).sum();
    assert_eq!(pool.bytes(), bytes, "nothing is counted twice");
}

#[test]
fn a_gap_may_be_filled_by_a_block() {
    let mut node = MemoryNode::default();
    let mut pool = Mempool::new(Limits::default());
    let (first, second) = (node.sign("alice", 0, 0, record("1")), node.sign("alice", 1, 0, record("2")));
    assert_eq!(admit(&mut pool, &node, &second), Ok(Admitted::Waiting));
    let block = node.mine(vec![first]);
    assert_eq!(node.accept_with_pool(&block, &mut pool), Ok(Outcome::Extended));
    assert_eq!(ids(&pool), [second.id()]);
}

#[test]
fn two_requests_for_one_item_are_never_both_admitted() {
    let node = MemoryNode::default();
    let mut pool = Mempool::new(Limits::default());
    admit(&mut pool, &node, &node.sign("alice", 0, 0, request("projector"))).expect("admitted");
    let before = contents(&pool, &node);
    let item = || "projector".to_owned();
    let second = admit(&mut pool, &node, &node.sign("bob", 0, 50, request("projector")));
    assert_eq!(second, Err(TransactionFault::ItemHeld { item: item() }.into()));
    let theft = admit(&mut pool, &node, &node.sign("bob", 0, 0, release("projector")));
    assert_eq!(theft, Err(TransactionFault::ItemOfAnother { item: item() }.into()));
    assert_eq!(contents(&pool, &node), before, "a refusal changes nothing");
    admit(&mut pool, &node, &node.sign("alice", 1, 0, release("projector"))).expect("admitted");
    assert_eq!(admit(&mut pool, &node, &node.sign("bob", 0, 0, request("projector"))), Ok(Admitted::Ready));
}

#[test]
fn all_or_none() {
    let node = MemoryNode::default();
    let mut pool = Mempool::new(Limits::default());
    admit(&mut pool, &node, &node.sign("bob", 0, 0, request("beamer"))).expect("admitted");
    let before = contents(&pool, &node);
    let group = |node: &MemoryNode, items: &[&str]| -> Vec<_> {
        let sign = |(item, nonce): (&&str, u64)| node.sign("alice", nonce, 0, request(item));
        items.iter().zip(0..).map(sign).map(|transaction| node.check(&transaction).expect("right")).collect()
    };
    let held = TransactionFault::ItemHeld { item: "beamer".to_owned() };
    let refused = pool.admit_all(&group(&node, &["projector", "screen", "beamer"]), Timestamp::ZERO, node.ledger());
    assert_eq!(refused, Err((2, held.into())), "the third is named");
    assert_eq!(contents(&pool, &node), before, "and none of them is in the pool");

    let gap = [node.sign("alice", 0, 0, record("0")), node.sign("alice", 2, 0, record("2"))];
    let gap: Vec<_> = gap.iter().map(|transaction| node.check(transaction).expect("right")).collect();
    let fault = TransactionFault::NonceGap { nonce: Nonce::new(2), expected: Nonce::new(1) };
    assert_eq!(
        pool.admit_all(&gap, Timestamp::ZERO, node.ledger()),
        Err((1, fault.into())),
        "none of a group may wait"
    );
    assert_eq!(contents(&pool, &node), before);

    let twice = group(&node, &["projector"]);
    let twice = [Arc::clone(&twice[0]), Arc::clone(&twice[0])];
    assert_eq!(pool.admit_all(&twice, Timestamp::ZERO, node.ledger()), Err((1, PoolRefusal::AlreadyKnown)));
    assert_eq!(contents(&pool, &node), before);

    let whole = group(&node, &["projector", "screen"]);
    assert_eq!(pool.admit_all(&whole, Timestamp::ZERO, node.ledger()), Ok(whole));
    assert_eq!(pool.len(), 3);
}

#[test]
fn what_is_confirmed_leaves_and_the_rest_stays() {
    let mut node = MemoryNode::default();
    let mut pool = Mempool::new(Limits::default());
    let all: Vec<_> = (0..4).map(|nonce| node.sign("alice", nonce, 0, record("x"))).collect();
    for transaction in &all {
        admit(&mut pool, &node, transaction).expect("admitted");
    }
    let block = node.mine(all[..2].to_vec());
    assert_eq!(node.accept_with_pool(&block, &mut pool), Ok(Outcome::Extended));
    assert_eq!(ids(&pool), [all[2].id(), all[3].id()]);
    assert_eq!(pool.bytes(), pool.transactions().map(|transaction| transaction.bytes().len()).sum::<usize>());
}

#[test]
fn what_a_block_made_impossible_leaves_with_all_that_came_after_it() {
    let mut node = MemoryNode::default();
    let mut pool = Mempool::new(Limits::default());
    let request_it = node.sign("alice", 0, 0, request("projector"));
    let other = node.sign("carol", 0, 0, record("x"));
    for transaction in [&request_it, &other] {
        admit(&mut pool, &node, transaction).expect("admitted");
    }
    let block = node.mine(vec![node.sign("bob", 0, 0, request("projector"))]);
    assert_eq!(node.accept_with_pool(&block, &mut pool), Ok(Outcome::Extended));
    assert_eq!(ids(&pool), [other.id()]);
    assert_eq!(pool.next_nonce(&address("alice"), node.ledger()), Ok(Nonce::ZERO));
}

#[test]
fn what_a_reorganisation_undid_comes_back_before_the_rest() {
    let mut node = MemoryNode::default();
    let mut rival = node.rival();
    let mut pool = Mempool::new(Limits::default());
    let mined: Vec<_> = (0..3).map(|nonce| node.sign("alice", nonce, 1, record("mined"))).collect();
    let also_on_the_branch = node.sign("carol", 0, 1, record("both"));
    node.extend(vec![mined[0].clone(), also_on_the_branch.clone()]);
    node.extend(vec![mined[1].clone()]);
    node.extend(vec![mined[2].clone(), node.sign("bob", 0, 1, request("projector"))]);
    let pending = node.sign("alice", 3, 1, record("pending"));
    admit(&mut pool, &node, &pending).expect("admitted");

    let mut branch = vec![rival.extend(vec![rival.sign("dave", 0, 1, request("projector")), also_on_the_branch])];
    branch.extend(rival.extend_by(3));
    for block in &branch {
        node.accept_with_pool(block, &mut pool).expect("accepted");
    }
    let expected: Vec<_> = mined.iter().chain([&pending]).map(Transaction::id).collect();
    assert_eq!(ids(&pool), expected, "oldest first; what the branch confirmed or made impossible does not come back");
    let block = node.mine(pool.transactions().map(|transaction| transaction.transaction().clone()).collect());
    assert_eq!(node.accept_with_pool(&block, &mut pool), Ok(Outcome::Extended));
    assert!(pool.is_empty());
    node.assert_invariants();
}

#[test]
fn money_from_a_subsidy_that_was_undone_cannot_be_spent() {
    let mut node = MemoryNode::default();
    let mut rival = node.rival();
    let mut pool = Mempool::new(Limits::default());
    node.miner = address("alice");
    node.extend(Vec::new());
    let spend = node.sign("alice", 0, 0, pay("bob", 250_010));
    assert_eq!(admit(&mut pool, &node, &spend), Ok(Admitted::Ready));
    for block in rival.extend_by(2) {
        node.accept_with_pool(&block, &mut pool).expect("accepted");
    }
    assert!(pool.is_empty() && pool.bytes() == 0);
}

#[test]
fn what_was_confirmed_goes_before_what_only_waited() {
    let mut node = MemoryNode::default();
    let mut rival = node.rival();
    let mut pool = Mempool::new(Limits::default());
    let confirmed = node.sign("bob", 0, 1, request("screen"));
    node.extend(vec![confirmed.clone()]);
    let after = [node.sign("bob", 1, 1, release("screen")), node.sign("carol", 0, 1, request("screen"))];
    for transaction in &after {
        assert_eq!(admit(&mut pool, &node, transaction), Ok(Admitted::Ready));
    }
    for block in rival.extend_by(2) {
        node.accept_with_pool(&block, &mut pool).expect("accepted");
    }
    let expected = [confirmed.id(), after[0].id(), after[1].id()];
    assert_eq!(ids(&pool), expected, "in any other order one of them could not apply");
}
