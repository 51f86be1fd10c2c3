//! Compact blocks put together: from the pool, with what is missing asked of the peer that announced it, or else whole.

use std::{sync::Arc, time::Duration};

use bard_chain::{
    block::Header,
    engine::{Outcome, Refused},
    hash::{BlockId, TransactionId},
    invalid::{Blame, Invalid},
    rules::isolated::{CheckedTransaction, Part},
};
use bard_protocol::{
    Fault, NetworkHandle, PeerId, RefusedReason, RequestError, SyncRequest, SyncResponse,
    wire::{
        compact::{Compact, Filled},
        limits::MAX_BLOCK_TRANSACTIONS,
    },
};
use tokio::time::{Instant, sleep};

use super::blocks::age;
use crate::{
    keeper::{self, BlockReply, Closed},
    metrics,
};

/// How long a peer may take for one answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// A peer that announced a block may be putting it together itself: it is asked so often, each time after a longer wait.
const TRIES: u32 = 6;
/// The first of these waits.
const WAIT: Duration = Duration::from_millis(10);

/// A block to be put together.
pub(super) struct Rebuild {
    pub(super) keeper: keeper::Handle,
    pub(super) network: NetworkHandle,
    /// Who announced it.
    pub(super) source: PeerId,
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
    /// The peer does not tell the rest: it is left to catching up.
    Not,
}

/// What was found of a block.
enum Found {
    /// Its transactions.
    Parts(Header, Vec<Part>),
    /// Its bytes.
    Whole(Vec<u8>),
}

/// It, and where the last of it came from.
type Way = Option<(Found, &'static str)>;

impl Rebuild {
    pub(super) async fn run(self) -> Result<Rebuilt, Closed> {
        let found = match self.by_pool().await? {
            Some(found) => Some(found),
            None => self.whole().await,
        };
        let Some((found, way)) = found else { return Ok(self.given_up()) };
        let first = self.accept(found).await?;
        let (result, way) = match first {
            // Another transaction had the same short id, the announcement was not of this block, or the peer told something
            // else: only the whole tells.
            Err(Refused::Invalid(Invalid::TransactionsRoot | Invalid::Encoding(_) | Invalid::TooLarge { .. }))
                if way != "whole" =>
            {
                let Some((found, way)) = self.whole().await else { return Ok(self.given_up()) };
                (self.accept(found).await?, way)
            }
            first => (first, way),
        };
        self.counts.rebuilt(way);
        match result {
            Ok(accepted) => {
                if !matches!(accepted.outcome, Outcome::BranchRefused { .. }) {
                    self.counts.spread(age(accepted.timestamp), self.seen.elapsed());
                }
            }
            Err(Refused::Invalid(reason)) if way == "whole" && reason.blame() == Blame::Sender => {
                // Nobody serves what he has not checked.
                let reason = format!("served an invalid block: {reason}");
                tracing::warn!(peer = %self.source, %reason, "block refused");
                self.network.penalise(self.source, Fault::Fatal, reason).await;
            }
            Err(Refused::NoRoom(_)) => {}
            // Its header was right, so that it was announced before anybody could know.
            Err(refused) => tracing::warn!(block = %self.block, %refused, "an announced block is refused"),
        }
        Ok(Rebuilt::Judged)
    }

    async fn accept(&self, found: Found) -> Result<BlockReply, Closed> {
        match found {
            Found::Parts(header, parts) => self.keeper.accept_parts(header, parts).await,
            Found::Whole(bytes) => self.keeper.accept(bytes).await,
        }
    }

    fn given_up(&self) -> Rebuilt {
        self.counts.rebuilt("not");
        Rebuilt::Not
    }

    /// From the pool, and what is missing there from the peer.
    async fn by_pool(&self) -> Result<Way, Closed> {
        let pool: Vec<(TransactionId, Arc<CheckedTransaction>)> =
            self.keeper.pool().transactions().map(|one| (one.id(), Arc::clone(one))).collect();
        let compact = self.compact.clone();
        // With a large pool it takes some milliseconds.
        let filled = tokio::task::spawn_blocking(move || compact.fill(pool.into_iter())).await;
        let mut filled: Filled<Arc<CheckedTransaction>> = filled.map_err(|_| Closed)?;
        let missing = filled.missing();
        let found =
            |filled: Filled<_>, way| filled.into_parts().map(|(header, parts)| (Found::Parts(header, parts), way));
        if missing.is_empty() {
            return Ok(found(filled, "pool"));
        }
        tracing::debug!(block = %self.block, missing = missing.len(), "transactions of a block are missing");
        if missing.len() > MAX_BLOCK_TRANSACTIONS {
            return Ok(None);
        }
        let request = SyncRequest::BlockTransactions { block: self.block, indices: missing };
        let Some(SyncResponse::BlockTransactions(transactions)) = self.ask(&request).await else { return Ok(None) };
        let complete = filled.complete(transactions);
        Ok(found(filled, "asked").filter(|_| complete))
    }

    /// The whole block, from the peer.
    async fn whole(&self) -> Way {
        match self.ask(&SyncRequest::Blocks { ids: vec![self.block] }).await {
            Some(SyncResponse::Blocks(mut blocks)) => blocks.pop().map(|bytes| (Found::Whole(bytes), "whole")),
            _ => None,
        }
    }

    /// Asks the peer, again while it does not have the block itself.
    async fn ask(&self, request: &SyncRequest) -> Option<SyncResponse> {
        let mut wait = WAIT;
        for _ in 0..TRIES {
            match self.network.request(self.source, request.clone(), PATIENCE).await {
                Ok(response) => return Some(response),
                Err(RequestError::Refused(RefusedReason::Unknown | RefusedReason::Busy) | RequestError::Busy) => {
                    sleep(wait).await;
                    wait = wait.saturating_mul(2);
                }
                Err(error) => {
                    tracing::debug!(peer = %self.source, block = %self.block, %error, "the rest of a block is not told");
                    return None;
                }
            }
        }
        None
    }
}
