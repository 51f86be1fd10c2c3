//! Whatever happens to a pool, its template is a block that the chain accepts.

use bard_chain::{
    address::Address,
    engine::Outcome,
    mempool::{Limits, Mempool},
    pow,
    rules::isolated::Isolated,
    template::Template,
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
    /// Several must be admitted all or none.
    Group(Vec<Attempt>),
    /// The node mines its template.
    Mines,
    /// Another miner's block comes, with what it likes.
    Foreign(Vec<Attempt>),
    /// So many blocks are replaced by one more of another branch.
    Reorganised(usize, Vec<Attempt>),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => attempt().prop_map(Event::Arrives),
        1 => vec(attempt(), 1..5).prop_map(Event::Group),
        1 => Just(Event::Mines),
        1 => vec(attempt(), 0..5).prop_map(Event::Foreign),
        1 => (1..4_usize, vec(attempt(), 0..5)).prop_map(|(depth, attempts)| Event::Reorganised(depth, attempts)),
    ]
}

struct World {
    node: MemoryNode,
    pool: Mempool,
    /// The node at each height before this one.
    past: Vec<MemoryNode>,
    miners: u8,
}

impl World {
    fn happens(&mut self, event: &Event) {
        match event {
            Event::Arrives(attempt) => {
                let next = self.pool.next_nonce(&address(attempt.sender), self.node.ledger()).expect("in memory");
                if let Ok(checked) = self.node.check(&attempt.sign(&self.node, next.get())) {
                    let _refused_or_not = self.pool.admit(checked, self.node.ledger());
                }
            }
            Event::Group(attempts) => {
                let before = (self.pool.len(), self.pool.bytes());
                let sign = |attempt: &Attempt| {
                    let next = self.pool.next_nonce(&address(attempt.sender), self.node.ledger()).expect("in memory");
                    self.node.check(&attempt.sign(&self.node, next.get())).expect("right in itself")
                };
                let group: Vec<_> = attempts.iter().map(sign).collect();
                if self.pool.admit_all(&group, self.node.ledger()).is_err() {
                    assert_eq!(self.pool.len(), before.0, "none of a refused group stays");
                } else {
                    assert!(group.iter().all(|transaction| self.pool.get(&transaction.id()).is_some()));
                }
            }
            Event::Mines => {
                let block = self.sealed_template();
                self.take(&block, Outcome::Extended);
            }
            Event::Foreign(attempts) => {
                let block = self.node.rival().mine(possible(&self.node, attempts));
                self.take(&block, Outcome::Extended);
            }
            Event::Reorganised(depth, attempts) => self.reorganise(*depth, attempts),
        }
    }

    fn take(&mut self, block: &std::sync::Arc<Isolated>, outcome: Outcome) {
        self.past.push(self.node.clone());
        assert_eq!(self.node.accept_with_pool(block, &mut self.pool), Ok(outcome));
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
            assert_eq!(self.node.accept_with_pool(&block, &mut self.pool), Ok(outcome));
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

    fn check_pool(&self, limits: Limits) {
        let ready: usize = self.pool.transactions().map(|transaction| transaction.bytes().len()).sum();
        assert!(ready <= self.pool.bytes() && self.pool.bytes() <= limits.bytes);
        let all: Vec<_> = self.pool.transactions().map(|transaction| transaction.transaction().clone()).collect();
        assert_eq!(all.len(), self.pool.len());
        let draft = self.node.draft(all);
        assert!(self.node.state_root_after(&draft).is_ok(), "all of it, in its order, can be mined");
    }
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn a_template_is_always_accepted(events in vec(event(), 1..40), small in any::<bool>()) {
        let limits = if small { Limits { bytes: 2_000, per_sender: 3, waiting: 2 } } else { Limits::default() };
        let node = MemoryNode::new(easy_spec());
        let mut world = World { node, pool: Mempool::new(limits), past: Vec::new(), miners: 0 };
        for event in &events {
            world.happens(event);
            world.sealed_template();
            world.check_pool(limits);
        }
        world.node.assert_invariants();
    }
}
