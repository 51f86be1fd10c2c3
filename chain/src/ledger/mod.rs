//! Who has what: accounts and items, what a block changes in them, and how to take it back.
//!
//! The ledger itself is not kept here: whoever asks hands in a [`View`] of it and gets a [`Delta`] back, which is both the
//! new values to store and, read backwards, the undo. Zero accounts do not exist; an item, once named, does for ever,
//! free or held, so that any node can list what is available.

pub mod apply;
pub mod commitment;
mod expand;

use std::collections::{BTreeMap, btree_map::Entry};

use crate::{
    address::Address,
    array_form,
    source::SourceError,
    transaction::ItemName,
    units::{Amount, Nonce},
};

/// What an address has. The default is that of an address nobody ever paid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// What it may spend.
    pub balance: Amount,
    /// The nonce of its next transaction.
    pub nonce: Nonce,
}

array_form!(Account { balance: Amount, nonce: Nonce });

impl Account {
    /// Whether there is nothing to remember of it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// An item that was named at least once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Who holds it; `None` while it is free.
    pub holder: Option<Address>,
}

// An array of one, not the holder alone: a free item and no item at all must not share the encoding `null`.
array_form!(Item { holder: Option<Address> });

/// A value before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<T> {
    /// Before the block.
    pub before: T,
    /// After the block.
    pub after: T,
}

/// What one or several blocks change in the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Changed accounts.
    pub accounts: BTreeMap<Address, Change<Account>>,
    /// Changed items; `None` for an item not named before.
    pub items: BTreeMap<ItemName, Change<Option<Item>>>,
}

impl Delta {
    /// What takes this back.
    pub fn inverted(&self) -> Self {
        fn invert<K: Clone + Ord, T: Copy>(changes: &BTreeMap<K, Change<T>>) -> BTreeMap<K, Change<T>> {
            let inverted = |change: &Change<T>| Change { before: change.after, after: change.before };
            changes.iter().map(|(key, change)| (key.clone(), inverted(change))).collect()
        }
        Self { accounts: invert(&self.accounts), items: invert(&self.items) }
    }

    /// The values to return to, to be stored beside the block.
    pub fn undo(&self) -> Undo {
        Undo {
            accounts: self.accounts.iter().map(|(address, change)| (*address, change.before)).collect(),
            items: self.items.iter().map(|(name, change)| (name.clone(), change.before)).collect(),
        }
    }

    /// Adds what came after this.
    pub fn then(&mut self, later: &Self) {
        if *self == Self::default() {
            *self = later.clone();
            return;
        }
        for (address, change) in &later.accounts {
            self.accounts.entry(*address).and_modify(|known| known.after = change.after).or_insert(*change);
        }
        for (name, change) in &later.items {
            self.items.entry(name.clone()).and_modify(|known| known.after = change.after).or_insert(*change);
        }
    }
}

/// The values that a block replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undo {
    /// Accounts as they were before.
    pub accounts: Vec<(Address, Account)>,
    /// Items as they were before; `None` for one not named before.
    pub items: Vec<(ItemName, Option<Item>)>,
}

array_form!(Undo { accounts: Vec<(Address, Account)>, items: Vec<(ItemName, Option<Item>)> });

/// A ledger to read from.
pub trait View {
    /// The account of `address`; the empty one where there is none.
    ///
    /// # Errors
    /// Where the answer could not be read.
    fn account(&self, address: &Address) -> Result<Account, SourceError>;

    /// The item, `None` where nobody ever named it.
    ///
    /// # Errors
    /// Where the answer could not be read.
    fn item(&self, name: &ItemName) -> Result<Option<Item>, SourceError>;
}

impl<V: View + ?Sized> View for &V {
    fn account(&self, address: &Address) -> Result<Account, SourceError> {
        (**self).account(address)
    }

    fn item(&self, name: &ItemName) -> Result<Option<Item>, SourceError> {
        (**self).item(name)
    }
}

/// A view with changes on top of it.
#[derive(Debug)]
pub struct Overlay<V> {
    base: V,
    delta: Delta,
}

impl<V: View> Overlay<V> {
    /// No changes yet.
    pub fn new(base: V) -> Self {
        Self { base, delta: Delta::default() }
    }

    /// With changes made before.
    pub fn with(base: V, delta: Delta) -> Self {
        Self { base, delta }
    }

    /// The changes so far.
    pub fn delta(&self) -> &Delta {
        &self.delta
    }

    /// The changes, without the view.
    pub fn into_delta(self) -> Delta {
        self.delta
    }

    /// Changes an account.
    ///
    /// # Errors
    /// Where its value before could not be read.
    pub fn set_account(&mut self, address: Address, after: Account) -> Result<(), SourceError> {
        match self.delta.accounts.entry(address) {
            Entry::Occupied(mut known) => known.get_mut().after = after,
            Entry::Vacant(new) => {
                let before = self.base.account(&address)?;
                new.insert(Change { before, after });
            }
        }
        Ok(())
    }

    /// Changes an account that was just read here, as `before`: the base is not asked a second time.
    pub fn change_account(&mut self, address: Address, before: Account, after: Account) {
        self.delta.accounts.entry(address).and_modify(|known| known.after = after).or_insert(Change { before, after });
    }

    /// Changes an item.
    ///
    /// # Errors
    /// Where its value before could not be read.
    pub fn set_item(&mut self, name: ItemName, after: Option<Item>) -> Result<(), SourceError> {
        let before = match self.delta.items.get(&name) {
            Some(change) => change.before,
            None => self.base.item(&name)?,
        };
        self.delta.items.insert(name, Change { before, after });
        Ok(())
    }

    /// Adds the changes of a block that was applied on top.
    pub fn absorb(&mut self, delta: &Delta) {
        self.delta.then(delta);
    }

    /// Takes a block back.
    ///
    /// # Errors
    /// Where a value before could not be read.
    pub fn take_back(&mut self, undo: &Undo) -> Result<Delta, SourceError> {
        let mut taken = Overlay::new(&*self);
        for (address, before) in &undo.accounts {
            taken.set_account(*address, *before)?;
        }
        for (name, before) in &undo.items {
            taken.set_item(name.clone(), *before)?;
        }
        let delta = taken.into_delta();
        self.absorb(&delta);
        Ok(delta)
    }
}

impl<V: View> View for Overlay<V> {
    fn account(&self, address: &Address) -> Result<Account, SourceError> {
        match self.delta.accounts.get(address) {
            Some(change) => Ok(change.after),
            None => self.base.account(address),
        }
    }

    fn item(&self, name: &ItemName) -> Result<Option<Item>, SourceError> {
        match self.delta.items.get(name) {
            Some(change) => Ok(change.after),
            None => self.base.item(name),
        }
    }
}

/// A ledger held whole in memory, for tests and small tools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryLedger {
    accounts: BTreeMap<Address, Account>,
    items: BTreeMap<ItemName, Item>,
}

impl MemoryLedger {
    /// Makes changes final.
    pub fn apply(&mut self, delta: &Delta) {
        for (address, change) in &delta.accounts {
            if change.after.is_empty() {
                self.accounts.remove(address);
            } else {
                self.accounts.insert(*address, change.after);
            }
        }
        for (name, change) in &delta.items {
            match change.after {
                Some(item) => self.items.insert(name.clone(), item),
                None => self.items.remove(name),
            };
        }
    }

    /// Every account that is not empty, by address.
    pub fn accounts(&self) -> impl Iterator<Item = (&Address, &Account)> {
        self.accounts.iter()
    }

    /// Every item ever named, by name.
    pub fn items(&self) -> impl Iterator<Item = (&ItemName, &Item)> {
        self.items.iter()
    }
}

impl View for MemoryLedger {
    fn account(&self, address: &Address) -> Result<Account, SourceError> {
        Ok(self.accounts.get(address).copied().unwrap_or_default())
    }

    fn item(&self, name: &ItemName) -> Result<Option<Item>, SourceError> {
        Ok(self.items.get(name).copied())
    }
}
