//! The keeper's thread.

mod group;
mod pool;
mod refusals;

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, RwLock},
    thread,
};

use bard_chain::{
    address::Address,
    branch::Branch,
    engine::{Effects, Engine, Outcome, Refused, Tip},
    hash::BlockId,
    invalid::Invalid,
    mempool::{Limits, Mempool},
    rules::{
        in_chain::not_too_new,
        isolated::{CheckedTransaction, Isolated},
    },
    source::SourceError,
    template::Template,
    units::Height,
};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

pub(crate) use self::group::{GROUP, GROUP_LEN, GROUP_TIME};
use self::{
    group::Group,
    refusals::{Refusals, is_of_the_ledger},
};
use super::{
    handle::{Accepted, BlockReply, Handle, Placing, Request, Space, Verdicts},
    signatures::Signatures,
};
use crate::{
    clock,
    metrics::Chain,
    store::{Store, StoreError, StoreReader},
};

/// Requests that wait at the keeper's door; whoever brings one more waits. Blocks are in it as their bytes being checked, so
/// it also bounds how many checks are under way.
const INBOX: usize = 256;
/// Requests taken from there at once, so many more than the inbox holds: whoever waits for a place is woken once for all of them.
const TAKEN: usize = 32;
/// Events kept for a slow reader before it loses the oldest.
const EVENTS: usize = 1024;

/// Something that happened to the chain or the pool, after it is on disk.
#[derive(Clone, Debug)]
pub enum ChainEvent {
    /// A block joined the active chain.
    Block {
        /// The block.
        block: Arc<Isolated>,
    },
    /// Blocks left the active chain for a branch with more work.
    Reorg {
        /// How many left.
        disconnected: usize,
        /// How many joined.
        connected: usize,
        /// Height of the last block that stayed.
        fork: Height,
        /// The tip that was left.
        old_tip: BlockId,
    },
    /// A branch with more work turned out invalid and was marked.
    BranchRefused {
        /// The block that breaks a rule.
        at: BlockId,
        /// The rule.
        reason: Invalid,
    },
    /// Transactions became ready in the pool.
    Transactions {
        /// The transactions, in the order of arrival.
        transactions: Vec<Arc<CheckedTransaction>>,
    },
}

/// Why the keeper ended. The node cannot go on without it.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The thread panicked.
    #[error("the keeper's thread panicked")]
    Panicked,
}

/// The keeper's thread, to wait for.
pub struct Keeper {
    thread: thread::JoinHandle<Result<(), KeeperError>>,
}

impl Keeper {
    /// Waits for the end of the thread: after [`Handle::stop`], or a failure of the store.
    ///
    /// # Errors
    /// What ended it, unless it was asked to.
    pub async fn ended(self) -> Result<(), KeeperError> {
        tokio::task::spawn_blocking(move || self.thread.join().unwrap_or(Err(KeeperError::Panicked)))
            .await
            .unwrap_or(Err(KeeperError::Panicked))
    }
}

/// Starts the keeper on an engine and the store it was restored from, with an empty pool that holds as much as `limits` say.
/// It counts what it does in `counts`.
///
/// # Errors
/// Where the system gives no threads.
pub fn start(engine: Engine, store: Store, limits: Limits, counts: Chain) -> std::io::Result<(Handle, Keeper)> {
    let (inbox, requests) = mpsc::channel(INBOX);
    let (tip_sender, tip) = watch::channel(engine.tip());
    let (pool_sender, pool_changes) = watch::channel(0);
    let (events, _) = broadcast::channel(EVENTS);
    let (space_sender, space) = watch::channel(Space { room: store.room(), shortage: None, mining_waits: None });
    let pool = Arc::new(RwLock::new(Mempool::new(limits)));
    let workers = rayon::ThreadPoolBuilder::new()
        .thread_name(|n| format!("check-{n}"))
        // Without one, the whole process is aborted. Whoever waits for the check hears that it is gone.
        .panic_handler(|_| tracing::error!("a check ended in a panic: what was checked is dropped"))
        .build()
        .map_err(std::io::Error::other)?;
    let handle = Handle {
        spec: Arc::clone(engine.spec()),
        chain: engine.chain(),
        inbox,
        tip,
        pool: Arc::clone(&pool),
        pool_changes,
        events: events.clone(),
        space,
        reader: store.reader(),
        workers: Arc::new(workers),
        signatures: Signatures::default(),
        counts: counts.clone(),
    };
    let mut task = Task {
        engine,
        reader: store.newest(),
        store,
        pool,
        tip: tip_sender,
        pool_version: pool_sender,
        events,
        space: space_sender,
        taken: VecDeque::with_capacity(TAKEN),
        refused: Refusals::default(),
        group: Group::default(),
        counts,
        wanted: 0,
    };
    // Whoever asks a node that says it is ready hears at once that its disk is nearly full.
    task.look_at_space();
    let reader = task.reader.clone();
    let run = move || {
        // What the disk garbled may make the index's library panic, and would again at every start.
        catch_unwind(AssertUnwindSafe(|| task.run(requests))).unwrap_or_else(|_| {
            reader.suspect_index();
            Err(KeeperError::Panicked)
        })
    };
    let thread = thread::Builder::new().name("keeper".to_owned()).spawn(run)?;
    Ok((handle, Keeper { thread }))
}

/// The answer to a block that breaks a rule by a ledger that may be wrong.
fn unjudged() -> Refused {
    SourceError("the index is being checked, so that a block is wrong cannot be told".to_owned()).into()
}

struct Task {
    engine: Engine,
    store: Store,
    reader: StoreReader,
    pool: Arc<RwLock<Mempool>>,
    tip: watch::Sender<Tip>,
    pool_version: watch::Sender<u64>,
    events: broadcast::Sender<ChainEvent>,
    space: watch::Sender<Space>,
    /// Requests that are next, at most [`TAKEN`].
    taken: VecDeque<Request>,
    refused: Refusals,
    group: Group,
    counts: Chain,
    /// Free space, in bytes, that was missing when the store last said that the disk is full.
    wanted: u64,
}

impl Task {
    fn run(mut self, mut requests: mpsc::Receiver<Request>) -> Result<(), KeeperError> {
        while let Some(request) = self.next(&mut requests)? {
            match request {
                Request::Block { checked, reply } => self.block(checked, reply)?,
                Request::Stop { reply } => {
                    self.settle()?;
                    self.store.close()?;
                    let _ = reply.send(());
                    return Ok(());
                }
                other => {
                    // Whatever is asked next sees the chain with every block before it durable and out of the pool.
                    self.settle()?;
                    self.answer(other)?;
                }
            }
            if let Some(failure) = self.store.failure() {
                // Whoever waits for what was done by then hears of it.
                self.settle()?;
                return Err(failure.into());
            }
        }
        self.settle()?;
        self.store.close()?;
        Ok(())
    }

    /// The next request; before waiting for one, what was written is made durable.
    fn next(&mut self, requests: &mut mpsc::Receiver<Request>) -> Result<Option<Request>, KeeperError> {
        if self.taken.is_empty() {
            let ready = std::iter::from_fn(|| requests.try_recv().ok());
            self.taken.extend(ready.take(TAKEN));
        }
        if self.group.is_full() || self.taken.is_empty() {
            self.settle()?;
        }
        Ok(self.taken.pop_front().or_else(|| requests.blocking_recv()))
    }

    fn block(
        &mut self,
        mut checked: oneshot::Receiver<Result<Arc<Isolated>, Invalid>>,
        reply: oneshot::Sender<BlockReply>,
    ) -> Result<(), KeeperError> {
        let ready = match checked.try_recv() {
            Ok(ready) => Ok(ready),
            Err(oneshot::error::TryRecvError::Empty) => {
                self.settle()?;
                checked.blocking_recv().map_err(drop)
            }
            Err(oneshot::error::TryRecvError::Closed) => Err(()),
        };
        if let Some(why) = self.shortage() {
            // The block may be a good one: whoever sent it hears nothing else.
            self.settle()?;
            let _ = reply.send(Err(Refused::NoRoom(why)));
            return Ok(());
        }
        let Ok(block) = ready else {
            // Its check panicked, which nothing that a stranger sends can cause: a fault of this machine, and of nobody else.
            self.settle()?;
            let _ = reply.send(Err(SourceError("the check of a block was cut off".to_owned()).into()));
            return Ok(());
        };
        let length = block.as_ref().map_or(0, |block| block.bytes().len());
        let result = block.map_err(Refused::from).and_then(|block| self.accept(&block));
        self.counts.block(result.as_ref().map(|(accepted, _)| &accepted.outcome));
        match result {
            Ok((accepted, effects)) => match self.store.append(&effects) {
                Ok(()) => {
                    self.engine.adopt(&effects);
                    self.deepen(&effects);
                    self.note(effects);
                    self.group.add(length, reply, accepted);
                }
                // Nothing was changed, and what is stored can be read: the node waits for room.
                Err(ref full @ StoreError::Full { needed, .. }) => {
                    self.settle()?;
                    self.wanted = needed;
                    let _ = reply.send(Err(Refused::NoRoom(self.run_short(&full.to_string()))));
                }
                // Nothing was changed: the chain stays where it is.
                Err(error @ StoreError::TooLarge { .. }) => {
                    self.settle()?;
                    tracing::error!(%error, "a branch with more work is not followed");
                    let depth = effects.disconnected.len() as u64;
                    let _ = reply.send(Err(Invalid::ForkTooDeep { depth, limit: depth.saturating_sub(1) }.into()));
                }
                // A stored block that the change needs cannot be read. Nothing was changed: all else goes on without that branch.
                Err(StoreError::Read(error)) => {
                    self.settle()?;
                    let _ = reply.send(Err(Refused::Source(error)));
                }
                Err(error) => return Err(error.into()),
            },
            // What the refusal leans on, such as a parent just written, must be durable before anybody hears of it.
            Err(refused) => {
                self.settle()?;
                let _ = reply.send(Err(refused));
            }
        }
        Ok(())
    }

    fn accept(&mut self, block: &Arc<Isolated>) -> Result<(Accepted, Effects), Refused> {
        let id = block.id();
        if self.refused.has(&id) {
            return Err(Invalid::KnownInvalid.into());
        }
        let span = tracing::debug_span!("import", height = block.header().height.get(), %id);
        let _entered = span.enter();
        match self.engine.accept(block, clock::now(), &self.reader) {
            // What the ledger says may be wrong: the block is none that was judged, and comes again.
            Ok(Effects { outcome: Outcome::BranchRefused { .. }, .. }) if self.store.is_uncertain() => Err(unjudged()),
            Err(Refused::Invalid(reason)) if is_of_the_ledger(&reason) && self.store.is_uncertain() => Err(unjudged()),
            Ok(effects) => {
                tracing::debug!(outcome = ?effects.outcome, "accepted");
                let timestamp = block.header().timestamp;
                Ok((Accepted { id, outcome: effects.outcome.clone(), timestamp }, effects))
            }
            Err(Refused::Invalid(reason)) => {
                tracing::debug!(%reason, "refused");
                if reason.is_final() {
                    self.refused.remember(id);
                }
                Err(reason.into())
            }
            Err(other) => Err(other),
        }
    }

    /// After a branch of fewer blocks became the chain, gives the engine the headers below those that it holds.
    fn deepen(&mut self, effects: &Effects) {
        if effects.outcome == Outcome::Reorganised
            && let Err(error) = self.engine.deepen(|id| self.reader.node(id))
        {
            // It is as strict as before, and does not stop working for it.
            tracing::debug!(%error, "not all headers were read that a reorganisation may reach");
        }
    }

    fn shortage(&self) -> Option<Arc<str>> {
        self.space.borrow().shortage.clone()
    }

    /// Why no block is mined, though blocks are taken: one made from a wrong ledger would be right here and nowhere else.
    fn mining_waits(&self) -> Option<Arc<str>> {
        let why =
            "no block is mined while the index of the store is being checked: mining goes on by itself after that";
        self.store.is_uncertain().then(|| why.into())
    }

    /// Tells everybody how disk and index stand.
    fn show_space(&self, shortage: Option<Arc<str>>) {
        let space = Space { room: self.store.room(), shortage, mining_waits: self.mining_waits() };
        let before = self.space.send_replace(space);
        match (before.mining_waits, self.space.borrow().mining_waits.as_deref()) {
            (None, Some(why)) => tracing::info!("{why}"),
            (Some(_), None) => tracing::info!("the index of the store was checked, and is whole: blocks are mined"),
            _ => {}
        }
    }

    /// Looks at the free space: below what is kept free, no block is taken until there is an eighth more than that.
    fn look_at_space(&mut self) {
        let room = self.store.room();
        let enough = room.keep_free.saturating_add(room.keep_free / 8).max(self.wanted);
        let again = room.free.is_none_or(|free| free >= enough);
        match (self.shortage(), room.is_short()) {
            (None, true) => drop(self.run_short(&room.to_string())),
            (Some(_), _) if again => {
                tracing::warn!("there is room on the disk again: blocks are taken and mined as before");
                self.wanted = 0;
                self.show_space(None);
            }
            (shortage, _) => self.show_space(shortage),
        }
    }

    /// Takes no more blocks until [`Self::look_at_space`] finds room. Says why, once.
    fn run_short(&self, why: &str) -> Arc<str> {
        let line: Arc<str> = format!("no block is taken or mined, the disk is nearly full: {why}").into();
        tracing::error!("{line}; what is stored is answered as before, and all goes on once there is room");
        self.show_space(Some(Arc::clone(&line)));
        line
    }

    fn answer(&mut self, request: Request) -> Result<(), KeeperError> {
        match request {
            Request::Admit { transactions, reply } => {
                let _ = reply.send(self.admit(&transactions));
            }
            Request::AdmitAll { transactions, reply } => {
                let _ = reply.send(self.admit_all(&transactions));
            }
            Request::Room { reply } => {
                self.look_at_space();
                let _ = reply.send(());
            }
            Request::Readmit { transactions, reply } => {
                let _ = reply.send(self.readmit(transactions));
            }
            Request::Expire => self.expire()?,
            Request::Template { miner, reply } => {
                let _ = reply.send(self.template(miner));
            }
            Request::Branch { miner, reply } => {
                let _ = reply.send(self.branch(miner));
            }
            Request::Placing { id, parent, reply } => {
                let _ = reply.send(self.placing(&id, &parent));
            }
            Request::Held { ids, reply } => {
                let _ = reply.send(ids.iter().map(|id| self.engine.tree().get(id).is_some()).collect());
            }
            Request::Position { id, reply } => {
                let _ = reply.send(self.engine.tree().position(&id));
            }
            Request::Locator { reply } => {
                let _ = reply.send(self.locator());
            }
            // Handled before; here only so that a new kind of request cannot be forgotten.
            Request::Block { .. } | Request::Stop { .. } => {}
        }
        Ok(())
    }

    /// The next block to mine, unless it would be refused for its time, which no work on it changes.
    fn template(&self, miner: Address) -> Result<Template, Refused> {
        if let Some(why) = self.shortage().or_else(|| self.mining_waits()) {
            return Err(Refused::NoRoom(why));
        }
        let now = clock::now();
        let template = Template::build(&self.engine, &self.read_pool(), &self.reader, miner, now)?;
        not_too_new(self.engine.spec(), template.header(), now)?;
        Ok(template)
    }

    fn branch(&self, miner: Address) -> Result<Branch, Refused> {
        if let Some(why) = self.mining_waits() {
            return Err(Refused::NoRoom(why));
        }
        Ok(Branch::from_tip(&self.engine, &self.reader, miner)?)
    }

    fn placing(&self, id: &BlockId, parent: &BlockId) -> Placing {
        let tree = self.engine.tree();
        match tree.get(id) {
            Some(known) if known.invalid => Placing::Refused(Invalid::KnownInvalid),
            Some(_) => Placing::Known,
            None if self.refused.has(id) => Placing::Refused(Invalid::KnownInvalid),
            None if tree.get(parent).is_some_and(|parent| parent.invalid) => Placing::Refused(Invalid::InvalidAncestor),
            None => tree.position(parent).map_or(Placing::UnknownParent, |after| Placing::After(Box::new(after))),
        }
    }

    /// The tree's locator, and the genesis block, which every peer knows.
    fn locator(&self) -> Vec<BlockId> {
        let mut ids = self.engine.tree().locator();
        let genesis = self.engine.chain().into();
        if ids.last() != Some(&genesis) {
            ids.push(genesis);
        }
        ids
    }
}
