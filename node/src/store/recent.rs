//! Blocks that were stored or read lately, as they are in memory.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bard_chain::{hash::BlockId, rules::isolated::Isolated};

/// The most blocks that are kept.
const MAX_BLOCKS: usize = 4096;
/// The most canonical bytes of all of them; in memory they take about three times as much.
const MAX_BYTES: usize = 4 << 20;

/// The last blocks that somebody dealt with.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<Blocks>);

#[derive(Debug, Default)]
struct Blocks {
    by_id: HashMap<BlockId, Arc<Isolated>>,
    /// The oldest first.
    order: VecDeque<BlockId>,
    bytes: usize,
}

impl Recent {
    fn blocks(&self) -> MutexGuard<'_, Blocks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The block, if it is among them.
    pub(super) fn get(&self, id: &BlockId) -> Option<Arc<Isolated>> {
        self.blocks().by_id.get(id).cloned()
    }

    /// Adds a block, and drops the oldest where they get too many.
    pub(super) fn put(&self, block: &Arc<Isolated>) {
        let mut blocks = self.blocks();
        let id = block.id();
        if blocks.by_id.contains_key(&id) {
            return;
        }
        blocks.bytes = blocks.bytes.saturating_add(block.bytes().len());
        blocks.by_id.insert(id, Arc::clone(block));
        blocks.order.push_back(id);
        while blocks.order.len() > MAX_BLOCKS || blocks.bytes > MAX_BYTES {
            let Some(oldest) = blocks.order.pop_front() else { return };
            if let Some(oldest) = blocks.by_id.remove(&oldest) {
                blocks.bytes = blocks.bytes.saturating_sub(oldest.bytes().len());
            }
        }
    }
}
