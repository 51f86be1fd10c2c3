//! Transactions that leave a gap in their sender's nonces.
//!
//! Nobody has to be able to pay for them, so the room is small and shared: where it is full, whoever takes up most of it gives
//! way to whoever would take up less, see [`WaitingRoom::way_for`].

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

impl Waiter {
    fn len(&self) -> usize {
        self.transaction.bytes().len()
    }
}

/// How much of the room a sender takes up; the larger gives way. Keys cost nothing, so those that the ledger does not know come
/// after all that it knows, however little each of them has here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Share {
    /// Whether the ledger knows nothing of the sender.
    pub(super) stranger: bool,
    /// Canonical bytes of its transactions here.
    pub(super) bytes: usize,
}

/// What is to be had, in transactions and in canonical bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) count: usize,
    pub(super) bytes: usize,
}

/// What waits of one sender.
#[derive(Debug, Default)]
struct Line {
    waiters: BTreeMap<Nonce, Waiter>,
    share: Share,
}

/// Those that wait. How many there may be is the pool's to say.
#[derive(Debug, Default)]
pub(super) struct WaitingRoom {
    senders: BTreeMap<Address, Line>,
    /// The senders by their shares, the largest last.
    shares: BTreeSet<(Share, Address)>,
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
        self.senders.get(sender)?.waiters.get(&nonce)
    }

    /// All of them, by sender and nonce.
    pub(super) fn all(&self) -> impl Iterator<Item = &Waiter> {
        self.senders.values().flat_map(|line| line.waiters.values())
    }

    /// Whether any of a sender waits.
    pub(super) fn knows(&self, sender: &Address) -> bool {
        self.senders.contains_key(sender)
    }

    /// Canonical bytes of all that waits of a sender.
    pub(super) fn bytes_of(&self, sender: &Address) -> usize {
        self.senders.get(sender).map_or(0, |line| line.share.bytes)
    }

    /// Which transactions leave, of whoever takes up most, so that so much room arises: the furthest, while its share is larger
    /// than `share`, which the newcomer would have. `None` where that is not enough; nobody but one gives way for one newcomer.
    ///
    /// Nobody is pushed out by one who then has as much, so no two senders push each other out in turns.
    pub(super) fn way_for(&self, share: Share, lacking: Room) -> Option<Vec<(Address, Nonce)>> {
        let mut leaving = Vec::new();
        let (mut freed, mut lines) = (0_usize, self.shares.iter().rev());
        if lacking.count == 0 && lacking.bytes == 0 {
            return Some(leaving);
        }
        let (mut largest, sender) = *lines.next()?;
        let mut furthest = self.senders.get(&sender)?.waiters.iter().rev();
        while leaving.len() < lacking.count || freed < lacking.bytes {
            let (nonce, waiter) = furthest.next().filter(|_| largest > share)?;
            largest.bytes = largest.bytes.saturating_sub(waiter.len());
            freed = freed.saturating_add(waiter.len());
            leaving.push((sender, *nonce));
        }
        Some(leaving)
    }

    /// Takes one in, of a sender that the ledger knows or not; whatever waited in its place leaves.
    pub(super) fn put(&mut self, waiter: Waiter, stranger: bool) {
        let (sender, nonce) = (waiter.transaction.transaction().sender, waiter.transaction.transaction().nonce);
        drop(self.take(&sender, nonce));
        let line = self.senders.entry(sender).or_default();
        self.shares.remove(&(line.share, sender));
        line.share = Share { stranger, bytes: line.share.bytes.saturating_add(waiter.len()) };
        self.shares.insert((line.share, sender));
        self.bytes = self.bytes.saturating_add(waiter.len());
        self.ids.insert(waiter.transaction.id());
        line.waiters.insert(nonce, waiter);
    }

    /// Takes one out.
    pub(super) fn take(&mut self, sender: &Address, nonce: Nonce) -> Option<Waiter> {
        let line = self.senders.get_mut(sender)?;
        let waiter = line.waiters.remove(&nonce)?;
        self.shares.remove(&(line.share, *sender));
        line.share.bytes = line.share.bytes.saturating_sub(waiter.len());
        if line.waiters.is_empty() {
            self.senders.remove(sender);
        } else {
            self.shares.insert((line.share, *sender));
        }
        self.bytes = self.bytes.saturating_sub(waiter.len());
        self.ids.remove(&waiter.transaction.id());
        Some(waiter)
    }

    /// Takes all of a sender out, by nonce.
    pub(super) fn take_all(&mut self, sender: &Address) -> Vec<Waiter> {
        let line = self.senders.get(sender).into_iter();
        let nonces: Vec<_> = line.flat_map(|line| line.waiters.keys().copied()).collect();
        nonces.into_iter().filter_map(|nonce| self.take(sender, nonce)).collect()
    }
}
