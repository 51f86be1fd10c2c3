//! An engine put together again from what was stored goes on exactly where it left off.

use std::sync::Arc;

use bard_chain::{
    engine::{Engine, Outcome, Restored},
    hash::Hash32,
    invalid::Invalid,
    spec::{ChainSpec, Difficulty},
    units::Height,
};
use bard_tests::{
    actions::{pay, request},
    chain_builder::{MemoryNode, easy_spec},
};

/// What a store would hand back of an engine.
pub(crate) fn parts(engine: &Engine) -> Restored {
    let tree = engine.tree();
    let heights = (0..=engine.tip().height.get()).map(Height::new);
    let active: Vec<_> = heights.filter_map(|height| tree.active_at(height)).collect();
    let with_node = |id: &bard_chain::hash::BlockId| (*id, tree.get(id).expect("held").clone());
    let mut side: Vec<_> = tree.nodes().filter(|(id, _)| !tree.is_active(id)).map(|(id, _)| with_node(id)).collect();
    side.sort_by_key(|(_, node)| node.header.height);
    Restored {
        active: active.iter().map(with_node).collect(),
        side,
        commitment: engine.commitment().clone(),
        floor: engine.floor(),
    }
}

/// The node after a restart.
fn restarted(node: &MemoryNode) -> MemoryNode {
    let mut again = node.clone();
    again.replace_engine(Engine::restore(Arc::clone(node.spec()), parts(node.engine())));
    again.assert_same_as(node);
    let (one, two) = (node.engine().tree(), again.engine().tree());
    assert!(one.nodes().eq(two.nodes()), "the same blocks are known");
    assert_eq!(one.locator(), two.locator());
    assert_eq!(one.next_arrival(), two.next_arrival());
    assert_eq!(node.engine().tip_position(), again.engine().tip_position());
    again
}

/// A chain with a side branch of the same work and a branch that was refused.
fn eventful(spec: ChainSpec) -> (MemoryNode, MemoryNode, MemoryNode) {
    let mut node = MemoryNode::new(spec);
    node.extend(vec![node.sign("alice", 0, 1, request("projector"))]);
    let mut rival = node.rival();
    let mut liar = rival.rival();
    node.extend_by(3);
    for block in rival.extend_by(3) {
        assert_eq!(node.accept(&block), Ok(Outcome::SideBranch));
    }
    let mut draft = liar.draft(Vec::new());
    draft.header.state_root = Hash32::ZERO;
    let mut bad = vec![liar.seal(draft)];
    for _ in 0..3 {
        bad.push(liar.child_of(&bad[bad.len() - 1]));
    }
    for block in &bad[..3] {
        assert_eq!(node.accept(block), Ok(Outcome::SideBranch));
    }
    assert!(matches!(node.accept(&bad[3]), Ok(Outcome::BranchRefused { .. })));
    liar.miner = bard_chain::address::Address::new([3; 32]);
    (node, rival, liar)
}

#[test]
fn at_the_genesis_block() {
    let mut again = restarted(&MemoryNode::default());
    again.extend(Vec::new());
    again.assert_invariants();
}

#[test]
fn with_branches_and_verdicts() {
    let (node, mut rival, _) = eventful(easy_spec());
    let mut again = restarted(&node);
    assert_eq!(again.tip(), node.tip(), "of equal work the first seen stays the tip");
    let bad: Vec<_> = node.engine().tree().nodes().filter(|(_, known)| known.invalid).map(|(id, _)| *id).collect();
    assert_eq!(bad.len(), 3);
    for id in bad {
        let block = bard_chain::source::Source::block(&node, &id).expect("stored");
        assert_eq!(again.accept(&block), Err(Invalid::KnownInvalid.into()), "what was refused stays refused");
    }
    let heavier = rival.extend(vec![rival.sign("bob", 0, 0, pay("carol", 1))]);
    assert_eq!(again.accept(&heavier), Ok(Outcome::Reorganised), "a side branch from before the restart wins");
    again.assert_same_as(&rival);
    again.assert_invariants();
}

#[test]
fn with_nothing_but_the_last_blocks_held() {
    let spec = ChainSpec { max_reorg_depth: 3, difficulty: Difficulty::Asert { half_life_ms: 60_000 }, ..easy_spec() };
    let mut node = MemoryNode::new(spec);
    node.extend_by(50);
    assert!(node.engine().tree().active_at(Height::new(10)).is_none(), "old headers are let go of");
    let mut again = restarted(&node);
    let mut rival = again.rival();
    again.extend_by(3);
    node.extend_by(3);
    again.assert_same_as(&node);
    let branch = rival.extend_by(4);
    for block in &branch {
        again.accept(block).expect("accepted");
        node.accept(block).expect("accepted");
    }
    again.assert_same_as(&rival);
    again.assert_same_as(&node);
}

#[test]
fn the_next_blocks_are_judged_alike() {
    let (node, rival, liar) = eventful(easy_spec());
    let again = restarted(&node);
    let mut drafts = vec![node.draft(Vec::new()), rival.draft(Vec::new()), liar.draft(Vec::new())];
    let mut wrong = node.draft(Vec::new());
    wrong.header.timestamp = node.spec().genesis_time;
    drafts.push(wrong);
    for draft in drafts {
        let block = node.seal(draft);
        let one = node.engine().accept(&block, node.late(), &node).map(|effects| (effects.outcome, effects.tip));
        let two = again.engine().accept(&block, node.late(), &again).map(|effects| (effects.outcome, effects.tip));
        assert_eq!(one, two);
    }
}
