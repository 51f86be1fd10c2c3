//! The crash matrix of starting: the machine stops after every operation of a store that is being opened and mended.

use std::collections::BTreeMap;

use redb::Builder;

use super::{
    chain::Node,
    crash::{Mends, Recording, closed, print},
    damage::make_other_format,
    picture::Story,
    simulated::SimDisk,
    suspicion::{by_carol, garble_balance},
};
use crate::store::{disk::Disk, index, open::INDEX, suspect::SUSPECT};

const LOG: &str = "chain.log";

type Files = BTreeMap<String, Vec<u8>>;

/// What a killed process leaves that has taken all blocks, the index with the first of them alone.
fn killed(story: &Story, in_the_index: usize) -> Files {
    let disk = SimDisk::holding(closed(story, in_the_index));
    let mut node = Node::on(&disk).unwrap();
    for block in &story.blocks[in_the_index..] {
        node.give(block);
        node.store.sync().unwrap();
    }
    disk.files()
}

fn without_the_last(mut files: Files, name: &str, bytes: usize) -> Files {
    let content = files.get_mut(name).unwrap();
    content.truncate(content.len() - bytes);
    files
}

/// What is left of a node that mined two blocks, after all of a story, by a balance that nobody has.
fn misled(story: &Story) -> Files {
    let disk = garble_balance(closed(story, story.blocks.len()));
    let mut node = Node::with_index_checked(&disk, 0).unwrap();
    node.mine(&[by_carol(&node.reader())]);
    node.mine(&[]);
    drop(node);
    let mut files = disk.files();
    files.insert(SUSPECT.into(), b"garbled".to_vec());
    files
}

#[test]
fn crash_matrix_of_starts() {
    let story = Story::eventful();
    let all = story.blocks.len();
    let whole = closed(&story, all);
    let with_index = |index: Vec<u8>| Files::from([(LOG.into(), whole[LOG].clone()), (INDEX.into(), index)]);
    let mut other_format = SimDisk::holding(whole.clone());
    make_other_format(&other_format.database(&Builder::new(), INDEX).unwrap(), index::FORMAT + 1);
    other_format = SimDisk::holding(other_format.files());
    let shorter = closed(&story, all - 1);
    let mut ahead = whole.clone();
    ahead.insert(LOG.into(), whole[LOG][..shorter[LOG].len()].to_vec());
    let suspect = |content: &[u8]| {
        let mut files = killed(&story, 4);
        files.insert(SUSPECT.into(), content.to_vec());
        files
    };
    let log_alone = Files::from([(LOG.into(), whole[LOG].clone())]);
    let starts = [
        Recording::of_opening("an empty directory", Files::new(), 0),
        Recording::of_opening("a log that goes on where the index ends", killed(&story, 4), all),
        Recording::of_opening("a torn end", without_the_last(killed(&story, 4), LOG, 7), all - 1),
        Recording::of_opening("no index", log_alone, all).which(Mends::MakesAnew),
        Recording::of_opening("an index of another version", other_format.files(), all).which(Mends::MakesAnew),
        Recording::of_opening("an index that is none", with_index(b"not an index".to_vec()), all)
            .which(Mends::SetsAside),
        Recording::of_opening("an index without its end", without_the_last(whole.clone(), INDEX, 9_000), all)
            .which(Mends::SetsAside),
        Recording::of_opening("an index that is ahead of the log", ahead, all - 1).which(Mends::SetsAside),
        Recording::of_opening("an index that may be garbled", suspect(b""), all),
        Recording::of_opening("an index that was found garbled", suspect(b"garbled"), all).which(Mends::SetsAside),
        Recording::of_opening("blocks that were mined on a garbled index", misled(&story), all).which(Mends::Cuts),
    ];
    for start in starts {
        print(&start.matrix(&story, 1));
    }
}
