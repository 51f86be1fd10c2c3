//! How room is made when the pool is full, and what leaves because it is too old.

use core::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::{
    Mempool, PoolRefusal, STEP_SHARE, add,
    admission::MAX_FOLLOWERS,
    book::{Key, moves},
    follow::{Change, Plan},
    ripple::{Ripple, Stop},
};
use crate::{
    address::Address,
    ledger::View,
    source::SourceError,
    units::{Amount, Timestamp},
};

/// So many are made to leave for one newcomer at most. What is longer than they are together is refused.
const MAX_VICTIMS: usize = 1_000;
/// So many transactions are looked at for one newcomer at most, to see what would follow from others leaving.
const MAX_LOOKS: usize = 10_000;
/// So many that cannot leave are passed over at most.
const MAX_PASSED: usize = 10_000;

/// The least fee by which so many bytes pay this for each, in the terms of [`super::fee_rate`].
pub(super) fn fee_for(rate: u128, length: usize) -> u64 {
    u64::try_from(rate.saturating_mul(length as u128).div_ceil(1 << 16)).unwrap_or(u64::MAX)
}

/// Whoever wants room.
pub(super) struct Newcomer {
    pub(super) sender: Address,
    /// What it pays for a byte, in the terms of [`super::fee_rate`].
    pub(super) own: u128,
    /// The least that those of its sender before it do.
    pub(super) before: u128,
    /// Its length in bytes; of a group, that of one.
    pub(super) length: usize,
}

/// Accounts with so many transactions of their own after a place that nothing that pays them, there or before, can leave:
/// seen once, it need not be counted again for everybody who pays the same account.
#[derive(Default)]
struct Crowded(BTreeMap<Address, u64>);

impl Crowded {
    fn follow(&self, pool: &Mempool, place: u64) -> bool {
        let Some(entry) = pool.book.ready.get(&place).filter(|_| !self.0.is_empty()) else { return false };
        moves(entry.transaction.transaction())
            .any(|(address, _)| self.0.get(&address).is_some_and(|crowded| place <= *crowded))
    }

    fn note(&mut self, pool: &Mempool, place: u64) {
        let Some(entry) = pool.book.ready.get(&place) else { return };
        for (address, _) in moves(entry.transaction.transaction()) {
            let strand = pool.book.accounts.get(&address);
            if strand.is_some_and(|strand| strand.own_after(place).nth(MAX_FOLLOWERS).is_some()) {
                self.0.entry(address).and_modify(|known| *known = place.max(*known)).or_insert(place);
            }
        }
    }
}

impl Newcomer {
    /// Why it gets no room that one who pays `required` for a byte would get; `None` where it pays that.
    fn lacks(&self, required: u128) -> Option<PoolRefusal> {
        if self.own < required {
            let least = Amount::new(fee_for(required, self.length));
            return Some(PoolRefusal::Full { least: Some(least).filter(|least| *least <= Amount::MAX) });
        }
        (self.before < required).then_some(PoolRefusal::FullBehind)
    }
}

impl Mempool {
    /// Adds to a ripple those that pay least, until it frees `need` bytes: senders' last transactions, so that no gap
    /// arises, by the least that their sender pays in all it has in the pool, since nothing after that is mined before it.
    pub(super) fn make_room<V: View>(
        &self,
        ripple: &mut Ripple<'_, V>,
        need: usize,
        newcomer: &Newcomer,
    ) -> Result<(), PoolRefusal> {
        if need == 0 {
            return Ok(());
        }
        let goal = ripple.freed.saturating_add(need);
        let mut rest = self.book.cheapest.iter().copied().peekable();
        // The last of senders whose last ones leave.
        let mut next: BTreeSet<Key> = BTreeSet::new();
        let mut dearest: u128 = 0;
        let (mut victims, mut looks, mut passed) = (MAX_VICTIMS, MAX_LOOKS, MAX_PASSED);
        let mut crowded = Crowded::default();
        while victims > 0 && looks > 0 && passed > 0 {
            if ripple.freed >= goal {
                let required = dearest.saturating_add(dearest.checked_div(STEP_SHARE.into()).unwrap_or(0).max(1));
                return newcomer.lacks(required).map_or(Ok(()), Err);
            }
            let early = match (rest.peek(), next.first()) {
                (Some(one), Some(other)) => other < one,
                (None, Some(_)) => true,
                (_, None) => false,
            };
            let Some(key) = (if early { next.pop_first() } else { rest.next() }) else { break };
            let (rate, Reverse(place), sender) = key;
            if sender == newcomer.sender || crowded.follow(self, place) {
                passed = passed.saturating_sub(1);
                continue;
            }
            let budget = looks.min(MAX_FOLLOWERS);
            let result = ripple.without(place, budget);
            looks = looks.saturating_sub(budget.saturating_sub(ripple.left()).max(1));
            match result {
                Ok(()) => victims = victims.saturating_sub(1),
                // Too many depend on it: the next.
                Err(Stop::TooMany) => {
                    crowded.note(self, place);
                    continue;
                }
                Err(Stop::Source(error)) => return Err(error.into()),
            }
            dearest = dearest.max(rate);
            next.extend(ripple.last_of(&sender));
        }
        Err(PoolRefusal::Full { least: None })
    }

    /// Lets those go that make room, `evicted`, and those that needed something that leaves.
    pub(super) fn let_go(&mut self, gone: &BTreeSet<u64>, evicted: &BTreeSet<u64>) {
        let left = self.book.remove_all(gone).len();
        add(&mut self.departures.evicted, evicted.len());
        add(&mut self.departures.impossible, left.saturating_sub(evicted.len()));
    }

    /// What leaves because it has been in the pool too long, `now`; `None` where nothing does.
    ///
    /// # Errors
    /// Where the ledger could not be read.
    pub fn expire<V: View>(&self, now: Timestamp, ledger: &V) -> Result<Option<Plan>, SourceError> {
        let too_old = |since: Timestamp, age: u64| now.saturating_sub(since).get() >= age;
        let age = self.limits.age_ms;
        let mut ripple = Ripple::new(&self.book, ledger, usize::MAX);
        let mut expired: usize = 0;
        for (place, _) in self.book.ready.iter().filter(|(_, entry)| too_old(entry.since, age)) {
            ripple.leave(*place).or_else(Stop::source)?;
            expired = expired.saturating_add(1);
        }
        let waited = self.waiting.all().filter(|waiter| {
            too_old(waiter.waits, self.limits.waiting_age_ms) || too_old(waiter.since, self.limits.age_ms)
        });
        let waited: Vec<_> = waited
            .map(|waiter| (waiter.transaction.transaction().sender, waiter.transaction.transaction().nonce))
            .collect();
        if expired == 0 && waited.is_empty() {
            return Ok(None);
        }
        ripple.run().or_else(Stop::source)?;
        Ok(Some(Plan::change(Change::of_age(ripple.gone, expired, waited))))
    }
}
