//! `pool.log` in the data directory: the pool as it was written last, and after that what was submitted at this node since.
//!
//! | bytes | header |
//! |---|---|
//! | 8 | magic |
//! | 4 | format, little endian, as all numbers here |
//! | 32 | id of the chain |
//! | 4 | CRC-32C of all before |
//!
//! | bytes | each transaction |
//! |---|---|
//! | 4 | length of its bytes |
//! | 8 | when it came into the pool, in ms |
//! | 4 | CRC-32C of both and of the bytes |
//! | | its canonical bytes |
//!
//! What is in it says nothing of what is true: each transaction is checked again, signature included, when it is read.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use bard_chain::{hash::ChainId, rules::isolated::CheckedTransaction, units::Timestamp};

use crate::whole_file::{self, Readers};

/// The name of the file in a data directory.
pub const FILE: &str = "pool.log";
/// First bytes of every such file.
const MAGIC: [u8; 8] = *b"bardpool";
/// The format that is read and written here.
const FORMAT: u32 = 1;
/// Length of the header in bytes.
const HEADER_LEN: usize = 48;
/// Length of what precedes a transaction, in bytes.
const FRAME_LEN: usize = 16;
/// The longest such file that is read, in bytes: more than the largest pool, and what is submitted before it is written anew,
/// come to.
const MAX_LEN: u64 = 1 << 30;

/// So many files that could not be read are kept; for one more the last of them goes.
const MAX_UNREADABLE: u32 = 3;

/// What is wrong with the file, in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// Its content is not what was written.
    Damaged(String),
    /// The system does not give it back now. What is in it may be as good as ever.
    Unreadable(String),
}

impl Problem {
    fn unreadable(error: &io::Error) -> Self {
        Self::Unreadable(format!("cannot be read ({error})"))
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Damaged(what) | Self::Unreadable(what)) = self;
        f.write_str(what)
    }
}

/// A transaction and when it came into the pool.
pub(super) type Kept = (Timestamp, Arc<CheckedTransaction>);

/// The same, as it was read.
pub(super) type Found = (Timestamp, Vec<u8>);

/// The file, to be written.
#[derive(Debug)]
pub(super) struct PoolFile {
    path: PathBuf,
    chain: ChainId,
    /// At its end; `None` until it is written anew.
    open: Option<File>,
    /// Bytes that were added since it was written anew.
    added: u64,
    /// Whether what is there could not be read: nothing is written in its place before it is out of the way.
    in_the_way: bool,
}

impl PoolFile {
    pub(super) fn new(dir: &Path, chain: ChainId) -> Self {
        Self { path: dir.join(FILE), chain, open: None, added: 0, in_the_way: false }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that were added since it was written anew.
    pub(super) const fn added(&self) -> u64 {
        self.added
    }

    /// Reads it: all transactions up to the first damage, none longer than `max_len` bytes, and what is wrong with the file,
    /// in a line.
    pub(super) fn read(&self, max_len: usize) -> (Vec<Found>, Option<Problem>) {
        let mut found = Vec::new();
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return (found, None),
            Err(error) => return (found, Some(Problem::unreadable(&error))),
        };
        let mut input = BufReader::with_capacity(1 << 20, file.take(MAX_LEN));
        let problem = match self.read_header(&mut input) {
            Ok(()) => loop {
                match read_one(&mut input, max_len) {
                    Ok(Some(one)) => found.push(one),
                    Ok(None) => break None,
                    Err(Problem::Damaged(what)) => break Some(Problem::Damaged(after(&what, found.len()))),
                    Err(Problem::Unreadable(what)) => break Some(Problem::Unreadable(after(&what, found.len()))),
                }
            },
            Err(problem) => Some(problem),
        };
        (found, problem)
    }

    fn read_header(&self, input: &mut impl Read) -> Result<(), Problem> {
        let mut bytes = [0; HEADER_LEN];
        input.read_exact(&mut bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => damaged("is too short"),
            _ => Problem::unreadable(&error),
        })?;
        if bytes == header(FORMAT, self.chain) {
            return Ok(());
        }
        let rest = &mut bytes.as_slice();
        let (magic, format): ([u8; 8], [u8; 4]) = (take(rest), take(rest));
        if magic == MAGIC && u32::from_le_bytes(format) > FORMAT {
            return Err(damaged("is of a newer version of this software"));
        }
        Err(damaged("is damaged, or of another chain"))
    }

    /// Copies it beside, in the place of one that was copied there before. Returns where to. It stays where it is until it is
    /// written anew: what is whole in it must outlive a loss of power until then.
    pub(super) fn set_aside(&self) -> io::Result<PathBuf> {
        let aside = self.path.with_extension("log.damaged");
        fs::copy(&self.path, &aside)?;
        File::open(&aside)?.sync_all()?;
        whole_file::sync_dir(&aside)?;
        Ok(aside)
    }

    /// Moves it out of the way, for it cannot be read now. Returns where to. Until that is done, nothing is written.
    pub(super) fn make_way(&mut self) -> io::Result<PathBuf> {
        self.in_the_way = true;
        let mut names = (1..=MAX_UNREADABLE).map(|number| self.path.with_extension(format!("log.unreadable-{number}")));
        // What cannot be looked for may be there.
        let free = names.clone().find(|aside| matches!(aside.try_exists(), Ok(false)));
        let aside = free.or_else(|| names.next_back()).ok_or(io::ErrorKind::AlreadyExists)?;
        match fs::rename(&self.path, &aside) {
            // Somebody else made way.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => done?,
        }
        whole_file::sync_dir(&aside)?;
        self.in_the_way = false;
        Ok(aside)
    }

    /// Writes it anew with these transactions, durably and whole.
    pub(super) fn rewrite(&mut self, all: &[Kept]) -> io::Result<()> {
        if self.in_the_way {
            self.make_way()?;
        }
        let head = header(FORMAT, self.chain);
        let file = whole_file::write_by(&self.path, Readers::Owner, |file| {
            let mut output = BufWriter::with_capacity(1 << 20, file);
            output.write_all(&head)?;
            all.iter().try_for_each(|one| write_one(&mut output, one))?;
            output.flush()
        })?;
        self.open = Some(file);
        self.added = 0;
        Ok(())
    }

    /// Adds transactions, durably: one write and one sync for all of them. What fails leaves nothing behind.
    pub(super) fn append(&mut self, some: &[Kept]) -> io::Result<()> {
        let file = self.open.as_mut().ok_or_else(|| io::Error::other("it could not be written before"))?;
        let mut bytes = Vec::new();
        for one in some {
            write_one(&mut bytes, one)?;
        }
        if let Err(error) = file.write_all(&bytes).and_then(|()| file.sync_data()) {
            // Half a transaction would hide what comes after it: without this file, the next one is a new one.
            self.open = None;
            return Err(error);
        }
        self.added = self.added.saturating_add(bytes.len() as u64);
        Ok(())
    }
}

fn damaged(what: &str) -> Problem {
    Problem::Damaged(what.to_owned())
}

fn after(what: &str, count: usize) -> String {
    format!("{what} after {count} transactions")
}

fn header(format: u32, chain: ChainId) -> [u8; HEADER_LEN] {
    let mut bytes = [0; HEADER_LEN];
    let fields = MAGIC.into_iter().chain(format.to_le_bytes()).chain(*chain.as_bytes());
    let crc = crc32c::crc32c(&fields.clone().collect::<Vec<_>>());
    bytes.iter_mut().zip(fields.chain(crc.to_le_bytes())).for_each(|(byte, field)| *byte = field);
    bytes
}

fn crc(length: [u8; 4], since: [u8; 8], bytes: &[u8]) -> u32 {
    [since.as_slice(), bytes].into_iter().fold(crc32c::crc32c(&length), crc32c::crc32c_append)
}

/// Writes a transaction with its frame.
fn write_one(output: &mut impl Write, (since, transaction): &Kept) -> io::Result<()> {
    let bytes = transaction.bytes();
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?.to_le_bytes();
    let since = since.get().to_le_bytes();
    output.write_all(&length)?;
    output.write_all(&since)?;
    output.write_all(&crc(length, since, bytes).to_le_bytes())?;
    output.write_all(bytes)
}

/// The next transaction; `None` at the end of the file.
fn read_one(input: &mut impl Read, max_len: usize) -> Result<Option<Found>, Problem> {
    let mut frame = Vec::with_capacity(FRAME_LEN);
    input.by_ref().take(FRAME_LEN as u64).read_to_end(&mut frame).map_err(|error| Problem::unreadable(&error))?;
    match frame.len() {
        0 => return Ok(None),
        FRAME_LEN => {}
        _ => return Err(damaged("breaks off")),
    }
    let rest = &mut frame.as_slice();
    let (length, since, expected): ([u8; 4], [u8; 8], [u8; 4]) = (take(rest), take(rest), take(rest));
    let wanted = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if wanted > max_len {
        return Err(damaged("is damaged"));
    }
    let mut bytes = vec![0; wanted];
    match input.read_exact(&mut bytes) {
        Ok(()) if crc(length, since, &bytes) == u32::from_le_bytes(expected) => {
            Ok(Some((Timestamp::new(u64::from_le_bytes(since)), bytes)))
        }
        Ok(()) => Err(damaged("is damaged")),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(damaged("breaks off")),
        Err(error) => Err(Problem::unreadable(&error)),
    }
}

/// Takes a fixed number of bytes off the front.
fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let (taken, rest) = bytes.split_first_chunk().map_or(([0; N], [].as_slice()), |(taken, rest)| (*taken, rest));
    *bytes = rest;
    taken
}

#[cfg(test)]
mod tests {
    use bard_chain::{
        encoding, presets,
        rules::isolated::{self, check_transactions},
        transaction::{Action, Transaction},
        units::{Amount, Nonce},
    };

    use super::*;

    fn some(count: u64) -> Vec<Kept> {
        let (spec, key) = (presets::dev(), presets::dev_key("alice").expect("known"));
        let record =
            |nonce: u64| Action::Record { content_type: "text/plain".into(), bytes: nonce.to_le_bytes().into() };
        let sign = |nonce| Transaction::sign(spec.chain_id(), &key, Nonce::new(nonce), Amount::ZERO, record(nonce));
        let bytes: Vec<_> = (0..count).map(|nonce| encoding::encode(&sign(nonce))).collect();
        let checked = check_transactions(&spec, spec.chain_id(), &bytes, &isolated::in_batches).into_iter();
        let kept = checked.zip(0..).map(|(one, at)| (Timestamp::new(at), Arc::new(one.expect("right"))));
        kept.collect()
    }

    fn found(kept: &[Kept]) -> Vec<Found> {
        kept.iter().map(|(since, one)| (*since, one.bytes().to_vec())).collect()
    }

    fn file(dir: &Path) -> PoolFile {
        PoolFile::new(dir, presets::dev().chain_id())
    }

    #[test]
    fn what_is_written_and_added_is_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut writer = file(dir.path());
        assert_eq!(file(dir.path()).read(1_000), (Vec::new(), None), "no file is an empty one");
        let all = some(5);
        assert!(writer.append(&all[..1]).is_err(), "nothing to add to");
        writer.rewrite(&all[..3]).expect("written");
        assert_eq!(writer.added(), 0);
        writer.append(&all[3..4]).expect("added");
        writer.append(&all[4..]).expect("added");
        assert!(writer.added() > 0);
        assert_eq!(file(dir.path()).read(1_000), (found(&all), None));
        writer.rewrite(&all[4..]).expect("written");
        assert_eq!(file(dir.path()).read(1_000), (found(&all[4..]), None));
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 1, "nothing is left beside it");
    }

    #[test]
    fn damage_costs_what_comes_after_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let all = some(3);
        file(dir.path()).rewrite(&all).expect("written");
        let whole = fs::read(dir.path().join(FILE)).expect("read");
        let read = |bytes: &[u8]| {
            fs::write(dir.path().join(FILE), bytes).expect("written");
            file(dir.path()).read(1_000)
        };
        let expected = found(&all);
        let mut ends = vec![HEADER_LEN];
        for (_, one) in &all {
            ends.push(ends[ends.len() - 1] + FRAME_LEN + one.bytes().len());
        }
        for length in 0..whole.len() {
            let (found, problem) = read(&whole[..length]);
            let complete = ends.iter().filter(|end| **end <= length).count().saturating_sub(1);
            assert_eq!(found, expected[..complete], "cut to {length} bytes");
            assert_eq!(problem.is_none(), ends.contains(&length), "cut to {length} bytes: {problem:?}");
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x40;
            let (found, problem) = read(&bytes);
            let intact = ends.iter().filter(|end| **end <= at).count().saturating_sub(1);
            assert_eq!(found, expected[..intact], "byte {at} changed");
            assert!(problem.is_some(), "byte {at} changed");
        }
    }

    #[test]
    fn the_file_of_another_chain_or_version_is_told_apart() {
        let dir = tempfile::tempdir().expect("a directory");
        PoolFile::new(dir.path(), ChainId::ZERO).rewrite(&some(1)).expect("written");
        let (found, problem) = file(dir.path()).read(1_000);
        assert_eq!((found.len(), problem), (0, Some(damaged("is damaged, or of another chain"))));
        fs::write(dir.path().join(FILE), header(FORMAT + 1, presets::dev().chain_id())).expect("written");
        assert_eq!(file(dir.path()).read(1_000).1, Some(damaged("is of a newer version of this software")));
        let mut writer = file(dir.path());
        let aside = writer.set_aside().expect("copied");
        assert!(aside.ends_with("pool.log.damaged") && aside.exists());
        assert!(dir.path().join(FILE).exists(), "nothing is lost before there is a new one");
        writer.rewrite(&[]).expect("written");
        assert_eq!(file(dir.path()).read(1_000), (Vec::new(), None));
        assert!(aside.exists());
    }

    #[test]
    fn what_cannot_be_read_is_moved_and_nothing_is_written_over_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(FILE);
        let aside = |number: u32| path.with_extension(format!("log.unreadable-{number}"));
        // A directory can be opened, and not read.
        let in_the_way = |mark: &str| {
            fs::create_dir(&path).expect("made");
            fs::write(path.join(mark), "").expect("written");
        };
        in_the_way("first");
        let mut writer = file(dir.path());
        let (found, problem) = writer.read(1_000);
        assert!(found.is_empty() && matches!(problem, Some(Problem::Unreadable(_))), "{problem:?}");
        assert_eq!(writer.make_way().expect("moved"), aside(1));
        writer.rewrite(&some(2)).expect("written");
        assert_eq!(file(dir.path()).read(1_000).0.len(), 2);
        assert!(aside(1).join("first").exists());
        // Where it cannot be moved, not even a new file takes its name, until it can.
        fs::remove_file(&path).expect("removed");
        in_the_way("second");
        for number in 2..=MAX_UNREADABLE {
            fs::create_dir(aside(number)).expect("made");
            fs::write(aside(number).join("full"), "").expect("written");
        }
        let mut writer = file(dir.path());
        for _ in 0..2 {
            writer.make_way().expect_err("there is no place for it");
            writer.rewrite(&some(2)).expect_err("it is in the way");
            assert!(path.join("second").exists());
        }
        fs::remove_dir_all(aside(2)).expect("removed");
        writer.rewrite(&some(2)).expect("written");
        assert!(aside(2).join("second").exists());
        assert_eq!(file(dir.path()).read(1_000), (found_of(2), None));
    }

    fn found_of(count: u64) -> Vec<Found> {
        found(&some(count))
    }
}
