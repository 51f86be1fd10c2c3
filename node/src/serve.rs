//! Answers to what other nodes ask.

use std::sync::Arc;

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
use tokio::sync::Semaphore;

use crate::{
    clock,
    fair::{self, Receiver, Room, Sender},
    keeper,
};

/// Answers that are made at the same time.
const CONCURRENT: usize = 8;
/// Questions that wait until there is a place, one of each peer in turn; to whoever asks one more the node is busy. At most
/// 84 KB each, and mostly a few hundred bytes.
const WAITING: Room = Room { per_peer: 16, all: 128 };
/// How far below the tip a block may be of which single transactions are told, in blocks: whoever asks puts a block together that
/// was just announced, and older ones cost a reading of the whole (as in BIP 152).
const RECENT: u64 = 10;

/// As many ids of the pool as an answer may hold: all that are allowed, but no more than go through a relay.
fn pool_ids(answer_len: usize) -> usize {
    if answer_len < ANSWER_TARGET_LEN { (answer_len / TransactionId::LEN).min(MAX_POOL_IDS) } else { MAX_POOL_IDS }
}

/// Answers what other nodes ask.
#[derive(Clone)]
pub struct Server {
    keeper: keeper::Handle,
    agent: Agent,
    questions: Sender<Question>,
}

/// A question that waits for its answer.
struct Question {
    request: SyncRequest,
    reply: Reply,
}

/// What makes the answers, to be run.
pub struct Task {
    keeper: keeper::Handle,
    questions: Receiver<Question>,
}

/// Makes a server that answers from the keeper's reader and pool. At most 16 questions of one peer and 128 of all wait; one
/// more is told that the node is busy, or the last of whoever has the most.
pub fn new(keeper: keeper::Handle, agent: Agent) -> (Server, Task) {
    let (sender, questions) = fair::queue(WAITING);
    (Server { keeper: keeper.clone(), agent, questions: sender }, Task { keeper, questions })
}

impl Server {
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

    /// Answers a peer's request as soon as it is its turn; how far this node is, at once.
    pub fn answer(&self, peer: PeerId, request: SyncRequest, reply: Reply) {
        if let SyncRequest::Status(_) = request {
            return reply.send(SyncResponse::Status(self.status()));
        }
        if let Some(dropped) = self.questions.put(peer, Question { request, reply }) {
            dropped.reply.send(SyncResponse::Refused(RefusedReason::Busy));
        }
    }
}

impl Task {
    /// Runs until the node stops.
    pub async fn run(mut self) {
        let (places, answers) = (Arc::new(Semaphore::new(CONCURRENT)), Answers { keeper: self.keeper });
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            let Some(Question { request, reply }) = self.questions.next().await else { return };
            let answers = answers.clone();
            // On a thread that may wait for the disk.
            tokio::task::spawn_blocking(move || {
                let answer_len = reply.answer_len();
                reply.send(answers.to(request, answer_len));
                drop(place);
            });
        }
    }
}

/// What there is to answer from.
#[derive(Clone)]
struct Answers {
    keeper: keeper::Handle,
}

impl Answers {
    /// An answer that aims at `answer_len` bytes, which are fewer where it goes through a relay.
    fn to(&self, request: SyncRequest, answer_len: usize) -> SyncResponse {
        match request {
            // Answered before it could wait.
            SyncRequest::Status(_) => SyncResponse::Refused(RefusedReason::Malformed),
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

    /// All that are asked for, or a refusal: some would be of no use. Of an old block none.
    fn block_transactions(&self, id: &BlockId, indices: &[u32]) -> SyncResponse {
        let reader = self.keeper.reader();
        let oldest = self.keeper.tip().height.get().saturating_sub(RECENT);
        let held = |header: &Header| header.height.get() >= oldest && reader.check_held(header.height).is_ok();
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
