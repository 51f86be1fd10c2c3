//! Blocks that were refused for good.

use std::collections::{BTreeSet, VecDeque};

use bard_chain::{hash::BlockId, invalid::Invalid};

/// Refused blocks remembered, so that another copy costs nothing; the oldest is forgotten for one more.
const REMEMBERED_REFUSALS: usize = 4096;

/// Blocks whose refusal is final, by id.
#[derive(Default)]
pub(super) struct Refusals {
    ids: BTreeSet<BlockId>,
    order: VecDeque<BlockId>,
}

impl Refusals {
    /// Whether the block was refused.
    pub(super) fn has(&self, id: &BlockId) -> bool {
        self.ids.contains(id)
    }

    /// Remembers a refusal.
    pub(super) fn remember(&mut self, id: BlockId) {
        if self.ids.insert(id) {
            self.order.push_back(id);
        }
        if self.order.len() > REMEMBERED_REFUSALS
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }
}

/// Whether it is the ledger alone that says so: what a block does was tried on what the store says of accounts and items.
pub(super) const fn is_of_the_ledger(reason: &Invalid) -> bool {
    matches!(reason, Invalid::Transaction { .. } | Invalid::StateRoot | Invalid::RewardOverflow)
}
