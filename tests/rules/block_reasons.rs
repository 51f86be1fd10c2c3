//! A block for every reason to refuse one. Each case returns the reason it got, after trying the nearest block that passes.

use std::sync::Arc;

use bard_chain::{
    address::Address,
    block::Block,
    encoding::{self, EncodingError},
    engine::{Engine, Outcome, Refused, Restored},
    invalid::{Invalid, TransactionFault},
    presets,
    rules::isolated::Isolated,
    spec::{ChainSpec, Subsidy},
    target::CompactTarget,
    transaction::{Action, Transaction},
    units::{Height, Timestamp},
};
use bard_tests::{
    actions::{address, pay, record, request},
    chain_builder::{EASIEST, MemoryNode, easy_spec, seal, transactions_root, unseal},
};

use crate::restore::parts;

/// The reason for which a block is refused when read from its bytes.
fn refused_alone(node: &MemoryNode, block: &Block) -> Invalid {
    node.read(block).expect_err("refused")
}

/// The reason for which a block, right in itself, is refused by the engine.
fn refused_by_engine(node: &mut MemoryNode, block: &Arc<Isolated>) -> Invalid {
    let before = node.engine().tip();
    match node.accept(block) {
        Err(Refused::Invalid(reason)) => {
            assert_eq!(node.engine().tip(), before, "a refused block changes nothing");
            assert!(node.engine().tree().get(&block.id()).is_none_or(|known| known.invalid), "and is not kept");
            node.assert_invariants();
            reason
        }
        other => panic!("not refused: {other:?}"),
    }
}

pub(crate) fn bytes_that_are_no_block() -> Invalid {
    let node = MemoryNode::default();
    let read = |bytes: &[u8]| Isolated::read(node.spec(), node.engine().chain(), bytes).expect_err("refused");
    let good = node.mine(Vec::new()).bytes().to_vec();
    for end in 0..good.len() {
        assert!(matches!(read(&good[..end]), Invalid::Encoding(_)), "cut off after {end} bytes");
    }
    let trailing = [good.as_slice(), &[0]].concat();
    assert!(matches!(read(&trailing), Invalid::Encoding(EncodingError::Malformed { .. })));
    // The block's own array head, [0x82], as an array of indefinite length.
    let indefinite = [&[0x9f], &good[1..], &[0xff]].concat();
    assert_eq!(read(&indefinite), Invalid::Encoding(EncodingError::NotCanonical));
    read(b"junk")
}

pub(crate) fn one_byte_more_than_the_longest_block() -> Invalid {
    let node = MemoryNode::new(ChainSpec { max_block_bytes: 4096, max_record_bytes: 2048, ..easy_spec() });
    let block_of = |second: usize| {
        let texts = ["x".repeat(1_800), "x".repeat(second)];
        let records = texts.iter().zip(0..).map(|(text, nonce)| node.sign("alice", nonce, 0, record(text)));
        let draft = node.draft(records.collect());
        let length = encoding::encode(&seal(node.spec(), draft.clone())).len();
        (draft, length)
    };
    let exact = (1_400..2_000).map(block_of).find(|(_, length)| *length == 4096).expect("lengths are dense");
    let just_fits = seal(node.spec(), exact.0);
    assert!(node.read(&just_fits).is_ok(), "the longest block passes");
    let mut spare = just_fits.clone();
    spare.transactions.push(node.sign("alice", 2, 0, record("")));
    let length = encoding::encode(&spare).len() as u64;
    assert_eq!(refused_alone(&node, &spare), Invalid::TooLarge { length, limit: 4096 });
    let one_more = [encoding::encode(&just_fits), vec![0]].concat();
    let reason = Isolated::read(node.spec(), node.engine().chain(), &one_more).expect_err("refused");
    assert_eq!(reason, Invalid::TooLarge { length: 4097, limit: 4096 });
    reason
}

pub(crate) fn a_block_of_another_version() -> Invalid {
    let node = MemoryNode::default();
    let of = |version| {
        let mut draft = node.draft(Vec::new());
        draft.header.version = version;
        seal(node.spec(), draft)
    };
    assert!(node.read(&of(1)).is_ok());
    assert_eq!(refused_alone(&node, &of(0)), Invalid::Version { version: 0 });
    refused_alone(&node, &of(2))
}

pub(crate) fn a_target_with_a_second_spelling() -> Invalid {
    let node = MemoryNode::default();
    let mut draft = node.draft(Vec::new());
    for bits in [0, 0x1d80_ffff, 0x1e00_00ff, 0x2100_ffff, u32::MAX] {
        draft.header.target = CompactTarget::new(bits);
        assert_eq!(refused_alone(&node, &draft), Invalid::TargetMalformed { bits });
    }
    refused_alone(&node, &draft)
}

pub(crate) fn a_target_easier_than_the_easiest() -> Invalid {
    let node = MemoryNode::new(presets::dev());
    let mut draft = node.draft(Vec::new());
    draft.header.target = EASIEST;
    refused_alone(&node, &seal(node.spec(), draft))
}

pub(crate) fn a_nonce_that_misses_the_target() -> Invalid {
    let node = MemoryNode::default();
    let block = unseal(node.spec(), node.draft(Vec::new()));
    let reason = refused_alone(&node, &block);
    assert_eq!(reason, Invalid::WorkMissing { id: block.header.id(node.spec().pow) });
    assert!(!reason.is_final(), "nothing is remembered of what cost nothing");
    reason
}

pub(crate) fn a_height_beyond_the_last() -> Invalid {
    let node = MemoryNode::default();
    let at = |height| {
        let mut draft = node.draft(Vec::new());
        draft.header.height = height;
        seal(node.spec(), draft)
    };
    assert!(node.read(&at(Height::MAX)).is_ok());
    refused_alone(&node, &at(Height::new(Height::MAX.get() + 1)))
}

pub(crate) fn other_transactions_than_the_header_says() -> Invalid {
    let node = MemoryNode::default();
    let three: Vec<_> = (0..3).map(|nonce| node.sign("alice", nonce, 1, pay("bob", 5))).collect();
    let good = seal(node.spec(), node.draft(three));
    assert!(node.read(&good).is_ok());
    let tampered = |change: &dyn Fn(&mut Vec<Transaction>)| {
        let mut block = good.clone();
        change(&mut block.transactions);
        let reason = refused_alone(&node, &block);
        assert_eq!(reason, Invalid::TransactionsRoot);
        assert!(!reason.is_final(), "a mutated body says nothing about the block of that id");
        reason
    };
    tampered(&|all| all.swap(0, 1));
    tampered(&|all| all.truncate(2));
    tampered(&|all| all.clear());
    // The last one twice: in Bitcoin's tree this has the same root (CVE-2012-2459).
    tampered(&|all| all.push(all[2].clone()))
}

pub(crate) fn a_bad_transaction_is_named_by_its_place() -> Invalid {
    let node = MemoryNode::default();
    let mut three: Vec<_> = (0..3).map(|nonce| node.sign("alice", nonce, 1, pay("bob", 5))).collect();
    three[1].fee = bard_chain::units::Amount::new(2);
    let reason = refused_alone(&node, &seal(node.spec(), node.draft(three)));
    assert_eq!(reason, Invalid::Transaction { index: 1, fault: TransactionFault::Signature });
    assert!(reason.is_final());
    reason
}

pub(crate) fn a_block_before_its_parent() -> Invalid {
    let mut other = MemoryNode::default();
    let two = other.extend_by(2);
    let mut node = MemoryNode::default();
    let reason = refused_by_engine(&mut node, &two[1]);
    assert_eq!(reason, Invalid::UnknownParent { parent: two[0].id() });
    assert_eq!(node.accept(&two[0]), Ok(Outcome::Extended));
    assert_eq!(node.accept(&two[1]), Ok(Outcome::Extended), "after its parent it is welcome");
    reason
}

/// A node with three blocks, and a branch of four whose first breaks a rule: refused already.
fn with_a_refused_branch() -> (MemoryNode, Vec<Arc<Isolated>>) {
    let mut node = MemoryNode::default();
    let rival = node.rival();
    let mut draft = rival.draft(Vec::new());
    draft.header.state_root = bard_chain::hash::Hash32::ZERO;
    let mut branch = vec![rival.seal(draft)];
    for _ in 0..3 {
        branch.push(rival.child_of(branch.last().expect("not empty")));
    }
    node.extend_by(3);
    for block in &branch[..3] {
        assert_eq!(node.accept(block), Ok(Outcome::SideBranch));
    }
    let refused = Outcome::BranchRefused { at: branch[0].id(), reason: Invalid::StateRoot };
    assert_eq!(node.accept(&branch[3]), Ok(refused));
    (node, branch)
}

pub(crate) fn a_child_of_a_block_that_was_refused() -> Invalid {
    let (mut node, branch) = with_a_refused_branch();
    refused_by_engine(&mut node, &branch[3])
}

pub(crate) fn a_refused_block_a_second_time() -> Invalid {
    let (mut node, branch) = with_a_refused_branch();
    for block in &branch[1..3] {
        assert_eq!(refused_by_engine(&mut node, block), Invalid::KnownInvalid);
    }
    refused_by_engine(&mut node, &branch[0])
}

pub(crate) fn a_height_that_does_not_follow() -> Invalid {
    let mut node = MemoryNode::default();
    node.extend_by(2);
    let mut reasons = [1, 2, 4].map(|height| {
        let mut draft = node.draft(Vec::new());
        draft.header.height = Height::new(height);
        let (height, expected) = (Height::new(height), Height::new(3));
        let block = node.seal(draft);
        let reason = refused_by_engine(&mut node, &block);
        assert_eq!(reason, Invalid::Height { height, expected });
        reason
    });
    std::mem::replace(&mut reasons[0], Invalid::KnownInvalid)
}

pub(crate) fn another_target_than_the_chain_asks_for() -> Invalid {
    let mut node = MemoryNode::default();
    let mut draft = node.draft(Vec::new());
    // Harder than asked for is wrong as well: otherwise a miner could choose its block's weight.
    draft.header.target = CompactTarget::new(0x207f_fffe);
    let block = node.seal(draft);
    let reason = refused_by_engine(&mut node, &block);
    assert_eq!(reason, Invalid::Target { bits: 0x207f_fffe, expected: EASIEST.bits() });
    reason
}

pub(crate) fn a_time_not_after_the_median() -> Invalid {
    let mut node = MemoryNode::default();
    node.extend_by(20);
    let median = node.engine().tip_position().median_time();
    let sixth_last = node.active_blocks()[14].header().timestamp;
    assert_eq!(median, sixth_last, "the median of eleven is the sixth");
    let at = |node: &MemoryNode, timestamp| {
        let mut draft = node.draft(Vec::new());
        draft.header.timestamp = timestamp;
        node.seal(draft)
    };
    let block = at(&node, median);
    let reason = refused_by_engine(&mut node, &block);
    assert_eq!(reason, Invalid::TimeTooOld { timestamp: median, median });
    let just_after = at(&node, Timestamp::new(median.get() + 1));
    assert_eq!(node.accept(&just_after), Ok(Outcome::Extended), "a clock may step back, but not behind the median");
    reason
}

pub(crate) fn a_time_too_far_in_the_future() -> Invalid {
    let mut node = MemoryNode::default();
    let block = node.mine(Vec::new());
    let timestamp = block.header().timestamp;
    let acceptable_at = Timestamp::new(timestamp.get() - node.spec().max_drift_ms);
    let early = Timestamp::new(acceptable_at.get() - 1);
    let Err(Refused::Invalid(reason)) = node.accept_at(&block, early) else { panic!("not refused") };
    assert_eq!(reason, Invalid::TimeTooNew { timestamp, acceptable_at });
    assert!(!reason.is_final(), "waiting cures it");
    assert!(node.accept_at(&block, acceptable_at).is_ok(), "accepted when it is due");
    reason
}

pub(crate) fn a_branch_that_left_too_far_back() -> Invalid {
    let mut node = MemoryNode::new(ChainSpec { max_reorg_depth: 5, ..easy_spec() });
    let mut rival = node.rival();
    let branch = rival.extend_by(7);
    node.extend_by(5);
    assert_eq!(node.accept(&branch[0]), Ok(Outcome::SideBranch), "as deep as is allowed");
    node.extend(Vec::new());
    let reason = refused_by_engine(&mut node, &branch[1]);
    assert_eq!(reason, Invalid::ForkTooDeep { depth: 6, limit: 5 });
    assert!(!reason.is_final(), "on another node's chain it may be right");
    reason
}

pub(crate) fn a_branch_that_left_below_the_state_a_node_began_with() -> Invalid {
    let mut node = MemoryNode::default();
    node.extend_by(3);
    let mut below = node.rival();
    node.extend(Vec::new());
    let mut at = node.rival();
    // As after a start from the state at height 4.
    let restored = Restored { floor: Height::new(4), ..parts(node.engine()) };
    node.replace_engine(Engine::restore(Arc::clone(node.spec()), restored));
    node.extend_by(2);
    let heavier = below.extend_by(5);
    let reason = refused_by_engine(&mut node, &heavier[0]);
    assert_eq!(reason, Invalid::ForkBelowStart { fork: Height::new(3), floor: Height::new(4) });
    assert!(!reason.is_final(), "a node with the whole chain may take it");
    let unknown = refused_by_engine(&mut node, &heavier[1]);
    assert_eq!(unknown, Invalid::UnknownParent { parent: heavier[0].id() }, "nothing of the branch is kept");
    let outcomes: Vec<_> = at.extend_by(3).iter().map(|block| node.accept(block)).collect();
    let expected = [Ok(Outcome::SideBranch), Ok(Outcome::SideBranch), Ok(Outcome::Reorganised)];
    assert_eq!(outcomes, expected, "down to that state it goes back as any node");
    reason
}

/// So many blocks, each by another miner than any before.
fn by_others(node: &mut MemoryNode, count: usize, make: impl Fn(&MemoryNode) -> Arc<Isolated>) -> Vec<Arc<Isolated>> {
    let mut made = Vec::new();
    for _ in 0..count {
        let mut miner = *node.miner.as_bytes();
        let number = u64::from_le_bytes(miner[..8].try_into().expect("8 bytes")).wrapping_add(1);
        miner[..8].copy_from_slice(&number.to_le_bytes());
        node.miner = Address::new(miner);
        made.push(make(node));
    }
    made
}

pub(crate) fn one_branch_more_than_are_kept() -> Invalid {
    let mut node = MemoryNode::new(ChainSpec { max_reorg_depth: 3, ..easy_spec() });
    let mut other = node.rival();
    node.extend_by(3);
    // Twice the deepest reorganisation and 1,024 to spare: no block has many children, and each but the last has some.
    let mut layers = vec![by_others(&mut other, 10, |other| other.mine(Vec::new()))];
    for _ in 0..2 {
        let above = layers.last().expect("one").clone();
        let layer = above.iter().flat_map(|parent| by_others(&mut other, 10, |other| other.child_of(parent)));
        layers.push(layer.collect());
    }
    let (mut side, mut last) = (layers[..2].concat(), layers[2].clone());
    let first_of_each: Vec<_> = last.chunks(10).map(|siblings| siblings[0].clone()).collect();
    last.retain(|block| !first_of_each.contains(block));
    side.extend(first_of_each);
    side.extend(last);
    let (kept, more) = side.split_at(1_030);
    for block in kept {
        assert_eq!(node.accept(block), Ok(Outcome::SideBranch));
    }
    let reason = refused_by_engine(&mut node, &more[0]);
    assert!(!reason.is_final());
    reason
}

#[test]
fn many_children_of_one_block_keep_no_other_branch_out() {
    let mut node = MemoryNode::new(ChainSpec { max_reorg_depth: 4, ..easy_spec() });
    let rival = node.rival();
    let blocks = node.extend_by(2);
    // As much work as the tip, each of them, and more of them than are kept.
    for sibling in by_others(&mut node.clone(), 1_100, |other| other.child_of(&blocks[0])) {
        assert_eq!(node.accept(&sibling), Ok(Outcome::SideBranch));
    }
    let side = node.engine().tree().nodes().count() - 3;
    assert_eq!(side, 2 * 4 + 1_024, "no more than are kept");
    let mut heavier = rival.clone();
    let outcomes: Vec<_> = heavier.extend_by(3).iter().map(|block| node.accept(block)).collect();
    assert_eq!(outcomes, [Ok(Outcome::SideBranch), Ok(Outcome::SideBranch), Ok(Outcome::Reorganised)]);
    assert_eq!(node.tip(), heavier.tip());
}

pub(crate) fn another_state_than_the_header_says() -> Invalid {
    let mut node = MemoryNode::default();
    node.extend(vec![node.sign("alice", 0, 0, request("projector"))]);
    let mut draft = node.draft(Vec::new());
    draft.header.state_root = node.engine().commitment().root();
    let block = node.seal(draft);
    let reason = refused_by_engine(&mut node, &block);
    assert!(reason.is_final());
    assert!(node.accept(&node.mine(Vec::new())).is_ok(), "the same with the right root passes");
    reason
}

pub(crate) fn a_reward_that_does_not_fit() -> Invalid {
    // No checked specification is like this one: it pays more than any supply.
    let subsidy = Subsidy { amount: u64::MAX, halving_interval: 0, last_height: 1 };
    let mut node = MemoryNode::new(ChainSpec { subsidy, ..easy_spec() });
    node.miner = address("alice");
    let block = node.mine(Vec::new());
    let full = refused_by_engine(&mut node, &block);
    assert_eq!(full, Invalid::RewardOverflow, "alice has something already");
    node.miner = Address::new([1; 32]);
    let with_fee = node.mine(vec![node.sign("bob", 0, 1, record("fee"))]);
    let reason = refused_by_engine(&mut node, &with_fee);
    let free = node.mine(vec![node.sign("bob", 0, 0, Action::Record { content_type: "a".into(), bytes: vec![] })]);
    assert_eq!(transactions_root(free.block()), free.header().transactions_root);
    assert_eq!(node.engine().accept(&free, node.late(), &node).map(|effects| effects.outcome), Ok(Outcome::Extended));
    reason
}
