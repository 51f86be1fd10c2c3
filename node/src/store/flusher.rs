//! The thread that brings the index up to date, one frozen layer at a time.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    },
    thread::JoinHandle,
};

use super::{
    disk::Disk,
    error::StoreError,
    index::{Index, IndexError},
    reader::Shared,
    suspect::Suspicion,
};

/// So many layers wait for the index at most; with one more, syncing waits.
const MAX_WAITING: usize = 2;
/// The size of a page of the index, in bytes: what one changed entry may cost, since pages are written anew.
const PAGE_BYTES: u64 = 4096;
/// Bytes that an entry adds to the index at most, on average.
const ENTRY_BYTES: u64 = 512;

/// Why a layer is not in the index.
#[derive(Clone, Debug)]
enum Trouble {
    /// So many bytes of free space are wanted for it.
    Full(u64),
    /// The index failed.
    Failed(String),
}

/// The thread's other end, in the hands of the store.
#[derive(Debug)]
pub(super) struct Flusher {
    /// Each order is to flush the oldest frozen layer. `None` once the thread was told to end.
    orders: Option<SyncSender<()>>,
    results: Receiver<Result<(), Trouble>>,
    thread: Option<JoinHandle<()>>,
    /// Orders without a result yet.
    in_flight: usize,
    /// Why the last order failed, if it did.
    trouble: Option<Trouble>,
    dir: PathBuf,
}

impl Flusher {
    /// Starts the thread.
    pub(super) fn start(index: Index, shared: Arc<Shared>, disk: Arc<dyn Disk>, dir: PathBuf) -> std::io::Result<Self> {
        // As many as there may be frozen layers, with the one more of closing: sending never waits.
        let (orders, inbox) = sync_channel(MAX_WAITING.saturating_add(1));
        let (outbox, results) = sync_channel(MAX_WAITING.saturating_add(1));
        let run = move || {
            for () in inbox {
                let flushed = catch_unwind(AssertUnwindSafe(|| flush_with_room(&index, &shared, &*disk)));
                let result = flushed.unwrap_or_else(|panic| {
                    shared.suspect_index(Suspicion::Possible);
                    // With this thread goes the index: nothing more is read of it.
                    shared.index_failed.get_or_init(|| "the thread that writes it ended in a panic".to_owned());
                    resume_unwind(panic)
                });
                if outbox.send(result).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("store-index".into()).spawn(run)?;
        Ok(Self { orders: Some(orders), results, thread: Some(thread), in_flight: 0, trouble: None, dir })
    }

    /// Freezes the top layer if it is large, and sees to it that the frozen ones get into the index.
    pub(super) fn tend(&mut self, shared: &Shared) {
        loop {
            match self.results.try_recv() {
                Ok(result) => self.note(result),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    self.ended();
                    break;
                }
            }
        }
        if shared.state().active.is_large() {
            if shared.state().frozen.len() >= MAX_WAITING {
                self.order(shared);
                self.await_one();
            }
            let mut state = shared.state_mut();
            if state.frozen.len() < MAX_WAITING {
                state.freeze();
            }
        }
        self.order(shared);
    }

    /// Whether memory has room for another commit: not where the index fails to take what is in memory already.
    pub(super) fn check_room(&mut self, shared: &Shared) -> Result<(), StoreError> {
        let blocked = || {
            let state = shared.state();
            state.active.is_large() && state.frozen.len() >= MAX_WAITING
        };
        if self.trouble.is_none() || !blocked() {
            return Ok(());
        }
        // Another try: somebody may have made room on the disk.
        self.order(shared);
        self.await_one();
        if blocked() { self.failure() } else { Ok(()) }
    }

    /// Gets everything into the index.
    pub(super) fn finish(&mut self, shared: &Shared) -> Result<(), StoreError> {
        if !shared.state().active.is_empty() {
            shared.state_mut().freeze();
        }
        self.trouble = None;
        self.order(shared);
        while self.in_flight > 0 && self.trouble.is_none() {
            self.await_one();
        }
        self.failure()
    }

    /// Ends the thread, after the orders that it has.
    pub(super) fn stop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes the index of the store ended in a panic");
        }
    }

    /// Orders a flush for each frozen layer that has none under way.
    fn order(&mut self, shared: &Shared) {
        let frozen = shared.state().frozen.len();
        while self.in_flight < frozen {
            if self.orders.as_ref().is_none_or(|orders| orders.send(()).is_err()) {
                return self.ended();
            }
            self.in_flight = self.in_flight.saturating_add(1);
        }
    }

    fn await_one(&mut self) {
        if self.in_flight > 0 {
            match self.results.recv() {
                Ok(result) => self.note(result),
                Err(_) => self.ended(),
            }
        }
    }

    fn note(&mut self, result: Result<(), Trouble>) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Err(trouble) = &result
            && self.trouble.is_none()
        {
            tracing::warn!(?trouble, "the index of the store falls behind");
        }
        self.trouble = result.err();
    }

    fn ended(&mut self) {
        self.in_flight = 0;
        self.trouble = Some(Trouble::Failed("its thread ended".into()));
    }

    pub(super) fn failure(&self) -> Result<(), StoreError> {
        match &self.trouble {
            None => Ok(()),
            Some(Trouble::Full(needed)) => Err(StoreError::Full { path: self.dir.clone(), needed: *needed }),
            Some(Trouble::Failed(why)) => Err(StoreError::Index(why.clone())),
        }
    }
}

/// Writes the oldest frozen layer into the index, from where readers see it then.
pub(super) fn flush(index: &Index, shared: &Shared) -> Result<(), IndexError> {
    let Some(oldest) = shared.state().frozen.front().cloned() else { return Ok(()) };
    index.write(&oldest, shared.log.salt())?;
    let snapshot = Arc::new(index.snapshot()?);
    let mut state = shared.state_mut();
    state.frozen.pop_front();
    let old = state.snapshot.replace(snapshot);
    // Letting go of them takes a while, in which nobody need wait.
    drop(state);
    drop((old, oldest));
    Ok(())
}

/// How many bytes of free space writing the oldest frozen layer wants, where the disk has fewer. An index that runs out of space
/// cannot be read any more either, until it is opened again.
pub(super) fn lacking_room(shared: &Shared, disk: &dyn Disk) -> Option<u64> {
    let entries = shared.state().frozen.front().map_or(0, |frozen| frozen.layer.len() as u64);
    let length = disk.length(super::open::INDEX).ok().flatten().unwrap_or(0);
    let rewritten = entries.saturating_mul(PAGE_BYTES).min(length);
    let needed = rewritten.saturating_add(entries.saturating_mul(ENTRY_BYTES));
    disk.free_bytes().filter(|free| *free < needed).map(|_| needed)
}

/// [`flush`] if the disk has room for it.
fn flush_with_room(index: &Index, shared: &Shared, disk: &dyn Disk) -> Result<(), Trouble> {
    if let Some(needed) = lacking_room(shared, disk) {
        return Err(Trouble::Full(needed));
    }
    flush(index, shared).map_err(|error| {
        if matches!(error, IndexError::Damaged(_)) {
            shared.suspect_index(Suspicion::Certain);
        }
        Trouble::Failed(error.to_string())
    })
}
