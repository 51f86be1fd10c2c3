//! A transaction for every reason for which a pool refuses one. Each case returns the reason it got.

use std::sync::Arc;

use bard_chain::{
    address::Address,
    invalid::TransactionFault,
    ledger::{Account, Item, View},
    mempool::{Admitted, Limits, Mempool, PoolRefusal},
    source::SourceError,
    transaction::{ItemName, Transaction},
    units::{Amount, Timestamp},
};
use bard_tests::{
    actions::{pay, record},
    chain_builder::MemoryNode,
};

/// A node and a pool, in which these are ready.
struct Case {
    node: MemoryNode,
    pool: Mempool,
}

impl Case {
    fn new(limits: Limits) -> Self {
        Self { node: MemoryNode::default(), pool: Mempool::new(limits) }
    }

    fn admit(&mut self, transaction: &Transaction) -> Result<Admitted, PoolRefusal> {
        let checked = self.node.check(transaction).expect("right in itself");
        self.pool.admit(checked, Timestamp::ZERO, self.node.ledger())
    }

    fn ready(&mut self, sender: &str, nonce: u64, fee: u64) {
        let transaction = self.node.sign(sender, nonce, fee, record("x"));
        assert_eq!(self.admit(&transaction), Ok(Admitted::Ready));
    }

    /// Why it is refused, and that nothing changes by that.
    fn refused(&mut self, transaction: &Transaction) -> PoolRefusal {
        let all = |pool: &Mempool| pool.contents().map(|(_, one)| one.id()).collect::<Vec<_>>();
        let before = (all(&self.pool), self.pool.bytes(), self.pool.departures());
        let refusal = self.admit(transaction).expect_err("refused");
        assert_eq!((all(&self.pool), self.pool.bytes(), self.pool.departures()), before);
        refusal
    }

    /// Bytes of one of them.
    fn length(&self) -> usize {
        self.node.check(&self.node.sign("alice", 0, 9, record("x"))).expect("right").bytes().len()
    }
}

/// A pool that is full with two.
fn full(one: (&str, u64, u64), two: (&str, u64, u64)) -> Case {
    let bytes = 2 * Case::new(Limits::default()).length();
    let mut case = Case::new(Limits { bytes, ..Limits::default() });
    case.ready(one.0, one.1, one.2);
    case.ready(two.0, two.1, two.2);
    case
}

pub(crate) fn one_that_is_in_the_pool_already() -> PoolRefusal {
    let mut case = Case::new(Limits::default());
    case.ready("alice", 0, 1);
    let again = case.node.sign("alice", 0, 1, record("x"));
    case.refused(&again)
}

pub(crate) fn a_fee_no_higher_than_the_cheapest_when_full() -> PoolRefusal {
    let mut case = full(("alice", 0, 9), ("bob", 0, 5));
    let long = case.node.sign("carol", 0, 9, record(&"x".repeat(1_000)));
    assert_eq!(case.refused(&long), PoolRefusal::Full { least: None }, "longer than the pool");
    let cheap = case.node.sign("carol", 0, 5, record("x"));
    let refusal = case.refused(&cheap);
    assert_eq!(refusal, PoolRefusal::Full { least: Some(Amount::new(6)) });
    refusal
}

pub(crate) fn a_high_fee_behind_a_low_one_when_full() -> PoolRefusal {
    let mut case = full(("alice", 0, 1), ("bob", 0, 5));
    let behind = case.node.sign("alice", 1, 9, record("x"));
    case.refused(&behind)
}

pub(crate) fn one_more_than_a_sender_may_have() -> PoolRefusal {
    let mut case = Case::new(Limits { per_sender: 2, ..Limits::default() });
    case.ready("alice", 0, 0);
    case.ready("alice", 1, 0);
    let third = case.node.sign("alice", 2, 1_000, record("x"));
    case.refused(&third)
}

pub(crate) fn too_little_more_for_the_place_of_another() -> PoolRefusal {
    let mut case = Case::new(Limits::default());
    case.ready("alice", 0, 100);
    let waits = case.node.sign("bob", 1, 100, record("x"));
    assert_eq!(case.admit(&waits), Ok(Admitted::Waiting));
    let instead = case.node.sign("bob", 1, 109, record("y"));
    assert!(matches!(case.refused(&instead), PoolRefusal::FeeTooLow { .. }), "the same while it waits");
    let instead = case.node.sign("alice", 0, 109, record("y"));
    case.refused(&instead)
}

pub(crate) fn the_place_of_one_that_too_many_follow() -> PoolRefusal {
    let mut case = Case::new(Limits::default());
    for nonce in 0..=101 {
        case.ready("alice", nonce, 0);
    }
    let instead = case.node.sign("alice", 0, 10_000, record("y"));
    case.refused(&instead)
}

pub(crate) fn one_more_than_may_wait() -> PoolRefusal {
    let mut case = Case::new(Limits { waiting: 1, ..Limits::default() });
    let waits = case.node.sign("alice", 1, 0, record("x"));
    assert_eq!(case.admit(&waits), Ok(Admitted::Waiting));
    let late = case.node.sign("bob", 1, 0, record("x"));
    case.refused(&late)
}

pub(crate) fn one_that_breaks_a_rule_after_what_is_in_the_pool() -> PoolRefusal {
    let mut case = Case::new(Limits::default());
    let all = case.node.sign("alice", 0, 0, pay("bob", 250_000));
    assert_eq!(case.admit(&all), Ok(Admitted::Ready));
    let more = case.node.sign("alice", 1, 0, pay("bob", 1));
    let refusal = case.refused(&more);
    assert!(matches!(refusal, PoolRefusal::Fault(TransactionFault::BalanceTooSmall { .. })));
    refusal
}

/// A ledger that cannot be read.
struct Unreadable;

impl View for Unreadable {
    fn account(&self, _: &Address) -> Result<Account, SourceError> {
        Err(SourceError("no disk".to_owned()))
    }

    fn item(&self, _: &ItemName) -> Result<Option<Item>, SourceError> {
        Err(SourceError("no disk".to_owned()))
    }
}

pub(crate) fn a_ledger_that_cannot_be_read() -> PoolRefusal {
    let mut case = Case::new(Limits::default());
    let checked = case.node.check(&case.node.sign("alice", 0, 0, record("x"))).expect("right");
    let group = case.pool.admit_all(&[Arc::clone(&checked)], Timestamp::ZERO, &Unreadable);
    let alone = case.pool.admit(checked, Timestamp::ZERO, &Unreadable).expect_err("refused");
    assert_eq!(group, Err((0, alone.clone())));
    assert!(case.pool.is_empty() && case.pool.bytes() == 0);
    alone
}
