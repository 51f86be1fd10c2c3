//! What would follow from ready transactions leaving or changing: others that need them no longer apply.
//!
//! A ripple decides and changes nothing. It looks only at what can be concerned: the later transactions of accounts and about
//! items that something happened to, in their order; each that no longer applies leaves too and makes its own ripple.

use core::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::book::{Book, Key, Move, balance, holder, moves};
use crate::{
    address::Address,
    invalid::TransactionFault,
    ledger::{
        Account, Item, Overlay, View,
        apply::{ApplyError, apply_transaction},
    },
    rules::isolated::CheckedTransaction,
    source::SourceError,
    transaction::ItemName,
    units::Nonce,
};

/// Why a ripple is not followed to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// More transactions may be concerned than may be looked at.
    TooMany,
    /// The ledger could not be read.
    Source(SourceError),
}

impl Stop {
    /// What is left to fear of a ripple that may look at everything.
    pub(super) fn source(self) -> Result<(), SourceError> {
        match self {
            Self::TooMany => Ok(()),
            Self::Source(error) => Err(error),
        }
    }
}

impl From<SourceError> for Stop {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

/// How far an account has been followed: what it was before a place.
#[derive(Clone, Copy)]
struct Cursor {
    place: u64,
    balance: i128,
    nonce: u64,
}

impl Cursor {
    fn pass(&mut self, one: Move) {
        self.balance = self.balance.saturating_add(i128::from(one.change));
        self.nonce = self.nonce.saturating_add(u64::from(one.own));
    }

    fn take_back(&mut self, one: Move) {
        self.balance = self.balance.saturating_sub(i128::from(one.change));
        self.nonce = self.nonce.saturating_sub(u64::from(one.own));
    }

    fn account(self) -> Account {
        Account { balance: balance(self.balance), nonce: Nonce::new(self.nonce) }
    }
}

/// A ripple on its way.
pub(super) struct Ripple<'a, V> {
    book: &'a Book,
    ledger: &'a V,
    /// What a new ledger holds, where that differs from what the book knows.
    pub(super) accounts: BTreeMap<Address, Account>,
    pub(super) items: BTreeMap<ItemName, Option<Item>>,
    /// A transaction that takes the place of the one there.
    substitute: Option<(u64, &'a CheckedTransaction)>,
    /// Places of those that leave.
    pub(super) gone: BTreeSet<u64>,
    /// Those of them that only lack one before them.
    pub(super) gaps: Vec<u64>,
    /// Canonical bytes of those that leave.
    pub(super) freed: usize,
    /// Those that leave since one more was asked to.
    wave: Vec<u64>,
    /// Places to be looked at.
    queue: BTreeSet<u64>,
    cursors: BTreeMap<Address, Cursor>,
    /// How many more may be looked at.
    budget: usize,
}

impl<'a, V: View> Ripple<'a, V> {
    /// Nothing has happened yet. At most `budget` transactions are looked at before it is given more.
    pub(super) fn new(book: &'a Book, ledger: &'a V, budget: usize) -> Self {
        Self {
            book,
            ledger,
            accounts: BTreeMap::new(),
            items: BTreeMap::new(),
            substitute: None,
            gone: BTreeSet::new(),
            gaps: Vec::new(),
            freed: 0,
            wave: Vec::new(),
            queue: BTreeSet::new(),
            cursors: BTreeMap::new(),
            budget,
        }
    }

    /// What would follow from another transaction in a place. The outer error is why it is not known, the inner one why it
    /// cannot be there.
    pub(super) fn replace(
        &mut self,
        place: u64,
        transaction: &'a CheckedTransaction,
    ) -> Result<Result<(), TransactionFault>, Stop> {
        let Some(old) = self.book.ready.get(&place) else { return Ok(Ok(())) };
        self.substitute = Some((place, transaction));
        if let Err(fault) = self.applies(transaction, place)? {
            return Ok(Err(fault));
        }
        self.concern(&old.transaction, place)?;
        self.concern(transaction, place)?;
        self.run().map(Ok)
    }

    /// What would follow from one more leaving. Where that cannot be told, it stays.
    pub(super) fn without(&mut self, place: u64, budget: usize) -> Result<(), Stop> {
        let (gaps, freed) = (self.gaps.len(), self.freed);
        self.wave.clear();
        self.budget = budget;
        self.cursors.clear();
        let result = self.leave(place).and_then(|()| self.run());
        if result.is_err() {
            for place in self.wave.drain(..) {
                self.gone.remove(&place);
            }
            self.gaps.truncate(gaps);
            self.freed = freed;
            self.queue.clear();
        }
        result
    }

    /// How many more may be looked at.
    pub(super) const fn left(&self) -> usize {
        self.budget
    }

    /// A place at which something must be looked at again.
    pub(super) fn look_at(&mut self, place: u64) -> Result<(), Stop> {
        if self.queue.insert(place) {
            self.budget = self.budget.checked_sub(1).ok_or(Stop::TooMany)?;
        }
        Ok(())
    }

    /// Notes that one leaves.
    pub(super) fn leave(&mut self, place: u64) -> Result<(), Stop> {
        let Some(entry) = self.book.ready.get(&place) else { return Ok(()) };
        if !self.gone.insert(place) {
            return Ok(());
        }
        self.wave.push(place);
        self.freed = self.freed.saturating_add(entry.transaction.bytes().len());
        self.concern(&entry.transaction, place)?;
        match self.substitute {
            Some((own, transaction)) if own == place => self.concern(transaction, place),
            _ => Ok(()),
        }
    }

    /// Whoever comes after `place` and has to do with what a transaction there touches must be looked at again.
    fn concern(&mut self, transaction: &CheckedTransaction, place: u64) -> Result<(), Stop> {
        let book = self.book;
        for (address, _) in moves(transaction.transaction()) {
            for own in book.accounts.get(&address).into_iter().flat_map(|strand| strand.own_after(place)) {
                self.look_at(own)?;
            }
        }
        let item = holder(transaction.transaction()).and_then(|(name, _)| book.items.get(name));
        for later in item.into_iter().flat_map(|strand| strand.holders.range(place.saturating_add(1)..)) {
            self.look_at(*later.0)?;
        }
        Ok(())
    }

    /// Follows the ripple to its end.
    pub(super) fn run(&mut self) -> Result<(), Stop> {
        while let Some(place) = self.queue.pop_first() {
            let Some(entry) = self.book.ready.get(&place).filter(|_| !self.gone.contains(&place)) else { continue };
            let transaction = match self.substitute {
                Some((own, transaction)) if own == place => transaction,
                _ => &entry.transaction,
            };
            if let Err(fault) = self.applies(transaction, place)? {
                if matches!(fault, TransactionFault::NonceGap { .. }) {
                    self.gaps.push(place);
                }
                self.leave(place)?;
            }
        }
        Ok(())
    }

    fn applies(
        &mut self,
        transaction: &CheckedTransaction,
        place: u64,
    ) -> Result<Result<(), TransactionFault>, SourceError> {
        let body = transaction.transaction();
        let sender = (body.sender, self.account_before(&body.sender, place)?);
        let item = match body.action.item() {
            Some(name) => self.item_before(name, place)?,
            None => None,
        };
        match apply_transaction(&mut Overlay::new(Seen { sender, item }), body) {
            Ok(()) => Ok(Ok(())),
            Err(ApplyError::Fault(fault)) => Ok(Err(fault)),
            Err(ApplyError::Source(error)) => Err(error),
        }
    }

    fn account_before(&mut self, address: &Address, place: u64) -> Result<Account, SourceError> {
        let strand = self.book.accounts.get(address);
        let mut cursor = match self.cursors.get(address).filter(|cursor| cursor.place <= place) {
            Some(cursor) => *cursor,
            None => {
                let base = match (self.accounts.get(address), strand) {
                    (Some(account), _) => *account,
                    (None, Some(strand)) => strand.base,
                    (None, None) => self.ledger.account(address)?,
                };
                Cursor { place: 0, balance: i128::from(base.balance.get()), nonce: base.nonce.get() }
            }
        };
        let replaced = self.substitute.map(|(own, _)| own);
        let unseen = cursor.place..place;
        for (at, one) in strand.into_iter().flat_map(|strand| strand.moves.range(unseen.clone())) {
            if Some(*at) != replaced && !self.gone.contains(at) {
                cursor.pass(*one);
            }
        }
        if let Some((own, transaction)) = self.substitute
            && unseen.contains(&own)
            && !self.gone.contains(&own)
        {
            moves(transaction.transaction())
                .filter(|(whose, _)| whose == address)
                .for_each(|(_, one)| cursor.pass(one));
        }
        cursor.place = place;
        self.cursors.insert(*address, cursor);
        Ok(cursor.account())
    }

    fn item_before(&self, name: &ItemName, place: u64) -> Result<Option<Item>, SourceError> {
        let strand = self.book.items.get(name);
        let replaced = self.substitute.map(|(own, _)| own);
        let stays = |at: &u64| Some(*at) != replaced && !self.gone.contains(at);
        let known = strand.and_then(|strand| strand.holders.range(..place).rev().find(|(at, _)| stays(at)));
        let new = self.substitute.filter(|(own, _)| *own < place && !self.gone.contains(own)).and_then(
            |(own, transaction)| {
                let (about, holder) = holder(transaction.transaction())?;
                (about == name).then_some((own, holder))
            },
        );
        let last = known.map(|(at, holder)| (*at, *holder)).max(new);
        match (last, self.items.get(name), strand) {
            (Some((_, holder)), ..) => Ok(Some(Item { holder })),
            (None, Some(base), _) => Ok(*base),
            (None, None, Some(strand)) => Ok(strand.base),
            (None, None, None) => self.ledger.item(name),
        }
    }

    /// The last transaction of a sender that stays, as one that may make room.
    pub(super) fn last_of(&self, sender: &Address) -> Option<Key> {
        let mut own = self.book.accounts.get(sender)?.own.values().rev();
        let place = own.find(|place| !self.gone.contains(place))?;
        Some((self.book.ready.get(place)?.floor, Reverse(*place), *sender))
    }
}

/// What a transaction looks at, seen before. Whom it pays is of no account: where money is conserved, nobody can be given too
/// much.
struct Seen {
    sender: (Address, Account),
    item: Option<Item>,
}

impl View for Seen {
    fn account(&self, address: &Address) -> Result<Account, SourceError> {
        let (sender, account) = &self.sender;
        Ok(if address == sender { *account } else { Account::default() })
    }

    fn item(&self, _: &ItemName) -> Result<Option<Item>, SourceError> {
        Ok(self.item)
    }
}

/// The ledger after all of a book, but for those that leave.
pub(super) struct End<'a, V> {
    pub(super) book: &'a Book,
    pub(super) ledger: &'a V,
    pub(super) gone: &'a BTreeSet<u64>,
}

impl<V: View> View for End<'_, V> {
    fn account(&self, address: &Address) -> Result<Account, SourceError> {
        let Some(account) = self.book.account(address) else { return self.ledger.account(address) };
        let mut end = Cursor { place: 0, balance: i128::from(account.balance.get()), nonce: account.nonce.get() };
        for entry in self.gone.iter().filter_map(|place| self.book.ready.get(place)) {
            let whose = moves(entry.transaction.transaction()).filter(|(whose, _)| whose == address);
            whose.for_each(|(_, one)| end.take_back(one));
        }
        Ok(end.account())
    }

    fn item(&self, name: &ItemName) -> Result<Option<Item>, SourceError> {
        let Some(end) = self.book.item(name) else { return self.ledger.item(name) };
        if self.gone.is_empty() {
            return Ok(end);
        }
        let strand = self.book.items.get(name);
        let last = strand.and_then(|strand| strand.holders.iter().rev().find(|(at, _)| !self.gone.contains(at)));
        Ok(last.map_or(strand.and_then(|strand| strand.base), |(_, holder)| Some(Item { holder: *holder })))
    }
}
