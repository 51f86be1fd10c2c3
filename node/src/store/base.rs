//! A log that begins with a state instead of the genesis block: how one is made, and what its first records say.
//!
//! Its first records are the parts of a snapshot ([`bard_chain::snapshot`]) as they are: all headers up to the state, its
//! accounts and items. So the log is the truth here too, and the index is made from it. Headers below the state are known and
//! the blocks are not: nothing can be undone there, and nobody is served from there.

use std::path::{Path, PathBuf};

use bard_chain::{
    block::Header,
    hash::BlockId,
    snapshot::{Check, Checked, Part, SnapshotError, with_accounts, with_items},
    source::SourceError,
    spec::ChainSpec,
    units::{Height, Timestamp},
};

use super::{
    disk::{Dir, DirLock, Disk, KEEP_FREE_DEFAULT},
    error::StoreError,
    header::{Base, FORMAT_WITH_BASE, fresh_salt},
    log::{self, FRAME_LEN, Log, Mark},
    open::LOG,
    overlay::{Entry, Head, Layer},
    reader::StoreReader,
};

/// The log while it is being made: one that a crash left behind is worth nothing.
pub(super) const UNFINISHED_LOG: &str = "chain.log.unfinished";

/// Why no data directory was made from a snapshot. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// There is a chain already.
    #[error("{} holds a chain already: choose an empty directory, or delete chain.log and index.redb in it", dir.display())]
    Taken {
        /// The data directory.
        dir: PathBuf,
    },
    /// The snapshot cannot be read.
    #[error("{0}")]
    Unread(String),
    /// It is none, or not that of its last header.
    #[error("the snapshot is not good, {0}")]
    Snapshot(#[from] SnapshotError),
    /// It is of the genesis block.
    #[error("the snapshot has no block: start with an empty data directory")]
    Empty,
    /// Its last block is not the one that was expected.
    #[error("the snapshot ends with block {found} at height {height}, not with {expected}")]
    OtherBlock {
        /// Which one was expected.
        expected: BlockId,
        /// Its last block.
        found: BlockId,
        /// The height of that.
        height: Height,
    },
    /// What must be there besides is not.
    #[error("{0}")]
    Unready(String),
    /// The directory could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a data directory is made from.
pub struct Beginning<'a> {
    /// The chain.
    pub spec: &'a ChainSpec,
    /// The reader's clock: headers from the future are refused.
    pub now: Timestamp,
    /// The block that the snapshot must end with, if it is known.
    pub last: Option<BlockId>,
    /// Gives the parts of the snapshot one by one; `None` at the end.
    pub parts: &'a mut dyn FnMut() -> Result<Option<Vec<u8>>, String>,
    /// What else must be there before the directory counts; done last.
    pub ready: &'a dyn Fn() -> Result<(), String>,
}

/// Makes a data directory, created if it is not there, from a snapshot: whole or not at all, whenever it is interrupted. Each
/// part is checked as it comes, and the whole before it counts. It needs the memory of a few parts, however large the state.
///
/// # Errors
/// [`BeginError`]; there is no chain in the directory then.
pub fn begin(dir: &Path, beginning: Beginning<'_>) -> Result<Checked, BeginError> {
    let disk = Dir(dir.to_path_buf());
    disk.create_dir().map_err(StoreError::io("create", dir))?;
    let _lock = DirLock::take(dir)?;
    begin_on(&disk, dir, beginning)
}

/// [`begin`] on a disk, which messages call `dir`.
pub(super) fn begin_on(disk: &dyn Disk, dir: &Path, beginning: Beginning<'_>) -> Result<Checked, BeginError> {
    let path = dir.join(LOG);
    if disk.length(LOG).map_err(StoreError::io("look for", &path))?.is_some() {
        return Err(BeginError::Taken { dir: dir.into() });
    }
    let done = write(disk, &path, beginning);
    if done.is_err() {
        // What failed is what matters; the next start removes it.
        let _ = disk.remove(UNFINISHED_LOG);
    }
    done
}

fn write(disk: &dyn Disk, path: &Path, beginning: Beginning<'_>) -> Result<Checked, BeginError> {
    let Beginning { spec, now, last, parts, ready } = beginning;
    let failed = |error| BeginError::from(StoreError::io("write", path)(error));
    let salt = fresh_salt().map_err(failed)?;
    let file = disk.create(UNFINISHED_LOG).map_err(failed)?;
    let mut log = Log::with_base(file, salt, path.to_path_buf());
    let mut check = Check::new(spec, now);
    while let Some(part) = parts().map_err(BeginError::Unread)? {
        check.part(&part)?;
        let needed = KEEP_FREE_DEFAULT.saturating_add(part.len() as u64);
        if disk.free_bytes().is_some_and(|free| free < needed) {
            return Err(StoreError::Full { path: path.into(), needed }.into());
        }
        log.append_bytes(0, [&[0; FRAME_LEN], part.as_slice()].concat())?;
    }
    let checked = check.finish()?;
    if checked.height == Height::ZERO {
        return Err(BeginError::Empty);
    }
    if let Some(expected) = last.filter(|last| *last != checked.tip) {
        return Err(BeginError::OtherBlock { expected, found: checked.tip, height: checked.height });
    }
    ready().map_err(BeginError::Unready)?;
    let base = Base { height: checked.height, end: log.end() };
    let head = super::header::bytes(FORMAT_WITH_BASE, spec.chain_id(), &salt);
    log.medium.write_all_at(&[head, base.to_bytes(&salt)].concat(), 0).map_err(failed)?;
    log::finish(disk, &log.medium, UNFINISHED_LOG, LOG).map_err(failed)?;
    Ok(checked)
}

/// The changes that a part makes to what `reader` sees, and where the store stands after it: its record is at `mark`.
pub(super) fn plan_part(reader: &StoreReader, part: &Part, mark: Mark) -> Result<(Layer, Head), SourceError> {
    let mut layer = Layer::default();
    let mut head = Head { mark, ..reader.head() };
    let delta = match part {
        Part::Headers(headers) => {
            plan_headers(reader, headers, &mut layer, &mut head)?;
            return Ok((layer, head));
        }
        Part::Accounts(accounts) => with_accounts(accounts),
        Part::Items(items) => with_items(items),
        Part::End(..) => return Ok((layer, head)),
    };
    layer.accounts = delta.accounts.iter().map(|(address, change)| (*address, Some(change.after))).collect();
    layer.items = delta.items.iter().map(|(name, change)| (name.clone(), change.after)).collect();
    head.counts = head.counts.after(&delta);
    head.commitment.apply(&delta);
    Ok((layer, head))
}

/// Headers, which were checked when the log was made. Their blocks are nowhere.
fn plan_headers(
    reader: &StoreReader,
    headers: &[Header],
    layer: &mut Layer,
    head: &mut Head,
) -> Result<(), SourceError> {
    let mut before = reader.known(&head.tip)?;
    for header in headers {
        let id = header.id(reader.shared.spec.pow);
        let work = header.target.expand().map(|target| before.work.saturating_add(target.work()));
        let entry = Entry {
            header: header.clone(),
            work: work.unwrap_or(before.work),
            anchor: before.anchor.or(Some(header.timestamp)),
            arrival: before.arrival.saturating_add(1),
            invalid: false,
            body: None,
            undo: None,
        };
        layer.heights.insert(header.height.get(), Some(id));
        layer.blocks.insert(id, entry.clone());
        (head.tip, head.height) = (id, header.height);
        before = entry;
    }
    Ok(())
}

/// A block that is known by its header alone, for it is not above the state that this node began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this node has no block {height}: it began with the state at height {floor} and has the blocks above it; ask a node with the whole chain"
)]
pub struct NotHeld {
    /// The block's height.
    pub height: Height,
    /// The height of the state.
    pub floor: Height,
}

impl StoreReader {
    /// Height of the state that the store began with: 0 where it has every block.
    pub fn floor(&self) -> Height {
        self.shared.log.base().map_or(Height::ZERO, |base| base.height)
    }

    /// Height of the lowest block that is stored besides the genesis block; all above it are.
    pub fn blocks_from(&self) -> Height {
        self.floor().next().unwrap_or(Height::MAX)
    }

    /// Refuses a height whose block is known by its header alone. The genesis block is always there.
    ///
    /// # Errors
    /// [`NotHeld`].
    pub fn check_held(&self, height: Height) -> Result<(), NotHeld> {
        let floor = self.floor();
        if height > Height::ZERO && height <= floor { Err(NotHeld { height, floor }) } else { Ok(()) }
    }

    /// Shows the parts of the state that the store began with, one by one; none where it has every block.
    ///
    /// # Errors
    /// Where the log cannot be read, or what `visit` returns.
    pub fn visit_base<E: From<SourceError>>(&self, visit: &mut dyn FnMut(Part) -> Result<(), E>) -> Result<(), E> {
        let log = &self.shared.log;
        let Some(base) = log.base() else { return Ok(()) };
        let unread = |what: String| E::from(SourceError(format!("cannot read {}: {what}", log.path().display())));
        let mut at = log.first().end;
        while at < base.end {
            let damaged = || unread(format!("it is damaged at byte {at}"));
            let record = log.record(at, base.end).map_err(|error| unread(error.to_string()))?.ok_or_else(damaged)?;
            let part = record.part_of_base().and_then(|part| Part::read(part).ok()).ok_or_else(damaged)?;
            at = record.mark.end;
            visit(part)?;
        }
        Ok(())
    }
}
