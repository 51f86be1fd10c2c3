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
//! The first of them is none, but the id of the tip that the pool stood on: 32 bytes, which no transaction is as short as, and no time.
//! A version of this software that does not know of it passes over it as over any that is wrong.
//!
//! What is in it says nothing of what is true: each transaction is checked again, signature included, when it is read.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use bard_chain::{
    hash::{BlockId, ChainId},
    rules::isolated::CheckedTransaction,
    units::Timestamp,
};

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
/// Length of the id of a block, in bytes.
const ID_LEN: usize = 32;
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

/// What the file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    /// The tip that the pool stood on when it was written anew: what was confirmed there is in no pool, and in no file.
    pub(super) tip: Option<BlockId>,
    /// All transactions up to the first damage.
    pub(super) found: Vec<Found>,
    /// What is wrong with it.
    pub(super) problem: Option<Problem>,
}

/// Length of a file of these transactions, in bytes.
pub(super) fn length_of(all: &[Kept]) -> u64 {
    all.iter().fold((HEADER_LEN + FRAME_LEN + ID_LEN) as u64, |length, (_, one)| {
        length.saturating_add((FRAME_LEN as u64).saturating_add(one.bytes().len() as u64))
    })
}

/// The file, to be written.
#[derive(Debug)]
pub(super) struct PoolFile {
    path: PathBuf,
    chain: ChainId,
    /// At its end; `None` until it is written anew.
    open: Option<File>,
    /// Bytes that were added since it was written anew.
    added: u64,
    /// Whether what is there could not be read: it is moved out of the way when there is another to take its place, and not lost.
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

    /// Whether transactions can be added to it.
    pub(super) const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Reads it, transactions up to `max_len` bytes long.
    pub(super) fn read(&mut self, max_len: usize) -> Content {
        let content = self.read_at(&self.path, max_len).unwrap_or_else(|| self.finish(max_len).unwrap_or_default());
        self.in_the_way = matches!(content.problem, Some(Problem::Unreadable(_)));
        content
    }

    /// A kill between the two moves of [`Self::rewrite`] leaves the new file beside its name: gives it the name. One that is not
    /// whole was left by a kill before them, and there was no other yet.
    fn finish(&self, max_len: usize) -> Option<Content> {
        let beside = whole_file::beside(&self.path);
        let content = self.read_at(&beside, max_len).filter(|content| content.problem.is_none())?;
        // Where it fails, what was read is taken all the same.
        let _ = fs::rename(&beside, &self.path).and_then(|()| whole_file::sync_dir(&self.path));
        Some(content)
    }

    /// Reads a file; `None` where there is none.
    fn read_at(&self, path: &Path, max_len: usize) -> Option<Content> {
        let mut content = Content::default();
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => return Some(Content { problem: Some(Problem::unreadable(&error)), ..content }),
        };
        let mut input = BufReader::with_capacity(1 << 20, file.take(MAX_LEN));
        let Content { tip, found, problem } = &mut content;
        *problem = match self.read_header(&mut input) {
            Ok(()) => loop {
                match read_one(&mut input, max_len) {
                    Ok(Some((since, bytes))) => match <[u8; ID_LEN]>::try_from(bytes.as_slice()) {
                        Ok(id) => *tip = Some(BlockId::new(id)),
                        Err(_) => found.push((since, bytes)),
                    },
                    Ok(None) => break None,
                    Err(Problem::Damaged(what)) => break Some(Problem::Damaged(after(&what, found.len()))),
                    Err(Problem::Unreadable(what)) => break Some(Problem::Unreadable(after(&what, found.len()))),
                }
            },
            Err(problem) => Some(problem),
        };
        Some(content)
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

    /// Moves it out of the way, for it could not be read.
    fn make_way(&mut self) -> io::Result<()> {
        let mut names = (1..=MAX_UNREADABLE).map(|number| self.path.with_extension(format!("log.unreadable-{number}")));
        // What cannot be looked for may be there.
        let free = names.clone().find(|aside| matches!(aside.try_exists(), Ok(false)));
        let aside = free.or_else(|| names.next_back()).ok_or(io::ErrorKind::AlreadyExists)?;
        match fs::rename(&self.path, &aside) {
            // Somebody else made way.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(io::Error::new(error.kind(), format!("it cannot be moved out of the way ({error})")));
            }
            Ok(()) => tracing::warn!("{} could not be read: it is moved to {}", self.path.display(), aside.display()),
        }
        self.in_the_way = false;
        Ok(())
    }

    /// Writes it anew with these transactions, of a pool that stands on `tip`, durably and whole.
    pub(super) fn rewrite(&mut self, tip: &BlockId, all: &[Kept]) -> io::Result<()> {
        // Where this fails, it is not known which file has the name.
        self.open = None;
        let (path, head) = (self.path.clone(), header(FORMAT, self.chain));
        let file = whole_file::write_by(&path, Readers::Owner, |file| {
            let mut output = BufWriter::with_capacity(1 << 20, &mut *file);
            output.write_all(&head)?;
            write_one(&mut output, Timestamp::ZERO, tip.as_bytes())?;
            all.iter().try_for_each(|(since, one)| write_one(&mut output, *since, one.bytes()))?;
            output.flush()?;
            drop(output);
            if self.in_the_way {
                // What was read of it is nowhere else before the new one is whole.
                file.sync_all()?;
                self.make_way()?;
            }
            Ok(())
        })?;
        self.open = Some(file);
        self.added = 0;
        Ok(())
    }

    /// Adds transactions, durably: one write and one sync for all of them. What fails leaves nothing behind.
    pub(super) fn append(&mut self, some: &[Kept]) -> io::Result<()> {
        let file = self.open.as_mut().ok_or_else(|| io::Error::other("it could not be written before"))?;
        if self.added > MAX_LEN / 4 {
            return Err(io::Error::other("it is too long to be added to before it is written anew"));
        }
        let mut bytes = Vec::new();
        for (since, one) in some {
            write_one(&mut bytes, *since, one.bytes())?;
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

/// Writes a transaction, or what stands before all of them, with its frame.
fn write_one(output: &mut impl Write, since: Timestamp, bytes: &[u8]) -> io::Result<()> {
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
mod tests;
