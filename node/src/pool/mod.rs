//! The pool from one run of the node to the next: [`file`] is read at the start, written anew now and then and at the end, and
//! whatever is submitted at this node is added to it before it is acknowledged.
//!
//! So a node that is killed at any instant still has every transaction that it told anybody is in its pool; of those that
//! others sent it, it has what was there when the file was last written anew, and asks its peers for the rest when they meet.
//! What a block confirmed is no longer in the file, and what undid that block may be younger than the file: so the file says on
//! which tip it was written, and at the start the transactions of the blocks by which that tip is apart from the chain are taken
//! back first. Nothing that is wrong with either stops the node.

mod earlier;
mod file;
mod places;
#[cfg(test)]
mod tests;

use std::{collections::HashSet, path::Path, sync::Arc, time::Duration};

use bard_chain::{hash::TransactionId, rules::isolated::CheckedTransaction};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

pub use self::file::FILE;
use self::file::{Kept, PoolFile, length_of};
use crate::{
    clock,
    keeper::{self, Closed},
};

/// Batches that wait to be added; whoever brings one more waits.
const QUEUE: usize = 64;
/// How often the pool is looked at: what is too old leaves it, and if it changed, the file is written anew.
const EVERY: Duration = Duration::from_secs(60);
/// With so many bytes added, the file is written anew at once: about as much as the pool itself may come to.
const MAX_ADDED: u64 = 64 << 20;

/// A transaction is in the pool, but could not be written down.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the transaction is in the pool, but would be lost if the node stopped now: {0}")]
pub struct NotKept(String);

/// Transactions to be added to the file, and who waits until they are.
struct Addition {
    all: Vec<Kept>,
    reply: oneshot::Sender<Result<(), NotKept>>,
}

/// The way to have transactions kept. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal(mpsc::Sender<Addition>);

impl std::fmt::Debug for Addition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Addition").field("count", &self.all.len()).finish_non_exhaustive()
    }
}

impl Journal {
    /// Returns when transactions that are in the pool would be there again if the machine lost power now. Those of the same
    /// moment share one write; those that were written before cost none.
    ///
    /// # Errors
    /// Why they would not.
    pub async fn keep(&self, transactions: &[Arc<CheckedTransaction>]) -> Result<(), NotKept> {
        if transactions.is_empty() {
            return Ok(());
        }
        let stopping = || NotKept("the node is stopping".to_owned());
        let now = clock::now();
        let all = transactions.iter().map(|one| (now, Arc::clone(one))).collect();
        let (reply, answer) = oneshot::channel();
        self.0.send(Addition { all, reply }).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }
}

/// The task behind it, to be run.
pub struct Task {
    keeper: keeper::Handle,
    /// Away while it is being written.
    file: Option<PoolFile>,
    additions: mpsc::Receiver<Addition>,
    /// What is in the file, durably: as many as the pool had when it was written anew, and those of [`MAX_ADDED`] more bytes. So
    /// whoever submits the same again and again writes nothing.
    kept: HashSet<TransactionId>,
    /// Whether the last attempt to write failed, and a line of the log said so.
    failing: bool,
    /// Whether the file has no transactions: then that of an empty pool need not be written.
    empty: bool,
}

/// Reads what an earlier run left in a data directory and has the keeper take it back into the pool.
///
/// # Errors
/// Where the keeper is gone. What is wrong with the file is a line of the log.
pub async fn open(dir: &Path, keeper: keeper::Handle) -> Result<(Journal, Task), Closed> {
    let file = Some(earlier::come_back(dir, &keeper).await?);
    let (sender, additions) = mpsc::channel(QUEUE);
    let task = Task { keeper, file, additions, kept: HashSet::new(), failing: false, empty: false };
    Ok((Journal(sender), task))
}

impl Task {
    /// Keeps the file until `stop`, then writes it once more.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut changes = self.keeper.watch_pool();
        // That it fails is in the log.
        let _ = self.rewrite().await;
        let mut next = Instant::now() + EVERY;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                addition = self.additions.recv() => match addition {
                    Some(first) => self.add(first).await,
                    // Nobody is left to submit anything.
                    None => { stop.cancelled().await; break }
                },
                () = tokio::time::sleep_until(next) => {
                    next = Instant::now() + EVERY;
                    // An error says that the node is stopping.
                    let _ = self.keeper.expire().await;
                    if changes.has_changed().unwrap_or(false) || self.failing {
                        changes.mark_unchanged();
                        let _ = self.rewrite().await;
                    }
                }
            }
        }
        self.additions.close();
        // Whatever came to be added is in the pool, and so in the file that is written now.
        let result = self.rewrite().await;
        while let Ok(addition) = self.additions.try_recv() {
            let _ = addition.reply.send(result.clone());
        }
    }

    /// Adds what waits to be added, all together. Whoever brings only what is there already is answered at once.
    async fn add(&mut self, first: Addition) {
        let (mut replies, mut all) = (Vec::new(), Vec::new());
        let mut next = Some(first);
        while let Some(Addition { all: mut more, reply }) = next {
            more.retain(|(_, one)| !self.kept.contains(&one.id()));
            if more.is_empty() {
                // Whoever asked may be gone, here and below.
                let _ = reply.send(Ok(()));
            } else {
                all.append(&mut more);
                replies.push(reply);
            }
            next = self.additions.try_recv().ok();
        }
        if all.is_empty() {
            return;
        }
        let result = self.write_down(all).await;
        self.empty = false;
        for reply in replies {
            let _ = reply.send(result.clone());
        }
    }

    /// Adds these to the file, or writes it anew where it is time to, or half a write is at its end.
    async fn write_down(&mut self, all: Vec<Kept>) -> Result<(), NotKept> {
        let long = self.file.as_ref().is_some_and(|file| file.added() > MAX_ADDED);
        if long || !self.is_open() {
            // A new one holds these too, for they are in the pool. What can still be added to was not touched for want of room.
            let result = self.rewrite().await;
            if result.is_ok() || !self.is_open() {
                return result;
            }
        }
        self.append(all).await
    }

    /// Whether there is a file that can be added to.
    fn is_open(&self) -> bool {
        self.file.as_ref().is_some_and(PoolFile::is_open)
    }

    async fn append(&mut self, mut all: Vec<Kept>) -> Result<(), NotKept> {
        // As the pool itself has it: no earlier than the tip.
        let tip = self.keeper.tip().timestamp;
        all.iter_mut().for_each(|(since, _)| *since = tip.max(*since));
        let ids: Vec<TransactionId> = all.iter().map(|(_, one)| one.id()).collect();
        if let Err(why) = self.room_for(length_of(&all)) {
            return self.note(Err(why));
        }
        self.write(move |file| file.append(&all)).await?;
        self.kept.extend(ids);
        Ok(())
    }

    async fn rewrite(&mut self) -> Result<(), NotKept> {
        let (tip, all): (_, Vec<Kept>) = {
            // The tip moves while the pool is locked: these are of one moment.
            let pool = self.keeper.pool();
            (self.keeper.tip().id, pool.contents().map(|(since, one)| (since, Arc::clone(one))).collect())
        };
        if all.is_empty() && self.empty && !self.failing {
            return Ok(());
        }
        // It is written beside the old one, which takes up room until then.
        if let Err(why) = self.room_for(length_of(&all)) {
            // The old one is as good as before, and can be added to.
            return if self.is_open() { Err(NotKept(self.problem(&why))) } else { self.note(Err(why)) };
        }
        self.empty = all.is_empty();
        let ids = all.iter().map(|(_, one)| one.id()).collect();
        // Where writing fails halfway, which of the two files is there is not known.
        self.kept = HashSet::new();
        self.write(move |file| file.rewrite(&tip, &all)).await?;
        self.kept = ids;
        Ok(())
    }

    /// Writes where waiting for the disk disturbs nobody.
    async fn write(
        &mut self,
        how: impl FnOnce(&mut PoolFile) -> std::io::Result<()> + Send + 'static,
    ) -> Result<(), NotKept> {
        let gone = || NotKept("the node is stopping".to_owned());
        let mut file = self.file.take().ok_or_else(gone)?;
        let work = move || {
            let result = how(&mut file);
            (file, result)
        };
        let (file, result) = tokio::task::spawn_blocking(work).await.map_err(|_| gone())?;
        self.file = Some(file);
        self.note(result.map_err(|error| error.to_string()))
    }

    /// Whether the disk has so many bytes more than is to be kept free on it, as the keeper saw it when it looked last. Says why not.
    fn room_for(&self, length: u64) -> Result<(), String> {
        let room = self.keeper.space().room;
        let enough = room.free.is_none_or(|free| free >= room.keep_free.saturating_add(length));
        if enough { Ok(()) } else { Err(format!("{} KiB are needed, {room}", length.div_ceil(1024))) }
    }

    fn problem(&self, why: &str) -> String {
        let path = self.file.as_ref().map_or(Path::new(FILE), PoolFile::path);
        format!("{} cannot be written: {why}", path.display())
    }

    /// That writing begins to fail is one line of the log.
    fn note(&mut self, result: Result<(), String>) -> Result<(), NotKept> {
        let result = result.map_err(|why| self.problem(&why));
        if let Err(problem) = &result
            && !self.failing
        {
            tracing::warn!("{problem}; transactions that are submitted here are not acknowledged until it can be");
        }
        self.failing = result.is_err();
        result.map_err(NotKept)
    }
}
