//! The crash matrix: the machine stops after every single operation of the store on the disk, and each time what was not
//! synced is lost in one way after the other. Each time the store opens again, to what was acknowledged or was being written.
//!
//! What the store does is written down once, on a disk in memory, and gone through from there: a crash at operation `n` is
//! the disk after the first `n`. The tests print a line for each operation: `cargo test --workspace crash_matrix -- --nocapture`.

use std::{collections::BTreeMap, ops::RangeInclusive};

use rayon::prelude::*;

use super::{
    chain::{Chain, Node, spec},
    picture::{Picture, Story, listed_root},
    simulated::{Loss, Machine, Op, SimDisk},
};

/// After so many operations of the disk, so many blocks were being written or were already, and so many of them were
/// acknowledged: they must be there whatever happens.
#[derive(Clone, Copy, Debug)]
struct Mark {
    done: usize,
    begun: usize,
    acknowledged: usize,
}

/// What a store did to a disk.
pub(super) struct Recording {
    name: &'static str,
    before: BTreeMap<String, Vec<u8>>,
    ops: Vec<Op>,
    marks: Vec<Mark>,
    /// What is expected of it besides.
    mends: Mends,
}

/// What a store does to a directory that is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mends {
    /// At most it drops a torn end.
    Nothing,
    /// It makes the index anew.
    MakesAnew,
    /// It sets the index aside, too.
    SetsAside,
    /// It cuts off the log what does not add up, too.
    Cuts,
}

/// A store at work on a disk, observed.
struct Observed {
    disk: SimDisk,
    before: BTreeMap<String, Vec<u8>>,
    marks: Vec<Mark>,
}

impl Observed {
    /// On a disk that holds these files, with this many blocks in them.
    fn on(before: BTreeMap<String, Vec<u8>>, blocks: usize) -> Self {
        let mark = Mark { done: 0, begun: blocks, acknowledged: blocks };
        Self { disk: SimDisk::holding(before.clone()), before, marks: vec![mark] }
    }

    fn mark(&mut self, begun: usize, acknowledged: usize) {
        self.marks.push(Mark { done: self.disk.count(), begun, acknowledged });
    }

    /// Opens the store, gives it blocks in groups of this many, and closes it. Before a group is durable nobody is told of it.
    fn live(&mut self, story: &Story, blocks: std::ops::Range<usize>, group: usize) {
        let mut node = Node::on(&self.disk).unwrap();
        let mut acknowledged = blocks.start;
        for part in blocks.collect::<Vec<_>>().chunks(group) {
            let told = node.store.reader().tip();
            for number in part {
                self.mark(number + 1, acknowledged);
                node.give(&story.blocks[*number]);
                assert_eq!(node.store.reader().tip(), told, "block {number} is not durable");
            }
            node.store.sync().unwrap();
            assert_eq!(node.store.reader().tip(), node.store.newest().tip());
            acknowledged += part.len();
            self.mark(acknowledged, acknowledged);
        }
        node.store.close().unwrap();
    }

    fn recorded(self, name: &'static str) -> Recording {
        Recording { name, before: self.before, ops: self.disk.done(), marks: self.marks, mends: Mends::Nothing }
    }
}

impl Recording {
    /// Opening, and closing again, a store whose files are these, with this many blocks in them.
    pub(super) fn of_opening(name: &'static str, files: BTreeMap<String, Vec<u8>>, blocks: usize) -> Self {
        let observed = Observed::on(files, blocks);
        Node::on(&observed.disk).unwrap().store.close().unwrap();
        let recording = observed.recorded(name);
        assert!(!recording.ops.is_empty(), "{name}: nothing was written");
        recording
    }

    pub(super) fn which(self, mends: Mends) -> Self {
        Self { mends, ..self }
    }

    /// Whether two pictures are the same, as far as they should be.
    fn same(&self, one: &Picture, two: &Picture) -> bool {
        one == two || self.mends >= Mends::MakesAnew && one.without_verdicts() == two.without_verdicts()
    }

    /// How many blocks there may be after the first `done` operations.
    fn allowed(&self, done: usize) -> RangeInclusive<usize> {
        let past = || self.marks.iter().filter(|mark| mark.done <= done);
        let most = |number: fn(&Mark) -> usize| past().map(number).max().unwrap_or_default();
        most(|mark| mark.acknowledged)..=most(|mark| mark.begun)
    }

    /// Stops after each `stride`-th operation, loses what was not synced in each way, and lets `check` see what is left.
    fn crash<F>(&self, stride: usize, check: F) -> Vec<String>
    where
        F: Fn(BTreeMap<String, Vec<u8>>, RangeInclusive<usize>, bool) -> String + Sync,
    {
        let mut table =
            vec![format!("{}: {} operations; kept, lost, half, last, zeros, some", self.name, self.ops.len())];
        let mut machine = Machine::holding(&self.before);
        for done in 0..=self.ops.len() {
            if done % stride == 0 || done == self.ops.len() {
                let outcomes: Vec<_> = Loss::ALL
                    .into_par_iter()
                    .map(|loss| {
                        let files = machine.stopped(loss);
                        let whole = done % (7 * stride) == 0;
                        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                            check(files, self.allowed(done), whole)
                        }))
                        .unwrap_or_else(|_| panic!("{}, after {done} operations, {loss:?}", self.name))
                    })
                    .collect();
                let last = done.checked_sub(1).map_or_else(|| "nothing".to_owned(), |last| self.ops[last].to_string());
                table.push(format!("{done:5} {last:42} {}", outcomes.join(" ")));
            }
            if let Some(op) = self.ops.get(done) {
                machine.run(op);
            }
        }
        table
    }

    /// The matrix of a story: after each operation, all that can be read is as it was after one of the blocks that may be
    /// the last. In the table, its number, and `-` where a torn end was dropped, `i` where the index was made anew, `s` where
    /// it was suspect.
    pub(super) fn matrix(&self, story: &Story, stride: usize) -> Vec<String> {
        self.crash(stride, |files, allowed, whole| self.reopens(story, files, allowed, whole))
    }

    fn reopens(
        &self,
        story: &Story,
        files: BTreeMap<String, Vec<u8>>,
        allowed: RangeInclusive<usize>,
        whole: bool,
    ) -> String {
        let disk = SimDisk::holding(files);
        let mut node = Node::on(&disk).unwrap();
        let said = self.said(&node.repairs);
        let picture = Picture::of(&node, &story.blocks);
        let place = allowed.clone().rev().find(|place| self.same(&story.pictures[*place], &picture));
        let place = place.unwrap_or_else(|| panic!("not {allowed:?} but {:?}: {picture:?}", story.place_of(&picture)));
        if whole {
            story.blocks[place..].iter().for_each(|block| node.give(block));
            node.store.sync().unwrap();
            let last = story.pictures.last().unwrap();
            assert!(self.same(&Picture::of(&node, &story.blocks), last), "where it goes on");
            node.store.close().unwrap();
            let node = Node::on(&disk).unwrap();
            assert_eq!(node.repairs, Vec::<String>::new());
            assert!(self.same(&Picture::of(&node, &story.blocks), last), "opened once more");
        }
        format!("{place:2}{said}")
    }

    /// At most one line, and none that says that the index was ahead of the log or damaged, unless it was so before; besides one
    /// that something was cut off the log, where that is expected.
    fn said(&self, repairs: &[String]) -> &'static str {
        let (cut, repairs): (Vec<_>, Vec<_>) =
            repairs.iter().partition(|line| line.contains("does not add up from byte"));
        assert!(repairs.len() <= 1 && cut.len() <= usize::from(self.mends == Mends::Cuts), "{repairs:?} {cut:?}");
        match repairs.first() {
            None => " ",
            Some(line) if line.contains("unfinished write") => "-",
            Some(line) if line.contains("it was checked, and is whole") => "s",
            Some(line)
                if ["was missing", "was unfinished", "another version"].iter().any(|what| line.contains(what)) =>
            {
                "i"
            }
            // A start before this one was cut short when it was about to cut the log.
            Some(line) if self.mends == Mends::Cuts && line.contains("was being made anew and did not add up") => "i",
            Some(line) => {
                assert!(self.mends >= Mends::SetsAside && line.contains("set aside"), "{line}");
                "i"
            }
        }
    }
}

/// Prints a table, for whoever wants to see it.
#[allow(clippy::print_stdout, reason = "the table is the test's account of what it tried")]
pub(super) fn print(table: &[String]) {
    table.iter().for_each(|line| println!("{line}"));
}

/// The files of a closed store that has the first blocks of a story.
pub(super) fn closed(story: &Story, blocks: usize) -> BTreeMap<String, Vec<u8>> {
    let mut observed = Observed::on(BTreeMap::new(), 0);
    observed.live(story, 0..blocks, 1);
    observed.disk.files()
}

#[test]
fn crash_matrix_of_commits() {
    let story = Story::eventful();
    let all = story.blocks.len();
    assert!(story.pictures.iter().any(|picture| picture.length() == 8), "the way back");
    let mut one_by_one = Observed::on(BTreeMap::new(), 0);
    one_by_one.live(&story, 0..all, 1);
    print(&one_by_one.recorded("one block at a time, from an empty directory").matrix(&story, 1));
    let mut later = Observed::on(closed(&story, 4), 4);
    later.live(&story, 4..all, 3);
    print(&later.recorded("three blocks at a time, from four").matrix(&story, 1));
}

/// Hundreds of blocks, so that the index is written beside the log, by another thread.
fn long() -> (Chain, Recording) {
    let mut chain = Chain::new(spec());
    chain.mine_many(LONG);
    let mut observed = Observed::on(BTreeMap::new(), 0);
    let mut node = Node::on(&observed.disk).unwrap();
    for (number, block) in (0..).zip(&chain.blocks) {
        observed.mark(number + 1, number);
        node.take(block);
        observed.mark(number + 1, number + 1);
    }
    node.store.close().unwrap();
    (chain, observed.recorded("the index is written beside the log"))
}

/// Two layers that are handed on while the chain grows, and some blocks more.
const LONG: usize = 540;

fn crash_long(stride: usize) {
    let (chain, recording) = long();
    print(&recording.crash(stride, |files, allowed, _| {
        let node = Node::on(&SimDisk::holding(files)).unwrap();
        let said = recording.said(&node.repairs);
        let (tip, height) = node.reader().tip();
        let number = height.get() as usize;
        assert!(allowed.contains(&number), "{number}, not {allowed:?}");
        let header = node.reader().header(&tip).unwrap().unwrap();
        assert_eq!(listed_root(&node.reader()), header.state_root);
        if number > 0 {
            assert_eq!(tip, chain.blocks[number - 1].id());
        }
        let known = chain.blocks[..number].iter().all(|block| node.reader().is_active(&block.id()).unwrap());
        assert!(known, "a block below is not there");
        format!("{number:3}{said}")
    }));
}

#[test]
fn crash_matrix_of_flushes() {
    crash_long(131);
}

#[test]
#[ignore = "every operation of a long chain takes a minute or more: docs/operating.md says how"]
fn crash_matrix_of_flushes_whole() {
    crash_long(1);
}
