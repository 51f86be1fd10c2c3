//! The blocks near the tip, those beside the active chain included.

use std::{collections::VecDeque, ops::Bound};

use bard_chain::{
    block::Header,
    hash::BlockId,
    source::SourceError,
    units::{Height, Work},
};

use super::{
    index::KeyRange,
    listing,
    overlay::{Entry, SideKey},
    reader::{StoreReader, closed},
};

/// The most heights below the tip that are looked at.
const MAX_DEPTH: u64 = 10_000;
/// Blocks beside the active chain that are listed together.
const SIDES_AT_ONCE: usize = 1024;

/// What is known of the transactions of a stored block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They apply: the block is on the active chain, or was.
    Valid,
    /// Nobody tried: the block was never on the chain with the most work, or lies below the state that this node began with. All
    /// that can be told without the ledger is right.
    Untried,
    /// The block, or one before it, breaks a rule.
    Invalid,
}

/// A stored block: the whole of it, none is known by its header alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownBlock {
    /// Its id.
    pub id: BlockId,
    /// Its header: parent, height, time, miner.
    pub header: Header,
    /// Work of the chain up to it.
    pub work: Work,
    /// Place in the order in which this node came to know blocks.
    pub arrival: u64,
    /// Whether it is on the active chain.
    pub active: bool,
    /// What is known of its transactions.
    pub verdict: Verdict,
}

/// The blocks near the tip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownTree {
    /// By height, then the active one first, then by arrival.
    pub blocks: Vec<KnownBlock>,
    /// Whether there are more blocks beside the active chain than were asked for.
    pub more: bool,
}

impl StoreReader {
    /// The known blocks less than `depth` below the tip, at most 10,000, and those above it: the active chain, and of the
    /// blocks beside it the highest `limit`.
    ///
    /// Which blocks there are and which is active is of one moment; that one was found invalid may be of the next.
    ///
    /// # Errors
    /// Where the index could not be read.
    pub fn known_tree(&self, depth: u64, limit: usize) -> Result<KnownTree, SourceError> {
        let (active, sides, frozen, snapshot, heights, beside) = {
            let state = self.shared.state();
            let base = state.head(self.sight).height.get().saturating_add(1).saturating_sub(depth.min(MAX_DEPTH));
            let heights: KeyRange<u64> = (Bound::Included(base), Bound::Unbounded);
            let beside: KeyRange<SideKey> = (Bound::Included((base, 0, BlockId::ZERO)), Bound::Unbounded);
            let open = || state.open_layers(self.sight);
            let active = open().map(|layer| listing::copy(&layer.heights, &heights, usize::MAX)).collect();
            let sides = open().map(|layer| listing::copy(&layer.sides, &beside, usize::MAX)).collect();
            (active, sides, state.frozen.clone(), state.snapshot.clone().ok_or_else(closed)?, heights, beside)
        };
        let mut blocks = Vec::new();
        self.read(listing::merge(&listing::HEIGHTS, active, &frozen, &snapshot, &heights, &mut |_, id| {
            blocks.push((id, true));
            true
        }))?;
        let mut highest = VecDeque::new();
        let mut more = false;
        self.read(listing::merge(&listing::SIDES, sides, &frozen, &snapshot, &beside, &mut |(_, _, id), ()| {
            highest.push_back((id, false));
            if highest.len() > limit {
                highest.pop_front();
                more = true;
            }
            true
        }))?;
        let known = blocks.into_iter().chain(highest).map(|(id, active)| self.known_block(id, active));
        let mut blocks: Vec<_> = known.collect::<Result<_, _>>()?;
        blocks.sort_by_key(|block| (block.header.height, !block.active, block.arrival));
        Ok(KnownTree { blocks, more })
    }

    /// Blocks beside the active chain from a height on, by height, then arrival. There may be a great many, which are never in
    /// memory together.
    pub(super) fn sides(&self, from: Height) -> impl Iterator<Item = Result<BlockId, SourceError>> {
        let mut page = Vec::new().into_iter();
        let mut next = Some(Bound::Included((from.get(), 0, BlockId::ZERO)));
        std::iter::from_fn(move || {
            if page.len() == 0
                && let Some(low) = next.take()
            {
                match self.list(&listing::SIDES, &(low, Bound::Unbounded), SIDES_AT_ONCE) {
                    Ok(sides) => {
                        next = sides.last().map(|(last, ())| Bound::Excluded(*last));
                        page = sides.into_iter();
                    }
                    Err(error) => return Some(Err(error)),
                }
            }
            page.next().map(|((_, _, id), ())| Ok(id))
        })
    }

    /// Blocks beside the active chain at a height.
    pub(super) fn sides_at(&self, height: Height) -> Result<Vec<SideKey>, SourceError> {
        let height = height.get();
        let range = ((height, 0, BlockId::ZERO), (height, u64::MAX, BlockId::new([u8::MAX; BlockId::LEN])));
        let sides = self.list(&listing::SIDES, &(Bound::Included(range.0), Bound::Included(range.1)), usize::MAX)?;
        Ok(sides.into_iter().map(|(key, ())| key).collect())
    }

    fn known_block(&self, id: BlockId, active: bool) -> Result<KnownBlock, SourceError> {
        let Entry { header, work, arrival, invalid, undo, .. } = self.known(&id)?;
        let verdict = match (invalid, undo) {
            (true, _) => Verdict::Invalid,
            (false, Some(_)) => Verdict::Valid,
            (false, None) if header.height == Height::ZERO => Verdict::Valid,
            (false, None) => Verdict::Untried,
        };
        Ok(KnownBlock { id, header, work, arrival, active, verdict })
    }
}
