//! What needs the ledger: that every transaction applies, and that the state afterwards is the one the header names.

use crate::{
    block::Block,
    invalid::Invalid,
    ledger::{
        Delta, View,
        apply::{ApplyError, apply_block},
        commitment::Commitment,
    },
    spec::ChainSpec,
};

/// What a block that holds in every respect does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InState {
    /// Its changes to the ledger.
    pub delta: Delta,
    /// The running commitment after it.
    pub commitment: Commitment,
}

/// Applies a block to the ledger before it, whose running commitment is `before`, and compares the state root.
///
/// # Errors
/// The first rule it breaks, or that the ledger could not be read.
pub fn check<V: View>(
    spec: &ChainSpec,
    ledger: V,
    before: &Commitment,
    block: &Block,
) -> Result<InState, ApplyError<Invalid>> {
    let delta = apply_block(spec, ledger, block)?;
    let mut commitment = before.clone();
    commitment.apply(&delta);
    if commitment.root() != block.header.state_root {
        return Err(ApplyError::Fault(Invalid::StateRoot));
    }
    Ok(InState { delta, commitment })
}
