//! Whatever happens to a pool, its template is a block that the chain accepts.

use bard_chain::{
    address::Address,
    engine::Outcome,
    hash::TransactionId,
    ledger::{Overlay, View, apply::apply_transaction},
    mempool::{Departures, Limits, Mempool},
    pow,
    presets::DEV_ACCOUNTS,
    rules::isolated::Isolated,
    template::Template,
    units::Timestamp,
};
use bard_tests::{
    actions::address,
    chain_builder::{MemoryNode, easy_spec},
};
use proptest::{collection::vec, prelude::*};

use crate::{
    cases,
    ledger::{Attempt, attempt, possible},
};

/// What happens to a node.
#[derive(Clone, Debug)]
enum Event {
    /// A transaction arrives.
    Arrives(Attempt),
    /// One arrives with a nonce that was used so many transactions before, with a fee that may be enough to replace that one.
    Replaces(Attempt, u64),
    /// Several must be admitted all or none.
    Group(Vec<Attempt>),
    /// The node mines its template.
    Mines,
    /// Another miner's block comes, with what it likes.
    Foreign(Vec<Attempt>),
    /// So many blocks are replaced by one more of another branch.
    Reorganised(usize, Vec<Attempt>),
    /// So many milliseconds pass, and what is too old leaves.
    Time(u64),
}

/// Everything that can be seen of a pool: what is ready, in its order, what waits, how long each has been there, the bytes,
/// what accounts have after it, and what left it why.
type Seen = (Vec<(Timestamp, TransactionId)>, usize, usize, Vec<Option<(u64, u64)>>, Departures);

fn seen(pool: &Mempool) -> Seen {
    let account = |name: &&str| pool.pending_account(&address(name)).map(|one| (one.balance.get(), one.nonce.get()));
    let contents = pool.contents().map(|(since, one)| (since, one.id())).collect();
    (contents, pool.len(), pool.bytes(), DEV_ACCOUNTS.iter().map(account).collect(), pool.departures())
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => attempt().prop_map(Event::Arrives),
        3 => (attempt(), 0..4_u64, 0..400_u64).prop_map(|(attempt, back, fee)| {
            Event::Replaces(Attempt { fee, ..attempt }, back)
        }),
        1 => vec(attempt(), 1..5).prop_map(Event::Group),
        1 => Just(Event::Mines),
        1 => vec(attempt(), 0..5).prop_map(Event::Foreign),
        1 => (1..4_usize, vec(attempt(), 0..5)).prop_map(|(depth, attempts)| Event::Reorganised(depth, attempts)),
        2 => (0..500_u64).prop_map(Event::Time),
    ]
}

struct World {
    node: MemoryNode,
    pool: Mempool,
    /// The node at each height before this one.
    past: Vec<MemoryNode>,
    miners: u8,
    now: Timestamp,
}

impl World {
    fn happens(&mut self, event: &Event) {
        match event {
            Event::Arrives(attempt) => self.arrives(attempt, 0),
            Event::Replaces(attempt, back) => self.arrives(attempt, *back + 1),
            Event::Group(attempts) => {
                let before = seen(&self.pool);
                let sign = |attempt: &Attempt| {
                    let next = self.pool.next_nonce(&address(attempt.sender), self.node.ledger()).expect("in memory");
                    self.node.check(&attempt.sign(&self.node, next.get())).expect("right in itself")
                };
                let group: Vec<_> = attempts.iter().map(sign).collect();
                if self.pool.admit_all(&group, self.now, self.node.ledger()).is_err() {
                    assert_eq!(seen(&self.pool), before, "a refused group leaves no trace");
                } else {
                    assert!(group.iter().all(|transaction| self.pool.get(&transaction.id()).is_some()));
                }
            }
            Event::Time(ms) => {
                self.now = Timestamp::new(self.now.get() + ms);
                if let Some(plan) = self.pool.expire(self.now, self.node.ledger()).expect("in memory") {
                    drop(self.pool.take(plan, self.now, self.node.ledger()).expect("in memory"));
                }
                let age = self.pool.limits().age_ms;
                assert!(self.pool.contents().all(|(since, _)| self.now.saturating_sub(since).get() < age));
                assert_eq!(self.pool.expire(self.now, self.node.ledger()).map(|plan| plan.is_none()), Ok(true));
            }
            Event::Mines => {
                let block = self.sealed_template();
                self.take(&block, &Outcome::Extended);
            }
            Event::Foreign(attempts) => {
                let block = self.node.rival().mine(possible(&self.node, attempts));
                self.take(&block, &Outcome::Extended);
            }
            Event::Reorganised(depth, attempts) => self.reorganise(*depth, attempts),
        }
    }

    fn arrives(&mut self, attempt: &Attempt, back: u64) {
        let next = self.pool.next_nonce(&address(attempt.sender), self.node.ledger()).expect("in memory");
        let Ok(checked) = self.node.check(&attempt.sign(&self.node, next.get().saturating_sub(back))) else { return };
        let before = seen(&self.pool);
        if self.pool.admit(checked.clone(), self.now, self.node.ledger()).is_ok() {
            assert!(self.pool.contains(&checked.id()));
        } else {
            assert_eq!(seen(&self.pool), before, "a refused transaction leaves no trace");
        }
    }

    /// Takes a block, and sees that following it comes to the same as replaying everything.
    fn take(&mut self, block: &std::sync::Arc<Isolated>, outcome: &Outcome) {
        self.past.push(self.node.clone());
        self.follow(block, outcome);
    }

    fn follow(&mut self, block: &std::sync::Arc<Isolated>, outcome: &Outcome) {
        let effects = self.node.accept_at(block, self.node.late()).expect("a right block");
        assert_eq!(effects.outcome, *outcome);
        let step = self.node.step(&effects);
        let replayed = self.pool.replayed(step.clone(), self.now, self.node.ledger()).expect("in memory");
        let before = self.places();
        self.pool.follow(step, self.now, self.node.ledger()).expect("in memory");
        assert_eq!(seen(&self.pool), seen(&replayed), "both ways end in the same pool");
        if *outcome == Outcome::Extended {
            let stays = |(id, place): (&TransactionId, &u64)| before.get(id).is_none_or(|old| old == place);
            assert!(self.places().iter().all(stays), "what stays has its place");
        }
    }

    fn places(&self) -> std::collections::BTreeMap<TransactionId, u64> {
        self.pool.transactions_from(0).map(|(place, one)| (one.id(), place)).collect()
    }

    fn reorganise(&mut self, depth: usize, attempts: &[Attempt]) {
        let depth = depth.min(self.past.len());
        let Some(mut rival) = self.past.get(self.past.len() - depth).cloned() else { return };
        self.miners = self.miners.wrapping_add(1);
        rival.miner = Address::new([self.miners; 32]);
        self.past.truncate(self.past.len() - depth);
        for number in 0..=depth {
            let body = if number == 0 { possible(&rival, attempts) } else { Vec::new() };
            self.past.push(rival.clone());
            let block = rival.extend(body);
            let outcome = if number < depth { Outcome::SideBranch } else { Outcome::Reorganised };
            self.follow(&block, &outcome);
        }
        self.node.assert_same_as(&rival);
    }

    /// The template of the pool, sealed, read and judged: it must extend the chain.
    fn sealed_template(&self) -> std::sync::Arc<Isolated> {
        let (node, now) = (&self.node, self.node.late());
        let template = Template::build(node.engine(), &self.pool, node.ledger(), node.miner, now).expect("in memory");
        let target = template.header().target.expand().expect("a target").to_be_bytes();
        let digest = template.digest().as_bytes();
        let nonce = pow::search(node.spec().pow, digest, 0, u64::MAX, &target).expect("an easy target");
        let bytes = template.sealed(nonce);
        let block = Isolated::read(node.spec(), node.engine().chain(), &bytes).expect("right in itself").into();
        let outcome = node.engine().accept(&block, now, node).map(|effects| effects.outcome);
        assert_eq!(outcome, Ok(Outcome::Extended));
        assert!(self.pool.is_empty() || !template.transactions().is_empty(), "a pool of ready ones gives some of them");
        block
    }

    fn check_pool(&self) {
        let (pool, limits) = (&self.pool, self.pool.limits());
        let bytes: usize = pool.contents().map(|(_, transaction)| transaction.bytes().len()).sum();
        assert!(bytes == pool.bytes() && bytes <= limits.bytes, "{bytes} bytes, counted {}", pool.bytes());
        assert_eq!(pool.contents().count(), pool.len() + pool.waiting_len());
        assert!(pool.waiting_len() <= limits.waiting);
        let all: Vec<_> = pool.transactions().map(|transaction| transaction.transaction().clone()).collect();
        let mut ledger = Overlay::new(self.node.ledger());
        for transaction in &all {
            assert_eq!(apply_transaction(&mut ledger, transaction), Ok(()), "all of it, in its order, can be mined");
        }
        for name in DEV_ACCOUNTS {
            let (whose, after) = (address(name), ledger.account(&address(name)));
            assert_eq!(pool.account(&whose, self.node.ledger()), after, "what {name} has after the pool");
            assert!(all.iter().filter(|one| one.sender == whose).count() <= limits.per_sender);
        }
        let draft = self.node.draft(all);
        assert!(self.node.state_root_after(&draft).is_ok());
    }
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn a_template_is_always_accepted(events in vec(event(), 1..60), small in any::<bool>(), short in any::<bool>()) {
        let age = if short { Limits { age_ms: 1_000, waiting_age_ms: 300, ..Limits::default() } } else { Limits::default() };
        let limits = if small { Limits { bytes: 2_000, per_sender: 6, waiting: 2, ..age } } else { age };
        let node = MemoryNode::new(easy_spec());
        let pool = Mempool::new(limits);
        let mut world = World { node, pool, past: Vec::new(), miners: 0, now: Timestamp::new(1_000_000) };
        for event in &events {
            world.happens(event);
            world.sealed_template();
            world.check_pool();
        }
        world.node.assert_invariants();
    }
}
