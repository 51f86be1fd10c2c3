//! In whatever order the same blocks arrive, good ones and bad ones, the end is the same: a tip with the most work of those
//! whose whole branch is good, the first seen of them.

use std::{collections::BTreeMap, sync::Arc};

use bard_chain::{
    address::Address,
    block::{Block, Header},
    engine::{Outcome, Refused},
    hash::{BlockId, Hash32},
    invalid::Invalid,
    ledger::View,
    merkle,
    presets::DEV_ACCOUNTS,
    rules::{in_chain::Position, isolated::Isolated},
    spec::{ChainSpec, Difficulty},
    target::CompactTarget,
    transaction::Transaction,
    units::{Timestamp, Work},
};
use bard_tests::{
    actions::{address, pay},
    chain_builder::{MemoryNode, easy_spec, transactions_root},
};
use proptest::{collection::vec, prelude::*, sample::Index};

use crate::{
    cases,
    ledger::{Attempt, attempt, possible},
};

/// What is wrong with a block; only its branch shows it, once that has the most work.
#[derive(Clone, Copy, Debug)]
enum Flaw {
    /// The state root is another than that of the state after it.
    StateRoot,
    /// Its last transaction spends more than its sender has.
    Overspends,
}

/// One block of a tree: which of those before it is its parent, what is in it, how long after its parent it was made.
#[derive(Clone, Debug)]
struct Branching {
    parent: Index,
    attempts: Vec<Attempt>,
    after_ms: u64,
    flaw: Option<Flaw>,
}

fn branching() -> impl Strategy<Value = Branching> {
    let flaw = prop_oneof![10 => Just(None), 1 => Just(Some(Flaw::StateRoot)), 1 => Just(Some(Flaw::Overspends))];
    (any::<Index>(), vec(attempt(), 0..4), 1..20_000_u64, flaw)
        .prop_map(|(parent, attempts, after_ms, flaw)| Branching { parent, attempts, after_ms, flaw })
}

/// A block of the tree.
#[derive(Clone)]
struct Grown {
    block: Arc<Isolated>,
    /// Where the block after it stands.
    position: Position,
    /// A node that followed its branch alone; none where it, or a block before it, is bad.
    node: Option<MemoryNode>,
}

/// The draft of a block after a good one.
fn draft_on(node: &MemoryNode, attempts: &[Attempt], flaw: Option<Flaw>) -> Block {
    let good = possible(node, attempts);
    match flaw {
        None => node.draft(good),
        Some(Flaw::StateRoot) => {
            let mut draft = node.draft(good);
            draft.header.state_root = Hash32::ZERO;
            draft
        }
        Some(Flaw::Overspends) => {
            let mut draft = node.draft(good);
            draft.transactions.push(overspending(node, &draft.transactions));
            draft.header.transactions_root = transactions_root(&draft);
            draft
        }
    }
}

fn overspending(node: &MemoryNode, before: &[Transaction]) -> Transaction {
    let sender = DEV_ACCOUNTS[0];
    let confirmed = node.account(&address(sender)).expect("in memory").nonce.get();
    let own = before.iter().filter(|one| one.sender == address(sender)).count() as u64;
    node.sign(sender, confirmed + own, 0, pay(DEV_ACCOUNTS[1], 1 << 40))
}

/// The draft of a block after a bad one: what is in it is of no account.
fn draft_after(spec: &ChainSpec, parent: &Grown, miner: Address) -> Block {
    let header = Header {
        height: parent.position.height().next().expect("low"),
        parent: parent.position.id(),
        transactions_root: merkle::root(&[]),
        target: parent.position.next_target(spec),
        miner,
        ..parent.block.header().clone()
    };
    Block { header, transactions: Vec::new() }
}

/// The blocks of a tree, parents first.
fn grow(spec: &ChainSpec, tree: &[Branching]) -> Vec<Grown> {
    let root = MemoryNode::new(spec.clone());
    let mut grown: Vec<Grown> = Vec::new();
    for (Branching { parent, attempts, after_ms, flaw }, number) in tree.iter().zip(0_u8..) {
        // Newer blocks are chosen more often, so that there are long branches and not only a broom.
        let place = parent.index((grown.len() + 1) * 2).min(grown.len());
        let parent = place.checked_sub(1).map(|at| grown[at].clone());
        let position = parent.as_ref().map_or_else(|| Position::genesis(spec), |parent| parent.position.clone());
        let parent_time = parent.as_ref().map_or(spec.genesis_time, |parent| parent.block.header().timestamp);
        let mut node = parent.as_ref().map_or_else(|| Some(root.clone()), |parent| parent.node.clone());
        let miner = Address::new([number; 32]);
        let mut draft = match (&mut node, &parent) {
            (Some(node), _) => {
                node.miner = miner;
                draft_on(node, attempts, *flaw)
            }
            (None, Some(parent)) => draft_after(spec, parent, miner),
            (None, None) => unreachable!("the root is good"),
        };
        draft.header.timestamp = Timestamp::new(parent_time.get() + after_ms).max(position.earliest_time());
        let block = root.seal(draft);
        let after = position.step(spec, block.header(), block.id(), root.late()).expect("right in its place");
        let node = node.filter(|_| flaw.is_none()).map(|mut node| {
            node.accept(&block).expect("accepted");
            node
        });
        grown.push(Grown { block, position: after, node });
    }
    grown
}

/// Gives the blocks to a new node in this order; those without a parent are tried again after each other one. Returns the
/// node and the order in which they were taken. No good one may be refused.
fn deliver(
    spec: &ChainSpec,
    order: &[Arc<Isolated>],
    is_good: &dyn Fn(&BlockId) -> bool,
) -> (MemoryNode, Vec<Arc<Isolated>>) {
    let mut node = MemoryNode::new(spec.clone());
    let (mut waiting, mut taken) = (Vec::new(), Vec::new());
    for block in order {
        waiting.push(Arc::clone(block));
        let mut left = usize::MAX;
        while waiting.len() < left {
            left = waiting.len();
            waiting.retain(|block| match node.accept(block) {
                Ok(Outcome::Extended | Outcome::Reorganised | Outcome::SideBranch) => {
                    taken.push(Arc::clone(block));
                    false
                }
                Err(Refused::Invalid(Invalid::UnknownParent { .. })) => true,
                Ok(Outcome::BranchRefused { at, .. }) => {
                    assert!(!is_good(&at) && !is_good(&block.id()), "for a bad block inside it");
                    false
                }
                Err(Refused::Invalid(reason)) => {
                    assert!(!is_good(&block.id()), "{reason}");
                    false
                }
                Err(other) => panic!("{other}"),
            });
        }
    }
    assert!(waiting.iter().all(|block| !is_good(&block.id())), "every good parent came");
    (node, taken)
}

fn check(spec: &ChainSpec, tree: &[Branching], order: &[usize]) -> Result<(), TestCaseError> {
    let grown = grow(spec, tree);
    let good = grown.iter().filter_map(|one| Some((one.block.id(), one.node.as_ref()?)));
    let alone: BTreeMap<_, _> = good.collect();
    let shuffled: Vec<_> = order.iter().map(|at| Arc::clone(&grown[*at].block)).collect();
    let (node, taken) = deliver(spec, &shuffled, &|id| alone.contains_key(id));
    let work = |block: &Arc<Isolated>| alone.get(&block.id()).map(|node| node.engine().tip().work);
    let most = alone.values().map(|node| node.engine().tip().work).max().unwrap_or(Work::ZERO);
    prop_assert_eq!(node.engine().tip().work, most);
    match taken.iter().find(|block| work(block) == Some(most)) {
        Some(first) => {
            prop_assert_eq!(node.tip(), first.id(), "of the heaviest good ones, the first seen");
            node.assert_same_as(alone[&first.id()]);
        }
        None => node.assert_same_as(&MemoryNode::new(spec.clone())),
    }
    node.assert_invariants();
    Ok(())
}

fn tree_and_order() -> impl Strategy<Value = (Vec<Branching>, Vec<usize>)> {
    vec(branching(), 1..48).prop_flat_map(|tree| {
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
