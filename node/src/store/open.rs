//! Opening a data directory: the index as far as it goes, the log from there, and what to do where either is damaged.

use std::{
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
};

use bard_chain::{
    engine::Restored,
    hash::BlockId,
    ledger::{Change, Delta, View, commitment::Commitment},
    rules::isolated::Isolated,
    snapshot::Part,
    source::{Source, SourceError},
    spec::ChainSpec,
    tree::{Node, Tree},
    units::{Height, Work},
};

use super::{
    Opened, Store,
    base::{self, UNFINISHED_LOG},
    cut,
    disk::{Dir, DirLock, Disk, KEEP_FREE_DEFAULT},
    error::StoreError,
    flusher::{Flusher, flush, lacking_room},
    index::{CHECKED_LEN, Index, IndexError, Snapshot},
    log::{Log, LogReader, Record},
    overlay::{Counts, Entry, Frozen, Head, Layer, Sight, State},
    plan::plan,
    reader::{Shared, StoreReader},
    record::Commit,
    suspect::{self, Checking, SUSPECT, Suspicion},
};

/// The log's name in the data directory.
pub(super) const LOG: &str = "chain.log";
/// The index's name in the data directory.
pub(super) const INDEX: &str = "index.redb";
/// A file of this name is there while the index is being begun: an index beside it is half-made, and worth nothing.
const UNFINISHED: &str = "index.redb.unfinished";
/// So many damaged indexes are kept; another one is deleted.
const MAX_SET_ASIDE: u32 = 3;
/// How many blocks of the active chain below the deepest reorganisation the tree of known blocks wants: those whose times
/// count for the lowest branch, and the one before.
const WINDOW_EXTRA: u64 = 12;

/// Why recovery did not come to its end.
enum Failure {
    /// The index cannot be used, or misled us.
    Index(String),
    /// The index was written by a version of this software that held other things in it.
    OtherFormat,
    /// It was being made anew, and what is still lacking does not add up.
    HalfMade,
    /// Something that making the index anew would not mend.
    Store(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Self::Index(error.0)
    }
}

/// A data directory about to be opened.
struct Opening<'a> {
    dir: &'a Path,
    disk: Arc<dyn Disk>,
    /// An index up to this long, in bytes, is checked whole.
    checked_len: u64,
    spec: Arc<ChainSpec>,
    genesis: Arc<Isolated>,
    log: LogReader,
    /// Length of the log in bytes, torn end included.
    log_len: u64,
}

/// What recovery found.
struct Recovered {
    index: Index,
    reader: StoreReader,
    end: End,
    restored: Restored,
    /// What the ledger in the index adds up to, as the index says, where nobody looked.
    unchecked: Option<(Snapshot, Commitment)>,
}

/// Where the log ends.
#[derive(Clone, Copy)]
struct End {
    /// After the last record that counts, in bytes.
    at: u64,
    /// Whether what follows is whole, and does not add up.
    is_wrong: bool,
}

/// How the log is replayed.
#[derive(Clone, Copy)]
struct Replay {
    /// Whether the index holds nothing but what the log says: what does not add up then is the log.
    anew: bool,
    /// Whether it was being made anew when an earlier start was cut short. So it was right then, and who knows whether it is now.
    half_made: bool,
    /// From where on in the log, in bytes, it counts which blocks were found invalid. When an index is made anew, nobody knows what
    /// was wrong with the one before, and what verdicts it led to. A branch that is wrong fails again when its next block comes.
    verdicts_from: u64,
}

pub(super) fn open(dir: &Path, spec: Arc<ChainSpec>) -> Result<Opened, StoreError> {
    let disk = Dir(dir.to_path_buf());
    disk.create_dir().map_err(StoreError::io("create", dir))?;
    let lock = DirLock::take(dir)?;
    open_on(Arc::new(disk), dir, Some(lock), spec, CHECKED_LEN)
}

/// Opens the store on a disk, which messages call `dir`. An index up to `checked_len` bytes long is checked whole before it is
/// used.
pub(super) fn open_on(
    disk: Arc<dyn Disk>,
    dir: &Path,
    lock: Option<DirLock>,
    spec: Arc<ChainSpec>,
    checked_len: u64,
) -> Result<Opened, StoreError> {
    // Of a start from a snapshot that did not come to its end.
    if disk.length(UNFINISHED_LOG).map_err(StoreError::io("look for", dir.join(UNFINISHED_LOG)))?.is_some() {
        disk.remove(UNFINISHED_LOG).map_err(StoreError::io("delete", dir.join(UNFINISHED_LOG)))?;
    }
    let (mut log, reader) = Log::open(&*disk, LOG, dir.join(LOG), spec.chain_id())?;
    // What is replayed may get into the index, and so must be on the disk before.
    log.sync()?;
    let log_len = reader.file_len().map_err(StoreError::io("read", dir.join(LOG)))?;
    let genesis = Arc::new(Isolated::genesis(&spec));
    let opening = Opening { dir, disk: Arc::clone(&disk), checked_len, spec, genesis, log: reader, log_len };
    let mut repairs = Vec::new();
    let Recovered { index, reader, end, restored, unchecked } = opening.recover_or_rebuild(&mut repairs)?;
    if end.is_wrong {
        repairs.push(cut::keep(&*disk, opening.dir, &opening.log, (end.at, log_len))?);
    } else if end.at < log_len {
        let dropped = log_len.saturating_sub(end.at);
        repairs.push(format!("{LOG} ended in an unfinished write: its last {dropped} bytes were dropped"));
    }
    log.resume(end.at, log_len)?;
    index.end_of_log_is(end.at).map_err(|error| StoreError::Index(error.to_string()))?;
    let dir = dir.to_path_buf();
    let flusher = Flusher::start(index, Arc::clone(&reader.shared), Arc::clone(&disk), dir.clone())
        .map_err(StoreError::io("start the thread that writes", dir.join(INDEX)))?;
    let check = |(snapshot, expected)| Checking::start(snapshot, expected, Arc::clone(&reader.shared));
    let checking = unchecked.map(check).transpose();
    let checking = checking.map_err(StoreError::io("start the thread that checks", dir.join(INDEX)))?;
    let (appended, keep_free) = (Vec::new(), KEEP_FREE_DEFAULT);
    let store = Store { reader, appended, log, flusher, checking, disk, dir, keep_free, _lock: lock };
    Ok(Opened { store, restored, repairs })
}

impl Opening<'_> {
    fn index_path(&self) -> PathBuf {
        self.dir.join(INDEX)
    }

    /// Whether there is a file of this name.
    fn has(&self, name: &str) -> Result<bool, StoreError> {
        let length = self.disk.length(name).map_err(StoreError::io("look for", self.dir.join(name)))?;
        Ok(length.is_some())
    }

    /// Recovers with the index that is there; where that fails, with one made anew from the log.
    fn recover_or_rebuild(&self, repairs: &mut Vec<String>) -> Result<Recovered, StoreError> {
        let began = self.has(UNFINISHED)?;
        if began && self.has(INDEX)? {
            self.disk.remove(INDEX).map_err(StoreError::io("delete", self.index_path()))?;
        }
        if self.log_len > self.log.first().end && !self.has(INDEX)? {
            let what = if began { "unfinished" } else { "missing" };
            repairs.push(format!("{INDEX} was {what}: it was made anew from {LOG}"));
        }
        let suspicion = suspect::found(&*self.disk).map_err(StoreError::io("look for", self.dir.join(SUSPECT)))?;
        let suspicion = if self.has(INDEX)? { suspicion } else { None };
        let first = match suspicion {
            Some(Suspicion::Certain) => Err(Failure::Index("it was found garbled when it was used".into())),
            // What a disk has garbled must not keep the node from starting, whatever it makes the index's library do.
            _ => catch_unwind(AssertUnwindSafe(|| self.recover(suspicion)))
                .unwrap_or_else(|_| Err(Failure::Index("it is garbled".into()))),
        };
        repairs.push(match first {
            Ok(recovered) => {
                self.clear_suspicion()?;
                repairs.extend(suspicion.map(|_| format!("{INDEX} was suspect: it was checked, and is whole")));
                return Ok(recovered);
            }
            Err(Failure::Store(error)) => return Err(error),
            Err(Failure::Index(why)) => self.set_aside(&why)?,
            Err(Failure::OtherFormat) => {
                self.discard(format!("{INDEX} was of another version of this software: it was made anew from {LOG}"))?
            }
            Err(Failure::HalfMade) => self.discard(format!(
                "{INDEX} was being made anew and did not add up any more: it was begun again from {LOG}"
            ))?,
        });
        self.clear_suspicion()?;
        self.recover(None).map_err(|failure| match failure {
            Failure::Store(error) => error,
            // Made anew, it is what the log says: then the log makes no sense.
            Failure::Index(why) => self.senseless(&why),
            Failure::OtherFormat | Failure::HalfMade => self.senseless("the index is not what it was made"),
        })
    }

    /// What was suspected of the index that was there is no longer so, or the index no longer there.
    fn clear_suspicion(&self) -> Result<(), StoreError> {
        suspect::clear(&*self.disk).map_err(StoreError::io("delete", self.dir.join(SUSPECT)))
    }

    fn senseless(&self, why: &str) -> StoreError {
        tracing::error!(why, "the log of the store makes no sense");
        self.damaged(self.log_len)
    }

    /// Deletes an index that nobody need look at: all that was ever in it is in the log.
    fn discard(&self, repair: String) -> Result<String, StoreError> {
        self.disk.remove(INDEX).map_err(StoreError::io("delete", self.index_path()))?;
        Ok(repair)
    }

    /// Moves the index out of the way.
    fn set_aside(&self, why: &str) -> Result<String, StoreError> {
        let mut free = None;
        for name in (1..=MAX_SET_ASIDE).map(|number| format!("{INDEX}.damaged-{number}")) {
            if !self.has(&name)? {
                free = Some(name);
                break;
            }
        }
        let done = match &free {
            Some(name) => self.disk.rename(INDEX, name),
            None => self.disk.remove(INDEX),
        };
        // Before anything says that there is no more to suspect.
        done.and_then(|()| self.disk.sync_dir()).map_err(StoreError::io("set aside", self.index_path()))?;
        let fate = free.map_or_else(|| "deleted".to_owned(), |name| format!("set aside as {name}"));
        Ok(format!("{INDEX} could not be used ({why}): it was {fate} and made anew from {LOG}"))
    }

    /// Before the first byte of an index is written.
    fn begin_index(&self) -> std::io::Result<()> {
        self.disk.create(UNFINISHED)?;
        self.disk.sync_dir()
    }

    /// Once a new index is whole, with what the genesis block says.
    fn end_index(&self) -> std::io::Result<()> {
        self.disk.sync_dir()?;
        if self.disk.length(UNFINISHED)?.is_some() {
            self.disk.remove(UNFINISHED)?;
            self.disk.sync_dir()?;
        }
        Ok(())
    }

    fn index_failure(&self, error: IndexError) -> Failure {
        match error {
            IndexError::Damaged(what) => Failure::Index(what),
            IndexError::Io(source) => StoreError::io("use", self.index_path())(source).into(),
            IndexError::OtherFormat => Failure::OtherFormat,
            IndexError::InUse => StoreError::Locked { dir: self.dir.into() }.into(),
            IndexError::Closed => StoreError::Index(error.to_string()).into(),
        }
    }

    /// Takes the index as far as it goes, and replays the rest of the log on top. One that is suspect is checked before, however
    /// long it is.
    fn recover(&self, suspicion: Option<Suspicion>) -> Result<Recovered, Failure> {
        let failed = |error| self.index_failure(error);
        if !self.has(INDEX)? {
            self.begin_index().map_err(StoreError::io("create", self.index_path()))?;
        }
        let checked_len = suspicion.map_or(self.checked_len, |_| u64::MAX);
        let length = self.disk.length(INDEX).map_err(StoreError::io("look for", self.index_path()))?;
        let index = Index::open(&*self.disk, INDEX, checked_len).map_err(failed)?;
        let (head, anew) = match index.head(self.log.salt()).map_err(failed)? {
            Some(head) => (head, false),
            None => {
                let genesis = self.genesis_layer();
                index.begin(&genesis, self.log.salt(), self.log_len).map_err(failed)?;
                self.end_index().map_err(StoreError::io("sync", self.dir))?;
                (genesis.head, true)
            }
        };
        let read = StoreError::io("read", self.log.path());
        if !self.log.holds(&head.mark, self.log_len).map_err(read)? {
            return Err(Failure::Index(format!(
                "it stands for more than {LOG} holds: the disk lost the end of that file, or an older copy is in its place"
            )));
        }
        if suspicion.is_some()
            && let snapshot = index.snapshot().map_err(failed)?
            && let Some(why) = suspect::wrong(&snapshot, &head.commitment, &|| true).map_err(failed)?
        {
            return Err(Failure::Index(why));
        }
        let state = State::new(index.snapshot().map_err(failed)?, head);
        let (spec, genesis) = (Arc::clone(&self.spec), Arc::clone(&self.genesis));
        let shared = Shared::new(spec, genesis, self.log.clone(), state, Arc::clone(&self.disk));
        // What makes no sense ends nothing yet: the index is made anew for it.
        let reader = StoreReader { shared: Arc::new(shared), sight: Sight::Durable };
        let verdicts_from = index.verdicts_from().map_err(failed)?;
        let replay = Replay { anew, half_made: reader.head().mark.end < verdicts_from, verdicts_from };
        let caught_up = self.catch_up(&index, &reader, replay);
        match caught_up.and_then(|end| Ok((end, restored(&reader, &self.spec)?))) {
            Ok((end, restored)) => {
                let reader = StoreReader { sight: Sight::Newest, ..reader };
                let mut unchecked = None;
                if length.is_some_and(|length| length > checked_len)
                    && let Some(head) = index.head(self.log.salt()).map_err(failed)?
                {
                    unchecked = Some((index.snapshot().map_err(failed)?, head.commitment));
                }
                Ok(Recovered { index, reader, end, restored, unchecked })
            }
            Err(failure) => Err(match (failure, reader.shared.index_failed()) {
                // What the file system does not give back may be as good as ever.
                (Failure::Index(_), Some(why)) => {
                    StoreError::io("read", self.index_path())(std::io::Error::other(why.to_owned())).into()
                }
                (other, _) => other,
            }),
        }
    }

    /// Replays what the index lacks, and makes sure that it adds up to what the tip commits to.
    fn catch_up(&self, index: &Index, reader: &StoreReader, replay: Replay) -> Result<End, Failure> {
        let end = self.replay(index, reader, replay)?;
        let head = reader.head();
        if reader.known(&head.tip)?.header.state_root != head.commitment.root() {
            return Err(Failure::Index("what it adds up to is not what the tip commits to".into()));
        }
        Ok(end)
    }

    /// What the index holds at first.
    fn genesis_layer(&self) -> Frozen {
        let (id, delta) = (self.genesis.id(), self.spec.genesis_delta());
        let header = self.genesis.header().clone();
        let entry =
            Entry { header, work: Work::ZERO, anchor: None, arrival: 0, invalid: false, body: None, undo: None };
        let mut layer = Layer::default();
        layer.blocks.insert(id, entry);
        layer.heights.insert(0, Some(id));
        let (mut commitment, mut counts) = (Commitment::default(), Counts::default());
        // Where the log begins with a state, that is all that there is.
        if self.log.base().is_none() {
            layer.accounts = delta.accounts.iter().map(|(address, change)| (*address, Some(change.after))).collect();
            (commitment, counts) = (self.spec.genesis_commitment(), counts.after(&delta));
        }
        let head = Head { mark: self.log.first(), tip: id, height: Height::ZERO, commitment, counts };
        Frozen { layer, head }
    }

    /// Applies the records after the one the index stands for; returns where the last one ends that is whole, and adds up.
    fn replay(&self, index: &Index, reader: &StoreReader, replay: Replay) -> Result<End, Failure> {
        let mut at = reader.head().mark.end;
        let read = || StoreError::io("read", self.log.path());
        if at < self.log_len {
            tracing::info!(bytes = self.log_len.saturating_sub(at), "replaying the log of the store");
        }
        while let Some(record) = self.log.record(at, self.log_len).map_err(read())? {
            if !self.apply(reader, &record, replay)? {
                return Ok(End { at, is_wrong: true });
            }
            at = record.mark.end;
            if reader.shared.state().active.is_large() {
                reader.shared.state_mut().freeze();
                if let Some(needed) = lacking_room(&reader.shared, &*self.disk) {
                    return Err(StoreError::Full { path: self.dir.into(), needed }.into());
                }
                flush(index, &reader.shared).map_err(|error| self.index_failure(error))?;
            }
        }
        // A log that begins with a state got its name when all of that was on the disk.
        let cut = self.log.base().is_some_and(|base| at < base.end);
        if cut || at < self.log_len && self.log.was_durable(at, self.log_len).map_err(read())? {
            return Err(self.damaged(at).into());
        }
        Ok(End { at, is_wrong: false })
    }

    fn damaged(&self, offset: u64) -> StoreError {
        StoreError::Damaged { path: self.log.path().clone(), offset }
    }

    /// Makes the commit of one record visible; not where the index is made anew and the commit does not add up to what its tip commits
    /// to: whether it did is the answer.
    fn apply(&self, reader: &StoreReader, record: &Record, replay: Replay) -> Result<bool, Failure> {
        if let Some(part) = record.part_of_base() {
            let part = Part::read(part).map_err(|_| self.damaged(record.mark.start))?;
            let (layer, head) = base::plan_part(reader, &part, record.mark)?;
            reader.shared.state_mut().commit(layer, head);
            return Ok(true);
        }
        let (head, parts) = record.split();
        let mut commit = Commit::read(head).map_err(|_| self.damaged(record.mark.start))?;
        if record.mark.start < replay.verdicts_from {
            commit.invalidated.clear();
        }
        let mut stored = None;
        if let Some(block) = &commit.stored {
            let length = usize::try_from(block.length).unwrap_or(usize::MAX);
            let bytes = parts.get(..length).ok_or_else(|| self.damaged(record.mark.start))?;
            stored = Some(reader.read_block(&block.id, bytes).map_err(|_| self.damaged(record.mark.start))?);
        }
        let body = |id: &BlockId| {
            let stored = stored.as_ref().filter(|block| block.id() == *id);
            stored.map_or_else(|| reader.block(id), |block| Ok(Arc::clone(block)))
        };
        let layer = plan(reader, &commit, parts, record.parts_offset(), &body)?;
        let delta = delta(reader, &commit)?;
        let mut head = reader.head();
        head.mark = record.mark;
        head.tip = commit.tip;
        let tip =
            layer.blocks.get(&commit.tip).map_or_else(|| reader.known(&commit.tip), |entry| Ok(entry.clone()))?.header;
        head.height = tip.height;
        head.commitment.apply(&delta);
        head.counts = head.counts.after(&delta);
        if (replay.anew || replay.half_made) && head.commitment.root() != tip.state_root {
            return if replay.anew { Ok(false) } else { Err(Failure::HalfMade) };
        }
        reader.shared.state_mut().commit(layer, head);
        Ok(true)
    }
}

/// The change of the ledger that a commit makes, whose record holds only what is afterwards.
fn delta(before: &StoreReader, commit: &Commit) -> Result<Delta, SourceError> {
    let mut delta = Delta::default();
    for (address, after) in &commit.accounts {
        delta.accounts.insert(*address, Change { before: before.account(address)?, after: *after });
    }
    for (name, after) in &commit.items {
        delta.items.insert(name.clone(), Change { before: before.item(name)?, after: *after });
    }
    Ok(delta)
}

/// Where the engine goes on: the end of the active chain, and the branches that left it there.
fn restored(reader: &StoreReader, spec: &ChainSpec) -> Result<Restored, SourceError> {
    let above = spec.max_reorg_depth.saturating_add(WINDOW_EXTRA).saturating_sub(1);
    let base = reader.tip_height().saturating_sub(Height::new(above));
    let node = |id: BlockId| -> Result<(BlockId, Node), SourceError> { Ok((id, reader.known(&id)?.into_node())) };
    let ids = reader.ids((Bound::Included(base.get()), Bound::Unbounded), usize::MAX)?;
    let active: Vec<_> = ids.into_iter().map(|(_, id)| node(id)).collect::<Result<_, _>>()?;
    let mut active = active.into_iter();
    let lowest = active.next().ok_or_else(|| SourceError(format!("no block is stored at height {base}")))?;
    // A branch whose root lies below can never become active, nor can another block of that height.
    let beside = reader.sides(base.next().unwrap_or(base)).map(|id| node(id?));
    let tree = Tree::restore(spec, lowest, active, beside)?;
    Ok(Restored { tree, commitment: reader.head().commitment, floor: reader.floor() })
}
