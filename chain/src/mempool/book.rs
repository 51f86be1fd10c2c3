//! The ready transactions in their order, and what each account and item goes through because of them.
//!
//! An account's strand is what the ledger holds of it and every change that a ready transaction makes to it, by place. So
//! taking one transaction out costs its own few changes, and what an account was before any place can be told without
//! applying anything.

use core::cmp::Reverse;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{fee_rate, few::Few, spread::Spread};
use crate::{
    address::Address,
    hash::TransactionId,
    ledger::{Account, Delta, Item},
    rules::isolated::CheckedTransaction,
    transaction::{Action, ItemName, Transaction},
    units::{Amount, Nonce, Timestamp},
};

/// A ready transaction.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) transaction: Arc<CheckedTransaction>,
    /// When it came into the pool.
    pub(super) since: Timestamp,
    /// The least that it and those of its sender before it pay for a byte. It is mined no earlier than what pays this.
    pub(super) floor: u128,
}

/// What a transaction does to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Move {
    /// What it adds to the balance. Any sum of amounts that exist fits in 55 bits.
    pub(super) change: i64,
    /// Whether the account is its sender, whose nonce it uses.
    pub(super) own: bool,
}

/// What an account goes through.
#[derive(Debug, Default)]
pub(super) struct Strand {
    /// As the ledger at the tip has it.
    pub(super) base: Account,
    /// What transactions do to it, by place.
    pub(super) moves: Few<u64, Move>,
    /// The sum of the changes.
    sum: i128,
    /// The places of its own transactions, by nonce: they ascend.
    pub(super) own: Few<Nonce, u64>,
    /// Its place among those that make room.
    key: Option<Key>,
}

/// What an item goes through.
#[derive(Debug, Default)]
pub(super) struct ItemStrand {
    /// As the ledger at the tip has it; `None` where nobody ever named it.
    pub(super) base: Option<Item>,
    /// Who holds it after a transaction, by place.
    pub(super) holders: Few<u64, Option<Address>>,
}

/// The last transaction of a sender among those that make room: what pays least goes first, of equals what came last.
pub(super) type Key = (u128, Reverse<u64>, Address);

/// The ready transactions.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// By place.
    pub(super) ready: BTreeMap<u64, Entry>,
    places: Spread<TransactionId, u64>,
    /// Each in a place of its own: what is searched is short then.
    pub(super) accounts: Spread<Address, Box<Strand>>,
    pub(super) items: BTreeMap<ItemName, ItemStrand>,
    /// The last transaction of every sender.
    pub(super) cheapest: BTreeSet<Key>,
    /// Canonical bytes of all.
    pub(super) bytes: usize,
    /// The place that the next one gets.
    pub(super) next: u64,
}

fn signed(amount: Amount) -> i64 {
    i64::try_from(amount.get()).unwrap_or(i64::MAX)
}

/// What a transaction does to accounts: to its sender's, and, where it pays another, to that one's.
pub(super) fn moves(transaction: &Transaction) -> impl Iterator<Item = (Address, Move)> {
    let sender = transaction.sender;
    let fee = signed(transaction.fee);
    let (spent, paid) = match &transaction.action {
        Action::Transfer { to, amount } if *to != sender => {
            let amount = signed(*amount);
            (fee.saturating_add(amount), Some((*to, Move { change: amount, own: false })))
        }
        Action::Transfer { .. }
        | Action::Record { .. }
        | Action::ItemRequest { .. }
        | Action::ItemRelease { .. }
        | Action::ItemTransfer { .. } => (fee, None),
    };
    [(sender, Move { change: spent.saturating_neg(), own: true })].into_iter().chain(paid)
}

/// The item that a transaction is about, and who holds it afterwards.
pub(super) fn holder(transaction: &Transaction) -> Option<(&ItemName, Option<Address>)> {
    match &transaction.action {
        Action::Transfer { .. } | Action::Record { .. } => None,
        Action::ItemRequest { item } => Some((item, Some(transaction.sender))),
        Action::ItemRelease { item } => Some((item, None)),
        Action::ItemTransfer { item, to } => Some((item, Some(*to))),
    }
}

/// A balance from a sum that is one: money is conserved, so it neither falls below nothing nor outgrows the supply.
pub(super) fn balance(sum: i128) -> Amount {
    Amount::new(u64::try_from(sum.max(0)).unwrap_or(u64::MAX))
}

impl Strand {
    /// The account after all of it.
    fn end(&self) -> Account {
        let sum = i128::from(self.base.balance.get()).saturating_add(self.sum);
        let own = u64::try_from(self.own.len()).unwrap_or(u64::MAX);
        Account { balance: balance(sum), nonce: Nonce::new(self.base.nonce.get().saturating_add(own)) }
    }

    /// Whether its own transactions surely apply on a new ledger, which has `base` of it, without what is `gone`: they follow
    /// its nonce, and each finds at least the money that it found before. `moves` are those of what is gone, by place.
    pub(super) fn stands(&self, base: Account, moves: &[(u64, Move)], gone: &BTreeSet<u64>) -> bool {
        let used = self.own.range(..base.nonce).all(|(_, place)| gone.contains(place));
        let Some((nonce, first)) = self.own.range(base.nonce..).next() else { return used };
        let gained = i128::from(base.balance.get()).saturating_sub(i128::from(self.base.balance.get()));
        // What is gone before a transaction is in the new balance instead: that must make up for it before each.
        let (mut sum, mut most) = (0_i128, None);
        for (place, one) in moves {
            if place > first && most.is_none() {
                most = Some(sum);
            }
            sum = sum.saturating_add(i128::from(one.change));
            most = most.map(|most| most.max(sum));
        }
        used && *nonce == base.nonce && !gone.contains(first) && gained >= most.unwrap_or(sum)
    }

    /// The places of its own transactions after `place`, the last first.
    pub(super) fn own_after(&self, place: u64) -> impl Iterator<Item = u64> {
        self.own.values().rev().copied().take_while(move |own| *own > place)
    }
}

impl ItemStrand {
    /// Whether the transactions that stay surely find on a new ledger, which has `base` of the item, what they found before.
    /// `last` is the last that leaves, and who holds the item after it.
    pub(super) fn stands(
        &self,
        base: Option<Item>,
        last: Option<(u64, Option<Address>)>,
        gone: &BTreeSet<u64>,
    ) -> bool {
        match last {
            Some((place, holder)) => {
                base == Some(Item { holder }) && self.holders.range(..=place).all(|(at, _)| gone.contains(at))
            }
            None => base == self.base,
        }
    }

    fn end(&self) -> Option<Item> {
        self.holders.values().next_back().map_or(self.base, |holder| Some(Item { holder: *holder }))
    }
}

impl Book {
    pub(super) fn place(&self, id: &TransactionId) -> Option<u64> {
        self.places.get(id).copied()
    }

    pub(super) fn get(&self, id: &TransactionId) -> Option<&Entry> {
        self.ready.get(self.places.get(id)?)
    }

    /// Where a sender's transaction with this nonce is.
    pub(super) fn place_of(&self, sender: &Address, nonce: Nonce) -> Option<u64> {
        self.accounts.get(sender)?.own.get(&nonce).copied()
    }

    /// How many of a sender are in it.
    pub(super) fn count(&self, sender: &Address) -> usize {
        self.accounts.get(sender).map_or(0, |strand| strand.own.len())
    }

    /// The account after all of it; `None` where nothing in it has to do with the account.
    pub(super) fn account(&self, address: &Address) -> Option<Account> {
        self.accounts.get(address).map(|strand| strand.end())
    }

    /// The item after all of it; `None` where nothing in it has to do with the item.
    pub(super) fn item(&self, name: &ItemName) -> Option<Option<Item>> {
        self.items.get(name).map(ItemStrand::end)
    }

    /// Every sender's transactions by nonce, each with its place.
    pub(super) fn by_sender(&self) -> impl Iterator<Item = impl Iterator<Item = (u64, &Entry)>> {
        let senders = self.accounts.values().filter(|strand| !strand.own.is_empty());
        senders.map(|strand| strand.own.values().filter_map(|place| Some((*place, self.ready.get(place)?))))
    }

    /// The floor under a sender's transaction with this nonce: of those before it, the least that one pays for a byte.
    pub(super) fn floor_before(&self, sender: &Address, nonce: Nonce) -> u128 {
        let own = self.accounts.get(sender).and_then(|strand| strand.own.range(..nonce).next_back());
        own.and_then(|(_, place)| self.ready.get(place)).map_or(u128::MAX, |entry| entry.floor)
    }

    /// Puts a transaction at the end. `before` has what the ledger holds of whatever it touches that nothing in here does.
    pub(super) fn push(&mut self, transaction: Arc<CheckedTransaction>, since: Timestamp, before: &Delta) {
        let place = self.next;
        self.next = self.next.saturating_add(1);
        self.insert(place, transaction, since, before);
    }

    /// Puts a transaction in the place of another with its sender and nonce, and returns that one.
    pub(super) fn substitute(
        &mut self,
        place: u64,
        transaction: Arc<CheckedTransaction>,
        since: Timestamp,
        before: &Delta,
    ) -> Option<Entry> {
        let (sender, nonce) = (transaction.transaction().sender, transaction.transaction().nonce);
        let old = self.remove(place);
        self.insert(place, transaction, since, before);
        self.refloor(&sender, nonce.next().unwrap_or(nonce));
        old
    }

    fn insert(&mut self, place: u64, transaction: Arc<CheckedTransaction>, since: Timestamp, before: &Delta) {
        let body = transaction.transaction();
        let mut floor = fee_rate(&transaction);
        for (address, one) in moves(body) {
            let base = || before.accounts.get(&address).map(|change| change.before).unwrap_or_default();
            let new = || Box::new(Strand { base: base(), ..Strand::default() });
            let Some(strand) = self.accounts.get_or_insert_with(address, new) else { continue };
            strand.moves.insert(place, one);
            strand.sum = strand.sum.saturating_add(i128::from(one.change));
            if one.own {
                let earlier = strand.own.range(..body.nonce).next_back().and_then(|(_, place)| self.ready.get(place));
                floor = earlier.map_or(floor, |earlier| floor.min(earlier.floor));
                strand.own.insert(body.nonce, place);
            }
        }
        if let Some((name, holder)) = holder(body) {
            let base = || before.items.get(name).and_then(|change| change.before);
            let strand =
                self.items.entry(name.clone()).or_insert_with(|| ItemStrand { base: base(), ..ItemStrand::default() });
            strand.holders.insert(place, holder);
        }
        let sender = body.sender;
        self.places.insert(transaction.id(), place);
        self.bytes = self.bytes.saturating_add(transaction.bytes().len());
        self.ready.insert(place, Entry { transaction, since, floor });
        self.rekey(&sender);
    }

    /// Takes transactions out, and returns them by place.
    pub(super) fn remove_all(&mut self, gone: &BTreeSet<u64>) -> BTreeMap<u64, Entry> {
        let mut senders: BTreeMap<Address, Nonce> = BTreeMap::new();
        let mut entries = BTreeMap::new();
        for place in gone {
            let Some(entry) = self.remove(*place) else { continue };
            let body = entry.transaction.transaction();
            senders.entry(body.sender).or_insert(body.nonce);
            entries.insert(*place, entry);
        }
        for (sender, nonce) in senders {
            self.refloor(&sender, nonce);
        }
        entries
    }

    fn remove(&mut self, place: u64) -> Option<Entry> {
        let entry = self.ready.remove(&place)?;
        let body = entry.transaction.transaction();
        self.places.remove(&entry.transaction.id());
        self.bytes = self.bytes.saturating_sub(entry.transaction.bytes().len());
        for (address, one) in moves(body) {
            let Some(strand) = self.accounts.get_mut(&address) else { continue };
            strand.moves.remove(&place);
            strand.sum = strand.sum.saturating_sub(i128::from(one.change));
            if one.own {
                strand.own.remove(&body.nonce);
            }
            if strand.moves.is_empty() {
                if let Some(key) = strand.key {
                    self.cheapest.remove(&key);
                }
                self.accounts.remove(&address);
            }
        }
        if let Some((name, _)) = holder(body)
            && let Some(strand) = self.items.get_mut(name)
        {
            strand.holders.remove(&place);
            if strand.holders.is_empty() {
                self.items.remove(name);
            }
        }
        Some(entry)
    }

    /// Reckons anew the floors of a sender's transactions from a nonce on, as far as they change.
    fn refloor(&mut self, sender: &Address, from: Nonce) {
        let mut floor = self.floor_before(sender, from);
        let Some(strand) = self.accounts.get(sender) else { return };
        for place in strand.own.range(from..).map(|(_, place)| place) {
            if let Some(entry) = self.ready.get_mut(place) {
                floor = floor.min(fee_rate(&entry.transaction));
                if entry.floor == floor {
                    break;
                }
                entry.floor = floor;
            }
        }
        self.rekey(sender);
    }

    fn rekey(&mut self, sender: &Address) {
        let Some(strand) = self.accounts.get_mut(sender) else { return };
        let last = strand.own.values().next_back().and_then(|place| Some((*place, self.ready.get(place)?)));
        let key = last.map(|(place, entry)| (entry.floor, Reverse(place), *sender));
        if strand.key == key {
            return;
        }
        if let Some(old) = strand.key {
            self.cheapest.remove(&old);
        }
        self.cheapest.extend(key);
        strand.key = key;
    }

    /// Takes over what a new ledger holds of an account.
    pub(super) fn rebase(&mut self, address: &Address, base: Account) {
        if let Some(strand) = self.accounts.get_mut(address) {
            strand.base = base;
        }
    }

    /// Takes over what a new ledger holds of an item.
    pub(super) fn rebase_item(&mut self, name: &ItemName, base: Option<Item>) {
        if let Some(strand) = self.items.get_mut(name) {
            strand.base = base;
        }
    }
}
