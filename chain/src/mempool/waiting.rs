//! Transactions that leave a gap in their sender's nonces.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    address::Address,
    hash::TransactionId,
    rules::isolated::CheckedTransaction,
    units::{Nonce, Timestamp},
};

/// One that waits.
#[derive(Clone, Debug)]
pub(super) struct Waiter {
    pub(super) transaction: Arc<CheckedTransaction>,
    /// When it came into the pool.
    pub(super) since: Timestamp,
    /// When it began to wait.
    pub(super) waits: Timestamp,
}

/// Those that wait. How many there may be is the pool's to say.
#[derive(Debug, Default)]
pub(super) struct WaitingRoom {
    senders: BTreeMap<Address, BTreeMap<Nonce, Waiter>>,
    ids: BTreeSet<TransactionId>,
    bytes: usize,
}

impl WaitingRoom {
    pub(super) fn contains(&self, id: &TransactionId) -> bool {
        self.ids.contains(id)
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Canonical bytes of all of them.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn get(&self, sender: &Address, nonce: Nonce) -> Option<&Waiter> {
        self.senders.get(sender)?.get(&nonce)
    }

    /// All of them, by sender and nonce.
    pub(super) fn all(&self) -> impl Iterator<Item = &Waiter> {
        self.senders.values().flat_map(BTreeMap::values)
    }

    /// Whether any of a sender waits.
    pub(super) fn knows(&self, sender: &Address) -> bool {
        self.senders.contains_key(sender)
    }

    /// Takes one in; whatever waited in its place leaves.
    pub(super) fn put(&mut self, waiter: Waiter) {
        let (sender, nonce) = (waiter.transaction.transaction().sender, waiter.transaction.transaction().nonce);
        drop(self.take(&sender, nonce));
        self.bytes = self.bytes.saturating_add(waiter.transaction.bytes().len());
        self.ids.insert(waiter.transaction.id());
        self.senders.entry(sender).or_default().insert(nonce, waiter);
    }

    /// Takes one out.
    pub(super) fn take(&mut self, sender: &Address, nonce: Nonce) -> Option<Waiter> {
        let nonces = self.senders.get_mut(sender)?;
        let waiter = nonces.remove(&nonce)?;
        if nonces.is_empty() {
            self.senders.remove(sender);
        }
        self.bytes = self.bytes.saturating_sub(waiter.transaction.bytes().len());
        self.ids.remove(&waiter.transaction.id());
        Some(waiter)
    }

    /// Takes all of a sender out, by nonce.
    pub(super) fn take_all(&mut self, sender: &Address) -> Vec<Waiter> {
        let nonces: Vec<_> = self.senders.get(sender).into_iter().flat_map(|waiters| waiters.keys().copied()).collect();
        nonces.into_iter().filter_map(|nonce| self.take(sender, nonce)).collect()
    }
}
