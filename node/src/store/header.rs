//! What a log begins with: of which format and chain it is, which log, and whether it begins with a state.
//!
//! | bytes | header |
//! |---|---|
//! | 8 | magic |
//! | 4 | format, little endian, as all numbers here |
//! | 32 | id of the chain |
//! | 16 | salt, random |
//! | 4 | CRC-32C of all before |
//!
//! Format 2 is that of a log that begins with a state ([`super::base`]). After the header it has:
//!
//! | bytes | |
//! |---|---|
//! | 8 | height of that state |
//! | 8 | where the records end that hold it, in bytes |
//! | 4 | CRC-32C of salt and the two numbers |

use std::{io, path::Path};

use bard_chain::{hash::ChainId, units::Height};

use super::{
    disk::{Medium, OpenFile},
    error::StoreError,
};

/// The format of a log that begins with the genesis block.
pub(super) const FORMAT: u32 = 1;
/// The format of a log that begins with a state: a version of this software that knows none must not take it for damaged.
pub(super) const FORMAT_WITH_BASE: u32 = 2;
/// First bytes of every log.
const MAGIC: [u8; 8] = *b"bardlog\n";
/// Length of the header in bytes.
pub(super) const HEADER_LEN: usize = 64;
/// Length of what a log that begins with a state has after its header, in bytes.
pub(super) const BASE_LEN: usize = 20;
/// The random bytes of a log's header: which log it is.
pub(super) type Salt = [u8; 16];

/// The state that a log begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Base {
    /// Its height.
    pub(super) height: Height,
    /// Where the records end that hold it, in bytes.
    pub(super) end: u64,
}

impl Base {
    fn crc(salt: &Salt, numbers: &[u8]) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c(salt), numbers)
    }

    /// What is written after the header.
    pub(super) fn to_bytes(self, salt: &Salt) -> Vec<u8> {
        let mut bytes = [self.height.get().to_le_bytes(), self.end.to_le_bytes()].concat();
        let crc = Self::crc(salt, &bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `None` where it is garbled.
    fn read(bytes: &[u8; BASE_LEN], salt: &Salt) -> Option<Self> {
        let (numbers, mut rest) = bytes.split_at(BASE_LEN.saturating_sub(4));
        let whole = u32::from_le_bytes(take(&mut rest)) == Self::crc(salt, numbers);
        let mut rest = numbers;
        let height = Height::new(u64::from_le_bytes(take(&mut rest)));
        let end = u64::from_le_bytes(take(&mut rest));
        whole.then_some(Self { height, end })
    }
}

/// Takes a fixed number of bytes off the front.
pub(super) fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let (taken, rest) = bytes.split_first_chunk().map_or(([0; N], [].as_slice()), |(taken, rest)| (*taken, rest));
    *bytes = rest;
    taken
}

/// Where the first record begins, in bytes.
pub(super) const fn first_record(has_base: bool) -> u64 {
    let base = if has_base { BASE_LEN as u64 } else { 0 };
    (HEADER_LEN as u64).saturating_add(base)
}

/// A salt that nobody can guess.
pub(super) fn fresh_salt() -> io::Result<Salt> {
    let mut salt = Salt::default();
    getrandom::fill(&mut salt).map_err(io::Error::other)?;
    Ok(salt)
}

/// The header of a log.
pub(super) fn bytes(format: u32, chain: ChainId, salt: &Salt) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_LEN);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&format.to_le_bytes());
    bytes.extend_from_slice(chain.as_bytes());
    bytes.extend_from_slice(salt);
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

/// Checks the header of a log of `chain`; returns its salt, and the state that it begins with.
pub(super) fn read(file: &OpenFile, path: &Path, chain: ChainId) -> Result<(Salt, Option<Base>), StoreError> {
    let damaged = || StoreError::Damaged { path: path.into(), offset: 0 };
    let unread = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged(),
        _ => StoreError::io("read", path)(error),
    };
    let mut bytes = [0; HEADER_LEN];
    file.read_exact_at(&mut bytes, 0).map_err(unread)?;
    let mut rest = bytes.as_slice();
    if take(&mut rest) != MAGIC {
        return Err(damaged());
    }
    // Before the checksum, which another format may have elsewhere.
    let found = u32::from_le_bytes(take(&mut rest));
    if ![FORMAT, FORMAT_WITH_BASE].contains(&found) {
        return Err(StoreError::FormatVersion { path: path.into(), found, known: FORMAT_WITH_BASE });
    }
    let (id, salt) = (ChainId::new(take(&mut rest)), take(&mut rest));
    let (content, _) = bytes.split_at(HEADER_LEN.saturating_sub(4));
    if u32::from_le_bytes(take(&mut rest)) != crc32c::crc32c(content) {
        return Err(damaged());
    }
    if id != chain {
        return Err(StoreError::OtherChain { path: path.into(), found: id, expected: chain });
    }
    if found == FORMAT {
        return Ok((salt, None));
    }
    let mut base = [0; BASE_LEN];
    file.read_exact_at(&mut base, HEADER_LEN as u64).map_err(unread)?;
    Ok((salt, Some(Base::read(&base, &salt).ok_or_else(damaged)?)))
}
