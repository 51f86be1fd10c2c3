//! What crashes and bad disks leave behind is mended, or refused with a line that says what to do.

use std::{
    fs,
    path::{Path, PathBuf},
};

use redb::TableDefinition;

use super::chain::{Chain, Node, spec};
use crate::store::{StoreError, disk::Dir, header, index, log, open::INDEX};

fn log_of(dir: &Path) -> PathBuf {
    dir.join("chain.log")
}

fn open_log(dir: &Path) -> (log::Log, log::LogReader) {
    log::Log::open(&Dir(dir.into()), "chain.log", log_of(dir), spec().chain_id()).unwrap()
}

/// Copies a data directory, but for its lock.
fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for name in ["chain.log", INDEX] {
        if from.join(name).exists() {
            fs::copy(from.join(name), to.path().join(name)).unwrap();
        }
    }
    to
}

/// A directory with a chain; all of it is in the index if the store was closed, else none.
fn written(chain: &Chain, closed: bool) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::open(dir.path());
    node.take_all(&chain.blocks);
    if closed {
        node.store.close().unwrap();
    }
    dir
}

fn flip(path: &Path, at: u64) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at as usize] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_commit_torn_at_any_byte_never_was() {
    let mut chain = Chain::new(spec());
    chain.mine_many(2);
    let before = fs::metadata(log_of(written(&chain, false).path())).unwrap().len();
    let shorter = chain.clone();
    chain.mine_some();
    let dir = written(&chain, false);
    let whole = fs::read(log_of(dir.path())).unwrap();
    let torn = copy(dir.path());
    let (_, reader) = open_log(torn.path());
    for length in (before..whole.len() as u64).rev() {
        fs::OpenOptions::new().write(true).open(log_of(torn.path())).unwrap().set_len(length).unwrap();
        assert!(reader.record(before, length).unwrap().is_none(), "{length}");
        assert!(!reader.was_durable(before, length).unwrap(), "{length}");
    }
    for length in (before..whole.len() as u64).step_by(37) {
        let torn = copy(dir.path());
        fs::write(log_of(torn.path()), &whole[..length as usize]).unwrap();
        let mut node = Node::open(torn.path());
        let dropped = length - before;
        assert_eq!(node.repairs.len(), usize::from(dropped > 0), "{length}");
        assert!(node.repairs.iter().all(|line| line.contains(&format!(" {dropped} bytes"))), "{:?}", node.repairs);
        node.assert_is(&shorter);
        node.take(&chain.blocks[2]);
        drop(node);
        let node = Node::open(torn.path());
        assert_eq!(node.repairs, Vec::<String>::new());
        node.assert_is(&chain);
    }
}

#[test]
fn garbage_and_zeros_after_the_last_commit_are_dropped() {
    let mut chain = Chain::new(spec());
    chain.mine_many(2);
    let dir = written(&chain, false);
    let whole = fs::read(log_of(dir.path())).unwrap();
    let records = &whole[header::HEADER_LEN..];
    for tail in [vec![0; 5000], vec![0xff; 3 << 20], records.to_vec()] {
        let torn = copy(dir.path());
        fs::write(log_of(torn.path()), [whole.as_slice(), &tail].concat()).unwrap();
        let node = Node::open(torn.path());
        assert_eq!(node.repairs.len(), 1);
        node.assert_is(&chain);
    }
}

#[test]
fn a_group_that_was_not_synced_may_lose_its_first_commit_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut chain = Chain::new(spec());
    chain.mine_many(2);
    let mut node = Node::open(dir.path());
    node.take_all(&chain.blocks);
    let shorter = chain.clone();
    let start = fs::metadata(log_of(dir.path())).unwrap().len();
    chain.mine_many(3);
    for block in &chain.blocks[2..] {
        let effects = node.accept(block);
        node.store.append(&effects).unwrap();
        node.engine.adopt(&effects);
    }
    drop(node);
    flip(&log_of(dir.path()), start + 100);
    let node = Node::open(dir.path());
    assert_eq!(node.repairs.len(), 1);
    node.assert_is(&shorter);
}

#[test]
fn a_flipped_bit_before_the_end_is_refused() {
    let mut chain = Chain::new(spec());
    chain.mine_many(4);
    let dir = written(&chain, false);
    let (_, reader) = open_log(dir.path());
    let (start, length) = (header::HEADER_LEN as u64, fs::metadata(log_of(dir.path())).unwrap().len());
    let end = reader.record(start, length).unwrap().unwrap().mark.end;
    for at in start..end {
        flip(&log_of(dir.path()), at);
        assert!(reader.record(start, length).unwrap().is_none(), "{at}");
        assert!(reader.was_durable(start, length).unwrap(), "{at}");
        flip(&log_of(dir.path()), at);
    }
    for at in (start..length / 2).step_by(101) {
        let rotten = copy(dir.path());
        flip(&log_of(rotten.path()), at);
        let error = Node::try_open(rotten.path()).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { offset, .. } if offset <= at), "{error}");
        assert!(!error.to_string().contains('\n'));
    }
}

#[test]
fn a_damaged_body_is_noticed_when_it_is_read() {
    let mut chain = Chain::new(spec());
    chain.mine_many(80);
    let dir = written(&chain, true);
    flip(&log_of(dir.path()), header::HEADER_LEN as u64 + 600);
    let node = Node::open(dir.path());
    assert_eq!(node.reader().tip_height(), chain.engine.tip().height, "the index does not need it");
    let error = node.reader().block_bytes(&chain.blocks[0].id()).unwrap_err();
    assert!(error.0.contains("damaged at byte"), "{error}");
}

#[test]
fn without_its_index_a_chain_is_made_anew_from_the_log() {
    let mut chain = Chain::new(spec());
    chain.mine_many(5);
    let dir = written(&chain, true);
    fs::remove_file(dir.path().join(INDEX)).unwrap();
    let node = Node::open(dir.path());
    assert_eq!(node.repairs.len(), 1);
    node.assert_is(&chain);
}

#[test]
fn a_damaged_index_is_set_aside() {
    let mut chain = Chain::new(spec());
    chain.mine_many(5);
    let dir = written(&chain, true);
    let whole = fs::read(dir.path().join(INDEX)).unwrap();
    let half = whole[..whole.len() / 2].to_vec();
    let zeros = vec![0; whole.len()];
    for index in [half, zeros, b"not an index".to_vec()] {
        let damaged = copy(dir.path());
        fs::write(damaged.path().join(INDEX), index).unwrap();
        let node = Node::open(damaged.path());
        assert_eq!(node.repairs.len(), 1);
        assert!(damaged.path().join(format!("{INDEX}.damaged-1")).exists());
        node.assert_is(&chain);
    }
}

#[test]
fn a_flipped_bit_in_the_index_does_no_harm() {
    let mut chain = Chain::new(spec());
    chain.mine_many(5);
    let dir = written(&chain, true);
    let length = fs::metadata(dir.path().join(INDEX)).unwrap().len();
    for at in (0..length).step_by(length as usize / 80) {
        let rotten = copy(dir.path());
        flip(&rotten.path().join(INDEX), at);
        Node::open(rotten.path()).assert_is(&chain);
    }
}

#[test]
fn an_older_index_is_brought_up_to_date() {
    let mut chain = Chain::new(spec());
    chain.mine_many(5);
    let dir = written(&chain, true);
    let older = fs::read(dir.path().join(INDEX)).unwrap();
    let mut node = Node::open(dir.path());
    chain.mine_many(5);
    node.take_all(&chain.blocks[5..]);
    node.store.close().unwrap();
    fs::write(dir.path().join(INDEX), older).unwrap();
    let node = Node::open(dir.path());
    assert_eq!(node.repairs, Vec::<String>::new());
    node.assert_is(&chain);
}

#[test]
fn an_index_of_another_format_is_made_anew() {
    let mut chain = Chain::new(spec());
    chain.mine_many(5);
    let dir = written(&chain, true);
    for format in [1, index::FORMAT + 1] {
        let other = copy(dir.path());
        make_other_format(&redb::Database::open(other.path().join(INDEX)).unwrap(), format);
        let node = Node::open(other.path());
        assert_eq!(node.repairs.len(), 1, "{:?}", node.repairs);
        assert!(node.repairs[0].contains("another version"), "{:?}", node.repairs);
        assert_eq!(fs::read_dir(other.path()).unwrap().count(), 3, "log, index and lock: nothing is set aside");
        node.assert_is(&chain);
        node.store.close().unwrap();
        let node = Node::open(other.path());
        assert_eq!(node.repairs, Vec::<String>::new());
        node.assert_is(&chain);
    }
}

/// Makes an index what another version wrote: another number, another stamp, and without the table of histories.
pub(super) fn make_other_format(database: &redb::Database, format: u32) {
    let transaction = database.begin_write().unwrap();
    let histories: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("histories");
    assert!(transaction.delete_table(histories).unwrap());
    let meta: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
    let mut meta = transaction.open_table(meta).unwrap();
    meta.insert("format", format.to_be_bytes().as_slice()).unwrap();
    meta.insert("stamp", [0x80].as_slice()).unwrap();
    drop(meta);
    transaction.commit().unwrap();
}

#[test]
fn an_index_ahead_of_the_log_or_of_another_log_is_set_aside() {
    let mut chain = Chain::new(spec());
    chain.mine_many(5);
    let dir = written(&chain, true);
    let log = fs::read(log_of(dir.path())).unwrap();
    let mut other = chain.clone();
    other.mine_many(2);
    let elsewhere = written(&other, true);
    let mut node = Node::open(dir.path());
    let mut longer = chain.branch(7);
    longer.mine_many(3);
    node.take_all(&longer.blocks[5..]);
    node.store.close().unwrap();
    let newer = fs::read(dir.path().join(INDEX)).unwrap();
    let of_another = fs::read(elsewhere.path().join(INDEX)).unwrap();
    for index in [newer, of_another] {
        fs::write(log_of(dir.path()), &log).unwrap();
        fs::write(dir.path().join(INDEX), index).unwrap();
        let node = Node::open(dir.path());
        assert_eq!(node.repairs.len(), 1);
        node.assert_is(&chain);
    }
    // Grown again, past where the newer index stood, with other blocks.
    let newer = dir.path().join(format!("{INDEX}.damaged-1"));
    let mut node = Node::open(dir.path());
    chain.mine_many(6);
    node.take_all(&chain.blocks[5..]);
    drop(node);
    fs::rename(newer, dir.path().join(INDEX)).unwrap();
    let node = Node::open(dir.path());
    assert_eq!(node.repairs.len(), 1);
    node.assert_is(&chain);
}

#[test]
fn not_many_damaged_indexes_are_kept() {
    let mut chain = Chain::new(spec());
    chain.mine_many(2);
    let dir = written(&chain, true);
    for _ in 0..6 {
        fs::write(dir.path().join(INDEX), b"not an index").unwrap();
        Node::open(dir.path()).assert_is(&chain);
    }
    assert!(fs::read_dir(dir.path()).unwrap().count() < 8);
}
