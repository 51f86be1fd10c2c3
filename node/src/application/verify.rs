//! A check of the whole chain from its genesis block, as if it came from a stranger.

use bard_chain::{
    hash::BlockId,
    invalid::Invalid,
    ledger::{MemoryLedger, View, apply::ApplyError, commitment::Commitment},
    rules::{in_chain::Position, in_state, isolated::Unsigned},
    snapshot::{Check, Part, SnapshotError, with_accounts, with_items},
    source::SourceError,
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
/// `progress` hears of each height that is done.
///
/// # Errors
/// Where the chain changes faster than it can be checked, or nobody waits for the end: `gone`.
pub fn verify(
    keeper: &keeper::Handle,
    gone: &CancellationToken,
    progress: &dyn Fn(Height),
) -> Result<Verified, Failure> {
    for _ in 0..TRIES {
        let mut walk = Walk::new(keeper, gone, progress);
        match walk.begin().and_then(|()| walk.run()) {
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

/// A check on its way up the chain.
struct Walk<'a> {
    keeper: &'a keeper::Handle,
    gone: &'a CancellationToken,
    progress: &'a dyn Fn(Height),
    position: Position,
    commitment: Commitment,
    ledger: MemoryLedger,
    reached: Verified,
}

impl<'a> Walk<'a> {
    fn new(keeper: &'a keeper::Handle, gone: &'a CancellationToken, progress: &'a dyn Fn(Height)) -> Self {
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

    /// Where the store began with a state, checks that, and begins there.
    fn begin(&mut self) -> Result<(), Trouble> {
        let reader = self.keeper.reader();
        if reader.floor() == Height::ZERO {
            return Ok(());
        }
        // What was taken was not too new then, and is not now.
        let mut check = Check::new(self.keeper.spec(), Timestamp::new(u64::MAX));
        let (mut ledger, mut commitment) = (MemoryLedger::default(), Commitment::default());
        reader.visit_base(&mut |part| {
            if self.gone.is_cancelled() {
                return Err(Trouble::Gone);
            }
            check.take(&part)?;
            let delta = match &part {
                Part::Headers(_) | Part::End(..) => return Ok(()),
                Part::Accounts(accounts) => with_accounts(accounts),
                Part::Items(items) => with_items(items),
            };
            ledger.apply(&delta);
            commitment.apply(&delta);
            Ok(())
        })?;
        let checked = check.finish()?;
        if reader.id_at(checked.height)? != Some(checked.tip) {
            return Err(Trouble::Problem(
                "the chain does not go on from the state that this node began with".to_owned(),
            ));
        }
        (self.ledger, self.commitment, self.position) = (ledger, commitment, checked.position);
        (self.reached.from, self.reached.height) = (checked.height, checked.height);
        Ok(())
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
        (self.progress)(height);
        self.reached.transactions += block.transaction_ids().len() as u64;
        Ok(())
    }

    /// Compares the ledger that follows from the blocks up to `tip` with the one that is kept; `false` where the chain has
    /// moved on, for then the balances at the new tip are no evidence.
    fn compare(&self, tip: BlockId) -> Result<bool, Trouble> {
        let reader = self.keeper.reader();
        for (address, account) in self.ledger.accounts() {
            if reader.account(address)? != *account {
                if reader.tip().0 != tip {
                    return Ok(false);
                }
                let problem = format!("the balance that is kept of {address} does not follow from the blocks");
                return Err(Trouble::Problem(problem));
            }
        }
        Ok(true)
    }
}
