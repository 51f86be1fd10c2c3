//! The archive: a chain in one file that goes from machine to machine.
//!
//! ```text
//! "BARDARCH"  version: u8 = 1  chain id: 32 bytes  length: u32  specification as TOML  checksum: u32
//! for each block from height 1 on:  length: u32  checksum: u32  the block's canonical bytes
//! at the end:                       0: u32       checksum: u32  number of blocks: u64
//! ```
//!
//! Numbers are big-endian. A checksum is CRC-32C: the head's over all before it, a block's over its length and bytes, the
//! end's over the zero and the number. So a flipped bit and a missing end are noticed where they are; that the blocks are
//! good is for the chain's own rules to say.

use std::io::{self, Read, Write};

use bard_chain::{
    hash::ChainId,
    spec::{ChainSpec, MAX_FILE_LEN},
};

/// What an archive holds.
pub(super) struct Kind {
    /// The first bytes of the file.
    pub(super) magic: [u8; 8],
    /// The longest record, in bytes.
    pub(super) longest: fn(&ChainSpec) -> usize,
}

/// Blocks, as the top of this file says.
pub(super) const BLOCKS: Kind = Kind { magic: *b"BARDARCH", longest: ChainSpec::max_block_len };
const VERSION: u8 = 1;
/// Bytes before the specification.
const HEAD_LEN: usize = 8 + 1 + 32 + 4;
/// Bytes before each block.
const FRAME_LEN: u64 = 8;

/// Writes an archive.
pub(super) struct Writer<W> {
    to: W,
    blocks: u64,
}

impl<W: Write> Writer<W> {
    /// Begins an archive of the chain.
    pub(super) fn begin(mut to: W, spec: &ChainSpec, kind: &Kind) -> io::Result<Self> {
        let toml = spec.to_toml();
        let mut head = Vec::with_capacity(HEAD_LEN.saturating_add(toml.len()));
        head.extend_from_slice(&kind.magic);
        head.push(VERSION);
        head.extend_from_slice(spec.chain_id().as_bytes());
        head.extend_from_slice(&length_of(&toml)?.to_be_bytes());
        head.extend_from_slice(toml.as_bytes());
        let checksum = crc32c::crc32c(&head);
        to.write_all(&head)?;
        to.write_all(&checksum.to_be_bytes())?;
        Ok(Self { to, blocks: 0 })
    }

    /// Goes on with an archive that has so many blocks and no end.
    pub(super) const fn resume(to: W, blocks: u64) -> Self {
        Self { to, blocks }
    }

    /// Blocks that it has.
    pub(super) const fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Adds the next block.
    pub(super) fn block(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = length_of(bytes)?.to_be_bytes();
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&length), bytes);
        self.to.write_all(&length)?;
        self.to.write_all(&checksum.to_be_bytes())?;
        self.to.write_all(bytes)?;
        self.blocks = self.blocks.saturating_add(1);
        Ok(())
    }

    /// Writes the end and gives back what was written to.
    pub(super) fn finish(mut self) -> io::Result<W> {
        let (zero, count) = ([0; 4], self.blocks.to_be_bytes());
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&zero), &count);
        for part in [&zero[..], &checksum.to_be_bytes(), &count] {
            self.to.write_all(part)?;
        }
        self.to.flush()?;
        Ok(self.to)
    }
}

fn length_of(bytes: impl AsRef<[u8]>) -> io::Result<u32> {
    u32::try_from(bytes.as_ref().len()).map_err(io::Error::other)
}

/// Why an archive, or the rest of it, is not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ArchiveError {
    /// It is something else.
    #[error("this is no archive of a chain")]
    Other,
    /// It was written by another version.
    #[error("the archive is of version {0}, this version of bard knows version {VERSION}")]
    Version(u8),
    /// Its beginning is damaged.
    #[error("the head of the archive is damaged: {0}")]
    Head(String),
    /// A block is damaged.
    #[error("the archive is damaged at block {height}, byte {offset}")]
    Block {
        /// The block's height.
        height: u64,
        /// Where its record begins, in bytes.
        offset: u64,
    },
    /// It ends too early.
    #[error("the archive is cut off in block {height}, byte {offset}")]
    Cut {
        /// Height of the block that is not whole.
        height: u64,
        /// Where its record begins, in bytes.
        offset: u64,
    },
    /// There is more in the file.
    #[error("the archive has something after its end, from byte {offset} on")]
    Trailing {
        /// Where the end's record ends, in bytes.
        offset: u64,
    },
    /// The system does not read it.
    #[error("the archive cannot be read: {0}")]
    Io(io::Error),
}

/// A block of an archive.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// The height it should have.
    pub(super) height: u64,
    /// Where its record begins, in bytes.
    pub(super) offset: u64,
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
}

/// Reads an archive, block by block.
pub(super) struct Reader<R> {
    from: R,
    spec: ChainSpec,
    /// The longest record, in bytes.
    longest: usize,
    offset: u64,
    blocks: u64,
    ended: bool,
}

impl<R: Read> Reader<R> {
    /// Reads the head.
    pub(super) fn begin(mut from: R, kind: &Kind) -> Result<Self, ArchiveError> {
        let short = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => ArchiveError::Head("it is cut off".to_owned()),
            _ => ArchiveError::Io(error),
        };
        let mut magic = [0; 8];
        from.read_exact(&mut magic).map_err(|error| match short(error) {
            ArchiveError::Head(_) => ArchiveError::Other,
            other => other,
        })?;
        if magic != kind.magic {
            return Err(ArchiveError::Other);
        }
        let (mut version, mut chain, mut length) = ([0], [0; 32], [0; 4]);
        from.read_exact(&mut version).map_err(short)?;
        if version != [VERSION] {
            return Err(ArchiveError::Version(version[0]));
        }
        from.read_exact(&mut chain).and_then(|()| from.read_exact(&mut length)).map_err(short)?;
        let spec_len = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if spec_len > MAX_FILE_LEN {
            return Err(ArchiveError::Head("its specification is too long".to_owned()));
        }
        let (mut toml, mut checksum) = (vec![0; spec_len], [0; 4]);
        from.read_exact(&mut toml).and_then(|()| from.read_exact(&mut checksum)).map_err(short)?;
        let parts: [&[u8]; 5] = [&magic, &version, &chain, &length, &toml];
        if crc32c::crc32c(&parts.concat()) != u32::from_be_bytes(checksum) {
            return Err(ArchiveError::Head("its checksum does not fit".to_owned()));
        }
        let toml =
            String::from_utf8(toml).map_err(|_| ArchiveError::Head("its specification is no text".to_owned()))?;
        let spec = ChainSpec::from_toml(&toml).map_err(|error| ArchiveError::Head(error.to_string()))?;
        if spec.chain_id() != ChainId::new(chain) {
            return Err(ArchiveError::Head("its specification is of another chain".to_owned()));
        }
        let offset = (HEAD_LEN.saturating_add(spec_len).saturating_add(4)) as u64;
        let longest = (kind.longest)(&spec);
        Ok(Self { from, spec, longest, offset, blocks: 0, ended: false })
    }

    /// The chain's specification.
    pub(super) fn spec(&self) -> &ChainSpec {
        &self.spec
    }

    /// Where the next record begins, in bytes.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// The next block; `None` at the end, after which nothing comes.
    pub(super) fn next(&mut self) -> Result<Option<Record>, ArchiveError> {
        if self.ended {
            return Ok(None);
        }
        let (height, offset) = (self.blocks.saturating_add(1), self.offset);
        let cut = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => ArchiveError::Cut { height, offset },
            _ => ArchiveError::Io(error),
        };
        let damaged = ArchiveError::Block { height, offset };
        let (mut length, mut checksum) = ([0; 4], [0; 4]);
        self.from.read_exact(&mut length).and_then(|()| self.from.read_exact(&mut checksum)).map_err(cut)?;
        let checksum = u32::from_be_bytes(checksum);
        let count = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        let mut bytes = match count {
            0 => vec![0; 8],
            count if count > self.longest => return Err(damaged),
            count => vec![0; count],
        };
        self.from.read_exact(&mut bytes).map_err(cut)?;
        if crc32c::crc32c_append(crc32c::crc32c(&length), &bytes) != checksum {
            return Err(damaged);
        }
        if count == 0 {
            self.ended = true;
            return if bytes == self.blocks.to_be_bytes() { self.nothing_more() } else { Err(damaged) };
        }
        self.blocks = height;
        self.offset = offset.saturating_add(FRAME_LEN).saturating_add(count as u64);
        Ok(Some(Record { height, offset, bytes }))
    }

    fn nothing_more(&mut self) -> Result<Option<Record>, ArchiveError> {
        let end = self.offset.saturating_add(FRAME_LEN).saturating_add(8);
        match self.from.read_exact(&mut [0]) {
            Ok(()) => Err(ArchiveError::Trailing { offset: end }),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(ArchiveError::Io(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use bard_chain::presets;

    use super::*;

    fn archive() -> Vec<u8> {
        let mut writer = Writer::begin(Vec::new(), &presets::dev(), &BLOCKS).expect("memory");
        for block in [&b"one"[..], b"number two", b"3"] {
            writer.block(block).expect("memory");
        }
        writer.finish().expect("memory")
    }

    /// The blocks before the first problem, and the problem.
    fn read(bytes: &[u8]) -> (Vec<Record>, Option<ArchiveError>) {
        let mut blocks = Vec::new();
        let mut reader = match Reader::begin(bytes, &BLOCKS) {
            Ok(reader) => reader,
            Err(error) => return (blocks, Some(error)),
        };
        loop {
            match reader.next() {
                Ok(Some(block)) => blocks.push(block),
                Ok(None) => return (blocks, None),
                Err(error) => return (blocks, Some(error)),
            }
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let (blocks, problem) = read(&archive());
        assert!(problem.is_none());
        let told: Vec<_> = blocks.iter().map(|block| (block.height, block.bytes.as_slice())).collect();
        assert_eq!(told, [(1, &b"one"[..]), (2, b"number two"), (3, b"3")]);
        assert_eq!(blocks[1].offset, blocks[0].offset + FRAME_LEN + 3);
    }

    #[test]
    fn a_cut_and_a_flipped_bit_are_noticed_wherever_they_are() {
        let whole = archive();
        let (blocks, _) = read(&whole);
        for at in 0..whole.len() {
            let before = blocks.iter().filter(|block| block.offset + FRAME_LEN + block.bytes.len() as u64 <= at as u64);
            let before = before.count();
            let (kept, problem) = read(&whole[..at]);
            assert_eq!(kept.len(), before, "cut at {at}");
            assert!(problem.is_some(), "cut at {at}");
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            let (kept, problem) = read(&flipped);
            assert_eq!(kept, blocks[..before], "flipped at {at}");
            let named = match problem {
                Some(ArchiveError::Block { height, .. } | ArchiveError::Cut { height, .. }) => height,
                Some(_) if before == 0 => 1,
                other => panic!("flipped at {at}: {other:?}"),
            };
            assert_eq!(named, before as u64 + 1, "flipped at {at}");
        }
    }

    #[test]
    fn what_comes_after_the_end_is_refused() {
        let whole = archive();
        for more in [&[0][..], &whole] {
            let (blocks, problem) = read(&[&whole, more].concat());
            assert_eq!(blocks.len(), 3);
            assert!(matches!(problem, Some(ArchiveError::Trailing { offset }) if offset == whole.len() as u64));
        }
    }

    #[test]
    fn other_files_are_told_apart() {
        assert!(matches!(read(b""), (_, Some(ArchiveError::Other))));
        assert!(matches!(read(b"# a text file"), (_, Some(ArchiveError::Other))));
        let mut newer = archive();
        newer[8] = 2;
        assert!(matches!(read(&newer), (_, Some(ArchiveError::Version(2)))));
    }
}
