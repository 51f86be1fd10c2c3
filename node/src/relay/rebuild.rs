//! Compact blocks put together: from the pool, with what is missing asked of those who announced it and of others, or else
//! whole.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bard_chain::{
    block::{self, Header},
    engine::{Outcome, Refused},
    hash::{BlockId, TransactionId},
    invalid::{Blame, Invalid},
    rules::isolated::{CheckedTransaction, Part},
};
use bard_protocol::{
    Fault, NetworkHandle, PeerId, SyncRequest, SyncResponse,
    wire::{
        compact::{Compact, Filled},
        limits::MAX_BLOCK_TRANSACTIONS,
    },
};
use tokio::time::Instant;

use super::{
    asking::{Asking, Patience},
    blocks::age,
};
use crate::{
    keeper::{self, Accepted, BlockReply, Closed},
    metrics,
};

/// For the transactions that are missing: they are few.
const FOR_TRANSACTIONS: Patience = Patience { each: Duration::from_secs(2), apart: Duration::from_millis(300) };
/// For the whole block: it may be long, and is not to come several times over a slow line.
const FOR_WHOLE: Patience = Patience { each: Duration::from_secs(5), apart: Duration::from_secs(2) };
/// Peers that announced a block and may be asked for the rest; one more is not noted.
const MAX_ANNOUNCERS: usize = 4;

/// Who announced a block, the first one first, while it is being put together.
#[derive(Clone, Debug)]
pub(super) struct Announcers(Arc<Mutex<Vec<PeerId>>>);

impl Announcers {
    pub(super) fn new(first: PeerId) -> Self {
        Self(Arc::new(Mutex::new(vec![first])))
    }

    /// Another one did, too.
    pub(super) fn join(&self, peer: PeerId) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < MAX_ANNOUNCERS && !all.contains(&peer) {
            all.push(peer);
        }
    }

    pub(super) fn first(&self) -> Option<PeerId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).first().copied()
    }

    pub(super) fn all(&self) -> Vec<PeerId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A block to be put together.
pub(super) struct Rebuild {
    pub(super) keeper: keeper::Handle,
    pub(super) network: NetworkHandle,
    /// Who announced it, of whom more may come.
    pub(super) announcers: Announcers,
    pub(super) block: BlockId,
    pub(super) compact: Compact,
    /// When it was announced.
    pub(super) seen: Instant,
    pub(super) counts: metrics::Relay,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rebuilt {
    /// The keeper has judged the block.
    Judged,
    /// Nobody who was asked tells the rest: it is left to catching up.
    Not,
}

/// What the pool, and those who were asked for the rest, told of a block.
enum Told {
    /// Everything, and where the last of it came from.
    All(Header, Vec<Part>, &'static str),
    /// Too little.
    TooLittle,
}

/// Whether a refusal says that these are not the transactions of the header: another transaction had the same short id, the
/// announcement was not of this block, or a peer told something else.
const fn is_another(reply: &BlockReply) -> bool {
    matches!(reply, Err(Refused::Invalid(Invalid::TransactionsRoot | Invalid::Encoding(_) | Invalid::TooLarge { .. })))
}

impl Rebuild {
    pub(super) async fn run(self) -> Result<Rebuilt, Closed> {
        let (told, last) = self.by_pool().await?;
        if let Told::All(header, parts, way) = told {
            let reply = self.keeper.accept_parts(header, parts).await?;
            if !is_another(&reply) {
                self.judged(reply, way);
                return Ok(Rebuilt::Judged);
            }
        }
        let request = SyncRequest::Blocks { ids: vec![self.block] };
        let mut asking = Asking::new(&self.network, &self.announcers, &request, FOR_WHOLE, last);
        while let Some((peer, answer)) = asking.next().await {
            let SyncResponse::Blocks(mut blocks) = answer else { continue };
            let Some(bytes) = blocks.pop() else { continue };
            if !self.is_asked_for(peer, &bytes).await {
                continue;
            }
            let reply = self.keeper.accept(bytes).await?;
            if let Err(Refused::Invalid(reason)) = &reply
                && reason.blame() == Blame::Sender
            {
                // Nobody serves what he has not applied.
                let reason = format!("served an invalid block: {reason}");
                tracing::warn!(%peer, %reason, "block refused");
                self.network.penalise(peer, Fault::Fatal, reason).await;
                if is_another(&reply) {
                    continue;
                }
            }
            self.judged(reply, "whole");
            return Ok(Rebuilt::Judged);
        }
        self.counts.rebuilt("not");
        Ok(Rebuilt::Not)
    }

    /// The keeper has judged the block.
    fn judged(&self, reply: BlockReply, way: &'static str) {
        self.counts.rebuilt(way);
        match reply {
            Ok(Accepted { outcome: Outcome::BranchRefused { .. }, .. }) | Err(Refused::NoRoom(_)) => {}
            Ok(accepted) => self.counts.spread(age(accepted.timestamp), self.seen.elapsed()),
            // Its header was right, so that it was announced before anybody could know.
            Err(refused) => tracing::warn!(block = %self.block, %refused, "an announced block is refused"),
        }
    }

    /// From the pool, and what is missing there from those who announced it and others. Who is to be asked for the whole last is
    /// told, too: who was silent, and whose word it would be if these are other transactions.
    async fn by_pool(&self) -> Result<(Told, Vec<PeerId>), Closed> {
        let pool: Vec<(TransactionId, Arc<CheckedTransaction>)> =
            self.keeper.pool().transactions().map(|one| (one.id(), Arc::clone(one))).collect();
        let compact = self.compact.clone();
        // With a large pool it takes some milliseconds.
        let filled = tokio::task::spawn_blocking(move || compact.fill(pool.into_iter())).await;
        let mut filled: Filled<Arc<CheckedTransaction>> = filled.map_err(|_| Closed)?;
        let missing = filled.missing();
        let told = |filled: Filled<_>, way| match filled.into_parts() {
            Some((header, parts)) => Told::All(header, parts, way),
            None => Told::TooLittle,
        };
        if missing.is_empty() {
            return Ok((told(filled, "pool"), Vec::new()));
        }
        let count = missing.len();
        tracing::debug!(block = %self.block, missing = count, "transactions of a block are missing");
        if count > MAX_BLOCK_TRANSACTIONS {
            return Ok((Told::TooLittle, Vec::new()));
        }
        let request = SyncRequest::BlockTransactions { block: self.block, indices: missing };
        let mut asking = Asking::new(&self.network, &self.announcers, &request, FOR_TRANSACTIONS, Vec::new());
        while let Some((peer, answer)) = asking.next().await {
            let SyncResponse::BlockTransactions(transactions) = answer else { continue };
            if transactions.len() == count && filled.complete(transactions) {
                let mut last = asking.into_silent();
                last.push(peer);
                return Ok((told(filled, "asked"), last));
            }
        }
        Ok((Told::TooLittle, asking.into_silent()))
    }

    /// Whether what a peer served is the block that was asked for; another is its fault, however good it is. What is no block at
    /// all is left to the keeper to refuse.
    async fn is_asked_for(&self, peer: PeerId, bytes: &[u8]) -> bool {
        let spec = self.keeper.spec();
        let claimed = block::claimed_id(bytes, spec.max_block_len(), spec.pow);
        let is_another = claimed.is_some_and(|id| id != self.block);
        if is_another {
            self.network.penalise(peer, Fault::Serious, "served another block than was asked for".to_owned()).await;
        }
        !is_another
    }
}
