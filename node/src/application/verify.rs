//! A check of the whole chain from its genesis block, as if it came from a stranger.

use bard_chain::{
    address::Address,
    hash::BlockId,
    invalid::Invalid,
    ledger::{MemoryLedger, apply::ApplyError, commitment::Commitment},
    rules::{in_chain::Position, in_state, isolated::Unsigned},
    snapshot::{Check, Part, SnapshotError, with_accounts, with_items},
    source::SourceError,
    transaction::ItemName,
    units::{Height, Timestamp},
};

use tokio_util::sync::CancellationToken;

use super::{
    reply::Verified,
    service::{Failure, FailureKind},
};
use crate::keeper::{self, all_hold_in_parallel};

/// How often a check that a reorganisation ran into is begun anew.
const TRIES: usize = 3;
/// How often the blocks that came meanwhile are checked too, before the check gives up on a chain that grows that fast.
const CATCH_UPS: usize = 1_000;
/// Accounts or items of the ledger that is kept which are compared at a time.
const PAGE: usize = 1_000;

/// How far a check has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Height of the last block that was checked.
    pub height: Height,
    /// The block.
    pub id: BlockId,
    /// Transactions that were checked up to it.
    pub transactions: u64,
}

/// What stops a check.
enum Trouble {
    /// A block is wrong.
    Problem(String),
    /// The active chain changed under it.
    Moved,
    /// Nobody waits for the end of it.
    Gone,
}

impl From<SourceError> for Trouble {
    fn from(error: SourceError) -> Self {
        Self::Problem(error.to_string())
    }
}

impl From<SnapshotError> for Trouble {
    fn from(reason: SnapshotError) -> Self {
        Self::Problem(format!("the state that this node began with is not right: {reason}"))
    }
}

impl From<Invalid> for Trouble {
    fn from(reason: Invalid) -> Self {
        Self::Problem(reason.to_string())
    }
}

/// Checks every block of the active chain up to the tip: form, work, signatures, header rules, ledger, state root. Of a chain that
/// began with a state: all headers, that state against the last of them, and every block above.
///
/// It goes on after the block `from`, if that is given and still there: with the state that is kept of it, if it is the one that the
/// block's header commits to, and all headers. `progress` hears of each block that is done.
///
/// # Errors
/// Where the chain changes faster than it can be checked, or nobody waits for the end: `gone`.
pub fn verify(
    keeper: &keeper::Handle,
    gone: &CancellationToken,
    mut from: Option<&Mark>,
    progress: &dyn Fn(&Mark),
) -> Result<Verified, Failure> {
    for _ in 0..TRIES {
        let mut walk = Walk::new(keeper, gone, progress);
        match walk.begin(from.take()).and_then(|()| walk.run()) {
            Ok(()) => return Ok(walk.reached),
            Err(Trouble::Problem(problem)) => {
                let at = walk.reached.height.next().unwrap_or(walk.reached.height);
                return Ok(Verified { problem: Some(format!("block {at}: {problem}")), ..walk.reached });
            }
            Err(Trouble::Moved) => {}
            Err(Trouble::Gone) => break,
        }
    }
    Err(Failure::new(FailureKind::Unavailable, "the chain kept changing while it was checked; try again"))
}

/// A state whose parts come one by one.
struct Whole<'a> {
    check: Check<'a>,
    ledger: MemoryLedger,
    commitment: Commitment,
}

impl<'a> Whole<'a> {
    fn new(keeper: &'a keeper::Handle) -> Self {
        // What was taken was not too new then, and is not now.
        let check = Check::new(keeper.spec(), Timestamp::new(u64::MAX));
        Self { check, ledger: MemoryLedger::default(), commitment: Commitment::default() }
    }

    fn take(&mut self, part: &Part, gone: &CancellationToken) -> Result<(), Trouble> {
        if gone.is_cancelled() {
            return Err(Trouble::Gone);
        }
        self.check.take(part)?;
        let delta = match part {
            Part::Headers(_) | Part::End(..) => return Ok(()),
            Part::Accounts(accounts) => with_accounts(accounts),
            Part::Items(items) => with_items(items),
        };
        self.ledger.apply(&delta);
        self.commitment.apply(&delta);
        Ok(())
    }
}

/// A check on its way up the chain.
struct Walk<'a> {
    keeper: &'a keeper::Handle,
    gone: &'a CancellationToken,
    progress: &'a dyn Fn(&Mark),
    position: Position,
    commitment: Commitment,
    ledger: MemoryLedger,
    reached: Verified,
}

impl<'a> Walk<'a> {
    fn new(keeper: &'a keeper::Handle, gone: &'a CancellationToken, progress: &'a dyn Fn(&Mark)) -> Self {
        let spec = keeper.spec();
        let mut ledger = MemoryLedger::default();
        ledger.apply(&spec.genesis_delta());
        Self {
            keeper,
            gone,
            progress,
            position: Position::genesis(spec),
            commitment: spec.genesis_commitment(),
            ledger,
            reached: Verified { from: Height::ZERO, height: Height::ZERO, transactions: 0, problem: None },
        }
    }

    /// Goes on after an earlier check, if that can be; where the store began with a state, checks that, and begins there.
    fn begin(&mut self, from: Option<&Mark>) -> Result<(), Trouble> {
        let reader = self.keeper.reader();
        self.reached.from = reader.floor();
        match from.map_or(Ok(false), |mark| self.go_on(mark)) {
            Ok(true) => return Ok(()),
            Err(Trouble::Gone) => return Err(Trouble::Gone),
            // From the start on it shows where it is wrong, if it is.
            Ok(false) | Err(Trouble::Problem(_) | Trouble::Moved) => {}
        }
        if reader.floor() == Height::ZERO {
            return Ok(());
        }
        let mut whole = Whole::new(self.keeper);
        reader.visit_base(&mut |part| whole.take(&part, self.gone))?;
        let Whole { check, ledger, commitment } = whole;
        let checked = check.finish()?;
        if reader.id_at(checked.height)? != Some(checked.tip) {
            return Err(Trouble::Problem(
                "the chain does not go on from the state that this node began with".to_owned(),
            ));
        }
        (self.ledger, self.commitment, self.position) = (ledger, commitment, checked.position);
        self.reached.height = checked.height;
        Ok(())
    }

    /// Goes on with the state after a block that was checked earlier; `false` where that block is not here.
    fn go_on(&mut self, mark: &Mark) -> Result<bool, Trouble> {
        let reader = self.keeper.reader();
        if mark.height <= reader.floor() || reader.id_at(mark.height)? != Some(mark.id) {
            return Ok(false);
        }
        let mut whole = Whole::new(self.keeper);
        reader.visit_state(mark.height, &mut |part| whole.take(&part, self.gone))?;
        let Whole { check, ledger, commitment } = whole;
        let checked = check.finish()?;
        if checked.tip != mark.id {
            return Err(Trouble::Moved);
        }
        (self.ledger, self.commitment, self.position) = (ledger, commitment, checked.position);
        (self.reached.height, self.reached.transactions) = (mark.height, mark.transactions);
        Ok(true)
    }

    /// Goes up to the tip, and on with what came meanwhile, until the ledger that is kept can be compared.
    fn run(&mut self) -> Result<(), Trouble> {
        for _ in 0..CATCH_UPS {
            let (tip, height) = self.keeper.reader().tip();
            while self.reached.height < height {
                self.step()?;
            }
            if self.position.id() != tip {
                return Err(Trouble::Moved);
            }
            if self.compare(tip)? {
                return Ok(());
            }
        }
        Err(Trouble::Moved)
    }

    /// Checks the next block.
    fn step(&mut self) -> Result<(), Trouble> {
        if self.gone.is_cancelled() {
            return Err(Trouble::Gone);
        }
        let (keeper, reader) = (self.keeper, self.keeper.reader());
        let height = self.reached.height.next().ok_or(Trouble::Moved)?;
        let id = reader.id_at(height)?.ok_or(Trouble::Moved)?;
        let bytes = reader.block_bytes(&id)?.ok_or_else(|| Trouble::Problem(format!("the body of {id} is missing")))?;
        let block = Unsigned::read(keeper.spec(), &bytes)?;
        let block = block.check_signatures(keeper.chain(), &|_| false, &all_hold_in_parallel)?;
        if block.id() != id {
            return Err(Trouble::Problem(format!("stored under {id}, it is {}", block.id())));
        }
        if block.header().parent != self.position.id() {
            return Err(if reader.id_at(height)? == Some(id) && reader.is_active(&self.position.id())? {
                Trouble::Problem("it does not follow the block below it".to_owned())
            } else {
                Trouble::Moved
            });
        }
        // A block that was accepted was not too new then, and is not now.
        let never = Timestamp::new(u64::MAX);
        self.position = self.position.step(keeper.spec(), block.header(), id, never)?;
        let after = in_state::check(keeper.spec(), &self.ledger, &self.commitment, block.block());
        let after = after.map_err(|error| match error {
            ApplyError::Fault(reason) => Trouble::from(reason),
            ApplyError::Source(error) => Trouble::from(error),
        })?;
        self.ledger.apply(&after.delta);
        self.commitment = after.commitment;
        self.reached.height = height;
        self.reached.transactions += block.transaction_ids().len() as u64;
        (self.progress)(&Mark { height, id, transactions: self.reached.transactions });
        Ok(())
    }

    /// Compares the ledger that follows from the blocks up to `tip` with the one that is kept; `false` where the chain has
    /// moved on, for then the balances at the new tip are no evidence.
    fn compare(&self, tip: BlockId) -> Result<bool, Trouble> {
        let difference = self.difference()?;
        if difference.is_some() && self.keeper.reader().tip().0 != tip {
            return Ok(false);
        }
        difference.map_or(Ok(true), |problem| Err(Trouble::Problem(problem)))
    }

    /// What is kept and does not follow from the blocks, or the other way round.
    fn difference(&self) -> Result<Option<String>, Trouble> {
        let reader = self.keeper.reader();
        let accounts = |after: Option<&Address>| self.page(|| reader.accounts(after, PAGE));
        if let Some(address) = first_difference(accounts, self.ledger.accounts())? {
            return Ok(Some(format!("the balance that is kept of {address} does not follow from the blocks")));
        }
        let items = |after: Option<&ItemName>| self.page(|| reader.items(after, PAGE));
        if let Some(name) = first_difference(items, self.ledger.items())? {
            return Ok(Some(format!("what is kept of item {} does not follow from the blocks", name.as_str())));
        }
        let held = self.ledger.items().filter(|(_, item)| item.holder.is_some()).count();
        let follow = (self.ledger.accounts().count() as u64, self.ledger.items().count() as u64, held as u64);
        let kept = reader.counts();
        if (kept.accounts, kept.items, kept.items_held) == follow {
            return Ok(None);
        }
        Ok(Some("the numbers of accounts and items that are kept do not follow from the blocks".to_owned()))
    }

    fn page<T>(&self, read: impl FnOnce() -> Result<T, SourceError>) -> Result<T, Trouble> {
        if self.gone.is_cancelled() { Err(Trouble::Gone) } else { Ok(read()?) }
    }
}

/// The first entry that is only in one of two lists, or is different: what is kept, a page at a time, and what follows from the
/// blocks; both by their keys.
fn first_difference<'a, K: Ord + Clone + 'a, V: PartialEq + 'a>(
    page: impl Fn(Option<&K>) -> Result<Vec<(K, V)>, Trouble>,
    mut follow: impl Iterator<Item = (&'a K, &'a V)>,
) -> Result<Option<K>, Trouble> {
    let mut last = None;
    loop {
        let kept = page(last.as_ref())?;
        if kept.is_empty() {
            return Ok(follow.next().map(|(key, _)| key.clone()));
        }
        for (key, value) in kept {
            match follow.next() {
                Some((same, what)) if *same == key && *what == value => last = Some(key),
                Some((other, _)) => return Ok(Some(key.min(other.clone()))),
                None => return Ok(Some(key)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::BTreeMap, path::Path, sync::Arc};

    use bard_chain::{engine::Engine, presets};
    use redb::{Database, TableDefinition, WriteTransaction};

    use super::*;
    use crate::{
        keeper::tests::{branch, keeper},
        metrics::Metrics,
        store::{
            Opened, Store,
            tests::{easy_spec, simulated::SimDisk},
        },
    };

    /// Whether `verify` finds a problem in a directory, and which.
    async fn problem(dir: &Path) -> Option<String> {
        let spec = Arc::new(presets::dev());
        let Opened { store, restored, .. } = Store::open(dir, Arc::clone(&spec)).expect("opened");
        let (engine, counts) = (Engine::restore(spec, restored), Metrics::new("dev", "", Timestamp::ZERO).chain);
        let limits = bard_chain::mempool::Limits::default();
        let (handle, ended) = keeper::start(engine, store, limits, counts).expect("started");
        let verified = verify(&handle, &CancellationToken::new(), None, &|_| {}).expect("an answer");
        handle.stop().await;
        ended.ended().await.expect("stopped");
        verified.problem
    }

    #[tokio::test]
    async fn a_check_that_was_cut_short_is_gone_on_with() {
        let (disk, spec) = (SimDisk::default(), easy_spec());
        let (handle, ended) = keeper(&disk, &spec, 0);
        for block in branch(&handle, 6).await {
            handle.accept(block).await.expect("an answer").expect("accepted");
        }
        let check = |from: Option<&Mark>| {
            let marks = RefCell::new(Vec::new());
            let note = |mark: &Mark| marks.borrow_mut().push(mark.clone());
            let verified = verify(&handle, &CancellationToken::new(), from, &note).expect("an answer");
            (verified, marks.into_inner())
        };
        let (whole, all) = check(None);
        assert_eq!((whole.problem.as_ref(), whole.height, all.len()), (None, Height::new(6), 6));
        for (done, mark) in (1..).zip(&all) {
            assert_eq!(check(Some(mark)), (whole.clone(), all[done..].to_vec()), "after {}", mark.height);
        }
        let of_another = Mark { id: BlockId::new([9; 32]), ..all[2].clone() };
        let above = Mark { height: Height::new(7), ..all[5].clone() };
        for elsewhere in [of_another, above] {
            assert_eq!(check(Some(&elsewhere)), (whole.clone(), all.clone()), "all of it");
        }
        handle.stop().await;
        ended.ended().await.expect("stopped");
    }

    fn change(dir: &Path, how: impl FnOnce(&WriteTransaction)) {
        let index = Database::open(dir.join("index.redb")).expect("opened");
        let transaction = index.begin_write().expect("begun");
        how(&transaction);
        transaction.commit().expect("written");
    }

    #[tokio::test]
    async fn what_the_index_has_and_the_chain_has_not_is_found() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(problem(dir.path()).await, None);
        let accounts = TableDefinition::<&[u8; 32], (u64, u64)>::new("accounts");
        let items = TableDefinition::<&str, &[u8]>::new("items");
        let stranger = [7; 32];
        change(dir.path(), |index| {
            index.open_table(accounts).expect("there").insert(&stranger, (1_000, 0)).expect("written");
        });
        let found = problem(dir.path()).await.expect("an account too many");
        assert!(found.contains("the balance that is kept of bard1") && found.contains("does not follow"), "{found}");
        change(dir.path(), |index| {
            index.open_table(accounts).expect("there").remove(&stranger).expect("written");
            index.open_table(items).expect("there").insert("ghost", stranger.as_slice()).expect("written");
        });
        let found = problem(dir.path()).await.expect("an item too many");
        assert!(found.contains("what is kept of item ghost does not follow"), "{found}");
        change(dir.path(), |index| {
            index.open_table(items).expect("there").remove("ghost").expect("written");
        });
        assert_eq!(problem(dir.path()).await, None);
        change(dir.path(), |index| {
            index.open_table(accounts).expect("there").pop_first().expect("written");
        });
        assert!(problem(dir.path()).await.is_some(), "an account too few");
    }

    #[test]
    fn the_first_difference_of_two_lists() {
        let list = |entries: &[(u8, u8)]| entries.iter().copied().collect::<BTreeMap<u8, u8>>();
        let find = |kept: &[(u8, u8)], follow: &[(u8, u8)]| {
            let kept = list(kept);
            let page = |after: Option<&u8>| {
                let rest = kept.iter().filter(|(key, _)| after.is_none_or(|after| *key > after)).take(2);
                Ok(rest.map(|(key, value)| (*key, *value)).collect::<Vec<_>>())
            };
            first_difference(page, list(follow).iter()).unwrap_or_else(|_| panic!("nothing fails here"))
        };
        let all = [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)];
        assert_eq!((find(&[], &[]), find(&all, &all)), (None, None));
        for (at, (key, _)) in all.into_iter().enumerate() {
            let without = [&all[..at], &all[at + 1..]].concat();
            assert_eq!((find(&without, &all), find(&all, &without)), (Some(key), Some(key)), "{key}");
            let mut other = all;
            other[at].1 = 9;
            assert_eq!(find(&other, &all), Some(key));
        }
    }
}
