//! What survives a restart: every block, the undo of the active chain, and what the chain adds up to.
//!
//! # How
//! `chain.log` is the truth: a file that only grows, one checksummed record a commit, one `fdatasync` a group of commits.
//! `index.redb` is made from it: an embedded store of accounts, items, headers, heights, transactions and histories, written
//! in large batches by a thread of its own, each stamped with the place in the log that it stands for. What was committed
//! since is in memory, where readers look first. Opening takes the index up to its stamp and replays the log from there.
//!
//! # Invariants
//! - A commit is visible whole or not at all, before and after a crash.
//! - The index never stands for more than what is on the disk in the log, and never matters: without it, it is made anew.
//! - The commitment to the ledger that opening arrives at is the one that the tip's header names.
//! - Readers never wait for a file that a commit writes.
//!
//! # Memory
//! At most three layers of changes, each handed on at 512 commits or 8 MiB; 12 MiB of pages of the index; 4 MiB of blocks, which
//! take three times as much there.
//!
//! | file | content |
//! |---|---|
//! | `log.rs`, `header.rs`, `record.rs` | the file, what it begins with, and what one record of it says |
//! | `base.rs` | a log that begins with a state |
//! | `plan.rs` | what a record changes |
//! | `overlay.rs`, `index.rs`, `flusher.rs` | these changes in memory, on the disk, and on the way from one to the other |
//! | `changes.rs` | many commits' changes in memory, in the order of their keys |
//! | `chunks.rs` | how histories lie in the index |
//! | `open.rs`, `suspect.rs`, `cut.rs` | recovery, how an index that is garbled is noticed, and what it may have led to |
//! | `reader.rs`, `listing.rs`, `recent.rs`, `lately.rs` | reading |
//! | `history.rs`, `forks.rs`, `undone.rs` | what happened to an account, an item or a record; the branches near the tip, and what left the chain |
//! | `past.rs`, `state_at.rs` | what an account or an item was at an earlier height, and all of them together |
//! | `disk.rs`, `error.rs` | the file system, and what goes wrong with it |

mod base;
mod changes;
mod chunks;
mod cut;
mod disk;
mod error;
mod flusher;
mod forks;
mod header;
mod history;
mod index;
mod lately;
mod listing;
mod log;
mod open;
mod overlay;
mod past;
mod plan;
mod reader;
mod recent;
mod record;
mod state_at;
mod suspect;
#[cfg(test)]
pub(crate) mod tests;
mod undone;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
};

use bard_chain::{
    engine::{Effects, Restored},
    hash::BlockId,
    rules::isolated::Isolated,
    source::{Source, SourceError},
    spec::ChainSpec,
};

pub use self::{
    base::{BeginError, Beginning, NotHeld, begin},
    disk::{DirLock, KEEP_FREE_DEFAULT},
    error::StoreError,
    forks::{KnownBlock, KnownTree, Verdict},
    history::{Handover, NotAPlace, Page, Place, Placed},
    overlay::Counts,
    past::PastError,
    reader::StoreReader,
};
use self::{
    disk::Disk,
    flusher::Flusher,
    log::{FRAME_LEN, Log},
    overlay::{Head, Sight},
    plan::plan,
    record::Payload,
    suspect::Checking,
};

/// The store, for the one who writes.
#[derive(Debug)]
pub struct Store {
    /// Sees the newest.
    reader: StoreReader,
    /// Blocks of commits that are not durable yet, which [`Store::sync`] bounds as often as it is called.
    appended: Vec<Arc<Isolated>>,
    log: Log,
    flusher: Flusher,
    /// Where the index was not checked when it was opened.
    checking: Option<Checking>,
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// Less free space than this, in bytes, and nothing more is stored.
    keep_free: u64,
    /// Given up last.
    _lock: Option<DirLock>,
}

/// A store that was opened.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Store,
    /// Where the engine goes on.
    pub restored: Restored,
    /// What was found damaged and mended, a line each, for the person who runs the node.
    pub repairs: Vec<String>,
}

/// Free space of the disk that a store is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// For this user, in bytes; `None` where the system does not tell.
    pub free: Option<u64>,
    /// Less than this, in bytes, and nothing more is stored.
    pub keep_free: u64,
}

impl std::fmt::Display for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mebibytes = |bytes: u64| bytes >> 20;
        let (free, kept) = (mebibytes(self.free.unwrap_or_default()), mebibytes(self.keep_free));
        write!(f, "{free} MiB are free, {kept} MiB are kept free (--keep-free)")
    }
}

impl Room {
    /// Whether there is too little.
    pub fn is_short(&self) -> bool {
        self.free.is_some_and(|free| free < self.keep_free)
    }
}

impl Store {
    /// Opens the store in a directory, created if it is not there, and mends what a crash or a bad disk left behind.
    ///
    /// # Errors
    /// Where the directory is in use, belongs to another chain or version, is damaged beyond what can be made anew, or cannot
    /// be read or written.
    pub fn open(dir: &Path, spec: Arc<ChainSpec>) -> Result<Opened, StoreError> {
        open::open(dir, spec)
    }

    /// Stores nothing more where less than `bytes` would be free on the disk, instead of [`KEEP_FREE_DEFAULT`].
    #[must_use]
    pub const fn keeping_free(mut self, bytes: u64) -> Self {
        self.keep_free = bytes;
        self
    }

    /// How the disk stands: free space and how much of it is kept.
    pub fn room(&self) -> Room {
        Room { free: self.disk.free_bytes(), keep_free: self.keep_free }
    }

    /// Writes what accepting a block changed, and makes it visible to [`Store::newest`]. It survives the end of the process from
    /// then on; a loss of power from [`Store::sync`] on, when everybody sees it.
    ///
    /// # Errors
    /// Where it could not be written; nothing was changed then.
    pub fn append(&mut self, effects: &Effects) -> Result<(), StoreError> {
        self.flusher.check_room(&self.reader.shared)?;
        let payload = Payload::of(effects, FRAME_LEN);
        self.check_free(payload.bytes.len() as u64)?;
        let parts_offset = self.log.end().saturating_add(FRAME_LEN.saturating_add(payload.head_len) as u64);
        let (_, parts) = payload.bytes.split_at(FRAME_LEN.saturating_add(payload.head_len).min(payload.bytes.len()));
        let body = |id: &BlockId| self.body_of(effects, id);
        let layer = plan(&self.reader, &payload.commit, parts, parts_offset, &body)?;
        let mark = self.log.append(payload)?;
        let counts = self.reader.counts().after(&effects.state);
        let commitment = effects.commitment.clone();
        let head = Head { mark, tip: effects.tip.id, height: effects.tip.height, commitment, counts };
        self.reader.shared.state_mut().append(layer, head);
        self.appended.extend(effects.stored.iter().map(|(block, _)| Arc::clone(block)));
        Ok(())
    }

    /// Returns when all that was appended would survive a loss of power, and everybody sees it. Hands what is in memory to the
    /// index's thread once there is much of it, and waits for that thread only if it is two such lots behind.
    ///
    /// # Errors
    /// Where the log could not be synced; nothing more is written then until the store is opened again.
    pub fn sync(&mut self) -> Result<(), StoreError> {
        self.settle()?;
        self.flusher.tend(&self.reader.shared);
        Ok(())
    }

    fn settle(&mut self) -> Result<(), StoreError> {
        self.log.sync()?;
        self.reader.shared.state_mut().settle();
        for block in self.appended.drain(..) {
            self.reader.shared.recent.put(&block);
        }
        Ok(())
    }

    /// A reader of what is durable, for any thread.
    pub fn reader(&self) -> StoreReader {
        StoreReader { sight: Sight::Durable, ..self.reader.clone() }
    }

    /// A reader that also sees what was appended and is not durable yet, for whoever decides what is appended next. What it says
    /// may be undone by a loss of power, so nobody else is told.
    pub fn newest(&self) -> StoreReader {
        self.reader.clone()
    }

    /// Syncs the log, brings the index up to date with it, and gives up the directory. A store that is merely dropped leaves
    /// more to be replayed when it is opened again, and is no worse for it.
    ///
    /// # Errors
    /// Where the log could not be synced or the index not written.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.settle()?;
        self.flusher.finish(&self.reader.shared)
    }

    /// Why the store is of no more use, though nothing that is stored is lost: its index cannot be read any more, or is garbled.
    /// Blocks would be refused that are right, for ever.
    pub fn failure(&self) -> Option<StoreError> {
        self.reader.shared.index_failed().map(|why| StoreError::Index(why.to_owned()))
    }

    /// Whether what the index says of the ledger may be wrong: it is being added up since it was opened, or was found garbled. What
    /// follows from it is neither to be told to others nor held against them.
    pub fn is_uncertain(&self) -> bool {
        self.reader.shared.unchecked.load(Ordering::Relaxed) || self.reader.shared.index_failed().is_some()
    }

    /// A block that the effects speak of.
    fn body_of(&self, effects: &Effects, id: &BlockId) -> Result<Arc<Isolated>, SourceError> {
        let stored = effects.stored.iter().map(|(block, _)| block);
        let mut known = stored.chain(effects.connected.iter().map(|connected| &connected.block));
        known.find(|block| block.id() == *id).map_or_else(|| self.reader.block(id), |block| Ok(Arc::clone(block)))
    }

    /// Makes sure that there is room for `length` bytes. Looking costs about as much as reading the clock.
    fn check_free(&self, length: u64) -> Result<(), StoreError> {
        let needed = self.keep_free.saturating_add(length);
        if self.disk.free_bytes().is_some_and(|free| free < needed) {
            return Err(StoreError::Full { path: self.dir.clone(), needed });
        }
        Ok(())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.checking = None;
        self.flusher.stop();
        // Readers that are still about must not keep the files from whoever opens them next.
        self.reader.shared.state_mut().snapshot = None;
    }
}
