//! The transactions of blocks that were on the active chain and no longer are.
//!
//! When a block is taken back, its transactions go into the pool, in memory; the file of the pool has them from the next time that
//! it is written anew. A node that is killed in between finds them here: such blocks are kept, with what undoes them.

use bard_chain::{
    encoding,
    source::{Source, SourceError},
    units::Timestamp,
};

use super::{StoreReader, Verdict};

/// The most bytes of blocks that are read, the highest first: as much as the pool may come to by default.
const MAX_LEN: usize = 64 << 20;
/// The most blocks beside the active chain that are looked at, the highest first.
const MAX_BLOCKS: usize = 10_000;

impl StoreReader {
    /// The transactions, in canonical bytes, of undone blocks less than `depth` below the tip, with their blocks' times; the lowest
    /// block's first. What was confirmed by another block since is among them. Of more than 10,000 heights or blocks, or 64 MiB,
    /// it is the highest.
    ///
    /// # Errors
    /// Where the index or a block could not be read.
    pub fn left_the_chain(&self, depth: u64) -> Result<Vec<(Timestamp, Vec<u8>)>, SourceError> {
        let tree = self.known_tree(depth, MAX_BLOCKS)?;
        let undone = tree.blocks.iter().filter(|block| !block.active && block.verdict == Verdict::Valid);
        let (mut blocks, mut length) = (Vec::new(), 0_usize);
        for known in undone.rev() {
            let block = self.block(&known.id)?;
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
}
