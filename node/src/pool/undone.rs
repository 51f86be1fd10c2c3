//! The transactions of blocks that were on the active chain and no longer are.
//!
//! When a block is taken back, its transactions go into the pool, in memory; `pool.log` has them from the next time that it is
//! written anew. A node that is killed in between finds them here: the store keeps such blocks, with what undoes them.

use bard_chain::{
    encoding,
    source::{Source, SourceError},
};

use super::file::Found;
use crate::store::{StoreReader, Verdict};

/// The most bytes of transactions that are taken from blocks, the highest blocks first: as much as the pool itself may come to by
/// default. What lies in lower ones comes back only where `pool.log` has it.
const MAX_LEN: usize = 64 << 20;
/// The most blocks beside the active chain that are looked at, the highest first.
const MAX_BLOCKS: usize = 10_000;

/// The transactions of undone blocks less than `depth` below the tip, with their blocks' times; the lowest block's first. What
/// was confirmed by another block since is among them.
///
/// # Errors
/// Where the store cannot be read.
pub(super) fn transactions(reader: &StoreReader, depth: u64) -> Result<Vec<Found>, SourceError> {
    let tree = reader.known_tree(depth, MAX_BLOCKS)?;
    let undone = tree.blocks.iter().filter(|block| !block.active && block.verdict == Verdict::Valid);
    let (mut blocks, mut length) = (Vec::new(), 0_usize);
    for known in undone.rev() {
        let block = reader.block(&known.id)?;
        length = length.saturating_add(block.bytes().len());
        if length > MAX_LEN {
            break;
        }
        // By its own time, not that of this start: what is too old for the pool does not become new.
        let time = known.header.timestamp;
        blocks.push(block.block().transactions.iter().map(|one| (time, encoding::encode(one))).collect::<Vec<_>>());
    }
    Ok(blocks.into_iter().rev().flatten().collect())
}
