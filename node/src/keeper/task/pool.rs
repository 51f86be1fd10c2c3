//! The keeper's pool: what is admitted, what leaves, and who is told.

use std::sync::{Arc, PoisonError, RwLockReadGuard, RwLockWriteGuard};

use bard_chain::{
    mempool::{Admitted, Mempool, Plan, PoolRefusal},
    rules::isolated::CheckedTransaction,
    source::SourceError,
    units::Timestamp,
};

use super::{ChainEvent, KeeperError, Task, Verdicts};
use crate::{clock, metrics::pool_reason, store::StoreError};

/// Transactions that are admitted before whoever wants to read the pool has a turn: in a full pool each may cost as much as
/// a thousand in an empty one.
const ADMITTED_AT_ONCE: usize = 32;

impl Task {
    pub(super) fn read_pool(&self) -> RwLockReadGuard<'_, Mempool> {
        self.pool.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write_pool(&self) -> RwLockWriteGuard<'_, Mempool> {
        self.pool.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what a plan of the pool says. It was made while others could read the pool; only now they wait. What the pool
    /// was before, where it was made anew, is dropped by whoever asked, once nobody waits.
    ///
    /// # Errors
    /// Where the store could not be read. The pool is out of date then, but has all that was submitted: what is kept of it for
    /// the next run must not be lost.
    pub(super) fn carry_out(
        &self,
        planned: Result<Option<Plan>, SourceError>,
    ) -> Result<Option<Box<Mempool>>, KeeperError> {
        let mut pool = self.write_pool();
        let done = planned.and_then(|plan| plan.map_or(Ok(None), |plan| pool.take(plan, clock::now(), &self.reader)));
        Ok(done.map_err(StoreError::from)?)
    }

    /// Lets go what is in the pool too long.
    ///
    /// # Errors
    /// Where the store could not be read.
    pub(super) fn expire(&self) -> Result<(), KeeperError> {
        let planned = self.read_pool().expire(clock::now(), &self.reader);
        if !matches!(planned, Ok(None)) {
            let before = self.read_pool().departures();
            drop(self.carry_out(planned)?);
            let after = self.read_pool().departures();
            let expired = after.expired.saturating_sub(before.expired);
            let with_them = after.impossible.saturating_sub(before.impossible);
            tracing::info!(expired, with_them, "transactions were in the pool too long and left it");
            self.pool_version.send_modify(|version| *version = version.wrapping_add(1));
        }
        Ok(())
    }

    /// Takes transactions back that were in the pool of an earlier run. How many, is the answer.
    pub(super) fn readmit(&self, transactions: Vec<(Timestamp, Arc<CheckedTransaction>)>) -> usize {
        let now = clock::now();
        let mut pool = self.write_pool();
        let verdicts: Vec<_> =
            transactions.iter().map(|(since, one)| pool.readmit(Arc::clone(one), *since, now, &self.reader)).collect();
        drop(pool);
        let both = transactions.into_iter().zip(&verdicts);
        self.announce(both.filter(|(_, verdict)| **verdict == Ok(Admitted::Ready)).map(|((_, one), _)| one).collect());
        verdicts.iter().flatten().count()
    }

    pub(super) fn admit(&self, transactions: Vec<Arc<CheckedTransaction>>) -> Verdicts {
        let now = clock::now();
        let mut verdicts = Verdicts::with_capacity(transactions.len());
        for some in transactions.chunks(ADMITTED_AT_ONCE) {
            let mut pool = self.write_pool();
            verdicts.extend(some.iter().map(|transaction| pool.admit(Arc::clone(transaction), now, &self.reader)));
        }
        self.count(verdicts.iter().map(|verdict| verdict.as_ref().err()));
        let both = transactions.into_iter().zip(&verdicts);
        self.announce(both.filter(|(_, verdict)| **verdict == Ok(Admitted::Ready)).map(|(ready, _)| ready).collect());
        verdicts
    }

    pub(super) fn admit_all(&self, transactions: &[Arc<CheckedTransaction>]) -> Result<(), (usize, PoolRefusal)> {
        let result = self.write_pool().admit_all(transactions, clock::now(), &self.reader);
        match &result {
            Ok(()) => self.count(transactions.iter().map(|_| None)),
            Err((_, refusal)) => self.count([Some(refusal)]),
        }
        if result.is_ok() {
            self.announce(transactions.to_vec());
        }
        result
    }

    pub(super) fn count<'a>(&self, verdicts: impl IntoIterator<Item = Option<&'a PoolRefusal>>) {
        for refusal in verdicts {
            match refusal {
                Some(refusal) => self.counts.not_admitted(pool_reason(refusal)),
                None => {
                    self.counts.admitted.inc();
                }
            }
        }
    }

    pub(super) fn announce(&self, transactions: Vec<Arc<CheckedTransaction>>) {
        if transactions.is_empty() {
            return;
        }
        self.pool_version.send_modify(|version| *version = version.wrapping_add(1));
        let _ = self.events.send(ChainEvent::Transactions { transactions });
    }
}
