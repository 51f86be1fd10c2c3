//! The log: every change of the chain, in order, and the truth that all else is made from.
//!
//! | bytes | header |
//! |---|---|
//! | 8 | magic |
//! | 4 | format, little endian, as all numbers here |
//! | 32 | id of the chain |
//! | 16 | salt, random |
//! | 4 | CRC-32C of all before |
//!
//! | bytes | each record |
//! |---|---|
//! | 4 | marker: the first bytes of the salt |
//! | 4 | length of the payload |
//! | 4 | length of its head |
//! | 4 | CRC-32C of salt, offset of the record, lengths, the next field and the payload |
//! | 8 | offset up to which the log was known to be on the disk when this was written |
//! | | payload ([`super::record`]) |
//!
//! A damaged record is the torn end of a log whose machine lost power, unless a whole record follows that was written when
//! the damaged one was on the disk already; then the disk lost something it had. Nobody but this node knows the salt, so
//! nobody can have a block stored whose content passes for such a record.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bard_chain::hash::ChainId;

use super::{
    disk::{Disk, Medium, OpenFile},
    error::StoreError,
    record::{Location, Payload},
};

/// The format that is read and written here.
pub(super) const FORMAT: u32 = 1;
/// First bytes of every log.
const MAGIC: [u8; 8] = *b"bardlog\n";
/// Length of the header in bytes.
pub(super) const HEADER_LEN: usize = 64;
/// Length of what precedes each payload, in bytes.
pub(super) const FRAME_LEN: usize = 24;
/// The longest payload, in bytes: a reorganisation thousands of full blocks deep. It comes before any allocation, as does
/// the length of the file.
const MAX_PAYLOAD_LEN: u64 = 1 << 30;
/// How much is read at a time when looking for whole records after a damaged one, in bytes.
const SCAN_CHUNK: usize = 1 << 20;

/// The random bytes of a log's header: which log it is.
pub(super) type Salt = [u8; 16];

/// The end of a record: enough to tell whether a log is the one that something was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Where the record begins, in bytes; the end of the header where there is no record.
    pub(super) start: u64,
    /// Where it ends.
    pub(super) end: u64,
    /// Its checksum.
    pub(super) crc: u32,
}

impl Mark {
    /// Before the first record.
    pub(super) const FIRST: Self = Self { start: HEADER_LEN as u64, end: HEADER_LEN as u64, crc: 0 };
}

/// What precedes a payload.
#[derive(Clone, Copy)]
struct Frame {
    length: u32,
    head_len: u32,
    durable: u64,
}

impl Frame {
    fn crc(&self, salt: &Salt, offset: u64, payload: &[u8]) -> u32 {
        let mut crc = crc32c::crc32c(salt);
        for number in [offset, self.length.into(), self.head_len.into(), self.durable] {
            crc = crc32c::crc32c_append(crc, &number.to_le_bytes());
        }
        crc32c::crc32c_append(crc, payload)
    }

    fn to_bytes(self, salt: &Salt, crc: u32) -> [u8; FRAME_LEN] {
        let mut bytes = [0; FRAME_LEN];
        let fields = salt.iter().copied().take(4);
        let fields = fields.chain(self.length.to_le_bytes()).chain(self.head_len.to_le_bytes());
        let fields = fields.chain(crc.to_le_bytes()).chain(self.durable.to_le_bytes());
        bytes.iter_mut().zip(fields).for_each(|(byte, field)| *byte = field);
        bytes
    }
}

/// Takes a fixed number of bytes off the front.
fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let (taken, rest) = bytes.split_first_chunk().map_or(([0; N], [].as_slice()), |(taken, rest)| (*taken, rest));
    *bytes = rest;
    taken
}

/// A record as it was read.
#[derive(Debug)]
pub(super) struct Record {
    /// Where it lies.
    pub(super) mark: Mark,
    /// How far the log was on the disk when it was written, in bytes.
    durable: u64,
    head_len: usize,
    payload: Vec<u8>,
}

impl Record {
    /// Its head, and what follows it.
    pub(super) fn split(&self) -> (&[u8], &[u8]) {
        self.payload.split_at_checked(self.head_len).unwrap_or((&self.payload, &[]))
    }

    /// Where in the log that lies which follows the head, in bytes.
    pub(super) const fn parts_offset(&self) -> u64 {
        self.mark.start.saturating_add(FRAME_LEN as u64).saturating_add(self.head_len as u64)
    }
}

/// Reads a log, from any thread.
#[derive(Clone, Debug)]
pub(super) struct LogReader {
    file: OpenFile,
    salt: Salt,
    path: Arc<PathBuf>,
}

impl LogReader {
    /// Which log this is.
    pub(super) const fn salt(&self) -> &Salt {
        &self.salt
    }

    /// Where it lies.
    pub(super) fn path(&self) -> &PathBuf {
        &self.path
    }

    /// Length of the file in bytes.
    pub(super) fn file_len(&self) -> io::Result<u64> {
        self.file.length()
    }

    /// Reads a part of a record; `None` where its bytes are not what was written.
    pub(super) fn part(&self, at: &Location) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = vec![0; usize::try_from(at.length).unwrap_or(usize::MAX)];
        match self.file.read_exact_at(&mut bytes, at.offset) {
            Ok(()) => Ok(Some(bytes).filter(|bytes| crc32c::crc32c(bytes) == at.crc)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads the record at `start` of a file of `file_len` bytes; `None` where there is no whole one.
    pub(super) fn record(&self, start: u64, file_len: u64) -> io::Result<Option<Record>> {
        let body = start.saturating_add(FRAME_LEN as u64);
        if body > file_len {
            return Ok(None);
        }
        let mut bytes = [0; FRAME_LEN];
        self.file.read_exact_at(&mut bytes, start)?;
        let mut rest = bytes.as_slice();
        let marker: [u8; 4] = take(&mut rest);
        let [length, head_len, crc] = [(); 3].map(|()| u32::from_le_bytes(take(&mut rest)));
        let frame = Frame { length, head_len, durable: u64::from_le_bytes(take(&mut rest)) };
        let end = body.saturating_add(length.into());
        if !self.salt.starts_with(&marker) || u64::from(length) > MAX_PAYLOAD_LEN || end > file_len || head_len > length
        {
            return Ok(None);
        }
        let mut payload = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut payload, body)?;
        let whole = frame.crc(&self.salt, start, &payload) == crc;
        let head_len = usize::try_from(head_len).unwrap_or(usize::MAX);
        let mark = Mark { start, end, crc };
        Ok(whole.then_some(Record { mark, durable: frame.durable, head_len, payload }))
    }

    /// Whether this log holds, at the same place, the record that `mark` names.
    pub(super) fn holds(&self, mark: &Mark, file_len: u64) -> io::Result<bool> {
        if *mark == Mark::FIRST {
            return Ok(true);
        }
        Ok(self.record(mark.start, file_len)?.is_some_and(|record| record.mark == *mark))
    }

    /// Whether the record that is not whole at `start` was on the disk once: a later one says so.
    pub(super) fn was_durable(&self, start: u64, file_len: u64) -> io::Result<bool> {
        let marker = take::<4>(&mut self.salt.as_slice());
        let mut chunk = vec![0; SCAN_CHUNK];
        let mut at = start.saturating_add(1);
        while at < file_len {
            let length = chunk.len().min(usize::try_from(file_len.saturating_sub(at)).unwrap_or(usize::MAX));
            let Some(chunk) = chunk.get_mut(..length) else { return Ok(false) };
            self.file.read_exact_at(chunk, at)?;
            let Some(found) = chunk.windows(marker.len()).position(|window| window == marker) else {
                // The marker may begin in the last bytes of this chunk.
                at = at.saturating_add(length.saturating_sub(marker.len().saturating_sub(1)).max(1) as u64);
                continue;
            };
            at = at.saturating_add(found as u64);
            at = match self.record(at, file_len)? {
                Some(record) if record.durable > start => return Ok(true),
                Some(record) => record.mark.end,
                None => at.saturating_add(1),
            };
        }
        Ok(false)
    }
}

/// The one writer of a log.
#[derive(Debug)]
pub(super) struct Log<M = OpenFile> {
    pub(super) medium: M,
    salt: Salt,
    path: PathBuf,
    /// Where the next record goes, in bytes.
    end: u64,
    /// How much is known to be on the disk, in bytes.
    durable: u64,
    /// Why nothing more is written.
    stopped: Option<String>,
}

impl Log {
    /// Opens the log `name` of a directory, or begins one; its records are yet to be read, and its end to be found. `path` is
    /// what the file is called in messages.
    pub(super) fn open(
        disk: &dyn Disk,
        name: &str,
        path: PathBuf,
        chain: ChainId,
    ) -> Result<(Self, LogReader), StoreError> {
        let length = disk.length(name).map_err(StoreError::io("open", &path))?.unwrap_or(0);
        if length == 0 {
            begin(disk, name, chain).map_err(StoreError::io("create", &path))?;
        }
        let file = disk.open(name).map_err(StoreError::io("open", &path))?;
        let salt = read_header(&file, &path, chain)?;
        let reader = LogReader { file: Arc::clone(&file), salt, path: Arc::new(path.clone()) };
        Ok((Self::on(file, salt, path), reader))
    }
}

impl<M: Medium> Log<M> {
    /// A log without records, whose header was written.
    pub(super) const fn on(medium: M, salt: Salt, path: PathBuf) -> Self {
        Self { medium, salt, path, end: HEADER_LEN as u64, durable: HEADER_LEN as u64, stopped: None }
    }

    /// Goes on after the record that ends at `end` of `file_len` bytes, which were synced; what follows it is cut off.
    pub(super) fn resume(&mut self, end: u64, file_len: u64) -> Result<(), StoreError> {
        self.end = end;
        self.durable = end;
        if end == file_len {
            return Ok(());
        }
        self.medium.set_len(end).map_err(StoreError::io("shorten", &self.path))?;
        self.sync()
    }

    /// Where the next record goes, in bytes.
    pub(super) const fn end(&self) -> u64 {
        self.end
    }

    /// Writes a record, whose payload has [`FRAME_LEN`] bytes of room in front. On failure the log is as before.
    pub(super) fn append(&mut self, mut payload: Payload) -> Result<Mark, StoreError> {
        self.check_running()?;
        let length = payload.bytes.len().saturating_sub(FRAME_LEN);
        let too_large = StoreError::TooLarge { length: length as u64, limit: MAX_PAYLOAD_LEN };
        let (Ok(short), Ok(head_len)) = (u32::try_from(length), u32::try_from(payload.head_len)) else {
            return Err(too_large);
        };
        if u64::from(short) > MAX_PAYLOAD_LEN {
            return Err(too_large);
        }
        let frame = Frame { length: short, head_len, durable: self.durable };
        let (start, end) = (self.end, self.end.saturating_add(payload.bytes.len() as u64));
        let Some((room, content)) = payload.bytes.split_first_chunk_mut::<FRAME_LEN>() else { return Err(too_large) };
        let crc = frame.crc(&self.salt, start, content);
        *room = frame.to_bytes(&self.salt, crc);
        if let Err(error) = self.medium.write_all_at(&payload.bytes, start) {
            return Err(self.cut_back(error));
        }
        self.end = end;
        Ok(Mark { start, end, crc })
    }

    /// Returns when every record would survive a loss of power.
    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        self.check_running()?;
        if let Err(error) = self.medium.sync_data() {
            // The system may have dropped what it could not write, and would call a second try a success.
            self.stopped = Some(format!("{} could not be synced: {error}", self.path.display()));
            return Err(StoreError::io("sync", &self.path)(error));
        }
        self.durable = self.end;
        Ok(())
    }

    fn check_running(&self) -> Result<(), StoreError> {
        self.stopped.as_ref().map_or(Ok(()), |why| Err(StoreError::Stopped(why.clone())))
    }

    /// Takes back what a failed write may have left.
    fn cut_back(&mut self, error: io::Error) -> StoreError {
        if let Err(second) = self.medium.set_len(self.end) {
            self.stopped = Some(format!("{} could not be shortened: {second}", self.path.display()));
        }
        StoreError::io("write", &self.path)(error)
    }
}

/// Creates a log without records: whole or not at all.
fn begin(disk: &dyn Disk, name: &str, chain: ChainId) -> io::Result<()> {
    let mut salt = Salt::default();
    getrandom::fill(&mut salt).map_err(io::Error::other)?;
    let mut header = Vec::with_capacity(HEADER_LEN);
    header.extend_from_slice(&MAGIC);
    header.extend_from_slice(&FORMAT.to_le_bytes());
    header.extend_from_slice(chain.as_bytes());
    header.extend_from_slice(&salt);
    header.extend_from_slice(&crc32c::crc32c(&header).to_le_bytes());
    let unfinished = format!("{name}.new");
    let file = disk.create(&unfinished)?;
    file.write_all_at(&header, 0)?;
    file.sync_data()?;
    disk.rename(&unfinished, name)?;
    disk.sync_dir()?;
    disk.sync_place()
}

/// Checks the header of a log of `chain`; returns its salt.
fn read_header(file: &OpenFile, path: &Path, chain: ChainId) -> Result<Salt, StoreError> {
    let damaged = || StoreError::Damaged { path: path.into(), offset: 0 };
    let mut bytes = [0; HEADER_LEN];
    file.read_exact_at(&mut bytes, 0).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged(),
        _ => StoreError::io("read", path)(error),
    })?;
    let mut rest = bytes.as_slice();
    if take(&mut rest) != MAGIC {
        return Err(damaged());
    }
    // Before the checksum, which another format may have elsewhere.
    let found = u32::from_le_bytes(take(&mut rest));
    if found != FORMAT {
        return Err(StoreError::FormatVersion { path: path.into(), found, known: FORMAT });
    }
    let (id, salt) = (ChainId::new(take(&mut rest)), take(&mut rest));
    let (content, _) = bytes.split_at(HEADER_LEN.saturating_sub(4));
    if u32::from_le_bytes(take(&mut rest)) != crc32c::crc32c(content) {
        return Err(damaged());
    }
    if id != chain {
        return Err(StoreError::OtherChain { path: path.into(), found: id, expected: chain });
    }
    Ok(salt)
}
