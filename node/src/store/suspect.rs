//! The suspicion that the index is garbled, and what comes of it.
//!
//! A short index is checked whole whenever it is opened. A long one is not, for that would take minutes: a thread adds up the
//! ledger in it afterwards, and compares the sum with the commitment beside it. Where that differs, where something read of the
//! index makes no sense, or where a thread that works with it panics, a file is left beside the index, by which the next start
//! knows. The store ends then, unless it was another than the writer who read.

use std::{
    io,
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use bard_chain::{
    ledger::{Account, Change, Delta, commitment::Commitment},
    source::SourceError,
};

use super::{
    disk::{Disk, Medium},
    index::{IndexError, Snapshot},
    overlay::Sight,
    reader::{Shared, StoreReader},
};

/// Beside the index: it is not to be trusted.
pub(super) const SUSPECT: &str = "index.redb.suspect";
/// What the file holds where it is certain.
const CERTAIN: &[u8] = b"garbled\n";
/// Entries that are added up before anything else has a turn.
const PAGE: usize = 4096;
/// How long others have their turn then.
const PAUSE: Duration = Duration::from_millis(4);

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Suspicion {
    /// Something went wrong that a garbled index may be the cause of: it is to be checked whole.
    Possible,
    /// It is garbled: it is to be made anew.
    Certain,
}

/// What an earlier run left to know.
pub(super) fn found(disk: &dyn Disk) -> io::Result<Option<Suspicion>> {
    let how = |length| if length > 0 { Suspicion::Certain } else { Suspicion::Possible };
    Ok(disk.length(SUSPECT)?.map(how))
}

/// Leaves the next start to know, unless it knows worse already.
pub(super) fn leave(disk: &dyn Disk, how: Suspicion) -> io::Result<()> {
    if found(disk)?.is_some_and(|known| known >= how) {
        return Ok(());
    }
    let file = disk.create(SUSPECT)?;
    if how == Suspicion::Certain {
        file.write_all_at(CERTAIN, 0)?;
        file.sync_data()?;
    }
    disk.sync_dir()
}

/// Nothing is suspected any more.
pub(super) fn clear(disk: &dyn Disk) -> io::Result<()> {
    if disk.length(SUSPECT)?.is_some() {
        disk.remove(SUSPECT)?;
        disk.sync_dir()?;
    }
    Ok(())
}

impl Shared {
    /// Leaves the next start to know that the index may be garbled, or is.
    pub(super) fn suspect_index(&self, how: Suspicion) {
        if let Err(error) = leave(&*self.disk, how) {
            tracing::warn!(%error, "the next start cannot be told that the index of the store may be garbled");
        }
    }

    /// Nothing more is to be read of the index, for it was found garbled.
    pub(super) fn condemn_index(&self, why: &str) {
        // Before anything ends for it.
        self.suspect_index(Suspicion::Certain);
        if self.index_failed.set(why.to_owned()).is_ok() {
            tracing::error!(
                why,
                "the index of the store is garbled: the node ends, and makes it anew when it is started again"
            );
        }
    }
}

impl StoreReader {
    /// Leaves the next start to know that something went wrong that a garbled index may be the cause of: it checks the index whole.
    pub fn suspect_index(&self) {
        self.shared.suspect_index(Suspicion::Possible);
    }

    /// What was read of the index. Whoever writes cannot do without what makes no sense: what needs it would be refused for ever, and a
    /// start makes it anew.
    pub(super) fn read<T>(&self, read: Result<T, IndexError>) -> Result<T, SourceError> {
        if self.sight == Sight::Newest
            && let Err(IndexError::Damaged(why)) = &read
        {
            self.shared.condemn_index(why);
        }
        self.shared.read(read)
    }
}

/// The commitment to the ledger that an index holds, made from nothing; `None` where `goes_on`, which is asked now and then, says
/// no.
pub(super) fn sum(snapshot: &Snapshot, goes_on: &dyn Fn() -> bool) -> Result<Option<Commitment>, IndexError> {
    let mut sum = Commitment::default();
    let mut accounts = snapshot.accounts_in(&(Bound::Unbounded, Bound::Unbounded))?;
    let mut items = snapshot.items_in(&(Bound::Unbounded, Bound::Unbounded))?;
    loop {
        let mut delta = Delta::default();
        for entry in accounts.by_ref().take(PAGE) {
            let (address, after) = entry?;
            delta.accounts.insert(address, Change { before: Account::default(), after });
        }
        for entry in items.by_ref().take(PAGE) {
            let (name, after) = entry?;
            delta.items.insert(name, Change { before: None, after: Some(after) });
        }
        if delta.accounts.is_empty() && delta.items.is_empty() {
            return Ok(Some(sum));
        }
        sum.apply(&delta);
        if !goes_on() {
            return Ok(None);
        }
    }
}

/// Why the ledger in an index is not what the index says of it; `None` where it is, or where the sum was cut off.
pub(super) fn wrong(
    snapshot: &Snapshot,
    expected: &Commitment,
    goes_on: &dyn Fn() -> bool,
) -> Result<Option<String>, IndexError> {
    match sum(snapshot, goes_on) {
        Ok(Some(sum)) if sum != *expected => Ok(Some("what it holds does not add up to what it says".to_owned())),
        Ok(_) => Ok(None),
        Err(IndexError::Damaged(what)) => Ok(Some(what)),
        Err(error) => Err(error),
    }
}

/// The thread that adds up the ledger in an index that was not checked when it was opened.
#[derive(Debug)]
pub(super) struct Checking {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Checking {
    /// Starts it on an index that says that this is what its ledger adds up to.
    pub(super) fn start(snapshot: Snapshot, expected: Commitment, shared: Arc<Shared>) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        shared.unchecked.store(true, Ordering::Relaxed);
        let run = move || {
            let goes_on = || {
                std::thread::sleep(PAUSE);
                !stopped.load(Ordering::Relaxed)
            };
            // A garbled page may make the index's library panic.
            match catch_unwind(AssertUnwindSafe(|| wrong(&snapshot, &expected, &goes_on))) {
                // One that was cut off says nothing.
                Ok(Ok(None)) => shared.unchecked.store(stopped.load(Ordering::Relaxed), Ordering::Relaxed),
                Ok(Ok(Some(why))) => shared.condemn_index(&why),
                // It is kept for whoever writes to see.
                Ok(Err(error)) => drop(shared.read::<()>(Err(error))),
                Err(_) => shared.condemn_index("it cannot be read through"),
            }
        };
        let thread = std::thread::Builder::new().name("store-check".into()).spawn(run)?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Waits for its end.
    #[cfg(test)]
    pub(super) fn ended(&mut self) {
        self.thread.take().map(JoinHandle::join);
    }
}

impl Drop for Checking {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // What it found is said by then.
        drop(self.thread.take().map(JoinHandle::join));
    }
}
