//! Admitted, unmined transactions.
//!
//! Each was applied, in the order of arrival, to the ledger at the tip with all others before it; so what is in the pool can
//! be mined, and two requests for one item are never both admitted. When the tip changes, the pool is replayed on the new
//! ledger: what no longer applies leaves it, what a reorganisation undid comes back.
//!
//! Transactions that leave a gap in their sender's nonces wait aside, few and not for long, since gossip may reorder.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    address::Address,
    hash::TransactionId,
    invalid::TransactionFault,
    ledger::{
        Account, Delta, Overlay, View,
        apply::{ApplyError, apply_transaction},
    },
    rules::isolated::CheckedTransaction,
    source::SourceError,
    units::Nonce,
};

/// What the pool may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Canonical bytes of all transactions together. A transaction that does not fit is refused.
    pub bytes: usize,
    /// Transactions of one sender. One more is refused.
    pub per_sender: usize,
    /// Transactions that wait for an earlier nonce. One more is refused.
    pub waiting: usize,
}

impl Default for Limits {
    /// 64 MiB, 10,000 of one sender, 4,096 waiting.
    fn default() -> Self {
        Self { bytes: 64 << 20, per_sender: 10_000, waiting: 4_096 }
    }
}

/// Waiting transactions may take up one part in so many of the pool's bytes: nobody has to be able to pay for them.
const WAITING_SHARE: usize = 8;

/// How far ahead of its sender's next nonce a waiting transaction may be.
const MAX_GAP: u64 = 1_024;

/// Why a transaction is not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolRefusal {
    /// It is in the pool already.
    #[error("the transaction is in the pool already")]
    AlreadyKnown,
    /// The pool is full.
    #[error("the pool is full: try again when some of it is mined")]
    Full,
    /// The sender has as many transactions in the pool as it may.
    #[error("the sender has {limit} transactions in the pool, no more are taken")]
    SenderFull {
        /// The limit.
        limit: usize,
    },
    /// It breaks a rule, after all that is confirmed and in the pool.
    #[error(transparent)]
    Fault(#[from] TransactionFault),
    /// Something stored could not be read: a fault of this machine.
    #[error("the store cannot be read: {0}")]
    Source(#[from] SourceError),
}

/// Where an admitted transaction went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// It can be mined.
    Ready,
    /// It waits for transactions of its sender that come before it.
    Waiting,
}

/// The pool.
#[derive(Debug, Default)]
pub struct Mempool {
    limits: Limits,
    ready: BTreeMap<TransactionId, Entry>,
    /// Ready transactions in the order of arrival.
    order: BTreeMap<u64, TransactionId>,
    senders: BTreeMap<Address, BTreeMap<Nonce, TransactionId>>,
    waiting: BTreeMap<Address, BTreeMap<Nonce, Arc<CheckedTransaction>>>,
    waiting_ids: BTreeSet<TransactionId>,
    waiting_bytes: usize,
    /// What all ready transactions, in order, change in the ledger at the tip.
    pending: Delta,
    bytes: usize,
    next_arrival: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    transaction: Arc<CheckedTransaction>,
    arrival: u64,
}

impl Mempool {
    /// An empty pool.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Admits a transaction on top of `ledger`, the one at the tip, and of all that is in the pool.
    ///
    /// # Errors
    /// Why it is refused; the pool stays as it is.
    pub fn admit<V: View>(
        &mut self,
        transaction: Arc<CheckedTransaction>,
        ledger: &V,
    ) -> Result<Admitted, PoolRefusal> {
        let sender = transaction.transaction().sender;
        let result = self.admit_one(transaction, ledger)?;
        if result == Admitted::Ready {
            self.promote(sender, ledger)?;
        }
        Ok(result)
    }

    /// Admits all of them, or none.
    ///
    /// # Errors
    /// Which one is refused, by its place, and why; the pool stays as it is.
    pub fn admit_all<V: View>(
        &mut self,
        transactions: &[Arc<CheckedTransaction>],
        ledger: &V,
    ) -> Result<(), (usize, PoolRefusal)> {
        for (index, transaction) in transactions.iter().enumerate() {
            let refusal = match self.admit(Arc::clone(transaction), ledger) {
                Ok(Admitted::Ready) => continue,
                Ok(Admitted::Waiting) => {
                    let nonce = transaction.transaction().nonce;
                    let sender = transaction.transaction().sender;
                    self.stop_waiting(sender, nonce);
                    let expected = self.next_nonce(&sender, ledger).map_err(|error| (index, error.into()))?;
                    TransactionFault::NonceGap { nonce, expected }.into()
                }
                Err(refusal) => refusal,
            };
            let admitted: BTreeSet<_> = transactions.iter().take(index).map(|earlier| earlier.id()).collect();
            let kept = self.drain().into_iter().filter(|kept| !admitted.contains(&kept.id())).collect();
            self.refill(kept, ledger).map_err(|error| (index, error.into()))?;
            return Err((index, refusal));
        }
        Ok(())
    }

    fn admit_one<V: View>(
        &mut self,
        transaction: Arc<CheckedTransaction>,
        ledger: &V,
    ) -> Result<Admitted, PoolRefusal> {
        let sender = transaction.transaction().sender;
        if self.contains(&transaction.id()) {
            return Err(PoolRefusal::AlreadyKnown);
        }
        let length = transaction.bytes().len();
        if self.bytes.saturating_add(length) > self.limits.bytes {
            return Err(PoolRefusal::Full);
        }
        if self.senders.get(&sender).is_some_and(|nonces| nonces.len() >= self.limits.per_sender) {
            return Err(PoolRefusal::SenderFull { limit: self.limits.per_sender });
        }
        let mut overlay = Overlay::with(ledger, core::mem::take(&mut self.pending));
        let applied = apply_transaction(&mut overlay, transaction.transaction());
        self.pending = overlay.into_delta();
        match applied {
            Ok(()) => {
                self.insert(transaction, length);
                Ok(Admitted::Ready)
            }
            Err(ApplyError::Fault(TransactionFault::NonceGap { nonce, expected })) => {
                self.wait(transaction, nonce, expected).map(|()| Admitted::Waiting)
            }
            Err(ApplyError::Fault(fault)) => Err(fault.into()),
            Err(ApplyError::Source(error)) => Err(error.into()),
        }
    }

    fn insert(&mut self, transaction: Arc<CheckedTransaction>, length: usize) {
        let (id, arrival) = (transaction.id(), self.next_arrival);
        let body = transaction.transaction();
        self.senders.entry(body.sender).or_default().insert(body.nonce, id);
        self.order.insert(arrival, id);
        self.ready.insert(id, Entry { transaction, arrival });
        self.bytes = self.bytes.saturating_add(length);
        self.next_arrival = self.next_arrival.saturating_add(1);
    }

    fn wait(&mut self, transaction: Arc<CheckedTransaction>, nonce: Nonce, expected: Nonce) -> Result<(), PoolRefusal> {
        let gap = nonce.saturating_sub(expected).get();
        let length = transaction.bytes().len();
        let room = self.limits.bytes / WAITING_SHARE;
        if gap > MAX_GAP
            || self.waiting_ids.len() >= self.limits.waiting
            || self.waiting_bytes.saturating_add(length) > room
        {
            return Err(TransactionFault::NonceGap { nonce, expected }.into());
        }
        self.bytes = self.bytes.saturating_add(length);
        self.waiting_bytes = self.waiting_bytes.saturating_add(length);
        self.waiting_ids.insert(transaction.id());
        let sender = transaction.transaction().sender;
        if let Some(replaced) = self.waiting.entry(sender).or_default().insert(nonce, transaction) {
            self.waits_no_more(&replaced);
        }
        Ok(())
    }

    fn waits_no_more(&mut self, transaction: &CheckedTransaction) {
        let length = transaction.bytes().len();
        self.bytes = self.bytes.saturating_sub(length);
        self.waiting_bytes = self.waiting_bytes.saturating_sub(length);
        self.waiting_ids.remove(&transaction.id());
    }

    fn stop_waiting(&mut self, sender: Address, nonce: Nonce) -> Option<Arc<CheckedTransaction>> {
        let nonces = self.waiting.get_mut(&sender)?;
        let transaction = nonces.remove(&nonce)?;
        if nonces.is_empty() {
            self.waiting.remove(&sender);
        }
        self.waits_no_more(&transaction);
        Some(transaction)
    }

    /// Admits what waited for the transaction that just came.
    fn promote<V: View>(&mut self, sender: Address, ledger: &V) -> Result<(), SourceError> {
        loop {
            if !self.waiting.contains_key(&sender) {
                return Ok(());
            }
            let next = self.next_nonce(&sender, ledger)?;
            let Some(transaction) = self.stop_waiting(sender, next) else { return Ok(()) };
            if self.admit_one(transaction, ledger).is_err() {
                return Ok(());
            }
        }
    }

    /// Follows the chain to a new tip: forgets what is `confirmed`, takes back what was `undone` (oldest first), and
    /// replays the rest on the ledger at the new tip.
    ///
    /// # Errors
    /// Where the ledger could not be read; the pool may then lack transactions.
    pub fn follow<V: View>(
        &mut self,
        confirmed: &BTreeSet<TransactionId>,
        undone: Vec<CheckedTransaction>,
        ledger: &V,
    ) -> Result<(), SourceError> {
        let mut all: Vec<_> = undone.into_iter().map(Arc::new).collect();
        all.extend(self.drain());
        all.retain(|transaction| !confirmed.contains(&transaction.id()));
        self.refill(all, ledger)
    }

    /// Empties the pool: ready transactions in their order, then waiting ones.
    fn drain(&mut self) -> Vec<Arc<CheckedTransaction>> {
        let old = core::mem::replace(self, Self::new(self.limits));
        self.next_arrival = old.next_arrival;
        let Self { order, mut ready, waiting, .. } = old;
        let ready = order.into_values().filter_map(|id| ready.remove(&id)).map(|entry| entry.transaction);
        ready.chain(waiting.into_values().flat_map(BTreeMap::into_values)).collect()
    }

    fn refill<V: View>(&mut self, all: Vec<Arc<CheckedTransaction>>, ledger: &V) -> Result<(), SourceError> {
        for transaction in all {
            // What no longer applies is gone: that is what replaying is for.
            if let Err(PoolRefusal::Source(error)) = self.admit(transaction, ledger) {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Whether a transaction is in the pool, ready or waiting.
    pub fn contains(&self, id: &TransactionId) -> bool {
        self.ready.contains_key(id) || self.waiting_ids.contains(id)
    }

    /// A ready transaction.
    pub fn get(&self, id: &TransactionId) -> Option<&Arc<CheckedTransaction>> {
        self.ready.get(id).map(|entry| &entry.transaction)
    }

    /// The ready transactions in the order of arrival.
    pub fn transactions(&self) -> impl Iterator<Item = &Arc<CheckedTransaction>> {
        self.order.values().filter_map(|id| self.get(id))
    }

    /// The ready transactions in the order of arrival, those from a place in it on, each with its place. When the tip
    /// changes, all that stay get new places after all old ones, in the same order.
    pub fn transactions_from(&self, arrival: u64) -> impl Iterator<Item = (u64, &Arc<CheckedTransaction>)> {
        self.order.range(arrival..).filter_map(|(arrival, id)| Some((*arrival, self.get(id)?)))
    }

    /// A sender's ready transactions by nonce, each with its place in the order of arrival.
    pub(crate) fn by_sender(&self) -> impl Iterator<Item = impl Iterator<Item = (u64, &Arc<CheckedTransaction>)>> {
        self.senders.values().map(|nonces| {
            nonces.values().filter_map(|id| self.ready.get(id)).map(|entry| (entry.arrival, &entry.transaction))
        })
    }

    /// Number of ready transactions.
    pub fn len(&self) -> usize {
        self.ready.len()
    }

    /// Whether no transaction is ready.
    pub fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// Canonical bytes of all transactions, waiting ones included.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// An account after all ready transactions.
    ///
    /// # Errors
    /// Where the ledger could not be read.
    pub fn account<V: View>(&self, address: &Address, ledger: &V) -> Result<Account, SourceError> {
        match self.pending_account(address) {
            Some(account) => Ok(account),
            None => ledger.account(address),
        }
    }

    /// An account after all ready transactions; `None` where none of them has to do with it.
    pub fn pending_account(&self, address: &Address) -> Option<Account> {
        self.pending.accounts.get(address).map(|change| change.after)
    }

    /// The nonce that the sender's next transaction must have.
    ///
    /// # Errors
    /// Where the ledger could not be read.
    pub fn next_nonce<V: View>(&self, sender: &Address, ledger: &V) -> Result<Nonce, SourceError> {
        Ok(self.account(sender, ledger)?.nonce)
    }
}
