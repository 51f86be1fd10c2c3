//! A check of the whole chain from its genesis block, as if it came from a stranger.

use std::sync::Arc;

use bard_chain::{
    hash::BlockId,
    ledger::{MemoryLedger, View, apply::ApplyError},
    rules::{in_chain::Position, in_state, isolated::Unsigned},
    source::SourceError,
    units::{Height, Timestamp},
};

use super::reply::Verified;
use crate::keeper::{self, all_hold_in_parallel};

/// How often a check that a reorganisation ran into is begun anew.
const TRIES: usize = 3;

/// What stops a check.
enum Trouble {
    /// A block is wrong.
    Problem(String),
    /// The active chain changed under it.
    Moved,
}

impl From<SourceError> for Trouble {
    fn from(error: SourceError) -> Self {
        Self::Problem(error.to_string())
    }
}

/// Checks every block of the active chain up to the tip: form, work, signatures, header rules, ledger, state root.
pub(super) fn verify(keeper: &keeper::Handle) -> Verified {
    for _ in 0..TRIES {
        let mut reached = Verified { height: Height::ZERO, transactions: 0, problem: None };
        match walk(keeper, &mut reached) {
            Ok(()) => return reached,
            Err(Trouble::Problem(problem)) => {
                let at = reached.height.next().unwrap_or(reached.height);
                return Verified { problem: Some(format!("block {at}: {problem}")), ..reached };
            }
            Err(Trouble::Moved) => {}
        }
    }
    let problem = Some("the chain kept changing while it was checked; try again".to_owned());
    Verified { height: Height::ZERO, transactions: 0, problem }
}

fn walk(keeper: &keeper::Handle, reached: &mut Verified) -> Result<(), Trouble> {
    let (spec, reader) = (Arc::clone(keeper.spec()), keeper.reader());
    let tip = keeper.tip();
    let mut position = Position::genesis(&spec);
    let mut commitment = spec.genesis_commitment();
    let mut ledger = MemoryLedger::default();
    ledger.apply(&spec.genesis_delta());
    for height in (1..=tip.height.get()).map(Height::new) {
        let id = reader.id_at(height)?.ok_or(Trouble::Moved)?;
        let bytes = reader.block_bytes(&id)?.ok_or_else(|| Trouble::Problem(format!("the body of {id} is missing")))?;
        let wrong = |reason: bard_chain::invalid::Invalid| Trouble::Problem(reason.to_string());
        let block = Unsigned::read(&spec, &bytes)
            .and_then(|block| block.check_signatures(keeper.chain(), &|_| false, &all_hold_in_parallel))
            .map_err(wrong)?;
        if block.id() != id {
            return Err(Trouble::Problem(format!("stored under {id}, it is {}", block.id())));
        }
        if block.header().parent != position.id() {
            return Err(if reader.id_at(height)? == Some(id) && reader.is_active(&position.id())? {
                Trouble::Problem("it does not follow the block below it".to_owned())
            } else {
                Trouble::Moved
            });
        }
        // A block that was accepted was not too new then, and is not now.
        position = position.step(&spec, block.header(), id, Timestamp::new(u64::MAX)).map_err(wrong)?;
        let after = in_state::check(&spec, &ledger, &commitment, block.block()).map_err(|error| match error {
            ApplyError::Fault(reason) => wrong(reason),
            ApplyError::Source(error) => Trouble::from(error),
        })?;
        ledger.apply(&after.delta);
        commitment = after.commitment;
        reached.height = height;
        reached.transactions += block.transaction_ids().len() as u64;
    }
    if position.id() != tip.id {
        return Err(Trouble::Moved);
    }
    compare(keeper, &ledger, tip.id)
}

/// Compares the ledger that follows from the blocks up to `tip` with the one that is kept.
fn compare(keeper: &keeper::Handle, ledger: &MemoryLedger, tip: BlockId) -> Result<(), Trouble> {
    let reader = keeper.reader();
    for (address, account) in ledger.accounts() {
        if reader.account(address)? != *account {
            // If the chain has grown since the walk began, the balances at the new tip are no evidence.
            let grown = reader.tip().0 != tip;
            let problem = format!("the balance that is kept of {address} does not follow from the blocks");
            return Err(if grown { Trouble::Moved } else { Trouble::Problem(problem) });
        }
    }
    Ok(())
}
