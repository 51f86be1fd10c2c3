//! What was stored is there when the store is opened again.

use bard_chain::{
    engine::{Outcome, Refused},
    hash::TransactionId,
    invalid::Invalid,
    source::Source,
    transaction::{Action, ItemName},
};

use super::chain::{Chain, Node, key, spec};
use crate::store::overlay::LARGE_COMMITS;

/// Ends a node's life: in good order, or as a kill would.
fn end(node: Node, good: bool) {
    if good { node.store.close().unwrap() } else { drop(node) }
}

#[test]
fn an_empty_directory_is_the_genesis_block() {
    let dir = tempfile::tempdir().unwrap();
    for good in [false, true, false] {
        let node = Node::open(dir.path());
        assert_eq!(node.repairs, Vec::<String>::new());
        node.assert_is(&Chain::new(spec()));
        let genesis = node.engine.tip().id;
        assert_eq!(node.reader().block(&genesis).unwrap().id(), genesis);
        end(node, good);
    }
}

#[test]
fn a_chain_is_the_same_after_opening_again() {
    for good in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let mut chain = Chain::new(spec());
        let mut node = Node::open(dir.path());
        for round in 0..3 {
            chain.mine_many(4);
            node.take_all(chain.blocks.get(round * 4..).unwrap());
            node.assert_is(&chain);
            end(node, good);
            node = Node::open(dir.path());
            assert_eq!(node.repairs, Vec::<String>::new());
            node.assert_is(&chain);
        }
    }
}

#[test]
fn a_long_chain_is_flushed_while_it_grows() {
    let dir = tempfile::tempdir().unwrap();
    let mut chain = Chain::new(spec());
    let mut node = Node::open(dir.path());
    let count = 3 * LARGE_COMMITS + LARGE_COMMITS / 2;
    chain.mine_many(count);
    node.take_all(&chain.blocks);
    node.assert_is(&chain);
    assert!(node.reader().shared.state().frozen.len() <= 2, "layers in memory");
    drop(node);
    let node = Node::open(dir.path());
    assert!(node.reader().shared.state().active.len() < count * 2, "most of it was in the index");
    node.assert_is(&chain);
    assert_eq!(node.engine.tree().nodes().count(), 30 + 12, "as much as a reorganisation may reach");
}

#[test]
fn a_reorganisation_is_kept_and_can_be_taken_back() {
    for good in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let mut root = Chain::new(spec());
        root.mine_many(5);
        let (mut one, mut two) = (root.branch(2), root.branch(3));
        one.mine_many(3);
        two.mine(&[two.sign(&key("carol"), 0, Action::ItemRequest { item: ItemName::new("easel") })]);
        two.mine_many(3);
        let mut node = Node::open(dir.path());
        node.take_all(&one.blocks);
        node.take_all(two.blocks.get(5..8).unwrap());
        node.assert_is(&one);
        end(node, good);

        let mut node = Node::open(dir.path());
        assert_eq!(node.take(&two.blocks[8]), Outcome::Reorganised);
        node.assert_is(&two);
        let both = |id: &TransactionId| two.blocks.iter().any(|block| block.transaction_ids().contains(id));
        let undone: Vec<_> =
            one.blocks.iter().flat_map(|block| block.transaction_ids()).filter(|id| !both(id)).collect();
        assert!(!undone.is_empty());
        assert!(undone.into_iter().all(|id| node.reader().transaction(id).unwrap().is_none()));
        end(node, good);

        let mut node = Node::open(dir.path());
        node.assert_is(&two);
        one.mine_many(2);
        node.take_all(one.blocks.get(8..).unwrap());
        node.assert_is(&one);
        end(node, good);
        Node::open(dir.path()).assert_is(&one);
    }
}

#[test]
fn of_two_equal_branches_the_first_seen_stays() {
    for good in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let mut root = Chain::new(spec());
        root.mine_many(2);
        let (mut first, mut second) = (root.branch(2), root.branch(3));
        first.mine_many(2);
        second.mine_many(3);
        let mut node = Node::open(dir.path());
        node.take_all(&first.blocks);
        node.take_all(second.blocks.get(2..4).unwrap());
        let arrival = node.engine.tree().next_arrival();
        end(node, good);
        let mut node = Node::open(dir.path());
        node.assert_is(&first);
        assert_eq!(node.engine.tree().next_arrival(), arrival);
        assert_eq!(node.take(&second.blocks[4]), Outcome::Reorganised, "the branch was not forgotten");
        node.assert_is(&second);
    }
}

#[test]
fn what_was_found_invalid_stays_so() {
    for good in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let mut chain = Chain::new(spec());
        chain.mine_many(2);
        let [bad, after] = chain.bad_pair();
        chain.mine_some();
        let mut node = Node::open(dir.path());
        node.take_all(&chain.blocks);
        assert_eq!(node.take(&bad), Outcome::SideBranch);
        assert!(matches!(node.take(&after), Outcome::BranchRefused { at, .. } if at == bad.id()));
        end(node, good);
        let node = Node::open(dir.path());
        node.assert_is(&chain);
        assert!(node.engine.tree().get(&bad.id()).is_some_and(|node| node.invalid));
        let refused = node.engine.accept(&after, chain.engine.tip().timestamp, &node.reader());
        assert_eq!(refused.unwrap_err(), Refused::Invalid(Invalid::InvalidAncestor));
    }
}

#[test]
fn a_branch_that_left_too_far_back_is_not_restored() {
    let dir = tempfile::tempdir().unwrap();
    let mut chain = Chain::new(spec());
    let mut lost = chain.branch(2);
    lost.mine_many(2);
    chain.mine_many(3);
    let mut late = chain.branch(3);
    late.mine_many(1);
    chain.mine_many(60);
    let mut node = Node::open(dir.path());
    node.take_all(chain.blocks.get(..3).unwrap());
    node.take_all(&lost.blocks);
    node.take_all(chain.blocks.get(3..20).unwrap());
    node.take(&late.blocks[3]);
    node.take_all(chain.blocks.get(20..).unwrap());
    node.store.close().unwrap();
    let node = Node::open(dir.path());
    node.assert_is(&chain);
    assert!(node.engine.tree().get(&lost.blocks[0].id()).is_none());
    assert_eq!(node.reader().block(&lost.blocks[1].id()).unwrap(), lost.blocks[1], "it is still there to be served");
}
