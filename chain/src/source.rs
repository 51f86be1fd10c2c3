//! The one thing the chain asks of the outside: what is stored, by id.

use std::sync::Arc;

use crate::{
    hash::BlockId,
    ledger::{Undo, View},
    rules::isolated::Isolated,
};

/// Something stored could not be read: a fault of this machine, never of a peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SourceError(pub String);

/// What is stored: the ledger at the tip, and bodies and undo of blocks.
pub trait Source: View {
    /// The body of a stored block; it was checked before it was stored.
    ///
    /// # Errors
    /// Where it is not there or could not be read.
    fn block(&self, id: &BlockId) -> Result<Arc<Isolated>, SourceError>;

    /// The undo of a block of the active chain.
    ///
    /// # Errors
    /// Where it is not there or could not be read.
    fn undo(&self, id: &BlockId) -> Result<Undo, SourceError>;
}
