//! The log: every change of the chain, in order, and the truth that all else is made from.
//!
//! What it begins with is in [`super::header`].
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

use std::{io, path::PathBuf, sync::Arc};

use bard_chain::hash::ChainId;

use super::{
    disk::{Disk, Medium, OpenFile},
    error::StoreError,
    header::{self, Base, FORMAT, HEADER_LEN, Salt, fresh_salt, take},
    record::{Location, Payload},
};

/// Length of what precedes each payload, in bytes.
pub(super) const FRAME_LEN: usize = 24;
/// The longest payload, in bytes: a reorganisation hundreds of full blocks deep, at the least. It comes before any allocation,
/// as does the length of the file.
const MAX_PAYLOAD_LEN: u64 = 1 << 30;
/// How much is read at a time when looking for whole records after a damaged one, or copying, in bytes.
const SCAN_CHUNK: usize = 1 << 20;

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
    /// Before the first record, which begins at `start`.
    pub(super) const fn before(start: u64) -> Self {
        Self { start, end: start, crc: 0 }
    }
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
    /// The part of a state that it holds: such a record has no head, a commit always has one.
    pub(super) fn part_of_base(&self) -> Option<&[u8]> {
        (self.head_len == 0).then_some(&self.payload)
    }

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
    base: Option<Base>,
}

impl LogReader {
    /// Which log this is.
    pub(super) const fn salt(&self) -> &Salt {
        &self.salt
    }

    /// The state that it begins with; `None` where it begins with the genesis block.
    pub(super) const fn base(&self) -> Option<Base> {
        self.base
    }

    /// Before the first record.
    pub(super) const fn first(&self) -> Mark {
        Mark::before(header::first_record(self.base.is_some()))
    }

    /// Where it lies.
    pub(super) fn path(&self) -> &PathBuf {
        &self.path
    }

    /// Length of the file in bytes.
    pub(super) fn file_len(&self) -> io::Result<u64> {
        self.file.length()
    }

    /// Reads a part of a record; `None` where its bytes are not what was written. Where it lies is what the index says, which a
    /// disk may have garbled: so nothing is allocated that the file cannot fill.
    pub(super) fn part(&self, at: &Location) -> io::Result<Option<Vec<u8>>> {
        let end = at.offset.checked_add(at.length.into());
        if u64::from(at.length) > MAX_PAYLOAD_LEN || end.is_none_or(|end| self.file.length().is_ok_and(|len| end > len))
        {
            return Ok(None);
        }
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

    /// Copies what lies from `start` to `end` to the beginning of another file.
    pub(super) fn copy(&self, start: u64, end: u64, to: &OpenFile) -> io::Result<()> {
        let mut chunk = vec![0; SCAN_CHUNK];
        let mut at = start;
        while at < end {
            let length = chunk.len().min(usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX));
            let Some(part) = chunk.get_mut(..length) else { break };
            self.file.read_exact_at(part, at)?;
            to.write_all_at(part, at.saturating_sub(start))?;
            at = at.saturating_add(length as u64);
        }
        Ok(())
    }

    /// Whether this log holds, at the same place, the record that `mark` names.
    pub(super) fn holds(&self, mark: &Mark, file_len: u64) -> io::Result<bool> {
        if *mark == self.first() {
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
    /// A log without records that begins with a state, whose header is yet to be written.
    pub(super) const fn with_base(medium: OpenFile, salt: Salt, path: PathBuf) -> Self {
        let start = header::first_record(true);
        Self { medium, salt, path, end: start, durable: start, stopped: None }
    }

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
        let (salt, base) = header::read(&file, &path, chain)?;
        let reader = LogReader { file: Arc::clone(&file), salt, path: Arc::new(path.clone()), base };
        let log = Self { end: reader.first().end, durable: reader.first().end, ..Self::on(file, salt, path) };
        Ok((log, reader))
    }
}

impl<M: Medium> Log<M> {
    /// A log without records that begins with the genesis block, whose header was written.
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
    pub(super) fn append(&mut self, payload: Payload) -> Result<Mark, StoreError> {
        self.append_bytes(payload.head_len, payload.bytes)
    }

    /// [`Log::append`] of bytes of which so many, after the room, are the head.
    pub(super) fn append_bytes(&mut self, head_len: usize, mut bytes: Vec<u8>) -> Result<Mark, StoreError> {
        self.check_running()?;
        let length = bytes.len().saturating_sub(FRAME_LEN);
        let too_large = StoreError::TooLarge { length: length as u64, limit: MAX_PAYLOAD_LEN };
        let (Ok(short), Ok(head_len)) = (u32::try_from(length), u32::try_from(head_len)) else {
            return Err(too_large);
        };
        if u64::from(short) > MAX_PAYLOAD_LEN {
            return Err(too_large);
        }
        let frame = Frame { length: short, head_len, durable: self.durable };
        let (start, end) = (self.end, self.end.saturating_add(bytes.len() as u64));
        let Some((room, content)) = bytes.split_first_chunk_mut::<FRAME_LEN>() else { return Err(too_large) };
        let crc = frame.crc(&self.salt, start, content);
        *room = frame.to_bytes(&self.salt, crc);
        if let Err(error) = self.medium.write_all_at(&bytes, start) {
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
    let unfinished = format!("{name}.new");
    let file = disk.create(&unfinished)?;
    file.write_all_at(&header::bytes(FORMAT, chain, &fresh_salt()?), 0)?;
    finish(disk, &file, &unfinished, name)
}

/// Makes a file durable, then gives it its name.
pub(super) fn finish(disk: &dyn Disk, file: &OpenFile, unfinished: &str, name: &str) -> io::Result<()> {
    file.sync_data()?;
    disk.rename(unfinished, name)?;
    disk.sync_dir()?;
    disk.sync_place()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of 100 bytes that refuses to be asked for more.
    #[derive(Debug)]
    struct Short;

    impl Medium for Short {
        fn length(&self) -> io::Result<u64> {
            Ok(100)
        }

        fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
            assert!(offset + buffer.len() as u64 <= 100, "{} bytes at {offset}", buffer.len());
            Ok(())
        }

        fn write_all_at(&self, _: &[u8], _: u64) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn set_len(&self, _: u64) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn sync_data(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_lies_beyond_the_file_is_not_even_asked_for() {
        let reader = LogReader { file: Arc::new(Short), salt: Salt::default(), path: Arc::default(), base: None };
        let part = |offset, length| {
            let at = Location { offset, length, crc: crc32c::crc32c(&[0; 40]) };
            reader.part(&at).expect("read")
        };
        assert_eq!(part(60, 40), Some(vec![0; 40]));
        for (offset, length) in [(61, 40), (0, u32::MAX), (u64::MAX, 40), (0, 101)] {
            assert_eq!(part(offset, length), None, "{length} bytes at {offset}");
        }
    }
}
