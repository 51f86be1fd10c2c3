//! An engine put together again from what was stored goes on exactly where it left off.

use std::{convert::Infallible, sync::Arc};

use bard_chain::{
    address::Address,
    engine::{Engine, Outcome, Restored},
    hash::{BlockId, Hash32},
    invalid::Invalid,
    rules::isolated::Isolated,
    spec::{ChainSpec, Difficulty},
    tree::{Node, Tree},
    units::{Height, Timestamp},
};
use bard_tests::{
    actions::{pay, request},
    chain_builder::{MemoryNode, easy_spec},
};

/// A block as a store has it.
type Stored = (BlockId, Node);

/// What a store would hand back of an engine.
pub(crate) fn parts(engine: &Engine) -> Restored {
    let (active, side) = stored(engine);
    Restored { tree: tree(engine, active, side), commitment: engine.commitment().clone(), floor: engine.floor() }
}

/// The active chain, and the blocks beside it, that an engine holds.
fn stored(engine: &Engine) -> (Vec<Stored>, Vec<Stored>) {
    let tree = engine.tree();
    let heights = (0..=engine.tip().height.get()).map(Height::new);
    let active: Vec<_> = heights.filter_map(|height| tree.active_at(height)).collect();
    let with_node = |id: &BlockId| (*id, tree.get(id).expect("held").clone());
    let mut side: Vec<_> = tree.nodes().filter(|(id, _)| !tree.is_active(id)).map(|(id, _)| with_node(id)).collect();
    side.sort_by_key(|(_, node)| node.header.height);
    (active.iter().map(with_node).collect(), side)
}

fn tree(engine: &Engine, active: Vec<Stored>, side: Vec<Stored>) -> Tree {
    let mut active = active.into_iter();
    let lowest = active.next().expect("at least one block");
    let Ok(tree) = Tree::restore::<Infallible>(engine.spec(), lowest, active, side.into_iter().map(Ok));
    tree
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
    liar.miner = Address::new([3; 32]);
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

/// So many blocks, each a moment after the one before: under ASERT each is harder.
fn hurry(node: &mut MemoryNode, count: usize) -> Vec<Arc<Isolated>> {
    let hurried = (0..count).map(|_| {
        let mut draft = node.draft(Vec::new());
        draft.header.timestamp = Timestamp::new(node.engine().tip().timestamp.get() + 1);
        let block = node.seal(draft);
        assert_eq!(node.accept(&block), Ok(Outcome::Extended));
        block
    });
    hurried.collect()
}

#[test]
fn after_a_branch_of_fewer_blocks_as_much_is_held_as_after_a_restart() {
    const DEPTH: u64 = 6;
    let interval = easy_spec().target_interval_ms;
    // A block that comes at once makes the next one four times as hard.
    let difficulty = Difficulty::Asert { half_life_ms: interval / 2 };
    let mut node = MemoryNode::new(ChainSpec { max_reorg_depth: DEPTH, difficulty, ..easy_spec() });
    node.extend_by(37);
    let mut deep = node.rival();
    node.extend_by(3);
    let mut short = deep.rival();
    for block in &node.active_blocks()[37..] {
        assert_eq!(short.accept(block), Ok(Outcome::Extended));
    }
    node.extend_by(DEPTH as usize);
    let (last, lighter) = (hurry(&mut short, 3), 2);
    for block in &last[..lighter] {
        assert_eq!(node.accept(block), Ok(Outcome::SideBranch));
    }
    assert_eq!(node.accept(&last[lighter]), Ok(Outcome::Reorganised));
    assert_eq!((node.tip(), node.height()), (short.tip(), 43), "three blocks lighter, and lower");
    // One that leaves as far back as one may: the restarted node had no trouble with it.
    let mut again = node.clone();
    again.replace_engine(Engine::restore(Arc::clone(node.spec()), node.stored(DEPTH as usize + 12)));
    assert_eq!(again.engine().tree().locator(), node.engine().tree().locator());
    let deep = hurry(&mut deep, 5);
    let judged = |node: &mut MemoryNode| deep.iter().map(|block| node.accept(block)).collect::<Vec<_>>();
    assert_eq!(judged(&mut node), judged(&mut again));
    assert_eq!((node.tip(), node.height()), (deep[4].id(), 42));
    node.assert_invariants();
}

const HELD: usize = 2 * 2 + 1_024;

/// A chain of two blocks, so many blocks beside it after the genesis block by ids, and who mined the last of these.
fn crowd(count: usize) -> (MemoryNode, Vec<Arc<Isolated>>, MemoryNode) {
    let mut node = MemoryNode::new(ChainSpec { max_reorg_depth: 2, ..easy_spec() });
    let mut rival = node.rival();
    node.extend_by(2);
    let mut weak: Vec<_> = (0..count)
        .map(|number| {
            rival.miner = Address::new([(number as u32).to_le_bytes(); 8].concat().try_into().expect("32 bytes"));
            rival.mine(Vec::new())
        })
        .collect();
    weak.sort_by_key(|block| block.id());
    (node, weak, rival)
}

/// The tree that comes of such blocks beside the chain, and a child each of some of them.
fn held_of(node: &MemoryNode, weak: &[Arc<Isolated>], children: &[(&Arc<Isolated>, &Arc<Isolated>)]) -> Tree {
    let (active, _) = stored(node.engine());
    let (genesis, work) = (active[0].1.clone(), active[1].1.work);
    let after = |parent: &Node, block: &Isolated| {
        let work = parent.work.saturating_add(work);
        Node { header: block.header().clone(), work, anchor: Some(block.header().timestamp), ..genesis.clone() }
    };
    let mut side: Vec<_> = weak.iter().map(|block| (block.id(), after(&genesis, block))).collect();
    let children = children.iter().map(|(parent, child)| (child.id(), after(&after(&genesis, parent), child)));
    side.extend(children);
    let tree = tree(node.engine(), active, side);
    for (id, known) in tree.nodes().filter(|(_, known)| known.header.height > Height::ZERO) {
        assert!(tree.get(&known.header.parent).is_some(), "{id} has lost its parent");
    }
    tree
}

#[test]
fn of_too_many_side_blocks_none_is_held_without_its_parent() {
    let (node, weak, rival) = crowd(HELD + 8);
    // The first of all to be forgotten has a child, which comes last.
    let parent = &weak[weak.len() - 1];
    let child = rival.child_of(parent);
    let tree = held_of(&node, &weak, &[(parent, &child)]);
    assert_eq!(tree.nodes().count() - 3, HELD);
    assert!(tree.get(&child.id()).is_some(), "the one with most work is held");
}

#[test]
fn of_more_than_twice_too_many_side_blocks_some_are_forgotten_before_the_last_comes() {
    let (node, weak, rival) = crowd(2 * HELD + 1);
    // Who comes last, when half of them were forgotten: a child of one that was, and one of the last that was not.
    let (gone, left) = (&weak[HELD], &weak[HELD - 1]);
    let (of_gone, of_left) = (rival.child_of(gone), rival.child_of(left));
    let tree = held_of(&node, &weak, &[(gone, &of_gone), (left, &of_left)]);
    assert_eq!(tree.nodes().count() - 3, HELD);
    for block in [gone, &of_gone] {
        assert!(tree.get(&block.id()).is_none(), "{} is held", block.id());
    }
    for block in [left, &of_left, &weak[0], &weak[HELD - 3]] {
        assert!(tree.get(&block.id()).is_some(), "{} is not held", block.id());
    }
    assert!(tree.get(&weak[HELD - 2].id()).is_none(), "it made room for the child");
}

#[test]
fn nothing_is_restored_of_a_store_that_cannot_be_read() {
    let (node, weak, _) = crowd(2);
    let (active, side) = stored(node.engine());
    assert_eq!((active.len(), side.len()), (3, 0));
    let beside = Node { header: weak[0].header().clone(), ..active[1].1.clone() };
    let mut reads = vec![Err("it cannot be read"), Ok((weak[0].id(), beside))];
    let read = std::iter::from_fn(|| reads.pop());
    let restored = Tree::restore(node.spec(), active[0].clone(), active[1..].to_vec(), read);
    assert_eq!(restored.expect_err("no tree"), "it cannot be read");
}
