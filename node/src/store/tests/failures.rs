//! What cannot be done is said, and changes nothing.

use std::{
    cell::Cell,
    fs::{self, File},
    io,
    sync::Arc,
};

use bard_chain::{engine::Effects, source::Source, spec::ChainSpec};

use super::chain::{Chain, Node, spec};
use crate::store::{
    Store, StoreError,
    disk::{Dir, Medium},
    header::FORMAT_WITH_BASE,
    index::IndexError,
    log::{FRAME_LEN, Log},
    overlay::LARGE_COMMITS,
    record::Payload,
};

#[test]
fn a_directory_is_for_one_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::open(dir.path());
    let error = Node::try_open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }));
    assert!(error.to_string().contains(&dir.path().display().to_string()), "{error}");
    let reader = node.reader();
    drop(node);
    Node::open(dir.path());
    assert!(reader.accounts(None, 1).is_err(), "a reader left over is told that the store is closed");
}

#[cfg(unix)]
#[test]
fn the_directory_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("a/b");
    drop(Node::open(&inner));
    assert_eq!(fs::metadata(inner).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn another_chain_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(Node::open(dir.path()));
    let other = ChainSpec { name: "other".into(), ..(*spec()).clone() };
    let error = Store::open(dir.path(), Arc::new(other.clone())).unwrap_err();
    assert!(matches!(&error, StoreError::OtherChain { found, expected, .. }
        if *found == spec().chain_id() && *expected == other.chain_id()));
}

#[test]
fn another_format_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(Node::open(dir.path()));
    let path = dir.path().join("chain.log");
    let mut log = fs::read(&path).unwrap();
    log[8..12].copy_from_slice(&(FORMAT_WITH_BASE + 1).to_le_bytes());
    fs::write(&path, &log).unwrap();
    let error = Node::try_open(dir.path()).unwrap_err();
    assert!(
        matches!(error, StoreError::FormatVersion { found, known: FORMAT_WITH_BASE, .. } if found == FORMAT_WITH_BASE + 1)
    );
    assert_eq!(fs::read(&path).unwrap(), log);
}

#[test]
fn what_is_not_a_log_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chain.log");
    for content in [b"my diary".to_vec(), vec![b'x'; 4096]] {
        fs::write(&path, &content).unwrap();
        assert!(matches!(Node::try_open(dir.path()).unwrap_err(), StoreError::Damaged { offset: 0, .. }));
        assert_eq!(fs::read(&path).unwrap(), content);
    }
}

#[test]
fn a_commit_that_cannot_be_written_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut chain = Chain::new(spec());
    chain.mine_many(3);
    let mut node = Node::open(dir.path());
    node.take_all(&chain.blocks);
    let shorter = chain.clone();
    let effects = node.accept(&chain.mine_some());
    // Effects that name a block nobody has.
    let mut unknown = effects.clone();
    unknown.disconnected = vec![bard_chain::hash::BlockId::new([7; 32])];
    assert!(matches!(node.store.append(&unknown).unwrap_err(), StoreError::Read(_)));
    node.assert_is(&shorter);
    node.store.append(&effects).unwrap();
    node.engine.adopt(&effects);
    node.assert_is(&chain);
    drop(node);
    Node::open(dir.path()).assert_is(&chain);
}

#[test]
fn memory_stays_bounded_where_the_index_takes_nothing_more() {
    let dir = tempfile::tempdir().unwrap();
    let mut chain = Chain::new(spec());
    // Three layers that are full.
    let most = 3 * LARGE_COMMITS;
    chain.mine_many(most + 32);
    let mut node = Node::open(dir.path());
    node.store.flusher.stop();
    node.take_all(&chain.blocks[..most]);
    let effects = node.accept(&chain.blocks[most]);
    for _ in 0..2 {
        assert!(matches!(node.store.append(&effects).unwrap_err(), StoreError::Index(_)));
    }
    assert_eq!(node.reader().block(&chain.blocks[0].id()).unwrap(), chain.blocks[0], "what there is can be read");
    assert!(matches!(node.store.close().unwrap_err(), StoreError::Index(_)));
    let mut node = Node::open(dir.path());
    node.take_all(&chain.blocks[most..]);
    node.assert_is(&chain);
}

#[test]
fn an_index_that_the_file_system_does_not_give_back_ends_the_store_and_one_that_is_garbled_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::open(dir.path());
    let shared = &node.store.reader.shared;
    assert!(shared.read::<()>(Err(IndexError::Damaged("a history is garbled".into()))).is_err());
    assert!(node.store.failure().is_none(), "what a question can bring about again stops nobody");
    // As redb says of everything after a failed read or write.
    for error in [redb::Error::Io(io::Error::other("an unreadable sector")), redb::Error::PreviousIo] {
        assert!(shared.read::<()>(Err(error.into())).is_err());
        let failure = node.store.failure().expect("a failure").to_string();
        assert!(failure.contains("start the node again to have it repaired: an unreadable sector"), "{failure}");
    }
}

/// A file that takes only so many bytes more, the last of them in a short write.
#[derive(Debug)]
struct Narrow {
    file: File,
    room: Cell<usize>,
    cuts: bool,
}

impl Medium for Narrow {
    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        Medium::read_exact_at(&self.file, buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let taken = bytes.len().min(self.room.get());
        self.room.set(self.room.get() - taken);
        self.file.write_all_at(&bytes[..taken], offset)?;
        if taken < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        if self.cuts { self.file.set_len(length) } else { Err(io::ErrorKind::Other.into()) }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

fn some_effects() -> Effects {
    let mut chain = Chain::new(spec());
    let dir = tempfile::tempdir().unwrap();
    let node = Node::open(dir.path());
    node.accept(&chain.mine_some())
}

#[test]
fn a_short_write_is_cut_back() {
    let dir = tempfile::tempdir().unwrap();
    let effects = some_effects();
    for cuts in [true, false] {
        let path = dir.path().join(format!("{cuts}.log"));
        let (_, reader) =
            Log::open(&Dir(dir.path().into()), &format!("{cuts}.log"), path.clone(), spec().chain_id()).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        let mut log = Log::on(Narrow { file, room: Cell::new(2000), cuts }, *reader.salt(), path.clone());
        let first = log.append(Payload::of(&effects, FRAME_LEN)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), first.end);
        log.medium.room.set(100);
        let error = log.append(Payload::of(&effects, FRAME_LEN)).unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }), "{error}");
        log.medium.room.set(usize::MAX);
        let next = log.append(Payload::of(&effects, FRAME_LEN));
        if cuts {
            let next = next.unwrap();
            assert_eq!(next.start, first.end);
            assert!(reader.holds(&next, next.end).unwrap());
        } else {
            assert!(
                matches!(next.unwrap_err(), StoreError::Stopped(_)),
                "nothing is written after what cannot be cut off"
            );
        }
    }
}
