//! Branches: which chain is active, what is kept beside it, and what a bad block deep inside a heavier branch does.

use std::sync::Arc;

use bard_chain::{
    address::Address,
    engine::{Outcome, Refused},
    hash::Hash32,
    invalid::Invalid,
    rules::isolated::Isolated,
    spec::{ChainSpec, Difficulty},
    target::Target,
    units::{Amount, Height, Timestamp},
};
use bard_tests::{
    actions::{address, pay, record, request},
    chain_builder::{MemoryNode, easy_spec},
};
use ruint::aliases::U256;

#[test]
fn a_block_after_the_tip_extends_the_chain() {
    let mut node = MemoryNode::default();
    let block = node.mine(vec![node.sign("alice", 0, 3, pay("bob", 5))]);
    let effects = node.accept_at(&block, node.late()).expect("accepted");
    assert_eq!(effects.outcome, Outcome::Extended);
    assert_eq!(effects.connected.len(), 1);
    assert!(effects.disconnected.is_empty() && effects.invalidated.is_empty());
    assert_eq!((effects.tip.id, effects.tip.height), (block.id(), Height::new(1)));
    assert_eq!(node.engine().tip(), effects.tip);
    node.assert_invariants();
}

#[test]
fn deciding_changes_nothing_until_it_is_adopted() {
    let node = MemoryNode::default();
    let block = node.mine(Vec::new());
    let before = node.engine().tip();
    let first = node.engine().accept(&block, node.late(), &node).expect("accepted");
    assert_eq!(node.engine().tip(), before);
    let again = node.engine().accept(&block, node.late(), &node).expect("accepted again, as the write may have failed");
    assert_eq!((first.outcome, first.tip, first.state), (again.outcome, again.tip, again.state));
}

#[test]
fn a_known_block_is_nobody_s_fault() {
    let mut node = MemoryNode::default();
    let side = node.rival().mine(Vec::new());
    let block = node.extend(Vec::new());
    assert_eq!(node.accept(&block), Err(Refused::AlreadyKnown));
    assert_eq!(node.accept(&side), Ok(Outcome::SideBranch));
    assert_eq!(node.accept(&side), Err(Refused::AlreadyKnown));
}

#[test]
fn of_equal_work_the_first_seen_stays() {
    let mut one = MemoryNode::default();
    let mut two = one.rival();
    let (ones, twos) = (one.extend_by(3), two.extend_by(3));
    for block in &twos {
        assert_eq!(one.accept(block), Ok(Outcome::SideBranch));
    }
    for block in &ones {
        assert_eq!(two.accept(block), Ok(Outcome::SideBranch));
    }
    assert_eq!((one.tip(), two.tip()), (ones[2].id(), twos[2].id()));
    let tie_break = one.extend(Vec::new());
    assert_eq!(two.accept(&tie_break), Ok(Outcome::Reorganised));
    two.assert_same_as(&one);
}

#[test]
fn a_kept_side_branch_becomes_the_chain_without_being_sent_again() {
    let mut node = MemoryNode::default();
    let mut rival = node.rival();
    node.extend(Vec::new());
    let side = rival.extend(vec![rival.sign("alice", 0, 1, pay("bob", 7))]);
    assert_eq!(node.accept(&side), Ok(Outcome::SideBranch));
    let heavier = rival.extend(Vec::new());
    assert_eq!(node.accept(&heavier), Ok(Outcome::Reorganised));
    node.assert_same_as(&rival);
    node.assert_invariants();
}

#[test]
fn a_new_branch_displaces_the_weakest_when_there_are_too_many() {
    let mut node = MemoryNode::new(ChainSpec { max_reorg_depth: 2, ..easy_spec() });
    let mut rival = node.rival();
    node.extend_by(2);
    let mut low = Vec::new();
    for i in 0..1_028_u32 {
        rival.miner = Address::new([i.to_le_bytes(); 8].concat().try_into().expect("32 bytes"));
        low.push(rival.mine(Vec::new()));
        assert_eq!(node.accept(&low[low.len() - 1]), Ok(Outcome::SideBranch), "{i}");
    }
    let child = rival.child_of(&low[500]);
    assert_eq!(node.accept(&child), Ok(Outcome::SideBranch), "it has more work than each of the others");
    let kept = |block: &Arc<Isolated>| node.engine().tree().get(&block.id()).is_some();
    assert!(kept(&child) && kept(&low[500]), "it is kept, and what it stands on");
    assert_eq!(low.iter().filter(|block| kept(block)).count(), 1_027, "one of the others went for it");
}

#[test]
fn the_next_tip_is_never_displaced() {
    let mut node = MemoryNode::new(ChainSpec { max_reorg_depth: 1, ..easy_spec() });
    let mut rival = node.rival();
    node.extend(Vec::new());
    for i in 0..1_026_u32 {
        rival.miner = Address::new([i.to_le_bytes(); 8].concat().try_into().expect("32 bytes"));
        let block = rival.mine(Vec::new());
        assert_eq!(node.accept(&block), Ok(Outcome::SideBranch), "{i}");
    }
    let block = node.extend(Vec::new());
    assert_eq!(node.tip(), block.id());
    node.extend_by(3);
    assert_eq!(node.height(), 5);
    node.assert_invariants();
}

/// A branch from the genesis block: so many good blocks, one with a wrong state root, so many after it.
fn branch(rival: &mut MemoryNode, good: usize, after: usize) -> (Vec<Arc<Isolated>>, usize) {
    let mut blocks = rival.extend_by(good);
    let mut draft = rival.draft(vec![rival.sign("alice", 0, 0, pay("bob", 1))]);
    draft.header.state_root = Hash32::ZERO;
    blocks.push(rival.seal(draft));
    for _ in 0..after {
        blocks.push(rival.child_of(&blocks[blocks.len() - 1]));
    }
    (blocks, good)
}

#[test]
fn a_bad_block_deep_inside_a_heavier_branch_leaves_the_chain_alone() {
    let mut node = MemoryNode::default();
    let mut rival = node.rival();
    node.extend(vec![node.sign("alice", 0, 2, request("projector"))]);
    node.extend_by(4);
    let before = node.clone();
    let (blocks, bad) = branch(&mut rival, 2, 4);
    let (last, lighter) = blocks.split_last().expect("not empty");
    // The branch has 7 blocks; the sixth already has more work than the chain's five.
    for block in &lighter[..5] {
        assert_eq!(node.accept(block), Ok(Outcome::SideBranch), "not yet more work");
    }
    let refused = Outcome::BranchRefused { at: blocks[bad].id(), reason: Invalid::StateRoot };
    let effects = node.accept_at(&lighter[5], node.late()).expect("judged");
    assert_eq!(effects.outcome, refused);
    assert!(effects.stored.is_none() && effects.connected.is_empty() && effects.disconnected.is_empty());
    let mut marked: Vec<_> = blocks[bad..5].iter().map(|block| block.id()).collect();
    let mut invalidated = effects.invalidated;
    marked.sort_unstable();
    invalidated.sort_unstable();
    assert_eq!(invalidated, marked, "the bad block and all after it");
    node.assert_same_as(&before);
    node.assert_invariants();

    assert_eq!(node.accept(&blocks[bad]), Err(Invalid::KnownInvalid.into()), "sent again");
    assert_eq!(node.accept(&blocks[4]), Err(Invalid::KnownInvalid.into()), "and what came after it");
    assert_eq!(node.accept(&lighter[5]), Err(Invalid::InvalidAncestor.into()));
    assert_eq!(node.accept(last), Err(Invalid::UnknownParent { parent: lighter[5].id() }.into()));
    let sibling = rival.rival().child_of(&blocks[4]);
    assert_eq!(node.accept(&sibling), Err(Invalid::InvalidAncestor.into()), "a new one on the same ground");

    assert!(matches!(node.engine().tree().get(&blocks[1].id()), Some(known) if !known.invalid), "below it all is well");
    let mut honest = rival.clone();
    for block in honest.extend_by(3) {
        assert_eq!(node.accept(&block), Ok(Outcome::SideBranch));
    }
    assert_eq!(node.accept(&honest.extend(Vec::new())), Ok(Outcome::Reorganised), "the good part may still win");
    node.assert_same_as(&honest);
    node.assert_invariants();
}

#[test]
fn a_bad_last_block_of_a_heavier_branch_is_refused_itself() {
    let mut node = MemoryNode::default();
    let mut rival = node.rival();
    node.extend_by(2);
    let (blocks, _) = branch(&mut rival, 2, 0);
    assert_eq!(node.accept(&blocks[0]), Ok(Outcome::SideBranch));
    assert_eq!(node.accept(&blocks[1]), Ok(Outcome::SideBranch));
    assert_eq!(node.accept(&blocks[2]), Err(Invalid::StateRoot.into()));
    assert!(node.engine().tree().get(&blocks[2].id()).is_none());
    let good = rival.extend(Vec::new());
    assert_eq!(node.accept(&good), Ok(Outcome::Reorganised), "its honest sibling wins");
    node.assert_invariants();
}

#[test]
fn a_double_spend_across_branches_ends_with_one_of_both() {
    let mut node = MemoryNode::default();
    let mut rival = node.rival();
    node.extend(vec![node.sign("alice", 0, 0, pay("bob", 250_000))]);
    let branch = [rival.extend(vec![rival.sign("alice", 0, 0, pay("carol", 250_000))]), rival.extend(Vec::new())];
    let balance = |node: &MemoryNode, name: &str| {
        node.ledger().accounts().find(|(known, _)| **known == address(name)).map(|(_, account)| account.balance)
    };
    assert_eq!(balance(&node, "bob"), Some(Amount::new(500_000)));
    for block in &branch {
        node.accept(block).expect("accepted");
    }
    assert_eq!(balance(&node, "bob"), Some(Amount::new(250_000)));
    assert_eq!(balance(&node, "carol"), Some(Amount::new(500_000)));
    assert_eq!(balance(&node, "alice").unwrap_or_default(), Amount::ZERO);
    node.assert_invariants();
}

#[test]
fn a_branch_may_confirm_what_the_chain_confirmed_in_other_blocks() {
    let mut node = MemoryNode::default();
    let mut rival = node.rival();
    let both = [node.sign("alice", 0, 1, record("one")), node.sign("bob", 0, 1, record("two"))];
    node.extend(both.to_vec());
    for transaction in both {
        let block = rival.extend(vec![transaction]);
        node.accept(&block).expect("accepted");
    }
    node.assert_same_as(&rival);
    node.assert_invariants();
}

#[test]
fn a_long_light_branch_that_wins_at_last_is_held_whole() {
    // Blocks on schedule take 2,054 hashes, late ones 2: the 1,028th late one outweighs a block on schedule. With its branch
    // there is then one side block more than are kept, and no other side tip to forget.
    let initial_target = Target::new(U256::MAX / U256::from(4_109) * U256::from(2)).expect("not zero").compact();
    let difficulty = Difficulty::Asert { half_life_ms: 1_000 };
    let mut node = MemoryNode::new(ChainSpec { max_reorg_depth: 2, difficulty, initial_target, ..easy_spec() });
    node.extend(Vec::new());
    let mut rival = node.rival();
    node.extend_by(2);
    let mut late = rival.draft(Vec::new());
    late.header.timestamp = Timestamp::new(late.header.timestamp.get() + 1_000_000_000);
    let late = rival.seal(late);
    rival.accept(&late).expect("accepted");
    assert_eq!(node.accept(&late), Ok(Outcome::SideBranch));
    for i in 0..1_027 {
        assert_eq!(node.accept(&rival.extend(Vec::new())), Ok(Outcome::SideBranch), "{i}");
    }
    assert_eq!(node.accept(&rival.extend(Vec::new())), Ok(Outcome::Reorganised));
    node.assert_same_as(&rival);
    assert_eq!(node.accept(&rival.extend(Vec::new())), Ok(Outcome::Extended));
    node.assert_invariants();
}
