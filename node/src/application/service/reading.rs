//! What is read of the chain: all that may wait for the disk.

use std::sync::Arc;

use bard_chain::{
    address::Address,
    hash::{BlockId, Hash32, TransactionId},
    ledger::View,
    rules::isolated::Isolated,
    source::Source,
    transaction::{Action, ItemName},
    units::Height,
};

use super::{Failure, FailureKind, MAX_BLOCKS, Service};
use crate::{
    application::{
        command::{BlockChoice, Command, ItemFilter},
        reply::{self, Place, Reply},
    },
    keeper::{Page, Placed},
    near,
    wallet::OWN_NAME,
};

/// A page of blocks ends with the block that brings it to so many canonical bytes, so that an answer stays far below what a
/// node may hold.
const PAGE_BYTES: usize = 4 << 20;
/// Items that are looked at for one page: with a filter, a page may be short though more follows.
const ITEMS_LOOKED_AT: usize = 10_000;
/// Items, the first by name, among which the one is looked for that a mistyped name may mean.
const ITEMS_COMPARED: usize = 1_000;
/// Items that are taken from the store at once.
const ITEMS_AT_ONCE: usize = 500;

fn not_found(what: impl Into<String>) -> Failure {
    Failure::new(FailureKind::NotFound, what)
}

impl Service {
    pub(super) fn unknown_transaction(&self, id: &TransactionId) -> Failure {
        let floor = self.parts().keeper.reader().floor();
        let older = if floor > Height::ZERO {
            format!(
                "; this node began with the state at height {floor} and knows none of before: ask one with the whole chain"
            )
        } else {
            String::new()
        };
        not_found(format!("no transaction with id {id} is known{older}"))
    }

    pub(super) fn blocks(&self, from: Option<Height>, limit: usize) -> Result<Reply, Failure> {
        let limit = limit.clamp(1, MAX_BLOCKS) as u64;
        let tip = self.parts().keeper.tip().height;
        // The last ones, of those that are here.
        let lowest = self.parts().keeper.reader().floor().next().filter(|lowest| *lowest > Height::new(1));
        let last_ones = Height::new((tip.get() + 1).saturating_sub(limit));
        let first = from.unwrap_or(lowest.map_or(last_ones, |lowest| lowest.max(last_ones)));
        let last = first.get().saturating_add(limit - 1).min(tip.get());
        let blocks = self.page_of_blocks(first.get()..=last)?;
        let end = blocks.last().map(|block| block.header().height);
        let next = end.filter(|end| *end < tip).map(|end| Height::new(end.get() + 1));
        Ok(Reply::Blocks { blocks, next })
    }

    pub(super) fn blocks_down(&self, from: Option<Height>, limit: usize) -> Result<Reply, Failure> {
        let tip = self.parts().keeper.tip().height;
        let first = from.unwrap_or(tip).min(tip).get();
        let last = first.saturating_sub(limit.clamp(1, MAX_BLOCKS) as u64 - 1);
        let blocks = self.page_of_blocks((last..=first).rev())?;
        let end = blocks.last().map(|block| block.header().height);
        let next = end.and_then(|end| end.get().checked_sub(1)).map(Height::new);
        Ok(Reply::Blocks { blocks, next })
    }

    fn page_of_blocks(&self, heights: impl Iterator<Item = u64>) -> Result<Vec<reply::Block>, Failure> {
        let reader = self.parts().keeper.reader();
        let (mut blocks, mut bytes) = (Vec::new(), 0_usize);
        for height in heights {
            match reader.check_held(Height::new(height)) {
                Ok(()) => {}
                // The next page says why it has nothing.
                Err(_) if !blocks.is_empty() => break,
                Err(not) => return Err(not.into()),
            }
            let Some(id) = reader.id_at(Height::new(height))? else { break };
            let block = reader.block(&id)?;
            bytes = bytes.saturating_add(block.bytes().len());
            blocks.push(reply::Block { block, active: true });
            if bytes >= PAGE_BYTES {
                break;
            }
        }
        Ok(blocks)
    }

    fn id_of(&self, choice: BlockChoice) -> Result<BlockId, Failure> {
        let keeper = &self.parts().keeper;
        let tip = keeper.tip();
        match choice {
            BlockChoice::Tip => Ok(tip.id),
            BlockChoice::Height(height) => keeper.reader().ask_id_at(height)?.ok_or_else(|| {
                not_found(format!("there is no block at height {height}: the chain ends at {}", tip.height))
            }),
            BlockChoice::Id(id) => {
                let known = keeper.reader().header(&id)?.map(|_| id);
                known.ok_or_else(|| not_found(format!("no block with id {id} is known")))
            }
        }
    }

    /// [`Self::id_of`] a block of which this node has more than the header.
    fn held_id_of(&self, choice: BlockChoice) -> Result<BlockId, Failure> {
        let id = self.id_of(choice)?;
        let reader = self.parts().keeper.reader();
        if let Some(header) = reader.header(&id)? {
            reader.check_held(header.height)?;
        }
        Ok(id)
    }

    pub(super) fn block(&self, choice: BlockChoice) -> Result<Reply, Failure> {
        let id = self.held_id_of(choice)?;
        let reader = self.parts().keeper.reader();
        let block = reader.block(&id)?;
        let active = reader.ask_id_at(block.header().height)? == Some(id);
        Ok(Reply::Block(reply::Block { block, active }))
    }

    pub(super) fn header(&self, choice: BlockChoice) -> Result<Reply, Failure> {
        let id = self.id_of(choice)?;
        let header = self.parts().keeper.reader().header(&id)?;
        let header = header.ok_or_else(|| not_found(format!("no block with id {id} is known")))?;
        Ok(Reply::Header(Box::new(reply::HeaderOf { id, header })))
    }

    pub(super) fn raw_block(&self, choice: BlockChoice) -> Result<Reply, Failure> {
        let id = self.held_id_of(choice)?;
        let bytes = self.parts().keeper.reader().block_bytes(&id)?;
        let bytes = bytes.ok_or_else(|| not_found(format!("no block with id {id} is known")))?;
        Ok(Reply::RawBlock { id, bytes })
    }

    pub(super) fn forks(&self, depth: u64, limit: usize) -> Result<Reply, Failure> {
        Ok(Reply::Forks(self.parts().keeper.reader().known_tree(depth, limit)?))
    }

    pub(super) fn transaction(&self, id: TransactionId) -> Result<reply::Placed, Failure> {
        if let Some(pooled) = self.parts().keeper.pool().get(&id) {
            let transaction = pooled.transaction().clone();
            return Ok(reply::Placed { id, transaction, mined: None });
        }
        let reader = self.parts().keeper.reader();
        let (height, position) = reader.transaction(&id)?.ok_or_else(|| self.unknown_transaction(&id))?;
        self.placed(&Placed { place: Place { height, position }, id }, &mut None)
    }

    /// The transaction at a place. `last` keeps the block, for the next one is often of the same.
    fn placed(&self, at: &Placed, last: &mut Option<Arc<Isolated>>) -> Result<reply::Placed, Failure> {
        let Placed { place: Place { height, position }, id } = *at;
        let reader = self.parts().keeper.reader();
        let block = match last.take().filter(|block| block.header().height == height) {
            Some(block) => block,
            None => {
                let block = reader.id_at(height)?.ok_or_else(|| self.unknown_transaction(&id))?;
                reader.block(&block)?
            }
        };
        let index = usize::try_from(position).unwrap_or(usize::MAX);
        // Another block may have come to that height meanwhile.
        let same = block.transaction_ids().get(index) == Some(&id);
        let transaction = block.block().transactions.get(index).filter(|_| same).cloned();
        let transaction = transaction.ok_or_else(|| self.unknown_transaction(&id))?;
        let mined = Some((height, block.id(), position));
        *last = Some(block);
        Ok(reply::Placed { id, transaction, mined })
    }

    fn page_of_transactions(&self, page: &Page<Placed>) -> Result<Reply, Failure> {
        let mut last = None;
        let mut transactions = Vec::with_capacity(page.entries.len());
        for at in &page.entries {
            match self.placed(at, &mut last) {
                Ok(placed) => transactions.push(placed),
                // It left the chain while the page was made.
                Err(failure) if failure.kind == FailureKind::NotFound => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(Reply::Transactions { transactions, next: page.next, blocks_from: self.blocks_from() })
    }

    pub(super) fn pool_page(&self, from: Option<u64>, limit: usize) -> Reply {
        let pool = self.parts().keeper.pool();
        let mut rest = pool.transactions_from(from.unwrap_or(0));
        let transactions = rest.by_ref().take(limit).map(|(_, one)| Arc::clone(one)).collect();
        Reply::PoolPage { transactions, next: rest.next().map(|(arrival, _)| arrival) }
    }

    pub(super) fn items_page(
        &self,
        filter: Option<ItemFilter>,
        after: Option<String>,
        limit: usize,
    ) -> Result<Reply, Failure> {
        let reader = self.parts().keeper.reader();
        let (mut items, mut last) = (Vec::new(), after.map(ItemName::new));
        for _ in 0..ITEMS_LOOKED_AT / ITEMS_AT_ONCE {
            let some = reader.items(last.as_ref(), ITEMS_AT_ONCE)?;
            let ended = some.len() < ITEMS_AT_ONCE;
            for (name, item) in some {
                if items.len() >= limit {
                    return Ok(Reply::ItemsPage { items, next: last });
                }
                if fits(filter, item.holder.as_ref()) {
                    items.push(reply::Item { name: name.clone(), holder: item.holder, height: None });
                }
                last = Some(name);
            }
            if ended {
                return Ok(Reply::ItemsPage { items, next: None });
            }
        }
        Ok(Reply::ItemsPage { items, next: last })
    }

    pub(super) fn item(&self, item: String, height: Option<Height>) -> Result<Reply, Failure> {
        let Some(height) = height else { return self.known_item(item).map(Reply::Item) };
        let name = ItemName::new(item);
        let unknown = || not_found(format!("nobody had ever held {:?} at height {height}", name.as_str()));
        let found = self.parts().keeper.reader().item_at(&name, height)?;
        let holder = found.ok_or_else(unknown)?.holder;
        Ok(Reply::Item(reply::Item { name, holder, height: Some(height) }))
    }

    fn known_item(&self, item: String) -> Result<reply::Item, Failure> {
        let name = ItemName::new(item);
        let item = self.parts().keeper.reader().item(&name)?;
        let unknown = || not_found(format!("nobody ever held {:?}{}", name.as_str(), self.meant_item(&name)));
        let holder = item.ok_or_else(unknown)?.holder;
        Ok(reply::Item { name, holder, height: None })
    }

    /// What to add to an error about an item that nobody ever held: the one that may be meant.
    fn meant_item(&self, name: &ItemName) -> String {
        let known = self.parts().keeper.reader().items(None, ITEMS_COMPARED).unwrap_or_default();
        let near = near::nearest(name.as_str(), known.iter().map(|(known, _)| known.as_str()));
        near.map_or_else(String::new, |near| format!(": did you mean {near}?"))
    }

    /// An error about an item, with the one that may be meant where nobody ever held this one.
    pub(super) fn with_meant_item(&self, failure: Failure, item: &str) -> Failure {
        let name = ItemName::new(item);
        if failure.kind != FailureKind::Conflict || !matches!(self.parts().keeper.reader().item(&name), Ok(None)) {
            return failure;
        }
        Failure::new(failure.kind, format!("{}{}", failure.message, self.meant_item(&name)))
    }

    pub(super) fn item_history(&self, item: String, from: Option<Place>, limit: usize) -> Result<Reply, Failure> {
        let name = self.known_item(item)?.name;
        let page = self.parts().keeper.reader().item_history(&name, from, limit)?;
        let blocks_from = self.blocks_from();
        Ok(Reply::ItemHistory { item: name, entries: page.entries, next: page.next, blocks_from })
    }

    pub(super) fn record_of(&self, id: TransactionId) -> Result<Reply, Failure> {
        let placed = self.transaction(id)?;
        match placed.transaction.action {
            Action::Record { .. } => Ok(Reply::Transaction(Box::new(placed))),
            _ => Err(not_found(format!("transaction {id} is no record but a {}", placed.transaction.action.name()))),
        }
    }

    pub(super) fn accounts(&self, after: Option<String>, limit: usize) -> Result<Reply, Failure> {
        let after = after.map(|after| self.parts().wallet.address(&after)).transpose()?;
        let mut some = self.parts().keeper.reader().accounts(after.as_ref(), limit.saturating_add(1))?;
        let more = some.len() > limit;
        some.truncate(limit);
        let next = some.last().filter(|_| more).map(|(address, _)| *address);
        let accounts = some.into_iter().map(|(address, _)| self.balance(address)).collect::<Result<_, _>>()?;
        Ok(Reply::Accounts { accounts, next })
    }

    pub(super) fn account_transactions(&self, who: &str, from: Option<Place>, limit: usize) -> Result<Reply, Failure> {
        let address = self.parts().wallet.address(who)?;
        self.page_of_transactions(&self.parts().keeper.reader().account_transactions(&address, from, limit)?)
    }

    pub(super) fn records(
        &self,
        digest: Option<Hash32>,
        height: Option<Height>,
        from: Option<Place>,
        limit: usize,
    ) -> Result<Reply, Failure> {
        let reader = self.parts().keeper.reader();
        height.map_or(Ok(()), |height| reader.check_height(height))?;
        let last = height.map(|height| Place { height, position: u32::MAX });
        let mut page = match digest {
            Some(digest) => reader.records_by_digest(&digest, from, limit)?,
            // The newest first: those after the height are passed over by beginning there.
            None => reader.records(from.into_iter().chain(last).min(), limit)?,
        };
        // The oldest first: there is nothing more once one is after the height.
        let wanted = |place: &Place| last.is_none_or(|last| *place <= last);
        page.entries.retain(|placed| wanted(&placed.place));
        page.next = page.next.filter(wanted);
        self.page_of_transactions(&page)
    }

    pub(super) fn balance(&self, address: Address) -> Result<reply::Balance, Failure> {
        let keeper = &self.parts().keeper;
        let confirmed = keeper.reader().ask_account(&address)?;
        let pending = keeper.pool().pending_account(&address).unwrap_or(confirmed);
        let name = self.parts().wallet.name_of(&address);
        Ok(reply::Balance { name, address, confirmed, pending, height: None })
    }

    /// What an account had after the block at a height.
    pub(super) fn balance_at(&self, address: Address, height: Height) -> Result<reply::Balance, Failure> {
        let confirmed = self.parts().keeper.reader().account_at(&address, height)?;
        let name = self.parts().wallet.name_of(&address);
        Ok(reply::Balance { name, address, confirmed, pending: confirmed, height: Some(height) })
    }

    /// Answers what is asked most, where all of it is in memory: then no other thread need be waited for.
    pub(super) fn at_hand(&self, command: &Command) -> Result<Option<Reply>, Failure> {
        match command {
            Command::Block { block } => Ok(self.block_at_hand(*block).map(Reply::Block)),
            Command::Header { block } => Ok(self.block_at_hand(*block).map(|found| {
                Reply::Header(Box::new(reply::HeaderOf { id: found.block.id(), header: found.header().clone() }))
            })),
            Command::Balance { who, height: None } => {
                let address = self.parts().wallet.address(who.as_deref().unwrap_or(OWN_NAME))?;
                Ok(self.balance_at_hand(address).map(Reply::Balance))
            }
            _ => Ok(None),
        }
    }

    fn block_at_hand(&self, choice: BlockChoice) -> Option<reply::Block> {
        let reader = self.parts().keeper.reader();
        let id = match choice {
            BlockChoice::Tip => self.parts().keeper.tip().id,
            BlockChoice::Height(height) => reader.id_at_hand(height)?,
            BlockChoice::Id(id) => id,
        };
        let block = reader.block_at_hand(&id)?;
        let active = reader.id_at_hand(block.header().height)? == id;
        Some(reply::Block { block, active })
    }

    fn balance_at_hand(&self, address: Address) -> Option<reply::Balance> {
        let keeper = &self.parts().keeper;
        let confirmed = keeper.reader().account_at_hand(&address)?;
        let pending = keeper.pool_at_hand()?.pending_account(&address).unwrap_or(confirmed);
        let name = self.parts().wallet.name_of(&address);
        Some(reply::Balance { name, address, confirmed, pending, height: None })
    }
}

fn fits(filter: Option<ItemFilter>, holder: Option<&Address>) -> bool {
    match filter {
        None => true,
        Some(ItemFilter::Reserved) => holder.is_some(),
        Some(ItemFilter::Available) => holder.is_none(),
    }
}
