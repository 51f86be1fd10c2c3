//! Templates: the next block to mine, which transactions it takes, and that it is accepted once sealed.

use bard_chain::{
    address::Address,
    engine::Outcome,
    hash::TransactionId,
    mempool::{Limits, Mempool},
    pow,
    rules::isolated::Isolated,
    spec::{ChainSpec, Difficulty},
    template::Template,
    transaction::Transaction,
    units::{Height, Timestamp},
};
use bard_tests::{
    actions::{pay, record, release, request},
    chain_builder::{MemoryNode, easy_spec},
};

const MINER: Address = Address::new([5; 32]);

fn pool_of(node: &MemoryNode, transactions: &[Transaction]) -> Mempool {
    let mut pool = Mempool::new(Limits::default());
    for transaction in transactions {
        pool.admit(node.check(transaction).expect("right"), Timestamp::ZERO, node.ledger()).expect("admitted");
    }
    pool
}

fn build(node: &MemoryNode, pool: &Mempool, now: Timestamp) -> Template {
    Template::build(node.engine(), pool, node.ledger(), MINER, now).expect("in memory")
}

/// Seals a template and has the node accept it.
fn mine(node: &mut MemoryNode, pool: &mut Mempool, now: Timestamp) -> std::sync::Arc<Isolated> {
    let template = build(node, pool, now);
    let target = template.header().target.expand().expect("a target").to_be_bytes();
    let digest = template.digest().as_bytes();
    let nonce = pow::search(node.spec().pow, digest, 0, u64::MAX, &target).expect("an easy target");
    let bytes = template.sealed(nonce);
    let block = Isolated::read(node.spec(), node.engine().chain(), &bytes).expect("right in itself").into();
    assert_eq!(node.accept_with_pool(&block, pool), Ok(Outcome::Extended));
    block
}

fn ids(template: &Template) -> Vec<TransactionId> {
    template.transactions().iter().map(Transaction::id).collect()
}

#[test]
fn an_empty_pool_gives_an_empty_block() {
    let mut node = MemoryNode::default();
    let now = node.late();
    let template = build(&node, &Mempool::default(), now);
    let header = template.header();
    assert_eq!((header.height, header.parent, header.miner), (Height::new(1), node.tip(), MINER));
    assert_eq!(header.timestamp, now);
    assert_eq!(*template.digest(), header.digest());
    let block = mine(&mut node, &mut Mempool::default(), now);
    assert!(block.block().transactions.is_empty());
    node.assert_invariants();
}

#[test]
fn a_miner_s_slow_clock_does_not_make_a_block_too_old() {
    let mut node = MemoryNode::default();
    node.extend_by(20);
    let template = build(&node, &Mempool::default(), Timestamp::ZERO);
    assert_eq!(template.header().timestamp, node.engine().tip_position().earliest_time());
    mine(&mut node, &mut Mempool::default(), Timestamp::ZERO);
}

#[test]
fn who_pays_more_a_byte_comes_first_but_never_before_its_own_earlier_ones() {
    let node = MemoryNode::default();
    let low = node.sign("alice", 0, 1, record("x"));
    let after_low = node.sign("alice", 1, 90, record("x"));
    let middle = node.sign("bob", 0, 20, record("x"));
    let high = node.sign("carol", 0, 30, record("x"));
    // Pays as much as the one before, for five times the bytes.
    let long = node.sign("dave", 0, 30, record(&"x".repeat(600)));
    let pool = pool_of(&node, &[low.clone(), after_low.clone(), middle.clone(), high.clone(), long.clone()]);
    let expected = [high, middle, long, low, after_low].each_ref().map(Transaction::id);
    assert_eq!(ids(&build(&node, &pool, node.late())), expected);
}

#[test]
fn of_equal_fees_the_first_to_come_is_first() {
    let node = MemoryNode::default();
    let all = ["dave", "alice", "carol", "bob"].map(|name| node.sign(name, 0, 7, record("x")));
    assert_eq!(ids(&build(&node, &pool_of(&node, &all), node.late())), all.each_ref().map(Transaction::id));
}

#[test]
fn money_that_comes_with_a_cheaper_transaction_is_waited_for() {
    let mut node = MemoryNode::default();
    let pays = node.sign("alice", 0, 1, pay("bob", 200_000));
    let spends = node.sign("bob", 0, 50, pay("carol", 400_000));
    let mut pool = pool_of(&node, &[pays.clone(), spends.clone()]);
    let template = build(&node, &pool, node.late());
    assert_eq!(ids(&template), [pays.id(), spends.id()]);
    let now = node.late();
    mine(&mut node, &mut pool, now);
    assert!(pool.is_empty());
    node.assert_invariants();
}

#[test]
fn an_item_changes_hands_in_the_order_of_the_pool_even_against_the_fees() {
    let mut node = MemoryNode::default();
    let all = [
        node.sign("alice", 0, 0, request("projector")),
        node.sign("alice", 1, 0, release("projector")),
        node.sign("bob", 0, 99, request("projector")),
    ];
    let mut pool = pool_of(&node, &all);
    let now = node.late();
    // Who pays more may come first, and then alice's wait: whatever is chosen must apply.
    mine(&mut node, &mut pool, now);
    node.assert_invariants();
    mine(&mut node, &mut pool, now);
    node.assert_invariants();
}

#[test]
fn a_block_is_never_longer_than_allowed_and_nearly_full() {
    let mut node = MemoryNode::new(ChainSpec { max_block_bytes: 4096, max_record_bytes: 2048, ..easy_spec() });
    let all: Vec<_> = ["alice", "bob", "carol", "dave"]
        .iter()
        .flat_map(|name| (0..10).map(|nonce| node.sign(name, nonce, 1, record(&"x".repeat(50)))).collect::<Vec<_>>())
        .collect();
    let mut pool = pool_of(&node, &all);
    let length = node.check(&all[0]).expect("right").bytes().len();
    let now = node.late();
    while !pool.is_empty() {
        let left = pool.len();
        let block = mine(&mut node, &mut pool, now);
        assert!(block.bytes().len() <= 4096);
        let full = block.bytes().len() + length + 192 + 16 > 4096;
        assert!(full || block.block().transactions.len() == left, "there was room for one more");
    }
    assert!(node.height() > 1, "it took several blocks");
    node.assert_invariants();
}

#[test]
fn what_does_not_fit_gives_way_to_what_does() {
    let node = MemoryNode::new(ChainSpec { max_block_bytes: 4096, max_record_bytes: 2048, ..easy_spec() });
    let large = ["alice", "bob"].map(|name| node.sign(name, 0, 9_000, record(&"x".repeat(2_000))));
    let small = node.sign("carol", 0, 1, record("x"));
    let pool = pool_of(&node, &[large[0].clone(), large[1].clone(), small.clone()]);
    assert_eq!(ids(&build(&node, &pool, node.late())), [large[0].id(), small.id()]);
}

#[test]
fn templates_follow_asert() {
    let difficulty = Difficulty::Asert { half_life_ms: 10_000 };
    let mut node = MemoryNode::new(ChainSpec { difficulty, ..easy_spec() });
    let mut pool = Mempool::default();
    let mut now = node.late();
    let mut targets = std::collections::BTreeSet::new();
    for _ in 0..30 {
        targets.insert(mine(&mut node, &mut pool, now).header().target.bits());
        now = Timestamp::new(now.get() + 100);
    }
    assert!(targets.len() > 10, "blocks in quick succession get harder");
    node.assert_invariants();
}
