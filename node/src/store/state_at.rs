//! The whole state after a block of the active chain, as a snapshot has it.

use std::collections::BTreeMap;

use bard_chain::{
    address::Address,
    block::Header,
    ledger::{Account, Item},
    snapshot::{MAX_ENTRIES, Part},
    source::{Source, SourceError},
    transaction::ItemName,
    units::Height,
};

use super::reader::StoreReader;

impl StoreReader {
    /// Goes through the parts of a snapshot of the state after the block at `height`: all headers up to it, its accounts and items,
    /// and the end. For whoever sees to it that the chain does not change meanwhile. It takes memory for what the blocks above have
    /// changed, and for one part.
    ///
    /// # Errors
    /// Where the chain does not reach so far or began above, where index or log could not be read, or what `visit` returns.
    pub fn visit_state<E: From<SourceError>>(
        &self,
        height: Height,
        visit: &mut dyn FnMut(Part) -> Result<(), E>,
    ) -> Result<(), E> {
        let then = Then::at(self, height)?;
        let mut done = 0;
        while done < height.get() {
            let last = done.saturating_add(MAX_ENTRIES as u64).min(height.get());
            let some = (done.saturating_add(1)..=last).map(|height| self.header_at(height));
            visit(Part::Headers(some.collect::<Result<_, SourceError>>()?))?;
            done = last;
        }
        let (mut accounts, mut last) = (0_u64, None);
        loop {
            let some = self.accounts(last.as_ref(), MAX_ENTRIES)?;
            let Some((address, _)) = some.last() else { break };
            last = Some(*address);
            let some = then.accounts(some);
            accounts = accounts.saturating_add(some.len() as u64);
            visit(Part::Accounts(some))?;
        }
        let (mut items, mut last) = (0_u64, None);
        loop {
            let some = self.items(last.as_ref(), MAX_ENTRIES)?;
            let Some((name, _)) = some.last() else { break };
            last = Some(name.clone());
            let some = then.items(some);
            items = items.saturating_add(some.len() as u64);
            visit(Part::Items(some))?;
        }
        visit(Part::End(accounts, items))
    }

    fn header_at(&self, height: u64) -> Result<Header, SourceError> {
        let id = self.id_at(Height::new(height))?;
        let header = id.map(|id| self.header(&id)).transpose()?.flatten();
        header.ok_or_else(|| missing(height))
    }
}

fn missing(height: u64) -> SourceError {
    SourceError(format!("block {height} is missing in the data directory"))
}

/// What was different at a height from what is at the tip.
struct Then {
    accounts: BTreeMap<Address, Account>,
    items: BTreeMap<ItemName, Option<Item>>,
}

impl Then {
    /// Takes the blocks above a height back, the tip first.
    fn at(reader: &StoreReader, height: Height) -> Result<Self, SourceError> {
        reader.check_height(height).map_err(|error| SourceError(error.to_string()))?;
        let mut then = Self { accounts: BTreeMap::new(), items: BTreeMap::new() };
        for above in (height.get().saturating_add(1)..=reader.tip_height().get()).rev() {
            let id = reader.id_at(Height::new(above))?.ok_or_else(|| missing(above))?;
            let undo = reader.undo(&id)?;
            then.accounts.extend(undo.accounts);
            then.items.extend(undo.items);
        }
        Ok(then)
    }

    /// Accounts as they were; one that is empty was none. No account that was there is gone since: it keeps its nonce.
    fn accounts(&self, now: Vec<(Address, Account)>) -> Vec<(Address, Account)> {
        let then = now.into_iter().map(|(address, now)| (address, self.accounts.get(&address).copied().unwrap_or(now)));
        then.filter(|(_, account)| !account.is_empty()).collect()
    }

    /// Items as they were; one that nobody had named was none. What is named stays known.
    fn items(&self, now: Vec<(ItemName, Item)>) -> Vec<(ItemName, Item)> {
        let then = now.into_iter().filter_map(|(name, now)| {
            let then = self.items.get(&name).copied().unwrap_or(Some(now))?;
            Some((name, then))
        });
        then.collect()
    }
}
