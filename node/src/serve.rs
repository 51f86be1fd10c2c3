//! Answers to what other nodes ask.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use bard_chain::{
    block::Header,
    encoding,
    hash::{BlockId, TransactionId},
    source::Source,
};
use bard_protocol::{
    Agent, PeerId, RefusedReason, Reply, Status, SyncRequest, SyncResponse,
    wire::limits::{ANSWER_TARGET_LEN, MAX_HEADERS, MAX_POOL_IDS},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{clock, keeper};

/// Answers that are made at the same time; who asks beyond that is told that the node is busy.
const CONCURRENT: usize = 8;
/// Of these, those for one peer.
const CONCURRENT_PER_PEER: usize = 4;

/// As many ids of the pool as an answer may hold: all that are allowed, but no more than go through a relay.
fn pool_ids(answer_len: usize) -> usize {
    if answer_len < ANSWER_TARGET_LEN { (answer_len / TransactionId::LEN).min(MAX_POOL_IDS) } else { MAX_POOL_IDS }
}

/// Answers what other nodes ask.
#[derive(Clone)]
pub struct Server {
    keeper: keeper::Handle,
    agent: Agent,
    places: Arc<Semaphore>,
    /// Answers that are made for each peer; those for whom none is are not in it.
    taken: Arc<Mutex<BTreeMap<PeerId, usize>>>,
}

/// A place among the answers that are made at the same time.
struct Place {
    taken: Arc<Mutex<BTreeMap<PeerId, usize>>>,
    peer: PeerId,
    _of_all: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.peer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.remove(&self.peer);
            }
        }
    }
}

impl Server {
    /// Answers from the keeper's reader and pool.
    pub fn new(keeper: keeper::Handle, agent: Agent) -> Self {
        Self { keeper, agent, places: Arc::new(Semaphore::new(CONCURRENT)), taken: Arc::default() }
    }

    /// What this node says of itself.
    pub fn status(&self) -> Status {
        let tip = self.keeper.tip();
        Status {
            chain: self.keeper.chain(),
            height: tip.height,
            tip: tip.id,
            work: tip.work,
            agent: self.agent.clone(),
            clock: clock::now(),
            blocks_from: self.keeper.reader().blocks_from(),
        }
    }

    /// A place to make an answer in, if there is one for this peer.
    fn place(&self, peer: PeerId) -> Option<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.get(&peer).is_some_and(|count| *count >= CONCURRENT_PER_PEER) {
            return None;
        }
        let of_all = Arc::clone(&self.places).try_acquire_owned().ok()?;
        *taken.entry(peer).or_default() += 1;
        drop(taken);
        Some(Place { taken: Arc::clone(&self.taken), peer, _of_all: of_all })
    }

    /// Answers a peer's request, on a thread that may wait for the disk; how far this node is, at once.
    pub fn answer(&self, peer: PeerId, request: SyncRequest, reply: Reply) {
        if let SyncRequest::Status(_) = request {
            return reply.send(SyncResponse::Status(self.status()));
        }
        let Some(place) = self.place(peer) else {
            return reply.send(SyncResponse::Refused(RefusedReason::Busy));
        };
        let server = self.clone();
        tokio::task::spawn_blocking(move || {
            let answer_len = reply.answer_len();
            reply.send(server.response(request, answer_len));
            drop(place);
        });
    }

    /// An answer that aims at `answer_len` bytes, which are fewer where it goes through a relay.
    fn response(&self, request: SyncRequest, answer_len: usize) -> SyncResponse {
        match request {
            SyncRequest::Status(_) => SyncResponse::Status(self.status()),
            SyncRequest::Headers { locator, limit } => self.headers(&locator, limit),
            SyncRequest::Blocks { ids } => self.blocks(&ids, answer_len),
            SyncRequest::PoolIds => SyncResponse::PoolIds(
                self.keeper.pool().transactions().map(|one| one.id()).take(pool_ids(answer_len)).collect(),
            ),
            SyncRequest::Transactions { ids } => self.transactions(&ids, answer_len),
            SyncRequest::BlockTransactions { block, indices } => self.block_transactions(&block, &indices),
        }
    }

    fn headers(&self, locator: &[BlockId], limit: u32) -> SyncResponse {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(MAX_HEADERS);
        match self.keeper.reader().headers_after(locator, limit) {
            Ok(headers) => SyncResponse::Headers(headers),
            Err(error) => {
                tracing::error!(%error, "headers could not be read for a peer");
                SyncResponse::Refused(RefusedReason::Busy)
            }
        }
    }

    /// The blocks that this node has ever applied, in the order asked for, until the answer is long enough. Of another it does not
    /// know whether it is right, and would be blamed for it.
    fn blocks(&self, ids: &[BlockId], answer_len: usize) -> SyncResponse {
        let mut blocks = Vec::new();
        let mut length = 0_usize;
        for id in ids {
            match self.keeper.reader().applied_block_bytes(id) {
                Ok(Some(bytes)) => {
                    if !blocks.is_empty() && length + bytes.len() > answer_len {
                        break;
                    }
                    length += bytes.len();
                    blocks.push(bytes.to_vec());
                }
                Ok(None) => {}
                Err(error) => tracing::error!(%id, %error, "a block could not be read for a peer"),
            }
        }
        if blocks.is_empty() { SyncResponse::Refused(RefusedReason::Unknown) } else { SyncResponse::Blocks(blocks) }
    }

    /// All that are asked for, or a refusal: some would be of no use.
    fn block_transactions(&self, id: &BlockId, indices: &[u32]) -> SyncResponse {
        let reader = self.keeper.reader();
        let held = |header: &Header| reader.check_held(header.height).is_ok();
        let known =
            reader.header(id).and_then(|known| Ok(known.is_some_and(|known| held(&known)) && reader.was_applied(id)?));
        let block = match known.and_then(|known| known.then(|| reader.block(id)).transpose()) {
            Ok(Some(block)) => block,
            Ok(None) => return SyncResponse::Refused(RefusedReason::Unknown),
            Err(error) => {
                tracing::error!(%id, %error, "a block could not be read for a peer");
                return SyncResponse::Refused(RefusedReason::Busy);
            }
        };
        let all = &block.block().transactions;
        let one = |index: &u32| all.get(usize::try_from(*index).ok()?).map(encoding::encode);
        let ascending = indices.is_sorted_by(|one, next| one < next);
        match indices.iter().map(one).collect::<Option<_>>().filter(|_| ascending) {
            Some(transactions) => SyncResponse::BlockTransactions(transactions),
            None => SyncResponse::Refused(RefusedReason::Malformed),
        }
    }

    fn transactions(&self, ids: &[TransactionId], answer_len: usize) -> SyncResponse {
        let pool = self.keeper.pool();
        let mut transactions: Vec<Vec<u8>> = Vec::new();
        let mut length = 0_usize;
        for one in ids.iter().filter_map(|id| pool.get(id)) {
            if !transactions.is_empty() && length + one.bytes().len() > answer_len {
                break;
            }
            length += one.bytes().len();
            transactions.push(one.bytes().to_vec());
        }
        SyncResponse::Transactions(transactions)
    }
}
