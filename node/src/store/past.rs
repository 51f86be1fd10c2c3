//! What was true at an earlier height of the active chain: from the histories, which say when something changed, and from the
//! undo of the block that changed it next, which says what it was before.
//!
//! # Cost
//! A few look-ups in the index and the undo of one block, however long the chain is. Only an account to which others hand on
//! items without end, and which does nothing else, costs a look-up for each, up to a limit.

use std::ops::Bound;

use bard_chain::{
    address::Address,
    ledger::{Account, Item, View},
    source::{Source, SourceError},
    transaction::ItemName,
    units::Height,
};

use super::{
    history::{self, Place, Subject},
    listing,
    reader::StoreReader,
};

/// How often a question is asked anew because the chain changed meanwhile.
const ATTEMPTS: usize = 16;
/// Blocks that name an account without changing it are passed over, so many of them at most: about a tenth of a second.
const MAX_PASSED_OVER: usize = 4096;

/// Why it is not told what was true at a height.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PastError {
    /// The chain does not reach that far.
    #[error("there is no height {asked} yet: the chain ends at height {tip}")]
    AboveTip {
        /// Which height was asked for.
        asked: u64,
        /// Where the chain ends.
        tip: u64,
    },
    /// It lies below the state that this node began with.
    #[error(
        "this node does not know what was at height {asked}: it began with the state at height {floor}; ask a node with the whole chain"
    )]
    BelowStart {
        /// Which height was asked for.
        asked: u64,
        /// The height of the state.
        floor: u64,
    },
    /// It would take too long, or the chain changes too fast.
    #[error("{0}")]
    Busy(&'static str),
    /// Something stored could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl StoreReader {
    /// An account as it was after the block of the active chain at a height; the empty one where it was not used by then.
    ///
    /// # Errors
    /// Where the chain does not reach so far, the account was named too often since, or index or log could not be read.
    pub fn account_at(&self, address: &Address, height: Height) -> Result<Account, PastError> {
        self.steady(height, || {
            let Some(next) = self.next_change(address, height)? else { return Ok(self.account(address)?) };
            let lost = || SourceError(format!("the block at height {next} is gone"));
            let id = self.id_at(next)?.ok_or_else(lost)?;
            let before = self.undo(&id)?.accounts;
            let found = before.binary_search_by(|(known, _)| known.cmp(address)).ok();
            let found = found.and_then(|place| before.get(place)).map(|(_, account)| *account);
            Ok(found.ok_or_else(|| SourceError(format!("block {id} did not change the account, as the index says")))?)
        })
    }

    /// An item as it was after the block of the active chain at a height; `None` where nobody had named it by then.
    ///
    /// # Errors
    /// Where the chain does not reach so far, or the index could not be read.
    pub fn item_at(&self, name: &ItemName, height: Height) -> Result<Option<Item>, PastError> {
        self.steady(height, || {
            let Some(above) = height.next() else { return Ok(self.item(name)?) };
            let next = self.item_history(name, Some(Place { height: above, position: 0 }), 1)?.entries;
            let Some(next) = next.first().map(|next| next.place.height) else { return Ok(self.item(name)?) };
            let lost = || SourceError(format!("the block at height {next} is gone"));
            let id = self.id_at(next)?.ok_or_else(lost)?;
            // Whether it was free, or nobody had named it yet, the history does not tell.
            let found = self.undo(&id)?.items.into_iter().find(|(known, _)| known == name);
            Ok(found.ok_or_else(|| SourceError(format!("block {id} did not change the item, as the index says")))?.1)
        })
    }

    /// Refuses a height that the chain does not reach, or that lies below the state that the store began with.
    ///
    /// # Errors
    /// [`PastError::AboveTip`], [`PastError::BelowStart`].
    pub fn check_height(&self, height: Height) -> Result<(), PastError> {
        let (tip, floor) = (self.tip_height(), self.floor());
        if height < floor {
            return Err(PastError::BelowStart { asked: height.get(), floor: floor.get() });
        }
        if height > tip { Err(PastError::AboveTip { asked: height.get(), tip: tip.get() }) } else { Ok(()) }
    }

    /// Works something out while the chain does not change.
    fn steady<T>(&self, height: Height, work: impl Fn() -> Result<T, PastError>) -> Result<T, PastError> {
        for _ in 0..ATTEMPTS {
            self.check_height(height)?;
            let mark = self.head().mark;
            let result = work();
            if self.head().mark == mark {
                return result;
            }
        }
        Err(PastError::Busy("the chain changes faster than its past is read: ask again"))
    }

    /// The lowest height above `height` whose block changed an account.
    fn next_change(&self, address: &Address, height: Height) -> Result<Option<Height>, PastError> {
        let named = self.next_movement(address, height)?;
        let mined = Subject::Miner(address);
        let above = mined.key(mined.rank(height.get().saturating_add(1)));
        let range = (Bound::Included(above), Bound::Included(mined.key(u64::MAX)));
        let mut first = None;
        self.visit(&listing::HISTORIES, &range, 1, &mut |key, _| {
            first = Some(history::height(&key));
            false
        })?;
        Ok([named, first].into_iter().flatten().min())
    }

    /// The lowest height above `height` in whose block an account sent something or was paid. The history of an account
    /// begins with the newest, so this is the last entry before a place in it.
    fn next_movement(&self, address: &Address, height: Height) -> Result<Option<Height>, PastError> {
        let subject = Subject::Account(address);
        let low = subject.key(0);
        let mut bound = subject.key(subject.rank(height.get()));
        for _ in 0..MAX_PASSED_OVER {
            let Some((key, events)) = self.last_history_before(&low, &bound)? else { return Ok(None) };
            if history::moves(&events) {
                return Ok(Some(history::height(&key)));
            }
            bound = key;
        }
        Err(PastError::Busy("too many items were handed to this account since, and nothing else happened to it"))
    }
}
