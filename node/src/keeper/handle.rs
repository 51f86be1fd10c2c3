//! What the rest of the node holds of the keeper.

use std::{
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};

use bard_chain::{
    address::Address,
    block::Header,
    branch::Branch,
    engine::{Outcome, Refused, Tip},
    hash::{BlockId, ChainId},
    invalid::{Invalid, TransactionFault},
    mempool::{Admitted, Mempool, PoolRefusal},
    rules::{
        in_chain::Position,
        isolated::{self, CheckedTransaction, Isolated, Part, Unsigned},
    },
    spec::ChainSpec,
    template::Template,
    units::Timestamp,
};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::{signatures::Signatures, task::ChainEvent};
use crate::{
    metrics::Chain,
    store::{Room, StoreReader},
};

/// The keeper is gone: the node is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node is stopping")]
pub struct Closed;

/// A check of transactions ended in a panic, which nothing that anybody sends should be able to cause: a fault of this software,
/// and of nobody who sent them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the check of the transactions was cut off by a fault of this node, whose log says where")]
pub struct CutOff;

/// What came of a block that was accepted. It is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The block.
    pub id: BlockId,
    /// What it did.
    pub outcome: Outcome,
    /// Its own time.
    pub timestamp: Timestamp,
}

/// The answer to a submitted block.
pub type BlockReply = Result<Accepted, Refused>;

/// A block on its way: the answer comes when it was checked, applied and stored.
pub type Submitted = oneshot::Receiver<BlockReply>;

/// The answers to submitted transactions, one each.
pub type Verdicts = Vec<Result<Admitted, PoolRefusal>>;

/// How disk and index stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// How much is free.
    pub room: Room,
    /// Why no block is taken and none is mined now, in a line for people; `None` where all is well.
    pub shortage: Option<Arc<str>>,
    /// Why none is mined now, though blocks are taken, in a line for people; `None` where all is well.
    pub mining_waits: Option<Arc<str>>,
}

impl Space {
    /// Why no block is mined now, in a line for people; `None` where one may be.
    pub const fn why_not_mined(&self) -> Option<&Arc<str>> {
        match &self.shortage {
            None => self.mining_waits.as_ref(),
            shortage => shortage.as_ref(),
        }
    }
}

/// What an announced header is to this node.
#[derive(Clone, Debug)]
pub enum Placing {
    /// It has the block already.
    Known,
    /// It refused the block or the parent before, for good.
    Refused(Invalid),
    /// It would follow this block.
    After(Box<Position>),
    /// The parent is not known, or too old to build on.
    UnknownParent,
}

/// How often the free space of the disk is looked at.
const SPACE_EVERY: Duration = Duration::from_secs(2);

/// What the keeper is asked.
pub(super) enum Request {
    /// To accept a block whose own checks are under way.
    Block { checked: oneshot::Receiver<Result<Arc<Isolated>, Invalid>>, reply: oneshot::Sender<BlockReply> },
    /// To admit transactions, each for itself.
    Admit { transactions: Vec<Arc<CheckedTransaction>>, reply: oneshot::Sender<Verdicts> },
    /// To admit transactions, all or none.
    AdmitAll { transactions: Vec<Arc<CheckedTransaction>>, reply: oneshot::Sender<Result<(), (usize, PoolRefusal)>> },
    /// To take transactions back that were in the pool of an earlier run, each with when it came there. How many it takes is
    /// the answer.
    Readmit { transactions: Vec<(Timestamp, Arc<CheckedTransaction>)>, reply: oneshot::Sender<usize> },
    /// To let go what is in the pool too long.
    Expire,
    /// For the next block to mine.
    Template { miner: Address, reply: oneshot::Sender<Result<Template, Refused>> },
    /// For a branch that begins with the tip.
    Branch { miner: Address, reply: oneshot::Sender<Result<Branch, Refused>> },
    /// What an announced header is to this node.
    Placing { id: BlockId, parent: BlockId, reply: oneshot::Sender<Placing> },
    /// Which of these blocks are known.
    Held { ids: Vec<BlockId>, reply: oneshot::Sender<Vec<bool>> },
    /// Where the block after a known one stands.
    Position { id: BlockId, reply: oneshot::Sender<Option<Position>> },
    /// For a locator of the active chain.
    Locator { reply: oneshot::Sender<Vec<BlockId>> },
    /// To look whether the disk has room.
    Room { reply: oneshot::Sender<()> },
    /// To end, once everything before this is done.
    Stop { reply: oneshot::Sender<()> },
}

/// What the rest of the node holds of the keeper: cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(super) spec: Arc<ChainSpec>,
    pub(super) chain: ChainId,
    /// At most as many requests as the keeper's inbox holds; whoever sends one more waits.
    pub(super) inbox: mpsc::Sender<Request>,
    pub(super) tip: watch::Receiver<Tip>,
    pub(super) pool: Arc<RwLock<Mempool>>,
    pub(super) pool_changes: watch::Receiver<u64>,
    pub(super) events: broadcast::Sender<ChainEvent>,
    pub(super) space: watch::Receiver<Space>,
    pub(super) reader: StoreReader,
    pub(super) workers: Arc<rayon::ThreadPool>,
    pub(super) signatures: Signatures,
    pub(super) counts: Chain,
}

impl Handle {
    /// The specification.
    pub const fn spec(&self) -> &Arc<ChainSpec> {
        &self.spec
    }

    /// The chain's id.
    pub const fn chain(&self) -> ChainId {
        self.chain
    }

    /// What is stored.
    pub const fn reader(&self) -> &StoreReader {
        &self.reader
    }

    /// What is counted of the chain.
    pub const fn counts(&self) -> &Chain {
        &self.counts
    }

    /// How the disk stood when it was last looked at.
    pub fn space(&self) -> Space {
        self.space.borrow().clone()
    }

    /// How the disk stands, to wait for its changes.
    pub fn watch_space(&self) -> watch::Receiver<Space> {
        self.space.clone()
    }

    /// Has the disk looked at from time to time, until the node stops: others fill it and make room on it, too.
    pub async fn mind_space(self) {
        let mut every = tokio::time::interval(SPACE_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            if self.ask(|reply| Request::Room { reply }).await.is_err() {
                return;
            }
        }
    }

    /// The tip, as far as it is on disk.
    pub fn tip(&self) -> Tip {
        *self.tip.borrow()
    }

    /// The tip, to wait for its changes.
    pub fn watch_tip(&self) -> watch::Receiver<Tip> {
        self.tip.clone()
    }

    /// A number that grows whenever the pool changes.
    pub fn watch_pool(&self) -> watch::Receiver<u64> {
        self.pool_changes.clone()
    }

    /// What happens to the chain from now on. A reader more than 1,024 events behind loses the oldest and is told so.
    pub fn events(&self) -> broadcast::Receiver<ChainEvent> {
        self.events.subscribe()
    }

    /// The pool, to read. The keeper waits while it is held: take what is needed and let go.
    pub fn pool(&self) -> RwLockReadGuard<'_, Mempool> {
        self.pool.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pool, to read, unless the keeper is just changing it.
    pub fn pool_at_hand(&self) -> Option<RwLockReadGuard<'_, Mempool>> {
        self.pool.try_read().ok()
    }

    /// Submits a block's bytes. Returns once it has its place in the order of blocks; waits for that while the inbox is full.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn submit(&self, bytes: impl Into<Arc<[u8]>>) -> Result<Submitted, Closed> {
        let bytes = bytes.into();
        self.submit_unsigned(move |spec| Unsigned::read(spec, &bytes)).await
    }

    /// Submits a block that `read` gives.
    async fn submit_unsigned(
        &self,
        read: impl FnOnce(&ChainSpec) -> Result<Unsigned, Invalid> + Send + 'static,
    ) -> Result<Submitted, Closed> {
        let (checked_sender, checked) = oneshot::channel();
        let (reply, submitted) = oneshot::channel();
        let permit = self.inbox.reserve().await.map_err(|_| Closed)?;
        let (handle, under_way) = (self.clone(), self.signatures.begin());
        self.workers.spawn(move || {
            let block = read(&handle.spec).and_then(|block| handle.check_signatures(block));
            // Whoever asked may be gone; then nobody waits for the answer.
            let _ = checked_sender.send(block.map(Arc::new));
            drop(under_way);
        });
        permit.send(Request::Block { checked, reply });
        Ok(submitted)
    }

    /// Submits a block and waits for what comes of it.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn accept(&self, bytes: impl Into<Arc<[u8]>>) -> Result<BlockReply, Closed> {
        self.submit(bytes).await?.await.map_err(|_| Closed)
    }

    /// Submits a block in parts and waits for what comes of it. Those that are known must be of this chain.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn accept_parts(&self, header: Header, parts: Vec<Part>) -> Result<BlockReply, Closed> {
        self.submit_unsigned(move |spec| Unsigned::assemble(spec, header, &parts)).await?.await.map_err(|_| Closed)
    }

    /// The signatures of a block on all cores, but for those checked in the pool.
    fn check_signatures(&self, unsigned: Unsigned) -> Result<Isolated, Invalid> {
        let known: std::collections::HashSet<_> = {
            let pool = self.pool();
            unsigned.unchecked_ids().filter(|id| pool.get(id).is_some()).copied().collect()
        };
        unsigned.check_signatures(self.chain, &|id| known.contains(id), &|claims| self.signatures.all_hold(claims))
    }

    /// Checks transactions' form and signatures, on all cores: one answer each.
    ///
    /// # Errors
    /// [`CutOff`].
    pub async fn check_transactions(
        &self,
        all: Vec<Vec<u8>>,
    ) -> Result<Vec<Result<Arc<CheckedTransaction>, TransactionFault>>, CutOff> {
        self.check(move |handle| {
            let all_hold = |claims: &[_]| handle.signatures.all_hold(claims);
            let checked = isolated::check_transactions(&handle.spec, handle.chain, &all, &all_hold);
            checked.into_iter().map(|result| result.map(Arc::new)).collect()
        })
        .await
    }

    /// Does something on the threads that check. There are some as long as anybody has a handle, so that there is no answer says
    /// that it panicked.
    pub(super) async fn check<T: Send + 'static>(
        &self,
        check: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, CutOff> {
        let (reply, answer) = oneshot::channel();
        let (handle, under_way) = (self.clone(), self.signatures.begin());
        self.workers.spawn(move || {
            // Whoever asked may be gone.
            let _ = reply.send(check(&handle));
            drop(under_way);
        });
        answer.await.map_err(|_| CutOff)
    }

    /// Admits checked transactions to the pool: one answer each.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn admit(&self, transactions: Vec<Arc<CheckedTransaction>>) -> Result<Verdicts, Closed> {
        self.ask(|reply| Request::Admit { transactions, reply }).await
    }

    /// Admits all of the transactions or none; where one is refused, tells which and why.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn admit_all(
        &self,
        transactions: Vec<Arc<CheckedTransaction>>,
    ) -> Result<Result<(), (usize, PoolRefusal)>, Closed> {
        self.ask(|reply| Request::AdmitAll { transactions, reply }).await
    }

    /// Takes checked transactions back that were in the pool of an earlier run, each with when it came there. Returns how many
    /// are in the pool now.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn readmit(&self, transactions: Vec<(Timestamp, Arc<CheckedTransaction>)>) -> Result<usize, Closed> {
        self.ask(|reply| Request::Readmit { transactions, reply }).await
    }

    /// Lets go what is in the pool too long.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn expire(&self) -> Result<(), Closed> {
        self.inbox.send(Request::Expire).await.map_err(|_| Closed)
    }

    /// The next block to mine for `miner`.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn template(&self, miner: Address) -> Result<Result<Template, Refused>, Closed> {
        self.ask(|reply| Request::Template { miner, reply }).await
    }

    /// A branch that begins with the tip, to be mined beside the chain for `miner`.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn branch(&self, miner: Address) -> Result<Result<Branch, Refused>, Closed> {
        self.ask(|reply| Request::Branch { miner, reply }).await
    }

    /// What a header of this id and parent is to this node.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn placing(&self, id: BlockId, parent: BlockId) -> Result<Placing, Closed> {
        self.ask(|reply| Request::Placing { id, parent, reply }).await
    }

    /// Which of these blocks are known; one that was forgotten, if it is stored or not, is not.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn held(&self, ids: Vec<BlockId>) -> Result<Vec<bool>, Closed> {
        self.ask(|reply| Request::Held { ids, reply }).await
    }

    /// Where the block after a known one stands; `None` where it is not known, or too old to build on.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn position(&self, id: BlockId) -> Result<Option<Position>, Closed> {
        self.ask(|reply| Request::Position { id, reply }).await
    }

    /// Ids of the active chain for another node to find the last common block.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn locator(&self) -> Result<Vec<BlockId>, Closed> {
        self.ask(|reply| Request::Locator { reply }).await
    }

    /// Ends the keeper once everything before this is done and on disk.
    pub async fn stop(&self) {
        // An error says that it is gone already.
        let _ = self.ask(|reply| Request::Stop { reply }).await;
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, Closed> {
        let (reply, answer) = oneshot::channel();
        self.inbox.send(request(reply)).await.map_err(|_| Closed)?;
        answer.await.map_err(|_| Closed)
    }
}
