//! The next block to mine: which transactions, in which order, under which header.

use std::{collections::BinaryHeap, sync::Arc};

use crate::{
    address::Address,
    block::{self, Block, HEADER_MAX_LEN, Header},
    encoding,
    engine::Engine,
    hash::{Hash32, TransactionId},
    ledger::{
        Overlay, View,
        apply::{ApplyError, apply_block, apply_transaction},
    },
    mempool::{Mempool, fee_rate},
    merkle,
    rules::isolated::CheckedTransaction,
    source::SourceError,
    transaction::Transaction,
    units::Timestamp,
};

/// What a block's own array heads take at most, in bytes, besides header and transactions.
const BLOCK_OVERHEAD: usize = 16;
/// How often transactions that could not apply yet are tried again: money may reach a poor sender through another's.
const MAX_ROUNDS: usize = 4;

/// A block that lacks nothing but its nonce.
#[derive(Clone, Debug)]
pub struct Template {
    block: Block,
    digest: Hash32,
}

impl Template {
    /// The block after the tip, with the transactions of the pool that pay best, for `miner`. `now` is the miner's clock.
    ///
    /// # Errors
    /// Where the ledger could not be read.
    pub fn build<V: View>(
        engine: &Engine,
        pool: &Mempool,
        ledger: &V,
        miner: Address,
        now: Timestamp,
    ) -> Result<Self, SourceError> {
        let spec = engine.spec();
        let position = engine.tip_position();
        let room = spec.max_block_len().saturating_sub(HEADER_MAX_LEN).saturating_sub(BLOCK_OVERHEAD);
        let chosen = choose(pool, ledger, room)?;
        let ids: Vec<TransactionId> = chosen.iter().map(|transaction| transaction.id()).collect();
        let header = Header {
            version: block::VERSION,
            height: position.height().next().unwrap_or(position.height()),
            parent: position.id(),
            transactions_root: merkle::root(&ids),
            state_root: Hash32::ZERO,
            timestamp: now.max(position.earliest_time()),
            target: position.next_target(spec),
            miner,
            nonce: 0,
        };
        let transactions: Vec<Transaction> = chosen.iter().map(|chosen| chosen.transaction().clone()).collect();
        let mut block = Block { header, transactions };
        let delta = match apply_block(spec, ledger, &block) {
            Ok(delta) => delta,
            Err(ApplyError::Source(error)) => return Err(error),
            // Every transaction was applied in this order a moment ago; should one fail all the same, mine without them.
            Err(ApplyError::Fault(_)) => {
                block.transactions.clear();
                block.header.transactions_root = merkle::root(&[]);
                apply_block(spec, ledger, &block).unwrap_or_default()
            }
        };
        let mut commitment = engine.commitment().clone();
        commitment.apply(&delta);
        block.header.state_root = commitment.root();
        Ok(Self::of(block))
    }

    /// The template of a block that lacks nothing but its nonce.
    pub(crate) fn of(block: Block) -> Self {
        let digest = block.header.digest();
        Self { block, digest }
    }

    /// The header; its nonce is still 0.
    pub const fn header(&self) -> &Header {
        &self.block.header
    }

    /// The transactions.
    pub fn transactions(&self) -> &[Transaction] {
        &self.block.transactions
    }

    /// What is sealed with the nonce.
    pub const fn digest(&self) -> &Hash32 {
        &self.digest
    }

    /// The canonical bytes of the block with its nonce.
    pub fn sealed(&self, nonce: u64) -> Vec<u8> {
        let mut block = self.block.clone();
        block.header.nonce = nonce;
        encoding::encode(&block)
    }
}

/// A sender's next transaction, ordered by what it pays a byte, then by who came first.
struct Candidate<'a, I> {
    fee_rate: u128,
    arrival: u64,
    transaction: &'a Arc<CheckedTransaction>,
    rest: I,
}

impl<I> Candidate<'_, I> {
    fn key(&self) -> (u128, core::cmp::Reverse<u64>) {
        (self.fee_rate, core::cmp::Reverse(self.arrival))
    }
}

impl<I> PartialEq for Candidate<'_, I> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<I> Eq for Candidate<'_, I> {}

impl<I> PartialOrd for Candidate<'_, I> {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<I> Ord for Candidate<'_, I> {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

fn candidate<'a, I: Iterator<Item = (u64, &'a Arc<CheckedTransaction>)>>(mut rest: I) -> Option<Candidate<'a, I>> {
    let (arrival, transaction) = rest.next()?;
    Some(Candidate { fee_rate: fee_rate(transaction), arrival, transaction, rest })
}

/// The transactions that pay best and fit in `room` bytes, in an order in which each applies.
fn choose<V: View>(pool: &Mempool, ledger: &V, room: usize) -> Result<Vec<Arc<CheckedTransaction>>, SourceError> {
    let mut scratch = Overlay::new(ledger);
    let mut chosen = Vec::new();
    let mut room = room;
    let mut heap: BinaryHeap<_> = pool.by_sender().filter_map(candidate).collect();
    let mut later = Vec::new();
    for _ in 0..MAX_ROUNDS {
        let before = chosen.len();
        while let Some(next) = heap.pop() {
            let length = next.transaction.bytes().len();
            if length > room {
                continue;
            }
            match apply_transaction(&mut scratch, next.transaction.transaction()) {
                Ok(()) => {
                    room = room.saturating_sub(length);
                    chosen.push(Arc::clone(next.transaction));
                    heap.extend(candidate(next.rest));
                }
                Err(ApplyError::Fault(_)) => later.push(next),
                Err(ApplyError::Source(error)) => return Err(error),
            }
        }
        if later.is_empty() || chosen.len() == before {
            break;
        }
        heap.extend(later.drain(..));
    }
    Ok(chosen)
}
