//! The way to a new tip.
//!
//! What must be done is found out first, while others read the pool, and done then, which takes as long as what changes is
//! large. Only transactions of accounts and about items that the blocks touched are looked at again, and of these not those
//! which find what they found before, as after a block with what came first in the pool. It comes to the same as replaying the
//! whole pool on the new ledger. That is what is done after a reorganisation, for what was undone comes first and moves
//! everything; and after blocks that confirmed most of the pool, for then it is less work.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    Mempool, PoolRefusal, add,
    book::{Move, holder, moves},
    ripple::{Ripple, Stop},
    waiting::Waiter,
};
use crate::{
    address::Address,
    hash::TransactionId,
    invalid::TransactionFault,
    ledger::{Account, Delta, Item, View},
    rules::isolated::CheckedTransaction,
    source::SourceError,
    transaction::ItemName,
    units::{Nonce, Timestamp},
};

/// What blocks did, as far as a pool has to follow it.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// Transactions that they confirmed.
    pub confirmed: BTreeSet<TransactionId>,
    /// Transactions of blocks that left the chain, the oldest first.
    pub undone: Vec<CheckedTransaction>,
    /// Every account that changed.
    pub accounts: BTreeSet<Address>,
    /// Every item that changed.
    pub items: BTreeSet<ItemName>,
}

impl Step {
    /// Adds what changed in the ledger.
    pub fn touch(&mut self, state: &Delta) {
        extend(&mut self.accounts, state.accounts.keys().copied());
        extend(&mut self.items, state.items.keys().cloned());
    }

    /// Adds transactions of a block that joined the chain.
    pub fn confirm(&mut self, ids: &[TransactionId]) {
        extend(&mut self.confirmed, ids.iter().copied());
    }
}

/// Adds to a set. An empty one is made of all at once, which costs a fraction.
fn extend<T: Ord>(set: &mut BTreeSet<T>, more: impl Iterator<Item = T>) {
    if set.is_empty() {
        *set = more.collect();
    } else {
        set.extend(more);
    }
}

/// What a pool has to do. It is for the pool that made it, as that was then.
#[derive(Debug)]
pub struct Plan(Course);

#[derive(Debug)]
enum Course {
    Change(Box<Change>),
    Whole(Box<Mempool>, Ready),
}

/// Transactions that can be mined now and could not before.
type Ready = Vec<Arc<CheckedTransaction>>;

/// What came of a plan.
#[derive(Debug, Default)]
pub struct Followed {
    /// Transactions that waited for an earlier nonce and can be mined now.
    pub ready: Vec<Arc<CheckedTransaction>>,
    /// What the pool was before, where it was made anew: to drop it takes a while, in which nobody need wait.
    pub before: Option<Box<Mempool>>,
}

/// What leaves, and what the new ledger holds.
#[derive(Debug, Default)]
pub(super) struct Change {
    gone: BTreeSet<u64>,
    /// Those of them that lack one before them and may wait for it.
    gaps: Vec<u64>,
    confirmed: BTreeSet<TransactionId>,
    accounts: BTreeMap<Address, Account>,
    items: BTreeMap<ItemName, Option<Item>>,
    /// Senders whose waiting transactions may be ready, or never.
    senders: BTreeSet<Address>,
    /// How many of those that are gone are too old.
    expired: usize,
    /// Those that waited too long.
    waited: Vec<(Address, Nonce)>,
}

impl Change {
    /// Those that are too old, `expired` of `gone` and all that `waited`, with what needs them.
    pub(super) fn of_age(gone: BTreeSet<u64>, expired: usize, waited: Vec<(Address, Nonce)>) -> Self {
        Self { gone, expired, waited, ..Self::default() }
    }
}

impl Plan {
    pub(super) fn change(change: Change) -> Self {
        Self(Course::Change(Box::new(change)))
    }
}

/// What confirmed transactions of a pool do: to accounts, by place, and to items, the place of the last and who holds the item
/// after it.
struct Confirmed {
    accounts: BTreeMap<Address, Vec<(u64, Move)>>,
    items: BTreeMap<ItemName, (u64, Option<Address>)>,
}

impl Mempool {
    fn confirmed(&self, places: &BTreeSet<u64>) -> Confirmed {
        let mut confirmed = Confirmed { accounts: BTreeMap::new(), items: BTreeMap::new() };
        for (place, entry) in places.iter().filter_map(|place| Some((*place, self.book.ready.get(place)?))) {
            for (address, one) in moves(entry.transaction.transaction()) {
                confirmed.accounts.entry(address).or_default().push((place, one));
            }
            if let Some((name, holder)) = holder(entry.transaction.transaction()) {
                confirmed.items.insert(name.clone(), (place, holder));
            }
        }
        confirmed
    }

    /// Follows the chain to a new tip, with the ledger there: forgets what is confirmed, takes back what was undone, and drops
    /// what no longer applies.
    ///
    /// # Errors
    /// Where the ledger could not be read; the pool is then empty, since it no longer knows what can be mined.
    pub fn follow<V: View>(&mut self, step: Step, now: Timestamp, ledger: &V) -> Result<(), SourceError> {
        let result = self.plan(step, now, ledger).and_then(|plan| self.take(plan, now, ledger).map(drop));
        if result.is_err() {
            self.clear();
        }
        result
    }

    /// What the pool has to do to follow the chain. It can be read meanwhile.
    ///
    /// # Errors
    /// Where the ledger could not be read.
    pub fn plan<V: View>(&self, step: Step, now: Timestamp, ledger: &V) -> Result<Plan, SourceError> {
        if !step.undone.is_empty() {
            return self.replay(step, now, ledger).map(|(pool, ready)| Plan(Course::Whole(Box::new(pool), ready)));
        }
        let confirmed: BTreeSet<_> = step.confirmed.iter().filter_map(|id| self.book.place(id)).collect();
        // To let one in again costs about what it costs to take one out.
        if self.book.ready.len().saturating_sub(confirmed.len()) < confirmed.len() {
            return self.replay(step, now, ledger).map(|(pool, ready)| Plan(Course::Whole(Box::new(pool), ready)));
        }
        let mut ripple = Ripple::new(&self.book, ledger, usize::MAX);
        let Confirmed { accounts, items } = self.confirmed(&confirmed);
        let touched: BTreeSet<_> = step.accounts.iter().chain(accounts.keys()).collect();
        for address in touched {
            let Some(strand) = self.book.accounts.get(address) else { continue };
            let base = ledger.account(address)?;
            ripple.accounts.insert(*address, base);
            let moves = accounts.get(address).map(Vec::as_slice).unwrap_or_default();
            if !strand.stands(base, moves, &confirmed) {
                for place in strand.own.values() {
                    ripple.look_at(*place).or_else(Stop::source)?;
                }
            }
        }
        let touched: BTreeSet<_> = step.items.iter().chain(items.keys()).collect();
        for name in touched {
            let Some(strand) = self.book.items.get(name) else { continue };
            let base = ledger.item(name)?;
            ripple.items.insert(name.clone(), base);
            if !strand.stands(base, items.get(name).copied(), &confirmed) {
                for place in strand.holders.keys() {
                    ripple.look_at(*place).or_else(Stop::source)?;
                }
            }
        }
        ripple.gone = confirmed;
        ripple.run().or_else(Stop::source)?;
        let Ripple { accounts, items, gone, gaps, .. } = ripple;
        let left = gone.iter().filter_map(|place| self.book.ready.get(place));
        let mut senders: BTreeSet<_> = left.map(|entry| entry.transaction.transaction().sender).collect();
        senders.extend(step.accounts);
        let change = Change { gone, gaps, confirmed: step.confirmed, accounts, items, senders, ..Change::default() };
        Ok(Plan::change(change))
    }

    /// Does what a plan says. `now` is when, `ledger` that which the plan was made with.
    ///
    /// # Errors
    /// Where the ledger could not be read; [`Mempool::clear`] the pool then, for it may hold what cannot be mined.
    pub fn take<V: View>(&mut self, plan: Plan, now: Timestamp, ledger: &V) -> Result<Followed, SourceError> {
        let change = match plan.0 {
            Course::Change(change) => *change,
            Course::Whole(mut pool, ready) => {
                core::mem::swap(self, &mut pool);
                return Ok(Followed { ready, before: Some(pool) });
            }
        };
        let mut left = self.book.remove_all(&change.gone);
        let gaps: Vec<_> = change.gaps.iter().filter_map(|place| left.remove(place)).collect();
        let confirmed = left.values().filter(|entry| change.confirmed.contains(&entry.transaction.id())).count();
        add(&mut self.departures.mined, confirmed);
        add(&mut self.departures.expired, change.expired);
        add(&mut self.departures.impossible, left.len().saturating_sub(confirmed).saturating_sub(change.expired));
        change.accounts.iter().for_each(|(address, base)| self.book.rebase(address, *base));
        change.items.iter().for_each(|(name, base)| self.book.rebase_item(name, *base));
        for (sender, nonce) in &change.waited {
            add(&mut self.departures.expired, usize::from(self.waiting.take(sender, *nonce).is_some()));
        }
        let mut ready = Vec::new();
        for sender in &change.senders {
            for waiter in self.waiting.take_all(sender) {
                self.come_back(waiter, &change.confirmed, ledger, &mut ready)?;
            }
        }
        let were_ready: BTreeSet<_> = gaps.iter().map(|entry| entry.transaction.id()).collect();
        for entry in gaps {
            let waiter = Waiter { transaction: entry.transaction, since: entry.since, waits: now };
            self.come_back(waiter, &change.confirmed, ledger, &mut ready)?;
        }
        ready.retain(|one| !were_ready.contains(&one.id()));
        Ok(Followed { ready, before: None })
    }

    /// Lets one in again that was in the pool before.
    fn come_back<V: View>(
        &mut self,
        waiter: Waiter,
        confirmed: &BTreeSet<TransactionId>,
        ledger: &V,
        ready: &mut Ready,
    ) -> Result<(), SourceError> {
        if confirmed.contains(&waiter.transaction.id()) {
            add(&mut self.departures.mined, 1);
            return Ok(());
        }
        match self.let_in(waiter, ledger, ready) {
            Ok(_) => {}
            Err(PoolRefusal::Source(error)) => return Err(error),
            Err(_) => add(&mut self.departures.impossible, 1),
        }
        Ok(())
    }

    /// The pool after a step, made anew: what was undone, then what is in this one, each on top of what came before it.
    ///
    /// # Errors
    /// Where the ledger could not be read.
    pub fn replayed<V: View>(&self, step: Step, now: Timestamp, ledger: &V) -> Result<Self, SourceError> {
        self.replay(step, now, ledger).map(|(pool, _)| pool)
    }

    /// [`Self::replayed`], and what waited and no longer does.
    fn replay<V: View>(&self, step: Step, now: Timestamp, ledger: &V) -> Result<(Self, Ready), SourceError> {
        let mut pool = Self { departures: self.departures, ..Self::new(self.limits) };
        pool.book.next = self.book.next;
        // Places stay where nothing comes before them.
        let stay = step.undone.is_empty();
        let undone = step.undone.into_iter().map(|one| (None, Arc::new(one), now));
        let ready = self.book.ready.iter().map(|(place, entry)| {
            let place = stay.then_some(*place);
            (place, Arc::clone(&entry.transaction), entry.since)
        });
        let mut gaps = Vec::new();
        for (place, transaction, since) in undone.chain(ready) {
            if step.confirmed.contains(&transaction.id()) {
                add(&mut pool.departures.mined, 1);
                continue;
            }
            pool.book.next = place.unwrap_or(pool.book.next);
            let waiter = Waiter { transaction, since, waits: now };
            match pool.enter(&waiter, ledger) {
                Ok(()) => {}
                Err(PoolRefusal::Fault(TransactionFault::NonceGap { .. })) => gaps.push(waiter),
                Err(PoolRefusal::Source(error)) => return Err(error),
                Err(_) => add(&mut pool.departures.impossible, 1),
            }
        }
        pool.book.next = pool.book.next.max(self.book.next);
        let mut ready = Vec::new();
        let were_ready: BTreeSet<_> = gaps.iter().map(|waiter| waiter.transaction.id()).collect();
        for waiter in self.waiting.all().cloned().chain(gaps) {
            pool.come_back(waiter, &step.confirmed, ledger, &mut ready)?;
        }
        ready.retain(|one| !were_ready.contains(&one.id()));
        Ok((pool, ready))
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        let left = self.book.ready.len().saturating_add(self.waiting.len());
        let empty = Self { departures: self.departures, ..Self::new(self.limits) };
        let next = self.book.next;
        *self = empty;
        self.book.next = next;
        add(&mut self.departures.impossible, left);
    }
}
