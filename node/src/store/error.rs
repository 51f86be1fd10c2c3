//! What can go wrong with the data directory; each says in one line what to do.

use std::{io, path::PathBuf};

use bard_chain::{hash::ChainId, source::SourceError};

use super::disk::KEEP_FREE_DEFAULT;

/// Why the store could not be opened, written or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process, or another store of this one, has the directory open.
    #[error("the data directory {} is in use by a running node: stop that one, or choose another directory", dir.display())]
    Locked {
        /// The data directory.
        dir: PathBuf,
    },
    /// The log was written by another version of this software.
    #[error(
        "{} has format {found}, this version of bard knows format {known}: use the version that wrote it, or an empty data directory",
        path.display()
    )]
    FormatVersion {
        /// The log.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The format that this software reads and writes.
        known: u32,
    },
    /// The log belongs to another chain.
    #[error(
        "{} holds chain {}, not chain {}: choose the specification of that chain, or another data directory",
        path.display(), found.short(), expected.short()
    )]
    OtherChain {
        /// The log.
        path: PathBuf,
        /// Whose blocks it holds.
        found: ChainId,
        /// Whose blocks were expected.
        expected: ChainId,
    },
    /// The log is damaged in the middle: what comes after was written later and is whole.
    #[error(
        "{} is damaged at byte {offset}: restore a backup of the data directory, or start with an empty one to fetch the chain again",
        path.display()
    )]
    Damaged {
        /// The log.
        path: PathBuf,
        /// Where the first damaged record begins, in bytes.
        offset: u64,
    },
    /// The disk is full, or nearly. Nothing was changed; what is stored can still be read.
    #[error("nothing more is stored in {}, {needed} bytes of free space are wanted: free some", path.display())]
    Full {
        /// The data directory, or the file in it that could not grow.
        path: PathBuf,
        /// How much free space is wanted, in bytes.
        needed: u64,
    },
    /// The disk takes no writes.
    #[error(
        "the disk of the data directory is mounted read-only, {} cannot be written: mount it for writing, or choose another directory with --data-dir",
        path.display()
    )]
    ReadOnly {
        /// What was to be written.
        path: PathBuf,
    },
    /// A change of the chain is too large for one record of the log. Nothing was changed.
    #[error("a change of {length} bytes is too large for the log, which takes at most {limit} at once")]
    TooLarge {
        /// Its length in bytes.
        length: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The file system failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The index failed. The log is whole, and the index is made from it: starting again repairs it.
    #[error("the index of the store failed, start the node again to have it repaired: {0}")]
    Index(String),
    /// An earlier write failed in a way that leaves unknown what is on the disk: nothing more is written until a restart.
    #[error("the store takes no more writes after an earlier failure, start the node again: {0}")]
    Stopped(String),
    /// Something stored could not be read.
    #[error(transparent)]
    Read(#[from] SourceError),
}

impl StoreError {
    /// For [`Result::map_err`]: what failed, doing what, to which file.
    pub(super) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path, needed: KEEP_FREE_DEFAULT },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path },
            _ => Self::Io { action, path, source },
        }
    }
}
