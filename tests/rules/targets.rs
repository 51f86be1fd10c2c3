//! Targets: a fixed one stays, ASERT's follow the blocks' times, and the heavier branch is not always the longer.

use bard_chain::{
    block::Block,
    engine::Outcome,
    invalid::Invalid,
    spec::{ChainSpec, Difficulty},
    target::{CompactTarget, Target},
    units::Timestamp,
};
use bard_tests::{
    asert_reference::{Schedule, next_target},
    chain_builder::{EASIEST, MemoryNode, easy_spec},
};

const INTERVAL: u64 = 2_000;
const HALF_LIFE: u64 = 20_000;

fn asert_spec() -> ChainSpec {
    ChainSpec {
        difficulty: Difficulty::Asert { half_life_ms: HALF_LIFE },
        target_interval_ms: INTERVAL,
        // An average of 64 hashes a block, with room below the easiest.
        initial_target: CompactTarget::new(0x2003_ffff),
        ..easy_spec()
    }
}

/// The block after the tip, so many milliseconds after it.
fn draft_after(node: &MemoryNode, ms: u64) -> Block {
    let mut draft = node.draft(Vec::new());
    if node.height() > 0 {
        draft.header.timestamp = Timestamp::new(node.engine().tip().timestamp.get() + ms);
    }
    draft
}

fn extend_after(node: &mut MemoryNode, ms: u64) -> u32 {
    let block = node.seal(draft_after(node, ms));
    assert_eq!(node.accept(&block), Ok(Outcome::Extended));
    block.header().target.bits()
}

fn expanded(bits: CompactTarget) -> Target {
    bits.expand().expect("a target")
}

#[test]
fn a_fixed_target_stays_however_fast_the_blocks_come() {
    let mut node = MemoryNode::default();
    for ms in [1, 100_000, 1, 1, 50_000_000] {
        assert_eq!(extend_after(&mut node, ms), EASIEST.bits());
    }
}

#[test]
fn asert_follows_the_times_of_the_blocks_as_specified() {
    let spec = asert_spec();
    let mut node = MemoryNode::new(spec.clone());
    extend_after(&mut node, 0);
    let anchor = node.engine().tip().timestamp.get();
    let schedule = Schedule {
        anchor_height: 1,
        anchor_parent_time: i64::try_from(anchor - INTERVAL).expect("a time"),
        anchor_target: expanded(spec.initial_target).value(),
        interval: INTERVAL,
        half_life: HALF_LIFE,
        easiest: expanded(spec.easiest_target).value(),
    };
    let mut seen = std::collections::BTreeSet::new();
    // On time, a burst, a long pause, then on time again.
    let times = [[INTERVAL; 5], [10; 5], [30_000; 5], [INTERVAL; 5], [400_000; 5]].concat();
    for ms in times {
        let tip = node.engine().tip();
        let time = i64::try_from(tip.timestamp.get()).expect("a time");
        let expected = Target::new(next_target(&schedule, tip.height.get(), time)).expect("not zero").compact();
        assert_eq!(extend_after(&mut node, ms), expected.bits(), "after height {}", tip.height);
        seen.insert(expected.bits());
    }
    assert!(seen.len() >= 8, "the target moved: {seen:x?}");
    assert!(seen.contains(&spec.easiest_target.bits()), "and reached its end");
    node.assert_invariants();
}

#[test]
fn another_target_than_asert_s_is_refused() {
    let mut node = MemoryNode::new(asert_spec());
    extend_after(&mut node, 0);
    extend_after(&mut node, 10);
    let right = draft_after(&node, INTERVAL);
    let expected = right.header.target.bits();
    for bits in [asert_spec().initial_target.bits(), expected - 1, expected + 1] {
        let mut wrong = right.clone();
        wrong.header.target = CompactTarget::new(bits);
        let block = node.seal(wrong);
        assert_eq!(node.accept(&block), Err(Invalid::Target { bits, expected }.into()));
    }
    let block = node.seal(right);
    assert_eq!(node.accept(&block), Ok(Outcome::Extended));
}

#[test]
fn more_work_wins_not_more_blocks() {
    let mut fast = MemoryNode::new(asert_spec());
    let mut slow = fast.rival();
    // Quick blocks are hard ones: eight of them weigh more than ten slow ones.
    for _ in 0..8 {
        extend_after(&mut fast, 10);
    }
    for _ in 0..10 {
        extend_after(&mut slow, 60_000);
    }
    assert!(slow.height() > fast.height() && fast.engine().tip().work > slow.engine().tip().work);
    let mut node = slow.clone();
    let mut moved = false;
    for block in fast.active_blocks() {
        moved |= node.accept(&block) == Ok(Outcome::Reorganised);
    }
    assert!(moved);
    node.assert_same_as(&fast);
    node.assert_invariants();
    for block in slow.active_blocks() {
        let _known = fast.accept(&block).expect("kept beside");
    }
    node.assert_same_as(&fast);
}

#[test]
fn each_branch_is_measured_from_its_own_first_block() {
    let mut early = MemoryNode::new(asert_spec());
    let mut late = early.rival();
    extend_after(&mut early, 0);
    let mut first = late.draft(Vec::new());
    first.header.timestamp = Timestamp::new(first.header.timestamp.get() + 3_600_000);
    let first = late.seal(first);
    assert_eq!(late.accept(&first), Ok(Outcome::Extended));
    for node in [&mut early, &mut late] {
        for _ in 0..4 {
            assert_eq!(extend_after(node, INTERVAL), asert_spec().initial_target.bits(), "on schedule");
        }
    }
    for block in late.active_blocks() {
        assert_eq!(early.accept(&block), Ok(Outcome::SideBranch));
    }
    extend_after(&mut late, INTERVAL);
    let heavier = late.active_blocks().pop().expect("not empty");
    assert_eq!(early.accept(&heavier), Ok(Outcome::Reorganised));
    early.assert_same_as(&late);
}
