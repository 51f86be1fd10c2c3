//! The blocks near the tip, stale branches included.

use bard_chain::{
    engine::Outcome,
    source::Source,
    transaction::Action,
    units::{Height, Timestamp},
};

use super::{
    chain::{Chain, Node, key, spec},
    simulated::SimDisk,
};
use crate::store::{KnownBlock, Verdict};

fn shape(blocks: &[KnownBlock]) -> Vec<(u64, bool, Verdict)> {
    blocks.iter().map(|block| (block.header.height.get(), block.active, block.verdict)).collect()
}

#[test]
fn the_known_tree_tells_every_branch() {
    use Verdict::{Invalid, Untried, Valid};
    for good in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let mut chain = Chain::new(spec());
        chain.mine_many(2);
        let (mut left, mut stale) = (chain.branch(2), chain.branch(3));
        left.mine_many(1);
        stale.mine_many(1);
        chain.mine_many(2);
        let [bad, after] = chain.bad_pair();
        chain.mine_many(1);
        let mut node = Node::open(dir.path());
        // `left` is active for a while; `stale` never; `bad` and what follows it break a rule.
        node.take_all(&left.blocks);
        node.take(&stale.blocks[2]);
        node.take_all(&chain.blocks[2..]);
        assert_eq!(node.take(&bad), Outcome::SideBranch);
        assert!(matches!(node.take(&after), Outcome::BranchRefused { .. }));
        if good {
            node.store.close().unwrap();
        } else {
            drop(node);
        }
        let node = Node::open(dir.path());
        let tree = node.reader().known_tree(4, 10).unwrap();
        assert!(!tree.more);
        let [two, three, four, five] = [2, 3, 4, 5].map(|height| (height, true, Valid));
        let sides = [(3, false, Valid), (3, false, Untried), (5, false, Invalid)];
        assert_eq!(shape(&tree.blocks)[..7], [two, three, sides[0], sides[1], four, five, sides[2]]);
        for block in &tree.blocks {
            assert_eq!(node.reader().header(&block.id).unwrap().as_ref(), Some(&block.header));
            assert!(node.reader().block_bytes(&block.id).unwrap().is_some());
            assert_eq!(node.engine.tree().get(&block.id).map(|node| node.work), Some(block.work));
        }
        let three_blocks = [&chain.blocks[2], &left.blocks[2], &stale.blocks[2]].map(|block| block.id());
        assert_eq!(tree.blocks[1..4].iter().map(|block| block.id).collect::<Vec<_>>(), three_blocks);
        let cut = node.reader().known_tree(4, 1).unwrap();
        assert!(cut.more);
        assert_eq!(cut.blocks.iter().filter(|block| !block.active).count(), 1);
        let whole = node.reader().known_tree(u64::MAX, 10).unwrap();
        assert_eq!(whole.blocks[0].header.height, Height::ZERO);
        assert_eq!(shape(&whole.blocks[..1]), [(0, true, Valid)]);
        assert_eq!(node.reader().known_tree(0, 10).unwrap().blocks.iter().filter(|block| block.active).count(), 0);
    }
}

#[test]
fn a_block_that_was_active_and_forgotten_and_comes_again_is_still_known_to_be_right() {
    let mut chain = Chain::new(spec());
    chain.mine_many(2);
    let mut left = chain.branch(2);
    let record = Action::Record { content_type: "text/plain".into(), bytes: b"on this branch alone".into() };
    left.mine(&[left.sign(&key("dave"), 0, record)]);
    chain.mine_many(2);
    let disk = SimDisk::default();
    let mut node = Node::on(&disk).unwrap();
    // `left` is active until the chain overtakes it.
    node.take_all(&left.blocks);
    node.take_all(&chain.blocks[2..]);
    let again = &left.blocks[2];
    let undo = node.reader().undo(&again.id()).unwrap();
    let content = node.reader().left_the_chain(&again.id(), Timestamp::ZERO, usize::MAX).unwrap();
    assert_eq!(content.len(), 1);
    // What an engine decides that forgot it.
    let mut forgetful = Node::on(&SimDisk::default()).unwrap();
    forgetful.take_all(&chain.blocks);
    let mut effects = forgetful.accept(again);
    assert_eq!(effects.outcome, Outcome::SideBranch);
    effects.stored.as_mut().unwrap().1.arrival = node.engine.tree().next_arrival();
    let arrival = node.engine.tree().next_arrival();
    node.store.append(&effects).unwrap();
    node.store.sync().unwrap();
    for closes in [false, true, false] {
        let tree = node.reader().known_tree(4, 10).unwrap();
        let known = tree.blocks.iter().filter(|block| block.id == again.id()).collect::<Vec<_>>();
        assert_eq!(
            known.iter().map(|block| (block.arrival, block.verdict)).collect::<Vec<_>>(),
            [(arrival, Verdict::Valid)]
        );
        assert!(node.reader().was_applied(&again.id()).unwrap());
        assert_eq!(node.reader().undo(&again.id()).unwrap(), undo);
        assert_eq!(node.reader().left_the_chain(&again.id(), Timestamp::ZERO, usize::MAX).unwrap(), content);
        if closes {
            node.store.close().unwrap();
        } else {
            drop(node);
        }
        node = Node::on(&disk).unwrap();
    }
    node.assert_is(&chain);
}
