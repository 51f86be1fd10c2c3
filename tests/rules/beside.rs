//! A branch that is mined beside the chain: its blocks hold in the state that they lead to, whatever the chain did meanwhile.

use std::sync::Arc;

use bard_chain::{
    branch::Branch,
    engine::{Outcome, Refused},
    invalid::Invalid,
    pow,
    rules::isolated::Isolated,
    spec::{ChainSpec, Difficulty},
};
use bard_tests::{
    actions::{key, pay},
    chain_builder::{MemoryNode, easy_spec},
};

/// The next block of a branch, sealed; the branch goes on to it.
fn step(node: &MemoryNode, branch: &mut Branch) -> Arc<Isolated> {
    let (spec, now) = (Arc::clone(node.spec()), node.late());
    let template = branch.template(&spec, now).expect("a reward that fits");
    let target = template.header().target.expand().expect("a target").to_be_bytes();
    let nonce = pow::search(spec.pow, template.digest().as_bytes(), 0, u64::MAX, &target).expect("an easy target");
    branch.go_on(&spec, &template, nonce, now).expect("its own block");
    let block = Isolated::read(&spec, node.engine().chain(), &template.sealed(nonce)).expect("right in itself");
    assert_eq!((branch.id(), branch.height()), (block.id(), block.header().height));
    Arc::new(block)
}

/// Mines a branch for somebody who is paid in the chain beside it, until that branch is the chain.
fn becomes_the_chain(spec: ChainSpec) {
    let mut node = MemoryNode::new(spec);
    let first = node.mine(vec![node.sign("alice", 0, 3, pay("bob", 10))]);
    assert_eq!(node.accept(&first), Ok(Outcome::Extended));
    let mut branch = Branch::from_tip(node.engine(), node.ledger(), key("bob").address()).expect("in memory");
    // What the chain does after the branch began is not in the branch.
    for nonce in 1..3 {
        let block = node.mine(vec![node.sign("alice", nonce, 0, pay("bob", 500))]);
        assert_eq!(node.accept(&block), Ok(Outcome::Extended));
    }
    for _ in 0..2 {
        let block = step(&node, &mut branch);
        assert_eq!(node.accept(&block), Ok(Outcome::SideBranch));
    }
    let block = step(&node, &mut branch);
    assert_eq!(node.accept(&block), Ok(Outcome::Reorganised));
    let block = step(&node, &mut branch);
    assert_eq!(node.accept(&block), Ok(Outcome::Extended));
    assert_eq!((node.tip(), node.height()), (branch.id(), 5));
    assert!(block.block().transactions.is_empty());
}

#[test]
fn it_becomes_the_chain_when_it_has_more_work() {
    becomes_the_chain(easy_spec());
}

#[test]
fn its_targets_follow_its_own_times() {
    becomes_the_chain(ChainSpec { difficulty: Difficulty::Asert { half_life_ms: 60_000 }, ..easy_spec() });
}

#[test]
fn it_goes_on_to_its_own_next_block_alone() {
    let node = MemoryNode::default();
    let mut branch = Branch::from_tip(node.engine(), node.ledger(), node.miner).expect("in memory");
    let old = branch.template(node.spec(), node.late()).expect("a reward that fits");
    step(&node, &mut branch);
    let refused = branch.go_on(node.spec(), &old, 0, node.late());
    assert!(matches!(refused, Err(Refused::Invalid(Invalid::UnknownParent { .. }))), "{refused:?}");
}
