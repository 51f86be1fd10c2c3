//! How a transaction comes in: alone, in a group of which all or none do, or in the place of another.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    Admitted, Limits, Mempool, PoolRefusal, STEP_SHARE, add,
    book::{Entry, holder, moves},
    fee_rate,
    ripple::{End, Ripple, Stop},
    room::{Newcomer, fee_for},
    waiting::{Room, Share, Waiter},
};
use crate::{
    address::Address,
    invalid::TransactionFault,
    ledger::{
        Change, Delta, Overlay, View,
        apply::{ApplyError, apply_transaction},
    },
    rules::isolated::CheckedTransaction,
    source::SourceError,
    units::{Amount, Nonce, Timestamp},
};

/// How far ahead of its sender's next nonce a waiting transaction may be.
const MAX_GAP: u64 = 1_024;
/// Waiting transactions may take up one part in so many of the pool's bytes: nobody has to be able to pay for them.
const WAITING_SHARE: usize = 8;
/// A transaction that more others may depend on is neither replaced nor made to leave by somebody else's, so that what one
/// newcomer costs is bounded. As in Bitcoin Core (BIP 125, rule 5).
pub(super) const MAX_FOLLOWERS: usize = 100;
/// To replace another, a transaction pays a step more than it, of [`STEP_SHARE`], and at least one unit for every begun so many
/// bytes: passing a replacement on costs every node by its length.
const STEP_BYTES: u64 = 1_000;

/// The least by which a replacement's fee exceeds the fees of all that leave for it. See [`STEP_BYTES`].
fn step(replaced: &CheckedTransaction, new: &CheckedTransaction) -> u64 {
    let length = u64::try_from(new.bytes().len()).unwrap_or(u64::MAX);
    replaced.transaction().fee.get().div_ceil(STEP_SHARE).max(length.div_ceil(STEP_BYTES))
}

fn fee(entry: &Entry) -> u64 {
    entry.transaction.transaction().fee.get()
}

/// What was seen on the way to a decision: what the ledger holds of all that a group touches.
type Seen = Delta;

impl Mempool {
    /// Admits a transaction on top of `ledger`, the one at the tip, and of all that is in the pool. `now` is when.
    ///
    /// # Errors
    /// Why it is refused; the pool stays as it is.
    pub fn admit<V: View>(
        &mut self,
        transaction: Arc<CheckedTransaction>,
        now: Timestamp,
        ledger: &V,
    ) -> Result<Admitted, PoolRefusal> {
        self.readmit(transaction, now, now, ledger, &mut Vec::new())
    }

    /// Admits a transaction that came into a pool at an earlier time, `since`. What can be mined now and could not before is added
    /// to `ready`: it, if it does not wait, and those that waited for it.
    ///
    /// # Errors
    /// Why it is refused; the pool stays as it is.
    pub fn readmit<V: View>(
        &mut self,
        transaction: Arc<CheckedTransaction>,
        since: Timestamp,
        now: Timestamp,
        ledger: &V,
        ready: &mut Vec<Arc<CheckedTransaction>>,
    ) -> Result<Admitted, PoolRefusal> {
        self.let_in(Waiter { transaction, since, waits: now }, ledger, ready)
    }

    /// Admits all of them, or none. None may wait, or take the place of another with its sender and nonce. Returns what can be mined
    /// now and could not before: all of them, and those that waited for them.
    ///
    /// # Errors
    /// Which one is refused, by its place, and why; the pool stays as it is.
    pub fn admit_all<V: View>(
        &mut self,
        transactions: &[Arc<CheckedTransaction>],
        now: Timestamp,
        ledger: &V,
    ) -> Result<Vec<Arc<CheckedTransaction>>, (usize, PoolRefusal)> {
        self.append(transactions, now, ledger)?;
        let mut ready = transactions.to_vec();
        let senders: BTreeSet<_> = transactions.iter().map(|one| one.transaction().sender).collect();
        for sender in senders {
            self.promote(sender, ledger, &mut ready).map_err(|error| (0, error.into()))?;
        }
        Ok(ready)
    }

    /// Lets one in, ready or to wait. It and those that waited for it are added to `ready` if they can be mined.
    pub(super) fn let_in<V: View>(
        &mut self,
        one: Waiter,
        ledger: &V,
        ready: &mut Vec<Arc<CheckedTransaction>>,
    ) -> Result<Admitted, PoolRefusal> {
        let sender = one.transaction.transaction().sender;
        match self.enter(&one, ledger) {
            Ok(()) => {
                ready.push(one.transaction);
                self.promote(sender, ledger, ready).map(|()| Admitted::Ready).map_err(PoolRefusal::from)
            }
            Err(PoolRefusal::Fault(TransactionFault::NonceGap { nonce, expected })) => {
                self.wait(one, nonce, expected, ledger).map(|()| Admitted::Waiting)
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// Lets one in that can be mined.
    pub(super) fn enter<V: View>(&mut self, one: &Waiter, ledger: &V) -> Result<(), PoolRefusal> {
        let body = one.transaction.transaction();
        match self.book.place_of(&body.sender, body.nonce) {
            Some(_) if self.contains(&one.transaction.id()) => Err(PoolRefusal::AlreadyKnown),
            Some(place) => self.replace(place, &one.transaction, one.since, ledger),
            None => {
                let alone = core::slice::from_ref(&one.transaction);
                self.append(alone, one.since, ledger).map_err(|(_, refusal)| refusal)
            }
        }
    }

    /// Admits what waited for the transaction that just came, and adds it to `ready`.
    fn promote<V: View>(
        &mut self,
        sender: Address,
        ledger: &V,
        ready: &mut Vec<Arc<CheckedTransaction>>,
    ) -> Result<(), SourceError> {
        while self.waiting.knows(&sender) {
            let next = self.next_nonce(&sender, ledger)?;
            let Some(waiter) = self.waiting.take(&sender, next) else { return Ok(()) };
            match self.enter(&waiter, ledger) {
                Ok(()) => ready.push(waiter.transaction),
                Err(PoolRefusal::Source(error)) => return Err(error),
                Err(_) => {
                    add(&mut self.departures.impossible, 1);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Puts all of a group at the end, or none.
    fn append<V: View>(
        &mut self,
        group: &[Arc<CheckedTransaction>],
        since: Timestamp,
        ledger: &V,
    ) -> Result<(), (usize, PoolRefusal)> {
        let mut seen = self.follows(group, &BTreeSet::new(), ledger)?;
        let length: usize = group.iter().map(|one| one.bytes().len()).fold(0, usize::saturating_add);
        let need = self.bytes().saturating_add(length).saturating_sub(self.limits.bytes);
        if need > 0 {
            let newcomer = self.newcomer(group).ok_or((0, PoolRefusal::Full { least: None }))?;
            let mut ripple = Ripple::new(&self.book, ledger, MAX_FOLLOWERS);
            self.make_room(&mut ripple, need, &newcomer).map_err(|refusal| (0, refusal))?;
            let gone = ripple.gone;
            // What came in on the strength of what leaves cannot come in.
            seen = self.follows(group, &gone, ledger).map_err(|(index, refusal)| match refusal {
                PoolRefusal::Source(_) => (index, refusal),
                _ => (index, PoolRefusal::Full { least: None }),
            })?;
            self.let_go(&gone, &gone);
        }
        for one in group {
            self.waiting.take(&one.transaction().sender, one.transaction().nonce);
            self.book.push(Arc::clone(one), since, &seen);
        }
        Ok(())
    }

    /// Whether a group can be mined after all that is in the pool, but for what is gone.
    fn follows<V: View>(
        &self,
        group: &[Arc<CheckedTransaction>],
        gone: &BTreeSet<u64>,
        ledger: &V,
    ) -> Result<Seen, (usize, PoolRefusal)> {
        let mut overlay = Overlay::new(End { book: &self.book, ledger, gone });
        // One alone is the usual case, and has none of the group before it.
        let alone = group.len() == 1;
        let mut before: BTreeMap<Address, usize> = BTreeMap::new();
        let mut ids = BTreeSet::new();
        for (index, one) in group.iter().enumerate() {
            let sender = one.transaction().sender;
            if self.contains(&one.id()) || !(alone || ids.insert(one.id())) {
                return Err((index, PoolRefusal::AlreadyKnown));
            }
            match apply_transaction(&mut overlay, one.transaction()) {
                Ok(()) => {
                    let mut none = 0;
                    let before = if alone { &mut none } else { before.entry(sender).or_default() };
                    if self.book.count(&sender).saturating_add(*before) >= self.limits.per_sender {
                        return Err((index, PoolRefusal::SenderFull { limit: self.limits.per_sender }));
                    }
                    *before = before.saturating_add(1);
                }
                Err(ApplyError::Fault(fault)) => return Err((index, fault.into())),
                Err(ApplyError::Source(error)) => return Err((index, error.into())),
            }
        }
        Ok(overlay.into_delta())
    }

    /// A group as one that wants room.
    fn newcomer(&self, group: &[Arc<CheckedTransaction>]) -> Option<Newcomer> {
        let first = group.first()?.transaction();
        let length = group.iter().map(|one| one.bytes().len()).fold(0, usize::saturating_add);
        let own = group.iter().map(|one| fee_rate(one)).min()?;
        let before = self.book.floor_before(&first.sender, first.nonce);
        Some(Newcomer { sender: first.sender, own, before, length: length.checked_div(group.len())? })
    }

    /// Puts a transaction in the place of another with its sender and nonce, where it pays enough more: more for a byte, and
    /// in all at least the fees of all that leave for it, and a step.
    fn replace<V: View>(
        &mut self,
        place: u64,
        new: &Arc<CheckedTransaction>,
        since: Timestamp,
        ledger: &V,
    ) -> Result<(), PoolRefusal> {
        let body = new.transaction();
        let Some(old) = self.book.ready.get(&place) else { return Err(PoolRefusal::AlreadyKnown) };
        let (nonce, old_fee) = (body.nonce, fee(old));
        let step = step(&old.transaction, new);
        // Not only more in all, but more for a byte too, or a longer one would be mined later than what it replaced.
        let dearer = fee_for(fee_rate(&old.transaction).saturating_add(1), new.bytes().len());
        let enough = |leaving: u64| {
            let least = leaving.saturating_add(step).max(dearer);
            let too_low = PoolRefusal::FeeTooLow { nonce, fee: Amount::new(old_fee), least: Amount::new(least) };
            if body.fee.get() >= least { Ok(()) } else { Err(too_low) }
        };
        enough(old_fee)?;
        let too_many = PoolRefusal::TooManyFollow { nonce, limit: MAX_FOLLOWERS };
        let mut ripple = Ripple::new(&self.book, ledger, MAX_FOLLOWERS);
        ripple.replace(place, new).map_err(|stop| stopped(stop, too_many))??;
        let leaving = ripple.gone.iter().filter_map(|place| self.book.ready.get(place)).map(fee);
        enough(leaving.fold(old_fee, u64::saturating_add))?;
        let needed = ripple.gone.clone();
        let leaving = ripple.freed.saturating_add(old.transaction.bytes().len());
        let length = self.bytes().saturating_add(new.bytes().len()).saturating_sub(leaving);
        let need = length.saturating_sub(self.limits.bytes);
        let newcomer = Newcomer {
            sender: body.sender,
            own: fee_rate(new),
            before: self.book.floor_before(&body.sender, nonce),
            length: new.bytes().len(),
        };
        self.make_room(&mut ripple, need, &newcomer)?;
        if ripple.gone.contains(&place) {
            return Err(PoolRefusal::Full { least: None });
        }
        let gone = ripple.gone;
        let seen = self.touched(new, ledger)?;
        self.let_go(&gone, &gone.difference(&needed).copied().collect());
        self.book.substitute(place, Arc::clone(new), since, &seen);
        add(&mut self.departures.replaced, 1);
        Ok(())
    }

    /// What the ledger holds of all that a transaction touches.
    fn touched<V: View>(&self, transaction: &CheckedTransaction, ledger: &V) -> Result<Seen, SourceError> {
        let mut seen = Delta::default();
        for (address, _) in moves(transaction.transaction()) {
            let base = match self.book.accounts.get(&address) {
                Some(strand) => strand.base,
                None => ledger.account(&address)?,
            };
            seen.accounts.insert(address, Change { before: base, after: base });
        }
        if let Some((name, _)) = holder(transaction.transaction()) {
            let base = match self.book.items.get(name) {
                Some(strand) => strand.base,
                None => ledger.item(name)?,
            };
            seen.items.insert(name.clone(), Change { before: base, after: base });
        }
        Ok(seen)
    }

    /// Lets one wait. One that waits already with its sender and nonce gives way only to one that pays more, by the same
    /// step as among ready ones: each is passed on to other nodes.
    fn wait<V: View>(&mut self, one: Waiter, nonce: Nonce, expected: Nonce, ledger: &V) -> Result<(), PoolRefusal> {
        let gap = nonce.saturating_sub(expected).get();
        if gap > MAX_GAP {
            return Err(TransactionFault::NonceGap { nonce, expected }.into());
        }
        let body = one.transaction.transaction();
        let old = self.waiting.get(&body.sender, nonce);
        if let Some(old) = old {
            let fee = old.transaction.transaction().fee;
            let least = Amount::new(fee.get().saturating_add(step(&old.transaction, &one.transaction)));
            if body.fee < least {
                return Err(PoolRefusal::FeeTooLow { nonce, fee, least });
            }
        }
        let (old_count, old_bytes) = old.map_or((0, 0), |old| (1, old.transaction.bytes().len()));
        let after = |bytes: usize| bytes.saturating_sub(old_bytes).saturating_add(one.transaction.bytes().len());
        let lacking = self.lacks(1_usize.saturating_sub(old_count), &after);
        let stranger = ledger.account(&body.sender)?.is_empty();
        let share = Share { stranger, bytes: after(self.waiting.bytes_of(&body.sender)) };
        let leaving = self.waiting.way_for(share, lacking).ok_or(PoolRefusal::WaitingFull { nonce, expected })?;
        for (sender, nonce) in &leaving {
            self.waiting.take(sender, *nonce);
        }
        add(&mut self.departures.evicted, leaving.len());
        add(&mut self.departures.replaced, old_count);
        self.waiting.put(one, stranger);
        Ok(())
    }

    /// What is missing for one more to wait.
    fn lacks(&self, count: usize, after: &impl Fn(usize) -> usize) -> Room {
        let Limits { waiting, bytes, .. } = self.limits;
        let of_pool = after(self.bytes()).saturating_sub(bytes);
        let of_waiting = after(self.waiting.bytes()).saturating_sub(bytes / WAITING_SHARE);
        Room { count: self.waiting.len().saturating_add(count).saturating_sub(waiting), bytes: of_pool.max(of_waiting) }
    }
}

/// Why a change is refused that could not be followed to its end.
fn stopped(stop: Stop, too_many: PoolRefusal) -> PoolRefusal {
    match stop {
        Stop::TooMany => too_many,
        Stop::Source(error) => error.into(),
    }
}
