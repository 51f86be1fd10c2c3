//! Reorganisations: many blocks undone and others applied, and the ledger afterwards is that of a chain that never knew.

use std::sync::Arc;

use bard_chain::{
    engine::{Outcome, Refused},
    invalid::Invalid,
    ledger::{Item, View},
    rules::isolated::Isolated,
    spec::ChainSpec,
    transaction::ItemName,
};
use bard_tests::{
    actions::{address, hand_over, pay, record, release, request},
    chain_builder::{MemoryNode, easy_spec},
};

/// Gives a branch to a node: all but the last block stay beside its chain, the last one moves it.
fn move_to(node: &mut MemoryNode, branch: &[Arc<Isolated>]) {
    let (last, lighter) = branch.split_last().expect("not empty");
    for block in lighter {
        assert_eq!(node.accept(block), Ok(Outcome::SideBranch));
    }
    assert_eq!(node.accept(last), Ok(Outcome::Reorganised));
}

/// Blocks with every kind of action, items taken, given back and handed on.
fn busy_blocks(node: &mut MemoryNode, item: &str, friend: &str) -> Vec<Arc<Isolated>> {
    let n = node.account(&address("alice")).expect("in memory").nonce.get();
    let m = node.account(&address(friend)).expect("in memory").nonce.get();
    let first = vec![
        node.sign("alice", n, 2, request(item)),
        node.sign("alice", n + 1, 1, pay("dave", 100)),
        node.sign(friend, m, 0, record("seen")),
    ];
    let mut blocks = vec![node.extend(first)];
    blocks.push(node.extend(vec![node.sign("alice", n + 2, 0, hand_over(item, friend))]));
    blocks.push(node.extend(vec![
        node.sign(friend, m + 1, 4, release(item)),
        node.sign("alice", n + 3, 0, request(item)),
        node.sign("alice", n + 4, 0, release(item)),
    ]));
    blocks
}

#[test]
fn after_a_reorganisation_all_is_as_if_the_other_branch_had_never_been() {
    let mut node = MemoryNode::default();
    busy_blocks(&mut node, "projector", "bob");
    let mut rival = node.rival();
    busy_blocks(&mut node, "beamer", "carol");
    let mut branch = busy_blocks(&mut rival, "projector", "carol");
    branch.extend(rival.extend_by(1));
    move_to(&mut node, &branch);
    node.assert_same_as(&rival);
    node.assert_same_as(&rival.replayed());
    node.assert_invariants();
    assert_eq!(node.item(&ItemName::new("beamer")), Ok(None), "never named on this branch");
}

#[test]
fn effects_tell_exactly_what_changes() {
    let mut node = MemoryNode::default();
    let mut rival = node.rival();
    let own = busy_blocks(&mut node, "projector", "bob");
    let branch = [busy_blocks(&mut rival, "beamer", "bob"), rival.extend_by(1)].concat();
    let before = node.ledger().clone();
    for block in &branch[..3] {
        node.accept(block).expect("kept");
    }
    let effects = node.accept_at(&branch[3], node.late()).expect("accepted");
    let disconnected: Vec<_> = own.iter().rev().map(|block| block.id()).collect();
    assert_eq!(effects.disconnected, disconnected, "the tip first");
    let connected: Vec<_> = effects.connected.iter().map(|connected| connected.block.id()).collect();
    let expected: Vec<_> = branch.iter().map(|block| block.id()).collect();
    assert_eq!(connected, expected, "the lowest first");
    let mut back = node.ledger().clone();
    back.apply(&effects.state.inverted());
    assert_eq!(back, before, "the net change, read backwards, leads back");
}

#[test]
fn an_item_that_was_free_is_free_again_after_its_request_is_undone() {
    let mut node = MemoryNode::default();
    node.extend(vec![node.sign("alice", 0, 0, request("projector")), node.sign("alice", 1, 0, release("projector"))]);
    let mut rival = node.rival();
    node.extend(vec![node.sign("bob", 0, 0, request("projector"))]);
    let branch = rival.extend_by(2);
    move_to(&mut node, &branch);
    let free = Item { holder: None };
    assert_eq!(node.item(&ItemName::new("projector")), Ok(Some(free)), "free, and still known");
    node.assert_same_as(&rival);
    node.assert_invariants();
}

#[test]
fn there_and_back_again() {
    let mut node = MemoryNode::default();
    let mut rival = node.rival();
    busy_blocks(&mut node, "projector", "bob");
    let mut home = node.clone();
    let branch = [busy_blocks(&mut rival, "projector", "carol"), rival.extend_by(1)].concat();
    move_to(&mut node, &branch);
    let back = home.extend_by(2);
    move_to(&mut node, &back);
    node.assert_same_as(&home);
    node.assert_invariants();
}

#[test]
fn a_thousand_blocks_deep() {
    let mut node = MemoryNode::default();
    let mut rival = node.rival();
    let busy = |node: &mut MemoryNode, count: u64, tag: &str| -> Vec<Arc<Isolated>> {
        let of = |node: &mut MemoryNode, nonce| {
            let transaction = node.sign("alice", nonce, 1, request(&format!("{tag} {nonce}")));
            node.extend(vec![transaction])
        };
        (0..count).map(|nonce| of(node, nonce)).collect()
    };
    busy(&mut node, 1_000, "one");
    let branch = busy(&mut rival, 1_001, "two");
    move_to(&mut node, &branch);
    node.assert_same_as(&rival);
    node.assert_invariants();
    assert_eq!(node.ledger().items().count(), 1_001);
}

#[test]
fn exactly_as_deep_as_is_allowed_and_no_deeper() {
    let mut node = MemoryNode::new(ChainSpec { max_reorg_depth: 4, ..easy_spec() });
    node.extend_by(40);
    let mut rival = node.rival();
    node.extend_by(4);
    let branch = rival.extend_by(6);
    move_to(&mut node, &branch[..5]);
    node.assert_invariants();

    let mut node = MemoryNode::new(ChainSpec { max_reorg_depth: 4, ..easy_spec() });
    node.extend_by(40);
    let mut rival = node.rival();
    node.extend_by(5);
    let before = node.clone();
    let branch = rival.extend_by(1);
    assert_eq!(node.accept(&branch[0]), Err(Invalid::ForkTooDeep { depth: 5, limit: 4 }.into()));
    node.assert_same_as(&before);
}

#[test]
fn a_branch_whose_ancestors_are_forgotten_is_too_deep_and_nothing_worse() {
    let mut node = MemoryNode::new(ChainSpec { max_reorg_depth: 3, ..easy_spec() });
    node.extend_by(12);
    let mut rival = node.rival();
    let first = rival.mine(Vec::new());
    node.extend(Vec::new());
    assert_eq!(node.accept(&first), Ok(Outcome::SideBranch));
    rival.accept(&first).expect("accepted");
    let mut second = rival.draft(Vec::new());
    // Before its parent, yet after the median: it looks too old once the blocks before its parent are forgotten.
    second.header.timestamp = rival.engine().tip_position().earliest_time();
    let second = rival.seal(second);
    node.extend_by(30);
    assert!(node.engine().tree().get(&first.id()).is_some(), "its parent is still known");
    let refused = node.accept(&second);
    assert!(matches!(refused, Err(Refused::Invalid(Invalid::ForkTooDeep { limit: 3, .. }))), "{refused:?}");
}
