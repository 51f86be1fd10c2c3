//! Blocks that were stored or read lately, as they are in memory.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bard_chain::{hash::BlockId, rules::isolated::Isolated};

/// The most blocks that are kept.
const MAX_BLOCKS: usize = 64;
/// The most canonical bytes of all of them; in memory they take about three times as much.
const MAX_BYTES: usize = 16 << 20;

/// The last blocks that somebody dealt with, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<Blocks>);

#[derive(Debug, Default)]
struct Blocks {
    queue: VecDeque<Arc<Isolated>>,
    bytes: usize,
}

impl Recent {
    fn blocks(&self) -> MutexGuard<'_, Blocks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The block, if it is among them.
    pub(super) fn get(&self, id: &BlockId) -> Option<Arc<Isolated>> {
        self.blocks().queue.iter().find(|block| block.id() == *id).cloned()
    }

    /// Adds a block, and drops the oldest where they get too many.
    pub(super) fn put(&self, block: &Arc<Isolated>) {
        let mut blocks = self.blocks();
        if blocks.queue.iter().any(|known| known.id() == block.id()) {
            return;
        }
        blocks.bytes = blocks.bytes.saturating_add(block.bytes().len());
        blocks.queue.push_back(Arc::clone(block));
        while blocks.queue.len() > MAX_BLOCKS || blocks.bytes > MAX_BYTES {
            let Some(oldest) = blocks.queue.pop_front() else { return };
            blocks.bytes = blocks.bytes.saturating_sub(oldest.bytes().len());
        }
    }
}
