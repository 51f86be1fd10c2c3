//! The keeper's pool: what is admitted, what leaves, and who is told.

use std::sync::{Arc, PoisonError, RwLockReadGuard, RwLockWriteGuard};

use bard_chain::{
    mempool::{Followed, Mempool, Plan, PoolRefusal},
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

    /// When something comes into the pool: a clock that is behind the chain itself is wrong, and once it is set right, what came
    /// by it would be too old at once.
    pub(super) fn pool_time(&self) -> Timestamp {
        clock::now().max(self.engine.tip().timestamp)
    }

    /// Does what a plan of the pool says. It was made while others could read the pool; only now they wait. What the pool
    /// was before, where it was made anew, is dropped by whoever asked, once nobody waits; who also tells of what is ready now.
    /// Where the tip `moved`, it does so for everybody at the same time: whoever reads both sees a pool that stands on the tip.
    ///
    /// # Errors
    /// Where the store could not be read. The pool is out of date then, but has all that was submitted: what is kept of it for
    /// the next run must not be lost.
    pub(super) fn carry_out(
        &self,
        planned: Result<Option<Plan>, SourceError>,
        moved: bool,
    ) -> Result<Followed, KeeperError> {
        let mut pool = self.write_pool();
        let nothing = || Ok(Followed::default());
        let done =
            planned.and_then(|plan| plan.map_or_else(nothing, |plan| pool.take(plan, self.pool_time(), &self.reader)));
        let followed = done.map_err(StoreError::from)?;
        if moved {
            self.tip.send_replace(self.engine.tip());
        }
        Ok(followed)
    }

    /// Lets go what is in the pool too long.
    ///
    /// # Errors
    /// Where the store could not be read.
    pub(super) fn expire(&self) -> Result<(), KeeperError> {
        let planned = self.read_pool().expire(clock::now(), &self.reader);
        if !matches!(planned, Ok(None)) {
            let before = self.read_pool().departures();
            let Followed { ready, before: _ } = self.carry_out(planned, false)?;
            let after = self.read_pool().departures();
            let expired = after.expired.saturating_sub(before.expired);
            let with_them = after.impossible.saturating_sub(before.impossible);
            tracing::info!(expired, with_them, "transactions were in the pool too long and left it");
            self.changed(ready);
        }
        Ok(())
    }

    /// Takes transactions back that were in the pool of an earlier run. How many, is the answer.
    pub(super) fn readmit(&self, transactions: Vec<(Timestamp, Arc<CheckedTransaction>)>) -> usize {
        let now = self.pool_time();
        let (mut taken, mut ready) = (0_usize, Vec::new());
        let mut pool = self.write_pool();
        for (since, one) in transactions {
            let verdict = pool.readmit(one, since, now, &self.reader, &mut ready);
            taken = taken.saturating_add(verdict.into_iter().count());
        }
        drop(pool);
        if taken > 0 {
            self.changed(ready);
        }
        taken
    }

    pub(super) fn admit(&self, transactions: &[Arc<CheckedTransaction>]) -> Verdicts {
        let now = self.pool_time();
        let mut verdicts = Verdicts::with_capacity(transactions.len());
        let mut ready = Vec::new();
        for some in transactions.chunks(ADMITTED_AT_ONCE) {
            let mut pool = self.write_pool();
            let each = some.iter().map(|one| pool.readmit(Arc::clone(one), now, now, &self.reader, &mut ready));
            verdicts.extend(each);
        }
        self.count(verdicts.iter().map(|verdict| verdict.as_ref().err()));
        if verdicts.iter().any(Result::is_ok) {
            self.changed(ready);
        }
        verdicts
    }

    pub(super) fn admit_all(&self, transactions: &[Arc<CheckedTransaction>]) -> Result<(), (usize, PoolRefusal)> {
        let result = self.write_pool().admit_all(transactions, self.pool_time(), &self.reader);
        match &result {
            Ok(_) => self.count(transactions.iter().map(|_| None)),
            Err((_, refusal)) => self.count([Some(refusal)]),
        }
        result.map(|ready| self.changed(ready))
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

    /// Tells that the pool changed, and what in it can be mined now and could not before.
    pub(super) fn changed(&self, ready: Vec<Arc<CheckedTransaction>>) {
        self.pool_version.send_modify(|version| *version = version.wrapping_add(1));
        self.announce(ready);
    }

    /// Tells what can be mined now and could not before.
    pub(super) fn announce(&self, ready: Vec<Arc<CheckedTransaction>>) {
        if !ready.is_empty() {
            // Nobody listening is fine.
            let _ = self.events.send(ChainEvent::Transactions { transactions: ready });
        }
    }
}
