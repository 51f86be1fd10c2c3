//! The transactions of blocks that were on the active chain and no longer are.
//!
//! When a block is taken back, its transactions go into the pool, in memory; the file of the pool has them from the next time that
//! it is written anew. A node that is killed in between finds them here: such blocks are kept, with what undoes them.

use bard_chain::{
    encoding,
    hash::BlockId,
    source::{Source, SourceError},
    units::Timestamp,
};

use super::StoreReader;

impl StoreReader {
    /// The transactions, in canonical bytes, of the blocks by which a tip of an earlier time is apart from the active chain, the
    /// lowest block's first, with their blocks' times. Those of blocks no younger than `oldest` are left out, and those that another
    /// block confirmed since; of more than `max_len` bytes it is the first, for later ones of the same senders follow from them.
    ///
    /// Nothing is apart from the chain by a tip that is not stored here.
    ///
    /// # Errors
    /// Where the index or a block could not be read.
    pub fn left_the_chain(
        &self,
        tip: &BlockId,
        oldest: Timestamp,
        max_len: usize,
    ) -> Result<Vec<(Timestamp, Vec<u8>)>, SourceError> {
        let (mut apart, mut id) = (Vec::new(), *tip);
        while let Some(header) = self.header(&id)? {
            if self.id_at(header.height)? == Some(id) {
                break;
            }
            apart.push((header.timestamp, id));
            id = header.parent;
        }
        let (mut left, mut length) = (Vec::new(), 0_usize);
        // By its own time, not that of this start: what is too old for the pool does not become new.
        for (time, id) in apart.into_iter().rev().filter(|(time, _)| *time > oldest) {
            let block = self.block(&id)?;
            for (one, id) in block.block().transactions.iter().zip(block.transaction_ids()) {
                if self.transaction(id)?.is_some() {
                    continue;
                }
                let bytes = encoding::encode(one);
                length = length.saturating_add(bytes.len());
                if length > max_len {
                    return Ok(left);
                }
                left.push((time, bytes));
            }
        }
        Ok(left)
    }
}
