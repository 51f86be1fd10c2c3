//! In whatever order the same blocks arrive, the end is the same: a tip with the most work, the first seen of those.

use std::{collections::BTreeMap, sync::Arc};

use bard_chain::{
    address::Address,
    engine::Refused,
    invalid::Invalid,
    rules::isolated::Isolated,
    spec::{ChainSpec, Difficulty},
    target::CompactTarget,
    units::Timestamp,
};
use bard_tests::chain_builder::{MemoryNode, easy_spec};
use proptest::{collection::vec, prelude::*, sample::Index};

use crate::{
    cases,
    ledger::{Attempt, attempt, possible},
};

/// One block of a tree: which of those before it is its parent, what is in it, how long after its parent it was made.
#[derive(Clone, Debug)]
struct Branching {
    parent: Index,
    attempts: Vec<Attempt>,
    after_ms: u64,
}

fn branching() -> impl Strategy<Value = Branching> {
    (any::<Index>(), vec(attempt(), 0..4), 1..20_000_u64).prop_map(|(parent, attempts, after_ms)| Branching {
        parent,
        attempts,
        after_ms,
    })
}

/// The blocks of a tree, parents first, each with a node that followed its branch alone.
fn grow(spec: &ChainSpec, tree: &[Branching]) -> Vec<(Arc<Isolated>, MemoryNode)> {
    let root = MemoryNode::new(spec.clone());
    let mut grown: Vec<(Arc<Isolated>, MemoryNode)> = Vec::new();
    for (Branching { parent, attempts, after_ms }, number) in tree.iter().zip(0_u8..) {
        // Newer blocks are chosen more often, so that there are long branches and not only a broom.
        let place = parent.index((grown.len() + 1) * 2).min(grown.len());
        let mut node = place.checked_sub(1).map_or_else(|| root.clone(), |at| grown[at].1.clone());
        node.miner = Address::new([number; 32]);
        let mut draft = node.draft(possible(&node, attempts));
        let parent_time = node.engine().tip().timestamp.get();
        let earliest = node.engine().tip_position().earliest_time();
        draft.header.timestamp = Timestamp::new(parent_time + after_ms).max(earliest);
        let block = node.seal(draft);
        node.accept(&block).expect("accepted");
        grown.push((block, node));
    }
    grown
}

/// Gives the blocks to a new node in this order; those without a parent are tried again after each other one. Returns the
/// node and the order in which they were taken.
fn deliver(spec: &ChainSpec, order: &[Arc<Isolated>]) -> (MemoryNode, Vec<Arc<Isolated>>) {
    let mut node = MemoryNode::new(spec.clone());
    let (mut waiting, mut taken) = (Vec::new(), Vec::new());
    for block in order {
        waiting.push(Arc::clone(block));
        let mut left = usize::MAX;
        while waiting.len() < left {
            left = waiting.len();
            waiting.retain(|block| match node.accept(block) {
                Ok(_) => {
                    taken.push(Arc::clone(block));
                    false
                }
                Err(Refused::Invalid(Invalid::UnknownParent { .. })) => true,
                Err(other) => panic!("{other}"),
            });
        }
    }
    assert!(waiting.is_empty(), "every parent came");
    (node, taken)
}

fn check(spec: &ChainSpec, tree: &[Branching], order: &[usize]) -> Result<(), TestCaseError> {
    let grown = grow(spec, tree);
    let alone: BTreeMap<_, _> = grown.iter().map(|(block, node)| (block.id(), node)).collect();
    let shuffled: Vec<_> = order.iter().map(|at| Arc::clone(&grown[*at].0)).collect();
    let (node, taken) = deliver(spec, &shuffled);
    let most = grown.iter().map(|(_, node)| node.engine().tip().work).max().expect("not empty");
    prop_assert_eq!(node.engine().tip().work, most);
    let heaviest = |block: &&Arc<Isolated>| alone[&block.id()].engine().tip().work == most;
    let first = taken.iter().find(heaviest).expect("it is among them");
    prop_assert_eq!(node.tip(), first.id(), "of the heaviest, the first seen");
    node.assert_same_as(alone[&first.id()]);
    node.assert_invariants();
    Ok(())
}

fn tree_and_order() -> impl Strategy<Value = (Vec<Branching>, Vec<usize>)> {
    vec(branching(), 1..14).prop_flat_map(|tree| {
        let order = Just((0..tree.len()).collect::<Vec<_>>()).prop_shuffle();
        (Just(tree), order)
    })
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn any_order_ends_at_the_most_work((tree, order) in tree_and_order()) {
        check(&easy_spec(), &tree, &order)?;
    }

    #[test]
    fn any_order_ends_at_the_most_work_where_blocks_weigh_differently((tree, order) in tree_and_order()) {
        let difficulty = Difficulty::Asert { half_life_ms: 5_000 };
        let spec = ChainSpec { difficulty, initial_target: CompactTarget::new(0x200f_ffff), ..easy_spec() };
        check(&spec, &tree, &order)?;
    }
}
